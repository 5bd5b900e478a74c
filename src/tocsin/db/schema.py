"""Bringing a database to the schema of this release, with Alembic (db/migrations)."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tocsin.db.engine import Database

HEAD = "0007"  # the newest migration; a test holds it against the folder

_MIGRATIONS = Path(__file__).parent / "migrations"


def version(connection: sa.Connection) -> str | None:
    """The schema version of a database, None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()


def upgrade(database: Database) -> bool:
    """Runs the migrations that are missing; False if there was nothing to do.

    Alembic is loaded only when it is needed: it would take a tenth of a second and ten megabytes of every start.
    """
    connection = database.writer_connection()
    try:
        if version(connection) == HEAD:
            return False
        _run(connection)
        return True
    finally:
        connection.close()


def _run(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see upgrade
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    command.upgrade(config, "head")

"""Bringing a database to the schema of this release, with Alembic (db/migrations)."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tocsin.core.errors import Conflict
from tocsin.db import tables
from tocsin.db.engine import Database

HEAD = "0029"  # the newest migration; a test holds it against the folder
# The newest schema of the release before this one, which must run on HEAD as well, so that nodes can be upgraded one by one
# and a release be taken back. Set it after each release. None has been made yet.
OLDEST = HEAD

_MIGRATIONS = Path(__file__).parent / "migrations"


def version(connection: sa.Connection) -> str | None:
    """The schema version of a database, None for an empty one."""
    if not _has_table(connection, "alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()


def oldest(connection: sa.Connection) -> str | None:
    """The oldest schema whose release runs on this database; None for an empty one."""
    if not _has_table(connection, "settings"):
        return None
    return connection.exec_driver_sql("SELECT value FROM settings WHERE name = 'schema_oldest'").scalar_one_or_none()


def _has_table(connection: sa.Connection, name: str) -> bool:
    """Asked in the database's own words: SQLAlchemy's cost more than all else that is asked at a start."""
    is_sqlite = connection.dialect.name == "sqlite"
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?" if is_sqlite else "SELECT to_regclass(%s)::text"
    return connection.exec_driver_sql(query, (name,)).scalar() is not None


def is_newer(found: str | None) -> bool:
    """Whether a schema is of a later release than this one."""
    return found is not None and found > HEAD


def runs_on(found: str | None, its_oldest: str | None) -> bool:
    """Whether this release works with schema *found* as it is: its own, or a newer one that still allows it."""
    return found == HEAD or (is_newer(found) and its_oldest is not None and its_oldest <= HEAD)


def upgrade(database: Database) -> bool:
    """Makes the tables, or runs the migrations that are missing; False if there was nothing to do.

    Raises `Conflict` if the database is too new for this release.
    """
    connection = database.writer_connection()
    try:
        found = version(connection)
        if runs_on(found, oldest(connection)):
            return False
        if is_newer(found):
            raise Conflict(f"the database has schema {found}, on which this release (schema {HEAD}) cannot run")
        if found is None:
            _make(connection)
        else:
            migrate(connection)
        return True
    finally:
        connection.close()


def _make(connection: sa.Connection) -> None:
    """All tables at once, in an empty database. That they are those of the migrations is held by a test.

    Alembic would stay in memory with eleven megabytes until the next start.
    """
    connection.exec_driver_sql("BEGIN")  # it is in autocommit mode, see db/engine.py
    try:
        tables.metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")  # noqa: S608 - a number of ours
        connection.execute(tables.settings.insert().values(name="schema_oldest", value=OLDEST))
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def migrate(connection: sa.Connection) -> None:
    """Runs the migrations that are missing, with Alembic, which is loaded only for this."""
    from alembic import command  # noqa: PLC0415 - eleven megabytes, which only a migration is worth
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    attributes["oldest"] = OLDEST
    command.upgrade(config, "head")

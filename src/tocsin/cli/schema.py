"""What a database's schema version means for this release."""

from dataclasses import dataclass

import sqlalchemy as sa

from tocsin.db import schema
from tocsin.db.engine import Database


@dataclass(frozen=True)
class SchemaFault:
    """A version that is not the one of this release; one that is not too new is mended by an upgrade."""

    text: str
    too_new: bool


def schema_version(database: Database) -> str | None:
    """The version that a database says it has; None for an empty one."""
    with database.read() as connection:
        return schema.version(connection)


def fault_of(connection: sa.Connection) -> SchemaFault | None:
    """None if the database is one that this release works with."""
    return schema_fault(schema.version(connection), schema.oldest(connection))


def schema_fault(version: str | None, oldest: str | None) -> SchemaFault | None:
    """None if this release works with *version*; *oldest* is the oldest schema whose release does."""
    if schema.runs_on(version, oldest):
        return None
    if version is None:
        return SchemaFault("the database is empty: run `tocsin db upgrade`, or start `tocsin serve`", too_new=False)
    if not schema.is_newer(version):
        text = f"the database has schema {version} and this release needs {schema.HEAD}: run `tocsin db upgrade`"
        return SchemaFault(text, too_new=False)
    text = (
        f"the database has schema {version}, on which this release (schema {schema.HEAD}) cannot run: "
        "install the newer Tocsin that made it, or restore a backup from before"
    )
    return SchemaFault(text, too_new=True)

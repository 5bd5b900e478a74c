"""What a database's schema version means for this release."""

from dataclasses import dataclass
from pathlib import Path

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


def known_versions() -> list[str]:
    """The versions that this release can bring up to date."""
    folder = Path(schema.__file__).parent / "migrations" / "versions"
    return sorted(path.name.partition("_")[0] for path in folder.glob("[0-9]*_*.py"))


def schema_fault(version: str | None) -> SchemaFault | None:
    """None if *version* is what this release works with."""
    if version == schema.HEAD:
        return None
    if version is None:
        return SchemaFault("the database is empty: run `tocsin db upgrade`, or start `tocsin serve`", too_new=False)
    if version in known_versions():
        text = f"the database has schema {version} and this release needs {schema.HEAD}: run `tocsin db upgrade`"
        return SchemaFault(text, too_new=False)
    text = (
        f"the database has schema {version}, which this release (schema {schema.HEAD}) does not know: "
        "install the newer Tocsin that made it, or restore a backup from before"
    )
    return SchemaFault(text, too_new=True)

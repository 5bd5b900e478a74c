"""`tocsin db`: making, upgrading and checking the database."""

from tocsin.cli import promises
from tocsin.cli.output import say, show, show_json
from tocsin.cli.schema import fault_of, schema_version
from tocsin.cli.start import Start, read_only, refuse_unknown_schema, understood
from tocsin.core.errors import TocsinError
from tocsin.core.text import counted
from tocsin.db import schema
from tocsin.db.engine import Database
from tocsin.settings import Settings


def upgrade(start: Start, *, as_json: bool) -> None:
    """Brings the schema up to date."""
    settings = start.settings()
    refuse_unknown_schema(settings)
    if settings.is_sqlite:
        _make_folder(settings)
    database = Database(settings.database_url)
    try:
        with understood():
            is_new = settings.is_sqlite and not settings.sqlite_path.exists()
            before = None if is_new else schema_version(database)
            changed = schema.upgrade(database)
    finally:
        database.close()
    if as_json:
        show_json({"changed": changed, "before": before, "schema": schema.HEAD if changed else before})
    elif changed:
        show(f"The database is now at schema {schema.HEAD} (before: {before or 'empty'}).")
    else:
        show(f"The database is at schema {before} already{_of_whom(before)}; nothing was done.")


def _of_whom(version: str | None) -> str:
    return ", that of a newer release on which this one runs" if schema.is_newer(version) else ""


def _make_folder(settings: Settings) -> None:
    folder = settings.sqlite_path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TocsinError(f"the folder {folder} cannot be made: {error.strerror}. Set TOCSIN_DATA_DIR to a folder of your own.") from None


def check(start: Start, *, as_json: bool) -> int:
    """Looks for damage and for broken promises; 1 if there are any."""
    with read_only(start.settings()) as database:
        faults, version = _faults(database), schema_version(database)
    if as_json:
        show_json({"ok": not faults, "faults": faults})
    elif faults:
        for fault in faults:
            show(f"fault: {fault}")
        cure = "Stop Tocsin, keep a copy of the data folder, and restore a backup."
        say(f"tocsin: {counted(len(faults), 'fault')} in the database. {cure}")
    else:
        show(f"The database is sound: schema {version}{_of_whom(version)}, no damage, all {len(promises.PROMISES)} promises kept.")
    return 1 if faults else 0


def _faults(database: Database) -> list[str]:
    with database.read() as connection:
        fault = fault_of(connection)
        if fault is not None:
            return [fault.text]
        return [*promises.damage(connection), *promises.missing(connection), *promises.broken(connection)]

"""What every command starts from: the settings, who is asking, and the database."""

import gc
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.cli.output import say
from tocsin.settings import Settings, load

if TYPE_CHECKING:
    from tocsin.bootstrap import Core, Store
    from tocsin.core.errors import NotFound
    from tocsin.db.engine import Database

MAX_LINE = 4_096  # bytes


@dataclass(frozen=True)
class Start:
    """What was said before the command's name."""

    config: Path | None = None

    def settings(self) -> Settings:
        """The settings of this process. Raises `SettingsError`."""
        return load(os.environ, self.config)


def actor() -> str:
    """Who is asking, for the history: ``cli:`` and the name of the Unix user."""
    uid = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"cli:{uid}"


@contextmanager
def opened(start: Start, *, make: bool = False) -> Iterator["Core"]:
    """The database, brought up to date where needed, and the decisions on top of it. *make*: a missing one is made."""
    from tocsin.bootstrap import build_core  # noqa: PLC0415 - see commands.py
    from tocsin.cli import logs  # noqa: PLC0415

    settings = start.settings()
    logs.configure(settings.whmcs_env, quiet=True)
    with understood():
        _there_or_made(settings, make=make)
        refuse_unknown_schema(settings)
        core = build_core(settings)
    try:
        yield core
    finally:
        core.close()


@contextmanager
def opened_store(start: Start, *, make: bool = False) -> Iterator["Store"]:
    """The database alone, for commands that decide nothing about alerts: quicker to open. *make*: a missing one is made."""
    from tocsin.bootstrap import build_store  # noqa: PLC0415
    from tocsin.cli import logs  # noqa: PLC0415

    settings = start.settings()
    logs.configure(settings.whmcs_env, quiet=True)
    with understood():
        _there_or_made(settings, make=make)
        refuse_unknown_schema(settings)
        store = build_store(settings)
    try:
        yield store
    finally:
        store.close()


def _there_or_made(settings: Settings, *, make: bool) -> None:
    """Whoever stands in the wrong folder shall hear of it, and not be told that all is quiet. Raises `NotFound`."""
    if not settings.is_sqlite or settings.sqlite_path.exists():
        return
    if not make:
        raise _no_database(settings)
    say(f"There was no database at {settings.sqlite_path.resolve()}: it is made.")


def _no_database(settings: Settings) -> "NotFound":
    from tocsin.core.errors import NotFound  # noqa: PLC0415

    place = settings.sqlite_path.resolve()
    return NotFound(
        f"there is no database at {place}: set TOCSIN_DATA_DIR to the server's data folder, or start `tocsin serve`, which makes one"
    )


@contextmanager
def read_only(settings: Settings) -> Iterator["Database"]:
    """The database as it is: nothing is made or changed. Raises `NotFound` if there is none."""
    from tocsin.db.engine import Database  # noqa: PLC0415

    if settings.is_sqlite and not settings.sqlite_path.exists():
        raise _no_database(settings)
    database = Database(settings.database_url)
    try:
        with understood():
            yield database
    finally:
        database.close()


@contextmanager
def understood() -> Iterator[None]:
    """Faults of the database driver come out as `Unavailable`, in a sentence."""
    import sqlalchemy as sa  # noqa: PLC0415

    from tocsin.core.errors import Unavailable  # noqa: PLC0415
    from tocsin.db.engine import explain  # noqa: PLC0415

    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable(explain(error)) from error


def refuse_unknown_schema(settings: Settings) -> None:
    """A database that a newer release has changed is left alone. Raises `Conflict`."""
    from tocsin.cli.schema import fault_of  # noqa: PLC0415
    from tocsin.core.errors import Conflict  # noqa: PLC0415

    if settings.is_sqlite and not (settings.sqlite_path.is_file() and settings.sqlite_path.stat().st_size):
        return
    with read_only(settings) as database, database.read() as connection:
        fault = fault_of(connection)
    if fault is not None and fault.too_new:
        raise Conflict(fault.text)


def first_line(what: str) -> str:
    """A secret on standard input: an argument would stand in the list of processes. Raises `TocsinError`."""
    from tocsin.core.errors import TocsinError  # noqa: PLC0415 - `--help` and `--version` start without it

    try:
        return sys.stdin.buffer.readline(MAX_LINE).decode().strip()
    except UnicodeDecodeError:
        raise TocsinError(f"the {what} on standard input is not UTF-8 text") from None


# The writer's thread lets go of the interpreter at every statement, ten times for a new alert. By default a busy loop would give it
# back after 5 ms each time; at 200 new alerts a second on a busy machine that doubled the slowest pushes, and saved no CPU.
SWITCH_SECONDS = 0.0005

# Objects that there are more of than at the last collection until the next one: a transaction holds thousands for a moment, and by
# default (700) each had the collector look through all that lives long, a thousand open dashboards for instance, again and again.
YOUNG = 10_000


def settle() -> None:
    """For what runs long: garbage is collected from here on; what has been loaded stays for ever and is not looked through; and
    threads take turns more often.
    """
    gc.freeze()
    gc.set_threshold(YOUNG)
    gc.enable()
    sys.setswitchinterval(SWITCH_SECONDS)

"""Connections: one way to open them for SQLite and PostgreSQL, and what their errors mean."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import sqlalchemy as sa
import structlog

from tocsin.core.errors import Unavailable

log = structlog.get_logger()

BUSY_TIMEOUT_MS = 5_000
GONE = "the database file is gone"
DAMAGED = "the database file is damaged: stop Tocsin and restore a backup"


class Question(NamedTuple):
    """Whether *query* finds a row; its *values* stand as ``?``."""

    query: str
    values: tuple[object, ...] = ()


class Database:
    """Where the data lives: makes the writer's connection and hands out separate read connections."""

    def __init__(self, url: str) -> None:
        """*url* is ``sqlite:///PATH`` or ``postgresql://...`` as checked by the settings. Nothing is opened yet."""
        self.is_sqlite = url.startswith("sqlite")
        self.path = Path(url.removeprefix("sqlite:///")) if self.is_sqlite else None
        self._url = url if self.is_sqlite else "postgresql+psycopg" + url[len("postgresql") :]
        self._file: tuple[int, int] | None = None  # which file is meant: SQLite goes on with one that was deleted
        self._prepares = True
        self.is_in_use = False  # until then whoever opens it complains in its own one line
        self.damage: str | None = None  # what a damaged file was said to be, from then on: a lucky page does not mend it
        self._readers = self._engine(read_only=True, poolclass=sa.QueuePool, pool_size=8, max_overflow=0, pool_timeout=30)

    def _engine(self, *, read_only: bool, create: bool = False, **pool: Any) -> sa.Engine:
        # AUTOCOMMIT: transactions are begun and ended by us, in one place, with the words the driver understands.
        if self.is_sqlite:
            engine = sa.create_engine("sqlite://", isolation_level="AUTOCOMMIT", creator=lambda: self._open_file(create=create), **pool)
            sa.event.listen(engine, "connect", _prepare_sqlite_reader if read_only else _prepare_sqlite_writer)
            return engine
        engine = sa.create_engine(self._url, isolation_level="AUTOCOMMIT", **pool)
        sa.event.listen(engine, "connect", self._prepare_postgresql)
        if not read_only:
            sa.event.listen(engine, "connect", _prepare_postgresql_writer)
        return engine

    def _open_file(self, *, create: bool) -> sqlite3.Connection:
        """Only who may make a database opens one that is not there: an empty file in its place would hide the loss."""
        mode = "rwc" if create else "rw"
        connection = sqlite3.connect(f"file:{quote(str(self.path))}?mode={mode}", uri=True, check_same_thread=False)
        self._file = self._file or self._identity()
        return connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat() if self.path else None
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)

    def check_file(self) -> None:
        """Raises the driver's error if the file that was opened is no longer there, or another one is in its place."""
        if self._file is not None and self._identity() != self._file:
            raise sqlite3.OperationalError(GONE)

    def _prepare_postgresql(self, connection: Any, _record: object) -> None:
        if not self._prepares:
            connection.prepare_threshold = None

    def stop_preparing(self) -> None:
        """From now on no statement is prepared: something between us and the server loses them."""
        if self._prepares:
            log.warning("prepared statements are lost on the way to the database, so none are used any more; is there a pooler?")
        self._prepares = False
        self._readers.dispose()

    def writer_connection(self, *, create: bool = True) -> sa.Connection:
        """A connection that may write, in autocommit mode, for one thread. The caller begins and commits; closing it ends it.

        *create*: whether a SQLite file that is not there is made.
        """
        return self._engine(read_only=False, create=create, poolclass=sa.NullPool).connect()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read connection inside one consistent snapshot. Raises `Unavailable` when the database cannot be read."""
        with self._reader() as connection:
            connection.exec_driver_sql("BEGIN" if self.is_sqlite else "BEGIN READ ONLY")
            try:
                yield connection
            finally:
                if not connection.invalidated:  # a connection that was cut has nothing to end: its own fault is to be heard
                    connection.exec_driver_sql("ROLLBACK")

    def finds(self, question: Question) -> bool:
        """The answer to *question*. Raises `Unavailable`."""
        return self.which([question])[0]

    def which(self, questions: Sequence[Question]) -> list[bool]:
        """The answers to *questions*, asked together: a look before work, for much less than a `read` of each costs.

        One statement is a snapshot by itself. Raises `Unavailable` when the database cannot be read.
        """
        if not questions:
            return []
        text = f"SELECT {', '.join(f'EXISTS ({one.query})' for one in questions)}"
        with self._reader() as connection:
            values = tuple(value for one in questions for value in one.values)
            row = connection.exec_driver_sql(text if self.is_sqlite else text.replace("?", "%s"), values).one()
        return [bool(found) for found in row]

    @contextmanager
    def _reader(self) -> Iterator[sa.Connection]:
        try:
            self.check_file()
            with self._readers.connect() as connection:
                yield connection
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.OperationalError) as error:
            if is_statement_lost(error):
                self.stop_preparing()
                raise Unavailable("the database server lost a prepared statement: try again", retry_after=1) from error
            if isinstance(error, sa.exc.TimeoutError) or is_fault(error):
                raise Unavailable(self.explain(error)) from error
            raise

    def free_space(self) -> int | None:
        """Bytes that are free on the disk of the file; None: the database is a server's, or the disk does not say."""
        if self.path is None:
            return None
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    def explain(self, error: BaseException) -> str:
        """What *error* means; that the file is damaged is remembered, and logged once."""
        reason = explain(error)
        if reason.startswith(DAMAGED):
            if self.damage is None and self.is_in_use:
                log.error("no data can be relied on", reason=reason)
            self.damage = reason
        return reason

    def notify(self, channel: str, payload: str) -> None:
        """PostgreSQL: tells all who listen on *channel*. Raises `Unavailable`."""
        try:
            with self._readers.connect() as connection:
                connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (channel, payload))
        except (sa.exc.DatabaseError, sa.exc.TimeoutError) as error:
            raise Unavailable(explain(error)) from error

    def close(self) -> None:
        """Closes the read connections."""
        self._readers.dispose()


def _prepare_sqlite_writer(connection: sqlite3.Connection, _record: object) -> None:
    # FULL: what is acknowledged survives a power cut (the writer's thread keeps that promise by itself, see log.py).
    # Checkpoints run beside the writer (see checkpoint.py), so that no commit pays for one.
    _pragmas(connection, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-24000", "wal_autocheckpoint=0")


def _prepare_sqlite_reader(connection: sqlite3.Connection, _record: object) -> None:
    _pragmas(connection, "query_only=ON", "cache_size=-2000")


def _prepare_postgresql_writer(connection: Any, _record: object) -> None:
    # Every query of the writer goes by an index. The planner, who has no figures of a table that was empty a minute
    # ago, would read the whole of it, and stay with that plan.
    for setting in (
        "enable_seqscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
        "plan_cache_mode = force_generic_plan",
        "jit = off",
    ):
        connection.execute(f"SET {setting}")


def _pragmas(connection: sqlite3.Connection, *pragmas: str) -> None:
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def is_fault(error: BaseException) -> bool:
    """Whether *error* is the database's (disk, lock, connection) and not the caller's."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        return False
    return isinstance(cause, sqlite3.DatabaseError) or _is_postgresqls(cause, "FAULTS")


def is_statement_lost(error: BaseException) -> bool:
    """Whether a prepared statement was not where we had left it: on a new connection the same work succeeds."""
    return _is_postgresqls(error, "STATEMENT_LOST")


def is_conflict(error: BaseException) -> bool:
    """Whether another node was first: looked at again, the same work may succeed."""
    return _is_postgresqls(error, "CONFLICTS")


def _is_postgresqls(error: BaseException, kind: str) -> bool:
    """Whether *error* is one of PostgreSQL's of this kind (a name in `tocsin.db.postgresql`); without its driver there are none."""
    if "psycopg" not in sys.modules:
        return False
    from tocsin.db import postgresql  # noqa: PLC0415 - see there

    kinds: tuple[type[BaseException], ...] = getattr(postgresql, kind)
    return isinstance(getattr(error, "orig", None) or error, kinds)


def explain(error: BaseException) -> str:
    """What a database fault means for the person who runs Tocsin, without addresses or passwords."""
    cause: Any = getattr(error, "orig", None) or error
    text = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    lowered = text.lower()
    for sign, meaning in _MEANINGS:
        if sign in lowered:
            return f"{meaning} (database says: {text})"
    return f"the database failed: {text}"


_MEANINGS = (
    (GONE, "the database file was deleted or replaced: stop Tocsin, put the file or a backup back, and start it again"),
    ("database or disk is full", "the disk is full: free some space on the data folder's disk"),
    ("no space left", "the disk is full: free some space on the database's disk"),
    ("readonly database", "the database is read-only: check owner and mode of the data folder"),
    ("unable to open database file", "the database file cannot be opened: check that the data folder exists and is writable"),
    ("database is locked", "another process holds the database: stop it, or wait until it has finished"),
    ("malformed", DAMAGED),
    ("not a database", DAMAGED),
    ("disk i/o error", "the disk reports errors: check the data folder's disk"),
    ("connection refused", "the database server does not answer: check that PostgreSQL runs"),
    ("read-only transaction", "the database server takes no changes: it is a standby, or was made read-only"),
    ("permission denied", "the database user may not do this: it must own the tables"),
    ("password authentication failed", "the database server refuses the password: check TOCSIN_DATABASE_URL"),
    ("no such table", "the database is not set up: run `tocsin db upgrade`"),
    ("does not exist", "the database is not set up: run `tocsin db upgrade`"),
)

"""Connections: one way to open them for SQLite and PostgreSQL, and what their errors mean."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tocsin.core.errors import Unavailable

BUSY_TIMEOUT_MS = 5_000


class Database:
    """Where the data lives: makes the writer's connection and hands out separate read connections."""

    def __init__(self, url: str) -> None:
        """*url* is ``sqlite:///PATH`` or ``postgresql://...`` as checked by the settings. Nothing is opened yet."""
        self.is_sqlite = url.startswith("sqlite")
        self.path = Path(url.removeprefix("sqlite:///")) if self.is_sqlite else None
        self._url = url if self.is_sqlite else "postgresql+psycopg" + url[len("postgresql") :]
        self._readers = self._engine(read_only=True, pool_size=8, max_overflow=0, pool_timeout=30)

    def _engine(self, *, read_only: bool, **pool: Any) -> sa.Engine:
        # AUTOCOMMIT: transactions are begun and ended by us, in one place, with the words the driver understands.
        engine = sa.create_engine(self._url, isolation_level="AUTOCOMMIT", **pool)
        if self.is_sqlite:
            sa.event.listen(engine, "connect", _prepare_sqlite_reader if read_only else _prepare_sqlite_writer)
        elif not read_only:
            sa.event.listen(engine, "connect", _prepare_postgresql_writer)
        return engine

    def writer_connection(self) -> sa.Connection:
        """A connection that may write, in autocommit mode, for one thread. The caller begins and commits; closing it ends it."""
        return self._engine(read_only=False, poolclass=sa.NullPool).connect()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read connection inside one consistent snapshot. Raises `Unavailable` when the database cannot be read."""
        try:
            with self._readers.connect() as connection:
                connection.exec_driver_sql("BEGIN" if self.is_sqlite else "BEGIN READ ONLY")
                try:
                    yield connection
                finally:
                    connection.exec_driver_sql("ROLLBACK")
        except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
            raise Unavailable(explain(error)) from error
        except sa.exc.DatabaseError as error:
            if isinstance(error.orig, sqlite3.DatabaseError) and not isinstance(
                error.orig, sqlite3.IntegrityError | sqlite3.ProgrammingError
            ):
                raise Unavailable(explain(error)) from error
            raise

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
    # FULL: an event is acknowledged only when it would survive a power cut. Checkpoints run beside the writer
    # (see checkpoint.py), so that no commit pays for one.
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
    ("database or disk is full", "the disk is full: free some space on the data folder's disk"),
    ("no space left", "the disk is full: free some space on the database's disk"),
    ("readonly database", "the database is read-only: check owner and mode of the data folder"),
    ("unable to open database file", "the database file cannot be opened: check that the data folder exists and is writable"),
    ("database is locked", "another process holds the database: stop it, or wait until it has finished"),
    ("malformed", "the database file is damaged: stop Tocsin and restore a backup"),
    ("not a database", "the database file is damaged: stop Tocsin and restore a backup"),
    ("disk i/o error", "the disk reports errors: check the data folder's disk"),
    ("connection refused", "the database server does not answer: check that PostgreSQL runs"),
    ("password authentication failed", "the database server refuses the password: check TOCSIN_DATABASE_URL"),
    ("no such table", "the database is not set up: run `tocsin db upgrade`"),
    ("does not exist", "the database is not set up: run `tocsin db upgrade`"),
)

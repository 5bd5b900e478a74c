"""SQLite's write-ahead log as a file that we flush ourselves, so that the next transaction is made meanwhile.

With ``synchronous=FULL`` SQLite flushes the log within each COMMIT, and its one writer waits. The writer's connection says
``synchronous=NORMAL`` instead: SQLite then flushes only where the order of its own files depends on it
(https://sqlite.org/pragma.html#pragma_synchronous), and who promises that a transaction stays has called `Log.flush` before.
"""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa


class Log:
    """The log of one database file. One thread may flush while another writes."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-wal")
        self._file: int | None = None
        self._lock = threading.Lock()  # a file is not closed while it is flushed: its number might be another's by then
        self._is_torn = False

    def adopt(self, connection: sa.Connection) -> None:
        """Leaves flushing what *connection* commits to `flush`. Raises the driver's error if there is no log to open."""
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA synchronous=NORMAL")
        driver.execute("PRAGMA wal_checkpoint(PASSIVE)")  # makes the log, if it is not there
        self.close()
        try:
            with self._lock:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            _flush_folder(self._path.parent)
        except OSError as error:
            raise _as_the_drivers(error) from error

    def flush(self) -> None:
        """What was committed before the call is on the disk after it. Raises the driver's error, from then on until `mend`."""
        with self._lock:
            if self._is_torn or self._file is None:
                raise sqlite3.OperationalError("disk I/O error: the log could not be flushed")
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._is_torn = True
                raise _as_the_drivers(error) from error

    def mend(self, connection: sa.Connection) -> None:
        """After a flush that failed, makes sure of what the log holds by moving it into the database file.

        A second flush would prove nothing: Linux says once that it could not write a page, and then takes it for
        written. To be called between transactions. Raises the driver's error if not all could be moved.
        """
        if not self._is_torn:
            return
        driver: Any = connection.connection.driver_connection
        if driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("disk I/O error: the log could not be flushed, and is being read")
        self._is_torn = False

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _flush_folder(folder: Path) -> None:
    """A new file's name is on the disk only after this."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _as_the_drivers(error: OSError) -> sqlite3.Error:
    """A failed flush as SQLite itself would have reported it."""
    return sqlite3.OperationalError(f"disk I/O error: {error.strerror or error}")

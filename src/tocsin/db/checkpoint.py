"""Moves SQLite's write-ahead log into the database file, beside the writer, so that no commit waits for it.

SQLite begins the log anew when all of it has been moved. Under load that never happens by itself, since more is written
meanwhile: the log grows, and a commit that makes a file longer is flushed two to five times as slowly as one that writes
over what is there. So when the log is long and nearly all has been moved, the writer moves the little rest itself.
"""

import threading
from typing import Any

import sqlalchemy as sa
import structlog

from tocsin.db.engine import Database
from tocsin.db.writer import Writer

log = structlog.get_logger()

EVERY = 0.5  # seconds
LONG = 2_000  # pages (of 4 KiB) in the log from which it is worth a break of some milliseconds to begin it anew


class Checkpointer:
    """A thread with a connection of its own. A passive checkpoint never blocks readers or the writer."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._writer = database, writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)

    def start(self) -> None:
        """Starts the thread; PostgreSQL needs none."""
        if self._database.is_sqlite:
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        connection = None
        while not self._stop.wait(EVERY):
            try:
                connection = connection or self._database.writer_connection(create=False)
                if move(connection) > LONG:
                    move(connection)  # what was written meanwhile
                    self._writer.between(move)
            except Exception as error:  # noqa: BLE001 - the disk may be full now and free in a minute; the thread must live
                log.warning("checkpoint failed", reason=str(error))
        if connection is not None:
            connection.close()


def move(connection: sa.Connection) -> int:
    """Moves what no reader still needs where it is; how many pages the log has."""
    driver: Any = connection.connection.driver_connection
    return int(driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])

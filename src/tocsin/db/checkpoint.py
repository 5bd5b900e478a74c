"""Moves SQLite's write-ahead log into the database file, beside the writer, so that no commit waits for it."""

import threading

import structlog

from tocsin.db.engine import Database

log = structlog.get_logger()

EVERY = 0.5  # seconds


class Checkpointer:
    """A thread with a connection of its own. A passive checkpoint never blocks readers or the writer."""

    def __init__(self, database: Database) -> None:
        self._database = database
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
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except Exception as error:  # noqa: BLE001 - the disk may be full now and free in a minute; the thread must live
                log.warning("checkpoint failed", reason=str(error))
        if connection is not None:
            connection.close()

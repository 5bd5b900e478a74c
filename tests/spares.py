"""Connections to the run's own PostgreSQL databases that were closed, and are opened again by the next test.

For a new one the server starts a process, which has to learn every table anew: half of what a `World` costs on PostgreSQL.
"""

import select
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

# What was set, listened to or locked is nobody's any more. Prepared statements stay: the object that prepared them knows them.
CLEAN = "RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all()"
PREPARE_AFTER = 5  # psycopg's own


class Spares:
    """Hands out connections to the databases that it was told of, and has them back when they are closed."""

    def __init__(self) -> None:
        self._idle: dict[str, list[_Reused]] = {}

    def open(self, url: str) -> "psycopg.Connection[Any]":
        """A connection to *url*; from now on those to this database are kept."""
        given = conninfo_to_dict(url)
        self._idle.setdefault(_address(**given), [])
        connection = self.connect(**given)
        assert connection is not None
        return connection

    def connect(self, **given: Any) -> "psycopg.Connection[Any] | None":
        """A connection as good as new; None: nothing is kept of this database."""
        address = _address(**given)
        idle = self._idle.get(address)
        if idle is None:
            return None
        while idle:
            connection = idle.pop()
            if connection.wake():
                return connection
            connection.end()
        made = _Reused.connect(**given, autocommit=True)
        made.spares, made.address = self, address
        return made

    def take_back(self, connection: "_Reused") -> bool:
        """Whether a *connection* that is being closed is kept."""
        idle = self._idle.get(connection.address)
        if idle is None or not connection.is_clean():
            return False
        idle.append(connection)
        return True

    def processes(self, url: str) -> list[int]:
        """The server's processes for what is kept of the database at *url*."""
        return [connection.info.backend_pid for connection in self._idle[_address(**conninfo_to_dict(url))]]

    def forget(self, url: str) -> None:
        """Ends what is kept of the database at *url*, and keeps nothing more of it."""
        for connection in self._idle.pop(_address(**conninfo_to_dict(url)), ()):
            connection.end()

    def close(self) -> None:
        """Ends all that is kept."""
        for idle in self._idle.values():
            for connection in idle:
                connection.end()


def _address(host: Any, port: Any, dbname: Any, **_more: Any) -> str:
    return f"{host}:{port}/{dbname}"


class _Reused(psycopg.Connection[Any]):
    spares: Spares
    address: str
    is_spare = False

    def close(self) -> None:
        """Gives the connection back; one that is not kept is really closed."""
        if self.is_spare or self.closed:
            return
        self.is_spare = self.spares.take_back(self)
        if not self.is_spare:
            self.end()

    def end(self) -> None:
        """Really closes it."""
        super().close()

    def is_clean(self) -> bool:
        """Whether nothing is under way, and what was set is taken back."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE or self.prepare_threshold != PREPARE_AFTER:
            return False
        try:
            self.autocommit = True
            self.execute(CLEAN, prepare=False)
        except psycopg.Error:
            return False
        self._notice_handlers.clear()
        return True

    def wake(self) -> bool:
        """False: the server has ended it meanwhile, or says something else that nobody asked for."""
        said = select.poll()
        said.register(self.fileno(), select.POLLIN)
        self.is_spare = False
        return not said.poll(0)

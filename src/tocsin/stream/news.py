"""PostgreSQL: tells the other processes that something was committed here, and hears it from them.

Told beside the commits, not in them, and a few times a second at most: the intake pays nothing for it. What is lost with a
process that dies in between is found by the look that every listener takes each second anyway.
"""

import asyncio
import secrets
from collections.abc import Callable

import psycopg
import structlog

from tocsin.core.errors import TocsinError
from tocsin.db.engine import Database

log = structlog.get_logger()

CHANNEL = "tocsin_stream"
AT_MOST_EVERY = 0.1  # seconds between two of our own
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class News:
    """This process's voice and ear."""

    def __init__(self, database: Database, url: str) -> None:
        self._database, self._url = database, url
        self._me = secrets.token_hex(8)
        self._telling: asyncio.Task[None] | None = None
        self._more = False

    def committed(self) -> None:
        """Something was committed by this process. In the event loop."""
        self._more = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._more:
            self._more = False
            try:
                await asyncio.to_thread(self._database.notify, CHANNEL, self._me)
            except TocsinError as error:
                log.debug("other processes were not told of a commit; they look each second", reason=error.message)
            await asyncio.sleep(AT_MOST_EVERY)

    async def listen(self, news: Callable[[], None]) -> None:
        """Calls *news* whenever another process has committed something. Connects again by itself; ends only when cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._listen_once(news)
            except psycopg.Error as error:
                log.warning("cannot listen for other processes; looking each second", reason=type(error).__name__, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE

    async def _listen_once(self, news: Callable[[], None]) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=10, keepalives_idle=30, keepalives_interval=10, keepalives_count=3
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            async for notice in connection.notifies():
                if notice.payload != self._me:
                    news()

"""PostgreSQL tells at once that another process has put a message into the outbox; without it a look each second finds it."""

import asyncio
from collections.abc import Callable

import psycopg
import structlog

log = structlog.get_logger()

CHANNEL = "tocsin_outbox"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


async def listen(url: str, news: Callable[[], None]) -> None:
    """Calls *news* whenever a message was put into the outbox. Connects again by itself; ends only when cancelled."""
    pause = FIRST_PAUSE
    while True:
        try:
            await _listen_once(url, news)
        except psycopg.Error as error:
            log.warning("cannot listen for news from the database; looking each second", reason=type(error).__name__, again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            pause = FIRST_PAUSE


async def _listen_once(url: str, news: Callable[[], None]) -> None:
    """Listens until the connection ends."""
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=10, keepalives_idle=30, keepalives_interval=10, keepalives_count=3
    )
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        log.debug("listening for news from the database")
        news()  # what came while nobody listened
        async for _ in connection.notifies():
            news()

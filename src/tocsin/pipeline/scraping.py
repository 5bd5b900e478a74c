"""Asks exporters when they are due, beside the engine: nobody waits for them. A look that is broken off has never been."""

import asyncio
from functools import partial

import structlog

from tocsin.core.clock import Clock
from tocsin.core.text import cut, one_line
from tocsin.db.engine import Database
from tocsin.db.writer import Writer
from tocsin.net.http import HttpDoor, HttpFailure
from tocsin.pipeline.prometheus import ExporterDesk
from tocsin.prometheus import exposition, rules, store
from tocsin.prometheus.model import Target, TooMuch
from tocsin.prometheus.rules import Sorted

log = structlog.get_logger()

WITHIN = 10.0  # seconds for one page
LIMIT = 8 * 1024 * 1024  # bytes of one page
AT_ONCE = 20  # exporters asked at the same time
PER_ROUND = 200
OK = 200
_ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.5"


class NoPage(Exception):
    """Why there is nothing to read."""


class Scraper:
    """Asks exporters when they are due."""

    def __init__(self, door: HttpDoor, database: Database, writer: Writer, clock: Clock, desk: ExporterDesk) -> None:
        self._door, self._database, self._writer, self._clock, self._desk = door, database, writer, clock, desk
        self._places = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def begin_due(self) -> None:
        """Begins to ask those that are due, in the background."""
        now = self._clock.now()
        self._under_way = {target_id: task for target_id, task in self._under_way.items() if not task.done()}
        for target in await asyncio.to_thread(self._due, now):
            if target.id in self._under_way:
                continue  # it is slow: its turn is left out
            if await self._writer.run(partial(store.claim, target=target, now=now)):
                self._under_way[target.id] = asyncio.create_task(self._ask_and_log(target))

    def _due(self, now: int) -> list[Target]:
        with self._database.read() as connection:
            return store.due(connection, now, PER_ROUND)

    async def settle(self) -> None:
        """Waits for what is under way."""
        await asyncio.gather(*self._under_way.values())

    async def close(self) -> None:
        """Breaks off what is under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _ask_and_log(self, target: Target) -> None:
        try:
            async with self._places:
                await self._ask(target)
        except Exception:
            log.exception("an exporter could not be asked", exporter=target.name)

    async def _ask(self, target: Target) -> None:
        fault, found = None, None
        try:
            found = await look(self._door, target, self._clock.now())
        except NoPage as error:
            fault = str(error)
        await self._writer.run(partial(self._desk.keep, target=target, found=found, fault=fault))


async def look(door: HttpDoor, target: Target, now: int) -> Sorted:
    """What *target* shows. Raises `NoPage`, whose words hold no secret."""
    try:
        page = await _page(door, target)
        return await asyncio.to_thread(_read, page, target, now)
    except NoPage as error:
        raise NoPage(cut(one_line(str(error)), 300)) from None


async def _page(door: HttpDoor, target: Target) -> str:
    headers = {"Accept": _ACCEPT} | ({"Authorization": f"Bearer {target.token}"} if target.token else {})
    try:
        answer = await door.request("GET", target.url, headers=headers, within=WITHIN, limit=LIMIT)
    except HttpFailure as failure:
        raise NoPage(failure.reason) from None
    if answer.status != OK:
        raise NoPage(f"it answered with status {answer.status}, not {OK}")
    if answer.cut:
        raise NoPage(f"its page is longer than {LIMIT >> 20} MiB")
    return answer.body.decode(errors="replace")


def _read(page: str, target: Target, now: int) -> Sorted:
    try:
        shown = exposition.read(page)
    except TooMuch as error:
        raise NoPage(str(error)) from None
    if not shown.points:
        first = f": it begins with {shown.first_unreadable!r}" if shown.first_unreadable else ""
        raise NoPage(f"its page shows no metric{first}")
    return rules.sort(shown.points, target.site_id, now, host=target.host, keep_all=target.keep_all)

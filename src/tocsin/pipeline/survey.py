"""Asks WHMCS every quarter of an hour what hangs on its servers and gateways, beside the engine: nobody waits for it."""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from tocsin.core.clock import MINUTE, Clock
from tocsin.core.text import cut
from tocsin.db.writer import Tx, Writer
from tocsin.events.model import EventInput, Incoming
from tocsin.pipeline.ingest import Batch, Ingest
from tocsin.whmcs import rules, store
from tocsin.whmcs.client import WhmcsApi
from tocsin.whmcs.model import Impact
from tocsin.whmcs.reading import WhmcsFault

EVERY = 15 * MINUTE
UNREACHABLE = "tocsin.whmcs_api"
log = structlog.get_logger()


class Place(msgspec.Struct, frozen=True):
    """The site whose WHMCS is asked."""

    id: int
    slug: str


class Surveyor:
    """For one site. What it finds is in place after each survey; why it cannot ask becomes one alert."""

    def __init__(self, api: WhmcsApi, writer: Writer, clock: Clock, ingest: Ingest, site: Place, refresh: Callable[[], None]) -> None:
        self._api, self._writer, self._clock, self._ingest = api, writer, clock, ingest
        self._site, self._refresh = site, refresh
        self._next = 0
        self._task: asyncio.Task[None] | None = None
        self._was_well = False  # an earlier process may have left the alert open

    def begin_if_due(self) -> None:
        """Begins a survey in the background, unless one is under way or the last one is young."""
        now = self._clock.now()
        if now >= self._next and (self._task is None or self._task.done()):
            self._next = now + EVERY
            self._task = asyncio.create_task(self._survey_and_log())

    async def close(self) -> None:
        """Breaks off what is under way: it would only have been read."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _survey_and_log(self) -> None:
        try:
            await self.survey()
        except Exception:
            log.exception("a survey of WHMCS failed")

    async def survey(self) -> None:
        """One survey, to its end."""
        try:
            currencies = await self._api.currencies()
            found = await self._api.survey()
        except WhmcsFault as fault:
            log.warning("WHMCS cannot be asked", reason=fault.reason)
            self._was_well = False
            await self._writer.run(partial(self._report, status="problem", title=fault.reason, message=fault.cure))
            return
        impacts = await asyncio.to_thread(rules.impacts, found, currencies, self._clock.now())
        await self._writer.run(lambda tx: self._keep(tx, impacts))
        self._was_well = True
        await asyncio.to_thread(self._refresh)

    def _keep(self, tx: Tx, impacts: list[Impact]) -> None:
        store.replace(tx, self._site.id, impacts)
        if not self._was_well:
            self._report(tx, "recovery", "WHMCS answers our questions again", "")

    def _report(self, tx: Tx, status: str, title: str, message: str) -> None:
        event = EventInput(
            type=UNREACHABLE,
            severity=3,
            status="recovery" if status == "recovery" else "problem",
            title=cut(title, 200),
            message=message or None,
            subject="api",
        )
        self._ingest.take(tx, [Batch([Incoming(event, self._site.slug, self._clock.now())], None, None)])

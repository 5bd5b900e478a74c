"""Looks at WHMCS every five minutes (M4): facts as rows, what is wrong as events like any other. Beside the engine: nobody waits for it.

What an action said, the events that follow and what was told are one transaction; a look that is broken off has never been.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from random import random
from uuid import UUID, uuid5

import msgspec
import structlog

from tocsin.core.clock import HOUR, MINUTE, SECOND, Clock, monotonic
from tocsin.core.redact import redact
from tocsin.core.text import counted, cut
from tocsin.db.writer import Tx, Writer
from tocsin.events.model import EventInput, Incoming
from tocsin.metrics.model import Sample
from tocsin.metrics.service import History
from tocsin.pipeline.ingest import Batch, Ingest
from tocsin.pipeline.survey import Place
from tocsin.whmcs import figures, judging, store
from tocsin.whmcs.client import WhmcsApi
from tocsin.whmcs.facts import ACTIONS, Action
from tocsin.whmcs.figures import Figure
from tocsin.whmcs.model import Activity, Admins, Automation, LogLine, Look, Problem
from tocsin.whmcs.reading import WhmcsFault

EVERY = 5 * MINUTE
BRIDGE_WITHIN = HOUR
ACTIVITY = "system.activity"
_LINES = UUID("5d0c1d3c-6b1e-4f6e-9d0a-7f0f7f4c2a11")  # the names of lines are made below it
SPREAD = 30 * SECOND  # so that many installations are not asked in step
REFUSED = "tocsin.whmcs_actions"
log = structlog.get_logger()


class Lookout:
    """For one site. That WHMCS cannot be asked at all is told by the survey, and noted here."""

    def __init__(
        self,
        api: WhmcsApi,
        writer: Writer,
        clock: Clock,
        ingest: Ingest,
        history: History,
        site: Place,
        means_something: Callable[[str], bool],
        spread: Callable[[], float] = random,
    ) -> None:
        self._api, self._writer, self._clock, self._ingest, self._history = api, writer, clock, ingest, history
        self._site, self._means_something, self._spread = site, means_something, spread
        self._next = 0
        self._task: asyncio.Task[None] | None = None

    def begin_if_due(self) -> None:
        """Begins a round in the background, unless one is under way or the last one is young."""
        now = self._clock.now()
        if now >= self._next and (self._task is None or self._task.done()):
            self._next = now + EVERY + round(SPREAD * self._spread())
            self._task = asyncio.create_task(self._look_and_log())

    async def close(self) -> None:
        """Breaks off what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_and_log(self) -> None:
        try:
            if await self._writer.run(lambda tx: store.claim_round(tx, self._site.id, self._clock.now(), EVERY - SPREAD)):
                await self.look()
        except Exception:
            log.exception("a look at WHMCS failed")

    async def look(self) -> None:
        """One round: each action once, one after the other. If the first is refused, the others would be, too."""
        refused: list[Problem] = []
        for place, action in enumerate(ACTIONS):
            fault = await self._ask(action)
            if fault is not None and place == 0:
                log.warning("WHMCS cannot be looked at", reason=fault.reason)
                return
            if fault is not None:
                refused.append(Problem(REFUSED, action.name, 3, fault.reason, fault.cure))
        await self._writer.run(partial(self._keep_refused, refused=refused))
        page = await self._api.page()
        if page is not None:
            await self._writer.run(partial(self._record, found=figures.of_page(page)))

    async def _ask(self, action: Action) -> WhmcsFault | None:
        began, asked_at = monotonic(), self._clock.now()
        try:
            facts = action.read(await self._api.call(action.name, **action.parameters))
        except WhmcsFault as fault:
            await self._writer.run(partial(self._keep_fault, action=action, asked_at=asked_at, fault=fault))
            return fault
        took = round((monotonic() - began) * 1000)
        await self._writer.run(partial(self._keep_facts, action=action, asked_at=asked_at, facts=facts, took=took))
        return None

    # --- In the transaction of what was found ---------------------------------------------------------------------------

    def _keep_fault(self, tx: Tx, action: Action, asked_at: int, fault: WhmcsFault) -> None:
        """The last facts, and the problems that they showed, stay: nothing shows that these are over."""
        before = store.looks(tx.sql, self._site.id).get(action.name) or Look(action.name, asked_at)
        said, cure = cut(fault.reason, 400), cut(fault.cure, 400)
        store.keep_look(tx, self._site.id, msgspec.structs.replace(before, asked_at=asked_at, took=None, fault=said, cure=cure))

    def _keep_facts(self, tx: Tx, action: Action, asked_at: int, facts: msgspec.Struct, took: int) -> None:
        site_id, now = self._site.id, self._clock.now()
        looks = store.looks(tx.sql, site_id)
        before = looks.get(action.name)
        standing = {} if before is None else before.standing
        telling = judging.tell(judging.problems(facts, _server_time(looks, now), standing), standing, now)
        told = telling.told + (judging.news(_admins(before), facts) if isinstance(facts, Admins) else [])
        self._tell(tx, told, telling.over, now)
        self._record(tx, figures.of_action(action.name, took, facts, _server_time(looks, now)))
        if isinstance(facts, Activity):
            facts = self._hear(tx, facts, before, _server_time(looks, now), now)
        kept = msgspec.json.encode(facts).decode()
        store.keep_look(tx, site_id, Look(action.name, asked_at, now, took, None, None, kept, telling.standing))

    def _keep_refused(self, tx: Tx, refused: list[Problem]) -> None:
        """One alert for all actions that are refused, with a cure for each."""
        site_id, now = self._site.id, self._clock.now()
        before = store.looks(tx.sql, site_id).get(REFUSED) or Look(REFUSED, now)
        found = []
        if refused:
            title = f"WHMCS refuses {counted(len(refused), 'question')}: {', '.join(one.subject for one in refused)}"
            message = "\n".join(f"{one.title}. {one.message}." for one in refused)
            found = [Problem(REFUSED, "api:actions", 3, cut(title, 200), cut(message, 4000))]
        telling = judging.tell(found, before.standing, now)
        self._tell(tx, telling.told, telling.over, now)
        store.keep_look(tx, site_id, msgspec.structs.replace(before, asked_at=now, standing=telling.standing))

    def _hear(self, tx: Tx, found: Activity, before: Look | None, server_time: int | None, now: int) -> Activity:
        """Lines of the activity log that are new, and mean something, become events. The first time they are only counted.

        While the bridge reports, nothing is told: it forwards these lines itself. Ids are made of the line, so that none is told twice.
        """
        if before is None or before.facts is None:
            return Activity(found.last)
        seen = msgspec.json.decode(before.facts, type=Activity).last
        fresh = [line for line in found.lines if line.id > seen]
        if fresh and not store.has_bridge(tx.sql, self._site.id, now - BRIDGE_WITHIN):
            events = [self._heard(line, server_time, now) for line in fresh if self._means_something(line.text)]
            if events:
                self._ingest.take(tx, [Batch([*events], None, None)])
        return Activity(max(seen, found.last))

    def _heard(self, line: LogLine, server_time: int | None, now: int) -> Incoming:
        age = 0 if line.at is None or server_time is None else max(0, server_time - line.at)
        event = EventInput(
            type=ACTIVITY,
            id=str(uuid5(_LINES, f"{self._site.slug}/{line.id}")),
            message=redact(line.text),
            attributes=msgspec.Raw(msgspec.json.encode({"userid": line.client, "log_id": line.id})),
        )
        return Incoming(event, self._site.slug, now - min(age, BRIDGE_WITHIN))

    def _record(self, tx: Tx, found: list[Figure]) -> None:
        """Keeps figures of this moment."""
        now = self._clock.now()
        self._history.record(tx, [Sample(self._site.id, one.name, now, one.value, one.host, one.labels) for one in found], now)

    def _tell(self, tx: Tx, told: list[Problem], over: list[str], now: int) -> None:
        events = [
            EventInput(
                type=one.type,
                severity=one.severity,
                status="problem",
                title=one.title,
                message=one.message,
                subject=one.subject,
                dedup_key=cut(one.key, 255),
            )
            for one in told
        ]
        events += [
            EventInput(type=key.partition("|")[0], status="recovery", title=_OVER, subject=key.partition("|")[2], dedup_key=cut(key, 255))
            for key in over
        ]
        if events:
            self._ingest.take(tx, [Batch([Incoming(event, self._site.slug, now) for event in events], None, None)])


_OVER = "WHMCS shows that it is over"


def _server_time(looks: dict[str, Look], now: int) -> int | None:
    """What time it is on the WHMCS server, by its own clock."""
    seen = looks.get("GetAutomationLog")
    if seen is None or seen.facts is None or seen.answered_at is None:
        return None
    return msgspec.json.decode(seen.facts, type=Automation).server_time + now - seen.answered_at


def _admins(before: Look | None) -> Admins | None:
    return None if before is None or before.facts is None else msgspec.json.decode(before.facts, type=Admins)

"""What goes on happening while somebody looks: business, and trouble that comes and goes. Decided here, done by `run`."""

import asyncio
import random
from collections.abc import Iterator

import msgspec
import sqlalchemy as sa
import structlog

from tocsin.alerts import rules, store as alert_store
from tocsin.alerts.model import Status
from tocsin.bootstrap import Core, Server
from tocsin.checks.model import Cause, Definition, Finding, Level
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import TocsinError
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.demo import company, troubles, watched
from tocsin.demo.business import SITES, Business
from tocsin.demo.fleet import FLEET, INTERVAL, Machine
from tocsin.demo.troubles import Trouble
from tocsin.demo.watched import Job
from tocsin.events.model import Incoming
from tocsin.heartbeats.model import Kind
from tocsin.pipeline.ingest import Batch

log = structlog.get_logger()

MOST = 3  # troubles of its own at once
FIRST_AFTER = 20 * SECOND
QUICK = 12  # how much shorter than in earnest the troubles are
COLLEAGUES = (company.AYLIN, company.JONAS)


class Deed(msgspec.Struct, frozen=True):
    """What is to be done to a trouble: it happens, ``by`` somebody it is taken, or it is over."""

    what: str
    trouble: Trouble
    by: str = ""


class Script:
    """Decides what happens next. Time is handed in."""

    def __init__(self, chance: random.Random, now: int) -> None:
        self._chance = chance
        self._next_at = now + FIRST_AFTER
        self._plan: list[tuple[int, Deed]] = []

    def due(self, now: int) -> Iterator[Deed]:
        """What has to be done by *now*, in the order of time."""
        if now >= self._next_at:
            self._next_at = now + self._chance.randrange(70 * SECOND, 4 * MINUTE)
            if sum(deed.what == "over" for _, deed in self._plan) < MOST:
                self._plan += self._begin(now)
        ripe = sorted((one for one in self._plan if one[0] <= now), key=lambda one: one[0])
        self._plan = [one for one in self._plan if one[0] > now]
        yield from (deed for _, deed in ripe)

    def _begin(self, now: int) -> Iterator[tuple[int, Deed]]:
        """One more trouble, with its end; it is over in minutes, so that there is something to see."""
        chance = self._chance
        trouble = troubles.some(chance, troubles.any_kind(chance), now)
        lasts = min(8 * MINUTE, max(100 * SECOND, (trouble.lasts or 0) // QUICK))
        yield now, Deed("happens", trouble)
        if trouble.taken_after is not None:
            yield now + lasts // 3, Deed("taken", trouble, chance.choice(COLLEAGUES))
        yield now + lasts, Deed("over", trouble, chance.choice(COLLEAGUES) if trouble.note else "")


class Machines:
    """The servers, their checks and the jobs while somebody looks. A server is down as long as an alert says so."""

    def __init__(self, seed: int) -> None:
        self._seed, self._chance = seed, random.Random(seed)  # noqa: S311 - what happens in a made-up company
        self._down: frozenset[str] = frozenset()
        self._slow: frozenset[str] = frozenset()
        self._next: dict[str, int] = {}
        self._known = asyncio.Event()  # which are down: else the first looks of a process would find all well

    async def look(self, definition: Definition) -> Finding:
        """What a look finds, without one: nothing leaves the machine."""
        one = watched.BY_CHECK.get(definition.name)
        if one is None or definition.target != one.target:
            words = "in the demonstration nothing outside is asked"
            return Finding(level=None, cause=Cause.OUR_RULES, words=words, heard=False)
        await self._known.wait()
        level = Level.FAILED if one.host in self._down else Level.WARNING if one.host in self._slow else Level.OK
        return one.finding(level, one.usual * self._chance.uniform(0.85, 1.25), None)

    async def go_on(self, server: Server, now: int) -> None:
        """What agents and jobs send by now."""
        self._down, self._slow = await asyncio.to_thread(_fallen, server)
        self._known.set()
        machines = [one for one in FLEET if one.name not in self._down and self._is_time(one.name, INTERVAL * SECOND, now)]
        jobs = [job for job in watched.JOBS if job.cron is None and self._is_time(job.name, 5 * MINUTE, now)]
        if machines or jobs:
            await server.core.writer.run(lambda tx: self._report(tx, server.core, machines, jobs, now))

    def _is_time(self, name: str, every: int, now: int) -> bool:
        if now < self._next.get(name, 0):
            return False
        self._next[name] = now + every
        return True

    def _report(self, tx: Tx, core: Core, machines: list[Machine], jobs: list[Job], now: int) -> None:
        for machine in machines:
            core.roll.hear(tx, core.sites.get(machine.site).id, machine.card(now))
            core.history.record(tx, watched.newest(core, machine, now, self._seed), now)
        tokens = watched.tokens(core) if jobs else {}
        for job in jobs:
            if job.name in tokens:
                core.pulse.ping(tx, tokens[job.name], Kind.SUCCESS, 0, "198.51.100.31", "")


def _fallen(server: Server) -> tuple[frozenset[str], frozenset[str]]:
    """The servers that are down, and those whose panel is slow, as alerts say."""
    a = tables.alerts.c
    query = sa.select(a.type, a.host).where(a.status != Status.RESOLVED.value, a.type.in_(("server.down", "server.slow")))
    with server.core.database.read() as connection:
        rows = connection.execute(query).all()
    return tuple(frozenset(host for kind, host in rows if kind == wanted) for wanted in ("server.down", "server.slow"))  # type: ignore[return-value]  # two


async def run(server: Server, seed: int, machines: Machines) -> None:
    """Goes on for ever. What cannot be done (an alert that somebody has resolved meanwhile) is left."""
    chance = random.Random(seed)  # noqa: S311 - what happens in a made-up company
    before = server.core.clock.now()
    business = Business(chance, await asyncio.to_thread(_numbers, server))
    script = Script(chance, before)
    while True:
        await asyncio.sleep(2)
        now = server.core.clock.now()
        members = business.between(before, now) if now > before else []
        before = max(before, now)
        try:
            await machines.go_on(server, now)
            if members:
                await server.core.writer.submit(server.core.ingest.take, Batch(list(members), None, None, 0), len(members))
            for deed in script.due(now):
                await _do(server, deed, now)
        except TocsinError as error:
            log.info("the demonstration left something out", reason=error.message)


async def _do(server: Server, deed: Deed, now: int) -> None:
    trouble, core = deed.trouble, server.core
    if deed.what == "happens" or not deed.by:
        event = Incoming(trouble.event(is_over=deed.what == "over"), trouble.site, now)
        await core.writer.submit(core.ingest.take, Batch([event], None, None), 1)
        return
    site_id = core.sites.get(trouble.site).id

    def work(tx: Tx) -> None:
        for alert in alert_store.unresolved(tx, site_id, [trouble.key]):
            if deed.what == "over":
                core.actions.act(alert.id, lambda one, at: rules.resolve(one, deed.by, trouble.note, at))(tx)
            elif alert.status == Status.OPEN:
                core.actions.act(alert.id, core.actions.acknowledge(deed.by))(tx)

    await core.writer.run(work)


def _numbers(server: Server) -> dict[str, int]:
    """The last number of each site's bridge, so that none is used twice."""
    table = tables.sequences.c
    with server.core.database.read() as connection:
        rows = connection.execute(sa.select(table.source, table.last_sequence)).all()
    last = {row[0]: row[1] for row in rows}
    return {slug: last.get(f"whmcs-{slug}", 0) for slug in SITES}

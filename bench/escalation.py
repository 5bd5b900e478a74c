"""What escalation costs: CPU time of an event, of a look when nothing is due, and of a thousand levels that are due at once."""

import asyncio
import time
from pathlib import Path

import sqlalchemy as sa

from bench.figures import Bound, Options, Part, Row
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core
from tocsin.core.clock import HOUR, SystemClock
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.escalation import service as policies
from tocsin.escalation.model import Step, Target, TargetKind
from tocsin.escalation.service import PolicyChange
from tocsin.events import sites
from tocsin.events.model import EventInput, Incoming
from tocsin.muting import service as muting
from tocsin.muting.matching import read_matcher
from tocsin.muting.model import Silence
from tocsin.notify.contacts import read_directory
from tocsin.notify.reach import known
from tocsin.pipeline import promises
from tocsin.pipeline.ingest import Batch
from tocsin.settings import Settings

OPEN, SILENCES, POLICIES, DUE = 10_000, 200, 50, 1_000
ROUNDS, EVENTS, TURNS, AUDITS = 5, 200, 200, 10
EVENT = Bound(1, at_least=False, unit="ms")
IDLE = Bound(20, at_least=False, unit="ms")
AUDIT = Bound(75, at_least=False, unit="ms")  # each 15 s, on a connection that only reads: half a percent of a core
ALL_DUE = Bound(1_000, at_least=False, unit="ms")
WHO = Who("bench")


def measure(work: Path, options: Options) -> Part:
    """One installation in this process, with the commits, and without anything that is sent."""
    record = asyncio.run(_measure(work / "escalation", round(OPEN * options.scale), round(DUE * options.scale)))
    rows = [
        Row(
            "an event that opens an alert and begins its escalation",
            f"{record['event_ms']:.2f}",
            target=EVENT.text,
            met=EVENT.is_met(record["event_ms"]),
        ),
        Row("a look of the engine when nothing is due", f"{record['idle_ms']:.2f}", target=IDLE.text, met=IDLE.is_met(record["idle_ms"])),
        Row("a look of the auditor when all is well", f"{record['audit_ms']:.1f}", target=AUDIT.text, met=AUDIT.is_met(record["audit_ms"])),
        Row(
            f"{record['due']:,.0f} levels that are due at once",
            f"{record['due_ms']:.0f}",
            target=ALL_DUE.text,
            met=ALL_DUE.is_met(record["due_ms"]),
        ),
    ]
    note = (
        f"{round(OPEN * options.scale):,} open alerts at {POLICIES} sites, each with its own policy; {SILENCES} silences; with the commits."
    )
    return Part("Escalation, ms of CPU", "", rows, [note], record)


async def _measure(folder: Path, problems: int, due: int) -> dict[str, float]:
    core = build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
    try:
        await core.writer.run(lambda tx: _people(tx, core.clock.now()))
        await core.writer.run(lambda tx: _policies(tx, core.clock.now()))
        await core.writer.run(lambda tx: _silences(tx, core.clock.now()))
        await asyncio.to_thread(core.refresh)
        for start in range(0, problems, 1_000):
            await _report(core, [_problem(f"host-{n}", n) for n in range(start, min(problems, start + 1_000))])
        await core.writer.run(_all_sent)
        event_ms = await _events(core)
        await core.writer.run(_all_sent)
        idle_ms = await _idle(core)
        audit_ms = await asyncio.to_thread(_audit, core)
        return {"event_ms": event_ms, "idle_ms": idle_ms, "audit_ms": audit_ms, **await _due(core, due)}
    finally:
        await asyncio.to_thread(core.close)


async def _events(core: Core) -> float:
    """The best of some rounds: what others do on the machine costs our caches, and so our CPU time, too."""
    rounds = []
    for part in range(ROUNDS):
        begun = time.process_time()
        for number in range(EVENTS):
            await _report(core, [_problem(f"fresh-{part}-{number}", number)])
        rounds.append((time.process_time() - begun) / EVENTS * 1000)
    return min(rounds)


async def _idle(core: Core) -> float:
    while await _look(core):
        pass
    begun = time.process_time()
    for _ in range(TURNS):
        await _look(core)
    return (time.process_time() - begun) / TURNS * 1000


def _audit(core: Core) -> float:
    now = core.clock.now()
    begun = time.process_time()
    for _ in range(AUDITS):
        with core.database.read() as connection:
            promises.look(connection, now)
            promises.told_of(connection)
            promises.alone(connection)
    return (time.process_time() - begun) / AUDITS * 1000


async def _look(core: Core) -> int:
    """What the engine does each second, before it looks for messages."""
    works = (core.actions.come_due, core.actions.calm, core.sweep.step, core.actions.escalate_due, core.actions.find_company)
    return sum([await core.writer.run(work) for work in works])


async def _due(core: Core, due: int) -> dict[str, float]:
    escalations, now = tables.escalations, core.clock.now()
    await core.writer.run(lambda tx: tx.sql.execute(sa.update(escalations).where(escalations.c.alert_number <= due).values(next_at=now)))
    begun, done = time.process_time(), 0
    while count := await core.writer.run(core.actions.escalate_due):
        done += count
    return {"due_ms": (time.process_time() - begun) * 1000, "due": done}


# The company.


def _people(tx: Tx, now: int) -> None:
    """Three engineers with two contacts each."""
    for number in range(3):
        values = {"id": f"user-{number}", "email": f"u{number}@example.com", "name": f"U{number}", "role": "responder", "time_zone": "UTC"}
        tx.sql.execute(tables.users.insert().values(**values, created_at=now))
        for kind, target in (("ntfy", f"topic-{number}"), ("email", f"u{number}@example.com")):
            contact = {"id": new_id(now), "user_id": f"user-{number}", "kind": kind, "target": target, "origin": "user"}
            tx.sql.execute(tables.contacts.insert().values(**contact, created_at=now, verified_at=now))


def _policies(tx: Tx, now: int) -> None:
    """A policy for each site: one person at once, the two others an hour later each, all of it three times."""
    everybody = known(read_directory(tx.sql, now))
    steps = tuple(Step(3_600 if number else 0, (Target(TargetKind.USER, f"user-{number}"),)) for number in range(3))
    for number in range(POLICIES):
        slug = f"site-{number}"
        site_id = sites.ensure(tx, slug, now)
        made = policies.make(tx, WHO, PolicyChange(f"Policy {number}", steps, repeat=2), everybody, now)
        policies.use_at_site(tx, WHO, site_id, slug, made.id, now)


def _silences(tx: Tx, now: int) -> None:
    for number in range(SILENCES):
        matcher = read_matcher(f"host~quiet-{number}-[0-9]+")
        muting.add(tx, WHO, Silence(new_id(now), (matcher,), now, now + HOUR, "benchmark", "bench", now), now)


def _all_sent(tx: Tx) -> None:
    tx.sql.execute(sa.update(tables.outbox).values(status="sent", next_attempt_at=None))


def _problem(host: str, number: int) -> Incoming:
    event = EventInput(type="disk.full", severity=4, status="problem", title="Disk full", host=host, subject="disk:/")
    return Incoming(event, f"site-{number % POLICIES}", SystemClock().now())


async def _report(core: Core, members: list[Incoming]) -> None:
    await core.writer.submit(core.ingest.take, Batch(list(members), None, None), len(members))

"""What event rules cost: an event among many silences, policies and rules; and a back-test over a month of events."""

import asyncio
import random
import time
from pathlib import Path

import msgspec

from bench.figures import Bound, Options, Part, Row
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core
from tocsin.core.clock import DAY, HOUR, SystemClock
from tocsin.core.ids import new_id, new_ids
from tocsin.db.writer import Tx
from tocsin.escalation import store as policy_store
from tocsin.escalation.model import EscalationPolicy, Step, Target, TargetKind
from tocsin.events import store as event_store
from tocsin.events.model import EventInput, Incoming
from tocsin.muting import service as muting_service
from tocsin.muting.matching import read_matcher
from tocsin.muting.model import Silence
from tocsin.pipeline.ingest import Batch
from tocsin.ruling import backtest, service
from tocsin.ruling.model import DRAFT, Actions, EventRule, Threshold
from tocsin.settings import Settings

OPEN, SILENCES, POLICIES, RULES, EVENTS = 10_000, 200, 50, 100, 500
MONTH = 300_000
CPU = Bound(1, at_least=False, unit="ms")
SPEED = Bound(100_000, at_least=True, unit="events/s")
BENCH = Who("bench")
FORMS = (
    "host=web-{}",
    "host~web-{}[0-9]+",
    "type=kind{}.failed",
    "type^disk{}.",
    "attributes.rack=r{}",
    "title~.*number {} .*",
    "host^db-{}-",
)
ACTIONS = (
    Actions(severity=2),
    Actions(delay_seconds=300),
    Actions(threshold=Threshold(3, 600)),
    Actions(mute=True),
    Actions(title="{host}: {title}", dedup_key="{type} of {host}"),
)


def measure(work: Path, options: Options) -> list[Part]:
    """Both, in this process, in CPU time."""
    return [_hot_path(work / "rules-hot", options), _back_test(work / "rules-month", options)]


def _rules() -> list[EventRule]:
    return [
        EventRule(DRAFT, f"Rule {n}", (read_matcher(FORMS[n % len(FORMS)].format(n)),), ACTIONS[n % len(ACTIONS)]) for n in range(RULES)
    ]


def _core(folder: Path) -> Core:
    return build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))


def _hot_path(folder: Path, options: Options) -> Part:
    took = asyncio.run(_one(folder, round(OPEN * options.scale)))
    row = Row("a new problem, which nothing matches", f"{took:.2f}", target=CPU.text, met=CPU.is_met(took))
    note = (
        f"{round(OPEN * options.scale):,} open alerts, {SILENCES} silences, {POLICIES} policies, {RULES} rules; each a commit of its own."
    )
    return Part("An event among many rules, ms of CPU", "", [row], [note], {"event_ms": took})


async def _one(folder: Path, problems: int) -> float:
    core = _core(folder)
    try:
        await core.writer.run(lambda tx: _fill(tx, core))
        await asyncio.to_thread(core.refresh)
        for start in range(0, problems, 1_000):
            await _report(core, [_problem(core, f"host-{n}.example.org") for n in range(start, min(problems, start + 1_000))])
        begun = time.process_time()
        for number in range(EVENTS):
            await _report(core, [_problem(core, f"fresh-{number}.example.org")])
        return (time.process_time() - begun) / EVENTS * 1000
    finally:
        await asyncio.to_thread(core.close)


def _fill(tx: Tx, core: Core) -> None:
    now = SystemClock().now()
    for number in range(SILENCES):
        matchers = (read_matcher(f"host=quiet-{number}"),)
        muting_service.add(tx, BENCH, Silence(new_id(now), matchers, now, now + HOUR, "benchmark", "bench", now), now)
    for number in range(POLICIES):
        policy = EscalationPolicy(new_id(now), f"Policy {number}", (Step(0, (Target(TargetKind.SHARED),)),))
        policy_store.make(tx, policy, "bench", now)
    for rule in _rules():
        service.make(tx, BENCH, rule, None, {"default"}, core.clock.now())


def _problem(core: Core, host: str) -> Incoming:
    attributes = msgspec.Raw(b'{"rack": "z7", "usage": 97}')
    event = EventInput(
        type="disk.full", severity=3, status="problem", title="Disk full", host=host, subject="disk:/", attributes=attributes
    )
    return Incoming(event, "main", core.clock.now())


async def _report(core: Core, members: list[Incoming]) -> None:
    await core.writer.submit(core.ingest.take, Batch(list(members), None, None), len(members))


def _back_test(folder: Path, options: Options) -> Part:
    core, count = _core(folder), round(MONTH * options.scale)
    try:
        now = SystemClock().now()
        core.writer.call(lambda tx: _live_a_month(tx, count, now))
        rows, record = [], {}
        hundred, draft = _rules(), EventRule(DRAFT, "Draft", (read_matcher("type^kind1"),), Actions(delay_seconds=600))
        for name, before, after in (("a draft, beside 100 rules", hundred, [draft, *hundred]), ("100 rules, beside none", [], hundred)):
            with core.database.read() as connection:
                begun = time.process_time()
                found = backtest.run(connection, before, after, core.sites, now)
                took = time.process_time() - begun
            speed = found.events / took
            record[name] = speed
            rows.append(Row(name, f"{speed:,.0f}", target=SPEED.text, met=SPEED.is_met(speed)))
        note = f"{count:,} events of 30 days, of 500 machines and 40 kinds, with 20,000 titles and attributes; read and followed."
        return Part("A back-test, events per second of CPU", "", rows, [note], record)
    finally:
        core.close()


def _live_a_month(tx: Tx, count: int, now: int) -> None:
    chance = random.Random(1)  # a made-up month, the same each time
    ids = new_ids(now, count)
    for start in range(0, count, 10_000):
        rows = []
        for number in range(start, min(count, start + 10_000)):
            at = now - 30 * DAY + number * 30 * DAY // count
            host, kind = f"web-{chance.randrange(500)}", f"kind{chance.randrange(40)}.failed"
            status = "problem" if chance.random() < 0.8 else "recovery"
            title, attributes = f"Number {number % 20_000} of many", f'{{"rack":"r{chance.randrange(50)}","usage":{chance.randrange(100)}}}'
            rows.append(
                (
                    ids[number],
                    1,
                    kind,
                    at,
                    at,
                    chance.randint(2, 5),
                    status,
                    title,
                    None,
                    None,
                    host,
                    attributes,
                    f"{kind}||{host}",
                    None,
                    None,
                    None,
                )
            )
        event_store.add(tx, rows)

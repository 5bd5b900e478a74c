"""What an event costs when much is silenced: CPU time to take it, with 10,000 open alerts and 200 silences."""

import asyncio
import time
from pathlib import Path

import msgspec

from bench.figures import Bound, Options, Part, Row
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core
from tocsin.core.clock import HOUR, SystemClock
from tocsin.core.ids import new_id
from tocsin.events.model import EventInput, Incoming
from tocsin.muting import service
from tocsin.muting.matching import read_matcher
from tocsin.muting.model import Silence
from tocsin.pipeline.ingest import Batch
from tocsin.settings import Settings

OPEN, SILENCES, EVENTS = 10_000, 200, 500
CPU = Bound(1, at_least=False, unit="ms")
IDLE = Bound(20, at_least=False, unit="ms")
KINDS = {
    "no silence": (),
    "200 silences, each of one host": ("host=web-{}",),
    "200 silences, each an expression": ("host~web-{}[0-9]+.example",),
    "200 silences of five kinds": (
        "host=web-{}",
        "host~web-{}[0-9]+",
        "type^disk{}.",
        "attributes.rack=r{}",
        "severity~[1-2] subject~.*:{}",
    ),
}


def measure(work: Path, options: Options) -> Part:
    """One installation after another, in this process; each event is a commit of its own."""
    rows: list[Row] = []
    record: dict[str, dict[str, float]] = {}
    for name, forms in KINDS.items():
        folder = work / f"muting-{len(rows)}"
        took, idle = asyncio.run(_one(folder, forms, round(OPEN * options.scale)))
        record[name] = {"event_ms": took, "idle_ms": idle}
        rows.append(Row(name, f"{took:.2f}", target=CPU.text, met=CPU.is_met(took)))
    worst = max(figures["idle_ms"] for figures in record.values())
    rows.append(Row("a look of the engine when nothing has changed, at worst", f"{worst:.2f}", target=IDLE.text, met=IDLE.is_met(worst)))
    note = (
        f"{round(OPEN * options.scale):,} open alerts; new problems of hosts never seen before, which no silence matches; with the commit."
    )
    return Part("An event when much is silenced, ms of CPU", "", rows, [note], record)


async def _one(folder: Path, forms: tuple[str, ...], problems: int) -> tuple[float, float]:
    core = build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
    try:
        await _fill(core, forms, problems)
        begun = time.process_time()
        for number in range(EVENTS):
            await _report(core, [_problem(core, f"fresh-{number}.example.org")])
        took = (time.process_time() - begun) / EVENTS * 1000
        while await core.writer.run(core.sweep.step):
            pass
        begun = time.process_time()
        for _ in range(EVENTS):
            await core.writer.run(core.sweep.step)
        return took, (time.process_time() - begun) / EVENTS * 1000
    finally:
        await asyncio.to_thread(core.close)


async def _fill(core: Core, forms: tuple[str, ...], problems: int) -> None:
    for start in range(0, problems, 1_000):
        await _report(core, [_problem(core, f"host-{n}.example.org") for n in range(start, min(problems, start + 1_000))])
    for number in range(SILENCES if forms else 0):
        matchers = tuple(read_matcher(text) for text in forms[number % len(forms)].format(number).split())
        now = SystemClock().now()
        silence = Silence(new_id(now), matchers, now, now + HOUR, "benchmark", "bench", now)
        await core.writer.run(lambda tx, silence=silence, now=now: service.add(tx, Who("bench"), silence, now))  # type: ignore[misc]  # lambdas with defaults have no type
    await asyncio.to_thread(core.refresh)


def _problem(core: Core, host: str) -> Incoming:
    attributes = msgspec.Raw(b'{"rack": "z7", "usage": 97}')
    event = EventInput(
        type="disk.full", severity=1, status="problem", title="Disk full", host=host, subject="disk:/", attributes=attributes
    )
    return Incoming(event, "main", core.clock.now())


async def _report(core: Core, members: list[Incoming]) -> None:
    await core.writer.submit(core.ingest.take, Batch(list(members), None, None), len(members))

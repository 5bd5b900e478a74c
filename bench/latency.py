"""From the POST of an event to the push about it: Tocsin through its ntfy channel beside Alertmanager through its webhook."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial

import uvloop

from bench.figures import Bound, Options, Part, Row
from bench.noise import Run, Watch, in_words, median, percentile, undisturbed
from bench.sender import Times, exchange, listen
from bench.servers import Subject, free_port

# Events a second, and events: what one process goes through, as it would in a day that grows worse. Alertmanager's slowest pushes
# are those of a process that already holds many alerts.
STAGES = ((100, 2_000), (100, 2_000), (1_000, 10_000))
RATES = tuple(dict.fromkeys(rate for rate, _ in STAGES))
BOUNDS = {
    (100, "push p50"): Bound(2.5, at_least=False, unit="x"),
    (100, "push p99"): Bound(1.0, at_least=False, unit="x"),
    (1_000, "push p99"): Bound(0.2, at_least=False, unit="x"),
}
FIGURES = ("push p50", "push p99", "answer p50", "answer p99")


def measure(subjects: Sequence[Subject], options: Options) -> Part:
    """Both servers in turns, each through all stages in one process."""
    runs: dict[str, list[Run]] = {}
    turns = [subject for _ in range(options.repeats) for subject in subjects]
    for subject in turns:
        made = undisturbed(partial(_one, subject, options), tries=options.tries)
        runs.setdefault(subject.name, []).extend(made)
        for run in made:
            print(f"  {subject.name}: {_in_short(run)} ({run.noise})", flush=True)
    rows = [_row(runs, rate, figure) for rate in RATES for figure in FIGURES]
    record = [{"server": name, "runs": [asdict(run) for run in made]} for name, made in runs.items()]
    return Part("From POST to push, ms", "Alertmanager", rows, _notes(runs), record)


def _one(subject: Subject, options: Options) -> Run:
    return uvloop.run(_session(subject, options))


async def _session(subject: Subject, options: Options) -> Run:
    port, stages = free_port(), [(rate, count // 5 if options.quick else count) for rate, count in STAGES]
    pushes: dict[int, list[float]] = {rate: [] for rate in RATES}
    answers: dict[int, list[float]] = {rate: [] for rate in RATES}
    times = Times()
    sink = await listen(times, port)
    with ExitStack() as stack:
        target = await asyncio.to_thread(stack.enter_context, subject.fresh(**subject.telling(port)))
        with Watch() as watch:
            async for rate in exchange(target, sink, times, stages):
                pushes[rate] += times.pushes_ms()
                answers[rate] += times.answers_ms()
    values = {"untold": float(sum(told.count(float("inf")) for told in pushes.values()))}
    for rate in RATES:
        for what, taken in (("push", pushes[rate]), ("answer", answers[rate])):
            values |= {_name(rate, f"{what} p{share}"): percentile(taken, share / 100) for share in (50, 99)}
    return Run(values, watch.noise)


def _name(rate: int, figure: str) -> str:
    return f"{rate}/s {figure}"


def _row(runs: dict[str, list[Run]], rate: int, figure: str) -> Row:
    ours, peer = (median(runs[name], _name(rate, figure)) for name in ("tocsin", "alertmanager"))
    ratio, bound = ours / peer, BOUNDS.get((rate, figure))
    what = f"{rate:,} new problems a second: {figure}"
    if bound is None:
        return Row(what, f"{ours:.2f}", f"{peer:.2f}", ratio)
    return Row(what, f"{ours:.2f}", f"{peer:.2f}", ratio, bound.text, bound.is_met(ratio))


def _in_short(run: Run) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in run.values.items())


def _notes(runs: dict[str, list[Run]]) -> list[str]:
    told = ", ".join(f"{name} {sum(run.values['untold'] for run in made):.0f}" for name, made in runs.items())
    went = ", then ".join(f"{count:,} events at {rate:,} a second" for rate, count in STAGES)
    return [
        f"One process each goes through {went}.",
        "Before each push of Tocsin stands a flush of the disk, whose cost is named above; none before Alertmanager's.",
        in_words([run for made in runs.values() for run in made]),
        f"Events of which the sink did not hear by name, in all runs together: {told}.",
    ]

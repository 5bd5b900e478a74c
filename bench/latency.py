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

RATES = ((100, 2_000), (1_000, 10_000))  # events a second, events
BOUNDS = {
    (100, "push p50"): Bound(2.5, at_least=False, unit="x"),
    (100, "push p99"): Bound(1.0, at_least=False, unit="x"),
    (1_000, "push p99"): Bound(0.2, at_least=False, unit="x"),
}
FIGURES = ("push p50", "push p99", "answer p50", "answer p99")


def measure(subjects: Sequence[Subject], options: Options) -> Part:
    """Both servers in turns, at each rate."""
    runs: dict[tuple[int, str], list[Run]] = {}
    turns = [(rate, _count(count, options), subject) for rate, count in RATES for _ in range(options.repeats) for subject in subjects]
    for rate, count, subject in turns:
        made = undisturbed(partial(_one, subject, rate, count), tries=options.tries)
        runs.setdefault((rate, subject.name), []).extend(made)
        for run in made:
            print(f"  {rate}/s, {subject.name}: {_in_short(run)} ({run.noise})", flush=True)
    rows = [_row(runs, rate, figure) for rate, _ in RATES for figure in FIGURES]
    record = [{"rate": rate, "server": name, "runs": [asdict(run) for run in made]} for (rate, name), made in runs.items()]
    return Part("From POST to push, ms", "Alertmanager", rows, _notes(runs), record)


def _count(count: int, options: Options) -> int:
    return count // 5 if options.quick else count


def _one(subject: Subject, rate: int, count: int) -> Run:
    return uvloop.run(_session(subject, rate, count))


async def _session(subject: Subject, rate: int, count: int) -> Run:
    times, port = Times(), free_port()
    sink = await listen(times, port)
    with ExitStack() as stack:
        target = await asyncio.to_thread(stack.enter_context, subject.fresh(**subject.telling(port)))
        with Watch() as watch:
            await exchange(target, sink, times, rate=rate, count=count)
    pushes, answers = times.pushes_ms(), times.answers_ms()
    values = {
        "push p50": percentile(pushes, 0.5),
        "push p99": percentile(pushes, 0.99),
        "answer p50": percentile(answers, 0.5),
        "answer p99": percentile(answers, 0.99),
        "untold": float(pushes.count(float("inf"))),
    }
    return Run(values, watch.noise)


def _row(runs: dict[tuple[int, str], list[Run]], rate: int, figure: str) -> Row:
    ours, peer = median(runs[rate, "tocsin"], figure), median(runs[rate, "alertmanager"], figure)
    ratio, bound = ours / peer, BOUNDS.get((rate, figure))
    what = f"{rate:,} new problems a second: {figure}"
    if bound is None:
        return Row(what, f"{ours:.2f}", f"{peer:.2f}", ratio)
    return Row(what, f"{ours:.2f}", f"{peer:.2f}", ratio, bound.text, bound.is_met(ratio))


def _in_short(run: Run) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in run.values.items())


def _notes(runs: dict[tuple[int, str], list[Run]]) -> list[str]:
    untold: dict[str, float] = {}
    for (_, name), made in runs.items():
        untold[name] = untold.get(name, 0) + sum(run.values["untold"] for run in made)
    told = ", ".join(f"{name} {count:.0f}" for name, count in untold.items())
    quiet = in_words([run for made in runs.values() for run in made])
    return [quiet, f"Events of which the sink did not hear by name, in all runs together: {told}."]

"""Curves in steps: they say what the samples say, wherever the figures are read from."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.metrics.history import keep, record, samples_of
from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.metrics import buckets, rules
from tocsin.metrics.model import Agg, Curve, Question, Sample, SeriesFilter
from tocsin.metrics.rules import step_for


def ask(world: World, start: int, end: int, step: int | None = None, agg: Agg = Agg.AVG, width: int = 1_000, days: int = 90) -> list[Curve]:
    with world.core.database.read() as connection:
        series = world.core.history.find(connection, SeriesFilter())
        return world.core.history.curves(connection, series, Question(start, end, step, width, agg, world.clock.now() - days * DAY))


def expected(samples: list[Sample], name: str, start: int, end: int, step: int, agg: Agg) -> list[tuple[int, float]]:
    cells: dict[int, list[float]] = {}
    for one in samples:
        if one.name == name and start <= one.at < end:
            cells.setdefault(one.at // step * step, []).append(one.value)
    say: dict[str, Any] = {"avg": lambda v: sum(v) / len(v), "min": min, "max": max, "sum": sum, "count": len}
    return [(at, say[agg](values) if agg in say else float(np.quantile(values, agg.share or 0))) for at, values in sorted(cells.items())]


@pytest.mark.claim("H1", "U3", "R1", "origin:A2")
@pytest.mark.parametrize("is_kept_small", [False, True])
async def test_every_step_says_what_the_samples_say(world: World, *, is_kept_small: bool) -> None:
    world.clock.at = world.clock.at // DAY * DAY + 5 * HOUR
    now = world.clock.now()
    samples = samples_of(world, 8, until=now - HOUR // 2, series=3)
    await record(world, samples)
    if is_kept_small:
        await keep(world)
    start, end = now - 7 * DAY - 90 * MINUTE, now - 20 * MINUTE
    for step in (10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY):
        for agg in Agg:
            for curve in ask(world, start, end, step, agg):
                wanted = expected(samples, curve.series.name, start, end, step, agg)
                assert [at for at, _ in curve.points] == [at for at, _ in wanted]
                assert [value for _, value in curve.points] == pytest.approx([value for _, value in wanted]), (step, agg)
                assert curve.step == step


@pytest.mark.claim("U3", "K18")
async def test_without_a_step_all_samples_come_while_they_are_few_and_means_with_their_extremes_when_they_are_many(world: World) -> None:
    now, site = world.clock.now(), world.core.sites.get("main").id
    samples = [Sample(site, "cpu_percent", now - n * MINUTE, float(n % 7)) for n in range(1, 1_001)]
    await record(world, samples)
    (curve,) = ask(world, now - DAY, now)
    assert (curve.step, curve.envelope) == (None, None)
    assert curve.points == [(one.at, one.value) for one in reversed(samples)]
    (curve,) = ask(world, now - DAY, now, width=100)
    assert curve.step == 15 * MINUTE
    assert len(curve.points) <= 100
    assert curve.envelope is not None
    assert all(low <= value <= high for (low, high), (_, value) in zip(curve.envelope, curve.points, strict=True))
    assert max(high for _, high in curve.envelope) == 6.0


@pytest.mark.claim("origin:A2", "K13")
async def test_roll_ups_answer_where_the_samples_are_gone(world: World) -> None:
    world.clock.at = world.clock.at // DAY * DAY + HOUR
    now = world.clock.now()
    samples = samples_of(world, 40, until=now - HOUR, series=1, step=6 * HOUR)
    await record(world, samples)
    await keep(world)
    wanted = expected(samples, "load0_percent", now - 40 * DAY, now, DAY, Agg.P95)
    await keep(world, days=10)
    (curve,) = ask(world, (now // DAY - 39) * DAY, now, DAY, Agg.P95)
    assert dict(curve.points) == pytest.approx(dict(wanted[-len(curve.points) :]))
    assert len(curve.points) >= 39
    (curve,) = ask(world, now - 30 * DAY, now, None, days=10)
    assert (curve.step or 0) >= HOUR


@pytest.mark.parametrize(
    ("length", "width", "step"),
    [(DAY, 1_000, 2 * MINUTE), (90 * DAY, 1_000, 3 * HOUR), (HOUR, 3_600, 1_000), (1, 20_000, 1_000), (40 * 365 * DAY, 1, 365 * DAY)],
)
def test_the_step_is_the_shortest_round_one_that_makes_no_more_points_than_are_wanted(length: int, width: int, step: int) -> None:
    assert step_for(Question(0, length, None, width, Agg.AVG, 0)) == step


@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(-1e6, 1e6)), min_size=1, max_size=60, unique_by=lambda one: one[0]),
    st.integers(1, 60),
    st.sampled_from([0.5, 0.95, 0.99]),
)
@settings(max_examples=40)
def test_both_ways_of_rolling_up_agree(points: list[tuple[int, float]], step: int, share: float) -> None:
    points.sort()
    times, values = np.array([at for at, _ in points], np.int64), np.array([value for _, value in points])
    found = buckets.gather((times, values), step, share)
    cells: dict[int, list[float]] = {}
    for at, value in points:
        cells.setdefault(at // step * step, []).append(value)
    assert found.begins.tolist() == list(cells)
    for place, some in enumerate(cells.values()):
        one = rules.roll_up(some)
        assert (one.count, one.min, one.max) == (found.counts[place], found.lows[place], found.highs[place])
        assert found.sums[place] == pytest.approx(one.sum, abs=1e-6)
        assert found.quantiles[place] == rules.quantile(sorted(some), share)

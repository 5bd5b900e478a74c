"""Samples that settle: they are asked for while they are open, in between and after, and it makes no difference."""

import pytest
import sqlalchemy as sa

from tests.metrics.history import everything, next_piece, recent, record
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.db import tables
from tocsin.metrics import settling
from tocsin.metrics.model import Recorded, Sample, SeriesFilter
from tocsin.metrics.settling import Settling

pytestmark = pytest.mark.claim("H1")


async def add(world: World, *samples: Sample) -> Recorded:
    return await world.write(lambda tx: world.core.history.record(tx, samples, world.clock.now()))


def newest(world: World) -> dict[str, float]:
    with world.core.database.read() as connection:
        found = world.core.history.newest(connection, SeriesFilter(), world.clock.now() - HOUR)
    return {one.series.name: one.value for one in found}


def a_sample(world: World, at: int, value: float = 1.0) -> Sample:
    return Sample(world.core.sites.get("main").id, "load_1m", at, value, "web1")


def begin(world: World) -> int:
    """A moment at which a quarter of an hour is just over."""
    world.clock.at = world.clock.at // HOUR * HOUR + 15 * MINUTE
    return world.clock.at


async def settle(world: World) -> int:
    """Settles all that is old; in how many steps."""
    steps = 0
    while isinstance(piece := next_piece(world), Settling):
        assert await world.write(piece.write)
        steps += 1
    return steps


async def test_each_step_of_settling_changes_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MAX_ROWS", 30)
    end = begin(world)
    await record(world, recent(world, series=9))
    await record(world, [a_sample(world, at) for at in range(end - 14 * MINUTE, end, 10 * SECOND)])  # more than one step may move
    before, values, rows = everything(world), newest(world), world.count(tables.open_samples)
    world.clock.at = end + 6 * MINUTE - 1
    assert await settle(world) == 0
    world.clock.at = end + 6 * MINUTE
    steps = 0
    while isinstance(piece := next_piece(world), Settling):
        assert await world.write(piece.write)
        assert 0 < rows - world.count(tables.open_samples) <= 30
        await world.write(piece.write)  # a second time, as after a kill
        assert (everything(world), newest(world)) == (before, values)
        rows, steps = world.count(tables.open_samples), steps + 1
    assert (steps >= 7, rows) == (True, 0)
    assert world.count(tables.samples) == sum(map(len, before.values()))


async def test_what_is_not_over_stays_open(world: World) -> None:
    end = begin(world)
    world.clock.at = end + 4 * MINUTE
    await record(world, [a_sample(world, at) for at in (end - 1, end, end + MINUTE)])
    world.clock.at = end + 10 * MINUTE
    assert await settle(world) == 1
    assert [row.at for row in world.rows(sa.select(tables.open_samples.c.at))] == [end, end + MINUTE]


async def test_a_sample_that_comes_again_is_known_wherever_the_first_one_lies(world: World) -> None:
    end = begin(world)
    first, again = a_sample(world, end - SECOND, 1.0), a_sample(world, end - SECOND, 2.0)
    assert await add(world, first) == Recorded(1)
    assert await add(world, again) == Recorded(0, 1)
    world.clock.at = end + 5 * MINUTE + SECOND  # it is not open any more, and not settled yet
    assert await add(world, again, a_sample(world, end - 2 * SECOND)) == Recorded(1, 1)
    assert world.count(tables.samples) == 1
    world.clock.at = end + 7 * MINUTE
    assert await settle(world) == 1
    assert await add(world, again) == Recorded(0, 1)
    assert everything(world)["load_1m"] == [(end - 2 * SECOND, 1.0), (end - SECOND, 1.0)]


async def test_the_newest_value_is_found_where_some_of_an_hour_has_settled(world: World) -> None:
    end = begin(world)
    await add(world, a_sample(world, end - 10 * MINUTE, 1.0))
    world.clock.at = end + 5 * MINUTE
    await add(world, a_sample(world, end - MINUTE, 2.0))  # too late to be open, and newer than what is
    assert newest(world) == {"load_1m": 2.0}
    await add(world, a_sample(world, end + MINUTE, 3.0))
    assert newest(world) == {"load_1m": 3.0}
    world.clock.at = end + 7 * MINUTE
    await settle(world)
    assert newest(world) == {"load_1m": 3.0}


async def test_an_hour_is_rolled_up_when_all_of_it_has_settled(world: World) -> None:
    end = begin(world) + 45 * MINUTE
    world.clock.at = end - 10 * SECOND
    await add(world, *[a_sample(world, at) for at in range(end - 2 * MINUTE, end, 10 * SECOND)])
    world.clock.at = end + 11 * MINUTE
    while piece := next_piece(world):
        assert await world.write(piece.write)
    assert [row.count for row in world.rows(sa.select(tables.rollups_hourly.c["count"].label("count")))] == [12]


async def test_a_series_that_is_removed_leaves_no_open_rows(world: World) -> None:
    begin(world)
    await record(world, recent(world, series=3))
    gone = SeriesFilter(name="load1_percent")
    await world.write(lambda tx: world.core.history.remove(tx, Who("user:anna@example.com"), gone, world.clock.now()))
    world.clock.at += 2 * MINUTE
    while piece := next_piece(world):
        assert await world.write(piece.write)
    assert world.count(tables.open_samples) == 24

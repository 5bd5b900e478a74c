"""What is filled in at once is what recording, rolling up and sealing would have left."""

import pytest

from tests.metrics.history import everything, keep, record, rollups, samples_of
from tests.world import World
from tocsin.core.clock import DAY, HOUR
from tocsin.core.errors import Conflict
from tocsin.db import tables
from tocsin.metrics import packs
from tocsin.metrics.model import Sample
from tocsin.metrics.packs import Columns
from tocsin.metrics.store import Key

pytestmark = pytest.mark.claim("H1")


def columns_of(samples: list[Sample]) -> dict[Key, Columns]:
    keys = sorted({(one.site_id, one.name, one.host, one.labels) for one in samples})
    rows = [(keys.index((one.site_id, one.name, one.host, one.labels)), one.at, one.value) for one in samples]
    return {keys[number]: columns for number, columns in packs.columns_of(sorted(rows)).items()}


def midnight(world: World) -> int:
    return world.clock.now() // DAY * DAY


async def fill(world: World, samples: list[Sample], until: int) -> None:
    await world.write(lambda tx: world.core.history.fill(tx, columns_of(samples), until))


def figures(world: World) -> list[list[tuple[float, ...]]]:
    return [[tuple(map(float, row)) for row in rollups(world, table)] for table in (tables.rollups_hourly, tables.rollups_daily)]


async def test_what_is_filled_in_is_what_recording_would_have_left(world: World) -> None:
    until = midnight(world)
    samples = samples_of(world, 9, until=until, series=17, step=5 * HOUR // 2)
    for begins in range(until - 12 * DAY, until, 4 * DAY):  # the packs of six days are begun, and gone on with
        await fill(world, [one for one in samples if begins <= one.at < begins + 4 * DAY], begins + 4 * DAY)
    filled, of_filled = everything(world), figures(world)
    assert world.count(tables.samples) == 0
    assert await keep(world) <= 1, "there is nothing left to do but to say so"
    for table in (tables.blocks, tables.rollups_hourly, tables.rollups_daily, tables.settings):
        await world.write(lambda tx, table=table: tx.sql.execute(table.delete()))  # type: ignore[misc]  # lambdas with defaults have no type
    await record(world, samples)
    await keep(world)
    assert everything(world) == filled
    for mine, theirs in zip(of_filled, figures(world), strict=True):
        assert len(mine) == len(theirs) > 100
        for one, other in zip(mine, theirs, strict=True):
            assert one == pytest.approx(other, rel=1e-12)


async def test_rows_of_the_time_that_is_filled_are_rolled_up_and_sealed_too(world: World) -> None:
    until = midnight(world) - 2 * DAY
    one, *others = samples_of(world, 3, until=until, series=2, step=6 * HOUR)
    await record(world, [one])
    await fill(world, others, until)
    await keep(world)
    assert world.count(tables.samples) == world.count(tables.late_days) == 0
    assert sum(map(len, everything(world).values())) == 1 + len(others)
    assert sum(row[2] for row in rollups(world, tables.rollups_daily)) == 1 + len(others)


async def test_no_day_is_filled_twice_and_none_that_was_rolled_up(world: World) -> None:
    until = midnight(world) - 3 * DAY
    samples = samples_of(world, 2, until=until, series=2, step=6 * HOUR)
    with pytest.raises(Conflict, match="must be a midnight"):
        await fill(world, samples, until - HOUR)
    await fill(world, samples, until)
    with pytest.raises(Conflict, match="each once"):
        await fill(world, samples, until + DAY)
    await keep(world)
    with pytest.raises(Conflict, match="must be recorded"):
        await fill(world, [Sample(samples[0].site_id, "cpu_percent", midnight(world) - HOUR, 1.0)], midnight(world))

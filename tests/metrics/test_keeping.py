"""Rolling up, sealing and retention: everything stays as it was asked for, on both databases, wherever it is interrupted."""

import asyncio
import random
import subprocess
import sys

import numpy as np
import pytest
import sqlalchemy as sa

from tests.metrics.history import everything, keep, next_piece, recent, record, rollups, samples_of
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core import failpoints
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import TocsinError
from tocsin.db import tables
from tocsin.metrics import packing
from tocsin.metrics.model import Sample, SeriesFilter
from tocsin.metrics.packing import Packing
from tocsin.metrics.rolling import Rolling


def midnight(world: World) -> int:
    world.clock.at = world.clock.at // DAY * DAY + HOUR
    return world.clock.at - HOUR


@pytest.mark.claim("H1", "K13", "B12")
async def test_what_is_older_than_two_days_is_sealed_and_reads_as_before(world: World) -> None:
    samples = samples_of(world, 9, until=midnight(world), step=HOUR)
    await record(world, samples)
    before = everything(world)
    assert sum(map(len, before.values())) == len(samples)
    await keep(world)
    assert everything(world) == before
    first = world.rows(sa.select(sa.func.min(tables.samples.c.at)))[0][0]
    assert first >= world.clock.now() - 3 * DAY
    sealed = world.rows(sa.select(sa.func.sum(tables.blocks.c.samples)))[0][0]
    assert sealed + world.count(tables.samples) == len(samples)
    assert next_piece(world) is None


@pytest.mark.claim("H1")
async def test_roll_ups_say_what_the_samples_say(world: World) -> None:
    samples = samples_of(world, 4, until=midnight(world), series=5)
    await record(world, samples)
    await keep(world)
    points = everything(world)
    with world.core.database.read() as connection:
        names = {one.id: one.name for one in world.core.history.find(connection, SeriesFilter())}
    for table, length in ((tables.rollups_hourly, HOUR), (tables.rollups_daily, DAY)):
        place = "hour" if length == HOUR else "day"
        found = {(names[row.series_id], getattr(row, place)): row for row in world.rows(sa.select(table))}
        expected: dict[tuple[str, int], list[float]] = {}
        for name, at, value in [(name, at // length, value) for name, some in points.items() for at, value in some]:
            expected.setdefault((name, at), []).append(value)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            row = found[key]
            assert (row.count, row.min, row.max) == (len(values), min(values), max(values))
            assert row.sum == pytest.approx(sum(values))
            assert [row.p50, row.p95, row.p99] == pytest.approx(np.quantile(values, [0.5, 0.95, 0.99]).tolist())


async def test_late_samples_get_into_sealed_blocks_and_into_the_roll_ups(world: World) -> None:
    until = midnight(world)
    samples = samples_of(world, 8, until=until, series=3)
    late = samples[10:400:7]
    await record(world, [one for one in samples if one not in late])
    await keep(world)
    await record(world, late)
    assert sum(map(len, everything(world).values())) == len(samples)
    await keep(world)
    after, hourly, daily = everything(world), rollups(world, tables.rollups_hourly), rollups(world, tables.rollups_daily)
    assert sum(map(len, after.values())) == len(samples)
    assert world.count(tables.late_days) == 0
    for table in (tables.samples, tables.blocks, tables.rollups_hourly, tables.rollups_daily):
        await world.write(lambda tx, table=table: tx.sql.execute(table.delete()))  # type: ignore[misc]  # lambdas with defaults have no type
    await record(world, samples)
    await keep(world)
    assert (everything(world), rollups(world, tables.rollups_hourly), rollups(world, tables.rollups_daily)) == (after, hourly, daily)


async def test_a_sample_that_comes_again_after_it_was_sealed_changes_nothing(world: World) -> None:
    samples = samples_of(world, 5, until=midnight(world), series=2)
    await record(world, samples)
    await keep(world)
    before = everything(world)
    await record(world, [Sample(one.site_id, one.name, one.at, -1.0, one.host) for one in samples[:50]])
    assert everything(world) == before
    await keep(world)
    assert everything(world) == before


async def test_hours_that_are_not_over_are_left_alone(world: World) -> None:
    world.clock.at = world.clock.at // HOUR * HOUR + 5 * MINUTE  # the hour before may still get samples
    await keep(world)
    now, site = world.clock.now(), world.core.sites.get("main").id
    await record(world, [Sample(site, "cpu_percent", now - minutes * MINUTE, 1.0) for minutes in (1, 20)])
    await keep(world)
    assert world.count(tables.rollups_hourly) == 0
    world.clock.at += 10 * MINUTE
    await keep(world)
    assert world.count(tables.rollups_hourly) == 1
    world.clock.at += 3 * HOUR
    await keep(world)
    assert world.count(tables.rollups_hourly) == 2


async def test_a_piece_that_was_overtaken_does_nothing(world: World) -> None:
    samples = samples_of(world, 4, until=midnight(world), series=3)
    await record(world, samples[1:])
    stale: list[Rolling | Packing] = []
    while piece := next_piece(world):
        assert isinstance(piece, Rolling | Packing)
        stale.append(piece)
        if isinstance(piece, Packing):
            break
        assert await world.write(piece.write)
    await record(world, samples[:1])  # between the look and the writing
    before = everything(world)
    for piece in stale:
        assert not await world.write(piece.write)
    await keep(world)
    assert everything(world) == before
    assert sum(map(len, before.values())) == len(samples)


class Killed(TocsinError):
    """The process would have ended here."""


@pytest.mark.claim("H1")
@pytest.mark.parametrize("boundary", ["commit.before", "commit.after"])
async def test_dying_at_any_step_loses_nothing_and_doubles_nothing(world: World, boundary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_ROWS", 40)  # many steps
    samples = samples_of(world, 5, until=midnight(world), series=17, step=6 * HOUR)
    await record(world, samples)
    before, chance, deaths = everything(world), random.Random(3), 0

    def die(name: str) -> None:
        if name == boundary and chance.random() < 0.4:
            raise Killed("here")

    while piece := next_piece(world):
        failpoints.arm(die)
        try:
            await world.write(piece.write)
        except Killed:
            deaths += 1
        finally:
            failpoints.arm(None)
        if chance.random() < 0.1:
            assert everything(world) == before
    assert deaths > 10
    assert everything(world) == before
    hourly = rollups(world, tables.rollups_hourly)
    assert sum(row[3] for row in hourly) == len(samples)
    assert sum(row[2] for row in rollups(world, tables.rollups_daily)) == len(samples)


async def be_killed(world: World, kills: int) -> None:
    """Lives through so many kills, and then to the end; every question is answered as before."""
    samples = samples_of(world, 8, until=midnight(world), series=18, step=6 * HOUR)
    open_ones = recent(world, series=18)
    await record(world, [*samples, *open_ones])
    assert world.count(tables.open_samples) == len(open_ones)
    gone = SeriesFilter(name="load5_percent")
    await world.write(lambda tx: world.core.history.remove(tx, Who("user:anna@example.com"), gone, world.clock.now()))
    samples, open_ones = ([one for one in some if one.name != gone.name] for some in (samples, open_ones))
    world.clock.at += 20 * MINUTE
    before = everything(world)
    command = [sys.executable, "-m", "tests.metrics.victim", world.settings.database_url, str(world.clock.now()), str(kills), "7"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=110)
    assert int(done.stdout) >= min(kills, 10), done.stderr
    assert everything(world) == before
    await keep(world)
    assert everything(world) == before
    assert world.count(tables.open_samples) == 0
    assert sum(row[3] for row in rollups(world, tables.rollups_hourly)) == len(samples) + len(open_ones)
    assert sum(row[2] for row in rollups(world, tables.rollups_daily)) == len(samples)


@pytest.mark.claim("H1", "K13")
async def test_twenty_kills_at_random_moments_change_no_answer(world: World) -> None:
    await be_killed(world, 20 if world.core.database.is_sqlite else 5)


@pytest.mark.soak
@pytest.mark.claim("H1")
@pytest.mark.parametrize("_round", range(10))
async def test_two_hundred_kills_at_random_moments_change_no_answer(world: World, _round: int) -> None:
    await be_killed(world, 20)


@pytest.mark.claim("B11", "K13", "origin:M7", "T6", "X6")
async def test_raw_history_goes_after_its_days_and_roll_ups_of_hours_after_two_years(world: World) -> None:
    samples = samples_of(world, 30, until=midnight(world), series=2, step=12 * HOUR)
    await record(world, samples)
    await keep(world)
    kept = everything(world)
    await keep(world, days=12)
    now = world.clock.now()
    for name, points in everything(world).items():
        assert points[0][0] <= now - 12 * DAY
        assert points[0][0] >= now - 20 * DAY
        assert points == kept[name][-len(points) :]
    assert world.count(tables.rollups_hourly) > 80
    world.clock.at += 731 * DAY
    await keep(world, days=12)
    assert world.count(tables.rollups_hourly) == 0
    assert world.count(tables.blocks) == 0
    assert world.count(tables.rollups_daily) == 60

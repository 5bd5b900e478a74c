"""Series that are taken away: out of sight at once, gone a little at a time, and nothing of their neighbours with them."""

import random

import pytest
import sqlalchemy as sa

from tests.metrics.history import everything, keep, next_piece, recent, record, rollups, samples_of
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core import failpoints
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import TocsinError
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.metrics import packs, removing, service
from tocsin.metrics.model import Removed, Sample, SeriesFilter
from tocsin.metrics.service import History
from tocsin.metrics.store import SqlHistory
from tocsin.pipeline.trouble import SeriesTrouble
from tocsin.thresholds.model import Direction, Threshold

pytestmark = pytest.mark.claim("H1")
ANNA = Who("user:anna@example.com")
KEPT = (tables.open_samples, tables.samples, tables.rollups_hourly, tables.rollups_daily, tables.late_days)


async def remove(world: World, name: str | None = None, *, host: str | None = None, history: History | None = None) -> Removed:
    wanted, keeper = SeriesFilter(name=name, host=host), history or world.core.history
    return await world.write(lambda tx: keeper.remove(tx, ANNA, wanted, world.clock.now()))


def ids_of(world: World, name: str) -> set[int]:
    return {one.id for one in world.rows(sa.select(tables.series.c.id).where(tables.series.c.name == name))}


def left_of(world: World, series_id: int) -> int:
    """In how many places anything of it is left."""
    rows = sum(len(world.rows(sa.select(table.c.series_id).where(table.c.series_id == series_id))) for table in KEPT)
    return rows + sum(series_id in packs.series_in(row.pack) for row in world.rows(sa.select(tables.blocks.c.pack)))


async def lived(world: World, days: int = 15, series: int = 18) -> None:
    """Some series with rows of both kinds, packs and roll-ups."""
    world.clock.at = world.clock.at // DAY * DAY + HOUR
    await record(world, samples_of(world, days, until=world.clock.at, series=series, step=4 * HOUR))
    await keep(world)
    await record(world, recent(world, series=series))


async def test_it_is_out_of_sight_at_once_and_then_gone_without_touching_its_neighbours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "MAX_ROWS", 20)  # many steps
    await lived(world)
    before, hourly = everything(world), rollups(world, tables.rollups_hourly)
    (gone,) = ids_of(world, "load3_percent")
    assert left_of(world, gone) > 20
    assert await remove(world, "load3_percent") == Removed(1, is_all=True)
    del before["load3_percent"]
    assert everything(world) == before
    world.clock.at += 2 * MINUTE
    assert await keep(world) > 5
    assert left_of(world, gone) == 0
    assert everything(world) == before
    assert rollups(world, tables.rollups_hourly) == [row for row in hourly if row[1] != gone]
    assert next_piece(world) is None
    (deed,) = world.rows(sa.select(tables.audit.c.actor).where(tables.audit.c.action == "history.removed"))
    assert deed.actor == ANNA.name


async def test_what_comes_of_it_later_makes_it_anew_and_brings_nothing_back(world: World) -> None:
    await lived(world, days=3, series=2)
    (gone,) = ids_of(world, "load1_percent")
    await remove(world, "load1_percent")
    site, now = world.core.sites.get("main").id, world.clock.now()
    await record(world, [Sample(site, "load1_percent", now, 5.0, "web1")])
    world.clock.at += 2 * MINUTE
    await keep(world)
    (made,) = ids_of(world, "load1_percent")
    assert made > gone
    assert everything(world)["load1_percent"] == [(now, 5.0)]


async def test_where_another_process_removed_it_what_was_known_of_it_is_over(world: World) -> None:
    site = world.core.sites.get("main").id
    await record(world, [Sample(site, "load1_percent", world.clock.now(), 1.0)])
    other = History(SqlHistory(), 10, SeriesTrouble(world.core.ingest, world.core.sites.slug_of))
    await remove(world, "load1_percent", history=other)
    world.clock.at += MINUTE
    await record(world, [Sample(site, "load1_percent", world.clock.now(), 2.0)])
    assert everything(world) == {"load1_percent": [(world.clock.now(), 2.0)]}


async def test_a_removal_that_is_rolled_back_changes_nothing(world: World) -> None:
    site, now = world.core.sites.get("main").id, world.clock.now()
    sample = Sample(site, "load1_percent", now, 1.0)
    await record(world, [sample])
    before = everything(world)

    def fail(tx: Tx) -> None:
        world.core.history.remove(tx, ANNA, SeriesFilter(name="load1_percent"), now)
        world.core.history.record(tx, [sample], now)
        raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        await world.write(fail)
    assert everything(world) == before
    await remove(world, "load1_percent")
    await record(world, [sample])
    assert everything(world) == before
    assert len(world.rows(sa.select(tables.removed_series))) == 1


async def test_what_a_threshold_told_of_it_is_resolved(world: World) -> None:
    now, site = world.clock.now(), world.core.sites.get("main").id
    limit = Threshold("0190b9ba-0000-7000-8000-000000000001", None, None, "disk_percent", {}, Direction.ABOVE, 80.0, None)
    world.core.thresholds._known = type(world.core.thresholds._known)([limit])
    await record(world, [Sample(site, "disk_percent", now, 95.0, "web1")])
    assert world.alert().status == "open"
    await remove(world, host="web1")
    assert world.alert().status == "resolved"
    assert world.count(tables.threshold_states) == 0


async def test_a_site_that_was_full_has_room_again(world: World) -> None:
    world.core.history._limit = 3
    site, now = world.core.sites.get("main").id, world.clock.now()
    await record(world, [Sample(site, f"requests{n}_total", now, 1.0) for n in range(5)])
    assert world.alert().status == "open"
    await remove(world, "requests0_total")
    assert world.alert().status == "resolved"


async def test_very_many_are_removed_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_REMOVED", 3)
    site, now = world.core.sites.get("main").id, world.clock.now()
    await record(world, [Sample(site, "requests_total", now, 1.0, f"web{n}") for n in range(4)])
    assert await remove(world, "requests_total") == Removed(3, is_all=False)
    assert await remove(world, "requests_total") == Removed(1, is_all=True)
    assert await remove(world, "requests_total") == Removed(0, is_all=True)


class Killed(TocsinError):
    """The process would have ended here."""


@pytest.mark.parametrize("boundary", ["commit.before", "commit.after"])
async def test_dying_at_any_step_leaves_nothing_of_it_and_all_of_the_others(
    world: World, boundary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "MAX_ROWS", 8)
    await lived(world, days=9, series=5)
    (gone,), before = ids_of(world, "load2_percent"), everything(world)
    await remove(world, "load2_percent")
    del before["load2_percent"]
    world.clock.at += 2 * MINUTE
    chance, deaths = random.Random(5), 0

    def die(name: str) -> None:
        if name == boundary and chance.random() < 0.5:
            raise Killed("here")

    while piece := next_piece(world):
        failpoints.arm(die)
        try:
            await world.write(piece.write)
        except Killed:
            deaths += 1
        finally:
            failpoints.arm(None)
        assert everything(world) == before
    assert deaths > 2
    assert left_of(world, gone) == 0

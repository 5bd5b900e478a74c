"""Samples in, and what is there afterwards, on both databases."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.metrics.model import Recorded, Sample, SeriesFilter, labels_of


def main_of(world: World) -> int:
    return world.core.sites.get("main").id


def a_sample(world: World, name: str = "cpu_percent", value: float = 12.5, *, ago: int = 0, host: str = "web1", **labels: str) -> Sample:
    return Sample(main_of(world), name, world.clock.now() - ago, value, host, labels_of(labels))


async def record(world: World, *samples: Sample) -> Recorded:
    return await world.write(lambda tx: world.core.history.record(tx, samples, world.clock.now()))


def points(world: World, name: str = "cpu_percent", host: str = "web1") -> list[tuple[int, float]]:
    with world.core.database.read() as connection:
        (series,) = world.core.history.find(connection, SeriesFilter(name=name, host=host))
        return list(world.core.history.points(connection, series.id, 0, world.clock.now() + HOUR))


@pytest.mark.claim("origin:A2")
async def test_samples_are_found_again_by_series_and_time(world: World) -> None:
    samples = [a_sample(world, value=n / 3, ago=n * MINUTE) for n in range(200)]
    assert await record(world, *samples) == Recorded(200)
    assert points(world) == [(one.at, one.value) for one in reversed(samples)]


@pytest.mark.claim("origin:A2")
async def test_a_sample_that_comes_again_does_no_harm_and_the_first_stays(world: World) -> None:
    await record(world, a_sample(world, value=1.0), a_sample(world, value=2.0, ago=MINUTE))
    assert await record(world, a_sample(world, value=9.0), a_sample(world, value=3.0, ago=2 * MINUTE)) == Recorded(1, 1)
    assert await record(world, *[a_sample(world, value=9.0)] * 3) == Recorded(0, 3)
    assert [value for _, value in points(world)] == [3.0, 2.0, 1.0]


@pytest.mark.claim("origin:A2")
async def test_what_several_send_at_once_is_counted_for_each(world: World) -> None:
    async def record_all(*batches: list[Sample]) -> list[Recorded]:
        return await world.write(lambda tx: world.core.history.record_all(tx, batches, world.clock.now()))

    first, second = [a_sample(world, value=1.0)], [a_sample(world, value=2.0, ago=MINUTE), a_sample(world, value=9.0, host="web2")]
    assert await record_all(first, [], second) == [Recorded(1), Recorded(0), Recorded(2)]
    again = [a_sample(world, value=7.0, ago=MINUTE), a_sample(world, value=8.0, ago=2 * MINUTE)]
    assert await record_all([a_sample(world, value=3.0, ago=2 * MINUTE)], again) == [Recorded(1), Recorded(0, 2)]
    assert [value for _, value in points(world)] == [3.0, 2.0, 1.0], "of two of one moment the first stays, whoever sent it"


async def test_series_are_told_apart_by_site_name_host_and_labels(world: World) -> None:
    samples = [
        a_sample(world, "disk_percent", mount="/"),
        a_sample(world, "disk_percent", mount="/var"),
        a_sample(world, "disk_percent", mount="/var", device="sda1"),
        a_sample(world, "disk_percent", host="web2", mount="/"),
        a_sample(world, "orders_total", host=""),
    ]
    assert (await record(world, *samples)).accepted == 5
    assert (await record(world, *reversed(samples))).repeated == 5
    with world.core.database.read() as connection:
        find = world.core.history.find
        assert len(find(connection, SeriesFilter())) == 5
        assert [one.labels for one in find(connection, SeriesFilter(host="web1"))] == [
            (("device", "sda1"), ("mount", "/var")),
            (("mount", "/"),),
            (("mount", "/var"),),
        ]
        assert len(find(connection, SeriesFilter(labels=(("mount", "/var"),)))) == 2
        assert find(connection, SeriesFilter(site_ids=frozenset({main_of(world) + 1}))) == []
        (orders,) = find(connection, SeriesFilter(name="orders_total"))
        assert (orders.host, orders.labels) == ("", ())


async def test_the_newest_value_is_found_however_long_ago(world: World) -> None:
    await record(
        world,
        a_sample(world, "load_1m", 1.0, ago=3 * MINUTE),
        a_sample(world, "load_1m", 2.0, ago=2 * MINUTE),
        a_sample(world, "cpu_percent", 3.0, ago=30 * HOUR),
        a_sample(world, "swap_percent", 4.0, ago=3 * DAY),
    )
    now = world.clock.now()
    with world.core.database.read() as connection:
        found = world.core.history.newest(connection, SeriesFilter(host="web1"), now - 2 * DAY)
        assert [(one.series.name, one.at, one.value) for one in found] == [
            ("cpu_percent", now - 30 * HOUR, 3.0),
            ("load_1m", now - 2 * MINUTE, 2.0),
        ]
        assert world.core.history.newest(connection, SeriesFilter(host="web1"), now - MINUTE) == []


async def test_what_is_rolled_back_leaves_no_series_behind_in_memory(world: World) -> None:
    def fail(tx: Tx) -> None:
        world.core.history.record(tx, [a_sample(world)], world.clock.now())
        raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        await world.write(fail)
    assert world.count(tables.series) == 0
    assert await record(world, a_sample(world)) == Recorded(1)
    assert world.count(tables.series) == 1


@pytest.fixture
def small(world: World) -> World:
    """A world whose sites may have three series each."""
    world.core.history._limit = 3
    return world


async def events_of(world: World) -> Sequence[Any]:
    return world.rows(sa.select(tables.events.c.status, tables.events.c.title).order_by(tables.events.c.number))


async def test_labels_by_the_million_make_one_event_and_known_series_go_on(small: World) -> None:
    first = [a_sample(small, "requests_total", request=str(n)) for n in range(5)]
    assert await record(small, *first) == Recorded(3, 0, (3, 4))
    for round_ in range(3):
        more = [a_sample(small, "requests_total", request=f"{round_}-{n}") for n in range(50)]
        assert (await record(small, *more)).accepted == 0
    small.clock.at += MINUTE
    assert await record(small, *[a_sample(small, "requests_total", request=str(n)) for n in range(5)]) == Recorded(3, 0, (3, 4))
    assert small.count(tables.series) == 3
    assert await events_of(small) == [("problem", "The site has 3 series of metrics, as many as it may: new ones are not stored")]
    alert = small.alert()
    assert (alert.type, alert.severity, alert.site_id) == ("tocsin.series_limit", 3, main_of(small))
    assert "TOCSIN_SERIES_LIMIT" in (alert.message or "")


async def test_room_for_new_series_resolves_the_alert(small: World) -> None:
    await record(small, *[a_sample(small, "requests_total", request=str(n)) for n in range(4)])
    small.core.history._limit = 10
    await record(small, a_sample(small))
    assert small.alert().status == "resolved"
    small.core.history._limit = 4
    await record(small, a_sample(small, "load_1m"))
    assert small.alerts()[-1].status == "open"

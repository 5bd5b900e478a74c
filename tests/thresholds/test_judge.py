"""Samples, thresholds, alerts and messages together, on either database."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import NOW
from tests.thresholds.build import a_series, a_threshold
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.metrics import model as metrics
from tocsin.thresholds import service, store
from tocsin.thresholds.model import Sample, Threshold, Watched

MARTA = Who("marta@example.com")


async def record(world: World, *values: float, series: Watched | None = None) -> None:
    """One sample a minute, each in a transaction of its own."""
    for value in values:
        world.clock.advance(MINUTE)
        now = world.clock.now()
        which = series or a_series()
        await world.write(lambda tx, v=value, n=now, s=which: world.core.judge.recorded(tx, [(s, [Sample(n, v)])], n))  # type: ignore[misc]
    await world.settle()


async def change(world: World, work: Callable[[Tx], Any]) -> Any:
    """Somebody changes thresholds."""
    found = await world.write(work)
    world.core.refresh()
    return found


async def make(world: World, **changes: Any) -> Threshold:
    threshold = a_threshold(id=new_id(world.clock.now()), **changes)
    made: Threshold = await change(world, lambda tx: service.make(tx, MARTA, threshold, NOW))
    return made


@pytest.mark.claim("M6", "K2")
async def test_a_full_disk_pages_once_gets_louder_and_is_over_when_there_is_room(world: World) -> None:
    await world.people()
    await record(world, 40, 91, 92, 84)
    alert = world.alert()
    assert (alert.type, alert.severity, alert.status) == ("metric.above", 3, "open")
    assert alert.title == "web01: disk /var 91 % full, warned from 85 %"
    assert (alert.host, alert.occurrences) == ("web01", 1)
    await record(world, 96)
    assert (world.alert().severity, world.alert().title) == (4, "web01: disk /var 96 % full, critical from 95 %")
    await record(world, 82)
    assert world.alert().status == "open"
    await record(world, 70)
    assert (world.alert().status, world.alert().resolution) == ("resolved", "web01: disk /var 70 % full again")
    assert {message.kind for message in world.messages()} >= {"opened", "resolved"}


async def test_what_history_stores_is_judged_at_once_and_alone_if_it_has_a_threshold(world: World) -> None:
    def sample(name: str, value: float, host: str = "web01") -> metrics.Sample:
        return metrics.Sample(world.core.sites.get("main").id, name, world.clock.now(), value, host)

    for value in (95.0, 96.0):
        world.clock.advance(MINUTE)
        samples = [
            sample("cpu_percent", value),
            sample("memory_percent", 50.0),
            sample("queue_depth", 1e6),
            sample("cpu_percent", 20.0, ""),
        ]
        await world.write(lambda tx, all_=samples: world.core.history.record(tx, all_, world.clock.now()))  # type: ignore[misc]
    assert [(alert.host, alert.title) for alert in world.alerts()] == [("web01", "web01: cpu 95 %, warned from 80 %")]
    assert world.count(tables.threshold_states) == 1


async def test_a_batch_that_holds_a_whole_excursion_leaves_it_resolved(world: World) -> None:
    place = world.core.sites.get("main").id
    samples = [metrics.Sample(place, "cpu_percent", NOW + n * MINUTE, value, "web01") for n, value in enumerate((20.0, 95.0, 20.0))]
    for _ in range(2):
        await world.write(lambda tx: world.core.history.record(tx, samples, NOW + 3 * MINUTE))
    assert (world.alert().status, world.alert().resolution) == ("resolved", "web01: cpu 20 % again")


async def test_two_mounts_are_two_problems_and_what_never_mattered_leaves_no_row(world: World) -> None:
    await record(world, 91)
    await record(world, 92, series=a_series(id=2, labels={"mount": "/"}))
    await record(world, 40, series=a_series(id=3, labels={"mount": "/home"}))
    await record(world, 1e9, series=a_series(id=4, name="uptime_seconds", labels={}))
    assert [alert.title.split(",")[0] for alert in world.alerts()] == ["web01: disk /var 91 % full", "web01: disk / 92 % full"]
    assert world.count(tables.threshold_states) == 2


async def test_the_same_samples_again_change_nothing(world: World) -> None:
    samples = [Sample(NOW + n * MINUTE, value) for n, value in enumerate((91.0, 96.0, 40.0, 90.0))]
    for _ in range(3):
        await world.write(lambda tx: world.core.judge.recorded(tx, [(a_series(), samples)], NOW + HOUR))
    assert [len([e for e in world.rows(tables.events.select()) if e.status == status]) for status in ("problem", "recovery")] == [3, 1]


async def test_a_transaction_that_fails_leaves_neither_state_nor_alert(world: World) -> None:
    def work(tx: Tx) -> None:
        world.core.judge.recorded(tx, [(a_series(), [Sample(NOW, 99)])], NOW)
        raise Conflict("as if the process had died here")

    with pytest.raises(Conflict):
        await world.write(work)
    assert (world.alerts(), world.count(tables.threshold_states)) == ([], 0)
    await record(world, 99)
    assert world.alert().severity == 4


async def test_silence_opens_an_alert_and_the_next_sample_resolves_it(world: World) -> None:
    await make(world, missing=8 * MINUTE)
    await record(world, 91, 92)
    world.clock.advance(8 * MINUTE)
    assert not await world.write(world.core.judge.fall_silent)
    assert len(world.alerts()) == 1
    world.clock.advance(MINUTE)
    for _ in range(2):
        await world.write(world.core.judge.fall_silent)
    full, silent = world.alerts()
    assert (silent.type, silent.title) == ("metric.no_data", "web01: disk /var has sent no value for 8 min")
    assert full.status == "open", "nothing shows that there is room"
    await record(world, 50)
    assert [alert.status for alert in world.alerts()] == ["resolved", "resolved"]


@pytest.mark.parametrize("how", ["removed", "switched off"])
async def test_what_no_threshold_watches_any_more_is_resolved(world: World, how: str) -> None:
    made = await make(world, host="web01", missing=8 * MINUTE)
    await record(world, 91)
    world.clock.advance(HOUR)
    await world.write(world.core.judge.fall_silent)
    assert [alert.status for alert in world.alerts()] == ["open", "open"]

    def work(tx: Tx) -> None:
        if how == "removed":
            world.core.judge.release(tx, service.remove(tx, MARTA, made.id, NOW))
        else:
            world.core.judge.release(tx, service.change(tx, MARTA, made.id, {"enabled": False}, NOW))

    await change(world, work)
    assert [alert.status for alert in world.alerts()] == ["resolved", "resolved"]
    assert world.count(tables.threshold_states) == 0
    await record(world, 91)
    assert world.alerts()[0].status == "open", "the settings' own threshold holds again"


async def test_a_better_threshold_takes_over_with_the_next_sample(world: World) -> None:
    await record(world, 91)
    made = await make(world, host="web01", warning=97.0, critical=None, clear=None)
    await record(world, 91)
    assert world.alert().status == "resolved"
    with world.core.database.read() as connection:
        assert store.find(connection, made.id) == made


async def test_one_thing_has_one_threshold_and_nonsense_is_refused(world: World) -> None:
    await make(world)
    with pytest.raises(Conflict, match="already a threshold for this"):
        await make(world, warning=10.0, clear=None)
    with pytest.raises(InvalidInput, match="clear"):
        await make(world, host="web01", clear=99.0)

"""Jobs that report, or do not, and who hears of it: on each database."""

import asyncio

import sqlalchemy as sa

from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.ids import is_uuid
from tocsin.db import tables
from tocsin.heartbeats import store
from tocsin.heartbeats.model import KEPT_PINGS, Kind, Ping, Schedule, Status
from tocsin.metrics.model import SeriesFilter
from tocsin.pipeline.pulse import Made, Wanted

MARTA = Who("marta@example.com")
HOURLY = Wanted("Backup of db-1", Schedule(period=HOUR), 5 * MINUTE, 10 * MINUTE, 4)


async def watched(world: World, wanted: Wanted = HOURLY) -> Made:
    await world.people()
    site_id = world.core.sites.get("main").id
    return await world.write(lambda tx: world.core.pulse.make(tx, MARTA, site_id, wanted))


async def ping(world: World, made: Made, kind: Kind = Kind.SUCCESS, log: str = "", code: int | None = None) -> None:
    await world.write(lambda tx: world.core.pulse.ping(tx, made.token, kind, code, "192.0.2.7", log))
    await world.settle()


def pings(world: World, made: Made) -> list[Ping]:
    with world.core.database.read() as connection:
        return store.pings(connection, made.heartbeat.id)


def status(world: World, made: Made) -> Status:
    with world.core.database.read() as connection:
        return store.get(connection, made.heartbeat.id).status


async def test_a_job_that_stays_away_opens_one_alert_that_the_next_report_resolves(world: World) -> None:
    made = await watched(world)
    for _ in range(3):
        await world.pass_time(HOUR)
        await ping(world, made)
    assert world.alerts() == []
    await world.pass_time(5 * HOUR)
    alert = world.alert()
    assert (alert.type, alert.status, alert.severity, alert.occurrences) == ("heartbeat.missed", "open", 4, 1)
    assert alert.title == "Backup of db-1: has not reported in time"
    assert alert.message is not None
    assert "It should run every 1 h." in alert.message
    assert world.messages(kind="opened")
    await ping(world, made)
    assert world.alert().status == "resolved"
    assert status(world, made) is Status.UP


async def test_a_job_that_never_reports_is_told_too(world: World) -> None:
    await watched(world)
    await world.pass_time(2 * HOUR)
    assert world.alert().title == "Backup of db-1: has never reported"


async def test_a_failure_shows_what_the_job_said_and_a_success_ends_it(world: World) -> None:
    made = await watched(world)
    await ping(world, made, Kind.START)
    world.clock.advance(90 * SECOND)
    await ping(world, made, Kind.FAIL, log="pg_dump: error: disk full", code=3)
    alert = world.alert()
    assert (alert.type, alert.title) == ("heartbeat.failed", "Backup of db-1: failed with exit code 3")
    assert alert.message is not None
    assert "disk full" in alert.message
    with world.core.database.read() as connection:
        (reading,) = world.core.history.newest(connection, SeriesFilter(name="heartbeat_run_ms"), 0)
    assert (reading.value, reading.series.labels) == (90_000.0, (("heartbeat", "Backup of db-1"),))
    await ping(world, made)
    assert world.alert().status == "resolved"
    assert [(one.kind, one.took) for one in pings(world, made)] == [(Kind.SUCCESS, None), (Kind.FAIL, 90 * SECOND), (Kind.START, None)]


async def test_a_run_that_does_not_end_is_told_until_it_does(world: World) -> None:
    made = await watched(world)
    await ping(world, made, Kind.START)
    await world.pass_time(3 * HOUR)
    assert world.alert().title == "Backup of db-1: has not ended within 10 min"
    await ping(world, made)
    assert world.alert().status == "resolved"


async def test_pausing_and_removing_end_what_is_told(world: World) -> None:
    made = await watched(world)
    await world.pass_time(2 * HOUR)
    await world.write(lambda tx: world.core.pulse.change(tx, MARTA, made.heartbeat.id, {}, paused=True))
    assert world.alert(1).status == "resolved"
    await world.pass_time(3 * HOUR)
    assert len(world.alerts()) == 1
    await world.write(lambda tx: world.core.pulse.change(tx, MARTA, made.heartbeat.id, {}, paused=False))
    await ping(world, made, Kind.FAIL)
    assert [alert.status for alert in world.alerts()] == ["resolved", "open"]
    await world.write(lambda tx: world.core.pulse.remove(tx, MARTA, made.heartbeat.id))
    assert [alert.status for alert in world.alerts()] == ["resolved", "resolved"]
    assert world.count(tables.heartbeat_pings) == world.count(tables.heartbeats) == 0


async def test_only_the_last_pings_are_kept(world: World) -> None:
    made, other = await watched(world), await watched(world)
    await ping(world, other)
    for number in range(KEPT_PINGS + 7):
        await ping(world, made, log=str(number))
    assert [one.log for one in pings(world, made)] == [str(n) for n in reversed(range(7, KEPT_PINGS + 7))]
    assert len(pings(world, other)) == 1


async def test_after_an_absence_of_tocsin_nobody_is_told_of_pings_that_it_could_not_take(world: World) -> None:
    made = await watched(world)
    await ping(world, made)
    await world.pass_time(10 * MINUTE)
    world.clock.advance(65 * MINUTE)  # nothing looks, nothing listens
    await world.pass_time(50 * MINUTE)
    assert world.alerts() == []
    await world.pass_time(2 * HOUR)
    assert world.alert().type == "heartbeat.missed"


async def test_the_token_is_stored_nowhere(world: World) -> None:
    made = await watched(world)
    await ping(world, made)
    for table in tables.metadata.sorted_tables:
        assert all(made.token not in str(row) for row in world.rows(sa.select(table))), table.name


async def test_two_who_look_at_once_tell_once(world: World) -> None:
    await watched(world)
    world.clock.advance(2 * HOUR)
    looked = await asyncio.gather(*[world.write(world.core.pulse.expire) for _ in range(4)])
    assert sum(looked) >= 1
    alert = world.alert()
    assert alert.occurrences == 1
    assert is_uuid(alert.id)


async def test_it_is_looked_only_when_something_is_due_or_the_look_is_to_be_noted(sqlite_world: World) -> None:
    world = sqlite_world
    pulse, database = world.core.pulse, world.core.database

    def is_due() -> bool:
        return database.finds(pulse.asks(world.clock.now()))

    assert not is_due()
    await watched(world)
    assert is_due()
    await world.write(pulse.expire)
    assert not is_due()
    world.clock.advance(20 * SECOND)
    assert is_due()

"""Checks in a whole Tocsin: from a look to an alert and to its end, over pauses, maintenance, restarts and two processes."""

import asyncio
from functools import partial
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from tests.checks.build import DOWN, FINE, LOST, MARTA, SHOP, SLOW, Watched, a_check, certified, days
from tests.checks.servers import http, serving
from tests.world import World
from tocsin.bootstrap import rounds_of
from tocsin.checks import store, votes
from tocsin.checks.model import Finding, HttpTarget, Reason, Report, Status
from tocsin.checks.service import Looked
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND, SystemClock
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.hosts.model import Card
from tocsin.muting import service as muting
from tocsin.muting.matching import read_matcher
from tocsin.muting.model import Maintenance

pytestmark = pytest.mark.claim("M2")


@pytest.mark.claim("A23", "M11", "K2")
async def test_a_shop_goes_down_is_told_once_and_recovers(world: World) -> None:
    await world.people()
    shop = await Watched.make(world)
    await shop.lives(FINE, FINE, DOWN, DOWN)
    assert world.alerts() == []
    await shop.lives(DOWN, DOWN)
    alert = world.alert()
    assert (alert.type, alert.severity, alert.host, alert.subject) == ("check.down", 4, "shop.example.com", f"check:{shop.id}")
    assert (alert.title, alert.message) == ("Shop is down: refuses the connection", "the connection was refused")
    assert world.ntfy.letters
    await shop.lives(FINE)
    assert world.alert().status == "resolved"
    assert world.alert().resolution == "Shop answers again"
    # Down from the first failure on: two retries of 20 s, then a look at the usual place.
    statuses = [status for status, _ in shop.spans()]
    assert statuses == ["up", "down", "up"]


async def test_evidence_is_kept_of_what_changes_and_not_of_each_look(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=1))
    await shop.lives(FINE, FINE, FINE, DOWN, DOWN, DOWN, DOWN, FINE, FINE)
    with world.core.database.read() as connection:
        every = store.results(connection, shop.id, None, 100)
        evident = store.results(connection, shop.id, None, 100, only_evident=True)
    assert len(every) == 9
    assert [one.status.value for one in reversed(evident)] == ["up", "up", "down", "up"]
    assert msgspec.json.decode(evident[1].evidence or "") == {"status": 0, "trace": []}


async def test_a_slow_shop_is_degraded_and_our_own_trouble_leaves_the_alert_as_it_is(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE, SLOW, LOST, LOST)
    assert shop.check.status is Status.UNKNOWN
    assert [(alert.type, alert.status) for alert in world.alerts()] == [("check.degraded", "open")]
    await shop.lives(FINE)
    assert [status for status, _ in shop.spans()] == ["up", "degraded", "unknown", "up"]
    assert world.alert().status == "resolved"


@pytest.mark.claim("M3", "K4")
async def test_a_certificate_that_ends_is_one_alert_that_grows_louder_until_it_is_renewed(world: World) -> None:
    shop = await Watched.make(world)
    ends_at = world.clock.at + days(31)
    for left in (31, 29, 13, 6, 0.5):
        world.clock.at = ends_at - days(left)
        await shop.sees(certified(ends_at))
    alert = world.alert()
    assert (alert.type, alert.severity, alert.status, alert.occurrences) == ("certificate.expiring", 5, "open", 4)
    assert shop.check.status is Status.UP
    assert shop.check.expires_at == ends_at
    await shop.sees(certified(ends_at + days(90), "b"))
    assert world.alert().status == "resolved"
    assert world.alert().resolution == "Shop: the certificate was renewed"


async def test_a_pause_ends_the_alert_and_the_looks(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE, DOWN)
    claimed = await world.write(lambda tx: store.claim_one(tx, shop.id, world.clock.now()))
    assert claimed
    paused = await world.write(world.core.checks.change(MARTA, shop.id, None, lambda check: (check.definition, True)))
    assert (paused.status, paused.due_at) == (Status.PAUSED, None)
    assert world.alert().status == "resolved"
    # The look that was under way counts for nothing.
    assert await world.core.writer.submit(world.core.checks.record, Looked(claimed, DOWN)) is None
    resumed = await world.write(world.core.checks.change(MARTA, shop.id, None, lambda check: (check.definition, False)))
    assert (resumed.status, resumed.due_at) == (Status.UNKNOWN, world.clock.now())


async def test_a_check_that_is_taken_away_leaves_no_alert_and_no_row(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE, DOWN)
    await world.write(world.core.checks.remove(MARTA, shop.id, None))
    assert world.alert().status == "resolved"
    assert [world.count(table) for table in (tables.checks, tables.check_results, tables.check_spans)] == [0, 0, 0]


async def test_in_maintenance_a_check_says_so_and_nobody_is_told(world: World) -> None:
    await world.people()
    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE)
    now = world.clock.now()
    window = Maintenance(
        new_id(now), "Kernel", (read_matcher("host=shop.example.com"),), now, now + 10 * MINUTE, "", None, "UTC", "marta", now
    )
    await world.write(lambda tx: muting.add(tx, MARTA, window, now))
    await asyncio.to_thread(world.core.refresh)
    await shop.lives_for(5 * MINUTE, DOWN)
    assert shop.check.status == Status.MAINTENANCE
    assert world.ntfy.letters == []
    await shop.lives_for(6 * MINUTE, FINE)
    assert [status for status, _ in shop.spans()] == ["up", "maintenance", "up"]
    assert world.ntfy.letters == []


async def test_a_time_in_which_nobody_looked_is_unknown_not_up(world: World) -> None:
    shop = await Watched.make(world)
    await shop.lives(FINE, FINE)
    world.clock.advance(3 * HOUR)
    await shop.sees(FINE)
    assert [status for status, _ in shop.spans()] == ["up", "unknown", "up"]
    assert 3 * 3_600 - 120 <= shop.spans()[1][1] <= 3 * 3_600


async def test_three_locations_believe_a_failure_only_after_each_of_two_has_looked_again(world: World) -> None:
    core, hosts = world.core, ("web-1", "web-2")
    site = core.sites.get("main").id
    for name in hosts:
        await world.write(partial(core.roll.hear, site_id=site, card=Card(name, name, "1", 10.0, world.clock.now())))
    shop = await Watched.make(world, a_check(retries=1, retry_after=20, interval=300, locations=("server", *hosts)))
    mark = votes.mark_of(shop.check.definition)

    async def reports(host: str, found: Finding) -> int:
        report = Report(check=shop.id, mark=mark, age_ms=0, ms=1.0)
        (errand,) = await world.write(lambda tx: core.checks.take_reports(tx, site, host, [(report, found)]))
        return errand.in_ms // SECOND

    assert [await reports(host, FINE) for host in hosts] == [300, 300]
    await shop.sees(FINE)
    world.clock.advance(300 * SECOND)
    assert await reports("web-1", DOWN) == 20  # not what is known: it looks again soon
    await shop.sees(DOWN)
    assert shop.check.state.streak == 1
    world.clock.advance(20 * SECOND)
    # The server has looked again, and web-1 has not: that look of web-1 is not counted a second time.
    waits = await shop.sees(DOWN)
    assert waits is not None
    assert (waits.verdict.reason, shop.check.status) == (Reason.WAITS, Status.UP)
    assert await reports("web-1", DOWN) == 20
    # web-2, which was fine all the time, looks again soon as well.
    assert await reports("web-2", FINE) == 300
    world.clock.advance(20 * SECOND)
    await reports("web-1", DOWN)
    await shop.sees(DOWN)
    assert world.alert().message == "the connection was refused (from 2 of 3 locations: server, web-1)"
    # It answers the server again; web-1 falls silent: one of three cannot say that it is well.
    world.clock.advance(600 * SECOND)
    await shop.sees(FINE)
    assert world.alert().status == "open"
    world.clock.advance(SECOND)
    await reports("web-2", FINE)
    await shop.sees(FINE)
    assert [status for status, _ in shop.spans()] == ["up", "down", "unknown", "up"]
    assert world.alert().status == "resolved"


async def test_a_clock_that_was_set_back_by_hours_stops_no_looks(world: World) -> None:
    shop = await Watched.make(world)
    await shop.lives(FINE, FINE)
    rounds = rounds_of(world.core)
    await rounds.turn()
    await rounds.settle()
    world.clock.at -= 5 * HOUR  # due in five hours and a minute now
    try:
        assert await rounds.turn() == 1
    finally:
        await rounds.settle()
    await shop.lives(FINE, DOWN, DOWN, DOWN)
    assert shop.check.status is Status.DOWN
    assert shop.check.due_at is not None
    assert shop.check.due_at <= world.clock.now() + 60 * SECOND
    assert await rounds.turn() == 0  # and no look follows the other without end
    await rounds.close()


@pytest.mark.claim("T2")
async def test_of_two_processes_one_looks_and_the_work_of_one_that_died_is_taken_over(world: World) -> None:
    first = await Watched.make(world)
    second = await Watched.make(world)
    now = world.clock.now()
    both = await world.write(lambda tx: store.claim(tx, now, now + SECOND, 10))
    assert {check.id for check in both} == {first.id, second.id}
    assert await world.write(lambda tx: store.claim(tx, now, now + SECOND, 10)) == []
    world.clock.advance(store.LEASE)
    again = await world.write(lambda tx: store.claim(tx, world.clock.now(), world.clock.now(), 1))
    assert len(again) == 1
    dead = next(check for check in both if check.id == again[0].id)
    assert await world.core.writer.submit(world.core.checks.record, Looked(dead, DOWN)) is None
    assert await world.core.writer.submit(world.core.checks.record, Looked(again[0], FINE)) is not None


async def test_another_target_begins_anew_and_a_look_at_the_old_one_counts_for_nothing(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE, DOWN)
    claimed = await world.write(lambda tx: store.claim_one(tx, shop.id, world.clock.now()))
    assert claimed
    other = msgspec.structs.replace(SHOP, target=HttpTarget(url="https://new.example.com/"))
    await world.write(world.core.checks.change(MARTA, shop.id, None, lambda _: (other, False)))
    assert await world.core.writer.submit(world.core.checks.record, Looked(claimed, DOWN)) is None
    assert world.alert().status == "resolved"
    assert shop.check.status is Status.UNKNOWN


@pytest.mark.claim("T6")
async def test_what_was_found_is_kept_for_days_and_goes_a_little_at_a_time(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE, FINE, FINE, DOWN, FINE, FINE)
    later = world.clock.at + 3 * DAY
    await world.write(lambda tx: store.tidy(tx, later))
    kept = world.rows(sa.select(tables.check_results.c.evidence))
    assert len(kept) == 3
    assert all(row.evidence for row in kept)
    await world.write(lambda tx: store.tidy(tx, later + 90 * DAY))
    assert world.count(tables.check_results) == 0
    assert [status for status, _ in shop.spans()] == ["up", "down", "up"]


# --- With real looks --------------------------------------------------------------------------------------------------


@pytest.mark.claim("T2", "A23")
async def test_rounds_look_at_what_is_due_at_its_moment_and_write_it_down(sqlite_url: str, tmp_path: Path) -> None:
    world = World(sqlite_url, tmp_path, clock=SystemClock())  # type: ignore[arg-type]  # real looks take real time
    rounds = rounds_of(world.core)
    try:
        async with serving(http(200, b"hello")) as port:
            definition = a_check(target=HttpTarget(url=f"http://127.0.0.1:{port}/", keyword="hello"), private=True)
            shops = [await Watched.make(world, definition) for _ in range(3)]
            assert await rounds.turn() == 3
            assert await rounds.turn() == 0
            await rounds.settle()
        assert [shop.check.status for shop in shops] == [Status.UP] * 3
        assert all(shop.check.due_at and shop.check.due_at > SystemClock().now() for shop in shops)
    finally:
        await rounds.close()
        await world.close()


async def test_when_everything_is_silent_at_once_it_is_our_network_and_one_alert_about_ourselves(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The silence is made up at the door: nothing can be dialled any more."""
    from tocsin.checks import guard
    from tocsin.checks.model import Cause, Finding, Level
    from tocsin.net.dial import DialFault, Fault
    from tocsin.pipeline import rounds as loop

    world, answers = sqlite_world, {"198.41.0.4": True, "199.9.14.201": True}

    async def look(definition: object, *_rest: object) -> Finding:
        address = definition.place  # type: ignore[attr-defined]  # a definition
        if answers[address]:
            return msgspec.structs.replace(FINE, address=address, port=443)
        return Finding(level=Level.FAILED, cause=Cause.SILENT, words="no connection within 10 s", heard=False, address=None)

    async def dial(address: str, *_rest: object, **_more: object) -> object:
        if not answers[address]:
            raise DialFault(Fault.SILENT, "nothing")
        raise DialFault(Fault.REFUSED, "go away")

    monkeypatch.setattr(loop, "look", look)
    monkeypatch.setattr(guard, "dial", dial)
    rounds = rounds_of(world.core)
    first, second = [await Watched.make(world, a_check(host=address, retries=0)) for address in answers]

    async def go_round() -> None:
        world.clock.advance(MINUTE)
        await rounds.turn()
        await rounds.settle()

    await go_round()
    assert {first.check.status, second.check.status} == {Status.UP}
    answers["198.41.0.4"] = False
    await go_round()
    assert (first.check.status, second.check.status) == (Status.DOWN, Status.UP)
    assert [alert.type for alert in world.alerts()] == ["check.down"]
    answers["199.9.14.201"] = False
    await go_round()
    assert {first.check.status, second.check.status} == {Status.UNKNOWN}
    assert [(alert.type, alert.status) for alert in world.alerts()] == [("check.down", "open"), ("tocsin.own_network", "open")]
    answers.update(dict.fromkeys(answers, True))
    await go_round()
    assert {first.check.status, second.check.status} == {Status.UP}
    assert {alert.status for alert in world.alerts()} == {"resolved"}
    await rounds.close()


async def test_a_name_server_of_ours_that_fails_is_one_alert_about_ourselves_and_closing_gives_back_what_was_claimed(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tocsin.checks.model import Cause, Finding
    from tocsin.pipeline import rounds as loop

    world, works = sqlite_world, asyncio.Event()
    unresolved = Finding(level=None, cause=Cause.OUR_RESOLVER, words="our name server did not answer", heard=False)

    async def look(*_rest: object) -> Finding:
        return FINE if works.is_set() else unresolved

    monkeypatch.setattr(loop, "look", look)
    rounds = rounds_of(world.core)
    shop = await Watched.make(world)
    for is_well in (False, True):
        await rounds.turn()
        await rounds.settle()
        (alert,) = world.alerts()
        assert (alert.type, alert.message) == ("tocsin.own_network", "our name server did not answer. Checks are unknown meanwhile.")
        assert alert.status == ("resolved" if is_well else "open")
        works.set()
        world.clock.advance(MINUTE)

    async def hang(*_rest: object) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(loop, "look", hang)
    assert await rounds.turn() == 1
    await asyncio.sleep(0)
    await rounds.close()
    assert [check.id for check in await world.write(world.core.checks.claim(world.clock.now(), 10))] == [shop.id]

"""From a batch of events to rows, alerts, history and messages in one transaction. On both databases."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.build import ONCALL_MAIL, ONCALL_PHONE, a_recovery, a_report, an_id
from tests.fakes import NOW, FakeDispatch
from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import FieldError, NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.events.model import Rejected
from tocsin.pipeline.ingest import Batch


async def test_an_event_becomes_a_row_and_an_alert(world: World) -> None:
    taken = await world.report(a_report(id=an_id(1), message="95 %", host="web-1", at=NOW - SECOND))
    assert (taken.ids, taken.accepted, taken.duplicates) == ([an_id(1)], 1, 0)
    alert = world.alert()
    assert (alert.number, alert.status, alert.title, alert.message, alert.host) == (1, "open", "Disk full", "95 %", "web-1")
    assert (alert.first_seen_at, alert.occurrences) == (NOW - SECOND, 1)
    (event,) = world.rows(sa.select(tables.events))
    assert (event.id, event.alert_number, event.occurred_at, event.received_at) == (an_id(1), 1, NOW - SECOND, NOW)
    assert world.history(1) == ["opened: first event of this problem"]


@pytest.mark.claim("E8", "N5")
async def test_a_repeated_id_changes_nothing_whether_in_one_batch_or_later(world: World) -> None:
    taken = await world.report(a_report(id=an_id(1)), a_report(id=an_id(1)), a_report(id=an_id(1).upper()))
    assert (taken.ids, taken.accepted, taken.duplicates) == ([an_id(1)] * 3, 1, 2)
    taken = await world.report(a_report(id=an_id(1)), a_report(id=an_id(2)))
    assert (taken.ids, taken.accepted, taken.duplicates) == ([an_id(1), an_id(2)], 1, 1)
    assert (world.alert().occurrences, world.count(tables.events)) == (2, 2)


async def test_two_requests_in_one_transaction_may_carry_the_same_event(world: World) -> None:
    batch = Batch([a_report(id=an_id(1))], None, None)
    submit = world.core.writer.submit
    first, second = await asyncio.gather(submit(world.core.ingest.take, batch), submit(world.core.ingest.take, batch))
    assert sorted([first.duplicates, second.duplicates]) == [0, 1]
    assert world.alert().occurrences == 1


@pytest.mark.claim("A2", "L2")
async def test_the_same_problem_is_counted_and_pages_once(world: World) -> None:
    await world.people()
    await world.report(*[a_report(title=f"Disk at {n} %", at=NOW + n) for n in range(90, 95)])
    await world.report(a_report(title="Disk at 99 %", at=NOW + 99))
    alert = world.alert()
    assert (alert.occurrences, alert.title, alert.first_seen_at, alert.last_seen_at) == (6, "Disk at 99 %", NOW + 90, NOW + 99)
    assert len(world.ntfy.letters) == 2
    assert world.history(1)[0] == "opened: first event of this problem"


@pytest.mark.claim("A2", "L2", "F1")
async def test_different_subjects_hosts_types_and_sites_are_different_problems(world: World) -> None:
    """Two with the same title on one day both alert (the system that this replaces dropped the second)."""
    await world.report(
        a_report("disk:/"),
        a_report("disk:/var"),
        a_report("disk:/", host="web-2"),
        a_report("disk:/", type="disk.slow"),
        a_report("disk:/", site="acme"),
    )
    assert [alert.occurrences for alert in world.alerts()] == [1] * 5
    assert {world.core.sites.slug_of(alert.site_id) for alert in world.alerts()} == {"main", "acme"}


async def test_the_senders_own_key_decides_what_is_the_same(world: World) -> None:
    await world.report(a_report("disk:/", dedup_key="storage"), a_report("disk:/var", dedup_key="storage"))
    assert (world.alert().dedup_key, world.alert().occurrences) == ("storage", 2)
    await world.report(a_report(status="recovery", dedup_key="storage"))
    assert world.alert().status == "resolved"


async def test_two_sites_with_identical_ids_and_keys_never_mix(world: World) -> None:
    await world.report(a_report(site="acme"), a_report(site="beta"))
    await world.report(a_recovery(site="acme"))
    states = {world.core.sites.slug_of(alert.site_id): alert.status for alert in world.alerts()}
    assert states == {"acme": "resolved", "beta": "open"}


async def test_events_of_one_batch_count_in_their_order(world: World) -> None:
    await world.report(a_report(), a_recovery(), a_report(), a_recovery(), a_report())
    alert = world.alert()
    assert (alert.status, alert.occurrences, alert.generation) == ("open", 3, 3)
    assert [line.partition(":")[0] for line in world.history(1)] == ["opened", "resolved", "reopened", "resolved", "reopened"]
    assert {row.alert_number for row in world.rows(sa.select(tables.events))} == {1}


async def test_what_is_over_before_anybody_was_told_pages_nobody(world: World) -> None:
    await world.people()
    await world.report(a_report(), a_recovery())
    assert world.alert().status == "resolved"
    assert world.messages() == []


@pytest.mark.claim("A1", "L6")
async def test_a_recovery_resolves_and_tells_those_who_had_heard(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    await world.report(a_report(severity=2))
    await world.report(a_recovery())
    assert (world.alert().status, world.alert().resolution) == ("resolved", "Disk has room again")
    assert world.ntfy.told == ["opened Disk full", "resolved Disk full"]
    assert world.email.told == []


async def test_a_recovery_without_a_problem_is_recorded_and_does_nothing(world: World) -> None:
    taken = await world.report(a_recovery())
    assert taken.accepted == 1
    assert world.alerts() == []
    assert world.count(tables.events) == 1


@pytest.mark.claim("A1", "L6")
async def test_a_problem_that_returns_soon_reopens_and_later_opens_anew(world: World) -> None:
    """Resolve, then the same problem again at once: it works (in the system that this replaces it crashed)."""
    await world.people(ONCALL_PHONE)
    await world.report(a_report())
    await world.report(a_recovery())
    world.clock.advance(9 * MINUTE)
    await world.report(a_report())
    assert (world.alert().status, world.alert().generation) == ("open", 2)
    await world.report(a_recovery())
    world.clock.advance(10 * MINUTE)
    await world.report(a_report())
    first, second = world.alerts()
    assert (first.status, second.status, second.previous_alert_id) == ("resolved", "open", first.id)
    assert world.ntfy.told.count("opened Disk full") == 3


@pytest.mark.claim("A2")
async def test_an_alert_over_midnight_stays_one_alert(world: World) -> None:
    world.clock.at = NOW + DAY - MINUTE
    await world.report(a_report(at=world.clock.at))
    world.clock.advance(2 * MINUTE)
    await world.report(a_report(at=world.clock.at))
    assert world.alert().occurrences == 2


@pytest.mark.claim("A3")
async def test_rising_severity_pages_again_and_louder(world: World) -> None:
    await world.people()
    await world.report(a_report(severity=2))
    assert (len(world.ntfy.letters), len(world.email.letters)) == (2, 0)
    await world.acknowledge(world.alert())
    await world.report(a_report(severity=5))
    assert (world.alert().severity, world.alert().status, world.alert().acknowledged_by) == (5, "open", None)
    assert world.ntfy.told[-2:] == ["escalated Disk full"] * 2
    assert world.email.told == ["escalated Disk full"]


async def test_falling_severity_changes_nothing(world: World) -> None:
    await world.report(a_report(severity=5))
    await world.report(a_report(severity=2))
    assert (world.alert().severity, world.alert().occurrences) == (5, 2)


async def test_events_out_of_a_spool_stretch_the_time_and_keep_the_newest_text(world: World) -> None:
    await world.report(a_report(title="newest", at=NOW))
    await world.report(a_report(title="older", at=NOW - HOUR), a_report(title="oldest", at=NOW - 2 * HOUR))
    alert = world.alert()
    assert (alert.title, alert.first_seen_at, alert.last_seen_at, alert.occurrences) == ("newest", NOW - 2 * HOUR, NOW, 3)


async def test_a_repetition_leaves_an_acknowledged_alert_quiet(world: World) -> None:
    await world.people()
    await world.report(a_report())
    await world.acknowledge(world.alert())
    letters = len(world.ntfy.letters)
    await world.report(a_report(), a_report())
    assert (world.alert().status, world.alert().occurrences) == ("acknowledged", 3)
    assert len(world.ntfy.letters) == letters


async def test_information_is_recorded_and_opens_nothing(world: World) -> None:
    await world.report(a_report(status="info"))
    assert (world.count(tables.events), world.alerts()) == (1, [])


@pytest.mark.claim("A3", "V1", "B8")
async def test_severity_1_is_recorded_and_nobody_is_told(world: World) -> None:
    await world.people()
    await world.report(a_report(severity=1))
    assert world.alert().severity == 1
    assert world.messages() == []


@pytest.mark.claim("A3", "V2", "V3", "V5", "N2", "L1")
@pytest.mark.parametrize(("severity", "push", "mail"), [(2, 2, 0), (3, 2, 1), (4, 2, 1), (5, 2, 1)])
async def test_severity_decides_the_channels(sqlite_world: World, severity: int, push: int, mail: int) -> None:
    await sqlite_world.people()
    await sqlite_world.report(a_report(severity=severity))
    assert (len(sqlite_world.ntfy.letters), len(sqlite_world.email.letters)) == (push, mail)


async def test_when_nobody_can_be_told_the_alert_says_so(world: World) -> None:
    await world.report(a_report(severity=4))
    (details,) = world.details(1, "opened")
    assert details == {"severity": 4, "told": "nobody: no contact is set up"}


async def test_an_event_without_a_title_gets_one_from_the_catalogue(world: World) -> None:
    await world.report(a_report(title=None, type="never.heard_of"))
    assert world.alert().title


@pytest.mark.claim("E4")
async def test_missing_numbers_of_a_sender_are_known(world: World) -> None:
    await world.report(*[a_report(f"d:{n}", source="shop", sequence=n) for n in (1, 2, 5)], skew=250)
    await world.report(a_report("d:4", source="shop", sequence=4), a_report("x", source="other", sequence=9))
    rows = {row.source: row for row in world.rows(sa.select(tables.sequences))}
    shop = rows["shop"]
    assert (shop.first_sequence, shop.last_sequence, shop.received, shop.missing, shop.skew_ms) == (1, 5, 4, 1, 250)
    assert json.loads(shop.gaps) == [{"first": 3, "last": 3}]
    assert (rows["other"].missing, rows["other"].skew_ms) == (0, None)


@pytest.mark.claim("E4")
async def test_a_replayed_event_leaves_its_number_alone(world: World) -> None:
    """A duplicate by id is no new number: a sender that repeats a batch after a lost answer is not accused of replays."""
    report = a_report(id=an_id(1), source="shop", sequence=1)
    await world.report(report)
    await world.report(report)
    (row,) = world.rows(sa.select(tables.sequences))
    assert (row.received, row.replayed) == (1, 0)


@pytest.mark.claim("E8")
async def test_what_cannot_be_taken_is_kept_with_the_reasons(world: World) -> None:
    rejected = Rejected(1, None, (FieldError("type", "is required"),), b'{"x": "\x00\xff"}')
    taken = await world.report(a_report(id=an_id(1)), rejected, a_report(id=an_id(3)))
    assert (taken.ids, taken.accepted) == ([an_id(1), None, an_id(3)], 2)
    (row,) = world.rows(sa.select(tables.quarantine))
    assert json.loads(row.errors) == [{"field": "type", "message": "is required"}]
    assert "\0" not in row.payload
    assert "\\xff" in row.payload
    assert (row.key_id, row.received_at) == ("key-1", NOW)


async def test_a_batch_of_nothing_but_rejects_is_kept_too(world: World) -> None:
    taken = await world.report(Rejected(0, None, (), b"x"), key_site="never-seen")
    assert taken.accepted == 0
    assert world.count(tables.quarantine) == 1


async def test_a_new_site_is_made_by_its_first_event(world: World) -> None:
    await world.report(a_report(site="acme"))
    assert world.core.sites.get("acme").id == world.alert().site_id


@pytest.mark.claim("F1")
async def test_a_new_site_that_came_to_nothing_is_not_remembered(world: World) -> None:
    """Its first transaction fails; the next new site may get its number, and must not get its events."""

    def fail(tx: Tx) -> None:
        world.core.ingest.take(tx, [Batch([a_report(site="acme")], None, None)])
        raise NotFound("something else in the same transaction")

    with pytest.raises(NotFound):
        await world.write(fail)
    await world.report(a_report(site="acme"))
    await world.report(a_report(site="beta"))
    places = dict(tuple(row) for row in world.rows(sa.select(tables.sites.c.id, tables.sites.c.slug)))
    assert [places.get(alert.site_id) for alert in world.alerts()] == ["acme", "beta"]


async def test_alert_numbers_rise_without_repeating(world: World) -> None:
    for n in range(5):
        await world.report(*[a_report(f"disk:{n}-{m}") for m in range(n + 1)])
    numbers = [alert.number for alert in world.alerts()]
    assert len(set(numbers)) == len(numbers) == 15
    assert numbers[0] == 1


async def test_a_large_batch_is_one_transaction(world: World) -> None:
    taken = await world.report(*[a_report(f"disk:{n % 700}", id=an_id(n + 1)) for n in range(2_000)])
    assert taken.accepted == 2_000
    assert sorted(alert.occurrences for alert in world.alerts()) == [2] * 100 + [3] * 600


# Two writers at once (PostgreSQL).


@pytest.mark.claim("A1", "A2", "L2", "O6", "B15")
async def test_two_writers_that_open_the_same_problem_at_once_make_one_alert(postgresql_url: str, tmp_path: Path) -> None:
    worlds = [World(postgresql_url, tmp_path / str(n), node=f"node-{n}") for n in range(2)]
    for world in worlds:
        world.core.announcer.use(FakeDispatch(may_send=False))
    await worlds[0].people(ONCALL_PHONE)
    await asyncio.to_thread(worlds[1].core.refresh)
    for turn in range(15):
        reports = [world.core.writer.submit(world.core.ingest.take, Batch(_same_problems(turn), None, None)) for world in worlds * 3]
        await asyncio.gather(*reports)
    alerts = worlds[0].alerts()
    assert [alert.occurrences for alert in alerts] == [6] * 15 * 3
    assert len({alert.dedup_key for alert in alerts}) == len(alerts)
    assert len(worlds[0].messages(kind="opened")) == len(alerts)
    for world in worlds:
        await world.close()


def _same_problems(turn: int) -> list[Any]:
    return [a_report(f"disk:{turn}-{n}") for n in range(3)]


@pytest.mark.claim("E8", "O6", "B15")
async def test_two_nodes_that_get_the_same_event_at_once_store_it_once(postgresql_url: str, tmp_path: Path) -> None:
    worlds = [World(postgresql_url, tmp_path / str(n), node=f"node-{n}") for n in range(2)]
    batch = Batch([a_report(f"disk:{n}", id=an_id(n)) for n in range(20)], None, None)
    taken = await asyncio.gather(*[world.core.writer.submit(world.core.ingest.take, batch) for world in worlds * 4])
    assert sum(one.accepted for one in taken) == 20
    assert sum(one.duplicates for one in taken) == 7 * 20
    assert worlds[0].count(tables.events) == 20
    for world in worlds:
        await world.close()

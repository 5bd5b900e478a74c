"""What time and people do to stored alerts. On both databases."""

import pytest

from tests.build import ONCALL_PHONE, a_report
from tests.fakes import NOW
from tests.world import World
from tocsin.alerts import rules
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.severity import Severity
from tocsin.db import tables


@pytest.mark.claim("A6", "L5")
async def test_an_acknowledgement_that_expires_pages_again(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report(severity=4))
    await world.acknowledge(world.alert())
    await world.pass_time(4 * HOUR - 1)
    assert (world.alert().status, world.ntfy.told) == ("acknowledged", ["opened Disk full", "acknowledged Disk full"])
    await world.pass_time(1)
    assert (world.alert().status, world.alert().acknowledged_by, world.alert().generation) == ("open", None, 2)
    assert world.ntfy.told[-1] == "repeated Disk full"
    assert "acknowledgement_expired: nobody resolved it before the acknowledgement expired" in world.history(1)


async def test_a_snooze_that_ends_pages_again_and_until_then_it_is_quiet(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report(severity=4))
    await world.act(world.alert(), lambda alert, now: rules.snooze(alert, "marta", now + HOUR, None, now))
    await world.pass_time(30 * MINUTE)
    await world.report(a_report(severity=4, at=world.clock.at))
    assert (world.alert().status, world.ntfy.told) == ("snoozed", ["opened Disk full"])
    await world.pass_time(30 * MINUTE)
    assert world.alert().status == "open"
    assert world.ntfy.told == ["opened Disk full", "repeated Disk full"]


@pytest.mark.claim("A1", "A6")
async def test_who_takes_it_again_after_a_snooze_is_told_of_again(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report())
    for _ in range(3):
        await world.acknowledge(world.alert())
        await world.act(world.alert(), lambda alert, now: rules.snooze(alert, "marta", now + HOUR, None, now))
    await world.acknowledge(world.alert())
    assert world.alert().status == "acknowledged"
    assert world.ntfy.told == ["opened Disk full", *["acknowledged Disk full"] * 4]


async def test_what_is_resolved_in_the_meantime_stays_so(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report())
    await world.acknowledge(world.alert())
    await world.resolve(world.alert())
    letters = world.ntfy.told
    await world.pass_time(2 * DAY)
    assert world.alert().status == "resolved"
    assert world.ntfy.told == letters


async def test_many_alerts_come_due_at_once(world: World) -> None:
    """More than one step takes at a time; none is forgotten."""
    await world.report(*[a_report(f"disk:{n}", severity=1) for n in range(1_100)])
    for alert in world.alerts():
        await world.write(world.core.actions.act(alert.id, world.core.actions.acknowledge("marta")))
    world.clock.advance(4 * HOUR)
    counts = [await world.write(world.core.actions.come_due) for _ in range(4)]
    assert counts == [500, 500, 100, 0]
    assert {alert.status for alert in world.alerts()} == {"open"}


async def test_who_takes_an_alert_again_after_a_snooze_is_announced_again(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report(severity=4))
    await world.acknowledge(world.alert())
    await world.act(world.alert(), lambda alert, now: rules.snooze(alert, "marta", now + HOUR, None, now))
    await world.acknowledge(world.alert(), "ben@example.com")
    assert world.ntfy.told == ["opened Disk full", "acknowledged Disk full", "acknowledged Disk full"]


@pytest.mark.claim("A9")
async def test_each_step_of_a_person_is_written_down_with_name_and_time(world: World) -> None:
    await world.report(a_report(severity=1))
    await world.acknowledge(world.alert(), "marta@example.com")
    world.clock.advance(MINUTE)
    await world.resolve(world.alert(), "ben@example.com")
    rows = world.rows(tables.alert_history.select().order_by(tables.alert_history.c.number))
    assert [(row.at, row.actor, row.action) for row in rows] == [
        (NOW, "tocsin", "opened"),
        (NOW, "marta@example.com", "acknowledged"),
        (NOW + MINUTE, "ben@example.com", "resolved"),
    ]


async def test_an_action_that_holds_already_adds_nothing(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report())
    for _ in range(3):
        await world.acknowledge(world.alert())
    assert world.history(1).count("acknowledged: asked for") == 1
    assert world.ntfy.told.count("acknowledged Disk full") == 1


async def test_a_forbidden_action_changes_nothing(world: World) -> None:
    await world.report(a_report(severity=1))
    await world.resolve(world.alert())
    before = world.alert()
    with pytest.raises(Conflict):
        await world.acknowledge(world.alert())
    assert world.alert() == before


async def test_an_alert_that_does_not_exist_cannot_be_acted_on(world: World) -> None:
    with pytest.raises(NotFound, match="there is no alert nonsense"):
        await world.write(world.core.actions.act("nonsense", world.core.actions.acknowledge("marta")))


@pytest.mark.claim("S3", "F1")
async def test_a_key_of_one_site_cannot_act_on_another_sites_alert(world: World) -> None:
    await world.report(a_report(site="acme"))
    alert = world.alert()
    with pytest.raises(NotFound):
        await world.write(
            world.core.actions.act(alert.id, world.core.actions.acknowledge("marta"), site_ids=frozenset({alert.site_id + 1}))
        )
    await world.write(world.core.actions.act(alert.id, world.core.actions.acknowledge("marta"), site_ids=frozenset({alert.site_id})))
    assert world.alert().status == "acknowledged"


@pytest.mark.claim("Q9")
async def test_a_test_alert_goes_the_real_way_and_each_is_a_new_one(world: World) -> None:
    await world.people(ONCALL_PHONE)
    for _ in range(2):
        await world.write(world.core.actions.test_alert(Severity.HIGH, "main", Who("marta")))
    await world.settle()
    assert [alert.severity for alert in world.alerts()] == [4, 4]
    assert len(world.ntfy.letters) == 2

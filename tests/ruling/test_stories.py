"""Event rules as stories: what comes in, what they make of it, who hears of it and when. An unexpected message fails a story."""

from functools import partial
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from tests.build import ONCALL_PHONE, a_recovery, a_report
from tests.escalation.crew import Crew, step, user
from tests.muting.build import a_silence, keep
from tests.ruling.build import OLGA, a_rule, at_night, make, refresh
from tests.world import World
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.db import tables
from tocsin.events.model import Incoming
from tocsin.ruling import backtest, service, store
from tocsin.ruling.model import Actions, Threshold
from tocsin.whmcs import store as whmcs_store
from tocsin.whmcs.model import Impact

pytestmark = pytest.mark.claim("A10")


@pytest.fixture
async def quiet_world(world: World) -> World:
    """One phone, at noon in Berlin."""
    world.clock.at += 11 * HOUR
    await world.people(ONCALL_PHONE)
    return world


def at(world: World, **changes: Any) -> Incoming:
    return a_report(at=world.clock.at, **{"severity": 4, **changes})


async def test_a_rule_sets_severity_title_and_key_and_the_history_names_it(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", name="Disks", severity=2, title="{subject} of {site}", dedup_key="disks of {site}"))
    await world.report(at(world), at(world, subject="disk:/var"))
    alert = world.alert()
    assert (alert.severity, alert.title, alert.dedup_key, alert.occurrences) == (2, "disk:/var of main", "disks of main", 2)
    said = 'rule "Disks" (version 1): severity 2, dedup key disks of {site}, title {subject} of {site}'
    assert world.details(1, "opened")[0]["rules"] == [said]
    assert world.ntfy.told == ["opened disk:/var of main"]
    await world.report(a_recovery(at=world.clock.at))
    assert world.alert().status == "resolved"


async def test_a_rule_about_a_site_holds_for_the_very_first_event_of_it(quiet_world: World) -> None:
    await make(quiet_world, a_rule("site=brandnew", severity=2))
    await quiet_world.report(at(quiet_world, site="brandnew"))
    assert quiet_world.alert().severity == 2


async def test_the_event_is_kept_as_it_came(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", severity=2, title="Other"))
    await world.report(at(world))
    (row,) = world.rows(sa.select(tables.events.c.severity, tables.events.c.title, tables.events.c.alert_number))
    assert tuple(row) == (4, "Disk full", 1)


async def test_a_rule_chooses_the_policy(world: World) -> None:
    crew = await Crew(world).start("2026-01-07T01:12")
    policy = await crew.policy(step(0, user(crew.ids["ben"])), default=False)
    await make(world, a_rule("type^disk.", policy=policy.id))
    await world.report(a_report(severity=4, at=crew.begun_at))
    await world.settle()
    assert {line.partition(" ")[2].split()[1].rstrip(":") for line in crew.told} <= {"ben", "+4915100000002", "ben@example.com"}
    assert crew.told


async def test_nobody_hears_of_what_is_over_before_the_delay_ends(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", name="Wait", delay_seconds=300))
    await world.report(at(world))
    assert (world.alert().muted_by or "").startswith('rule "Wait", which waits until 2025-11-25T11:05:00')
    await world.pass_time(4 * MINUTE)
    await world.report(a_recovery(at=world.clock.at))
    await world.pass_time(HOUR)
    assert world.ntfy.told == []
    assert (world.alert().status, world.alert().noise_at) == ("resolved", None)


async def test_what_is_still_there_when_the_delay_ends_pages(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", name="Wait", delay_seconds=300))
    await world.report(at(world))
    await world.pass_time(5 * MINUTE - 1)
    assert world.ntfy.told == []
    await world.pass_time(1)
    assert world.ntfy.told == ["repeated Disk full"]
    await world.pass_time(10 * MINUTE)
    assert world.ntfy.told == ["repeated Disk full"]
    assert "unmuted: what kept it quiet ended with the problem still there" in world.history(1)


async def test_a_silence_outlasts_a_delay(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", delay_seconds=300))
    await keep(world, a_silence("type=disk.full", starts_at=world.clock.at, ends_at=world.clock.at + HOUR))
    await world.report(at(world))
    await world.pass_time(HOUR - 1)
    assert world.ntfy.told == []
    await world.pass_time(SECOND)
    assert world.ntfy.told == ["repeated Disk full"]


async def test_getting_worse_ends_a_delay_that_is_not_meant_for_it(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("severity=3", delay_seconds=300))
    await world.report(at(world, severity=3))
    await world.pass_time(MINUTE)
    await world.report(at(world, severity=5))
    assert world.ntfy.told == ["escalated Disk full"]
    await world.pass_time(10 * MINUTE)
    assert world.ntfy.told == ["escalated Disk full"]


async def test_people_are_told_once_as_many_events_came_as_the_rule_asks_for(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", name="Thrice", threshold=Threshold(3, 600)))
    for _ in range(4):  # every six minutes: never three in ten
        await world.report(at(world))
        await world.pass_time(6 * MINUTE)
    assert world.ntfy.told == []
    assert world.alert().muted_by == 'rule "Thrice" until there are 3 events within 10 min'
    await world.report(at(world))
    await world.pass_time(3 * MINUTE)
    await world.report(at(world))
    assert world.ntfy.told == ["repeated Disk full"]
    assert "unmuted: as many events came as the rule asks for" in world.history(1)
    await world.pass_time(10 * MINUTE)
    await world.report(at(world))
    assert world.ntfy.told == ["repeated Disk full"], "from then on it is an alert like any other"


async def test_a_threshold_that_is_reached_within_one_request_pages_as_opened(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", threshold=Threshold(2, 60)))
    await world.report(at(world), at(world), at(world))
    assert world.ntfy.told == ["opened Disk full"]


async def test_old_events_that_come_late_count_by_when_they_occurred(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", threshold=Threshold(2, 60)))
    now = world.clock.at
    await world.report(*[a_report(severity=4, at=now - n * HOUR) for n in range(3)])
    assert world.ntfy.told == []


@pytest.mark.claim("B6")
async def test_what_a_rule_mutes_is_recorded_and_tells_nobody_until_the_rule_is_gone(quiet_world: World) -> None:
    world = quiet_world
    (rule,) = await make(world, a_rule("type^disk.", name="Never", mute=True))
    await world.report(at(world))
    await world.pass_time(2 * HOUR)
    assert (world.ntfy.told, world.alert().muted_by) == ([], 'rule "Never"')
    await world.write(lambda tx: service.remove(tx, OLGA, rule.id, world.clock.at))
    await refresh(world)
    assert world.ntfy.told == ["repeated Disk full"]


async def test_what_a_rule_mutes_at_night_pages_in_the_morning_if_it_is_still_there(quiet_world: World) -> None:
    world = quiet_world
    world.clock.at += 12 * HOUR  # midnight in Berlin
    await make(world, a_rule("type^disk.", mute=True, **at_night()))
    await world.report(at(world))
    await world.pass_time(5 * HOUR + 59 * MINUTE)
    assert world.ntfy.told == []
    await world.pass_time(10 * MINUTE)
    assert world.ntfy.told == ["repeated Disk full"]


async def test_a_repeat_that_the_rules_would_not_mute_ends_the_quiet(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("title=Disk full", name="Only full", mute=True))
    await world.report(at(world))
    await world.report(at(world, title="Disk broken"))
    assert world.ntfy.told == ["repeated Disk broken"]


async def test_whoever_has_an_alert_is_not_told_when_its_delay_ends(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("type^disk.", delay_seconds=300))
    await world.report(at(world))
    await world.acknowledge(world.alert())
    await world.pass_time(HOUR)
    assert world.ntfy.told == []
    assert (world.alert().status, world.alert().muted_by) == ("acknowledged", None)


async def test_a_rule_that_cannot_be_used_decides_nothing_and_loses_nothing(quiet_world: World) -> None:
    world = quiet_world
    (rule,) = await make(world, a_rule("type^disk.", mute=True))
    broken = msgspec.structs.replace(rule, matchers=a_rule("host~(").matchers, version=2)
    await world.write(lambda tx: store.change(tx, broken, "somebody with a database tool", world.clock.at))
    await refresh(world)
    await world.report(at(world))
    assert world.ntfy.told == ["opened Disk full"]


# Versions and order.


async def test_a_rule_goes_back_to_an_older_version_also_after_it_was_removed(world: World) -> None:
    (rule,) = await make(world, a_rule("host=web-1", severity=2))
    now, policies = world.clock.at, {"default"}
    await world.write(lambda tx: service.change(tx, OLGA, rule.id, {"actions": Actions(severity=5)}, None, policies, now))
    back = await world.write(lambda tx: service.restore(tx, OLGA, rule.id, 1, policies, now))
    assert (back.rule.actions.severity, back.rule.version) == (2, 3)
    await world.write(lambda tx: service.remove(tx, OLGA, rule.id, now))
    with pytest.raises(NotFound):
        await world.write(lambda tx: service.remove(tx, OLGA, rule.id, now))
    again = await world.write(lambda tx: service.restore(tx, OLGA, rule.id, 2, policies, now))
    assert (again.rule.actions.severity, again.rule.version) == (5, 4)
    with pytest.raises(InvalidInput, match="the newest is 4"):
        await world.write(lambda tx: service.restore(tx, OLGA, rule.id, 9, policies, now))


async def test_rules_are_asked_in_the_order_that_people_gave_them(world: World) -> None:
    one, two, three = await make(world, a_rule("host=a", number=1), a_rule("host=b", number=2), a_rule("host=c", number=3))

    def names() -> list[str]:
        return [rule.name for rule in world.core.rules.current.rules]

    for rule, position in ((three, 1), (one, 99), (two, 2)):
        moved = partial(service.change, who=OLGA, rule_id=rule.id, wanted={}, position=position, policies={"default"}, now=world.clock.at)
        await world.write(moved)
    await refresh(world)
    assert names() == ["Rule 3", "Rule 2", "Rule 1"]


async def test_two_rules_do_not_share_a_name(world: World) -> None:
    await make(world, a_rule("host=a", name="One"))
    with pytest.raises(Conflict, match="already a rule named One"):
        await make(world, a_rule("host=b", name=" One "))


# What hangs on a thing.


async def the_survey_found(world: World, *impacts: Impact) -> None:
    site = world.core.sites.get("main").id
    await world.write(lambda tx: whmcs_store.replace(tx, site, list(impacts)))
    await refresh(world)


WEB_1 = Impact("server", "1", ("web1.example.com", "web1"), "Web 1", 182, 140, money={"EUR": 231_000})
STRIPE = Impact("gateway", "stripe", ("stripe",), "stripe", clients=3, due=4, failed=2, money={"EUR": 4_000, "USD": 9_000})


@pytest.mark.claim("A12")
async def test_what_is_dear_pages_louder_and_what_is_not_known_as_it_came(quiet_world: World) -> None:
    world = quiet_world
    await the_survey_found(world, WEB_1, STRIPE)
    dear, due = a_rule("impact.monthly_income>=500", severity=5), a_rule("impact.due_amount>=80", number=2, severity=3)
    await make(world, dear, due)
    await world.report(
        at(world, type="host.down", host="WEB1", severity=3),
        at(world, type="host.down", host="web2", severity=3),
        at(world, type="gateway.down", severity=2, attributes=msgspec.Raw(b'{"gateway": "Stripe"}')),
    )
    assert [alert.severity for alert in world.alerts()] == [5, 3, 3]
    assert world.details(1, "opened")[0]["rules"] == ['rule "Rule 1" (version 1): severity 5']


@pytest.mark.claim("A12")
async def test_an_open_alert_gets_louder_with_its_next_event_after_a_survey_found_what_it_costs(quiet_world: World) -> None:
    world = quiet_world
    await make(world, a_rule("impact.clients>=100", severity=5))
    await world.report(at(world, type="host.down", host="web1", severity=3))
    await the_survey_found(world, WEB_1)
    assert world.alert().severity == 3
    await world.report(at(world, type="host.down", host="web1", severity=3))
    assert world.alert().severity == 5


@pytest.mark.claim("A12")
async def test_a_back_test_counts_with_what_is_known_today(quiet_world: World) -> None:
    world = quiet_world
    for host in ("web1", "web2", "web1"):
        await world.report(at(world, type="host.down", host=host, subject=host, severity=3))
        await world.report(a_recovery(type="host.down", host=host, subject=host, at=world.clock.at))
        world.clock.advance(HOUR)
    await the_survey_found(world, WEB_1)
    cheap = a_rule("impact.clients>=100", severity=1)
    with world.core.database.read() as connection:
        found = backtest.run(connection, [], [cheap], world.core.sites, world.clock.at, figures_of=world.core.impacts.figures)
    assert (found.before.pages, found.after.pages) == (3, 1)

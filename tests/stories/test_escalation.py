"""Escalation as stories: who hears of a problem that nobody takes, and when. An unexpected message fails a story."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.build import a_recovery, a_report
from tests.escalation.crew import Crew, step, user
from tests.fakes import DOWN, NO_SUCH_ADDRESS, SENT
from tests.muting.build import a_maintenance, a_silence, keep
from tests.world import World
from tocsin.alerts import rules as alert_rules
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.errors import Conflict
from tocsin.core.severity import Severity
from tocsin.escalation.model import Target, TargetKind
from tocsin.reports.reasons import explain
from tocsin.reports.service import story

pytestmark = pytest.mark.claim("A4", "K6")

NIGHT = "2026-01-07T01:12"  # a Wednesday, 02:12 in Berlin


@pytest.fixture
async def crew(world: World) -> AsyncIterator[Crew]:
    """The company at night, on each kind of database."""
    crew = await Crew(world).start(NIGHT)
    yield crew
    crew.nothing_is_forgotten()


@pytest.fixture
async def small_crew(sqlite_world: World) -> AsyncIterator[Crew]:
    """The same on SQLite, where the database makes no difference."""
    crew = await Crew(sqlite_world).start(NIGHT)
    yield crew
    crew.nothing_is_forgotten()


def schedule(schedule_id: str) -> Target:
    return Target(TargetKind.SCHEDULE, schedule_id)


# The built-in policy.


@pytest.mark.claim("A3", "L4", "origin:E1", "origin:E2", "origin:E3")
async def test_the_whole_chain_of_a_severity_5_at_night_with_nobody_answering(crew: Crew) -> None:
    """Push and all else at once; after 15 minutes mail to the administrators; after 30 the engineer on call by SMS. Then it has ended."""
    await crew.rota("anna", "ben", unit="week")
    await crew.world.report(a_report(severity=5, at=crew.begun_at))
    await crew.world.pass_time(24 * HOUR)
    assert crew.told == [
        "00:00 ntfy anna: opened",
        "00:00 sms +4915100000001: opened",
        "00:15 email olga@example.com: escalated",
        "00:30 sms +4915100000001: escalated",
    ]
    assert crew.why() == ["1: nobody acknowledged it in time", "2: nobody acknowledged it in time"]
    assert (crew.progress().state, crew.progress().level, crew.progress().next_at) == ("ended", 2, None)
    assert crew.world.alert().status == "open"


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        (1, []),
        (2, ["00:00 ntfy anna: opened"]),
        (3, ["00:00 ntfy anna: opened", "01:00 email olga@example.com: escalated", "02:00 sms +4915100000001: escalated"]),
        (
            4,
            [
                "00:00 ntfy anna: opened",
                "00:00 sms +4915100000001: opened",
                "00:30 email olga@example.com: escalated",
                "01:00 sms +4915100000001: escalated",
            ],
        ),
    ],
)
@pytest.mark.claim("A3", "V2", "V3", "V4", "origin:E1", "origin:E2", "origin:E3")
async def test_the_quieter_an_alert_the_fewer_hear_of_it_and_the_later(small_crew: Crew, severity: int, told: list[str]) -> None:
    crew = small_crew
    await crew.rota("anna", "ben", unit="week")
    await crew.world.report(a_report(severity=severity, at=crew.begun_at))
    await crew.world.pass_time(24 * HOUR)
    assert crew.told == told


@pytest.mark.claim("B10")
async def test_a_test_alert_shows_what_a_night_would_be_like_and_who_was_reached_when(small_crew: Crew) -> None:
    await small_crew.rota("anna", "ben", unit="week")
    await small_crew.world.write(small_crew.world.core.actions.test_alert(Severity.HIGH, "main", Who("olga@example.com")))
    await small_crew.world.settle()
    await small_crew.world.pass_time(2 * HOUR)
    assert small_crew.told == [
        "00:00 ntfy anna: opened",
        "00:00 sms +4915100000001: opened",
        "00:30 email olga@example.com: escalated",
        "01:00 sms +4915100000001: escalated",
    ]
    assert "Test" in small_crew.world.alert().title
    reached = [(line["contact"], line["outcome"]) for line in small_crew.world.details(1, "notified")]
    assert sorted(reached[:2]) == [("ntfy anna", "sent"), ("sms +4915100000001", "sent")]
    assert reached[2:] == [("email olga@example.com", "sent"), ("sms +4915100000001", "sent")]
    await small_crew.world.acknowledge(small_crew.world.alert(), "anna@example.com")
    assert small_crew.world.alert().status == "acknowledged"


async def test_without_schedules_everybody_who_may_act_is_on_call(small_crew: Crew) -> None:
    await small_crew.world.report(a_report(severity=2, at=small_crew.begun_at))
    assert small_crew.told == ["00:00 email olga@example.com: opened", "00:00 ntfy anna: opened", "00:00 ntfy ben: opened"]


@pytest.mark.claim("N7")
async def test_with_the_contacts_of_the_settings_alone_they_are_told_at_once_and_again_as_time_goes_by(sqlite_world: World) -> None:
    crew = Crew(sqlite_world)
    await crew.shared("ntfy", "whmcs-alerts")
    await crew.shared("email", "ops@example.com")
    await crew.world.report(a_report(severity=5, at=crew.begun_at))
    await crew.world.pass_time(24 * HOUR)
    assert crew.told == [
        "00:00 email ops@example.com: opened",
        "00:00 ntfy whmcs-alerts: opened",
        "00:15 email ops@example.com: escalated",
        "00:30 email ops@example.com: escalated",
        "00:30 ntfy whmcs-alerts: escalated",
    ]


# Acknowledge, snooze, resolve.


@pytest.mark.claim("A6", "L4")
async def test_an_acknowledgement_in_the_middle_stops_it_and_those_who_were_told_hear_who_has_it(crew: Crew) -> None:
    await crew.policy(step(0, user(crew.ids["anna"])), step(15, user(crew.ids["ben"])), step(15, user(crew.ids["olga"])))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(20 * MINUTE)
    await crew.world.acknowledge(crew.world.alert(), "ben@example.com")
    await crew.world.pass_time(3 * HOUR)
    pages = [line for line in crew.told if "acknowledged" not in line]
    assert pages == [
        "00:00 ntfy anna: opened",
        "00:00 sms +4915100000001: opened",
        "00:15 ntfy ben: escalated",
        "00:15 sms +4915100000002: escalated",
    ]
    assert sorted(line for line in crew.told if "acknowledged" in line) == ["00:20 ntfy anna: acknowledged", "00:20 ntfy ben: acknowledged"]
    assert (crew.progress().state, crew.progress().next_at) == ("stopped", None)


@pytest.mark.claim("A6", "L5")
async def test_an_acknowledgement_that_expires_starts_it_again_from_the_beginning(crew: Crew) -> None:
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)), step(15, user(crew.ids["ben"]), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(20 * MINUTE)
    await crew.world.acknowledge(crew.world.alert())
    await crew.world.pass_time(4 * HOUR + 20 * MINUTE)
    assert [line for line in crew.told if "acknowledged" not in line] == [
        "00:00 ntfy anna: opened",
        "00:15 ntfy ben: escalated",
        "04:20 ntfy anna: repeated",
        "04:35 ntfy ben: escalated",
    ]


async def test_a_snooze_stops_it_and_its_end_starts_it_again(crew: Crew) -> None:
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)), step(15, user(crew.ids["ben"]), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(10 * MINUTE)
    await crew.world.act(crew.world.alert(), lambda alert, now: alert_rules.snooze(alert, "anna", now + HOUR, None, now))
    await crew.world.pass_time(2 * HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "01:10 ntfy anna: repeated", "01:25 ntfy ben: escalated"]


async def test_giving_it_back_starts_it_again_at_once(small_crew: Crew) -> None:
    crew = small_crew
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)), step(15, user(crew.ids["ben"]), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.acknowledge(crew.world.alert(), "Anna")
    await crew.world.pass_time(5 * MINUTE)
    await crew.world.act(crew.world.alert(), lambda alert, now: alert_rules.unacknowledge(alert, "Anna", None, now))
    await crew.world.pass_time(HOUR)
    assert crew.told == [
        "00:00 ntfy anna: opened",
        "00:00 ntfy anna: acknowledged",
        "00:05 ntfy anna: repeated",
        "00:20 ntfy ben: escalated",
    ]


async def test_what_is_over_escalates_no_further_and_only_those_who_heard_hear_it(crew: Crew) -> None:
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)), step(15, user(crew.ids["ben"])))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(14 * MINUTE)
    await crew.world.report(a_recovery(at=crew.world.clock.at))
    await crew.world.pass_time(3 * HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "00:14 ntfy anna: resolved"]
    await crew.world.report(a_report(severity=4, at=crew.world.clock.at))
    assert crew.told[-1] == "03:14 ntfy anna: opened", "a new alert begins at the beginning"


@pytest.mark.claim("A3")
async def test_rising_severity_pages_again_from_the_beginning_and_with_its_own_delays(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(60, ben, channels=("ntfy",), delay_by_severity={5: 300}))
    await crew.world.report(a_report(severity=3, at=crew.begun_at))
    await crew.world.acknowledge(crew.world.alert(), "Anna")
    await crew.world.pass_time(10 * MINUTE)
    await crew.world.report(a_report(severity=5, at=crew.world.clock.at))
    await crew.world.report(a_report(severity=4, at=crew.world.clock.at))
    await crew.world.pass_time(HOUR)
    assert crew.told == [
        "00:00 ntfy anna: opened",
        "00:00 ntfy anna: acknowledged",
        "00:10 ntfy anna: escalated",
        "00:15 ntfy ben: escalated",
    ]


# Schedules.


@pytest.mark.claim("A5", "K7")
async def test_a_hand_off_during_an_escalation_means_that_the_next_step_finds_who_is_on_call_then(crew: Crew) -> None:
    """Anna's week ends at 09:00. What is due before reaches her, what is due after reaches Ben."""
    rota = await crew.rota("anna", "ben")
    crew.world.clock.at = crew.begun_at = crew.begun_at + 6 * HOUR + 38 * MINUTE  # 08:50 in Berlin
    await crew.policy(
        step(0, schedule(rota.id), channels=("ntfy",)), step(8, schedule(rota.id), channels=("ntfy",)), step(8, schedule(rota.id))
    )
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(HOUR)
    assert crew.told == [
        "00:00 ntfy ben: opened",
        "00:08 ntfy ben: escalated",
        "00:16 ntfy anna: escalated",
        "00:16 sms +4915100000001: escalated",
    ]
    with crew.world.core.database.read() as connection:
        said = [one.text for one in explain(story(connection, crew.world.alert())) if one.what in ("opened", "policy", "escalated")]
    assert [text[text.find("On call: ") :] for text in said if "On call: " in text] == [
        "On call: Ben in First line.",
        "On call: Ben in First line.",
        "On call: Anna in First line.",
    ]
    assert "Whom to tell, and when, says the policy Policy 0 as it then was." in said


@pytest.mark.claim("A5")
async def test_on_the_night_when_the_clocks_go_forward_delays_are_real_minutes_and_turns_are_wall_clock(sqlite_world: World) -> None:
    """Sunday 2026-03-29: at 02:00 it is 03:00. Turns change at 03:00; an alert at 01:50 escalates 10 real minutes later."""
    crew = await Crew(sqlite_world).start("2026-03-29T00:50")
    rota = await crew.rota("anna", "ben", starts_at="2026-03-28T03:00")
    await crew.policy(step(0, schedule(rota.id), channels=("ntfy",)), step(10, schedule(rota.id), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "00:10 ntfy ben: escalated"]


@pytest.mark.claim("A5")
async def test_on_the_night_when_the_clocks_go_back_the_hour_that_comes_twice_is_two_hours_of_the_same_turn(sqlite_world: World) -> None:
    """Sunday 2026-10-25: at 03:00 it is 02:00 again. Turns change at 03:00, which is two real hours after the first 02:00."""
    crew = await Crew(sqlite_world).start("2026-10-25T00:05")  # 02:05 in Berlin, for the first time
    rota = await crew.rota("anna", "ben", starts_at="2026-10-24T03:00")
    await crew.policy(*[step(minutes, schedule(rota.id), channels=("ntfy",)) for minutes in (0, 60, 60)])
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(5 * HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "01:00 ntfy anna: escalated", "02:00 ntfy ben: escalated"]


# Quiet.


@pytest.mark.claim("A7")
async def test_what_is_still_there_when_the_maintenance_ends_escalates_from_the_beginning(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(15, ben, channels=("ntfy",)))
    now = crew.begun_at
    await keep(crew.world, a_maintenance("host=web-1", starts_at=now, ends_at=now + 2 * HOUR))
    await crew.world.report(a_report(severity=5, host="web-1", at=now))
    await crew.world.pass_time(5 * HOUR)
    assert crew.told == ["02:00 ntfy anna: repeated", "02:15 ntfy ben: escalated"]


@pytest.mark.claim("A7")
async def test_a_silence_that_begins_in_the_middle_stops_the_chain_and_its_end_starts_it_again(crew: Crew) -> None:
    """Anna is told, and silences the host for an hour instead of taking the alert: Ben hears nothing until the silence is over."""
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(15, ben, channels=("ntfy",)))
    now = crew.begun_at
    await crew.world.report(a_report(severity=4, host="web-1", at=now))
    await crew.world.pass_time(14 * MINUTE)
    await keep(crew.world, a_silence("host=web-1", starts_at=now + 14 * MINUTE, ends_at=now + 74 * MINUTE))
    await crew.world.pass_time(5 * HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "01:14 ntfy anna: repeated", "01:29 ntfy ben: escalated"]
    assert "muted: a silence, maintenance or dependency began to keep it quiet" in crew.world.history(1)


# Two engineers.


@pytest.mark.claim("A6")
async def test_of_two_engineers_who_acknowledge_at_once_the_first_has_it_and_both_hear_it_once(crew: Crew) -> None:
    await crew.policy(step(0, user(crew.ids["anna"]), user(crew.ids["ben"]), channels=("ntfy",)), step(15, user(crew.ids["olga"])))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(2 * MINUTE)
    alert = crew.world.alert()
    both = [crew.world.write(crew.world.core.actions.act(alert.id, crew.world.core.actions.acknowledge(who))) for who in ("Anna", "Ben")]
    found = await asyncio.gather(*both)
    await crew.world.pass_time(HOUR)
    assert len({one.acknowledged_by for one in found}) == 1
    assert crew.told == [
        "00:00 ntfy anna: opened",
        "00:00 ntfy ben: opened",
        "00:02 ntfy anna: acknowledged",
        "00:02 ntfy ben: acknowledged",
    ]


@pytest.mark.claim("A6")
async def test_who_acknowledges_while_another_escalates_ends_the_chain_or_starts_it_but_never_both(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(60, ben, channels=("ntfy",)), step(60, user(crew.ids["olga"])))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    alert, actions = crew.world.alert(), crew.world.core.actions
    await asyncio.gather(
        crew.world.write(actions.act(alert.id, actions.acknowledge("Anna"))), crew.world.write(actions.escalate(alert.id, Who("Ben"), 0))
    )
    await crew.world.pass_time(HOUR + MINUTE)
    opened = crew.world.alert().status == "open"  # Ben came second: he wanted more people than the one who has it
    assert [line for line in crew.told if "olga" in line] == (["01:00 email olga@example.com: escalated"] if opened else [])
    assert len([line for line in crew.told if "ntfy ben: escalated" in line]) == 1


@pytest.mark.claim("A6")
async def test_two_engineers_who_press_escalate_at_once_escalate_once(crew: Crew) -> None:
    anna, ben, olga = [user(crew.ids[name]) for name in ("anna", "ben", "olga")]
    await crew.policy(step(0, anna, channels=("ntfy",)), step(60, ben, channels=("ntfy",)), step(60, olga))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(2 * MINUTE)
    for who in ("anna@example.com", "ben@example.com"):
        await crew.escalate(crew.world.alert(), who, from_level=0)
    await crew.world.pass_time(59 * MINUTE)
    assert crew.told == ["00:00 ntfy anna: opened", "00:02 ntfy ben: escalated"]
    assert crew.progress().next_at == crew.begun_at + 62 * MINUTE, "the step after it waits its delay from now on"
    assert crew.why() == ["1: asked for"]


async def test_escalating_what_somebody_has_goes_on_from_where_it_stood(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(60, ben, channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.acknowledge(crew.world.alert(), "Anna")
    await crew.world.pass_time(10 * MINUTE)
    changed = await crew.escalate(crew.world.alert(), "Anna")
    await crew.world.pass_time(3 * HOUR)
    assert changed.status == "open"
    assert crew.told == ["00:00 ntfy anna: opened", "00:00 ntfy anna: acknowledged", "00:10 ntfy ben: escalated"]
    assert "unacknowledged: somebody asked for more people to be told" in crew.world.history(1)
    with pytest.raises(Conflict, match="has reached the last level"):
        await crew.escalate(crew.world.alert())


async def test_what_is_resolved_cannot_be_escalated(small_crew: Crew) -> None:
    crew = small_crew
    await crew.world.report(a_report(severity=4))
    await crew.world.resolve(crew.world.alert())
    with pytest.raises(Conflict, match="nothing to escalate"):
        await crew.escalate(crew.world.alert())


async def test_an_alert_for_the_log_only_can_be_escalated_all_the_same(small_crew: Crew) -> None:
    crew = small_crew
    await crew.policy(step(0, user(crew.ids["anna"])), step(15, user(crew.ids["ben"])))
    await crew.world.report(a_report(severity=1, at=crew.begun_at))
    await crew.escalate(crew.world.alert())
    assert crew.told == ["00:00 ntfy anna: opened"]


# Who cannot be reached.


@pytest.mark.claim("A4")
async def test_an_alert_that_opened_while_there_was_nobody_pages_the_first_who_can_be_told(world: World) -> None:
    crew = Crew(world)
    await crew.world.report(a_report(severity=5, at=crew.begun_at))
    await crew.world.pass_time(HOUR)
    assert (crew.told, crew.progress().state) == ([], "alone")
    await crew.shared("ntfy", "whmcs-alerts")
    await crew.world.pass_time(20 * MINUTE)
    assert crew.told == ["01:00 ntfy whmcs-alerts: repeated", "01:15 ntfy whmcs-alerts: escalated"]
    assert "restarted: there is somebody to tell now" in crew.world.history(1)


async def test_what_reached_nobody_is_escalated_from_the_level_that_is_shown(sqlite_world: World) -> None:
    """Somebody has just been set up, and whoever looks at level 2 presses before the engine has found them."""
    crew = Crew(sqlite_world)
    await crew.world.report(a_report(severity=5, at=crew.begun_at))
    seen = crew.progress()
    assert (seen.state, seen.level) == ("alone", 2)
    await crew.shared("ntfy", "whmcs-alerts")
    await crew.escalate(crew.world.alert(), from_level=1)
    assert crew.told == [], "that is not what is shown"
    await crew.escalate(crew.world.alert(), from_level=2)
    await crew.escalate(crew.world.alert(), from_level=2)
    assert crew.told == ["00:00 ntfy whmcs-alerts: opened"]


async def test_what_is_over_by_the_time_that_there_is_somebody_tells_nobody(sqlite_world: World) -> None:
    crew = Crew(sqlite_world)
    await crew.world.report(a_report(severity=5, at=crew.begun_at))
    await crew.world.report(a_recovery(at=crew.begun_at))
    await crew.shared("ntfy", "whmcs-alerts")
    await crew.world.pass_time(HOUR)
    assert crew.told == []


async def test_who_was_asked_in_vain_is_nobody_and_the_next_who_comes_is_somebody(small_crew: Crew) -> None:
    crew = small_crew
    for name in ("olga", "ben", "vera"):
        await crew.disable(name)
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)))
    crew.world.ntfy.outcome = crew.world.sms.outcome = NO_SUCH_ADDRESS
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "00:00 sms +4915100000001: opened"]
    assert crew.progress().state == "alone", "nothing is sent again to an address that is not there"
    await crew.shared("email", "ops@example.com")
    await crew.world.pass_time(MINUTE)
    assert "01:00 email ops@example.com: repeated" in crew.told


@pytest.mark.claim("A4", "N7")
async def test_a_user_who_was_removed_meanwhile_is_passed_over_at_once_and_the_alert_says_so(crew: Crew) -> None:
    anna, ben, olga = [user(crew.ids[name]) for name in ("anna", "ben", "olga")]
    await crew.policy(step(0, anna, channels=("ntfy",)), step(15, ben), step(60, olga))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.disable("ben")
    await crew.world.pass_time(30 * MINUTE)
    assert crew.told == ["00:00 ntfy anna: opened", "00:15 email olga@example.com: escalated"]
    assert crew.why() == ["1: nobody acknowledged it in time", "2: nobody could be reached on the level before"]
    assert crew.missed() == ["Ben: is disabled"]


async def test_if_nobody_of_a_policy_is_left_somebody_else_is_found(crew: Crew) -> None:
    await crew.policy(step(0, user(crew.ids["anna"])), step(15, user(crew.ids["ben"])))
    for name in ("anna", "ben"):
        await crew.disable(name)
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    assert crew.told == ["00:00 email olga@example.com: escalated"]
    assert crew.missed() == ["Anna: is disabled", "Ben: is disabled"]


async def test_a_page_for_somebody_who_leaves_before_it_is_sent_goes_to_the_next(crew: Crew) -> None:
    """The message had been promised; at the last look its contact is gone."""
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("sms",)), step(60, user(crew.ids["ben"]), channels=("ntfy",)))
    crew.world.sms.outcome = DOWN
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.disable("anna")
    await crew.world.pass_time(2 * MINUTE)
    assert [line for line in crew.told if "ntfy" in line] == ["00:00:02 ntfy ben: escalated"]


async def test_a_person_whose_telephone_is_refused_is_told_on_their_other_contacts(small_crew: Crew) -> None:
    crew = small_crew
    crew.world.ntfy.outcome = NO_SUCH_ADDRESS
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)), step(60, user(crew.ids["ben"]), channels=("sms",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.turn()
    assert crew.told == ["00:00 ntfy anna: opened", "00:00 sms +4915100000001: opened"]
    crew.world.sms.outcome = NO_SUCH_ADDRESS
    await crew.world.report(a_report("disk:/var", severity=4, at=crew.begun_at))
    await crew.world.turn()
    assert [
        line.removeprefix("00:00 ") for line in crew.told if line not in ("00:00 ntfy anna: opened", "00:00 sms +4915100000001: opened")
    ] == [
        "email olga@example.com: escalated",
        "ntfy ben: escalated",
        "sms +4915100000002: escalated",
    ], "then the next level at once, and when that is in vain too, whoever is left"


# Outages.


@pytest.mark.claim("N5", "P3")
async def test_after_six_hours_without_the_provider_each_gets_one_page_that_says_how_late_it_is(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(30, anna, ben, channels=("ntfy",)), step(30, anna, channels=("ntfy",)))
    crew.world.ntfy.outcome = DOWN
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(6 * HOUR)
    crew.world.ntfy.outcome, crew.world.ntfy.letters = SENT, []
    await crew.world.pass_time(2 * MINUTE)
    pages = [letter for letter in crew.letters if letter.alert.number == 1 and letter.contact.kind == "ntfy"]
    pages.sort(key=lambda one: one.contact.target)  # both leave in the same moment
    assert [(one.contact.target, one.message.kind, one.message.step) for one in pages] == [
        ("anna", "escalated", 2),
        ("ben", "escalated", 1),
    ]
    assert [one.delay // HOUR for one in pages] == [6, 5]
    assert crew.outbox()[:4] == [
        ("opened", 0, "ntfy anna", "cancelled"),
        ("escalated", 1, "ntfy anna", "cancelled"),
        ("escalated", 1, "ntfy ben", "sent"),
        ("escalated", 2, "ntfy anna", "sent"),
    ]


@pytest.mark.claim("N5", "P3", "A17", "T1")
async def test_after_six_hours_without_us_all_steps_are_caught_up_each_person_hears_once(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(
        step(0, anna, channels=("ntfy",)), step(30, anna, ben, channels=("ntfy",)), step(30, anna, channels=("ntfy",)), step(400, ben)
    )
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    crew.world.clock.advance(6 * HOUR)
    await crew.world.restart()
    await crew.world.turn()
    late = [(one.contact.target, one.message.step, one.delay // MINUTE) for one in crew.letters[1:]]
    assert late == [("anna", 2, 300), ("ben", 1, 330)]
    assert crew.why() == ["1: it was due while Tocsin did not run", "2: it was due while Tocsin did not run"]
    assert crew.progress().next_at == crew.begun_at + 460 * MINUTE, "what is still to come keeps its time"


# Rules of people.


@pytest.mark.claim("N7")
async def test_each_is_told_as_they_wish_and_what_waits_is_cancelled_when_somebody_takes_it(crew: Crew) -> None:
    await crew.rules(
        "anna",
        [
            {"urgency": "high", "contact": "ntfy anna", "delay_seconds": 0},
            {"urgency": "high", "contact": "sms +4915100000001", "delay_seconds": 300},
        ],
    )
    await crew.policy(step(0, user(crew.ids["anna"])))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(6 * MINUTE)
    assert crew.told == ["00:00 ntfy anna: opened", "00:05 sms +4915100000001: opened"]
    assert crew.letters[1].delay == 0, "it is not late: she wanted it so"
    await crew.world.report(a_report("disk:/var", severity=4, at=crew.world.clock.at))
    await crew.world.acknowledge(crew.world.alert(2))
    await crew.world.pass_time(HOUR)
    assert [line for line in crew.outbox(2) if line[0] == "opened"] == [
        ("opened", 0, "ntfy anna", "sent"),
        ("opened", 0, "sms +4915100000001", "cancelled"),
    ]


@pytest.mark.claim("N6", "N7")
async def test_quiet_hours_hold_a_page_until_the_morning_and_severity_5_breaks_them(crew: Crew) -> None:
    await crew.rules("anna", quiet=("22:00", "07:00"))
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.report(a_report("disk:/var", severity=5, at=crew.begun_at, title="Really full"))
    await crew.world.pass_time(6 * HOUR)
    assert [(letter.alert.title, letter.now - crew.begun_at) for letter in crew.letters] == [
        ("Really full", 0),
        ("Disk full", 4 * HOUR + 48 * MINUTE),  # 07:00 in Berlin
    ]
    (details,) = crew.world.details(1, "opened")
    assert details["held_for_quiet_hours"] == ["ntfy anna"]


async def test_what_was_held_for_quiet_hours_outlives_a_restart_and_comes_once_for_all_levels(small_crew: Crew) -> None:
    crew = small_crew
    await crew.rules("anna", quiet=("22:00", "07:00"))
    anna = user(crew.ids["anna"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(60, anna, channels=("ntfy",)), step(60, anna, channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(3 * HOUR)
    await crew.world.restart()
    await crew.world.pass_time(3 * HOUR)
    assert crew.told == ["04:48 ntfy anna: escalated"]
    assert [line[1:] for line in crew.outbox()] == [(0, "ntfy anna", "cancelled"), (1, "ntfy anna", "cancelled"), (2, "ntfy anna", "sent")]


# The policy itself.


async def test_an_open_alert_keeps_to_the_policy_with_which_it_was_opened(crew: Crew) -> None:
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(15, ben, channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.policy(step(0, user(crew.ids["olga"])))
    await crew.world.pass_time(20 * MINUTE)
    await crew.world.report(a_report("disk:/var", severity=4, at=crew.world.clock.at))
    assert crew.told == ["00:00 ntfy anna: opened", "00:15 ntfy ben: escalated", "00:20 email olga@example.com: opened"]


async def test_the_list_repeats_as_often_as_the_policy_says(small_crew: Crew) -> None:
    crew = small_crew
    anna, ben = user(crew.ids["anna"]), user(crew.ids["ben"])
    await crew.policy(step(0, anna, channels=("ntfy",)), step(10, ben, channels=("ntfy",)), repeat=1)
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(5 * HOUR)
    assert crew.told == ["00:00 ntfy anna: opened", "00:10 ntfy anna: repeated", "00:10 ntfy ben: escalated", "00:20 ntfy ben: repeated"]


async def test_a_policy_that_begins_later_tells_nobody_before(small_crew: Crew) -> None:
    crew = small_crew
    await crew.policy(step(5, user(crew.ids["anna"]), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    assert (crew.told, crew.progress().level) == ([], -1)
    await crew.world.pass_time(HOUR)
    assert crew.told == ["00:05 ntfy anna: opened"]


async def test_a_policy_without_a_level_for_a_severity_tells_nobody_and_says_so(small_crew: Crew) -> None:
    crew = small_crew
    await crew.policy(step(0, user(crew.ids["anna"]), severity_min=5))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    await crew.world.pass_time(HOUR)
    assert crew.told == []
    assert crew.world.details(1, "opened")[0]["told"].endswith("has no level for this severity")


async def test_an_address_that_is_a_persons_and_shared_is_told_once_as_the_persons(small_crew: Crew) -> None:
    crew = small_crew
    await crew.shared("ntfy", "anna")
    await crew.policy(step(0, Target(TargetKind.SHARED), user(crew.ids["anna"]), channels=("ntfy",)))
    await crew.world.report(a_report(severity=4, at=crew.begun_at))
    (letter,) = crew.letters
    assert letter.contact.user_id == crew.ids["anna"]

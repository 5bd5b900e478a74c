"""The life of an alert, decision by decision."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.build import an_alert, an_event, an_id
from tests.fakes import NOW
from tocsin.alerts import rules
from tocsin.alerts.model import Action, Alert, AlertChange, Notice, Policy, Reason, Status
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import Conflict, InvalidInput

POLICY = Policy(flap_window=10 * MINUTE, ack_expiry=4 * HOUR)
LATER = NOW + MINUTE
OPEN = an_alert()
ACKNOWLEDGED = an_alert(status="acknowledged", acknowledged_at=NOW, acknowledged_by="marta", due_at=NOW + HOUR)
SNOOZED = an_alert(status="snoozed", snoozed_until=NOW + HOUR, due_at=NOW + HOUR)
RESOLVED = an_alert(status="resolved", resolved_at=NOW, resolved_by="marta", resolution="restarted it")
STATES = {"open": OPEN, "acknowledged": ACKNOWLEDGED, "snoozed": SNOOZED, "resolved": RESOLVED}


def a_new_identity() -> tuple[int, str]:
    return 2, an_id(0xA2)


def never() -> tuple[int, str]:
    raise AssertionError("no new alert was needed")


def actions(change: AlertChange) -> list[str]:
    return [str(line.action) for line in change.history]


def only_says_what_changed(before: Alert, change: AlertChange) -> None:
    """``changed`` names exactly the columns that may differ: the store writes those and no others."""
    differing = {name for name in Alert.__struct_fields__ if getattr(before, name) != getattr(change.alert, name)}
    assert differing <= set(change.changed), differing - set(change.changed)


# An event arrives.


@pytest.mark.claim("A1")
def test_the_first_event_of_a_problem_opens_an_alert() -> None:
    change = rules.open_alert(an_event(severity=4), None, a_new_identity, POLICY, LATER)
    alert = change.alert
    assert (alert.number, alert.status, alert.severity, alert.occurrences, alert.generation) == (2, "open", 4, 1, 1)
    assert (alert.first_seen_at, alert.last_seen_at, alert.title) == (NOW, NOW, "Disk full")
    assert (change.is_new, change.notice, actions(change)) == (True, Notice.OPENED, ["opened"])
    assert change.history[0].reason == Reason.FIRST_EVENT


@pytest.mark.claim("A2", "L2")
@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed"])
def test_the_same_problem_again_is_counted_and_nobody_is_told_again(state: str) -> None:
    change = rules.apply_problem(STATES[state], an_event(occurred_at=NOW + 5, title="Disk fuller"), LATER)
    assert (change.alert.occurrences, change.alert.last_seen_at, change.alert.title) == (2, NOW + 5, "Disk fuller")
    assert change.alert.status == state
    assert (change.notice, change.history) == (None, ())
    only_says_what_changed(STATES[state], change)


def test_a_late_occurrence_stretches_the_time_and_leaves_the_text_of_the_newest() -> None:
    alert = an_alert(first_seen_at=NOW, last_seen_at=NOW + HOUR, title="newest")
    change = rules.apply_problem(alert, an_event(occurred_at=NOW - HOUR, title="oldest"), LATER)
    assert (change.alert.first_seen_at, change.alert.last_seen_at, change.alert.title) == (NOW - HOUR, NOW + HOUR, "newest")
    assert change.alert.occurrences == 2


@pytest.mark.claim("A3")
@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed"])
def test_rising_severity_opens_it_again_and_tells_people_anew(state: str) -> None:
    before = STATES[state]
    change = rules.apply_problem(before, an_event(severity=5), LATER)
    assert (change.alert.severity, change.alert.status, change.alert.generation) == (5, "open", 2)
    assert (change.alert.acknowledged_by, change.alert.snoozed_until, change.alert.due_at) == (None, None, None)
    assert (change.notice, change.silence_pending) == (Notice.ESCALATED, True)
    assert change.history[0].details == {"from": 3, "to": 5}
    only_says_what_changed(before, change)


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_severity_never_falls_while_the_problem_lasts(severity: int) -> None:
    assert rules.apply_problem(OPEN, an_event(severity=severity), LATER).alert.severity == 3


@pytest.mark.claim("A1", "L6")
@pytest.mark.parametrize(("after", "reopens"), [(0, True), (1, True), (10 * MINUTE - 1, True), (10 * MINUTE, False), (DAY, False)])
def test_a_problem_that_returns_within_the_flap_window_reopens_its_alert(after: int, reopens: bool) -> None:
    new_identity = never if reopens else a_new_identity
    change = rules.open_alert(an_event(severity=4), RESOLVED, new_identity, POLICY, NOW + after)
    assert change.is_new is not reopens
    assert change.alert.status == "open"
    assert change.notice is Notice.OPENED
    if reopens:
        assert (change.alert.number, change.alert.generation, change.alert.occurrences, change.alert.severity) == (1, 2, 2, 4)
        assert (change.alert.resolved_at, change.alert.resolved_by, change.alert.resolution) == (None, None, None)
        assert actions(change) == ["reopened"]
        only_says_what_changed(RESOLVED, change)
    else:
        assert (change.alert.number, change.alert.previous_alert_id, change.alert.occurrences) == (2, RESOLVED.id, 1)


def test_without_a_flap_window_every_return_is_a_new_alert() -> None:
    change = rules.open_alert(an_event(), RESOLVED, a_new_identity, Policy(0, 0), NOW)
    assert (change.is_new, change.alert.previous_alert_id) == (True, RESOLVED.id)


@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed"])
def test_a_recovery_resolves_it_from_every_state_and_says_so(state: str) -> None:
    before = STATES[state]
    change = rules.apply_recovery(before, an_event(title="Disk has room again"), LATER)
    assert (change.alert.status, change.alert.resolved_at, change.alert.resolution) == ("resolved", LATER, "Disk has room again")
    assert (change.notice, change.silence_pending) == (Notice.RESOLVED, True)
    assert (change.alert.snoozed_until, change.alert.due_at) == (None, None)
    assert change.history[0].reason == Reason.RECOVERY_EVENT
    only_says_what_changed(before, change)


# A person acts: what each action makes of each state. None: forbidden.

ACTS: dict[str, Callable[[Alert], AlertChange]] = {
    "acknowledge": lambda alert: rules.acknowledge(alert, "marta", None, None, POLICY, LATER),
    "unacknowledge": lambda alert: rules.unacknowledge(alert, "marta", None, LATER),
    "snooze": lambda alert: rules.snooze(alert, "marta", LATER + HOUR, None, LATER),
    "resolve": lambda alert: rules.resolve(alert, "marta", None, LATER),
    "assign": lambda alert: rules.assign(alert, "marta", "ben@example.com", LATER),
    "comment": lambda alert: rules.comment(alert, "marta", "looking at it", LATER),
}
OUTCOMES = {
    ("acknowledge", "open"): "acknowledged",
    ("acknowledge", "acknowledged"): "acknowledged",
    ("acknowledge", "snoozed"): "acknowledged",
    ("acknowledge", "resolved"): None,
    ("unacknowledge", "open"): "open",
    ("unacknowledge", "acknowledged"): "open",
    ("unacknowledge", "snoozed"): "snoozed",
    ("unacknowledge", "resolved"): None,
    ("snooze", "open"): "snoozed",
    ("snooze", "acknowledged"): "snoozed",
    ("snooze", "snoozed"): "snoozed",
    ("snooze", "resolved"): None,
    ("resolve", "open"): "resolved",
    ("resolve", "acknowledged"): "resolved",
    ("resolve", "snoozed"): "resolved",
    ("resolve", "resolved"): "resolved",
    ("assign", "open"): "open",
    ("assign", "acknowledged"): "acknowledged",
    ("assign", "snoozed"): "snoozed",
    ("assign", "resolved"): None,
    ("comment", "open"): "open",
    ("comment", "acknowledged"): "acknowledged",
    ("comment", "snoozed"): "snoozed",
    ("comment", "resolved"): "resolved",
}


def test_the_table_of_actions_is_complete() -> None:
    assert set(OUTCOMES) == {(act, state) for act in ACTS for state in Status}


@pytest.mark.claim("A1", "A6", "origin:A1", "L5", "L6")
@pytest.mark.parametrize(("act", "state"), OUTCOMES)
def test_each_action_in_each_state(act: str, state: str) -> None:
    outcome = OUTCOMES[act, state]
    if outcome is None:
        with pytest.raises(Conflict, match=r"alert 1 is resolved since 2025-11-25T00:00:00\.000Z"):
            ACTS[act](STATES[state])
        return
    change = ACTS[act](STATES[state])
    assert change.alert.status == outcome
    only_says_what_changed(STATES[state], change)
    if change.changed:
        assert len(change.history) == 1
        assert (change.history[0].actor, change.history[0].at) == ("marta", LATER)


@pytest.mark.parametrize("act", ["acknowledge", "unacknowledge", "snooze", "resolve", "assign"])
@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed"])
def test_repeating_an_action_changes_nothing(act: str, state: str) -> None:
    once = ACTS[act](STATES[state]).alert
    again = ACTS[act](once)
    assert again == AlertChange(once)


def test_an_acknowledgement_expires_after_the_policys_time_or_the_callers() -> None:
    def until(for_ms: int | None) -> int | None:
        return rules.acknowledge(OPEN, "marta", None, for_ms, POLICY, LATER).alert.due_at

    assert until(None) == LATER + 4 * HOUR
    assert until(HOUR) == LATER + HOUR
    assert until(0) is None
    assert rules.acknowledge(OPEN, "marta", None, None, Policy(0, 0), LATER).alert.due_at is None


def test_an_acknowledgement_ends_a_snooze_and_the_other_way_round() -> None:
    assert rules.acknowledge(SNOOZED, "marta", None, None, POLICY, LATER).alert.snoozed_until is None
    snoozed = rules.snooze(ACKNOWLEDGED, "marta", LATER + HOUR, None, LATER).alert
    assert (snoozed.acknowledged_by, snoozed.due_at) == (None, LATER + HOUR)


@pytest.mark.parametrize("state", ["acknowledge", "snooze", "resolve"])
def test_what_quietens_an_alert_cancels_what_waits(state: str) -> None:
    assert ACTS[state](OPEN).silence_pending


@pytest.mark.parametrize(
    ("until", "complaint"),
    [(LATER, "is past"), (LATER - 1, "is past"), (LATER + 30 * DAY + 1, "more than 30 days")],
)
def test_a_snooze_ends_in_the_future_and_within_thirty_days(until: int, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        rules.snooze(OPEN, "marta", until, None, LATER)
    assert rules.snooze(OPEN, "marta", LATER + 30 * DAY, None, LATER).alert.status == "snoozed"


@pytest.mark.claim("A9")
def test_notes_stand_in_the_history() -> None:
    notes: list[AlertChange] = [
        rules.acknowledge(OPEN, "marta", "on it", None, POLICY, LATER),
        rules.unacknowledge(ACKNOWLEDGED, "marta", "on it", LATER),
        rules.snooze(OPEN, "marta", LATER + 1, "on it", LATER),
        rules.resolve(OPEN, "marta", "on it", LATER),
        rules.comment(RESOLVED, "marta", "on it", LATER),
    ]
    for change in notes:
        details: dict[str, Any] = change.history[0].details or {}
        assert details["note"] == "on it"
    assert rules.resolve(OPEN, "marta", "restarted it", LATER).alert.resolution == "restarted it"


# Time passes.


@pytest.mark.parametrize("state", ["acknowledged", "snoozed"])
def test_what_was_quiet_for_a_time_opens_again_when_the_time_is_over(state: str) -> None:
    before = STATES[state]
    assert rules.come_due(before, NOW + HOUR - 1) == AlertChange(before)
    change = rules.come_due(before, NOW + HOUR)
    assert (change.alert.status, change.alert.generation, change.alert.due_at) == ("open", 2, None)
    assert change.notice is Notice.REPEATED
    assert actions(change) == [Action.ACKNOWLEDGEMENT_EXPIRED if state == "acknowledged" else Action.SNOOZE_ENDED]
    only_says_what_changed(before, change)
    assert rules.come_due(change.alert, NOW + DAY) == AlertChange(change.alert)


@pytest.mark.parametrize("alert", [OPEN, RESOLVED])
def test_a_due_time_without_a_reason_is_cleared_and_nothing_else(alert: Alert) -> None:
    change = rules.come_due(rules.replace(alert, due_at=NOW), LATER)
    assert change == AlertChange(alert, ("due_at",))


# Several steps in one transaction.


def test_two_steps_become_one_change_with_both_histories() -> None:
    opened = rules.open_alert(an_event(), None, a_new_identity, POLICY, NOW)
    resolved = rules.apply_recovery(opened.alert, an_event(2), NOW)
    both = rules.merge(opened, resolved)
    assert (both.is_new, both.alert, both.notice) == (True, resolved.alert, Notice.RESOLVED)
    assert actions(both) == ["opened", "resolved"]


def test_who_has_not_heard_that_it_opened_is_not_told_that_it_rose() -> None:
    opened = rules.open_alert(an_event(severity=2), None, a_new_identity, POLICY, NOW)
    raised = rules.apply_problem(opened.alert, an_event(2, severity=5), NOW)
    both = rules.merge(opened, raised)
    assert (both.notice, both.alert.severity) == (Notice.OPENED, 5)


def test_a_repetition_does_not_hide_what_came_before() -> None:
    raised = rules.apply_problem(OPEN, an_event(severity=5), NOW)
    both = rules.merge(raised, rules.apply_problem(raised.alert, an_event(2), NOW))
    assert (both.notice, both.alert.occurrences) == (Notice.ESCALATED, 3)
    assert set(raised.changed) <= set(both.changed)

"""What escalation will do next, in words."""

import pytest

from tests.fakes import NOW
from tocsin.core.clock import MINUTE
from tocsin.escalation import rules
from tocsin.escalation.model import EscalationPolicy, Standing, Step, Target, TargetKind
from tocsin.web.alerts import escalating
from tocsin.web.alerts.rules import NextStep

PAYMENTS = EscalationPolicy(
    "p",
    "Payments, night",
    (
        Step(0, (Target(TargetKind.USER, "u-marta"),)),
        Step(900, (Target(TargetKind.USER, "u-jonas"), Target(TargetKind.ON_CALL), Target(TargetKind.TEAM, "gone"))),
    ),
)
NAMES = {"u-marta": "Marta", "u-jonas": "Jonas"}


def test_the_next_level_names_whom_it_tells_and_when() -> None:
    begun = rules.begin(1, 1, 4, PAYMENTS, NOW)
    assert escalating.upcoming(begun, PAYMENTS, NAMES) == NextStep(NOW - 1, NOW, "tells Marta")
    first = rules.next_step(begun, PAYMENTS, NOW).progress
    assert escalating.upcoming(first, PAYMENTS, NAMES) == NextStep(NOW, NOW + 15 * MINUTE, "tells Jonas, whoever is on call and a team")


def test_nothing_comes_after_the_last_level_or_when_it_rests() -> None:
    begun = rules.begin(1, 1, 4, PAYMENTS, NOW)
    last = rules.next_step(rules.next_step(begun, PAYMENTS, NOW).progress, PAYMENTS, NOW + 15 * MINUTE).progress
    assert escalating.upcoming(last, PAYMENTS, NAMES) is None
    assert escalating.upcoming(rules.rest(begun, Standing.STOPPED), PAYMENTS, NAMES) is None


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing.RUNNING, "Payments, night: level 1 of 2"),
        (Standing.ENDED, "Payments, night: all levels are done"),
        (Standing.STOPPED, "Payments, night: stopped at level 1 of 2, since somebody has it"),
        (Standing.MUTED, "Payments, night: waits until it is no longer kept quiet"),
        (Standing.ALONE, "Payments, night: there was nobody to tell"),
    ],
)
def test_where_an_alert_stands(standing: Standing, words: str) -> None:
    first = rules.next_step(rules.begin(1, 1, 4, PAYMENTS, NOW), PAYMENTS, NOW).progress
    progress = first if standing is Standing.RUNNING else rules.rest(first, standing)
    assert escalating.standing_says(progress, PAYMENTS) == words


def test_whoever_is_on_call_is_named_where_it_is_known() -> None:
    begun = rules.begin(1, 1, 4, PAYMENTS, NOW)
    first = rules.next_step(begun, PAYMENTS, NOW).progress
    step = escalating.upcoming(first, PAYMENTS, NAMES, ["Marta"])
    assert step is not None
    assert step.says == "tells Jonas, Marta and a team"

"""What buttons say, what they did, and what is to come."""

import pytest

from tests.build import an_alert
from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.web.alerts import rules
from tocsin.web.alerts.rules import Deed, NextStep


@pytest.mark.parametrize(
    ("text", "deed"),
    [
        ("acknowledge", Deed("acknowledge")),
        ("acknowledge 7200", Deed("acknowledge", for_seconds=7200)),
        ("snooze 3600", Deed("snooze", for_seconds=3600)),
        ("snooze 2026-11-24T07:00:00Z", Deed("snooze", until="2026-11-24T07:00:00Z")),
        ("assign marta@example.com", Deed("assign", user="marta@example.com")),
        ("wake", Deed("wake")),
    ],
)
def test_a_button_says_one_thing(text: str, deed: Deed) -> None:
    assert rules.read_deed(text) == deed


@pytest.mark.parametrize("text", ["", "delete", "snooze", "assign", "resolve 3", "acknowledge soon", "snoozed 3600"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput, match="Examples: acknowledge, snooze 3600"):
        rules.read_deed(text)


def test_what_was_done_is_said_in_one_breath() -> None:
    assert rules.said("acknowledge", 1, []) == "Alert acknowledged."
    assert rules.said("resolve", 41, [], 12) == "41 alerts resolved. 12 more match; do it again for the next ones."
    assert rules.said("snooze", 2, ["alert 7 is resolved"]) == "2 alerts snoozed. 1 was not: alert 7 is resolved."
    assert rules.said("acknowledge", 0, ["alert 7 is resolved"]) == "It was not: alert 7 is resolved."
    assert rules.said("comment", 1, []) == "Note added."


def test_the_next_step_is_what_time_will_do() -> None:
    assert rules.next_step(an_alert()) is None
    acknowledged = an_alert(status="acknowledged", acknowledged_at=NOW, due_at=NOW + HOUR)
    assert rules.next_step(acknowledged) == NextStep(NOW, NOW + HOUR, "opens again")
    asleep = an_alert(status="snoozed", snoozed_until=NOW + HOUR, due_at=NOW + HOUR)
    assert rules.next_step(asleep) == NextStep(NOW, NOW + HOUR, "wakes up")


def test_the_morning_is_never_within_the_hour() -> None:
    midnight = NOW
    assert rules.morning(NOW + 3 * HOUR, midnight) == "2025-11-25T08:00:00.000Z"
    assert rules.morning(NOW + 7 * HOUR + 30 * MINUTE, midnight) == "2025-11-26T08:00:00.000Z"
    assert rules.morning(NOW + DAY - 1, midnight) == "2025-11-26T08:00:00.000Z"


def test_nobody_counts_all_that_was_ever_resolved() -> None:
    assert rules.capped(148, "resolved") == "148"
    assert rules.capped(1_000, "resolved") == "1,000+"
    assert rules.capped(10_000, "open") == "10,000"

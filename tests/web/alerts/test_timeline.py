"""Who did what, who was told and whether it arrived."""

from typing import Any

import pytest

from tests.build import an_alert
from tests.fakes import NOW
from tocsin.alerts.model import HistoryLine
from tocsin.web.alerts import timeline
from tocsin.web.alerts.timeline import Keeper, Sent


def name(actor: str | None) -> str:
    return {"marta@example.com": "Marta Weiss", "tocsin": "Tocsin"}.get(actor or "", actor or "somebody")


def line(action: str, actor: str = "marta@example.com", at: int = NOW, **details: Any) -> HistoryLine:
    return HistoryLine(at, actor, action, "asked for", details or None)


def sent(status: str = "sent", **changes: Any) -> Sent:
    values: dict[str, Any] = {
        "kind": "opened",
        "channel": "ntfy",
        "whom": "Marta",
        "status": status,
        "created_at": NOW,
        "sent_at": NOW + 2_000 if status in ("sent", "delivered") else None,
        "next_attempt_at": None,
        "attempts": 1,
        "error": "",
    }
    return Sent(**(values | changes))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (line("opened", "tocsin", severity=4), "Raised as high"),
        (line("severity_raised", "tocsin", **{"from": 3, "to": 5}), "Rose from medium to critical"),
        (line("acknowledged", note="on it"), "Marta Weiss acknowledged it"),
        (line("resolved"), "Marta Weiss resolved it"),
        (line("resolved", "tocsin", title="Paid"), "A recovery came in, so it is resolved"),
        (line("snooze_ended", "tocsin"), "The snooze ended, and it is still there"),
        (line("snooze_ended"), "Marta Weiss woke it up"),
        (line("assigned", to="marta@example.com"), "Marta Weiss assigned it to Marta Weiss"),
        (line("undone"), "Marta Weiss took the last step back"),
        (line("something_new"), "Marta Weiss something new"),
    ],
)
def test_each_step_reads_like_a_sentence(step: HistoryLine, text: str) -> None:
    (entry,) = timeline.timeline([step], [], name)
    assert f"{entry.who} {entry.text}".strip() == text


def test_messages_of_one_moment_are_one_step() -> None:
    steps = timeline.timeline(
        [line("opened", "tocsin", severity=4)],
        [sent(), sent(channel="email", whom="Jonas"), sent(kind="repeated", created_at=NOW + 60_000)],
        name,
    )
    assert [f"{step.who} {step.text}".strip() for step in steps] == [
        "Marta was told again",
        "Marta and Jonas were told that it began",
        "Raised as high",
    ]
    assert [(one.way, one.whom, one.word, one.more) for one in steps[1].told] == [
        ("Push", "Marta", "Sent", "in 2\u00a0s"),
        ("Email", "Jonas", "Sent", "in 2\u00a0s"),
    ]


@pytest.mark.parametrize(
    ("message", "state", "word", "more"),
    [
        (sent("delivered"), "up", "Delivered", "in 2\u00a0s"),
        (sent(sent_at=NOW + 999), "up", "Sent", "at once"),
        (sent("failed", error="mailbox full", attempts=3), "down", "Failed", "mailbox full, tried 3 times"),
        (sent("unknown", maybe_repeated=True), "unknown", "Not sure", "perhaps twice"),
        (sent("cancelled", error="it was acknowledged"), "paused", "Not sent", "it was acknowledged"),
        (sent("pending", next_attempt_at=NOW + 60_000), "1", "Waits", ""),
    ],
)
def test_what_became_of_a_message(message: Sent, state: str, word: str, more: str) -> None:
    told = timeline.told(message)
    assert (told.state, told.word, told.more) == (state, word, more)


def test_who_has_it_is_a_large_word() -> None:
    assert timeline.keeper(an_alert(), name) == Keeper("Nobody", "has it yet")
    assert timeline.keeper(an_alert(assignee="marta@example.com"), name) == Keeper("Marta", "is asked to take it")
    assert timeline.keeper(an_alert(status="acknowledged", acknowledged_by="marta@example.com"), name) == Keeper("Marta", "has it")
    assert timeline.keeper(an_alert(status="resolved", resolved_by="tocsin"), name) == Keeper("Itself", "resolved it")

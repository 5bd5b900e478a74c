"""Why, in words: the sentences about a person for every way in which a message can end, and the words of each decision."""

from typing import Any

import pytest

from tests.build import an_alert, an_id
from tests.fakes import NOW
from tocsin.alerts.model import HistoryLine
from tocsin.core.clock import MINUTE, SECOND
from tocsin.reports.reasons import Post, Receiver, Someone, Story, Try, answer, explain

pytestmark = pytest.mark.claim("A9")

PHONE = Receiver(an_id(0xC1), "ntfy", "phone", an_id(0xA), NOW - MINUTE, None)
MARTA = Someone(an_id(0xA), "marta@example.com", "Marta Weiss", (PHONE,))
OPENED = HistoryLine(NOW, "tocsin", "opened", "first event of this problem", {"severity": 4})


def a_post(status: str, **changes: Any) -> Post:
    values: dict[str, Any] = {
        "id": an_id(1),
        "kind": "opened",
        "step": 0,
        "contact_id": PHONE.id,
        "status": status,
        "created_at": NOW,
        "sent_at": NOW + 2 * SECOND if status in ("sent", "delivered") else None,
        "next_attempt_at": None,
        "due_at": None,
        "last_error": None,
        "digest_id": None,
        "maybe_repeated": False,
    }
    return Post(**(values | changes))


def a_story(*posts: Post, history: tuple[HistoryLine, ...] = (OPENED,), **changes: Any) -> Story:
    values: dict[str, Any] = {"tries": {}, "receivers": {PHONE.id: PHONE}, "people": [MARTA]}
    return Story(an_alert(severity=4, **changes.pop("alert", {})), history, posts, **(values | changes))


def about(story: Story, someone: Someone = MARTA) -> str:
    return answer(story, someone).sentence


@pytest.mark.parametrize(
    ("post", "words"),
    [
        (a_post("sent"), "was paged at"),
        (a_post("delivered", digest_id=an_id(9)), "in a digest, 2 s after the alert opened"),
        (a_post("unknown"), "so it may have arrived"),
        (a_post("sending"), "under way"),
        (a_post("pending", next_attempt_at=NOW), "waits for the contact's rate"),
        (a_post("pending", next_attempt_at=NOW + 10 * SECOND), "waits until 2025-11-25T00:00:10.000Z for others of the same cause"),
        (a_post("pending", due_at=NOW + MINUTE), "is held until"),
        (a_post("pending", last_error="no answer"), "so far in vain (no answer)"),
        (a_post("failed", last_error="no such topic"), "was not paged: ntfy phone: no such topic."),
        (a_post("cancelled", last_error="the contact was removed or disabled"), "the contact was removed or disabled."),
    ],
)
def test_each_end_of_a_message_has_its_sentence(post: Post, words: str) -> None:
    assert words in about(a_story(post))


def test_news_that_it_is_over_is_no_page() -> None:
    assert "was not paged" in about(a_story(a_post("sent", kind="resolved")))


def test_who_was_meant_and_not_reached_is_told_why() -> None:
    line = HistoryLine(NOW, "tocsin", "escalated", "nobody acknowledged it in time", {"level": 1, "missed": ["Marta Weiss: is disabled"]})
    assert about(a_story(history=(OPENED, line))) == "Marta Weiss was not paged: is disabled."


def test_who_was_not_meant_yet_is_told_who_came_first_or_when_their_turn_may_come() -> None:
    taken = HistoryLine(NOW + MINUTE, "kai@example.com", "acknowledged", "asked for", None)
    assert "before kai@example.com acknowledged it concerns them" in about(a_story(history=(OPENED, taken)))
    assert "the next level comes at" in about(a_story(next_level_at=NOW + MINUTE))


def test_a_contact_that_came_later_or_was_never_verified_is_no_contact_yet() -> None:
    late = Someone(MARTA.user_id, MARTA.email, MARTA.name, (Receiver(PHONE.id, "ntfy", "phone", None, NOW + 1, None),))
    assert "had no contact yet when the alert opened" in about(a_story(), late)
    unverified = Someone(MARTA.user_id, MARTA.email, MARTA.name, (Receiver(PHONE.id, "ntfy", "phone", None, None, None),))
    assert "no contact that messages can go to" in about(a_story(), unverified)


def test_attempts_stand_in_order_with_what_they_came_to() -> None:
    tries = {
        an_id(1): [
            Try(an_id(1), NOW, NOW + SECOND, "temporary", "no answer"),
            Try(an_id(1), NOW + 2 * SECOND, NOW + 3 * SECOND, "sent", None),
        ]
    }
    texts = [one.text for one in explain(a_story(a_post("sent"), tries=tries))]
    assert texts == [
        "It opened as high: first event of this problem.",
        "To be told that it began: ntfy phone of Marta Weiss.",
        "Attempt 1 to ntfy phone: it failed for now, and is tried again: no answer.",
        "Attempt 2 to ntfy phone: the provider took it.",
    ]


def test_it_names_the_policy_and_who_was_on_call_when_it_looked() -> None:
    line = HistoryLine(
        NOW, "tocsin", "opened", "first event of this problem", {"severity": 4, "told": ["ntfy a"], "on_call": ["Kai in Hosting"]}
    )
    story = a_story(history=(line,), policy="Night", next_level_at=NOW + MINUTE)
    assert [one.text for one in explain(story)] == [
        "It opened as high: first event of this problem. Told: ntfy a. On call: Kai in Hosting.",
        "Whom to tell, and when, says the policy Night as it then was.",
    ]
    assert about(story) == (
        "Marta Weiss was not paged: no level so far concerns them, and on call was Kai in Hosting;"
        " the next level comes at 2025-11-25T00:01:00.000Z."
    )
    assert "on call" not in about(story, Someone(None, None, "ntfy room", (PHONE,))), "a room is on no rota"


def test_a_level_says_whom_it_told_and_whom_it_missed() -> None:
    details = {"level": 1, "policy": "Night", "cycle": 1, "told": ["email a@example.com"], "missed": ["Kai: is disabled"]}
    line = HistoryLine(NOW, "tocsin", "escalated", "nobody acknowledged it in time", details)
    (said,) = explain(a_story(history=(line,)))
    assert said.text == (
        "Level 1 of Night, round 2: nobody acknowledged it in time. Told: email a@example.com. Not reached: Kai: is disabled."
    )


def test_a_long_list_of_names_is_cut_with_its_rest_counted() -> None:
    line = HistoryLine(NOW, "tocsin", "escalated", "asked for", {"level": 0, "told": [f"email {n}" for n in range(15)]})
    assert explain(a_story(history=(line,)))[0].text.endswith("email 11 and 3 more.")


@pytest.mark.claim("A10")
def test_it_names_the_rules_that_decided() -> None:
    ruled = HistoryLine(
        NOW, "tocsin", "opened", "first event of this problem", {"severity": 2, "rules": ['rule "Disks" (version 3): severity 2']}
    )
    assert explain(a_story(history=(ruled,)))[0].text == (
        'It opened as low: first event of this problem. Decided by rule "Disks" (version 3): severity 2.'
    )

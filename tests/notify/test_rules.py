"""Decisions about messages: who is told, what an outcome means, what still has a point."""

import itertools

import pytest
from hypothesis import given, strategies as st

from tests.build import EVERYONE, ONCALL_MAIL, ONCALL_PHONE, OWNER_PHONE, a_contact, a_message, an_alert
from tests.fakes import DOWN, LOST, NO_SUCH_ADDRESS, NOW, SENT, WRONG_TOKEN
from tocsin.core.clock import MINUTE, SECOND
from tocsin.notify.model import Kind, Outcome, Result, State
from tocsin.notify.rules import (
    BACKOFF,
    REFUSED_WAIT,
    Pointless,
    Verdict,
    after_attempt,
    backoff,
    fall_back_to,
    pointless,
    recipients,
)

SMS = a_contact(9, "sms", "+491701234567")


@pytest.mark.claim("A3", "V1", "V2", "V3", "V4", "V5", "origin:E1")
@pytest.mark.parametrize(
    ("severity", "told"),
    [
        (1, ()),
        (2, (ONCALL_PHONE, OWNER_PHONE)),
        (3, EVERYONE),
        (4, (*EVERYONE, SMS)),
        (5, (*EVERYONE, SMS)),
    ],
)
def test_who_hears_of_a_problem_depends_on_its_severity(severity: int, told: tuple[object, ...]) -> None:
    assert recipients(severity, (*EVERYONE, SMS)) == told


@pytest.mark.claim("N7")
@pytest.mark.parametrize("severity", [2, 3])
def test_without_the_wanted_channel_the_others_stand_in(severity: int) -> None:
    assert recipients(severity, (SMS,)) == (SMS,)
    assert recipients(2, (ONCALL_MAIL,)) == (ONCALL_MAIL,)
    assert recipients(severity, ()) == ()


# Hard rule 5: the look just before sending.


@pytest.mark.claim("N5")
@pytest.mark.parametrize("kind", ["opened", "escalated", "repeated"])
@pytest.mark.parametrize(
    ("status", "reason"),
    [("open", None), ("acknowledged", Pointless.ACKNOWLEDGED), ("snoozed", Pointless.SNOOZED), ("resolved", Pointless.RESOLVED)],
)
def test_a_page_has_a_point_only_while_its_alert_is_open(kind: str, status: str, reason: Pointless | None) -> None:
    assert pointless(a_message(kind=kind), an_alert(status=status), ONCALL_PHONE) is reason


def test_a_page_of_an_older_generation_has_been_overtaken() -> None:
    assert pointless(a_message(generation=1), an_alert(generation=2), ONCALL_PHONE) is Pointless.SUPERSEDED


@pytest.mark.parametrize(
    ("kind", "status"), list(itertools.product(["acknowledged", "resolved"], ["open", "acknowledged", "snoozed", "resolved"]))
)
def test_good_news_has_a_point_only_while_it_is_true(kind: str, status: str) -> None:
    assert (pointless(a_message(kind=kind), an_alert(status=status), ONCALL_PHONE) is None) is (kind == status)


def test_nothing_is_sent_to_a_contact_that_is_gone() -> None:
    assert pointless(a_message(), an_alert(), None) is Pointless.CONTACT_GONE


# Hard rules 2 and 3: what an outcome means.


def test_what_the_provider_took_is_sent() -> None:
    assert after_attempt(a_message(), SENT, NOW, 0.5) == Verdict(State.SENT)


def test_a_passing_fault_is_tried_again_later() -> None:
    assert after_attempt(a_message(attempts=1), DOWN, NOW, 0) == Verdict(State.PENDING, NOW + 2 * SECOND)


def test_the_provider_may_ask_for_more_patience_but_not_for_less() -> None:
    patient = Outcome(Result.TEMPORARY, "429", retry_after=5 * MINUTE)
    assert after_attempt(a_message(attempts=1), patient, NOW, 0).next_attempt_at == NOW + 5 * MINUTE
    hasty = Outcome(Result.TEMPORARY, "429", retry_after=1)
    assert after_attempt(a_message(attempts=1), hasty, NOW, 0).next_attempt_at == NOW + 2 * SECOND


def test_a_contact_that_cannot_be_reached_is_given_up_for_others() -> None:
    assert after_attempt(a_message(), NO_SUCH_ADDRESS, NOW, 0) == Verdict(State.FAILED, fall_back=True)


def test_wrong_credentials_are_tried_rarely_while_others_are_told() -> None:
    assert after_attempt(a_message(), WRONG_TOKEN, NOW, 0) == Verdict(State.PENDING, NOW + REFUSED_WAIT, fall_back=True)


@pytest.mark.claim("N5")
@pytest.mark.parametrize(("severity", "kind"), list(itertools.product(range(1, 6), Kind)))
def test_of_what_may_have_arrived_only_loud_pages_go_again_and_say_so(severity: int, kind: Kind) -> None:
    verdict = after_attempt(a_message(severity=severity, kind=kind.value, attempts=1), LOST, NOW, 0)
    loud = severity >= 4 and kind in ("opened", "escalated", "repeated", "digest")
    assert verdict == Verdict(State.PENDING if loud else State.UNKNOWN, NOW + 2 * SECOND, maybe_repeated=loud)


@pytest.mark.parametrize("outcome", [DOWN, WRONG_TOKEN, LOST])
def test_what_may_be_a_repetition_stays_one(outcome: Outcome) -> None:
    verdict = after_attempt(a_message(severity=5, maybe_repeated=True), outcome, NOW, 0)
    assert verdict.maybe_repeated


@given(st.integers(0, 1_000), st.floats(0, 1, exclude_max=True))
def test_retries_come_ever_more_slowly_up_to_a_minute_and_a_fifth(attempts: int, jitter: float) -> None:
    wait = backoff(attempts, jitter)
    assert BACKOFF[0] <= wait <= BACKOFF[-1] * 1.2
    assert backoff(attempts, 0) <= wait <= backoff(attempts + 1, 0) * 1.2


def test_those_who_were_asked_already_do_not_stand_in() -> None:
    assert fall_back_to({ONCALL_PHONE.id}, EVERYONE) == (ONCALL_MAIL, OWNER_PHONE)
    assert fall_back_to({contact.id for contact in EVERYONE}, EVERYONE) == ()

"""What follows from receipts, and from none: the whole table."""

import msgspec
import pytest

from tests.build import a_message
from tocsin.notify.following import Attempt, Next, follow
from tocsin.notify.model import State
from tocsin.notify.providers.model import Stage, later

pytestmark = pytest.mark.claim("N3")

SENT = Attempt(stage=Stage.SENT, arrived=False, is_due=False, elsewhere=True, provider_left=True)
DUE = msgspec.structs.replace(SENT, is_due=True)
FAILED = msgspec.structs.replace(SENT, stage=Stage.FAILED)
ARRIVED = msgspec.structs.replace(SENT, stage=Stage.DELIVERED, arrived=True)
RESERVED = msgspec.structs.replace(SENT, stage=Stage.RESERVED)


def alone(attempt: Attempt) -> Attempt:
    return msgspec.structs.replace(attempt, provider_left=False)


@pytest.mark.parametrize(
    ("status", "attempt", "wanted", "then"),
    [
        ("sent", ARRIVED, True, Next.DELIVERED),
        ("sent", ARRIVED, False, Next.DELIVERED),
        ("failed", ARRIVED, True, Next.DELIVERED),
        ("unknown", ARRIVED, True, Next.DELIVERED),
        ("pending", ARRIVED, True, Next.DELIVERED),
        ("delivered", ARRIVED, True, Next.NOTHING),
        ("delivered", FAILED, True, Next.NOTHING),
        ("cancelled", ARRIVED, True, Next.NOTHING),
        ("sending", ARRIVED, True, Next.LOOK_LATER),
        ("sending", FAILED, True, Next.LOOK_LATER),
        ("sent", SENT, True, Next.NOTHING),
        ("sent", DUE, True, Next.ELSEWHERE),
        ("sent", DUE, False, Next.UNHEARD),
        ("sent", alone(DUE), True, Next.UNHEARD),
        ("failed", DUE, True, Next.NOTHING),
        ("unknown", SENT, True, Next.ACCEPTED),
        ("unknown", RESERVED, True, Next.NOTHING),
        ("sent", FAILED, True, Next.ELSEWHERE),
        ("sent", FAILED, False, Next.FAILED),
        ("sent", alone(FAILED), True, Next.FAILED),
        ("sent", msgspec.structs.replace(FAILED, elsewhere=False), True, Next.FAILED),
        ("unknown", FAILED, True, Next.ELSEWHERE),
        ("pending", FAILED, True, Next.NOTHING),
        ("failed", FAILED, True, Next.NOTHING),
    ],
)
def test_one_thing_follows(status: str, attempt: Attempt, wanted: bool, then: Next) -> None:
    assert follow(a_message(status=status), attempt, wanted=wanted) is then


def test_a_page_that_was_to_be_sent_again_is_not_if_the_provider_has_it() -> None:
    assert follow(a_message(status="pending", maybe_repeated=True), SENT, wanted=True) is Next.ACCEPTED
    assert follow(a_message(status="pending"), SENT, wanted=True) is Next.NOTHING


@pytest.mark.parametrize("kind", ["escalated", "digest"])
def test_so_is_every_page_and_what_carries_several(kind: str) -> None:
    assert follow(a_message(status="sent", kind=kind), DUE, wanted=True) is Next.ELSEWHERE


@pytest.mark.parametrize("kind", ["resolved", "acknowledged", "notice"])
def test_only_a_page_is_sent_through_another_provider(kind: str) -> None:
    assert follow(a_message(status="sent", kind=kind), DUE, wanted=True) is Next.UNHEARD
    assert follow(a_message(status="sent", kind=kind), FAILED, wanted=True) is Next.FAILED


@pytest.mark.parametrize("status", [state.value for state in State])
@pytest.mark.parametrize("attempt", [SENT, DUE, FAILED, ARRIVED, RESERVED])
def test_what_arrived_never_becomes_anything_else(status: str, attempt: Attempt) -> None:
    then = follow(a_message(status=status), attempt, wanted=True)
    assert status != "delivered" or then is Next.NOTHING


@pytest.mark.parametrize("one", list(Stage))
@pytest.mark.parametrize("other", list(Stage))
def test_the_order_in_which_two_stages_are_told_does_not_matter(one: Stage, other: Stage) -> None:
    assert later(one, other) is later(other, one)
    assert later(Stage.DELIVERED, one) is Stage.DELIVERED

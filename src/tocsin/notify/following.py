"""What follows from what providers say, and from what they do not say in time. Pure."""

import enum

import msgspec

from tocsin.notify.model import Kind, Message, State
from tocsin.notify.providers.model import Stage
from tocsin.notify.rules import PROBLEM_KINDS

PAGES = PROBLEM_KINDS | {Kind.DIGEST}


class Next(enum.StrEnum):
    """What is to be done with a message."""

    NOTHING = "nothing"
    LOOK_LATER = "its own outcome is just being written"
    DELIVERED = "delivered"
    ACCEPTED = "the provider has it, though its answer was lost"
    ELSEWHERE = "sent again through another provider"
    FAILED = "failed"
    UNHEARD = "no receipt came"


class Attempt(msgspec.Struct, frozen=True):
    """The newest attempt, and what all of them came to. ``is_due``: its receipt should have come."""

    stage: Stage
    arrived: bool  # one of them did
    is_due: bool
    elsewhere: bool  # another provider might have more luck
    provider_left: bool  # and there is one that has not been asked


def follow(message: Message, attempt: Attempt, *, wanted: bool) -> Next:
    """The one thing to do. *wanted*: the alert still needs somebody."""
    state = State(message.status)
    if state is State.SENDING:
        return Next.LOOK_LATER
    if state in (State.CANCELLED, State.DELIVERED):
        return Next.NOTHING
    if attempt.arrived:
        return Next.DELIVERED
    again = wanted and attempt.provider_left and attempt.elsewhere and message.kind in PAGES
    if attempt.stage is Stage.FAILED:
        return _after_failure(state, again=again)
    if attempt.stage is not Stage.SENT:
        return Next.NOTHING
    if state is State.UNKNOWN or (state is State.PENDING and message.maybe_repeated):
        return Next.ACCEPTED
    if attempt.is_due and state is State.SENT:
        return Next.ELSEWHERE if again else Next.UNHEARD
    return Next.NOTHING


def _after_failure(state: State, *, again: bool) -> Next:
    """What waits for its next attempt anyway, or has ended, stays as it is."""
    if state not in (State.SENT, State.UNKNOWN):
        return Next.NOTHING
    return Next.ELSEWHERE if again else Next.FAILED

"""Decisions about messages: who is told, what an outcome means, what still has a point, what is sent when the rate is used up."""

import enum
from collections.abc import Collection, Iterable, Sequence

import msgspec

from tocsin.alerts.model import Alert, Status
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.severity import Severity
from tocsin.notify.model import CHANNEL_FAILED, Contact, Kind, Message, Outcome, Presence, Result, State

PROBLEM_KINDS = frozenset({Kind.OPENED, Kind.ESCALATED, Kind.REPEATED})
BACKOFF = (2 * SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE)
REFUSED_WAIT = 10 * MINUTE
PAID = frozenset({"sms", "voice"})
# Programs are told each thing by itself: no digest can be resolved, and nobody's phone rings twelve times for it. Their
# own limits (429) slow us down.
ONE_BY_ONE = frozenset({"pagerduty", "opsgenie", "webhook"})
LOOK_UP_FOR = 10 * HOUR  # an ntfy server keeps messages for 12 hours; one that is gone must not be taken for one that never came


def recipients(severity: int, contacts: Sequence[Contact]) -> tuple[Contact, ...]:
    """Who hears of a problem at once (A3): nobody at 1, push at 2, push and mail at 3, every channel from 4.

    Chat rooms and programs count as push: they wake nobody. If no contact has a wanted channel, all the others stand in:
    a page must not be lost for want of a phone.
    """
    if severity <= Severity.INFO:
        return ()
    if severity >= Severity.HIGH:
        return tuple(contacts)
    unwanted = ("email", "sms", "voice") if severity == Severity.LOW else ("sms", "voice")
    return tuple(c for c in contacts if c.kind not in unwanted) or tuple(contacts)


def concerned(alert: Alert) -> str | None:
    """The id of the contact that cannot hear of *alert*, because the alert is that it cannot be written to."""
    return (alert.subject or "").removeprefix("contact:") if alert.type == CHANNEL_FAILED else None


def hears_good_news(contact: Contact, alert: Alert) -> bool:
    """Nobody is called because all is well again, and a text costs money: only the end of an alert is worth one."""
    return contact.kind != "voice" and (contact.kind != "sms" or alert.status == Status.RESOLVED)


def notice_readers(user_id: str | None, contacts: Sequence[Contact]) -> tuple[Contact, ...]:
    """How somebody is told what need not wake them: push and mail, for want of these anything that does not ring.

    *user_id* None: the contacts that are nobody's in particular.
    """
    own = [contact for contact in contacts if contact.user_id == user_id]
    return tuple([c for c in own if c.kind in _READ_LATER] or [c for c in own if c.kind != "voice"])


_READ_LATER = ("ntfy", "webpush", "email")


class Pointless(enum.StrEnum):
    """Why a message that was due is not sent after all (hard rule 5)."""

    RESOLVED = "the alert was resolved before this was sent"
    ACKNOWLEDGED = "the alert was acknowledged before this was sent"
    SNOOZED = "the alert was snoozed before this was sent"
    MUTED = "the alert was muted before this was sent"
    SUPERSEDED = "newer news of the same alert took its place"
    CONTACT_GONE = "the contact was removed or disabled"
    EMPTY = "nothing that it carried was still to be sent"
    EXPIRED = "its time was over before this was sent"
    TOLD_BESIDE = "in a storm of messages, another contact of the same person carried it"


def pointless(message: Message, alert: Alert, contact: Contact | None, muted_by: str | None = None) -> Pointless | None:
    """The look just before sending: the reason not to send *message* any more, or None. *muted_by*: what keeps the alert quiet now."""
    if contact is None:
        return Pointless.CONTACT_GONE
    if message.kind in PROBLEM_KINDS:
        if alert.status in _QUIETED:
            return _QUIETED[alert.status]
        if muted_by is not None:
            return Pointless.MUTED
        return Pointless.SUPERSEDED if message.generation < alert.generation else None
    if message.kind == Kind.DIGEST:
        return None
    if message.kind == Kind.NOTICE:
        return Pointless.EXPIRED if alert.status == Status.RESOLVED else None
    return Pointless.SUPERSEDED if alert.status != message.kind else None


_QUIETED: dict[str, Pointless] = {
    Status.RESOLVED: Pointless.RESOLVED,
    Status.ACKNOWLEDGED: Pointless.ACKNOWLEDGED,
    Status.SNOOZED: Pointless.SNOOZED,
}


class Verdict(msgspec.Struct, frozen=True):
    """What follows from an attempt: the message's new state, when to look at it again, and whether others must be asked.

    ``fall_back``: the alert's news shall also go to contacts that were not asked yet. ``maybe_repeated``: the next
    copy is to say that it may be the second.
    """

    status: State
    next_attempt_at: int | None = None
    maybe_repeated: bool = False
    fall_back: bool = False


def after_attempt(message: Message, outcome: Outcome, now: int, jitter: float) -> Verdict:
    """Hard rules 2 and 3. *jitter* in [0, 1) spreads retries over 20 %. ``message.attempts`` counts this attempt."""
    wait = outcome.retry_after or 0
    match outcome.result:
        case Result.SENT:
            return Verdict(State.SENT)
        case Result.PERMANENT:
            return Verdict(State.FAILED, fall_back=True)
        case Result.REFUSED:
            return Verdict(State.PENDING, now + max(wait, REFUSED_WAIT), message.maybe_repeated, fall_back=True)
        case Result.TEMPORARY:
            return Verdict(State.PENDING, now + max(wait, backoff(message.attempts, jitter)), message.maybe_repeated)
        case Result.UNKNOWN:
            return _after_unknown(message, now, jitter)


def _after_unknown(message: Message, now: int, jitter: float) -> Verdict:
    """Loud pages go again, marked; of others the provider is asked whether it has them."""
    if message.severity >= Severity.HIGH and message.kind in (*PROBLEM_KINDS, Kind.DIGEST):
        return Verdict(State.PENDING, now + backoff(message.attempts, jitter), maybe_repeated=True)
    return Verdict(State.UNKNOWN, now + backoff(message.attempts, jitter))


def after_look_up(message: Message, presence: Presence, now: int) -> Verdict:
    """What follows from asking the provider about a message of unknown outcome; without a next attempt that is the last word."""
    match presence:
        case Presence.PRESENT:
            return Verdict(State.SENT)
        case Presence.ABSENT:
            return Verdict(State.PENDING, now, message.maybe_repeated)
        case Presence.NOT_NOW if now < message.created_at + LOOK_UP_FOR:
            return Verdict(State.UNKNOWN, now + BACKOFF[-1])
        case _:
            return Verdict(State.UNKNOWN)


def backoff(attempts: int, jitter: float) -> int:
    """Milliseconds to wait after the *attempts*-th attempt: 2 s rising to a minute, up to a fifth longer by *jitter*."""
    base = BACKOFF[min(max(attempts, 1), len(BACKOFF)) - 1]
    return int(base * (1 + 0.2 * jitter))


def fall_back_to(asked: Collection[str], contacts: Iterable[Contact]) -> tuple[Contact, ...]:
    """The contacts that can stand in when one cannot be reached: those not yet asked about this generation of the alert."""
    return tuple(c for c in contacts if c.id not in asked)


def quickness(kind: str) -> int:
    """Where a kind of contact stands if a person is told on one of theirs only: what is seen at once and can be answered first."""
    return _QUICKNESS.get(kind, 2)


_QUICKNESS = {"ntfy": 0, "webpush": 1, "sms": 3, "voice": 4, "email": 5}
YIELDS_FOR = 15 * SECOND  # how long, in a storm, a contact waits for a quicker one of the same person to carry what both are to say


class Beside(msgspec.Struct, frozen=True):
    """What other contacts of the same person do with messages that one contact has to carry too: ``waits_since`` the first is due."""

    told: int
    under_way: int
    waits_since: int

    def may_yield(self, now: int) -> bool:
        """Whether the contact waits for the others a little longer."""
        return self.under_way > 0 and now - self.waits_since < YIELDS_FOR


def cause_of(kind: str, alert_type: str) -> str:
    """What messages have in common that are grouped; empty: it is told by itself."""
    return "" if kind == Kind.NOTICE or alert_type == "tocsin.test" else f"{kind} {alert_type}"


class Departure(msgspec.Struct, frozen=True):
    """An attempt that this node began of late."""

    contact_id: str
    site_id: int
    severity: int
    at: int


class Said(msgspec.Struct, frozen=True):
    """Messages of one kind about alerts of one type at one site, for one contact, that wait for each other or have left.

    ``digest_id``: what carried them, if they left together. ``at``: when the last of them left or will leave.
    """

    contact_id: str
    site_id: int
    kind: str
    type: str
    digest_id: str | None
    waits: bool
    count: int
    born: int
    at: int

    @property
    def together(self) -> bool:
        """Whether they are a group that is told as one, not what was told by itself."""
        return self.waits or self.digest_id is not None


class Waiting(msgspec.Struct, frozen=True):
    """The due messages of one contact for one site: how many, and how loud the loudest is."""

    contact_id: str
    site_id: int
    count: int
    loudest: int


class Choice(msgspec.Struct, frozen=True):
    """What leaves now for one contact and site: the ``singles`` loudest messages by themselves, and the rest in one digest or later."""

    contact_id: str
    site_id: int
    singles: int
    digest: bool

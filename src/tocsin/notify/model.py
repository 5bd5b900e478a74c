"""Messages, contacts and what became of them."""

import enum
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from tocsin.alerts.model import Alert


class Kind(enum.StrEnum):
    """What a message says. The first five follow an alert's `Notice`."""

    OPENED = "opened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOTICE = "notice"  # about no alert; see notices.py
    DIGEST = "digest"  # several messages in one, when a contact's rate is used up


class State(enum.StrEnum):
    """Where a message stands."""

    PENDING = "pending"  # waits for its moment
    SENDING = "sending"  # leased to a node, perhaps under way
    SENT = "sent"  # the provider has taken it
    DELIVERED = "delivered"  # the provider says that it arrived
    FAILED = "failed"  # cannot be sent to this contact
    UNKNOWN = "unknown"  # it left and nobody knows whether it arrived
    CANCELLED = "cancelled"  # lost its point before it was sent; the reason stands beside it


class Contact(msgspec.Struct, frozen=True):
    """One way to reach somebody: an ntfy topic, a mail address, a chat channel.

    ``target`` may be shown to anybody. Where the address itself is a secret (whoever knows a Slack webhook can write
    there), it is in ``secret``, ``target`` is only a name for it, and the channel sends to ``secret``.
    """

    id: str
    kind: str  # the channel's name: ntfy, email
    target: str  # topic, address, or what a secret address is called
    label: str = ""
    user_id: str | None = None
    secret: str | None = None

    @property
    def address(self) -> str:
        """Where a message really goes: what tells two contacts of one kind apart. Not to be shown."""
        return self.secret or self.target

    def __repr__(self) -> str:
        """Without the secret: a contact may end up in a log."""
        return f"Contact({self.id!r}, {self.kind!r}, {self.target!r})"


CHANNEL_FAILED = "tocsin.channel_failed"  # the type of the alert that a contact cannot be written to


def about(contact: Contact) -> str:
    """The subject of that alert."""
    return f"contact:{contact.id}"


class Message(msgspec.Struct, frozen=True, gc=False):
    """One row of the outbox: the promise to tell one contact one thing about one alert. Field order is the store's column order.

    A negative ``alert_number`` means the notice of that number.
    """

    id: str
    alert_number: int
    generation: int
    kind: str
    step: int
    contact_id: str
    site_id: int
    severity: int
    status: str
    attempts: int
    fence: int
    lease_node: str | None
    lease_until: int | None
    next_attempt_at: int | None
    created_at: int
    sent_at: int | None = None
    maybe_repeated: bool = False
    receipt: str | None = None
    last_error: str | None = None
    digest_id: str | None = None
    links_revoked_at: int | None = None
    due_at: int | None = None  # when it was to be sent, if not in the moment in which it was made


class Links(msgspec.Struct, frozen=True):
    """Signed addresses for one message: the alert's own page, and one page per action."""

    open: str
    acknowledge: str
    resolve: str
    snooze: str = ""


class Letter(msgspec.Struct, frozen=True):
    """All that a channel needs to write and send one message.

    ``delay`` is how long after the decision it is sent, in milliseconds. ``others`` are the further alerts of a
    digest (``alert`` being the loudest) and ``more`` counts those that are not listed. ``links`` are this very message's
    own, so that it can be told from all others at its provider; None for a notice, with which there is nothing to do.
    ``impact`` says in a sentence what hangs on it (A12), or nothing.
    """

    message: Message
    contact: Contact
    alert: Alert
    site: str
    links: Links | None
    now: int
    delay: int = 0
    others: tuple[Alert, ...] = ()
    more: int = 0
    impact: str = ""


class Result(enum.StrEnum):
    """How an attempt ended, by what has to be done about it."""

    SENT = "sent"
    TEMPORARY = "temporary"  # try again later
    PERMANENT = "permanent"  # this contact cannot be reached with this: try another
    REFUSED = "refused"  # our credentials or settings are wrong: alarm elsewhere, try again rarely
    UNKNOWN = "unknown"  # it left, and no answer came back


class Outcome(msgspec.Struct, frozen=True):
    """What one attempt came to. ``error`` is a plain sentence without secrets; ``retry_after`` is in milliseconds.

    ``gone``: the address is no more, and will not come back: the contact is removed.
    """

    result: Result
    error: str | None = None
    retry_after: int | None = None
    receipt: str | None = None
    gone: bool = False


class NotTried(Outcome, frozen=True):
    """Nothing was handed to the channel, so that it says nothing about whether the contact can be reached."""


class Presence(enum.StrEnum):
    """Whether a message whose outcome is unknown is at the provider."""

    PRESENT = "present"
    ABSENT = "absent"
    CANNOT_TELL = "cannot_tell"  # it has no way to say: asking again would not help
    NOT_NOW = "not_now"  # it could not be asked at the moment


class Channel(Protocol):
    """One way of sending. A channel decides nothing: it writes, sends, and says what happened; it raises nothing."""

    kind: str

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Sends *letter*; calls *departing* at the last moment before the first byte that could reach the provider leaves."""
        ...

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Whether a letter sent about *attempted_at* (ms) is at the provider."""
        ...

    async def check(self, contact: Contact) -> str | None:
        """None if the channel could send to *contact* now, else the fault and its cure in one sentence. Sends nothing."""
        ...

    async def close(self) -> None:
        """Gives back connections."""
        ...


@runtime_checkable
class Paid(Protocol):
    """A channel whose messages cost money."""

    def price(self, letter: Letter) -> int:
        """What *letter* will cost, in millionths, as far as that is known before."""
        ...

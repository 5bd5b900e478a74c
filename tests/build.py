"""Builders: a plain example of each thing, of which a test changes what it is about. And the cast."""

from typing import Any

import msgspec

from tests.fakes import NOW
from tocsin.alerts.model import Alert
from tocsin.events.model import Event, EventInput, Incoming
from tocsin.notify.model import Contact, Letter, Message

ONCALL_PHONE = Contact("00000000-0000-7000-8000-0000000000c1", "ntfy", "oncall-phone")
ONCALL_MAIL = Contact("00000000-0000-7000-8000-0000000000c2", "email", "oncall@example.com")
OWNER_PHONE = Contact("00000000-0000-7000-8000-0000000000c3", "ntfy", "owner-phone")
EVERYONE = (ONCALL_PHONE, ONCALL_MAIL, OWNER_PHONE)


def an_id(number: int) -> str:
    """A UUID that ends in *number*."""
    return f"00000000-0000-7000-8000-{number:012x}"


def an_event(number: int = 1, **changes: Any) -> Event:
    """A described problem: the disk of web-1 is full, at `NOW`."""
    values: dict[str, Any] = {
        "id": an_id(number),
        "site_id": 1,
        "type": "disk.full",
        "occurred_at": NOW,
        "severity": 3,
        "status": "problem",
        "title": "Disk full",
        "message": None,
        "subject": "disk:/",
        "host": "web-1",
        "attributes": None,
        "dedup_key": "disk.full|disk:/|web-1",
        "ends": (),
        "source": None,
        "sequence": None,
    }
    return Event(**(values | changes))


def a_report(subject: str = "disk:/", *, site: str = "main", at: int = NOW, **changes: Any) -> Incoming:
    """The same as it comes in, about *subject*."""
    values: dict[str, Any] = {"type": "disk.full", "severity": 3, "status": "problem", "title": "Disk full", "subject": subject}
    return Incoming(EventInput(**(values | changes)), site, at)


def a_recovery(subject: str = "disk:/", **changes: Any) -> Incoming:
    """The end of what `a_report` reports."""
    return a_report(subject, status="recovery", title="Disk has room again", **changes)


def an_alert(**changes: Any) -> Alert:
    """An open alert about `an_event`."""
    values: dict[str, Any] = {
        "number": 1,
        "id": an_id(0xA1),
        "site_id": 1,
        "dedup_key": "disk.full|disk:/|web-1",
        "type": "disk.full",
        "title": "Disk full",
        "message": None,
        "subject": "disk:/",
        "host": "web-1",
        "severity": 3,
        "status": "open",
        "occurrences": 1,
        "generation": 1,
        "first_seen_at": NOW,
        "last_seen_at": NOW,
    }
    return Alert(**(values | changes))


def a_contact(number: int = 1, kind: str = "ntfy", target: str | None = None) -> Contact:
    """A contact of its own id and address."""
    return Contact(an_id(0xC000 + number), kind, target or f"{kind}-{number}")


def a_message(**changes: Any) -> Message:
    """A message that waits: `an_alert` has opened, for the on-call engineer's phone."""
    values: dict[str, Any] = {
        "id": an_id(0xB1),
        "alert_number": 1,
        "generation": 1,
        "kind": "opened",
        "step": 0,
        "contact_id": ONCALL_PHONE.id,
        "site_id": 1,
        "severity": 3,
        "status": "pending",
        "attempts": 0,
        "fence": 0,
        "lease_node": None,
        "lease_until": None,
        "next_attempt_at": NOW,
        "created_at": NOW,
    }
    return Message(**(values | changes))


def a_letter(**changes: Any) -> Letter:
    """`a_message` about `an_alert`, ready to be sent."""
    letter = Letter(a_message(), ONCALL_PHONE, an_alert(), "main", None, NOW)
    return msgspec.structs.replace(letter, **changes)

"""Letters for tests: an alert of 02:31 UTC, told about at 03:12 UTC; change what the test is about."""

from typing import Any

import msgspec

from tocsin.alerts.model import Alert
from tocsin.core.clock import MINUTE
from tocsin.notify.model import Contact, Letter, Links, Message

NOW = 1_764_040_320_000  # 2025-11-25 03:12:00 UTC
LINKS = Links(
    open="https://alarm.example.com/a/o-7f3k9q",
    acknowledge="https://alarm.example.com/a/a-7f3k9q",
    resolve="https://alarm.example.com/a/r-7f3k9q",
    snooze="https://alarm.example.com/a/s-7f3k9q",
)


def an_alert(number: int = 12, **changes: Any) -> Alert:
    """A critical alert that has been open for 41 minutes."""
    values: dict[str, Any] = {
        "number": number,
        "id": f"019aa5b0-0000-7000-8000-{number:012x}",
        "site_id": 1,
        "dedup_key": "acme:servers.module_create_failed:77",
        "type": "servers.module_create_failed",
        "title": "Service 77: creation failed",
        "message": "cPanel answered: account quota reached (250 of 250).",
        "subject": "service 77",
        "host": "srv-12",
        "severity": 5,
        "status": "open",
        "occurrences": 1,
        "generation": 1,
        "first_seen_at": NOW - 41 * MINUTE,
        "last_seen_at": NOW - MINUTE,
    }
    return Alert(**(values | changes))


def a_letter(kind: str = "opened", alert: Alert | None = None, **changes: Any) -> Letter:
    """A letter of *kind* about *alert* to the topic ``whmcs-alerts`` (``target`` changes that) of site ``acme``."""
    about = alert or an_alert()
    contact = Contact("contact-1", changes.pop("channel", "ntfy"), changes.pop("target", "whmcs-alerts"))
    message = Message(
        id=changes.pop("message_id", "019aa5b1-1111-7000-8000-000000000001"),
        alert_number=about.number,
        generation=about.generation,
        kind=kind,
        step=0,
        contact_id=contact.id,
        site_id=1,
        severity=about.severity,
        status="sending",
        attempts=0,
        fence=1,
        lease_node=None,
        lease_until=None,
        next_attempt_at=None,
        created_at=NOW,
        maybe_repeated=changes.pop("maybe_repeated", False),
    )
    letter = Letter(message, contact, about, "acme", LINKS, NOW)
    return msgspec.structs.replace(letter, **changes)

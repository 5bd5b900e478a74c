"""What a list of alerts says and offers: tabs, next steps, words for what was done. Pure functions."""

from collections.abc import Mapping

import msgspec

from tocsin.alerts.model import Alert, Status
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.text import counted
from tocsin.core.times import to_text

CAPPED = 1_000  # resolved alerts are counted up to here


class Tab(msgspec.Struct, frozen=True):
    """One tab of the list: its words and the states that it shows."""

    label: str
    status: str


TABS = (
    Tab("Needs action", Status.OPEN.value),
    Tab("Acknowledged", Status.ACKNOWLEDGED.value),
    Tab("Snoozed", Status.SNOOZED.value),
    Tab("Resolved", Status.RESOLVED.value),
)

SORTS: tuple[tuple[str, str], ...] = (
    ("-severity", "Loudest first"),
    ("-number", "Newest first"),
    ("-last_seen_at", "Seen last first"),
    ("first_seen_at", "Oldest first"),
    ("-occurrences", "Most often first"),
    ("-impact", "Dearest first"),
)

SNOOZES: tuple[tuple[str, int], ...] = (
    ("30 minutes", 30 * MINUTE),
    ("1 hour", HOUR),
    ("4 hours", 4 * HOUR),
    ("1 day", DAY),
    ("7 days", 7 * DAY),
)


def capped(count: int, status: str) -> str:
    """A number for a tab: ``148``; ``1,000+`` where nobody counts on."""
    return f"{CAPPED:,}+" if status == Status.RESOLVED and count >= CAPPED else f"{count:,}"


def counts(unresolved: Mapping[str, int], resolved: int) -> dict[str, int]:
    """How many alerts each tab has; those of which there are none too."""
    return dict.fromkeys((*Status, "muted"), 0) | dict(unresolved) | {Status.RESOLVED.value: resolved}


def most(counted_by: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """Those of which there are the most, these first."""
    return sorted(counted_by.items(), key=lambda one: (-one[1], one[0]))[:limit]


class NextStep(msgspec.Struct, frozen=True):
    """What happens to an alert by itself, and when: from, until (ms), in words."""

    since: int
    at: int
    says: str


def next_step(alert: Alert) -> NextStep | None:
    """What time will do to *alert*, if nobody does anything."""
    if alert.due_at is None:
        return None
    if alert.status == Status.ACKNOWLEDGED:
        return NextStep(alert.acknowledged_at or alert.last_seen_at, alert.due_at, "opens again")
    if alert.status == Status.SNOOZED:
        return NextStep(alert.last_seen_at, alert.due_at, "wakes up")
    return None


# --- what a button says: one word and perhaps one more ("snooze 3600"), so that it needs no script


class Deed(msgspec.Struct, frozen=True):
    """What somebody wants done, as the API's bulk call takes it."""

    action: str
    for_seconds: int | None = None
    until: str | None = None
    user: str | None = None


_ALONE = frozenset({"acknowledge", "unacknowledge", "resolve", "comment", "wake", "escalate"})


def read_deed(text: str) -> Deed:
    """``acknowledge``, ``snooze 3600``, ``snooze 2026-11-24T07:00:00Z``, ``assign marta@example.com``. Raises `InvalidInput`."""
    verb, _, more = text.strip().partition(" ")
    more = more.strip()
    if verb in _ALONE and not more:
        return Deed(verb)
    if verb in ("acknowledge", "snooze") and more.isascii() and more.isdigit() and len(more) < 9:
        return Deed(verb, for_seconds=int(more))
    if verb == "snooze" and more:
        return Deed(verb, until=more)
    if verb == "assign" and more:
        return Deed(verb, user=more)
    raise InvalidInput.of(
        "do", f"{text[:60]!r} is nothing that can be done to an alert. Examples: acknowledge, snooze 3600, assign marta@example.com"
    )


def morning(now: int, midnight: int) -> str:
    """The next eight o'clock as a button says it. *midnight*: when the reader's day began (ms)."""
    eight = midnight + 8 * HOUR
    return to_text(eight if eight > now + HOUR else eight + DAY)


_DONE: Mapping[str, str] = {
    "acknowledge": "acknowledged",
    "unacknowledge": "given back",
    "resolve": "resolved",
    "snooze": "snoozed",
    "wake": "woken",
    "escalate": "escalated",
    "assign": "assigned",
    "comment": "noted on",
}


def said(action: str, done: int, refused: list[str], more: int = 0) -> str:
    """What became of it, for a toast, such as "2 alerts acknowledged. 1 was not: alert 7 is resolved"."""
    parts = []
    if action == "comment" and done:
        parts.append("Note added." if done == 1 else f"Note added to {counted(done, 'alert')}.")
    elif done:
        parts.append(f"{counted(done, 'alert').capitalize() if done != 1 else 'Alert'} {_DONE[action]}.")
    if refused:
        whom = "It was not" if not done and len(refused) == 1 else f"{len(refused):,} {'was' if len(refused) == 1 else 'were'} not"
        parts.append(f"{whom}: {refused[0]}.")
    if more:
        parts.append(f"{more:,} more match; do it again for the next ones.")
    return " ".join(parts) or "Nothing was left to do."

"""An alert in the words of a page: pure functions from what is stored to what is read."""

from collections.abc import Callable
from datetime import tzinfo

import msgspec

from tocsin.alerts.model import Action, Alert, HistoryLine, Status
from tocsin.core.clock import DAY, SECOND
from tocsin.core.severity import Severity
from tocsin.core.text import counted, cut
from tocsin.core.times import to_datetime
from tocsin.notify.render import clean, clean_line
from tocsin.web.alerts.timeline import WAYS
from tocsin.web.people import Name
from tocsin.web.times import in_words

MESSAGE_LIMIT = 1_200


class Fact(msgspec.Struct, frozen=True):
    """A thing and what it is called."""

    name: str
    value: str


class Step(msgspec.Struct, frozen=True):
    """One line of the history: when, an icon, what happened, and what was said."""

    at: str
    icon: str
    text: str
    note: str


class Story(msgspec.Struct, frozen=True):
    """All that the page of an alert says about it. ``kicker``: "since 02:31 UTC, 41 min, 23 times"."""

    title: str
    message: str
    severity: int
    word: str
    status: str
    kicker: str
    keeper: str
    facts: tuple[Fact, ...]
    steps: tuple[Step, ...]


def tell(alert: Alert, site: str, history: list[HistoryLine], name: Name, zone: tzinfo, now: int) -> Story:
    """The story of *alert* as it stands at *now*; *history* is shown with the newest first, people by *name*, times in *zone*."""
    when = clock_of(zone, now)
    return Story(
        title=clean_line(alert.title) or clean_line(alert.type),
        message=cut(clean(alert.message or ""), MESSAGE_LIMIT),
        severity=alert.severity,
        word=Severity(alert.severity).word.capitalize(),
        status=alert.status,
        kicker=_kicker(alert, when, now),
        keeper=_keeper(alert, name, when),
        facts=_facts(alert, site, when),
        steps=tuple(_step(line, name, when) for line in reversed(history)),
    )


def clock_of(zone: tzinfo, now: int) -> Callable[[int], str]:
    """Writes moments as a person would at *now*: ``02:31 UTC`` today, else ``24 Nov 02:31 UTC``."""
    today = to_datetime(now).astimezone(zone).date()

    def when(ms: int) -> str:
        moment = to_datetime(ms).astimezone(zone)
        day = "" if moment.date() == today else f"{moment.day} {moment:%b} "
        return f"{day}{moment:%H:%M} {moment.tzname() or ''}".strip()

    return when


def _kicker(alert: Alert, when: Callable[[int], str], now: int) -> str:
    times = counted(alert.occurrences, "time")
    if alert.status == Status.RESOLVED and alert.resolved_at is not None:
        return f"resolved {when(alert.resolved_at)}, after {in_words(alert.resolved_at - alert.first_seen_at)}"
    return f"since {when(alert.first_seen_at)}, {in_words(now - alert.first_seen_at)}, {times}"


def _keeper(alert: Alert, name: Name, when: Callable[[int], str]) -> str:
    match alert.status:
        case Status.ACKNOWLEDGED:
            return f"{name(alert.acknowledged_by)} has it since {when(alert.acknowledged_at or 0)}."
        case Status.SNOOZED:
            return f"Snoozed until {when(alert.snoozed_until or 0)}."
        case Status.RESOLVED:
            return f"{name(alert.resolved_by)} resolved it." if alert.resolved_by != "tocsin" else "It resolved itself."
        case _:
            return f"Assigned to {name(alert.assignee)}; nobody has taken it yet." if alert.assignee else "Nobody has it yet."


def _facts(alert: Alert, site: str, when: Callable[[int], str]) -> tuple[Fact, ...]:
    found = [
        Fact("Site", site),
        Fact("Host", clean_line(alert.host or "")),
        Fact("About", clean_line(alert.subject or "")),
        Fact("Kind", alert.type),
        Fact("First seen", when(alert.first_seen_at)),
        Fact("Last seen", when(alert.last_seen_at)),
        Fact("Seen", counted(alert.occurrences, "time")),
        Fact("Number", str(alert.number)),
    ]
    return tuple(fact for fact in found if fact.value)


def _step(line: HistoryLine, name: Name, when: Callable[[int], str]) -> Step:
    details = line.details or {}
    icon, text = _what(line, name, details)
    note = cut(clean(str(details.get("note") or "")), 400)
    return Step(when(line.at), icon, text, note)


def _what(line: HistoryLine, name: Name, details: dict[str, object]) -> tuple[str, str]:
    """An icon and what happened."""
    if line.action == Action.NOTIFIED:
        return "i-mail", _notified(details)
    if line.action == Action.RESOLVED and line.actor == "tocsin":
        return "i-checks", "A recovery came in, so it is resolved"
    icon, words = _WORDS.get(line.action, ("i-note", f"{{who}}: {clean_line(line.action, 60).replace('_', ' ')}"))
    text = words.format(
        who=name(line.actor),
        severity=_severity(details.get("severity")),
        before=_severity(details.get("from")),
        after=_severity(details.get("to")),
        user=name(str(details.get("to"))),
        level=clean_line(str(details.get("level")), 10),
        why=clean_line(line.reason, 100),
    )
    return icon, f"{text}, and there was nobody to tell" if _nobody(details.get("told")) else text


def _nobody(told: object) -> bool:
    return told == [] or (isinstance(told, str) and told.startswith("nobody"))


_WORDS: dict[str, tuple[str, str]] = {
    Action.OPENED: ("i-bell", "Raised as {severity}"),
    Action.REOPENED: ("i-turn", "It came back"),
    Action.SEVERITY_RAISED: ("i-bell", "Rose from {before} to {after}"),
    Action.ACKNOWLEDGED: ("i-check", "{who} acknowledged it"),
    Action.UNACKNOWLEDGED: ("i-undo", "{who} gave it back"),
    Action.ACKNOWLEDGEMENT_EXPIRED: ("i-undo", "The acknowledgement ran out, so it is open again"),
    Action.SNOOZED: ("i-moon", "{who} snoozed it"),
    Action.SNOOZE_ENDED: ("i-moon", "The snooze ended, and it is still there"),
    Action.RESOLVED: ("i-checks", "{who} resolved it"),
    Action.ASSIGNED: ("i-user", "{who} assigned it to {user}"),
    Action.COMMENTED: ("i-note", "{who} left a note"),
    Action.ESCALATED: ("i-bell", "Escalated to level {level}: {why}"),
}


def _notified(details: dict[str, object]) -> str:
    """Names the channel, not the address: whoever was forwarded this link need not learn everybody's."""
    channel = clean_line(str(details.get("contact") or "message"), 80).partition(" ")[0]
    return f"{WAYS[channel][1] if channel in WAYS else channel.capitalize()}: {clean_line(str(details.get('outcome') or 'unknown'), 60)}"


def _severity(value: object) -> str:
    return Severity(value).word if isinstance(value, int) and value in range(1, 6) else "unknown"


def lifetime(left: int) -> str:
    """How long a link still works: ``6 days``, ``3 h``."""
    return counted(left // DAY, "day") if left >= 2 * DAY else in_words(max(left, SECOND))

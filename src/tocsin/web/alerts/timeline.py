"""An alert's life as a page tells it: who did what, who was told and whether it arrived. Pure functions."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tocsin.alerts.model import Action, Alert, HistoryLine, Reason, Status
from tocsin.core.clock import SECOND
from tocsin.core.severity import Severity
from tocsin.core.text import counted, cut, one_line
from tocsin.web.times import in_words

Name = Callable[[str | None], str]
SAME_MOMENT = 2 * SECOND


class Sent(msgspec.Struct, frozen=True):
    """One message as it stands: to whom, by which channel, what became of it. Times in ms."""

    kind: str
    channel: str
    whom: str
    status: str
    created_at: int
    sent_at: int | None
    next_attempt_at: int | None
    attempts: int
    error: str
    maybe_repeated: bool = False


class Told(msgspec.Struct, frozen=True):
    """One message in words. ``state`` names a sign: up, down, unknown, paused, or 1 for what is still to come."""

    icon: str
    way: str
    whom: str
    state: str
    word: str
    more: str = ""
    due_at: int | None = None
    at: int = 0
    what: str = ""  # what they were told: that it began


class Entry(msgspec.Struct, frozen=True):
    """One step: when, a sign, what happened. ``note`` is Markdown as somebody wrote it; with ``level`` the sign is a severity's."""

    at: int
    icon: str
    text: str
    who: str = ""
    sub: str = ""
    note: str = ""
    level: int = 0
    told: tuple[Told, ...] = ()


WAYS: Mapping[str, tuple[str, str]] = {
    "ntfy": ("i-phone", "Push"),
    "webpush": ("i-phone", "Push"),
    "email": ("i-mail", "Email"),
    "sms": ("i-sms", "Text"),
    "voice": ("i-call", "Call"),
    "webhook": ("i-link", "Webhook"),
    "apprise": ("i-out", "Chat"),
}
_STATES: Mapping[str, tuple[str, str]] = {
    "sent": ("up", "Sent"),
    "delivered": ("up", "Delivered"),
    "failed": ("down", "Failed"),
    "unknown": ("unknown", "Not sure"),
    "pending": ("1", "Waits"),
    "sending": ("1", "On its way"),
    "cancelled": ("paused", "Not sent"),
}


def told(message: Sent) -> Told:
    """What became of one message."""
    icon, way = WAYS.get(message.channel, ("i-out", message.channel.capitalize() or "Message"))
    state, word = _STATES.get(message.status, ("unknown", message.status.capitalize()))
    more: list[str] = []
    if message.sent_at is not None and message.status in ("sent", "delivered"):
        took = message.sent_at - message.created_at
        more.append("at once" if took < SECOND else f"in {in_words(took)}")
    if message.error and message.status != "sent":
        more.append(cut(one_line(message.error), 160))
    if message.attempts > 1:
        more.append(f"tried {counted(message.attempts, 'time')}")
    if message.maybe_repeated:
        more.append("perhaps twice")
    due = message.next_attempt_at if message.status == "pending" else None
    what = _KINDS.get(message.kind, "").removeprefix("was told ")
    return Told(icon, way, message.whom, state, word, ", ".join(more), due, message.created_at, what)


def timeline(history: Sequence[HistoryLine], sent: Sequence[Sent], name: Name) -> list[Entry]:
    """All steps, the newest first. Messages of the same moment are one step."""
    entries = [_step(line, name) for line in history if line.action != Action.NOTIFIED]
    entries += [_told(batch) for batch in _batches(sent)]
    return sorted(entries, key=lambda entry: (entry.at, bool(entry.told)), reverse=True)


def _batches(sent: Sequence[Sent]) -> list[list[Sent]]:
    found: list[list[Sent]] = []
    for message in sorted(sent, key=lambda one: one.created_at):
        if found and found[-1][0].kind == message.kind and message.created_at - found[-1][0].created_at < SAME_MOMENT:
            found[-1].append(message)
        else:
            found.append([message])
    return found


_KINDS: Mapping[str, str] = {
    "opened": "was told that it began",
    "escalated": "was told that it got worse",
    "repeated": "was told again",
    "acknowledged": "was told that somebody has it",
    "resolved": "was told that it is over",
    "digest": "got a digest",
}


def _told(batch: list[Sent]) -> Entry:
    people = list(dict.fromkeys(message.whom for message in batch))
    who = (
        people[0]
        if len(people) == 1
        else f"{', '.join(people[:-1])} and {people[-1]}"
        if len(people) < 4
        else counted(len(people), "contact")
    )
    words = _KINDS.get(batch[0].kind, "was written to")
    if len(people) > 1:
        words = words.replace("was ", "were ", 1)
    return Entry(batch[0].created_at, "i-bell", words, who=who, told=tuple(told(message) for message in batch))


_WORDS: Mapping[str, tuple[str, str]] = {
    Action.REOPENED: ("i-turn", "It came back"),
    Action.ACKNOWLEDGED: ("i-check", "acknowledged it"),
    Action.UNACKNOWLEDGED: ("i-undo", "gave it back"),
    Action.ACKNOWLEDGEMENT_EXPIRED: ("i-undo", "The acknowledgement ran out, so it is open again"),
    Action.SNOOZED: ("i-moon", "snoozed it"),
    Action.SNOOZE_ENDED: ("i-moon", "The snooze ended, and it is still there"),
    Action.RESOLVED: ("i-checks", "resolved it"),
    Action.ASSIGNED: ("i-user", "assigned it"),
    Action.COMMENTED: ("i-note", "left a note"),
    Action.UNDONE: ("i-undo", "took the last step back"),
    Action.MUTED: ("i-mute", "It is kept quiet"),
    Action.UNMUTED: ("i-bell", "Nothing keeps it quiet any more"),
    Action.FLAPPING: ("i-pulse", "It comes and goes"),
    Action.CALMED: ("i-check", "It has become calm"),
    Action.RESTARTED: ("i-bell", "People are told of it from the beginning"),
}


def _step(line: HistoryLine, name: Name) -> Entry:
    details = line.details or {}
    note = str(details.get("note") or "")
    machine = line.actor == "tocsin"
    who = "" if machine else name(line.actor)
    match line.action:
        case Action.OPENED:
            level = details.get("severity")
            severity = level if isinstance(level, int) and level in range(1, 6) else 3
            sub = f"The same problem was alert {details['previous_alert']} before" if "previous_alert" in details else ""
            return Entry(line.at, "i-bell", f"Raised as {Severity(severity).word}", sub=sub, level=severity)
        case Action.SEVERITY_RAISED:
            return Entry(
                line.at,
                "i-bell",
                f"Rose from {_severity(details.get('from'))} to {_severity(details.get('to'))}",
                level=_level(details.get("to")),
            )
        case Action.ESCALATED:
            return _escalated(line, details, who)
        case Action.RESOLVED if machine and line.reason == Reason.STAYED_AWAY:
            return Entry(line.at, "i-checks", "It has stayed away, so it is resolved")
        case Action.RESOLVED if machine:
            return Entry(line.at, "i-checks", "A recovery came in, so it is resolved", sub=one_line(str(details.get("title") or "")))
        case Action.SNOOZE_ENDED if not machine:
            return Entry(line.at, "i-moon", "woke it up", who=who, note=note)
        case Action.ASSIGNED:
            return Entry(line.at, "i-user", f"assigned it to {name(str(details.get('to') or ''))}", who=who, note=note)
    icon, text = _WORDS.get(line.action, ("i-note", one_line(line.action).replace("_", " ")))
    sub = _sub(line, details)
    return Entry(line.at, icon, text, who=who, sub=sub, note=note)


def _escalated(line: HistoryLine, details: Mapping[str, object], who: str) -> Entry:
    level = details.get("level")
    at = f"level {level + 1}" if isinstance(level, int) else "the next level"
    text = f"raised it to {at}" if who else f"{at.capitalize()} of “{one_line(str(details.get('policy') or 'the policy'))}” was reached"
    missed = details.get("missed")
    names = [one_line(str(name)) for name in missed] if isinstance(missed, list) else []
    sub = f"{one_line(line.reason)}; not reached: {', '.join(names)}" if names else one_line(line.reason)
    return Entry(line.at, "i-users", text, who=who, sub=sub)


def _sub(line: HistoryLine, details: Mapping[str, object]) -> str:
    if "told" in details:
        return "there was nobody to tell"
    if line.action == Action.MUTED:
        return one_line(str(details.get("by") or ""))
    if line.action not in _WORDS and line.reason:
        return one_line(line.reason)
    return ""


def _level(value: object) -> int:
    return value if isinstance(value, int) and value in range(1, 6) else 0


def _severity(value: object) -> str:
    level = _level(value)
    return Severity(level).word if level else "unknown"


class Keeper(msgspec.Struct, frozen=True):
    """Who has it, as the large figure says: a name or "Nobody", and the words below."""

    figure: str
    label: str


def keeper(alert: Alert, name: Name) -> Keeper:
    """Who has *alert*."""
    match alert.status:
        case Status.ACKNOWLEDGED:
            return Keeper(_short(name(alert.acknowledged_by)), "has it")
        case Status.RESOLVED:
            return Keeper("Itself" if alert.resolved_by == "tocsin" else _short(name(alert.resolved_by)), "resolved it")
        case Status.SNOOZED:
            return Keeper("Asleep", "snoozed")
    if alert.assignee:
        return Keeper(_short(name(alert.assignee)), "is asked to take it")
    return Keeper("Nobody", "has it yet")


def _short(name: str) -> str:
    return cut(name if name.startswith("The ") or "@" in name else name.split(" ", maxsplit=1)[0], 24)

"""What the overview says: pure functions from what is stored to sentences, cells and lines."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tocsin.alerts.model import Action, Alert, Status
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.severity import Severity
from tocsin.core.text import counted, cut, one_line
from tocsin.oncall.model import Shifts
from tocsin.web.times import in_words

CELL = 30 * MINUTE
CELLS = DAY // CELL
MANY = 3  # so many equally loud alerts without an owner are named by their number
FOLDED_FROM = 3  # so many like lines in a row become one
LONG_TITLE = 90
MUTED = "muted"  # in place of the status of an alert that something keeps quiet

Name = Callable[[str | None], str]  # a history's actor as people say it


# --- the figures


class Group(msgspec.Struct, frozen=True):
    """The unresolved alerts of one site, severity and status: how many, and when the first of them began (ms)."""

    site_id: int
    severity: int
    status: str
    count: int
    since: int


class Tally(msgspec.Struct, frozen=True):
    """How many alerts there are of each kind. ``unowned``: open, and nobody has acknowledged them."""

    unowned: int
    acknowledged: int
    snoozed: int
    muted: int
    unowned_at: Mapping[int, int]  # by severity

    @property
    def open(self) -> int:
        """All that are neither resolved nor snoozed."""
        return self.unowned + self.acknowledged


def tally(groups: Iterable[Group]) -> Tally:
    """Counts the *groups* together."""
    by_status = dict.fromkeys((Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED, MUTED), 0)
    unowned: dict[int, int] = {}
    for group in groups:
        by_status[group.status] += group.count
        if group.status == Status.OPEN:
            unowned[group.severity] = unowned.get(group.severity, 0) + group.count
    return Tally(by_status[Status.OPEN], by_status[Status.ACKNOWLEDGED], by_status[Status.SNOOZED], by_status[MUTED], unowned)


# --- the sentence


class Figure(msgspec.Struct, frozen=True):
    """A large number and what it counts."""

    value: str
    label: str
    loud: bool = False


class Front(msgspec.Struct, frozen=True):
    """The first thing that is read. ``level``: the severity that colours it; 0: all is well."""

    level: int
    kicker: str
    bad: str
    rest: str
    deck: str
    figures: tuple[Figure, ...] = ()
    first: bool = False  # nothing has ever come in


class Known(msgspec.Struct, frozen=True):
    """What the sentence is made of. Times in ms; ``watch``: who is on call now; ``quiet_since``: when the last alert ended."""

    now: int
    tally: Tally
    worst: Alert | None
    sites: int
    watch: str = ""
    last_event_at: int | None = None
    quiet_since: int | None = None
    last_hour: int = 0


def front(known: Known, name: Name, clock: Callable[[int], str]) -> Front:
    """One sentence that answers "is everything all right, and who has it?"."""
    worst = known.worst
    if worst is None:
        return _quiet(known)
    if worst.severity <= Severity.LOW:
        return _calm(known, worst, clock)
    unowned = known.tally.unowned_at.get(worst.severity, 0)
    kicker = f"{_word(worst.severity)} since {clock(worst.first_seen_at)}, for {in_words(known.now - worst.first_seen_at)}"
    if unowned > MANY:
        bad = f"{spelled(unowned).capitalize()} alerts are {Severity(worst.severity).word}."
        deck = f"The first of them: {sentence(worst.title)}"
        return Front(worst.severity, kicker, bad, "Nobody has them yet.", deck, _figures(known))
    deck = " ".join(part for part in (_message(worst), _others(known.tally, worst)) if part)
    return Front(worst.severity, kicker, sentence(worst.title), _owner(worst, name), deck, _figures(known))


def _quiet(known: Known) -> Front:
    if known.last_event_at is None:
        return Front(
            0,
            "",
            "",
            "Listening for the first event.",
            "Nothing has come in yet. Connect a WHMCS site, or send an event yourself.",
            first=True,
        )
    watch = f"{known.watch} {'are' if ' and ' in known.watch else 'is'} on watch." if known.watch else ""
    since = f"No open alert for {_at_length(known.now - known.quiet_since)}." if known.quiet_since else "No alert is open."
    last = f"{_sites(known.sites)}; the last event came {in_words(known.now - known.last_event_at)} ago."
    asleep, kept = _are(known.tally.snoozed, "snoozed"), _are(known.tally.muted, "kept quiet")
    return Front(0, "", "", f"All quiet. {watch}".strip(), " ".join(part for part in (since, last, asleep, kept) if part))


def _are(count: int, what: str) -> str:
    return f"{spelled(count).capitalize()} {'is' if count == 1 else 'are'} {what}." if count else ""


def _calm(known: Known, worst: Alert, clock: Callable[[int], str]) -> Front:
    count = known.tally.open
    waits = "One small thing waits" if count == 1 else f"{spelled(count).capitalize()} small things wait"
    kicker = f"Nothing above low since {clock(worst.first_seen_at)}"
    deck = f"{waits} for the day. The loudest: {sentence(worst.title)}"
    return Front(worst.severity, kicker, "", "Nothing urgent.", deck, _figures(known))


def _owner(alert: Alert, name: Name) -> str:
    if alert.status == Status.ACKNOWLEDGED:
        return f"{first_name(name(alert.acknowledged_by))} has it."
    if alert.assignee:
        return f"It waits for {first_name(name(alert.assignee))}."
    return "Nobody has it yet."


def _others(found: Tally, worst: Alert) -> str:
    others = found.unowned - (worst.status == Status.OPEN)
    if others == 0:
        return "" if found.open <= 1 else "All others have an owner."
    return f"{spelled(others).capitalize()} other {'alert needs' if others == 1 else 'alerts need'} an owner."


def _figures(known: Known) -> tuple[Figure, ...]:
    found = known.tally
    loud = any(found.unowned_at.get(level) for level in (4, 5))
    return (
        Figure(grouped(found.unowned), "without an owner", loud),
        Figure(grouped(found.acknowledged), "somebody has"),
        Figure(grouped(found.snoozed + found.muted), "kept quiet" if found.muted else "snoozed"),
        Figure(grouped(known.last_hour), "events in the last hour"),
    )


def _message(alert: Alert) -> str:
    text = one_line(alert.message or "")
    return "" if not text or text == alert.title else sentence(text, 180)


def _sites(count: int) -> str:
    return "One site" if count == 1 else f"{spelled(count).capitalize()} sites"


def _at_length(ms: int) -> str:
    hours = ms // HOUR
    return in_words(ms) if hours < 1 else counted(hours, "hour") if hours < 72 else counted(hours // 24, "day")


def _word(severity: int) -> str:
    return Severity(severity).word.capitalize()


def sentence(text: str, limit: int = LONG_TITLE) -> str:
    """*text* with a full stop, cut so that it can be read at a glance."""
    short = cut(one_line(text), limit)
    return short if short.endswith((".", "!", "?", "…", ":")) else f"{short}."


def first_name(name: str) -> str:
    """``Marta`` of ``Marta Kowalczyk``; names of machines stay whole."""
    return name if name.startswith(("The ", "the ")) or "@" in name else name.split(" ", maxsplit=1)[0]


_SPELLED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def spelled(count: int) -> str:
    """Small numbers as words, as in a newspaper."""
    return _SPELLED[count] if 0 <= count < len(_SPELLED) else grouped(count)


def grouped(count: int) -> str:
    """``1,204``."""
    return f"{count:,}"


# --- the last 24 hours, in cells of half an hour


class Span(msgspec.Struct, frozen=True):
    """That a site had trouble of a severity from one moment to another (ms)."""

    site_id: int
    severity: int
    since: int
    until: int


def cells(spans: Iterable[Span], heard: Iterable[tuple[int, int]], site_ids: Sequence[int], now: int) -> dict[int, list[str]]:
    """For each site the kinds of its last cells, the oldest first: ``5`` to ``3`` trouble, ``up`` heard of, ``none`` silent.

    *heard*: site and moment of what came in.
    """
    start = now - DAY
    found = {site_id: ["none"] * CELLS for site_id in site_ids}
    for site_id, at in heard:
        place = (at - start) // CELL
        if site_id in found and 0 <= place < CELLS:
            found[site_id][place] = "up"
    for span in sorted(spans, key=lambda one: one.severity):
        if span.site_id not in found or span.severity < Severity.MEDIUM or span.until < start:
            continue
        first, last = max(0, (span.since - start) // CELL), min(CELLS - 1, (span.until - start) // CELL)
        for place in range(first, last + 1):
            found[span.site_id][place] = str(span.severity)
    return found


def loudness(kinds: Sequence[str]) -> int:
    """How much trouble a row of cells shows, for choosing which sites are drawn."""
    return sum(10 ** (int(kind) - 2) for kind in kinds if kind.isdigit())


_KINDS = {"5": "critical trouble", "4": "high trouble", "3": "medium trouble"}


def dial_says(open_now: int, sites: Sequence[tuple[str, Sequence[str]]]) -> str:
    """The dial in words."""
    said = []
    for name, kinds in sites:
        troubled = [kind for kind in kinds if kind in _KINDS]
        if troubled:
            worst = max(troubled)
            said.append(f"{name} had {_KINDS[worst]} in {counted(kinds.count(worst), 'half hour')}")
    told = "; ".join(said) or "there was no trouble"
    return f"The last 24 hours of the sites as rings around the number of open alerts, which is {open_now}: {told}."


# --- what changed


class Line(msgspec.Struct, frozen=True):
    """One step of some alert's history, with what is needed to name the alert."""

    at: int
    actor: str
    action: str
    severity: int
    number: int
    title: str


class News(msgspec.Struct, frozen=True):
    """One line under "Since yesterday": words before the link, the link's text, words after. ``number`` 0: a link to all alerts."""

    at: int
    before: str
    link: str
    after: str
    number: int


def news(lines: Sequence[Line], name: Name, limit: int) -> list[News]:
    """What changed, the newest first; the same done to many alerts in a row is one line."""
    found: list[News] = []
    rest = [line for line in lines if line.action in _SAID]
    while rest and len(found) < limit:
        first, alike = rest[0], 1
        while alike < len(rest) and (rest[alike].action, rest[alike].actor) == (first.action, first.actor):
            alike += 1
        if alike > FOLDED_FROM:
            found.append(_folded(first, alike, name))
        else:
            found.extend(_one(line, name) for line in rest[:alike])
        rest = rest[alike:]
    return found[:limit]


_SAID: Mapping[str, tuple[str, str, str]] = {
    # before the title, after it, of many
    Action.OPENED: ("", " was raised as {severity}", "{n} alerts were raised"),
    Action.REOPENED: ("", " came back", "{n} alerts came back"),
    Action.SEVERITY_RAISED: ("", " rose to {severity}", "{n} alerts rose"),
    Action.ACKNOWLEDGED: ("{who} acknowledged ", "", "{who} acknowledged {n} alerts"),
    Action.UNACKNOWLEDGED: ("{who} gave back ", "", "{who} gave back {n} alerts"),
    Action.ACKNOWLEDGEMENT_EXPIRED: ("", " is open again: nobody finished it", "{n} alerts are open again"),
    Action.SNOOZED: ("{who} snoozed ", "", "{who} snoozed {n} alerts"),
    Action.SNOOZE_ENDED: ("", " is awake again", "{n} alerts are awake again"),
    Action.MUTED: ("", " is kept quiet", "{n} alerts are kept quiet"),
    Action.UNMUTED: ("", " is no longer kept quiet", "{n} alerts are no longer kept quiet"),
    Action.RESTARTED: ("", " is told of from the beginning", "{n} alerts are told of from the beginning"),
    Action.FLAPPING: ("", " comes and goes", "{n} alerts come and go"),
    Action.CALMED: ("", " has become calm", "{n} alerts have become calm"),
    Action.UNDONE: ("{who} took back a step on ", "", "{who} took back {n} steps"),
    Action.RESOLVED: ("{who} resolved ", "", "{who} resolved {n} alerts"),
    Action.ASSIGNED: ("{who} assigned ", "", "{who} assigned {n} alerts"),
    Action.COMMENTED: ("{who} left a note on ", "", "{who} left {n} notes"),
}


def _one(line: Line, name: Name) -> News:
    before, after, _ = _SAID[line.action]
    if line.action == Action.RESOLVED and line.actor == "tocsin":
        before, after = "", " is over"
    who = first_name(name(line.actor))
    after = after.format(severity=_word(line.severity).lower())
    return News(line.at, before.format(who=who), cut(one_line(line.title), LONG_TITLE), after, line.number)


def _folded(line: Line, alike: int, name: Name) -> News:
    many = _SAID[line.action][2]
    if line.action == Action.RESOLVED and line.actor == "tocsin":
        many = "{n} alerts are over"
    return News(line.at, "", many.format(n=grouped(alike), who=first_name(name(line.actor))), "", 0)


def coming(alert: Alert, name: Name) -> News:
    """What happens to an alert when its time comes."""
    title = cut(one_line(alert.title), LONG_TITLE)
    if alert.status == Status.SNOOZED:
        return News(alert.due_at or 0, "", title, " wakes up", alert.number)
    return News(alert.due_at or 0, "", title, f" opens again, unless {first_name(name(alert.acknowledged_by))} ends it", alert.number)


# --- the watch


class Watcher(msgspec.Struct, frozen=True):
    """One line under "On watch". ``name`` empty: nobody."""

    name: str
    says: str
    when: str
    now: bool


def watchers(plans: Sequence[tuple[str, Shifts]], name: Name, when: Callable[[int], str], now: int) -> list[Watcher]:
    """Who is on call now by each plan (its name and shifts around *now*), and who follows."""
    found: list[Watcher] = []
    several = len(plans) > 1
    for plan, shifts in plans:
        present = [shift for shift in shifts.shifts if shift.starts_at <= now < shift.ends_at]
        said = f"now, {plan}" if several else "now"
        found += [Watcher(name(shift.user), said, f"until {when(shift.ends_at)}", now=True) for shift in present]
        if not present:
            found.append(Watcher("", f"nobody is on watch, {plan}" if several else "nobody is on watch", "gap", now=True))
        until = max((shift.ends_at for shift in present), default=now)
        follows = next((shift for shift in shifts.shifts if shift.starts_at >= until), None)
        if follows is not None:
            said = f"next, at {when(follows.starts_at)}"
            found.append(Watcher(name(follows.user), said, f"in {in_words(follows.starts_at - now)}", now=False))
    return found


def on_watch(plans: Sequence[tuple[str, Shifts]], name: Name, now: int) -> str:
    """The first names of those who are on call now: ``Marta``, ``Marta and Jonas``."""
    users = [shift.user for _, shifts in plans for shift in shifts.shifts if shift.starts_at <= now < shift.ends_at]
    names = list(dict.fromkeys(first_name(name(user)) for user in users))
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)

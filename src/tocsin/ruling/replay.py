"""What rules would have made of events that came in: the alerts that would have opened, and how often people would have been told. Pure.

Each alert is followed from its first event to its end, with delays, thresholds and mutes. Two lists of rules are compared: what
both say the same about is followed once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.severity import Severity
from tocsin.events.rules import fit_key
from tocsin.muting.model import ATTRIBUTE, Labels
from tocsin.ruling.model import EventLabels, EventRule
from tocsin.ruling.rules import Ready, RuleSet
from tocsin.ruling.templates import key_of

TEXTS = ("host", "subject", "title", "message", "source", "attributes")  # columns that are read only if a rule looks at them
_REMEMBERED = 200_000
Place = tuple[int, str]  # site and dedup key


class Verdict(msgspec.Struct, frozen=True):
    """What one list of rules says to an event, as far as it matters who is told and how often. ``key`` None: the event's own."""

    key: str | None = None
    severity: int | None = None
    muted: bool = False
    delay: int = 0
    count: int = 0
    within: int = 0


SILENT = Verdict()


class Outcome(msgspec.Struct, frozen=True):
    """How many alerts would have opened, and how often people would have been told, by severity and by type."""

    alerts: int
    pages: int
    by_severity: dict[int, int]
    by_type: dict[str, int]


def texts_read(rules: Iterable[EventRule]) -> tuple[str, ...]:
    """Which of `TEXTS` any of *rules* looks at."""
    named = " ".join([m.field for rule in rules for m in rule.matchers] + [rule.actions.dedup_key or "" for rule in rules])
    return tuple(name for name in TEXTS if (ATTRIBUTE if name == "attributes" else name) in named)


class _Judge:
    """The verdicts of one list of rules."""

    def __init__(self, rules: Sequence[EventRule]) -> None:
        self.rules = RuleSet(rules)
        self._verdicts: dict[tuple[Ready, ...], Verdict] = {}
        self.weeks = [one for one in self.rules.ready if one.rule.times]

    def verdict(self, labels: Labels, kind: str, at: int) -> Verdict:
        matching = self.rules.matching(labels, kind, at)
        if not matching:
            return SILENT
        verdict = self._verdicts.get(matching)
        if verdict is None:
            verdict = self._verdicts[matching] = _verdict(self.rules, matching)
        template = self.rules.together(matching).dedup_key
        key = None if template is None else key_of(template, labels)
        return verdict if key is None else msgspec.structs.replace(verdict, key=fit_key(key))


def _verdict(rules: RuleSet, matching: tuple[Ready, ...]) -> Verdict:
    ruling = rules.together(matching).ruling
    threshold = ruling.threshold
    count, within = (threshold.count, threshold.within_seconds * SECOND) if threshold else (0, 0)
    return Verdict(None, ruling.severity, ruling.muted_by is not None, ruling.delay, count, within)


class _Open:
    """An alert that is not over: how bad it is, until when its delay lasts, the events that count so far, and of which alert it was."""

    __slots__ = ("count", "kind", "number", "severity", "times", "until", "within")

    def __init__(self, kind: str, severity: int, number: int | None) -> None:
        self.kind, self.severity, self.number = kind, severity, number
        self.until: int | None = None
        self.times: list[int] | None = None
        self.count = self.within = 0

    def copy(self) -> "_Open":
        other = _Open(self.kind, self.severity, self.number)
        other.until, other.times = self.until, None if self.times is None else list(self.times)
        other.count, other.within = self.count, self.within
        return other


class Course:
    """The alerts of one list of rules, as they come and go."""

    def __init__(self) -> None:
        self.open: dict[Place, _Open] = {}
        self.alerts = 0
        self.pages: Counter[int] = Counter()
        self.types: Counter[str] = Counter()

    def problem(self, place: Place, kind: str, severity: int, number: int | None, at: int, verdict: Verdict) -> None:
        """An event of a problem."""
        alert = self.open.get(place)
        if alert is not None:
            if severity <= alert.severity and alert.until is None and alert.times is None:
                return
            self._goes_on(alert, severity, at, verdict)
            return
        alert = self.open[place] = _Open(kind, severity, number)
        self.alerts += 1
        if verdict.muted or severity <= Severity.INFO:
            return
        if verdict.count:
            alert.times, alert.count, alert.within = [at], verdict.count, verdict.within
        if verdict.delay:
            alert.until = at + verdict.delay
        if alert.until is None and alert.times is None:
            self._page(alert)

    def _goes_on(self, alert: _Open, severity: int, at: int, verdict: Verdict) -> None:
        self._delay_ends(alert, at)
        waited = alert.until is not None or alert.times is not None
        if alert.times is not None:
            alert.times = [*alert.times, at][-alert.count :]
            if len(alert.times) == alert.count and at - alert.times[0] <= alert.within:
                alert.times = None
        if severity > alert.severity:
            alert.severity = severity
            if verdict.muted:
                return
            alert.until = alert.until if verdict.delay else None
            alert.times = alert.times if verdict.count else None
        elif not waited:
            return
        if alert.until is None and alert.times is None:
            self._page(alert)

    def _delay_ends(self, alert: _Open, at: int) -> None:
        if alert.until is not None and alert.until <= at:
            alert.until = None
            if alert.times is None:
                self._page(alert)

    def end(self, place: Place, at: int) -> None:
        """The problem is over, if there is one."""
        alert = self.open.pop(place, None)
        if alert is not None:
            self._delay_ends(alert, at)

    def finish(self, at: int) -> None:
        """Nothing more comes: delays that have ended by now have ended."""
        for alert in self.open.values():
            self._delay_ends(alert, at)

    def _page(self, alert: _Open) -> None:
        self.pages[alert.severity] += 1
        self.types[alert.kind] += 1


def _together(*courses: Course) -> Outcome:
    pages: Counter[int] = Counter()
    types: Counter[str] = Counter()
    for course in courses:
        pages.update(course.pages)
        types.update(course.types)
    return Outcome(sum(course.alerts for course in courses), pages.total(), dict(pages), dict(types))


class Replay:
    """Follows events under two lists of rules at once. Rows are ``(at, site, type, severity, status, key, alert, *texts)``.

    *ends_of*: of a site's type and the key that an event ends, all that it ends.
    """

    def __init__(
        self,
        before: Sequence[EventRule],
        after: Sequence[EventRule],
        slug_of: Callable[[int], str],
        ends_of: Callable[[int, str, str], tuple[str, ...]],
    ) -> None:
        self.texts = texts_read([*before, *after])
        self._judges = _Judge(before), _Judge(after)
        self._weeks = [week for judge in self._judges for week in judge.weeks]
        self._slug_of, self._ends_of = slug_of, ends_of
        self._known: dict[tuple[Any, ...], tuple[Verdict, Verdict]] = {}
        self._held: tuple[int, tuple[bool, ...]] = (-1, ())
        self._same, self._before, self._after = Course(), Course(), Course()
        self._apart: set[Place] = set()
        self._places: dict[int, set[Place]] = {}  # by the alert that there really was

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Events in the order in which they came."""
        known, apart, same = self._known, self._apart, self._same
        for row in rows:
            at, site, kind, severity, status, key, number = row[:7]
            held = self._held_at(at) if self._weeks else ()
            what = (site, kind, severity, held, row[7:])
            pair = known.get(what)
            if pair is None:
                pair = self._judge(what, at)
            one, other = pair
            if status == "recovery":
                self._recovery(site, kind, key, one, other, at)
                continue
            if key is None:
                continue
            if one is other or one == other:
                place = (site, one.key or key)
                if place not in apart:
                    if place not in same.open and number is not None:
                        self._places.setdefault(number, set()).add(place)
                    same.problem(place, kind, one.severity or severity, number, at, one)
                    continue
            self._problem_apart(site, kind, key, severity, number, at, one, other)

    def _problem_apart(
        self, site: int, kind: str, key: str, severity: int, number: int | None, at: int, one: Verdict, other: Verdict
    ) -> None:
        for course, verdict in ((self._before, one), (self._after, other)):
            place = (site, verdict.key or key)
            self._part(place)
            if number is not None:
                self._places.setdefault(number, set()).add(place)
            course.problem(place, kind, verdict.severity or severity, number, at, verdict)

    def _recovery(self, site: int, kind: str, key: str | None, one: Verdict, other: Verdict, at: int) -> None:
        ends = () if key is None else self._ends_of(site, kind, key)
        for course, verdict in ((self._before, one), (self._after, other)):
            for over in (*ends, *((verdict.key,) if verdict.key else ())):
                place = (site, over)
                if place in self._apart:
                    course.end(place, at)
                elif one.key == other.key or over in ends:
                    self._same.end(place, at)
                else:
                    self._part(place)
                    course.end(place, at)

    def _part(self, place: Place) -> None:
        """From now on this problem is followed under each list by itself."""
        if place not in self._apart:
            self._apart.add(place)
            alert = self._same.open.pop(place, None)
            if alert is not None:
                self._before.open[place], self._after.open[place] = alert, alert.copy()

    def resolve(self, number: int, at: int) -> None:
        """Somebody resolved an alert: what it stands for is over."""
        for place in self._places.pop(number, ()):
            for course in (self._same, self._before, self._after):
                found = course.open.get(place)
                if found is not None and found.number == number:
                    course.end(place, at)

    def outcome(self, now: int) -> tuple[Outcome, Outcome]:
        """What it came to under the one and under the other list."""
        for course in (self._same, self._before, self._after):
            course.finish(now)
        return _together(self._same, self._before), _together(self._same, self._after)

    def _held_at(self, at: int) -> tuple[bool, ...]:
        """Which of the rules that have times hold: the same for a whole minute."""
        minute = at // MINUTE
        if self._held[0] != minute:
            self._held = (minute, tuple([week.holds(at) for week in self._weeks]))
        return self._held[1]

    def _judge(self, what: tuple[Any, ...], at: int) -> tuple[Verdict, Verdict]:
        site, kind, severity, _, texts = what
        found = dict(zip(self.texts, texts, strict=True))
        labels = EventLabels.of(self._slug_of(site), kind, severity, found)
        before, after = self._judges
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        pair = self._known[what] = (before.verdict(labels, kind, at), after.verdict(labels, kind, at))
        return pair

"""What rules would have made of events that came in: the alerts that would have opened, and how often people would have been told. Pure.

Each alert is followed from its first event to its end, with delays, thresholds and mutes. Two lists of rules are compared: what
both say the same about is followed once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tocsin.core.clock import SECOND
from tocsin.core.severity import Severity
from tocsin.events.rules import fit_key
from tocsin.muting.model import ATTRIBUTE, Labels
from tocsin.ruling.masks import Masks
from tocsin.ruling.model import EventLabels, EventRule, FiguresOf
from tocsin.ruling.rules import Ready, combine, up_to_stop
from tocsin.ruling.templates import Template, key_of
from tocsin.whmcs.model import IMPACT, IMPACT_FIELDS

TEXTS = ("host", "subject", "title", "message", "source", "attributes")  # columns that are read only if a rule looks at them
_REMEMBERED = 50_000  # of what is looked up again
Place = tuple[int, str]  # site and dedup key


class Verdict(msgspec.Struct, frozen=True):
    """What one list of rules says to an event, as far as it matters who is told and how often. ``key`` None: the event's own."""

    key: str | None = None
    severity: int | None = None
    muted: bool = False
    delay: int = 0
    count: int = 0
    within: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """How many alerts would have opened, and how often people would have been told, by severity and by type."""

    alerts: int
    pages: int
    by_severity: dict[int, int]
    by_type: dict[str, int]


def texts_read(rules: Iterable[EventRule]) -> tuple[str, ...]:
    """Which of `TEXTS` any of *rules* looks at."""
    named = " ".join([m.field for rule in rules for m in rule.matchers] + [rule.actions.dedup_key or "" for rule in rules])
    impact = IMPACT in named  # which thing it is about is worked out of these
    return tuple(
        name
        for name in TEXTS
        if (ATTRIBUTE if name == "attributes" else name) in named or (impact and name in ("host", "subject", "attributes"))
    )


class Pair(msgspec.Struct, frozen=True):
    """What both lists of rules say to an event, and the templates of the dedup keys that they give it."""

    before: Verdict
    after: Verdict
    key_before: Template | None = None
    key_after: Template | None = None


class _Judge:
    """Both lists of rules, asked together: most of their rules are the same, and are asked once."""

    def __init__(self, before: Sequence[EventRule], after: Sequence[EventRule]) -> None:
        lists = [[rule for rule in rules if rule.enabled] for rules in (before, after)]
        every = list(dict.fromkeys([*lists[0], *lists[1]]))
        places = {rule: place for place, rule in enumerate(every)}
        self._before, self._after = [[(1 << places[rule], Ready(rule)) for rule in rules] for rules in lists]
        self.masks = Masks(every, _REMEMBERED)
        self._pairs: dict[int, Pair] = {}

    def pair(self, mask: int) -> Pair:
        """What they say, given which of their rules match."""
        found = self._pairs.get(mask)
        if found is None:
            one, key_before = _verdict(self._before, mask)
            other, key_after = _verdict(self._after, mask)
            found = Pair(one, one if one == other else other, key_before, key_after)
            if len(self._pairs) >= _REMEMBERED:
                self._pairs.clear()
            self._pairs[mask] = found
        return found


def _verdict(rules: Sequence[tuple[int, Ready]], mask: int) -> tuple[Verdict, Template | None]:
    combined = combine(up_to_stop(ready for bit, ready in rules if mask & bit))
    ruling = combined.ruling
    threshold = ruling.threshold
    count, within = (threshold.count, threshold.within_seconds * SECOND) if threshold else (0, 0)
    return Verdict(None, ruling.severity, ruling.muted_by is not None, ruling.delay, count, within), combined.dedup_key


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
    """Follows events under two lists of rules at once. Rows begin with ``(at, site, type, severity, status, key, alert, *texts)``.

    *ends_of*: of a site's type and the key that an event ends, all that it ends.
    """

    def __init__(
        self,
        before: Sequence[EventRule],
        after: Sequence[EventRule],
        slug_of: Callable[[int], str],
        ends_of: Callable[[int, str, str], tuple[str, ...]],
        figures_of: FiguresOf | None = None,
    ) -> None:
        self.texts = texts_read([*before, *after])
        self._judge = _Judge(before, after)
        self._look = _Look(self._judge.masks, self.texts, slug_of, figures_of)
        self._ends_of = ends_of
        self._same, self._before, self._after = Course(), Course(), Course()
        self._apart: set[Place] = set()
        self._places: dict[int, set[Place]] = {}  # by the alert that there really was

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Events in the order in which they came."""
        apart, same, mask_of, pairs = self._apart, self._same, self._look.mask, self._judge.pair
        for row in rows:
            at, site, kind, severity, status, key, number = row[:7]
            pair = pairs(mask_of(row))
            one, other = pair.before, pair.after
            if pair.key_before is not None or pair.key_after is not None:
                one, other = _keyed(pair, self._look.labels(row))
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


class _Look:
    """What the rules make of rows. Most values came before: then it is a look-up for each field that a rule looks at."""

    def __init__(self, masks: Masks, texts: tuple[str, ...], slug_of: Callable[[int], str], figures_of: FiguresOf | None) -> None:
        self._masks, self._slug_of = masks, slug_of
        self._figures_of = figures_of if any(field.name in IMPACT_FIELDS for field in masks.fields) else None
        self._columns = {"site": 1, "type": 2, "severity": 3} | {name: place for place, name in enumerate(texts, 7)}
        self._fields = [(self._columns[field.name], field) for field in masks.fields if field.name in self._columns]
        self._attributes = [field for field in masks.fields if field.name not in self._columns]
        self._asked = -1 if self._attributes else 0
        self._known: dict[object, int] = {}

    def mask(self, row: Sequence[Any]) -> int:
        """The rules that match it."""
        mask = self._masks.at(row[0])
        for place, field in self._fields:
            if mask & field.asked:
                value = row[place]
                left = field.known.get(value)
                mask &= field.learn(value, self._text(place, value)) if left is None else left
        if mask & self._asked:
            raw = row[self._columns["attributes"]]
            known = raw if self._figures_of is None else (row[1], row[self._columns["host"]], row[self._columns["subject"]], raw)
            left = self._known.get(known)
            mask &= self._learn(known, row) if left is None else left
        return mask

    def _text(self, place: int, value: str | int | None) -> str:
        if place == 1:
            return self._slug_of(int(value or 0))
        return "" if value is None else str(value)

    def _learn(self, known: object, row: Sequence[Any]) -> int:
        labels, mask = self.labels(row), -1
        for field in self._attributes:
            mask &= field.of(labels.get(field.name))
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[known] = mask
        return mask

    def labels(self, row: Sequence[Any]) -> EventLabels:
        """What templates see of it: the texts that were read."""
        texts = {name: self._text(place, row[place]) for name, place in self._columns.items()}
        raw = texts.pop("attributes", "") or None
        if self._figures_of is not None:
            texts.update(self._figures_of(row[1], texts["host"], texts["subject"], raw))
        return EventLabels.of(texts, raw)


def _keyed(pair: Pair, labels: Labels) -> tuple[Verdict, Verdict]:
    """The verdicts with the keys that their templates come to for this event."""
    keys = [None if template is None else key_of(template, labels) for template in (pair.key_before, pair.key_after)]
    one, other = [
        verdict if key is None else msgspec.structs.replace(verdict, key=fit_key(key))
        for verdict, key in zip((pair.before, pair.after), keys, strict=True)
    ]
    return one, other

"""What the history of alerts comes to in figures. Pure functions.

What was undone did not happen. An alert begins when it opens or comes back, and ends when it is resolved: each time
that it comes back counts by itself. It waits for an answer from the moment when people are told until somebody
acknowledges or snoozes it; it waits anew when the acknowledgement expires or is given back, and when the snooze ends.
While something mutes it nobody is told, and so it does not wait. What is still open has no length yet: it is counted
as open. Answers and ends belong to the period in which they came, so that the figures of a period that is over stay.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo

from tocsin.alerts.model import Action
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_datetime
from tocsin.reports.model import HOURS, WEEKDAYS, Figures, Happening, Line, Metric, Period, Point, Step

CELL = 15 * MINUTE  # no zone is off UTC by less than a quarter of an hour: a cell is within one hour of each
LONGEST = 366 * DAY
LONGEST_BY_HOUR = 31 * DAY
NIGHT_BEGINS, NIGHT_ENDS = 22, 7

BEGINNINGS = frozenset({Action.OPENED.value, Action.REOPENED.value})
WAITS = frozenset(
    action.value for action in (Action.SEVERITY_RAISED, Action.UNACKNOWLEDGED, Action.ACKNOWLEDGEMENT_EXPIRED, Action.SNOOZE_ENDED)
)
ANSWERS = frozenset({Action.ACKNOWLEDGED.value, Action.SNOOZED.value})
ESCALATED = Action.ESCALATED.value
UNDOABLE = frozenset(
    action.value
    for action in (*(Action.ACKNOWLEDGED, Action.UNACKNOWLEDGED, Action.SNOOZED, Action.SNOOZE_ENDED, Action.RESOLVED, Action.ASSIGNED),)
)
COUNTED = (*BEGINNINGS, *WAITS, *ANSWERS, *UNDOABLE, Action.MUTED.value, Action.UNMUTED.value, Action.UNDONE.value, ESCALATED)

Happened = tuple[Happening, int, int]  # what, when (ms), how long it took (ms)


def happenings(lines: Iterable[Line]) -> Iterator[Happened]:
    """What happened, of *lines* in the order of alerts and, for each, of time. Holds one alert's lines at a time."""
    of, kept = -1, list[Line]()
    for line in lines:
        if line[0] != of:
            yield from _life(kept)
            of, kept = line[0], []
        if line[2] == _UNDONE:
            _take_back(kept)
        else:
            kept.append(line)
    yield from _life(kept)


# Names of enumerations are looked up slowly, and this is done for every line.
_BEGAN, _ANSWERED, _ENDED, _WENT_ON = Happening.BEGAN, Happening.ANSWERED, Happening.ENDED, Happening.ESCALATED
_UNDONE, _RESOLVED, _MUTED, _UNMUTED = (action.value for action in (Action.UNDONE, Action.RESOLVED, Action.MUTED, Action.UNMUTED))


def _take_back(kept: list[Line]) -> None:
    """Takes out the last step that a person can take back."""
    for place in range(len(kept) - 1, -1, -1):
        if kept[place][2] in UNDOABLE:
            del kept[place]
            return


def _life(lines: list[Line]) -> list[Happened]:  # noqa: C901 - one branch for each kind of line reads best, and runs fastest, in one place
    began: int | None = None
    waits: int | None = None  # since when people who were told have not answered
    held = muted = escalated = False  # held: somebody has it, or wanted it quiet
    found: list[Happened] = []
    for _, at, action, silent, first_level in lines:
        if action in BEGINNINGS:
            began, held, muted, escalated = at, False, silent, False
            waits = None if muted else at
            found.append((_BEGAN, at, 0))
        elif action in ANSWERS:
            if waits is not None:
                found.append((_ANSWERED, at, at - waits))
            waits, held = None, True
        elif action in WAITS:
            held, muted = False, muted or silent
            waits = None if muted else waits if waits is not None else at
        elif action == _RESOLVED:
            if began is not None:
                found.append((_ENDED, at, at - began))
            began = waits = None
        elif action == _MUTED:
            muted, waits = True, None
        elif action == _UNMUTED:
            muted = False
            waits = waits if held or began is None else at
        elif action == ESCALATED and not first_level and not escalated and began is not None:
            escalated = True
            found.append((_WENT_ON, began, 0))
    return found


def add(figures: Figures, what: Happening, length: int) -> None:
    """Counts what happened, and how long it took (ms)."""
    if what is _BEGAN:
        figures.began += 1
    elif what is _ENDED:
        figures.ended.add(length)
    elif what is _ANSWERED:
        figures.answered.add(length)
    else:
        figures.escalated += 1


def value(figures: Figures, metric: Metric) -> float | None:
    """The figure that a metric names; times in seconds, to the millisecond."""
    match metric:
        case Metric.ALERTS:
            return figures.began
        case Metric.MTTA:
            return seconds(figures.answered.mean)
        case Metric.MTTR:
            return seconds(figures.ended.mean)
        case Metric.ESCALATION_RATE:
            return None if figures.escalation_rate is None else round(figures.escalation_rate, 4)


def seconds(milliseconds: float | None) -> float | None:
    """Milliseconds as seconds, to the millisecond."""
    return None if milliseconds is None else round(milliseconds / 1000, 3)


def percent(share: float) -> int:
    """A share as whole percents; 0 and 100 are said only of none and all."""
    return 0 if share <= 0 else 100 if share >= 1 else min(99, max(1, round(share * 100)))


def change(now: float | None, before: float | None) -> float | None:
    """By which share a figure has grown (0.5: by half); None where there is nothing to compare with."""
    return None if now is None or not before else now / before - 1


def weekdays(cells: Iterable[tuple[int, int]], zone: tzinfo) -> list[list[int]]:
    """How many by weekday (Monday first) and hour on the clock of *zone*. *cells*: numbers of quarter hours since 1970, counts."""
    found = [[0] * HOURS for _ in range(WEEKDAYS)]
    for cell, count in cells:
        moment = to_datetime(cell * CELL).astimezone(zone)
        found[moment.weekday()][moment.hour] += count
    return found


def is_night(cell: int, zone: tzinfo) -> bool:
    """Whether a quarter hour (by its number since 1970) is of the night: 22:00 to 07:00 on the clock of *zone*."""
    hour = to_datetime(cell * CELL).astimezone(zone).hour
    return hour >= NIGHT_BEGINS or hour < NIGHT_ENDS


def steps(period: Period, step: Step, zone: tzinfo) -> list[int]:
    """When each point of a series begins (ms): the beginning of *period*, then every full hour or every midnight of *zone*."""
    found = [period.since]
    local = to_datetime(period.since).astimezone(zone)
    if step is Step.HOUR:
        offset = local.utcoffset() or timedelta()
        ahead = int(offset.total_seconds() * 1000) % HOUR
        first = (period.since + ahead) // HOUR * HOUR - ahead + HOUR
        return found + list(range(first, period.until, HOUR))
    day = local.date() + timedelta(days=1)
    while (midnight := from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))) < period.until:
        found.append(midnight)
        day += timedelta(days=1)
    return found


def series(happened: Iterable[Happened], period: Period, begins: list[int]) -> list[Point]:
    """The figures from each of *begins* (see `steps`) to the next."""
    points = [Point(at, Figures()) for at in begins]
    for what, at, length in happened:
        if period.since <= at < period.until:
            add(points[_place(begins, at)].figures, what, length)
    return points


def _place(begins: list[int], at: int) -> int:
    low, high = 0, len(begins)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if begins[middle] <= at else (low, middle)
    return low


def check_period(period: Period, longest: int = LONGEST) -> Period:
    """Raises `InvalidInput` for a period that is empty, or longer than *longest*."""
    if period.until <= period.since:
        raise InvalidInput.of("to", "is not after from")
    if period.until - period.since > longest:
        raise InvalidInput.of("to", f"is more than {longest // DAY} days after from")
    return period

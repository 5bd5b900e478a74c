"""Calendar arithmetic: from wall-clock times in a zone to moments, and the turns and windows made of them.

What a wall-clock time means when clocks change is said in core/wall.py. See docs/adr/0010-calendar-arithmetic.md.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from tocsin.core.clock import HOUR
from tocsin.core.wall import moment, wall_clock
from tocsin.oncall.model import Restriction, Rotation, Unit

Span = tuple[int, int]  # from, until before: milliseconds

_DAY = timedelta(days=1)
_DAYS = {Unit.DAY: 1, Unit.WEEK: 7}


# Turns.


def turn_start(rotation: Rotation, turn: int, zone: ZoneInfo) -> int:
    """The moment at which turn number *turn* (from 0) starts."""
    steps = turn * rotation.length
    match rotation.unit:
        case Unit.HOUR:
            return moment(rotation.starts_at, zone) + steps * HOUR
        case Unit.MONTH:
            return moment(_months_later(rotation.starts_at, steps), zone)
        case _:
            return moment(rotation.starts_at + steps * _DAYS[rotation.unit] * _DAY, zone)


def _months_later(wall: datetime, months: int) -> datetime:
    """The same day and time *months* later, on the month's last day if it has no such day."""
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    return wall.replace(year=year, month=month + 1, day=min(wall.day, monthrange(year, month + 1)[1]))


def turn_at(rotation: Rotation, at: int, zone: ZoneInfo) -> int:
    """The number of the turn at the moment *at*; -1 before the first. Found by division, not by walking."""
    first = moment(rotation.starts_at, zone)
    if at < first:
        return -1
    turn = _about(rotation, at, first, zone)
    while turn_start(rotation, turn, zone) > at:
        turn -= 1
    while turn_start(rotation, turn + 1, zone) <= at:
        turn += 1
    return turn


def _about(rotation: Rotation, at: int, first: int, zone: ZoneInfo) -> int:
    """The turn at *at*, give or take one."""
    if rotation.unit is Unit.HOUR:
        return (at - first) // (rotation.length * HOUR)
    wall = wall_clock(at, zone)
    if rotation.unit is Unit.MONTH:
        return max(0, (wall.year - rotation.starts_at.year) * 12 + wall.month - rotation.starts_at.month) // rotation.length
    return max(0, (wall - rotation.starts_at) // (rotation.length * _DAYS[rotation.unit] * _DAY))


def turns(rotation: Rotation, start: int, end: int, zone: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """The turns that touch ``[start, end)``: number, start, end; not cut."""
    turn = max(0, turn_at(rotation, start, zone))
    begins = turn_start(rotation, turn, zone)
    for number in count(turn):
        if begins >= end:
            return
        ends = turn_start(rotation, number + 1, zone)
        if ends > begins:  # two turns may start at one moment where a whole day is skipped
            yield number, begins, ends
        begins = ends


# Windows.


def windows(restrictions: tuple[Restriction, ...], start: int, end: int, zone: ZoneInfo) -> list[Span]:
    """The parts of ``[start, end)`` within any of *restrictions*, in order, without overlap; all of it if there are none."""
    if not restrictions:
        return [(start, end)]
    first, last = wall_clock(start, zone).date() - 2 * _DAY, wall_clock(end, zone).date()
    days = [first + n * _DAY for n in range((last - first).days + 1)]
    spans = sorted(_window(restriction, day, zone) for day in days for restriction in restrictions if _holds_on(restriction, day))
    return _joined([(max(start, a), min(end, b)) for a, b in spans if max(start, a) < min(end, b)])


def _holds_on(restriction: Restriction, day: date) -> bool:
    return not restriction.weekdays or day.isoweekday() in restriction.weekdays


def _window(restriction: Restriction, day: date, zone: ZoneInfo) -> Span:
    last_day = day + _DAY if restriction.ends <= restriction.begins else day
    return moment(datetime.combine(day, restriction.begins), zone), moment(datetime.combine(last_day, restriction.ends), zone)


def _joined(spans: list[Span]) -> list[Span]:
    """*spans*, sorted by start, with those that overlap or touch made one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined

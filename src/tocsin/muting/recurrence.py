"""Windows that come again by a rule (RFC 5545): a bounded amount of work for any rule, and right on both DST nights.

Rules that name a time of the day are not taken: that, and the length, come from the first window. Why this is not left
to dateutil: docs/adr/0014-recurring-windows.md.
"""

import calendar
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime
from tocsin.core.wall import moment, wall_clock
from tocsin.muting.model import Window

MAX_RULE = 500
MAX_COUNT = 1_000
MAX_INTERVAL = 1_000
HORIZON = 5 * 366 * DAY  # how far ahead windows are looked for

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_EXAMPLE = "Example: FREQ=MONTHLY;BYDAY=1SU"

Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]


class Rule(msgspec.Struct, frozen=True):
    """An RRULE, read. ``by_day`` holds (which one in the month or year, 0: each; weekday, Monday is 0)."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None  # a datetime is aware if it was written in UTC
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0


# --- Reading ---------------------------------------------------------------------------------------------------------


def read_rule(text: str) -> Rule:
    """``FREQ=WEEKLY;BYDAY=SU`` as a `Rule`. Raises `InvalidInput` for the field ``rrule``."""
    if len(text) > MAX_RULE:
        raise _wrong(f"has {len(text)} characters; at most {MAX_RULE} are taken")
    parts: dict[str, str] = {}
    for part in text.strip().removeprefix("RRULE:").upper().rstrip(";").split(";"):
        name, _, value = part.partition("=")
        if not value:
            raise _wrong(f"{part[:40]!r} is not NAME=VALUE. {_EXAMPLE}")
        if name in parts:
            raise _wrong(f"{name[:40]} is there twice")
        parts[name] = value
    frequency = parts.pop("FREQ", None)
    if frequency not in _FREQUENCIES:
        said = "is missing" if frequency is None else f"{frequency[:20]} is not taken"
        raise _wrong(f"FREQ {said}; known are {', '.join(_FREQUENCIES)}. {_EXAMPLE}")
    unknown = sorted(parts.keys() - _READERS.keys())
    if unknown:
        hint = "; the time of the day comes from starts_at" if unknown[0] in ("BYHOUR", "BYMINUTE", "BYSECOND") else ""
        raise _wrong(f"{unknown[0][:20]} is not taken{hint}. Known are FREQ, {', '.join(_READERS)}")
    rule = Rule(frequency, **{field: read(value) for name, value in parts.items() for field, read in [_READERS[name]]})  # type: ignore[arg-type]  # each reader gives what its field takes
    _check_together(rule)
    return rule


def _check_together(rule: Rule) -> None:
    """What each part allows and the parts together do not."""
    if rule.count is not None and rule.until is not None:
        raise _wrong("COUNT and UNTIL exclude each other")
    if rule.frequency in ("DAILY", "WEEKLY") and any(place for place, _ in rule.by_day):
        raise _wrong(f"BYDAY with a number (1SU) does not go with FREQ={rule.frequency}; use FREQ=MONTHLY")
    if rule.frequency == "WEEKLY" and rule.by_month_day:
        raise _wrong("BYMONTHDAY does not go with FREQ=WEEKLY; use FREQ=DAILY or MONTHLY")
    if rule.by_set_pos and (rule.frequency in ("DAILY", "WEEKLY") or not (rule.by_day or rule.by_month_day)):
        raise _wrong("BYSETPOS picks from what BYDAY or BYMONTHDAY give in a month or year; use FREQ=MONTHLY")


def _number(name: str, highest: int, *, negative: bool = False) -> Callable[[str], int]:
    def read(text: str) -> int:
        digits = text.lstrip("+-") if negative else text
        if digits.isascii() and digits.isdigit() and len(digits) <= 4 and len(text) - len(digits) <= 1 and 1 <= int(digits) <= highest:
            return int(text)
        also = f", or from -{highest} to -1" if negative else ""
        raise _wrong(f"{name}={text[:20]} must be a whole number from 1 to {highest}{also}")

    return read


def _numbers(name: str, highest: int, *, negative: bool = False) -> Callable[[str], tuple[int, ...]]:
    read = _number(name, highest, negative=negative)
    return lambda text: tuple(sorted({read(part) for part in text.split(",")}))


def _read_days(text: str) -> tuple[tuple[int, int], ...]:
    number = _number("BYDAY", 53, negative=True)
    found = set()
    for part in text.split(","):
        place, name = part[:-2], part[-2:]
        if name not in _WEEKDAYS:
            raise _wrong(f"BYDAY={part[:20]} is no weekday; known are {', '.join(_WEEKDAYS)}, in months and years also 1SU or -1FR")
        found.add((number(place) if place else 0, _WEEKDAYS.index(name)))
    return tuple(sorted(found))


def _read_weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise _wrong(f"WKST={text[:20]} is no weekday; known are {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS.index(text)


def _read_until(text: str) -> date | datetime:
    for form in ("%Y%m%d", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"):
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007 - a wall-clock time, unless it ends in Z
        except ValueError:
            continue
        if form.endswith("Z"):
            return found.replace(tzinfo=UTC)
        return found if "T" in form else found.date()
    raise _wrong(f"UNTIL={text[:20]} must be a day such as 20261231 or a moment such as 20261231T230000Z")


def _wrong(text: str) -> InvalidInput:
    return InvalidInput.of("rrule", text)


_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "INTERVAL": ("interval", _number("INTERVAL", MAX_INTERVAL)),
    "COUNT": ("count", _number("COUNT", MAX_COUNT)),
    "UNTIL": ("until", _read_until),
    "BYDAY": ("by_day", _read_days),
    "BYMONTHDAY": ("by_month_day", _numbers("BYMONTHDAY", 31, negative=True)),
    "BYMONTH": ("by_month", _numbers("BYMONTH", 12)),
    "BYSETPOS": ("by_set_pos", _numbers("BYSETPOS", 366, negative=True)),
    "WKST": ("week_start", _read_weekday),
}


# --- Days ------------------------------------------------------------------------------------------------------------


def days(rule: Rule, first: date, since: date, last: date) -> Iterator[date]:
    """The days of *rule* from *since* to *last*, counted from the day *first* on. UNTIL is the caller's to look at."""
    fits = _months_fit(rule)
    taken = 0
    for period in _periods(rule, first, first if rule.count is not None else max(first, since), last):
        for day in _picked(rule, [day for day in period if fits(day)]):
            if day < first:
                continue
            if day > last or (rule.count is not None and taken >= rule.count):
                return
            taken += 1
            if day >= since:
                yield day


def _periods(rule: Rule, first: date, since: date, last: date) -> Iterator[Iterable[date]]:
    """For each turn of the rule that can reach *since* or later: the days that it may choose from."""
    step = rule.interval
    match rule.frequency:
        case "DAILY":
            number = max(0, (since - first).days // step)
            while (day := first + timedelta(days=number * step)) <= last:
                weekdays = {weekday for _, weekday in rule.by_day}
                yield [day] if (not weekdays or day.weekday() in weekdays) and _month_day_fits(rule, day) else []
                number += 1
        case "WEEKLY":
            week = first - timedelta(days=(first.weekday() - rule.week_start) % 7)
            weekdays = {weekday for _, weekday in rule.by_day} or {first.weekday()}
            number = max(0, (since - week).days // (7 * step))
            while (start := week + timedelta(weeks=number * step)) <= last:
                yield [start + timedelta(days=n) for n in range(7) if (start.weekday() + n) % 7 in weekdays]
                number += 1
        case "MONTHLY":
            month = first.year * 12 + first.month - 1
            number = max(0, (since.year * 12 + since.month - 1 - month) // step)
            while (at := month + number * step) <= last.year * 12 + last.month - 1:
                yield _month_days(rule, at // 12, at % 12 + 1, first.day)
                number += 1
        case "YEARLY":
            number = max(0, (since.year - first.year) // step)
            while (year := first.year + number * step) <= last.year:
                yield _year_days(rule, year, first)
                number += 1


def _months_fit(rule: Rule) -> Callable[[date], bool]:
    months = rule.by_month
    return (lambda day: day.month in months) if months else (lambda _: True)


def _month_day_fits(rule: Rule, day: date) -> bool:
    if not rule.by_month_day:
        return True
    length = calendar.monthrange(day.year, day.month)[1]
    return day.day in rule.by_month_day or day.day - length - 1 in rule.by_month_day


def _month_days(rule: Rule, year: int, month: int, default: int) -> list[date]:
    """The days of a month that BYMONTHDAY and BYDAY name; without either, the day of the month of the first window."""
    length = calendar.monthrange(year, month)[1]
    every = [date(year, month, day) for day in range(1, length + 1)]
    if not rule.by_day and not rule.by_month_day:
        return every[default - 1 : default]
    return [day for day in every if _month_day_fits(rule, day) and _weekday_fits(rule, day, day.day, length)]


def _year_days(rule: Rule, year: int, first: date) -> list[date]:
    if rule.by_day and not rule.by_month:
        length = 366 if calendar.isleap(year) else 365
        every = [date(year, 1, 1) + timedelta(days=n) for n in range(length)]
        return [day for n, day in enumerate(every, 1) if _month_day_fits(rule, day) and _weekday_fits(rule, day, n, length)]
    months = rule.by_month or (range(1, 13) if rule.by_month_day else (first.month,))
    return [day for month in months for day in _month_days(rule, year, month, first.day)]


def _weekday_fits(rule: Rule, day: date, place: int, length: int) -> bool:
    """Whether BYDAY names *day*, the *place*-th of *length* days: each of its kind, or the n-th from the start or the end."""
    if not rule.by_day:
        return True
    from_start, from_end = (place - 1) // 7 + 1, -((length - place) // 7 + 1)
    return any(weekday == day.weekday() and n in (0, from_start, from_end) for n, weekday in rule.by_day)


def _picked(rule: Rule, found: list[date]) -> list[date]:
    if not rule.by_set_pos:
        return found
    size = len(found)
    places = {n - 1 if n > 0 else size + n for n in rule.by_set_pos}
    return [day for place, day in enumerate(found) if place in places]


# --- Windows ---------------------------------------------------------------------------------------------------------


class Recurring(msgspec.Struct, frozen=True):
    """A rule with its first window, from which the others have their time of the day and their length."""

    rule: Rule
    zone: str
    first: Window


def windows(recurring: Recurring, since: int, until: int) -> Iterator[Window]:
    """The windows that end after *since* and start before *until*, in order."""
    zone = ZoneInfo(recurring.zone)
    length = recurring.first.ends_at - recurring.first.starts_at
    start = wall_clock(recurring.first.starts_at, zone)
    from_day = wall_clock(max(since - length - DAY, recurring.first.starts_at), zone).date()
    to_day = wall_clock(until + DAY, zone).date()
    for day in days(recurring.rule, start.date(), from_day, to_day):
        wall = datetime.combine(day, start.time())
        starts_at = moment(wall, zone)
        if starts_at >= until or _is_over(recurring.rule, wall, starts_at):
            return
        if starts_at + length > since:
            yield Window(starts_at, starts_at + length)


def next_windows(recurring: Recurring, now: int, count: int) -> list[Window]:
    """The window that is open at *now*, if there is one, and those that follow: at most *count*, within the horizon."""
    return list(islice(windows(recurring, now, now + HORIZON), count))


def _is_over(rule: Rule, wall: datetime, starts_at: int) -> bool:
    match rule.until:
        case None:
            return False
        case datetime(tzinfo=None):
            return wall > rule.until
        case datetime():
            return starts_at > from_datetime(rule.until)
        case _:
            return wall.date() > rule.until

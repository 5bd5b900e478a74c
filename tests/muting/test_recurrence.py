"""The days and moments of windows that come again."""

import re
import time
from datetime import date, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import msgspec
import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings, strategies as st

from tests.muting.build import at
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.times import to_text
from tocsin.core.wall import moment
from tocsin.muting.model import Window
from tocsin.muting.recurrence import Recurring, days, next_windows, read_rule, windows

FIRST = date(2026, 1, 31)


def found(rule: str, first: date = FIRST, since: date | None = None, years: int = 3) -> list[date]:
    return list(days(read_rule(rule), first, since or first, first + timedelta(days=365 * years)))


def starts(rule: str, first: str, length: int, zone: str, since: str, count: int) -> list[str]:
    """The first moments of the windows, without the seconds."""
    start = at(first, zone)
    recurring = Recurring(read_rule(rule), zone, Window(start, start + length))
    return [to_text(w.starts_at)[:16] for w in next_windows(recurring, at(since), count)]


# --- Days --------------------------------------------------------------------------------------------------------------

WEEKDAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=3, unique=True)
# Of 1MO and SA together dateutil takes neither; RFC 5545 means either, and so do we.
PLACED = st.lists(st.sampled_from(["1MO", "2TU", "-1FR", "3SU", "-2WE", "5TH"]), min_size=1, max_size=2, unique=True)
MONTH_DAYS = st.lists(st.integers(-31, 31).filter(bool), min_size=1, max_size=3, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]
    picks = False
    if draw(st.booleans()):
        parts.append("BYDAY=" + ",".join(draw(WEEKDAYS if frequency in ("DAILY", "WEEKLY") or draw(st.booleans()) else PLACED)))
        picks = True
    if frequency != "WEEKLY" and draw(st.booleans()):
        parts.append("BYMONTHDAY=" + ",".join(map(str, draw(MONTH_DAYS))))
        picks = True
    if draw(st.booleans()):
        parts.append("BYMONTH=" + ",".join(map(str, draw(st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True)))))
    if picks and frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
        parts.append("BYSETPOS=" + ",".join(map(str, draw(st.lists(st.sampled_from([1, 2, -1, -3]), min_size=1, max_size=2, unique=True)))))
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU', 'WE']))}")
    end = draw(st.sampled_from(["", "COUNT=7", "UNTIL=20270301T030000"]))
    return ";".join([*parts, end] if end else parts)


@settings(max_examples=150)
@given(rule=rules(), first=st.dates(date(2024, 1, 1), date(2026, 12, 31)), later=st.integers(0, 500))
def test_the_days_are_those_of_dateutil(rule: str, first: date, later: int) -> None:
    since, last = first + timedelta(days=later), first + timedelta(days=later + 800)
    # dateutil stops only at a day that it finds, so one must come after all that we look at.
    endless = msgspec.structs.replace(read_rule(rule), count=None)
    assume(any(days(endless, first, last + timedelta(days=1), last + timedelta(days=365 * 30))))
    start = datetime.combine(first, datetime.min.time().replace(hour=3))
    theirs = takewhile(lambda moment: moment.date() <= last, rrulestr(rule, dtstart=start))
    ours = [day for day in days(read_rule(rule), first, since, last) if "UNTIL" not in rule or day <= date(2027, 3, 1)]
    assert ours == [moment.date() for moment in theirs if moment.date() >= since]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=MONTHLY", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("FREQ=MONTHLY;BYDAY=1SU", ["2026-02-01", "2026-03-01", "2026-04-05"]),
        ("FREQ=MONTHLY;BYDAY=1SU,SA;COUNT=3", ["2026-01-31", "2026-02-01", "2026-02-07"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", ["2026-02-27", "2026-03-27", "2026-04-24"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-02-27", "2026-03-31", "2026-04-30"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["2026-02-13", "2026-03-13", "2026-11-13"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29"]),
        ("FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3,10", ["2026-03-29", "2026-10-25", "2027-03-28"]),
        ("FREQ=YEARLY;BYDAY=20MO", ["2026-05-18", "2027-05-17", "2028-05-15"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,MO", ["2026-01-31", "2026-02-09", "2026-02-14"]),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", ["2026-01-31", "2026-02-10", "2026-02-20"]),
        ("RRULE:FREQ=DAILY;UNTIL=20260202", ["2026-01-31", "2026-02-01", "2026-02-02"]),
    ],
)
def test_the_next_three_days_of_a_rule(rule: str, expected: list[str]) -> None:
    start = "2026-01-31 03:00"
    assert [text[:10] for text in starts(rule, start, HOUR, "UTC", "2026-01-31 00:00", 3)] == expected


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "is not NAME=VALUE"),
        ("BYDAY=SU", "FREQ is missing"),
        ("FREQ=SECONDLY", "FREQ SECONDLY is not taken"),
        ("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "FREQ HOURLY is not taken"),
        ("FREQ=DAILY;BYHOUR=3", "the time of the day comes from starts_at"),
        ("FREQ=YEARLY;BYWEEKNO=3", "BYWEEKNO is not taken"),
        ("FREQ=DAILY;FREQ=WEEKLY", "FREQ is there twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 must be a whole number from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "must be a whole number"),
        ("FREQ=DAILY;COUNT=1001", "from 1 to 1000"),
        ("FREQ=DAILY;COUNT=-1", "from 1 to 1000"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "from 1 to 31, or from -31 to -1"),
        ("FREQ=MONTHLY;BYMONTHDAY=+-1", "must be a whole number"),
        ("FREQ=MONTHLY;BYDAY=XX", "XX is no weekday"),
        ("FREQ=MONTHLY;BYDAY=0SU", "must be a whole number"),
        ("FREQ=WEEKLY;BYDAY=1SU", "use FREQ=MONTHLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "does not go with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS picks from"),
        ("FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=1", "BYSETPOS picks from"),
        ("FREQ=DAILY;UNTIL=2026", "must be a day such as 20261231"),
        ("FREQ=DAILY;UNTIL=20260230", "must be a day such as 20261231"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260301", "exclude each other"),
        ("FREQ=DAILY;WKST=2", "is no weekday"),
        ("FREQ=DAILY;" + "BYMONTH=1," * 60, "at most 500"),
        ("FREQ=DAILY;DTSTART=20260101T000000", "DTSTART is not taken"),
        ("FREQ=DAILY;BYMONTH=²", "must be a whole number"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_the_reason(rule: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)) as caught:
        read_rule(rule)
    assert [error.field for error in caught.value.errors] == ["rrule"]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYDAY=53MO;BYMONTHDAY=1;BYSETPOS=366",
        "FREQ=WEEKLY;INTERVAL=1000;BYMONTH=1;COUNT=1000",
        "FREQ=DAILY;COUNT=1000;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_rule_that_never_comes_is_given_up_soon(rule: str) -> None:
    start = time.process_time()
    assert starts(rule, "2026-02-02 03:00", HOUR, "Europe/Berlin", "2046-03-01 00:00", 10) == []
    assert time.process_time() - start < 0.5


# --- Moments -----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("A7")
def test_a_window_starts_by_the_clock_on_the_wall_and_lasts_by_the_watch() -> None:
    spring = starts("FREQ=DAILY", "2026-03-27 01:30", 3 * HOUR, "Europe/Berlin", "2026-03-27 00:00", 4)
    assert spring == ["2026-03-27T00:30", "2026-03-28T00:30", "2026-03-29T00:30", "2026-03-29T23:30"]
    autumn = starts("FREQ=DAILY", "2026-10-23 02:30", 3 * HOUR, "Europe/Berlin", "2026-10-23 00:00", 4)
    assert autumn == ["2026-10-23T00:30", "2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"], "02:30 comes twice: the first counts"
    lengths = {
        w.ends_at - w.starts_at for w in windows(Recurring(read_rule("FREQ=DAILY"), "Europe/Berlin", Window(0, 3 * HOUR)), 0, 400 * DAY)
    }
    assert lengths == {3 * HOUR}


@pytest.mark.parametrize(
    ("wall", "zone", "expected"),
    [
        ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:00"),  # skipped: the first moment after the gap
        ("2026-03-29 02:00", "Europe/Berlin", "2026-03-29T01:00"),
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30"),
        ("2026-10-04 02:15", "Australia/Lord_Howe", "2026-10-03T15:30"),  # half an hour
        ("2011-12-30 12:00", "Pacific/Apia", "2011-12-30T10:00"),  # a whole day
        ("2026-06-01 12:00", "Asia/Kathmandu", "2026-06-01T06:15"),
    ],
)
def test_a_time_that_the_clocks_skip_is_the_first_moment_after_the_gap(wall: str, zone: str, expected: str) -> None:
    assert to_text(moment(datetime.fromisoformat(wall), ZoneInfo(zone)))[:16] == expected


def to_the_minute(wall: datetime) -> datetime:
    return wall.replace(second=0, microsecond=0)


@given(
    first=st.datetimes(datetime.fromisoformat("2025-01-01"), datetime.fromisoformat("2027-12-31")).map(to_the_minute),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland", "UTC"]),
    rule=st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SU,WE", "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=DAILY;INTERVAL=3"]),
    length=st.integers(1, 20 * 60),
    later=st.integers(-10, 900 * 24 * 60),
)
def test_looking_from_any_moment_finds_the_same_windows(first: datetime, zone: str, rule: str, length: int, later: int) -> None:
    start = moment(first, ZoneInfo(zone))
    recurring = Recurring(read_rule(rule), zone, Window(start, start + length * MINUTE))
    now, until = start + later * MINUTE, start + (900 * 24 * 60 + 60 * 24 * 60) * MINUTE
    everything = list(windows(recurring, start - DAY, until))
    assert list(windows(recurring, now, until)) == [w for w in everything if w.ends_at > now]
    assert all(one.starts_at < other.starts_at for one, other in pairwise(everything))


def test_the_end_of_a_rule_may_be_said_by_day_by_the_wall_clock_or_in_utc() -> None:
    def last(until: str) -> str:
        return starts(f"FREQ=DAILY;UNTIL={until}", "2026-07-01 00:30", HOUR, "Europe/Berlin", "2026-06-30 00:00", 100)[-1]

    assert last("20260703") == "2026-07-02T22:30", "the third of July in Berlin"
    assert last("20260703T003000") == "2026-07-02T22:30"
    assert last("20260703T002959") == "2026-07-01T22:30"
    assert last("20260702T223000Z") == "2026-07-02T22:30"
    assert last("20260702T222959Z") == "2026-07-01T22:30"

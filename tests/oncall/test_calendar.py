"""The calendar in the nights when the clocks change, and at the ends of months; each line can be checked by hand."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, strategies as st

from tests.oncall.build import a_layer, a_schedule, between, gaps_between, told_between, utc, wall
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.times import from_datetime, to_datetime
from tocsin.core.wall import moment, wall_clock
from tocsin.oncall.calendar import turn_at, turn_start
from tocsin.oncall.model import Rotation, Unit

pytestmark = pytest.mark.claim("A5")

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # half an hour beside the others
    "Australia/Lord_Howe",  # changes by half an hour
    "Africa/Casablanca",  # changes four times in some years
    "Asia/Kathmandu",  # 5:45
    "Pacific/Apia",  # left out 30 December 2011
    "UTC",
)


@pytest.mark.parametrize(
    ("zone", "on_the_wall", "means"),
    [
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),  # skipped
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T03:30", "2026-03-29T01:30"),
        ("Europe/Berlin", "2026-10-25T01:59", "2026-10-24T23:59"),
        ("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T00:00"),  # twice: the first
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("America/New_York", "2026-11-01T02:00", "2026-11-01T07:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:30", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:30", "2026-04-04T14:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Australia/Lord_Howe", "2026-04-05T02:00", "2026-04-04T15:30"),
        ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T10:00"),  # a day that never was
        ("Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00"),
    ],
)
def test_a_time_on_the_wall_is_the_first_moment_that_shows_it_or_a_later_one(zone: str, on_the_wall: str, means: str) -> None:
    assert to_datetime(moment(wall(on_the_wall), ZoneInfo(zone))) == to_datetime(utc(means))


WALLS = st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)).map(lambda one: one.replace(second=0, microsecond=0))  # noqa: DTZ001


@given(st.sampled_from(ZONES), WALLS)
@example("Europe/Berlin", datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001
@example("Europe/Berlin", datetime(2026, 10, 25, 2, 30))  # noqa: DTZ001
@example("Pacific/Apia", datetime(2011, 12, 30, 12, 0))  # noqa: DTZ001
def test_no_earlier_moment_shows_that_time_or_a_later_one(zone_name: str, time: datetime) -> None:
    zone = ZoneInfo(zone_name)
    found = moment(time, zone)
    assert wall_clock(found, zone) >= time
    earlier = [found - SECOND, *(found - n * 15 * MINUTE for n in range(1, 8))]
    assert all(wall_clock(at, zone) < time for at in earlier)


@given(st.sampled_from(ZONES), WALLS, st.timedeltas(timedelta(0), timedelta(hours=3)))
def test_a_later_time_is_never_an_earlier_moment(zone_name: str, time: datetime, later: timedelta) -> None:
    zone = ZoneInfo(zone_name)
    assert moment(time, zone) <= moment(time + later, zone)


@given(
    zone_name=st.sampled_from(ZONES),
    unit=st.sampled_from(Unit),
    length=st.integers(1, 12),
    starts_at=WALLS,
    turn=st.integers(0, 400),
    into=st.floats(0, 1, exclude_max=True),
)
def test_a_turn_is_found_from_any_moment_in_it(
    zone_name: str, unit: Unit, length: int, starts_at: datetime, turn: int, into: float
) -> None:
    zone, rotation = ZoneInfo(zone_name), Rotation(unit, length, starts_at, ("anna",))
    start, end = turn_start(rotation, turn, zone), turn_start(rotation, turn + 1, zone)
    at = start + int((end - start) * into)
    found = turn_at(rotation, at, zone)
    assert found == turn or (start == end and found > turn)  # a turn on a day that never was is empty
    assert turn_at(rotation, turn_start(rotation, 0, zone) - 1, zone) == -1


# Hand-offs.


def hand_offs(unit: str, zone: str, starts_at: str, start: str, end: str, length: int = 1) -> list[str]:
    """When turns start, on the wall."""
    layer = a_layer(unit, "anna", "ben", starts_at=starts_at, length=length)
    schedule = a_schedule(layer, zone=zone)
    from tocsin.oncall.rules import shifts

    found = shifts(schedule, [], utc(start), utc(end)).shifts[1:]
    return [f"{to_datetime(one.starts_at).astimezone(ZoneInfo(zone)):%m-%d %H:%M %Z}" for one in found]


def test_nine_stays_nine_when_the_clocks_change() -> None:
    assert hand_offs("day", "Europe/Berlin", "2026-01-05T09:00", "2026-03-28T00:00", "2026-03-31T00:00") == [
        "03-28 09:00 CET",
        "03-29 09:00 CEST",
        "03-30 09:00 CEST",
    ]
    assert hand_offs("week", "America/New_York", "2026-01-05T09:00", "2026-10-20T00:00", "2026-11-10T00:00") == [
        "10-26 09:00 EDT",
        "11-02 09:00 EST",
        "11-09 09:00 EST",
    ]


def test_a_hand_off_at_a_time_that_is_skipped_is_the_moment_after_the_gap() -> None:
    assert hand_offs("day", "Europe/Berlin", "2026-01-05T02:30", "2026-03-28T00:00", "2026-03-31T00:00") == [
        "03-28 02:30 CET",
        "03-29 03:00 CEST",
        "03-30 02:30 CEST",
    ]


def test_a_hand_off_at_a_time_that_comes_twice_is_its_first_coming() -> None:
    assert hand_offs("day", "Europe/Berlin", "2026-01-05T02:30", "2026-10-23T23:00", "2026-10-26T23:00") == [
        "10-24 02:30 CEST",
        "10-25 02:30 CEST",
        "10-26 02:30 CET",
    ]


def test_the_half_hour_of_lord_howe() -> None:
    assert hand_offs("day", "Australia/Lord_Howe", "2026-01-05T02:15", "2026-10-02T00:00", "2026-10-05T00:00") == [
        "10-03 02:15 +1030",
        "10-04 02:30 +11",
        "10-05 02:15 +11",
    ]


def test_hours_are_counted_by_a_watch() -> None:
    assert hand_offs("hour", "Europe/Berlin", "2026-03-28T08:00", "2026-03-28T08:00", "2026-03-30T00:00", length=12) == [
        "03-28 20:00 CET",
        "03-29 09:00 CEST",
        "03-29 21:00 CEST",
    ]


@pytest.mark.parametrize(
    ("starts_at", "length", "days"),
    [
        ("2026-01-31T09:00", 1, ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]),
        ("2028-01-31T09:00", 1, ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31", "2028-06-30"]),
        ("2026-01-30T09:00", 1, ["2026-02-28", "2026-03-30", "2026-04-30", "2026-05-30", "2026-06-30"]),
        ("2026-10-31T09:00", 2, ["2026-12-31", "2027-02-28", "2027-04-30", "2027-06-30", "2027-08-31"]),
        ("2028-02-29T09:00", 12, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29", "2033-02-28"]),
    ],
)
def test_a_month_keeps_its_day_and_takes_the_last_if_it_has_no_such_day(starts_at: str, length: int, days: list[str]) -> None:
    rotation, zone = Rotation(Unit.MONTH, length, wall(starts_at), ("anna",)), ZoneInfo("Europe/Berlin")
    found = [wall_clock(turn_start(rotation, turn, zone), zone) for turn in range(1, 6)]
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in found] == [f"{day}T09:00" for day in days]


# Restrictions.


def test_restrictions_that_touch_on_the_wall_touch_in_every_night() -> None:
    halves = (between("00:00", "02:30"), between("02:30", "00:00"))
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"):
        first = a_layer("month", "anna", starts_at="2026-01-01T00:00", only=halves[:1])
        second = a_layer("month", "ben", starts_at="2026-01-01T00:00", only=halves[1:])
        one, two = a_schedule(first, second, zone=zone), a_schedule(second, first, zone=zone)
        year = ("2026-01-02T00:00", "2026-12-31T00:00")
        assert gaps_between(one, *year) == []
        assert told_between(one, *year) == told_between(two, *year)  # nothing is covered by both


def test_a_restriction_that_lies_in_the_hour_that_is_skipped_is_empty_that_night() -> None:
    schedule = a_schedule(a_layer("month", "anna", starts_at="2026-01-01T00:00", only=(between("02:10", "02:50"),)))
    assert told_between(schedule, "2026-03-28T00:00", "2026-03-31T00:00") == [
        "anna 03-28 01:10 - 03-28 01:50 layer",
        "anna 03-30 00:10 - 03-30 00:50 layer",
    ]


def test_a_restriction_over_the_hour_that_comes_twice_lasts_an_hour_longer() -> None:
    schedule = a_schedule(a_layer("month", "anna", starts_at="2026-01-01T00:00", only=(between("01:30", "03:30", 7),)))
    assert told_between(schedule, "2026-10-24T00:00", "2026-10-26T00:00") == ["anna 10-24 23:30 - 10-25 02:30 layer"]


def test_a_restriction_that_ends_in_the_hour_that_comes_twice_ends_in_the_first() -> None:
    schedule = a_schedule(a_layer("month", "anna", starts_at="2026-01-01T00:00", only=(between("01:30", "02:30", 7),)))
    assert told_between(schedule, "2026-10-24T00:00", "2026-10-26T00:00") == ["anna 10-24 23:30 - 10-25 00:30 layer"]


def test_the_weekday_is_that_on_which_a_restriction_begins() -> None:
    schedule = a_schedule(a_layer("month", "anna", starts_at="2026-01-01T00:00", only=(between("22:00", "06:00", 7),)))
    assert told_between(schedule, "2026-03-28T00:00", "2026-03-31T00:00") == ["anna 03-29 20:00 - 03-30 04:00 layer"]


def test_a_zone_of_many_years_from_now_follows_the_rule_of_today() -> None:
    assert moment(wall("2150-07-01T09:00"), ZoneInfo("Europe/Berlin")) == from_datetime(datetime.fromisoformat("2150-07-01T07:00:00Z"))
    rotation = Rotation(Unit.WEEK, 1, wall("1970-01-05T09:00"), ("anna",))
    weeks = (datetime(2199, 12, 31) - datetime(1970, 1, 5, 9)) // timedelta(weeks=1)  # noqa: DTZ001
    assert turn_at(rotation, utc("2199-12-31T00:00"), ZoneInfo("Europe/Berlin")) == weeks

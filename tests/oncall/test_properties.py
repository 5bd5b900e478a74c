"""What holds for every schedule, whatever it is: held against a reader that is slow, walks through everything and trusts nothing."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from itertools import pairwise
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from tests.oncall.build import a_layer, a_schedule, between, utc
from tests.oncall.test_calendar import ZONES
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.wall import moment, wall_clock
from tocsin.oncall.calendar import turn_start
from tocsin.oncall.definition import People, Person, layers_of, layers_text, read_schedule, stored_layers
from tocsin.oncall.model import Duty, Layer, Override, OverrideKind, Restriction, Rotation, Schedule, Shifts, Unit
from tocsin.oncall.rules import shifts, users_on_call, who_is_on_call

pytestmark = pytest.mark.claim("A5")

PEOPLE = ("anna", "ben", "carl", "dora")
START = utc("2026-03-20T00:00")
# Around both changes of the year, at the edges of months, and one in a leap year; Apia's missing day is in the first.
SEASONS = ("2011-12-28T00:00", "2026-03-06T00:00", "2026-03-27T00:00", "2026-10-02T00:00", "2026-10-23T00:00", "2028-02-26T00:00")

day_times = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 45)))
restrictions = st.builds(Restriction, day_times, day_times, st.lists(st.integers(1, 7), unique=True, max_size=4).map(sorted).map(tuple))
people = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4).map(tuple)


@st.composite
def layers(draw: st.DrawFn, season: int, *, restricted: bool = True) -> Layer:
    unit = draw(st.sampled_from(Unit))
    length = draw(st.integers(1, {Unit.HOUR: 30, Unit.DAY: 4, Unit.WEEK: 3, Unit.MONTH: 2}[unit]))
    first = datetime.fromtimestamp(season // 1000, ZoneInfo("UTC")).replace(tzinfo=None)
    starts_at = first + timedelta(days=draw(st.integers(-60, 5)), minutes=15 * draw(st.integers(0, 95)))
    only = tuple(draw(st.lists(restrictions, max_size=3))) if restricted else ()
    return Layer("layer", Rotation(unit, length, starts_at, draw(people)), only)


@st.composite
def overrides(draw: st.DrawFn, season: int) -> Override:
    kind = draw(st.sampled_from(OverrideKind))
    user = draw(st.sampled_from(PEOPLE))
    someone = st.none() | st.sampled_from(PEOPLE)
    start = season + draw(st.integers(-2 * 24 * 4, 8 * 24 * 4)) * 15 * MINUTE
    end = start + draw(st.integers(1, 4 * 24 * 4)) * 15 * MINUTE
    return Override(
        f"o{draw(st.integers(0, 10**9))}",
        "s1",
        kind,
        draw(someone) if kind is OverrideKind.REMOVE else user,
        draw(someone) if kind is OverrideKind.REPLACE else None,
        start,
        end,
    )


class Case:
    """A schedule, its overrides and a week to look at."""

    def __init__(self, schedule: Schedule, made: list[Override], start: int, moments: list[int]) -> None:
        self.schedule, self.made, self.start, self.end = schedule, made, start, start + 7 * DAY
        self.found = shifts(schedule, made, self.start, self.end)
        edges = [at for shift in self.found.shifts for at in (shift.starts_at, shift.ends_at)]
        near = [at + step for at in edges for step in (-1, 0, 1)]
        self.moments = [at for at in [*moments, *near[:24]] if self.start <= at < self.end]

    def __repr__(self) -> str:
        return f"Case({self.schedule!r}, {self.made!r}, {self.start})"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    season = utc(draw(st.sampled_from(SEASONS)))
    made = draw(st.lists(layers(season), max_size=3))
    schedule = a_schedule(*made, zone=draw(st.sampled_from(ZONES)))
    changes = draw(st.lists(overrides(season), max_size=5))
    moments = [season + draw(st.integers(0, 7 * DAY - 1)) for _ in range(5)]
    return Case(schedule, changes, season, moments)


# The slow reader.


def slowly(schedule: Schedule, made: Sequence[Override], at: int) -> set[str]:
    """Who is on call, found by walking through every turn from the first, and every day's windows."""
    on: set[str] = set()
    for layer in schedule.layers:
        user = _slow_turn(layer, at, ZoneInfo(schedule.time_zone))
        if user is not None and _slow_window(layer, at, ZoneInfo(schedule.time_zone)):
            on = {user}
    for override in made:
        if override.starts_at <= at < override.ends_at:
            on = _slow_override(on, override)
    return on


def _slow_turn(layer: Layer, at: int, zone: ZoneInfo) -> str | None:
    last = None
    turn = 0
    while turn_start(layer.rotation, turn, zone) <= at:
        last = layer.rotation.users[turn % len(layer.rotation.users)]
        turn += 1
    return last


def _slow_window(layer: Layer, at: int, zone: ZoneInfo) -> bool:
    if not layer.restrictions:
        return True
    today = wall_clock(at, zone).date()
    for day in (today + timedelta(days=n) for n in range(-3, 3)):
        for one in layer.restrictions:
            if one.weekdays and day.isoweekday() not in one.weekdays:
                continue
            last = day + timedelta(days=1 if one.ends <= one.begins else 0)
            if moment(datetime.combine(day, one.begins), zone) <= at < moment(datetime.combine(last, one.ends), zone):
                return True
    return False


def _slow_override(on: set[str], override: Override) -> set[str]:
    match override.kind, override.user, override.replaces:
        case OverrideKind.ADD, str(user), _:
            return on | {user}
        case OverrideKind.REMOVE, None, _:
            return set()
        case OverrideKind.REMOVE, str(user), _:
            return on - {user}
        case _, str(user), None:
            return {user}
        case _, str(user), str(whom):
            return on - {whom} | {user} if whom in on else on
    raise AssertionError(override)


# What holds.


@settings(max_examples=60)
@given(cases())
def test_every_way_of_asking_gives_the_same_answer(case: Case) -> None:
    for at in case.moments:
        by_shifts = {s.user for s in case.found.shifts if s.starts_at <= at < s.ends_at}
        assert set(users_on_call(case.schedule, case.made, at)) == by_shifts
        assert {duty.user for duty in who_is_on_call(case.schedule, case.made, at)} == by_shifts
        assert slowly(case.schedule, case.made, at) == by_shifts
        assert any(g.starts_at <= at < g.ends_at for g in case.found.gaps) == (not by_shifts)


@settings(max_examples=60)
@given(cases())
def test_shifts_come_in_order_without_overlap_and_gaps_are_exactly_where_nobody_is(case: Case) -> None:
    found = case.found
    assert list(found.shifts) == sorted(found.shifts, key=lambda s: (s.starts_at, s.user))
    assert all(case.start <= s.starts_at < s.ends_at <= case.end for s in found.shifts)
    for person in PEOPLE:
        own = [s for s in found.shifts if s.user == person]
        assert all(one.ends_at <= two.starts_at for one, two in pairwise(own))
    covered = _union([(s.starts_at, s.ends_at) for s in found.shifts])
    gaps = [(g.starts_at, g.ends_at) for g in found.gaps]
    assert _union([*covered, *gaps]) == [(case.start, case.end)]
    assert sum(b - a for a, b in covered) + sum(b - a for a, b in gaps) == case.end - case.start


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


@settings(max_examples=60)
@given(cases(), st.integers(1, 7 * DAY - 1))
def test_a_stretch_looked_at_in_two_parts_is_the_same(case: Case, cut: int) -> None:
    middle = case.start + cut
    first = shifts(case.schedule, case.made, case.start, middle)
    second = shifts(case.schedule, case.made, middle, case.end)
    assert _pieces(first) | _pieces(second) == _cut(case.found, middle)


def _pieces(found: Shifts) -> set[tuple[str, int, int]]:
    return {(s.user, s.starts_at, s.ends_at) for s in found.shifts} | {("", g.starts_at, g.ends_at) for g in found.gaps}


def _cut(found: Shifts, at: int) -> set[tuple[str, int, int]]:
    parts = set()
    for user, start, end in _pieces(found):
        parts |= {(user, start, at), (user, at, end)} if start < at < end else {(user, start, end)}
    return parts


@settings(max_examples=60)
@given(cases())
def test_a_duty_is_the_shift_around_the_moment_told_whole(case: Case) -> None:
    wide = shifts(case.schedule, case.made, case.start - 70 * DAY, case.end + 70 * DAY).shifts
    for at in case.moments[:4]:
        around = sorted((s for s in wide if s.starts_at <= at < s.ends_at), key=lambda s: s.user)
        assert list(who_is_on_call(case.schedule, case.made, at)) == [Duty(s.user, s.starts_at, s.ends_at, s.source) for s in around]


@given(st.data(), st.sampled_from(SEASONS), st.sampled_from(ZONES))
def test_a_layer_without_restrictions_leaves_no_gap_and_no_double(data: st.DataObject, season: str, zone: str) -> None:
    start = utc(season)
    schedule = a_schedule(data.draw(layers(start, restricted=False)), zone=zone)
    first = moment(schedule.layers[0].rotation.starts_at, ZoneInfo(zone))
    found = shifts(schedule, [], start, start + 14 * DAY)
    assert [(g.starts_at, g.ends_at) for g in found.gaps] == ([(start, min(first, start + 14 * DAY))] if first > start else [])
    assert all(one.ends_at == two.starts_at for one, two in pairwise(found.shifts))


@given(st.data(), st.sampled_from(ZONES))
def test_what_one_layer_leaves_another_takes(data: st.DataObject, zone: str) -> None:
    """Over a layer that always has somebody, restrictions explain who is on, and never that nobody is."""
    start = utc("2026-03-27T00:00")
    always = a_layer("week", "anna", "ben", starts_at="2020-01-06T09:00")
    above = data.draw(layers(start))
    found = shifts(a_schedule(always, above, zone=zone), [], start, start + 7 * DAY)
    assert found.gaps == ()
    assert all(one.ends_at == two.starts_at for one, two in pairwise(found.shifts))


@settings(max_examples=40)
@given(cases())
def test_what_is_stored_is_what_was_meant(case: Case) -> None:
    assert layers_of(stored_layers(case.schedule.layers)) == case.schedule.layers
    crew = People([Person(name, f"{name}@example.com", name, disabled=False) for name in PEOPLE])
    assert read_schedule(case.schedule, layers_text(case.schedule.layers), crew) == case.schedule


# How fast.


def test_a_quarter_of_five_layers_is_worked_out_in_a_moment() -> None:
    office, night = between("09:00", "17:00", 1, 2, 3, 4, 5), between("20:00", "06:00")
    schedule = a_schedule(
        a_layer("week", "anna", "ben", starts_at="1990-01-01T09:00"),
        a_layer("day", "carl", "dora", only=(office, night)),
        a_layer("hour", "anna", "carl", only=(office, night)),
        a_layer("day", "ben", "dora", only=(between("00:00", "01:00"),)),
        a_layer("month", "dora", "carl", only=(between("03:00", "04:00"),)),
    )
    made = [Override(f"o{n}", "s1", OverrideKind.ADD, "ben", None, START + n * DAY, START + n * DAY + HOUR) for n in range(90)]
    shifts(schedule, made, START, START + 90 * DAY)
    took = min(_seconds(lambda: shifts(schedule, made, START, START + 90 * DAY)) for _ in range(5))
    assert took < 0.05
    # The age of a rotation costs nothing.
    took = min(_seconds(lambda: users_on_call(schedule, made, START)) for _ in range(5))
    assert took < 0.005


def _seconds(work: object) -> float:
    began = process_time()
    work()  # type: ignore[operator]
    return process_time() - began

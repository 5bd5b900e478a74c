"""Who is on call: layers, restrictions, overrides."""

import pytest

from tests.oncall.build import a_layer, a_schedule, an_override, between, gaps_between, told_between, utc
from tocsin.oncall.model import Duty, Source
from tocsin.oncall.rules import shifts, users_on_call, who_is_on_call, without

pytestmark = pytest.mark.claim("A5")

WEEKLY = a_schedule(a_layer("week", "anna", "ben"))
OFFICE = between("09:00", "17:00", 1, 2, 3, 4, 5)


def test_people_take_turns_from_hand_off_to_hand_off() -> None:
    assert told_between(WEEKLY, "2026-01-05T08:00", "2026-01-26T08:00") == [
        "anna 01-05 08:00 - 01-12 08:00 layer",
        "ben 01-12 08:00 - 01-19 08:00 layer",
        "anna 01-19 08:00 - 01-26 08:00 layer",
    ]


def test_a_turn_is_told_whole_whatever_moment_of_it_is_asked_about() -> None:
    duty = Duty("ben", utc("2026-01-12T08:00"), utc("2026-01-19T08:00"), Source.LAYER)
    for moment in ("2026-01-12T08:00", "2026-01-15T00:00", "2026-01-19T07:59:59"):
        assert who_is_on_call(WEEKLY, [], utc(moment)) == (duty,)


def test_nobody_is_on_before_the_rotation_starts() -> None:
    assert who_is_on_call(WEEKLY, [], utc("2026-01-05T07:59:59")) == ()
    assert gaps_between(WEEKLY, "2026-01-05T00:00", "2026-01-06T00:00") == ["01-05 00:00 - 01-05 08:00"]


def test_a_schedule_without_layers_is_one_gap() -> None:
    assert gaps_between(a_schedule(), "2026-01-05T00:00", "2026-01-06T00:00") == ["01-05 00:00 - 01-06 00:00"]


def test_the_last_layer_that_has_somebody_wins() -> None:
    schedule = a_schedule(a_layer("week", "anna"), a_layer("day", "ben", only=(OFFICE,)))
    assert told_between(schedule, "2026-01-09T15:00", "2026-01-12T09:00") == [
        "ben 01-09 15:00 - 01-09 16:00 layer",
        "anna 01-09 16:00 - 01-12 08:00 layer",
        "ben 01-12 08:00 - 01-12 09:00 layer",
    ]


def test_a_restriction_may_reach_over_midnight() -> None:
    nights = a_schedule(a_layer("week", "anna", only=(between("22:00", "06:00", 5),)))
    assert told_between(nights, "2026-01-09T00:00", "2026-01-12T00:00") == ["anna 01-09 21:00 - 01-10 05:00 layer"]


def test_a_restriction_that_ends_when_it_begins_lasts_a_day() -> None:
    sundays = a_schedule(a_layer("month", "anna", starts_at="2026-01-01T00:00", only=(between("09:00", "09:00", 7),)))
    assert told_between(sundays, "2026-01-10T00:00", "2026-01-14T00:00") == ["anna 01-11 08:00 - 01-12 08:00 layer"]


def test_of_several_restrictions_any_will_do() -> None:
    both = (between("08:00", "12:00"), between("11:00", "13:00", 1), between("13:00", "14:00", 1))
    schedule = a_schedule(a_layer("month", "anna", starts_at="2026-01-01T00:00", only=both))
    assert told_between(schedule, "2026-01-12T00:00", "2026-01-14T00:00") == [
        "anna 01-12 07:00 - 01-12 13:00 layer",
        "anna 01-13 07:00 - 01-13 11:00 layer",
    ]


def test_somebody_can_be_added() -> None:
    extra = an_override("add", "carl", "2026-01-06T10:00", "2026-01-06T12:00")
    assert told_between(WEEKLY, "2026-01-06T09:00", "2026-01-06T13:00", extra) == [
        "anna 01-06 09:00 - 01-06 13:00 layer",
        "carl 01-06 10:00 - 01-06 12:00 override",
    ]


def test_adding_who_is_on_already_changes_nothing() -> None:
    extra = an_override("add", "anna", "2026-01-06T10:00", "2026-01-06T12:00")
    assert told_between(WEEKLY, "2026-01-06T09:00", "2026-01-06T13:00", extra) == ["anna 01-06 09:00 - 01-06 13:00 layer"]


def test_somebody_can_be_taken_off_which_leaves_a_gap() -> None:
    off = an_override("remove", "anna", "2026-01-06T10:00", "2026-01-06T12:00")
    assert told_between(WEEKLY, "2026-01-06T09:00", "2026-01-06T13:00", off) == [
        "anna 01-06 09:00 - 01-06 10:00 layer",
        "anna 01-06 12:00 - 01-06 13:00 layer",
    ]
    assert gaps_between(WEEKLY, "2026-01-06T09:00", "2026-01-06T13:00", off) == ["01-06 10:00 - 01-06 12:00"]


def test_taking_off_somebody_who_is_not_on_changes_nothing() -> None:
    off = an_override("remove", "ben", "2026-01-06T10:00", "2026-01-06T12:00")
    assert gaps_between(WEEKLY, "2026-01-06T09:00", "2026-01-06T13:00", off) == []


def test_taking_off_without_a_name_takes_off_everybody() -> None:
    extra = an_override("add", "carl", "2026-01-06T09:00", "2026-01-06T13:00")
    off = an_override("remove", None, "2026-01-06T10:00", "2026-01-06T12:00", name="o2")
    assert gaps_between(WEEKLY, "2026-01-06T09:00", "2026-01-06T13:00", extra, off) == ["01-06 10:00 - 01-06 12:00"]


def test_a_replacement_without_a_name_stands_in_for_whoever_is_on() -> None:
    stand_in = an_override("replace", "carl", "2026-01-12T07:00", "2026-01-12T10:00")
    assert told_between(WEEKLY, "2026-01-12T06:00", "2026-01-12T11:00", stand_in) == [
        "anna 01-12 06:00 - 01-12 07:00 layer",
        "carl 01-12 07:00 - 01-12 10:00 override",
        "ben 01-12 10:00 - 01-12 11:00 layer",
    ]


def test_a_replacement_without_a_name_fills_a_gap() -> None:
    stand_in = an_override("replace", "carl", "2026-01-05T06:00", "2026-01-05T08:00")
    assert gaps_between(WEEKLY, "2026-01-05T06:00", "2026-01-05T09:00", stand_in) == []


def test_a_replacement_for_somebody_holds_only_while_that_one_is_on() -> None:
    stand_in = an_override("replace", "carl", "2026-01-12T07:00", "2026-01-12T10:00", replaces="ben")
    assert told_between(WEEKLY, "2026-01-12T06:00", "2026-01-12T11:00", stand_in) == [
        "anna 01-12 06:00 - 01-12 08:00 layer",
        "carl 01-12 08:00 - 01-12 10:00 override",
        "ben 01-12 10:00 - 01-12 11:00 layer",
    ]


def test_the_later_override_wins() -> None:
    off = an_override("remove", "anna", "2026-01-06T10:00", "2026-01-06T12:00", name="o1")
    back = an_override("add", "anna", "2026-01-06T11:00", "2026-01-06T12:00", name="o2")
    assert users_on_call(WEEKLY, [off, back], utc("2026-01-06T11:30")) == ("anna",)
    assert users_on_call(WEEKLY, [back, off], utc("2026-01-06T11:30")) == ()


def test_ends_are_exclusive() -> None:
    extra = an_override("add", "carl", "2026-01-06T10:00", "2026-01-06T12:00")
    assert users_on_call(WEEKLY, [extra], utc("2026-01-06T12:00")) == ("anna",)
    assert users_on_call(WEEKLY, [extra], utc("2026-01-06T12:00") - 1) == ("anna", "carl")


def test_an_override_cuts_a_turn_in_two() -> None:
    stand_in = an_override("replace", "carl", "2026-01-06T10:00", "2026-01-06T12:00")
    assert who_is_on_call(WEEKLY, [stand_in], utc("2026-01-07T00:00")) == (
        Duty("anna", utc("2026-01-06T12:00"), utc("2026-01-12T08:00"), Source.LAYER),
    )


def test_the_turn_of_somebody_who_is_gone_is_empty_and_the_others_keep_theirs() -> None:
    schedule, overrides = without(WEEKLY, [an_override("replace", "ben", "2026-01-06T10:00", "2026-01-06T12:00")], {"ben"})
    assert overrides == []
    found = shifts(schedule, overrides, utc("2026-01-05T08:00"), utc("2026-01-26T08:00"))
    assert [s.user for s in found.shifts] == ["anna", "anna"]
    assert [(g.starts_at, g.ends_at) for g in found.gaps] == [(utc("2026-01-12T08:00"), utc("2026-01-19T08:00"))]


def test_a_turn_of_a_year_is_told_whole() -> None:
    yearly = a_schedule(a_layer("month", "anna", "ben", length=12), a_layer("day", "carl", starts_at="2027-01-04T00:00", only=(OFFICE,)))
    (duty,) = who_is_on_call(yearly, [], utc("2026-06-01T00:00"))
    assert (duty.since, duty.until) == (utc("2026-01-05T08:00"), utc("2027-01-04T08:00"))

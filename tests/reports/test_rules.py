"""What histories come to in figures: against a slow and plain recomputation, and on the clocks of zones."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.reports import rules
from tocsin.reports.model import Happening, Line, Period, Step

pytestmark = pytest.mark.claim("A11")

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = 1_774_713_600_000  # 2026-03-28T16:00:00Z: clocks go forward the night after
ACTIONS = (
    *("opened", "reopened", "severity_raised", "acknowledged", "unacknowledged", "acknowledgement_expired"),
    *("snoozed", "snooze_ended", "resolved", "muted", "unmuted", "assigned", "undone", "escalated"),
)


def lives(*steps: tuple[int, str], alert: int = 1) -> list[Line]:
    """One alert's lines; minutes and actions. ``opened silent``: nobody was told of it."""
    return [Line(alert, at * MINUTE, words.split()[0], "silent" in words, "first" in words) for at, words in steps]


def told(*steps: tuple[int, str]) -> list[tuple[str, int, int]]:
    """What they come to, in minutes."""
    return [(what.value, at // MINUTE, length // MINUTE) for what, at, length in rules.happenings(lives(*steps))]


@pytest.mark.claim("R4")
def test_an_acknowledgement_is_measured_from_when_people_were_told() -> None:
    assert told((0, "opened"), (4, "acknowledged"), (10, "resolved")) == [("began", 0, 0), ("answered", 4, 4), ("ended", 10, 10)]


@pytest.mark.claim("R4")
def test_each_return_counts_by_itself() -> None:
    assert told((0, "opened"), (4, "acknowledged"), (10, "resolved"), (20, "reopened"), (21, "acknowledged"), (50, "resolved"))[3:] == [
        ("began", 20, 0),
        ("answered", 21, 1),
        ("ended", 50, 30),
    ]


def test_a_snooze_is_an_answer_and_its_end_waits_anew() -> None:
    steps = ((0, "opened"), (5, "snoozed"), (60, "snooze_ended"), (62, "acknowledged"), (70, "resolved"))
    assert told(*steps)[1:] == [("answered", 5, 5), ("answered", 62, 2), ("ended", 70, 70)]


@pytest.mark.claim("R4")
def test_what_is_still_open_has_no_length_yet() -> None:
    assert told((0, "opened"), (5, "severity_raised")) == [("began", 0, 0)]


def test_a_rise_of_what_is_open_does_not_start_the_wait_anew() -> None:
    assert told((0, "opened"), (5, "severity_raised"), (8, "acknowledged"))[1:] == [("answered", 8, 8)]
    assert told((0, "opened"), (1, "acknowledged"), (5, "severity_raised"), (8, "acknowledged"))[2:] == [("answered", 8, 3)]


def test_what_was_undone_did_not_happen() -> None:
    assert told((0, "opened"), (1, "acknowledged"), (2, "undone"), (9, "acknowledged"))[1:] == [("answered", 9, 9)]
    assert told((0, "opened"), (1, "resolved"), (2, "undone"), (9, "resolved"))[1:] == [("ended", 9, 9)]


def test_nobody_is_waited_for_while_it_is_muted() -> None:
    assert told((0, "opened silent"), (30, "unmuted"), (33, "acknowledged"))[1:] == [("answered", 33, 3)]
    assert told((0, "opened"), (5, "muted"), (8, "acknowledged")) == [("began", 0, 0)]


@pytest.mark.claim("R5")
def test_an_escalation_counts_once_each_time_and_at_its_beginning() -> None:
    assert told((0, "opened"), (15, "escalated first"), (30, "escalated"), (60, "escalated"), (61, "resolved")) == [
        ("began", 0, 0),
        ("escalated", 0, 0),
        ("ended", 61, 61),
    ]


histories = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from(ACTIONS), st.booleans(), st.booleans()), max_size=40)


@pytest.mark.claim("K8", "R4", "R5")
@given(histories)
@settings(max_examples=200)
def test_the_figures_agree_with_a_plain_recomputation(steps: list[tuple[int, int, str, bool, bool]]) -> None:
    at, lines = 0, []
    for alert, wait, action, silent, first in steps:
        at += wait
        lines.append(Line(alert, at, action, silent, first))
    by_alert = sorted(lines, key=lambda line: line.alert)
    found = sorted((what.value, moment, length) for what, moment, length in rules.happenings(by_alert))
    assert found == sorted(one for alert in range(4) for one in plainly([line for line in lines if line.alert == alert]))


def plainly(lines: list[Line]) -> list[tuple[str, int, int]]:
    """The definitions, word by word: for each line, all of the past is looked at again."""
    kept: list[Line] = []
    for line in lines:
        if line.action != "undone":
            kept.append(line)
            continue
        undoable = [one for one in kept if one.action in rules.UNDOABLE]
        if undoable:
            kept = [one for one in kept if one is not undoable[-1]]
    found = []
    for place, line in enumerate(kept):
        past = kept[:place]
        if line.action in ("opened", "reopened"):
            found.append(("began", line.at, 0))
        start = beginning(past)
        if line.action == "resolved" and start is not None:
            found.append(("ended", line.at, line.at - past[start].at))
        if line.action == "escalated" and not line.first_level and start is not None:
            earlier = [one for one in past[start:] if one.action == "escalated" and not one.first_level]
            if not earlier:
                found.append(("escalated", past[start].at, 0))
        if line.action in ("acknowledged", "snoozed") and (since := waiting(past)) is not None:
            found.append(("answered", line.at, line.at - since))
    return found


def beginning(past: list[Line]) -> int | None:
    """Where the trouble that is still there began."""
    places = [place for place, line in enumerate(past) if line.action in ("opened", "reopened")]
    return None if not places or any(line.action == "resolved" for line in past[places[-1] :]) else places[-1]


def waiting(past: list[Line]) -> int | None:
    """Since when somebody who was told is waited for: of the moments that made it wait, the first after the last that ended the wait."""
    since = None
    for place, line in enumerate(past):
        muted = is_muted(past[: place + 1])
        if line.action in ("acknowledged", "snoozed", "resolved", "muted") or (muted and line.action in (*rules.WAITS, *rules.BEGINNINGS)):
            since = None
        elif line.action in rules.BEGINNINGS:
            since = line.at
        elif line.action in rules.WAITS:
            since = line.at if since is None else since
        elif line.action == "unmuted" and beginning(past[: place + 1]) is not None and not is_held(past[:place]):
            since = line.at
    return since


def is_muted(past: list[Line]) -> bool:
    """Whether nobody is told, by the last line that says so either way."""
    for line in reversed(past):
        if line.action == "muted" or (line.silent and line.action in (*rules.WAITS, *rules.BEGINNINGS)):
            return True
        if line.action in ("unmuted", *rules.BEGINNINGS):
            return False
    return False


def is_held(past: list[Line]) -> bool:
    """Whether somebody has it or wanted it quiet."""
    for line in reversed(past):
        if line.action in ("acknowledged", "snoozed"):
            return True
        if line.action in (*rules.WAITS, *rules.BEGINNINGS):
            return False
    return False


def test_hours_are_those_of_the_zone_also_in_the_night_without_two_o_clock() -> None:
    cells = [((SPRING + hours * HOUR) // rules.CELL, 1) for hours in (8, 9)]  # 00:00Z and 01:00Z: 01:00 and 03:00 in Berlin
    sunday = rules.weekdays(cells, BERLIN)[6]
    assert [hour for hour, count in enumerate(sunday) if count] == [1, 3]


def test_the_night_is_from_ten_to_seven_on_the_persons_clock() -> None:
    midnight = SPRING + 7 * HOUR  # of Berlin, before the change
    nights = [rules.is_night((midnight + hours * HOUR) // rules.CELL, BERLIN) for hours in (-3, -2, 0, 5, 6)]
    assert nights == [False, True, True, True, False]  # 21, 22, 0, 6 and (as clocks went forward) 7 o'clock


def test_a_days_step_goes_from_midnight_to_midnight_of_the_zone() -> None:
    begins = rules.steps(Period(SPRING, SPRING + 2 * DAY), Step.DAY, BERLIN)
    assert [at - SPRING for at in begins] == [0, 7 * HOUR, 7 * HOUR + 23 * HOUR]


def test_an_hours_step_begins_at_full_hours_also_where_they_are_off_by_a_part() -> None:
    period = Period(SPRING + 5 * MINUTE, SPRING + 2 * HOUR)
    assert [(at - SPRING) // MINUTE for at in rules.steps(period, Step.HOUR, ZoneInfo("Asia/Kathmandu"))] == [5, 15, 75]


def test_each_happening_is_in_the_point_in_which_it_came() -> None:
    period, begins = Period(0, 3 * HOUR), [0, HOUR, 2 * HOUR]
    happened = [(Happening.BEGAN, at, 0) for at in (0, HOUR - 1, HOUR, 3 * HOUR)]
    assert [point.figures.began for point in rules.series(happened, period, begins)] == [2, 1, 0]


@pytest.mark.parametrize("length", [0, -1, rules.LONGEST + 1])
def test_a_period_that_is_empty_or_too_long_is_refused(length: int) -> None:
    with pytest.raises(InvalidInput, match="to"):
        rules.check_period(Period(0, length))


def test_only_none_and_all_are_said_to_be_0_and_100_percent() -> None:
    assert [rules.percent(share) for share in (0, 0.0001, 0.5, 0.9999, 1)] == [0, 1, 50, 99, 100]


def test_change_compares_with_what_there_was() -> None:
    assert (rules.change(3, 2), rules.change(1, 0), rules.change(None, 2)) == (0.5, None, None)

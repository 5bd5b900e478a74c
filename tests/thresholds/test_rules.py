"""When a value is a problem, and when it no longer is."""

from itertools import groupby, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, strategies as st

from tests.fakes import NOW
from tests.thresholds.build import a_series, a_threshold, each_minute
from tocsin.core.clock import HOUR, MINUTE
from tocsin.thresholds import rules
from tocsin.thresholds.model import Direction, Level, Outcome, Reason, Sample, State, Threshold

WARNED, CRITICAL, CLEARED = Reason.WARNED, Reason.CRITICAL, Reason.CLEARED


def told(threshold: Threshold, *values: float) -> list[tuple[int, Reason]]:
    """At which minute what is told, when a sample comes each minute."""
    judged = rules.judge(threshold, None, each_minute(*values), NOW)
    return [((outcome.sample.at - NOW) // MINUTE, outcome.reason) for outcome in judged.outcomes if outcome.sample is not None]


def in_place_of_time(state: State) -> State:
    return msgspec.structs.replace(state, last_at=0)


LIMITS = st.sampled_from([None, 5.0, 10.0, 20.0])


@given(
    warning=LIMITS,
    critical=LIMITS,
    direction=st.sampled_from(Direction),
    lasts=st.sampled_from([0, 2 * MINUTE]),
    values=st.lists(st.sampled_from([0.0, 4.8, 5.0, 7.0, 9.6, 10.0, 15.0, 20.0, 30.0]), max_size=8),
    more=st.sampled_from([0.0, 4.8, 5.0, 7.0, 9.6, 10.0, 15.0, 20.0, 30.0]),
)
def test_the_quick_answer_is_that_of_the_judge(
    warning: float | None, critical: float | None, direction: Direction, lasts: int, values: list[float], more: float
) -> None:
    assume(warning is not None or critical is not None)
    threshold = a_threshold(warning=warning, critical=critical, clear=None, direction=direction, lasts=lasts)
    state = rules.judge(threshold, None, each_minute(*values), NOW).state
    after = rules.judge(threshold, state, [Sample(NOW + HOUR, more)], NOW + HOUR)
    if rules.stays(threshold, state, more):
        assert (in_place_of_time(after.state), after.outcomes) == (in_place_of_time(state), ())


def test_most_of_what_stays_bad_has_the_quick_answer() -> None:
    for value in (86.0, 97.0):
        state = rules.judge(a_threshold(), None, each_minute(value, value), NOW).state
        assert rules.stays(a_threshold(), state, value + 1)
        assert not rules.stays(a_threshold(), state, 50.0)


@pytest.mark.claim("M6")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((84.9, 85, 86), [(1, WARNED)]),
        ((85, 84, 80), [(0, WARNED)]),
        ((85, 79.9), [(0, WARNED), (1, CLEARED)]),
        ((85, 95, 99), [(0, WARNED), (1, CRITICAL)]),
        ((99,), [(0, CRITICAL)]),
        ((99, 94, 96), [(0, CRITICAL)]),  # a critical value ends as far behind its limit as a warning
        ((99, 89, 96), [(0, CRITICAL), (2, CRITICAL)]),
        ((99, 10, 90), [(0, CRITICAL), (1, CLEARED), (2, WARNED)]),
    ],
)
def test_a_limit_is_told_when_it_is_reached_and_ends_behind_its_clear_value(
    values: tuple[float, ...], expected: list[tuple[int, Reason]]
) -> None:
    assert told(a_threshold(), *values) == expected


def test_below_is_the_same_upside_down() -> None:
    free = a_threshold(metric="disk_free_percent", direction=Direction.BELOW, warning=15.0, critical=5.0, clear=None)
    assert told(free, 15.1, 15, 15.5, 5, 15.7, 15.8) == [(1, WARNED), (3, CRITICAL), (5, CLEARED)]


def test_a_limit_must_be_passed_for_as_long_as_the_threshold_says_without_a_break() -> None:
    patient = a_threshold(lasts=2 * MINUTE)
    assert told(patient, 90, 90, 84, 90, 90, 90) == [(5, WARNED)]
    assert told(patient, 90, 96, 96, 96) == [(2, WARNED), (3, CRITICAL)]


def test_a_threshold_may_have_one_limit_only() -> None:
    assert told(a_threshold(critical=None), 99, 70) == [(0, WARNED), (1, CLEARED)]
    assert told(a_threshold(warning=None, clear=90.0), 94, 99, 91, 89) == [(1, CRITICAL), (3, CLEARED)]


def test_what_is_no_number_and_what_came_before_is_not_judged() -> None:
    first = rules.judge(a_threshold(), None, each_minute(90, 70), NOW)
    again = rules.judge(a_threshold(), first.state, each_minute(90, float("nan"), float("inf")), NOW)
    assert again.outcomes == ()
    assert again.state == first.state


@given(
    values=st.lists(st.one_of(st.floats(60, 100), st.sampled_from([80.0, 85.0, 95.0])), max_size=40),
    cuts=st.sets(st.integers(0, 39)),
    repeats=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=5),
    lasts=st.sampled_from([0, MINUTE, 3 * MINUTE]),
)
@pytest.mark.claim("M6")
def test_each_excursion_is_one_problem_and_one_recovery_however_samples_are_cut_and_repeated(
    values: list[float], cuts: set[int], repeats: list[tuple[int, int]], lasts: int
) -> None:
    threshold = a_threshold(critical=None, lasts=lasts)
    samples = each_minute(*values)
    whole = rules.judge(threshold, None, samples, NOW)

    # Problem and recovery take turns, beginning with a problem, and nothing is told inside the band.
    reasons = [outcome.reason for outcome in whole.outcomes]
    assert all(len(list(run)) == 1 for _, run in groupby(reasons))
    assert reasons[:1] in ([], [WARNED])
    for outcome in whole.outcomes:
        assert outcome.sample is not None
        assert outcome.sample.value >= 85 if outcome.reason is WARNED else outcome.sample.value < 80
    for one, other in pairwise(whole.outcomes):
        between = [s.value for s in samples if one.sample and other.sample and one.sample.at < s.at < other.sample.at]
        assert one.reason is not WARNED or all(value >= 80 for value in between)

    # Cut into batches, each perhaps sent again, it is the same.
    state: State | None = None
    pieces: list[Outcome] = []
    start = 0
    for end in [*sorted(cut for cut in cuts if cut < len(samples)), len(samples)]:
        judged = rules.judge(threshold, state, samples[start:end], NOW)
        state, start = judged.state, end
        pieces += judged.outcomes
        for first, last in repeats:
            repeated = rules.judge(threshold, state, samples[min(first, end) : min(last, end)], NOW)
            assert repeated.outcomes == ()
            state = repeated.state
    assert tuple(pieces) == whole.outcomes
    assert state is not None
    assert msg(state) == msg(whole.state)


def msg(state: State) -> tuple[Any, ...]:
    """What matters of a state."""
    return state.level, state.since, state.warning_since, state.last_at


@given(st.lists(st.floats(80, 84.99), max_size=30))
def test_inside_the_band_nothing_ever_changes(values: list[float]) -> None:
    calm = rules.judge(a_threshold(), None, each_minute(*values), NOW)
    assert (calm.outcomes, calm.state.level) == ((), Level.OK)
    warned = State(Level.WARNING, NOW - MINUTE, NOW - MINUTE, None, NOW - MINUTE)
    still = rules.judge(a_threshold(), warned, each_minute(*values), NOW)
    assert (still.outcomes, still.state.level) == ((), Level.WARNING)


def test_silence_is_told_once_and_its_end_too() -> None:
    threshold = a_threshold(missing=8 * MINUTE)
    state = rules.judge(threshold, None, each_minute(10), NOW).state
    assert state.due_at == NOW + 9 * MINUTE, "an eighth late at most"
    assert rules.fall_silent(threshold, state, NOW + 8 * MINUTE).outcomes == ()
    silent = rules.fall_silent(threshold, state, NOW + 9 * MINUTE)
    assert [outcome.reason for outcome in silent.outcomes] == [Reason.SILENT]
    assert silent.state.due_at is None
    later = NOW + 20 * MINUTE
    back = rules.judge(threshold, silent.state, [Sample(later, 99)], later)
    assert [outcome.reason for outcome in back.outcomes] == [Reason.TALKING, CRITICAL]
    assert back.state.due_at == later + 9 * MINUTE


def test_when_silence_is_due_moves_in_steps_so_that_not_each_sample_is_written() -> None:
    threshold = a_threshold(missing=80 * MINUTE)
    state = rules.judge(threshold, None, each_minute(10), NOW).state
    for minutes, due in ((1, 90), (9, 90), (10, 100), (19, 100), (20, 110)):
        at = NOW + minutes * MINUTE
        state = rules.judge(threshold, state, [Sample(at, 10)], at).state
        assert state.due_at == NOW + due * MINUTE


def test_silence_that_nobody_asks_for_any_more_is_not_told() -> None:
    state = rules.judge(a_threshold(missing=8 * MINUTE), None, each_minute(10), NOW).state
    for threshold in (None, a_threshold()):
        judged = rules.fall_silent(threshold, state, NOW + 60 * MINUTE)
        assert (judged.outcomes, judged.state.due_at) == ((), None)


# --- Which threshold holds ----------------------------------------------------------------------------------------------

EVERYWHERE = a_threshold(id="default:disk_percent")
OWN = a_threshold(id="0")
AT_SITE = a_threshold(id="1", site_id=1)
OF_MOUNT = a_threshold(id="2", labels={"mount": "/var"})
OF_HOST = a_threshold(id="3", host="web01")
OF_ALL = a_threshold(id="4", site_id=1, host="web01", labels={"mount": "/var"})
LADDER = (EVERYWHERE, OWN, AT_SITE, OF_MOUNT, OF_HOST, OF_ALL)


@pytest.mark.claim("M6")
@pytest.mark.parametrize("rank", range(len(LADDER)))
def test_the_most_specific_threshold_holds(rank: int) -> None:
    assert rules.chosen(reversed(LADDER[: rank + 1]), a_series()) == (LADDER[rank],)


@pytest.mark.parametrize(
    "changes", [{"site_id": 2}, {"host": "web02"}, {"labels": {"mount": "/"}}, {"labels": {"disk": "/var"}}, {"enabled": False}]
)
def test_a_threshold_about_something_else_does_not_hold(changes: dict[str, Any]) -> None:
    assert rules.chosen([a_threshold(**changes)], a_series()) == ()


def test_what_a_check_measures_is_left_to_the_check_unless_somebody_made_a_threshold_for_it() -> None:
    of_a_check = a_series(labels={"check": "shop", "mount": "/var"})
    assert rules.chosen([EVERYWHERE], of_a_check) == ()
    assert rules.chosen([EVERYWHERE, OF_MOUNT], of_a_check) == (OF_MOUNT,)


def test_a_series_without_a_host_is_not_of_a_host() -> None:
    assert rules.chosen([OF_HOST], a_series(host=None)) == ()
    assert rules.chosen([OF_HOST], a_series(host="WEB01")) == (OF_HOST,)


@given(st.floats(0, 200), st.lists(st.sampled_from(["above", "below"]), min_size=1, max_size=2, unique=True))
def test_what_is_harmless_begins_nothing(value: float, sides: list[str]) -> None:
    low = a_threshold(direction=Direction.BELOW, warning=30.0, critical=10.0, clear=None)
    thresholds = [a_threshold() if side == "above" else low for side in sides]
    least, most = rules.harmless(thresholds)
    for threshold in thresholds:
        began = rules.judge(threshold, None, [Sample(NOW, value)], NOW).outcomes != ()
        assert not (began and least < value < most)
    assert (least, most) == (30.0 if "below" in sides else float("-inf"), 85.0 if "above" in sides else float("inf"))


def test_where_silence_matters_no_value_is_harmless() -> None:
    least, most = rules.harmless([a_threshold(missing=10 * MINUTE)])
    assert not least < 50 < most


def test_above_and_below_hold_side_by_side() -> None:
    low = a_threshold(id="5", direction=Direction.BELOW, warning=1.0, critical=None, clear=None)
    assert rules.chosen([OWN, low], a_series()) == (OWN, low)


# --- What people read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "threshold", "reason", "value", "title"),
    [
        ({}, {}, WARNED, 91, "web01: disk /var 91 % full, warned from 85 %"),
        ({}, {}, CRITICAL, 98.26, "web01: disk /var 98.3 % full, critical from 95 %"),
        ({}, {}, CLEARED, 40, "web01: disk /var 40 % full again"),
        ({"name": "cpu_percent", "labels": {}}, {"warning": 80.0}, WARNED, 93.04, "web01: cpu 93 %, warned from 80 %"),
        (
            {"name": "response_ms", "host": None, "labels": {"action": "GetStats"}},
            {"warning": 3000.0},
            WARNED,
            3211.7,
            "response GetStats 3,212 ms, warned from 3,000 ms",
        ),
        (
            {"name": "load_1m", "labels": {}},
            {"direction": Direction.BELOW, "warning": 0.5},
            WARNED,
            0.25,
            "web01: load 1m 0.25, warned down from 0.5",
        ),
        ({"labels": {"a": "1", "b": "2"}}, {}, WARNED, 90, "web01: disk (a=1, b=2) 90 % full, warned from 85 %"),
        ({"name": "queue_depth", "labels": {"queue": "mail"}}, {}, WARNED, 1e20, "web01: queue depth (queue=mail) 1e+20, warned from 85"),
    ],
)
def test_titles_are_what_a_person_would_say(
    series: dict[str, Any], threshold: dict[str, Any], reason: Reason, value: float, title: str
) -> None:
    assert rules.title(a_threshold(**threshold), a_series(**series), Outcome(reason, Sample(NOW, value))) == title


def test_silence_is_told_in_words_too() -> None:
    quiet = Outcome(Reason.SILENT, is_about_silence=True)
    assert rules.title(a_threshold(missing=10 * MINUTE), a_series(), quiet) == "web01: disk /var has sent no value for 10 min"


def test_the_text_below_says_what_the_threshold_is() -> None:
    assert rules.explain(a_threshold(id="default:x", lasts=5 * MINUTE, clear=None), "disk_percent") == (
        "Warning from 85 %, critical from 95 % for 5 min; over below 80.8 %, by the settings."
    )
    low = a_threshold(id="7", direction=Direction.BELOW, warning=None, critical=10.0, clear=12.0)
    assert rules.explain(low, "orders") == "Critical from 10; over above 12, by threshold 7."


# --- What can be a threshold --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"warning": None, "critical": None, "clear": None}, "warning"),
        ({"warning": float("nan")}, "warning"),
        ({"critical": float("inf")}, "critical"),
        ({"critical": 84.0}, "critical"),
        ({"clear": 85.5}, "clear"),
        ({"direction": Direction.BELOW, "clear": 97.0}, "critical"),
        ({"direction": Direction.BELOW, "warning": 15.0, "critical": 5.0, "clear": 14.0}, "clear"),
        ({"labels": {"": "x"}}, "labels"),
        ({"labels": {"mount": "/\0"}}, "labels"),
        ({"labels": {str(n): "" for n in range(11)}}, "labels"),
        ({"lasts": -1}, "for_seconds"),
        ({"missing": 1}, "missing_seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    assert [fault.field for fault in rules.faults(a_threshold(**changes))] == [field]
    assert rules.faults(a_threshold()) == ()


def test_the_settings_make_four_that_make_sense() -> None:
    made = rules.defaults(80, 90, 97, (3000, 5000))
    assert [rules.faults(one) for one in made] == [()] * 4
    assert {one.metric: (one.warning, one.critical) for one in made} == {
        "cpu_percent": (80, None),
        "memory_percent": (90, None),
        "disk_percent": (97, 97),
        "response_ms": (3000, 5000),
    }

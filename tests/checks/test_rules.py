"""What follows from findings: a state machine that is slow to believe, says why, and never blames the target for our own trouble."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from tests.checks.build import DOWN, FINE, LOST, SLOW, SLOWER, a_check, certified, days
from tests.fakes import NOW
from tocsin.checks import rules
from tocsin.checks.model import Definition, Finding, HttpTarget, Level, Reason, State, Status, Verdict
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import InvalidInput

pytestmark = pytest.mark.claim("M2")
CHECK = a_check()


def live(findings: Sequence[Finding], check: Definition = CHECK, state: State | None = None, now: int = NOW) -> list[Verdict]:
    """One look a minute."""
    verdicts, state = [], state or State()
    for turn, found in enumerate(findings):
        verdicts.append(rules.judge(check, state, found, now + turn * MINUTE))
        state = verdicts[-1].state
    return verdicts


def told(verdicts: Sequence[Verdict]) -> list[str]:
    return [f"{tell.type} {tell.severity}" for verdict in verdicts for tell in verdict.tells]


def statuses(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.status.value for verdict in verdicts]


def test_one_failure_is_asked_again_and_three_in_a_row_are_believed_from_the_first_one_on() -> None:
    up, once, twice, down = live([FINE, DOWN, DOWN, DOWN])
    assert statuses([up, once, twice, down]) == ["up", "up", "up", "down"]
    assert [once.reason, twice.reason, down.reason] == [Reason.ASKED_AGAIN, Reason.ASKED_AGAIN, Reason.CONFIRMED]
    assert once.again_in == 20 * SECOND
    assert down.began == NOW + MINUTE
    assert told([up, once, twice, down]) == ["check.down 4"]
    assert down.tells[0].title == "Shop is down: refuses the connection"


def test_a_failure_that_passes_by_itself_is_told_to_nobody() -> None:
    assert told(live([FINE, DOWN, DOWN, FINE, DOWN, DOWN, FINE])) == []


def test_a_recovery_may_need_several_good_answers() -> None:
    check = a_check(retries=0, recoveries=3)
    verdicts = live([FINE, DOWN, FINE, FINE, DOWN, FINE, FINE, FINE], check)
    assert statuses(verdicts) == ["up", "down", "down", "down", "down", "down", "down", "up"]
    assert told(verdicts) == ["check.down 4", "check.recovered 1"]
    assert verdicts[-1].began == NOW + 5 * MINUTE
    assert verdicts[-1].reason is Reason.RECOVERED


def test_a_first_failure_of_a_new_check_is_unknown_until_it_is_believed() -> None:
    assert statuses(live([DOWN, DOWN, DOWN])) == ["unknown", "unknown", "down"]


def test_failures_of_several_kinds_in_a_row_are_as_bad_as_the_mildest() -> None:
    verdicts = live([FINE, DOWN, SLOW, SLOWER, DOWN, DOWN, DOWN])
    assert statuses(verdicts) == ["up", "up", "up", "degraded", "degraded", "degraded", "down"]
    assert told(verdicts) == ["check.degraded 3", "check.recovered 1", "check.down 4"]


def test_slow_is_a_warning_too_slow_is_louder_and_answering_again_slowly_is_both_ends() -> None:
    check = a_check(retries=0)
    assert told(live([FINE, SLOW, SLOWER, SLOW, FINE], check)) == [
        "check.degraded 3",
        "check.degraded 4",
        "check.degraded 3",
        "check.recovered 1",
    ]
    assert told(live([FINE, DOWN, SLOW], check)) == ["check.down 4", "check.recovered 1", "check.degraded 3"]


def test_our_own_trouble_changes_nothing_that_was_believed_or_told() -> None:
    check = a_check(retries=0)
    verdicts = live([FINE, DOWN, LOST, LOST, DOWN, FINE], check)
    assert statuses(verdicts) == ["up", "down", "unknown", "unknown", "down", "up"]
    assert told(verdicts) == ["check.down 4", "check.recovered 1"]
    assert verdicts[2].reason is Reason.NOTHING_LEARNED


def test_what_lasts_is_told_again_each_hour_so_that_an_alert_that_was_closed_too_early_comes_back() -> None:
    verdicts = live([FINE, *[DOWN] * 130])
    assert told(verdicts) == ["check.down 4"] * 3


_findings = st.lists(st.sampled_from([FINE, SLOW, SLOWER, DOWN, LOST]), max_size=60)
_checks = st.builds(a_check, retries=st.integers(0, 4), recoveries=st.integers(1, 4))


@given(_findings, _checks)
def test_whatever_is_found_down_is_only_what_the_target_showed_often_enough(findings: list[Finding], check: Definition) -> None:
    verdicts = live(findings, check)
    for turn, verdict in enumerate(verdicts):
        was_down = turn > 0 and verdicts[turn - 1].state.level is Level.FAILED
        if verdict.state.level is Level.FAILED and not was_down:
            said = [found for found in findings[: turn + 1] if found.level is not None]
            assert [found.level for found in said[-check.retries - 1 :]] == [Level.FAILED] * (check.retries + 1)
        if findings[turn].level is None:
            assert verdict.status is Status.UNKNOWN
            assert verdict.tells == ()
        assert verdict.began <= NOW + turn * MINUTE
        assert verdict.again_in in (check.interval * SECOND, check.retry_after * SECOND)


@given(_findings, _checks)
def test_whatever_is_found_what_people_know_is_what_was_believed_and_every_problem_ends_before_the_next(
    findings: list[Finding], check: Definition
) -> None:
    open_problems: set[str] = set()
    for verdict in live(findings, check):
        for tell in verdict.tells:
            if tell.status == "problem":
                open_problems.add(tell.about)
            else:
                assert tell.about in open_problems
                open_problems.discard(tell.about)
        level = verdict.state.level or Level.OK
        assert verdict.state.told is level
        assert open_problems == ({"check.down"} if level is Level.FAILED else {"check.degraded"} if level > Level.OK else set())


@given(_findings)
def test_after_enough_good_answers_a_check_is_up_and_nothing_is_open(findings: list[Finding]) -> None:
    check = a_check(recoveries=2)
    last = live([*findings, FINE, FINE, FINE], check)[-1]  # the first may complete a recovery to what was slow
    assert last.status is Status.UP
    assert last.state.told is Level.OK
    assert rules.let_go(check, last.state) == ()


# --- Certificates -----------------------------------------------------------------------------------------------------


@pytest.mark.claim("M3", "M6", "K4")
def test_the_end_of_a_certificate_is_told_at_30_14_7_and_1_days_each_time_louder_and_once() -> None:
    state, said = State(), []
    for half_days in range(80, -3, -1):
        verdict = rules.judge(CHECK, state, certified(NOW), NOW - days(half_days / 2))
        state = verdict.state
        said += [(half_days / 2, tell.severity, tell.title) for tell in verdict.tells]
    assert said == [
        (30, 2, "Shop: the certificate expires in 30 days"),
        (14, 3, "Shop: the certificate expires in 14 days"),
        (7, 4, "Shop: the certificate expires in 7 days"),
        (1, 5, "Shop: the certificate expires in 1 day"),
    ]


@pytest.mark.claim("M3", "K4")
def test_a_renewal_ends_the_warning_and_is_noticed_even_if_nobody_was_warned() -> None:
    warned = rules.judge(CHECK, State(), certified(NOW + days(5)), NOW)
    renewed = rules.judge(CHECK, warned.state, certified(NOW + days(90), "b"), NOW)
    assert [(t.type, t.status, t.about) for t in renewed.tells] == [("certificate.renewed", "recovery", "certificate.expiring")]
    again = rules.judge(CHECK, renewed.state, certified(NOW + days(180), "c"), NOW)
    assert [(t.type, t.status) for t in again.tells] == [("certificate.renewed", "info")]
    assert rules.judge(CHECK, again.state, certified(NOW + days(180), "c"), NOW).tells == ()


@pytest.mark.claim("M3")
def test_another_certificate_that_ends_sooner_is_no_renewal() -> None:
    """Two servers behind one name, one of which was forgotten."""
    first = rules.judge(CHECK, State(), certified(NOW + days(90)), NOW)
    second = rules.judge(CHECK, first.state, certified(NOW + days(5), "old"), NOW)
    assert [t.type for t in second.tells] == ["certificate.expiring"]


def test_a_check_that_is_no_longer_watched_ends_what_it_told() -> None:
    state = live([FINE, DOWN, DOWN, DOWN])[-1].state
    assert [(tell.about, tell.status) for tell in rules.let_go(CHECK, state)] == [("check.down", "recovery")]


# --- Definitions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timeout": 60}, "timeout_seconds"),
        ({"retry_after": 61}, "retry_seconds"),
        ({"warning_ms": 500, "critical_ms": 500}, "warning_ms"),
        ({"target": HttpTarget(url="ftp://example.com/")}, "target.url"),
        ({"target": HttpTarget(url="http://user:pw@example.com/")}, "target.url"),
        ({"target": HttpTarget(url="http://example.com:99999/")}, "target.url"),
        ({"target": HttpTarget(url="http://exa mple.com/")}, "target.url"),
        ({"target": HttpTarget(url="http://example.com/\r\nX: y")}, "target.url"),
        ({"target": HttpTarget(url="https://example.com/", statuses="200,,300")}, "target.statuses"),
        ({"target": HttpTarget(url="https://example.com/", headers={"X": "a\r\nY: b"})}, "target.headers.X"),
        ({"target": HttpTarget(url="https://example.com/", headers={"Host": "b"})}, "target.headers"),
        ({"target": HttpTarget(url="https://example.com/", json_path="$.a[*]")}, "target.json_path"),
        ({"target": HttpTarget(url="https://example.com/", json_path="a", json_op="=")}, "target.json_value"),
        ({"target": HttpTarget(url="https://example.com/", json_path="a", json_op="<", json_value="x")}, "target.json_value"),
    ],
)
def test_what_can_be_no_check_is_refused_by_the_name_of_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.check_definition(a_check(**change))
    assert [error.field for error in refused.value.errors] == [field]


@pytest.mark.parametrize(
    ("value", "op", "wanted", "holds"),
    [
        ("ok", "=", "ok", True),
        (7, "=", "7", True),
        (True, "=", True, True),
        (1, "=", True, False),
        ("7.0", "=", 7, True),
        (None, "=", "null", True),
        ([1, "b"], "contains", "b", True),
        ("a fault", "contains", "fault", True),
        ("many", ">", 5, False),
        (6, ">", 5, True),
        (5, ">=", 5, True),
        (5, "<", 5, False),
        ("x", "!=", "y", True),
        (10**400, ">", 5, False),
    ],
)
def test_values_are_compared_as_a_person_would(value: object, op: str, wanted: object, holds: bool) -> None:
    assert rules.holds(value, op, wanted) is holds


@pytest.mark.claim("T2")
@given(st.uuids().map(str), st.integers(10_000, 86_400_000), st.integers(0, 10**13), st.integers(0, 10**6))
def test_the_next_look_is_later_and_keeps_its_place_in_the_interval(check_id: str, interval: int, now: int, late: int) -> None:
    due_at = rules.next_due(check_id, interval, interval, now, now + late)
    assert now + late < due_at <= now + late + interval
    assert rules.next_due(check_id, interval, interval, due_at, due_at) == due_at + interval

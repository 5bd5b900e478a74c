"""What a ping, or its absence, means."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_datetime
from tocsin.heartbeats import calendar, rules
from tocsin.heartbeats.model import Away, Decision, Heartbeat, Kind, News, Schedule, Status, Trouble, Why

BERLIN = ZoneInfo("Europe/Berlin")
HOURLY = Schedule(period=HOUR)
NIGHTLY = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")


def a_job(schedule: Schedule = HOURLY, *, grace: int = 5 * MINUTE, longest_run: int | None = None, since: int = NOW) -> Heartbeat:
    return rules.begin(Heartbeat("0190", 1, "Backup", schedule, grace, longest_run, 3, since, since), since)


def pinged(heartbeat: Heartbeat, at: int, kind: Kind = Kind.SUCCESS) -> Heartbeat:
    return rules.on_ping(heartbeat, kind, at)[0].heartbeat


def told(decision: Decision) -> list[tuple[Trouble, bool, Why]]:
    return [(one.trouble, one.over, one.why) for one in decision.news]


def berlin(text: str, fold: int = 0) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold))


# --- Late


def test_a_job_that_has_not_reported_by_its_time_and_grace_is_missed_once() -> None:
    job = pinged(a_job(), NOW)
    assert job.due_at == NOW + HOUR + 5 * MINUTE
    assert told(rules.on_time(job, job.due_at - 1)) == []
    late = rules.on_time(job, job.due_at)
    assert told(late) == [(Trouble.MISSED, False, Why.LATE)]
    assert late.heartbeat.status is Status.MISSED
    assert late.heartbeat.due_at is None
    assert told(rules.on_time(late.heartbeat, NOW + DAY)) == []


def test_a_job_that_has_never_reported_is_missed_too_and_that_is_said() -> None:
    job = a_job()
    assert job.status is Status.WAITING
    assert told(rules.on_time(job, NOW + HOUR + 5 * MINUTE)) == [(Trouble.MISSED, False, Why.NEVER)]


def test_the_next_report_ends_it_be_it_a_failure() -> None:
    missed = rules.on_time(a_job(), NOW + 2 * HOUR).heartbeat
    assert told(rules.on_ping(missed, Kind.SUCCESS, NOW + 3 * HOUR)[0]) == [(Trouble.MISSED, True, Why.REPORTED)]
    assert told(rules.on_ping(missed, Kind.START, NOW + 3 * HOUR)[0]) == [(Trouble.MISSED, True, Why.REPORTED)]
    failed = rules.on_ping(missed, Kind.FAIL, NOW + 3 * HOUR)[0]
    assert told(failed) == [(Trouble.MISSED, True, Why.REPORTED), (Trouble.FAILED, False, Why.SAID_SO)]


# --- Failed, and how long it took


def test_a_failure_is_told_each_time_and_over_with_the_first_success() -> None:
    first = rules.on_ping(a_job(), Kind.FAIL, NOW + HOUR)[0]
    second = rules.on_ping(first.heartbeat, Kind.FAIL, NOW + 2 * HOUR)[0]
    assert told(first) == told(second) == [(Trouble.FAILED, False, Why.SAID_SO)]
    assert second.heartbeat.failed_at == NOW + HOUR
    assert second.heartbeat.status is Status.FAILED
    good = rules.on_ping(second.heartbeat, Kind.SUCCESS, NOW + 3 * HOUR)[0]
    assert told(good) == [(Trouble.FAILED, True, Why.SUCCEEDED)]
    assert good.heartbeat.status is Status.UP


def test_a_run_that_reports_its_start_has_a_length() -> None:
    running = pinged(a_job(), NOW + HOUR, Kind.START)
    assert running.status is Status.RUNNING
    decision, took = rules.on_ping(running, Kind.SUCCESS, NOW + HOUR + 90 * SECOND)
    assert took == decision.heartbeat.last_took == 90 * SECOND
    assert rules.on_ping(decision.heartbeat, Kind.SUCCESS, NOW + 2 * HOUR)[1] is None


def test_a_job_that_dies_after_its_start_is_late_when_the_next_report_should_come() -> None:
    begun = pinged(a_job(), NOW + HOUR, Kind.START)
    assert begun.due_at == NOW + 2 * HOUR + 5 * MINUTE
    assert told(rules.on_time(begun, begun.due_at)) == [(Trouble.MISSED, False, Why.LATE)]


def test_a_run_with_a_length_is_judged_by_that_alone() -> None:
    long = pinged(a_job(longest_run=5 * HOUR), NOW + HOUR, Kind.START)
    assert told(rules.on_time(long, NOW + 5 * HOUR)) == []
    bound = pinged(a_job(longest_run=10 * MINUTE), NOW + HOUR, Kind.START)
    assert bound.due_at == NOW + HOUR + 10 * MINUTE
    over = rules.on_time(bound, bound.due_at)
    assert told(over) == [(Trouble.OVERRUNNING, False, Why.STILL_RUNNING)]
    assert over.heartbeat.status is Status.OVERRUNNING
    assert told(rules.on_ping(over.heartbeat, Kind.START, NOW + 3 * HOUR)[0]) == []
    assert told(rules.on_ping(over.heartbeat, Kind.SUCCESS, NOW + 3 * HOUR)[0]) == [(Trouble.OVERRUNNING, True, Why.ENDED)]


# --- Pausing, changing, removing


def test_while_it_is_paused_nothing_follows_from_anything() -> None:
    missed = rules.on_time(a_job(), NOW + 2 * HOUR).heartbeat
    paused = rules.pause(missed, NOW + 2 * HOUR)
    assert told(paused) == [(Trouble.MISSED, True, Why.PAUSED)]
    assert paused.heartbeat.due_at is None
    for kind in Kind:
        decision, _ = rules.on_ping(paused.heartbeat, kind, NOW + 3 * HOUR)
        assert told(decision) == []
        assert decision.heartbeat.due_at is None
    resumed = rules.resume(paused.heartbeat, NOW + DAY).heartbeat
    assert resumed.due_at == NOW + DAY + HOUR + 5 * MINUTE


def test_another_schedule_is_waited_for_anew() -> None:
    missed = rules.on_time(a_job(), NOW + 2 * HOUR).heartbeat
    changed = rules.rescheduled(replace(missed, schedule=Schedule(period=DAY)), NOW + 3 * HOUR)
    assert told(changed) == [(Trouble.MISSED, True, Why.CHANGED)]
    assert changed.heartbeat.due_at == NOW + 3 * HOUR + DAY + 5 * MINUTE


def test_what_is_told_of_one_that_is_removed_is_over() -> None:
    failed = pinged(a_job(), NOW, Kind.FAIL)
    assert told(rules.removed(failed)) == [(Trouble.FAILED, True, Why.REMOVED)]


# --- When Tocsin itself was away


def test_what_was_expected_while_nobody_could_take_it_is_waited_for_anew() -> None:
    job = pinged(a_job(NIGHTLY), berlin("2026-05-01T02:31"))
    away = Away(berlin("2026-05-02T02:00"), berlin("2026-05-02T03:00"))
    waiting = rules.after_absence(job, away)
    assert waiting.expected_at == berlin("2026-05-03T02:30")


def test_what_was_late_before_that_or_is_expected_after_it_stays_as_it_is() -> None:
    job = pinged(a_job(NIGHTLY), berlin("2026-05-01T02:31"))
    assert rules.after_absence(job, Away(berlin("2026-05-02T02:36"), berlin("2026-05-02T03:00"))) == job
    assert rules.after_absence(job, Away(berlin("2026-05-01T12:00"), berlin("2026-05-01T13:00"))) == job


def test_a_run_whose_end_may_have_been_lost_does_not_overrun() -> None:
    running = pinged(a_job(longest_run=10 * MINUTE), NOW + HOUR, Kind.START)
    waiting = rules.after_absence(running, Away(NOW + HOUR + MINUTE, NOW + HOUR + 20 * MINUTE))
    assert waiting.started_at is None
    assert waiting.due_at == NOW + 2 * HOUR + 25 * MINUTE


# --- The calendar


def test_a_cron_expression_goes_by_the_clock_of_its_zone() -> None:
    job = pinged(a_job(NIGHTLY), berlin("2026-05-01T02:33"))
    assert job.expected_at == berlin("2026-05-02T02:30")


def test_a_ping_just_before_its_time_counts_for_it_since_clocks_differ() -> None:
    job = pinged(a_job(NIGHTLY), berlin("2026-05-02T02:29:45"))
    assert job.expected_at == berlin("2026-05-03T02:30")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-03-28T12:00", "2026-03-29T03:00"),  # 02:30 does not exist that night: cron runs it right after the gap
        ("2026-03-29T03:05", "2026-03-30T02:30"),
        ("2026-10-24T12:00", "2026-10-25T02:30"),  # comes twice: cron runs it the first time only
        ("2026-10-25T02:35", "2026-10-26T02:30"),
    ],
)
def test_on_the_nights_when_clocks_change_a_job_is_expected_when_cron_runs_it(after: str, expected: str) -> None:
    assert calendar.next_expected(NIGHTLY, berlin(after)) == berlin(expected)


def test_in_the_hour_that_comes_twice_nothing_is_expected_in_the_past() -> None:
    second_turn = berlin("2026-10-25T02:10", fold=1)
    assert calendar.next_expected(NIGHTLY, second_turn) == berlin("2026-10-26T02:30")


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "a b c d e", "*/0 * * * *", "٣ * * * *", "x" * 300]
)
def test_an_expression_that_names_no_time_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(InvalidInput, match="Example: 30 2"):
        calendar.check(Schedule(cron=cron), NOW)


def test_a_schedule_is_a_period_or_an_expression() -> None:
    for wrong in (Schedule(), Schedule(period=HOUR, cron="* * * * *")):
        with pytest.raises(InvalidInput, match="exactly one"):
            calendar.check(wrong, NOW)
    with pytest.raises(InvalidInput, match="no time zone"):
        calendar.check(Schedule(cron="* * * * *", time_zone="Mars/Olympus"), NOW)
    assert calendar.check(Schedule(cron="  30  2 * * *"), NOW).cron == "30 2 * * *"


def test_an_exit_code_is_a_success_or_a_failure() -> None:
    assert rules.kind_of("0") == (Kind.SUCCESS, 0)
    assert rules.kind_of("17") == (Kind.FAIL, 17)
    assert rules.kind_of("start") == (Kind.START, None)
    assert [rules.kind_of(word) for word in ("256", "-1", "success", "", "\u0661", "0000")] == [None] * 6


def test_what_a_job_says_is_kept_as_text_whatever_its_bytes() -> None:
    assert rules.clean_log(b"tar: \xff\x00done\n") == "tar: ��done"


# --- For any life of a job

CRONS = st.sampled_from(["* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "0 3 * * 1-5", "15 2 1 * *", "0 2 * * 0", "0 0 29 2 *"])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
SCHEDULES = st.one_of(
    st.integers(MINUTE, 40 * DAY).map(lambda period: Schedule(period=period)),
    st.builds(lambda cron, zone: Schedule(cron=cron, time_zone=zone), CRONS, ZONES),
)
STARTS = st.integers(berlin("2025-10-01T00:00"), berlin("2027-01-01T00:00"))


@pytest.mark.claim("M5")
@given(SCHEDULES, STARTS, st.integers(0, 2 * HOUR), st.lists(st.floats(0, 1), min_size=1, max_size=12), st.booleans())
def test_a_job_that_reports_in_time_never_alarms(schedule: Schedule, since: int, grace: int, delays: list[float], says_start: bool) -> None:
    job = a_job(schedule, grace=grace, since=since)
    for delay in delays:
        assert job.expected_at is not None
        at = job.expected_at + int(delay * grace) - (1 if delay == 1 and grace else 0)
        decision = rules.on_time(job, at - 1 if grace == 0 else at)
        assert told(decision) == []
        kinds = (Kind.START, Kind.SUCCESS) if says_start else (Kind.SUCCESS,)
        for kind in kinds:
            decision, _ = rules.on_ping(decision.heartbeat, kind, at)
            assert told(decision) == []
        assert decision.heartbeat.status is Status.UP
        assert decision.heartbeat.expected_at is not None
        assert decision.heartbeat.expected_at > at
        job = decision.heartbeat


@pytest.mark.claim("M5")
@given(SCHEDULES, STARTS, st.integers(0, 2 * HOUR))
def test_a_job_that_stays_away_is_always_told_once(schedule: Schedule, since: int, grace: int) -> None:
    job = pinged(a_job(schedule, grace=grace, since=since), since)
    assert job.due_at is not None
    late = rules.on_time(job, job.due_at)
    assert told(late) == [(Trouble.MISSED, False, Why.LATE)]
    assert told(rules.on_time(late.heartbeat, job.due_at + 400 * DAY)) == []


DEEDS = st.sampled_from([*Kind, "time", "pause", "resume", "change"])


def _do(job: Heartbeat, deed: str, now: int) -> Decision:
    match deed:
        case "time":
            return rules.on_time(job, now)
        case "pause":
            return rules.pause(job, now)
        case "resume":
            return rules.resume(job, now)
        case "change":
            return rules.rescheduled(replace(job, grace=job.grace + SECOND), now)
    return rules.on_ping(job, Kind(deed), now)[0]


@given(SCHEDULES, STARTS, st.lists(st.tuples(DEEDS, st.integers(0, 3 * DAY)), max_size=25))
def test_whatever_happens_what_is_told_is_begun_before_it_is_over(schedule: Schedule, since: int, life: list[tuple[str, int]]) -> None:
    job, now, standing = a_job(schedule, longest_run=HOUR, since=since), since, set[Trouble]()
    for deed, later in life:
        now += later
        decision = _do(job, deed, now)
        for news in decision.news:
            _follow(news, standing)
        job = decision.heartbeat
        assert {t for t in Trouble if getattr(job, rules._STANDING[t]) is not None} == standing
        assert job.paused_at is None or (job.due_at is None and not standing)
        waits = job.expected_at is not None and job.missed_at is None and job.started_at is None
        assert job.due_at is not None or not waits
    assert {one.trouble for one in rules.removed(job).news} == standing


def _follow(news: News, standing: set[Trouble]) -> None:
    if news.over:
        standing.remove(news.trouble)
    else:
        assert news.trouble not in standing or news.trouble is Trouble.FAILED
        standing.add(news.trouble)


@given(CRONS, ZONES, STARTS)
def test_the_next_time_is_after_the_moment_and_on_the_clock_that_the_expression_names(cron: str, zone: str, after: int) -> None:
    found = calendar.next_time(cron, zone, after)
    assert found > after
    local = to_datetime(found).astimezone(ZoneInfo(zone))
    assert local.astimezone(UTC) == to_datetime(found)
    minute = cron.split(maxsplit=1)[0]
    if minute.isdigit() and local.utcoffset() == local.replace(hour=0).utcoffset():
        assert local.minute == int(minute)

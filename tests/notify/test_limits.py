"""How fast a contact may be written to: what is over the rate waits; nothing is counted twice or lost."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.notify.limits import CRITICAL_RESERVE, Bucket, Limits
from tocsin.notify.rules import Departure, Said, Waiting


def burst(limits: Limits, count: int, *, site: int = 1, severity: int = 3, now: int = NOW) -> int:
    """How many of *count* messages may leave at this moment."""
    return sum(limits.take("phone", site, severity, now) for _ in range(count))


def test_a_burst_leaves_at_once_and_then_the_rate_holds() -> None:
    limits = Limits(burst=10, per_minute=10)
    assert burst(limits, 100) == 11  # the tenth of the burst and the site's own
    assert burst(limits, 100, now=NOW + MINUTE) == 11
    assert burst(limits, 100, now=NOW + MINUTE + 6 * SECOND) == 1


@pytest.mark.claim("A8", "N6")
def test_a_quiet_sites_first_message_leaves_in_the_middle_of_anothers_storm() -> None:
    limits = Limits(burst=10, per_minute=10)
    burst(limits, 1_000, site=1)
    assert burst(limits, 5, site=2) == 1


@pytest.mark.claim("K12", "N6", "origin:A4")
def test_critical_messages_have_a_reserve() -> None:
    limits = Limits(burst=10, per_minute=10)
    burst(limits, 1_000, severity=4)
    assert burst(limits, 100, severity=5) == CRITICAL_RESERVE


def test_contacts_have_budgets_of_their_own() -> None:
    limits = Limits(burst=1, per_minute=1)
    burst(limits, 10)
    assert limits.take("another phone", 1, 3, NOW)


def test_a_bucket_never_holds_more_than_its_capacity_and_ignores_a_clock_that_goes_back() -> None:
    bucket = Bucket(3, 60, NOW)
    assert [bucket.take(NOW) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(NOW - HOUR)
    assert bucket.refill(NOW + HOUR) == 3


def test_few_waiting_messages_leave_singly_and_many_leave_as_one() -> None:
    limits = Limits(burst=10, per_minute=10)
    (few,) = limits.choose([Waiting("phone", 1, 10, 3)], NOW)
    assert (few.singles, few.digest) == (10, False)
    (many,) = Limits(10, 10).choose([Waiting("phone", 1, 500, 3)], NOW)
    assert (many.singles, many.digest) == (1, True)


def test_when_the_rate_is_used_up_everything_waits() -> None:
    limits = Limits(burst=1, per_minute=1)
    burst(limits, 10)
    (choice,) = limits.choose([Waiting("phone", 1, 500, 3)], NOW)
    assert (choice.singles, choice.digest) == (0, False)
    (choice,) = limits.choose([Waiting("phone", 1, 500, 3)], NOW + MINUTE)
    assert choice.singles + choice.digest > 0


def test_the_loudest_are_served_first() -> None:
    limits = Limits(burst=1, per_minute=1)
    choices = limits.choose([Waiting("phone", 1, 9, 2), Waiting("phone", 2, 9, 4)], NOW)
    assert [choice.site_id for choice in choices] == [2, 1]
    assert choices[0].digest
    assert not choices[1].digest


@pytest.mark.claim("K12", "N6", "origin:A4")
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 3), st.integers(1, 60), st.integers(2, 5)), max_size=30),
)
def test_the_rate_is_never_exceeded(burst_size: int, per_minute: int, asks: list[tuple[int, int, int, int]]) -> None:
    """However messages come: within any time, at most burst + rate x minutes, one per site and minute, and the reserve."""
    limits = Limits(burst_size, per_minute)
    now, left, sites = NOW, 0, set()
    for wait, site, count, severity in asks:
        now += wait
        sites.add(site)
        (choice,) = limits.choose([Waiting("phone", site, count, severity)], now)
        assert choice.singles <= count
        assert not (choice.digest and choice.singles == count)
        left += choice.singles + choice.digest
    minutes = (now - NOW) / MINUTE
    assert left <= burst_size + per_minute * minutes + len(sites) * (1 + minutes) + CRITICAL_RESERVE + minutes + 1e-6


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 400)), min_size=1, max_size=6))
def test_everything_leaves_in_the_end(groups: list[tuple[int, int]]) -> None:
    limits = Limits(burst=3, per_minute=6)
    waiting: dict[int, int] = {}
    for site, count in groups:
        waiting[site] = waiting.get(site, 0) + count
    now = NOW
    for _ in range(100):
        for choice in limits.choose([Waiting("phone", site, count, 3) for site, count in waiting.items() if count], now):
            waiting[choice.site_id] = 0 if choice.digest else waiting[choice.site_id] - choice.singles
        now += 10 * SECOND
    assert not any(waiting.values())


# Groups.


def held(limits: Limits, *moments: int, cause: str = "opened disk.full") -> list[int]:
    """Until when a message waits that is born at each of these seconds; the second itself: it does not."""
    waits = [limits.hold("marta", ["phone"], 1, cause, NOW + moment * SECOND).get("phone", NOW + moment * SECOND) for moment in moments]
    return [(until - NOW) // SECOND for until in waits]


@pytest.mark.claim("A8")
def test_the_first_message_of_a_cause_waits_for_nothing_and_the_next_for_each_other() -> None:
    limits = Limits(10, 10, wait=10 * SECOND)
    assert held(limits, 0, 1, 9, 10, 12) == [0, 10, 10, 10, 20], "a small group is over when it leaves"
    assert held(limits, 13, cause="opened cpu.high") == [13]
    assert held(Limits(10, 10), 0, 1, 2) == [0, 1, 2], "without a wait nothing waits"


@pytest.mark.claim("A8")
def test_the_group_after_a_large_one_is_longer_and_so_on_until_it_is_calm() -> None:
    limits = Limits(10, 10, wait=10 * SECOND)
    assert held(limits, *[0] * 6) == [0, 10, 10, 10, 10, 10]
    assert held(limits, *[11] * 5) == [71] * 5
    assert held(limits, *[80] * 5) == [380] * 5
    assert held(limits, 400) == [700]
    assert held(limits, 10_000) == [10_000]


@pytest.mark.claim("A8")
def test_what_waited_for_each_other_leaves_as_one_even_if_the_rate_would_allow_more() -> None:
    limits = Limits(10, 10, wait=10 * SECOND)
    held(limits, 0, 1, 2, 3)
    (choice,) = limits.choose([Waiting("phone", 1, 3, 5)], NOW + 10 * SECOND)
    assert (choice.singles, choice.digest) == (0, True)
    (choice,) = limits.choose([Waiting("phone", 1, 3, 5)], NOW + 11 * SECOND)
    assert (choice.singles, choice.digest) == (3, False)


# After a restart.


def recalled(*left: Departure, said: Sequence[Said] = (), now: int = NOW) -> Limits:
    """The limits of a process that has just started, after an earlier one did all that."""
    limits = Limits(burst=10, per_minute=10, wait=10 * SECOND)
    limits.recall(left, said, lambda _contact_id: "marta", now)
    return limits


@pytest.mark.claim("K12", "N6")
def test_what_left_before_a_restart_counts_after_it() -> None:
    assert burst(recalled(*[Departure("phone", 1, 3, NOW - SECOND)] * 15), 100) == 0
    assert burst(recalled(*[Departure("phone", 1, 3, NOW - SECOND)] * 15), 100, now=NOW + 30 * SECOND) == 5
    assert burst(recalled(*[Departure("phone", 1, 5, NOW - SECOND)] * 30), 100, severity=5) == 0
    assert burst(recalled(Departure("phone", 1, 3, NOW - HOUR)), 100) == 11, "what left long ago counts no more"
    assert burst(recalled(Departure("mail", 1, 3, NOW - SECOND)), 100) == 11, "what another contact got neither"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3), st.integers(1, 5)), max_size=60), st.integers(0, 90))
def test_a_restart_never_allows_more_than_there_would_have_been(asks: list[tuple[int, int, int]], then: int) -> None:
    lived, left, now = Limits(burst=5, per_minute=6), [], NOW
    for wait, site, severity in asks:
        now += wait * SECOND
        if lived.take("phone", site, severity, now):
            left.append(Departure("phone", site, severity, now))
    begun = Limits(burst=5, per_minute=6)
    begun.recall(left, (), lambda _contact_id: "marta", now)
    now += then * SECOND
    assert burst(begun, 100, now=now, severity=5) <= burst(lived, 100, now=now, severity=5)


@pytest.mark.claim("A8")
def test_a_group_goes_on_after_a_restart() -> None:
    waits = Said("phone", 1, "opened", "disk.full", None, waits=True, count=5, born=NOW - SECOND, at=NOW + 9 * SECOND)
    limits = recalled(said=[waits])
    assert limits.in_storm("marta", NOW)
    assert held(limits, 1, 10) == [9, 70]
    assert held(limits, 11, cause="opened cpu.high") == [11]
    gone = Said("phone", 1, "opened", "disk.full", "digest-1", waits=False, count=9, born=NOW - 62 * SECOND, at=NOW - 2 * SECOND)
    assert held(recalled(said=[gone]), 1) == [301], "it was the longer one, and is followed by the longest"
    single = Said("phone", 1, "opened", "disk.full", None, waits=False, count=1, born=NOW - 2 * SECOND, at=NOW - 2 * SECOND)
    assert held(recalled(said=[single]), 1, 9) == [8, 9]

"""Reading a log behind its writers: every number is seen once, in whatever order they are committed."""

from hypothesis import given, settings, strategies as st

from tocsin.core.clock import SECOND
from tocsin.stream.model import Place
from tocsin.stream.rules import MAX_HOLES, PATIENCE, PAUSE, Seen, Tail, advance, fresh, pause, read_place, since, waits


@settings(max_examples=60)
@given(st.permutations(range(1, 13)), st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_whatever_the_order_of_commits_each_number_is_seen_once(order: list[int], steps: list[int]) -> None:
    tail, committed, seen, now = Tail(0), set[int](), list[int](), 0
    while order or set(seen) != committed:
        step = steps.pop() if steps else len(order)
        committed |= set(order[:step])
        order = order[step:]
        fresh = [number for number in committed if number > tail.last or number in tail.waited_for]
        seen += fresh
        now += SECOND // 4
        tail = advance(tail, fresh, now)
    assert sorted(seen) == list(range(1, 13))
    assert tail == Tail(12)


def test_a_number_that_never_comes_is_waited_for_a_while() -> None:
    tail = advance(Tail(10), [12, 13], 0)
    assert tail.waited_for == [11]
    assert advance(tail, [], PATIENCE - 1).waited_for == [11]
    assert advance(tail, [], PATIENCE).waited_for == []


def test_a_great_leap_leaves_no_holes() -> None:
    assert advance(Tail(0), [MAX_HOLES + 2], 0) == Tail(MAX_HOLES + 2)


def test_places_travel_as_text() -> None:
    assert read_place(str(Place(12, 3))) == Place(12, 3)
    assert read_place(str(Place(12, 3, 1_764_028_800_000))) == Place(12, 3, 1_764_028_800_000)
    for text in ("", "12", "12-", "-3", "a-b", "1-2-3-4", "\u0661-\u0662", "9" * 19 + "-1"):
        assert read_place(text) is None, text


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, PATIENCE)), max_size=30))
def test_whatever_is_committed_late_each_change_is_told_once(changes: list[tuple[str, int]]) -> None:
    """Each change has its moment and is seen up to five seconds after it."""
    seen, told, now = Seen(PATIENCE), list[tuple[str, int]](), 0
    committed: dict[tuple[str, int], int] = {}
    for turn, (name, delay) in enumerate(changes):
        committed[name, turn * SECOND] = turn * SECOND + min(delay, PATIENCE - SECOND)
    for now in range(0, (len(changes) + 10) * SECOND, SECOND // 2):
        there = [one for one, at in committed.items() if at <= now and one[1] >= since(seen)]
        new, seen = fresh(seen, there, now)
        told += new
    assert sorted(told) == sorted(committed)


def test_few_are_told_at_once_and_a_thousand_still_within_half_a_second() -> None:
    assert waits(1, is_storm=False) < 0.25
    assert waits(100_000, is_storm=False) <= 1.0
    assert waits(100_000, is_storm=True) == 4.0, "a storm goes on"
    assert pause(0) == PAUSE
    assert pause(100_000) < 0.31

"""Reading a log behind its writers: every number is seen once, in whatever order they are committed."""

from hypothesis import given, settings, strategies as st

from tocsin.core.clock import SECOND
from tocsin.stream.model import Place
from tocsin.stream.rules import MAX_HOLES, PATIENCE, Tail, advance, read_place


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
    for text in ("", "12", "12-", "-3", "a-b", "1-2-3", "\u0661-\u0662", "9" * 19 + "-1"):
        assert read_place(text) is None, text

"""Bars, gaps and clocks in words."""

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.events.model import Gap
from tocsin.web.events import rules


@given(st.integers(1, 400 * DAY), st.booleans())
def test_a_chart_never_has_too_many_bars(span: int, fine: bool) -> None:
    width = rules.width_for(span, fine=fine)
    assert span / width <= rules.BUCKETS * 1.5 + 1


@given(
    st.integers(0, 9 * DAY), st.integers(1, 3 * DAY), st.dictionaries(st.integers(0, 12 * DAY), st.tuples(st.integers(1, 9), st.just(1)))
)
def test_every_bar_of_the_time_is_there_once_and_nothing_is_counted_twice(
    start: int, span: int, counts: dict[int, tuple[int, int]]
) -> None:
    width = rules.width_for(span)
    drawn = rules.volume(counts, start, start + span, width)
    assert drawn.times == sorted(set(drawn.times))
    assert drawn.times[0] <= start < drawn.times[0] + width
    assert drawn.times[-1] < start + span
    inside = sum(events for at, (events, _) in counts.items() if drawn.times[0] <= at < drawn.times[-1] + width)
    assert drawn.total == inside


def test_the_chart_in_words() -> None:
    drawn = rules.volume({NOW: (1_200, 40), NOW + HOUR: (4, 1)}, NOW, NOW + DAY, HOUR)
    assert rules.volume_says(drawn) == "1,204 events, 41 of them problems; at most 1,200 in 1\u00a0h."
    assert rules.volume_says(rules.volume({NOW: (1, 0)}, NOW, NOW + HOUR, HOUR)) == "1 event, no problem among them; at most 1 in 1\u00a0h."
    assert rules.volume_says(rules.volume({}, NOW, NOW + DAY, HOUR)) == "Nothing came in this time."


def test_a_chart_of_a_part_says_so() -> None:
    found = rules.volume({NOW: (1, 1)}, NOW, NOW + HOUR, HOUR, newest=10_000)
    assert rules.volume_says(found).startswith("Among the newest 10,000 events of this time: 1 event, 1 of them a problem")
    nothing = rules.volume({}, NOW, NOW + HOUR, HOUR, newest=10_000)
    assert rules.volume_says(nothing) == "Among the newest 10,000 events of this time: nothing."


def test_gaps_are_named() -> None:
    assert rules.gaps_say([], 0) == ""
    assert rules.gaps_say([Gap(40_112, 40_112), Gap(40_170, 40_172)], 4) == "40,112; 40,170 to 40,172"
    assert rules.gaps_say([Gap(n, n) for n in range(6)], 6) == "2 earlier; 2; 3; 4; 5"


@pytest.mark.parametrize(
    ("skew", "words"), [(None, "not known"), (900, "right"), (12 * SECOND, "12\u00a0s ahead"), (-3 * MINUTE, "3\u00a0min behind")]
)
def test_clocks_in_words(skew: int | None, words: str) -> None:
    assert rules.skew_says(skew) == words

"""Decisions about events: keys that never mix two problems, and numbers that show what is missing."""

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.events.model import MAX_DEDUP_KEY, Gap, Sequence
from tocsin.events.rules import MAX_GAPS, dedup_key, is_slug, is_type, note_sequence


@pytest.mark.claim("A2", "L2")
@given(
    st.lists(st.tuples(st.sampled_from(["a.b", "a.c"]), st.text(max_size=300) | st.none(), st.text(max_size=300) | st.none()), max_size=8)
)
def test_keys_are_short_and_the_same_only_for_the_same_problem(problems: list[tuple[str, str | None, str | None]]) -> None:
    keys = [dedup_key(*problem) for problem in problems]
    assert all(0 < len(key) <= MAX_DEDUP_KEY for key in keys)
    without_bars = [
        (key, (problem[0], problem[1] or "", problem[2] or ""))
        for key, problem in zip(keys, problems, strict=True)
        if "|" not in (problem[1] or "") + (problem[2] or "")
    ]
    for key, problem in without_bars:
        assert all((key == other_key) == (problem == other) for other_key, other in without_bars)


@pytest.mark.parametrize("text", ["a", "a.b", "invoice.payment_failed", "a1.2b", "a_b.c_d"])
def test_types_are_dotted_lower_case(text: str) -> None:
    assert is_type(text)
    assert is_type(text)  # the second time from the cache


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "A.b", "a b", "a-b", "1a", "_a", "a..b", "a\n", "ä.b"])
def test_everything_else_is_no_type(text: str) -> None:
    assert not is_type(text)


def test_a_slug_has_lower_case_letters_digits_and_dashes() -> None:
    assert all(map(is_slug, ["a", "main", "shop-2", "0", "a" * 63]))
    assert not any(map(is_slug, ["", "-a", "A", "a_b", "a" * 64, "a\n", "ä"]))


# Sequences. The oracle keeps every number that ever came.


def arrive(batches: list[list[int]]) -> Sequence:
    known = None
    for batch in batches:
        known = note_sequence(known, 1, "bridge", batch, None, NOW)
    assert known is not None
    return known


@pytest.mark.claim("E4")
@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=8))
def test_gaps_replays_and_losses_are_counted_exactly(batches: list[list[int]]) -> None:
    """In whatever order numbers come, in whatever batches, repeated or not."""
    seen = [number for batch in batches for number in batch]
    known = arrive(batches)
    missing = sorted(set(range(min(seen), max(seen) + 1)) - set(seen))
    assert (known.first_sequence, known.last_sequence) == (min(seen), max(seen))
    assert known.received == len(seen)
    assert known.replayed == sum(times - 1 for times in Counter(seen).values())
    assert known.missing == len(missing)
    assert [number for gap in known.gaps for number in range(gap.first, gap.last + 1)] == missing
    assert all(later.first > earlier.last + 1 for earlier, later in zip(known.gaps, known.gaps[1:], strict=False))


@pytest.mark.claim("E4")
def test_a_number_that_was_skipped_is_missing_until_it_comes() -> None:
    assert arrive([[1, 2, 5]]).gaps == (Gap(3, 4),)
    assert arrive([[1, 2, 5], [4]]).gaps == (Gap(3, 3),)
    assert arrive([[1, 2, 5], [4], [3]]).gaps == ()


def test_many_gaps_are_counted_even_where_they_are_not_listed() -> None:
    known = arrive([[n * 2 for n in range(1, 2 * MAX_GAPS)]])
    assert len(known.gaps) == MAX_GAPS
    assert known.missing == 2 * MAX_GAPS - 2


def test_the_senders_clock_is_remembered_until_it_says_otherwise() -> None:
    known = note_sequence(None, 1, "bridge", [1], 250, NOW)
    assert note_sequence(known, 1, "bridge", [2], None, NOW).skew_ms == 250
    assert note_sequence(known, 1, "bridge", [2], -40, NOW).skew_ms == -40

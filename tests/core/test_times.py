"""Times between the wire and the inside."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from tocsin.core.clock import SystemClock
from tocsin.core.times import from_datetime, in_utc, in_words, to_datetime, to_text, to_text_or_none

MOMENTS = st.integers(0, 253_402_300_799_999)  # to the end of the year 9999


@given(MOMENTS)
def test_a_moment_survives_the_way_out_and_back_to_the_millisecond(ms: int) -> None:
    assert from_datetime(to_datetime(ms)) == ms
    assert from_datetime(datetime.fromisoformat(to_text(ms))) == ms


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_the_zone_in_which_a_moment_is_written_does_not_matter(ms: int, minutes: int) -> None:
    elsewhere = to_datetime(min(ms, 253_370_764_799_999)).astimezone(timezone(timedelta(minutes=minutes)))
    assert from_datetime(elsewhere) == min(ms, 253_370_764_799_999)


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert to_text(1_767_225_600_123) == "2026-01-01T00:00:00.123Z"
    assert to_text(0) == "1970-01-01T00:00:00.000Z"
    assert to_text_or_none(None) is None
    assert to_text_or_none(1_000) == "1970-01-01T00:00:01.000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-5, "0 s"),
        (999, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_599_999, "59 min"),
        (3_600_000, "1 h"),
        (11_100_000, "3 h 5 min"),
        (86_400_000, "1 d"),
        (187_200_000, "2 d 4 h"),
    ],
)
def test_a_length_of_time_is_said_as_a_person_says_it(ms: int, words: str) -> None:
    assert in_words(ms) == words


def test_the_clock_is_the_machines() -> None:
    before = datetime.now(UTC).timestamp()
    assert before * 1000 - 2 <= SystemClock().now() <= (before + 60) * 1000


def test_a_moment_is_spelled_for_whoever_has_no_zone_here() -> None:
    assert in_utc(1_767_431_100_999) == "09:05 UTC on 3 January 2026"

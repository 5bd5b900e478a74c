"""Open pages ask for what is new in turns: however many they are, and whatever else is to be done, the server bears it."""

import pytest
from hypothesis import given, strategies as st

from tocsin.core.clock import SECOND
from tocsin.stream.pace import AT_REST, IN_A_STORM, LONGEST, Load, is_news, renew_within


def test_a_page_alone_is_renewed_at_once_even_in_a_storm() -> None:
    assert renew_within(1, 0.0) <= 50
    assert renew_within(1, 1.0) < 1 * SECOND


@given(st.integers(1, 5_000), st.floats(0, 1))
def test_all_together_never_ask_for_more_than_is_borne(listeners: int, busy: float) -> None:
    within = renew_within(listeners, busy)
    a_second = 2 * SECOND * listeners / max(within, 1)  # each waits half of it on average
    assert a_second <= 1.1 * max(IN_A_STORM, AT_REST * (1 - busy)) or within == LONGEST


def test_the_busier_the_server_the_longer_a_thousand_wait() -> None:
    waits = [renew_within(1_000, busy) for busy in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert waits == sorted(waits)
    assert waits[0] == 50 * SECOND
    assert waits[-1] == LONGEST


def test_how_busy_the_server_is_is_measured_over_a_second() -> None:
    load = Load(at=10.0, worked=5.0)
    assert load.measured(10.9, 5.9) is load
    assert load.measured(12.0, 5.5).busy == pytest.approx(0.25)
    assert load.measured(11.0, 9.0).busy == 1.0


def test_pages_hear_of_another_pace_if_it_is_much_slower_or_they_come_too_often() -> None:
    assert is_news(0, 50)
    assert is_news(50, 63)
    assert not is_news(50, 62)
    assert not is_news(50, 25)
    assert is_news(50, 24)

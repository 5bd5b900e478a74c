"""Figures in the words of the page."""

import pytest

from tocsin.core.clock import MINUTE
from tocsin.reports.model import Figures, Means
from tocsin.web.analytics import rules

pytestmark = pytest.mark.claim("A11")


def some(began: int = 0, escalated: int = 0, minutes: int | None = None) -> Figures:
    mean = Means() if minutes is None else Means(1, minutes * MINUTE, minutes * MINUTE)
    return Figures(began, escalated, mean, mean)


def test_less_is_better_of_all_that_is_counted() -> None:
    said = [(one.value, one.beside, one.mood) for one in rules.figures(some(10, 2, 30), some(20, 2, 20))]
    assert said == [
        ("10", "50% fewer than before (20)", "better"),
        ("30\u00a0min", "50% longer than before (20\u00a0min)", "worse"),
        ("30\u00a0min", "50% longer than before (20\u00a0min)", "worse"),
        ("20%", "100% more than before (10%)", "worse"),
    ]


def test_a_small_change_is_none() -> None:
    assert rules.figures(some(100), some(102))[0].beside == "as before (102)"


def test_what_cannot_be_measured_or_compared_is_said() -> None:
    assert [one.value for one in rules.figures(some(), some())] == ["0", "none", "none", "none"]
    assert rules.figures(some(), some(minutes=5))[1].beside == "before: 5\u00a0min"
    assert rules.figures(some(3, minutes=5), some())[1].beside == "nothing before to compare with"


def test_a_cell_is_as_dark_as_its_share_of_the_fullest() -> None:
    assert [rules.shade(count, 10) for count in (0, 1, 2, 3, 9, 10)] == [0, 1, 1, 2, 5, 5]
    assert rules.shade(0, 0) == 0


def test_the_fullest_hour_is_named() -> None:
    week = [[0] * 24 for _ in range(7)]
    assert rules.busiest(week) == ""
    week[6][23] = 4
    assert rules.busiest(week) == "Most begin on Sunday between 23:00 and 00:00: 4."

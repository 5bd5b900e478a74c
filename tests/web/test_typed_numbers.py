"""Numbers as people type them into forms."""

import pytest

from tocsin.web.groups import number


@pytest.mark.parametrize(("typed", "meant"), [("85", 85), ("-3", -3), ("70.5", 70.5), ("70,5", 70.5), ("0", 0)])
def test_a_number_is_read_with_a_point_or_a_comma(typed: str, meant: float) -> None:
    assert number(typed) == meant


@pytest.mark.parametrize("typed", ["", "lots", "3,000", "1,000.5x", "nan", "inf", "1e999"])
def test_what_is_no_number_or_may_mean_two_stays_as_it_was_typed(typed: str) -> None:
    assert number(typed) == typed

"""Tocsin's own health in words."""

import pytest

from tests.fakes import NOW
from tocsin.core.clock import MINUTE, SECOND
from tocsin.web.settings import rules
from tocsin.web.settings.rules import Part


def test_one_sentence_says_how_tocsin_is() -> None:
    assert rules.sentence("ok", []) == "Tocsin is well."
    assert rules.sentence("degraded", [Part("Delivery", "degraded", ())]) == "Delivery needs a look."
    down = [Part("The database", "down", ()), Part("The engine", "down", ())]
    assert rules.sentence("down", down) == "The database and engine do not work."
    assert rules.sentence("down", down[:1]) == "The database does not work."


def test_many_like_reasons_are_few() -> None:
    (part,) = rules.parts({"engine": "down"}, {"engine": [f"reason {n}" for n in range(12)]})
    assert part.reasons == ("reason 0", "reason 1", "reason 2", "and 9 more")


@pytest.mark.parametrize(
    ("ended", "error", "state"),
    [(NOW, None, "up"), (NOW - 34 * SECOND, None, "degraded"), (NOW, "disk full", "degraded"), (None, None, "unknown")],
)
def test_a_step_is_late_when_it_has_missed_its_turns(ended: int | None, error: str | None, state: str) -> None:
    assert rules.step_row("deliver", SECOND, ended, error, NOW).state == state


def test_a_slow_step_is_not_late_between_its_turns() -> None:
    assert rules.step_row("tidy", 10 * MINUTE, NOW - 25 * MINUTE, None, NOW).state == "up"


@pytest.mark.parametrize(("count", "words"), [(900, "900 B"), (12_400, "12.4 kB"), (831_000, "831 kB"), (2_500_000_000, "2.5 GB")])
def test_sizes_in_words(count: int, words: str) -> None:
    assert rules.size(count) == words

"""Figures in the words of a page. Pure functions."""

from collections.abc import Sequence

import msgspec

from tocsin.reports.model import Figures
from tocsin.reports.rules import change, percent
from tocsin.web.times import in_words

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHADES = 5
NONE = "none"
EVEN = 0.05  # a change by less is none worth a word


class Figure(msgspec.Struct, frozen=True):
    """One large figure with what it is and how it compares. ``mood``: better, worse, or nothing."""

    value: str
    name: str
    beside: str
    mood: str = ""


def figures(now: Figures, before: Figures) -> list[Figure]:
    """The four figures of a period, each beside that of the period before."""
    return [
        Figure(
            f"{now.began:,}",
            "alert" if now.began == 1 else "alerts",
            *_beside(now.began, before.began, f"{before.began:,}", "more", "fewer"),
        ),
        _time("to acknowledge", now.answered.mean, before.answered.mean),
        _time("to resolve", now.ended.mean, before.ended.mean),
        _rate(now.escalation_rate, before.escalation_rate),
    ]


def _time(name: str, now: float | None, before: float | None) -> Figure:
    if now is None:
        return Figure(NONE, name, "nothing to measure" if before is None else f"before: {in_words(round(before))}")
    return Figure(in_words(round(now)), name, *_beside(now, before, "" if before is None else in_words(round(before)), "longer", "shorter"))


def _rate(now: float | None, before: float | None) -> Figure:
    if now is None:
        return Figure(NONE, "escalated", "no alert began")
    return Figure(f"{percent(now)}%", "escalated", *_beside(now, before, "" if before is None else f"{percent(before)}%", "more", "less"))


def _beside(now: float, before: float | None, was: str, up: str, down: str) -> tuple[str, str]:
    """In words, and whether that is better or worse: less is better of all that is counted here."""
    if before is None:
        return "nothing before to compare with", ""
    grown = change(now, before)
    if grown is None:
        return f"before: {was}", ""
    if abs(grown) < EVEN:
        return f"as before ({was})", ""
    return f"{abs(round(grown * 100)):,}% {up if grown > 0 else down} than before ({was})", "worse" if grown > 0 else "better"


def shade(count: int, most: int) -> int:
    """How dark a cell is: 0 for none, 1 to 5 by its share of the fullest."""
    return 0 if count == 0 or most == 0 else max(1, -(-count * SHADES // most))


def busiest(weekdays: Sequence[Sequence[int]]) -> str:
    """The fullest hour of the week, in a sentence; empty of nothing."""
    most = max(map(max, weekdays))
    if most == 0:
        return ""
    day, hour = next((day, hour) for day, hours in enumerate(weekdays) for hour, count in enumerate(hours) if count == most)
    return f"Most begin on {WEEKDAYS[day]} between {hour:02d}:00 and {(hour + 1) % 24:02d}:00: {most:,}."

"""Tocsin's own health in words. Pure functions."""

from collections.abc import Mapping, Sequence

import msgspec

from tocsin.core.clock import SECOND
from tocsin.web.times import in_words

FEW = 4
STATES = {"ok": "up", "degraded": "degraded", "down": "down"}
_PARTS = {"database": "The database", "engine": "The engine", "delivery": "Delivery", "promises": "What was promised"}


class Part(msgspec.Struct, frozen=True):
    """One part: its name, its sign, what is wrong with it."""

    name: str
    state: str
    reasons: tuple[str, ...]


def parts(words: Mapping[str, str], details: Mapping[str, Sequence[str]]) -> list[Part]:
    """The checks of the health report, for people."""
    return [Part(_PARTS.get(name, name.capitalize()), STATES[word], _few(details.get(name, ()))) for name, word in words.items()]


def _few(reasons: Sequence[str]) -> tuple[str, ...]:
    """The first of many like reasons."""
    return tuple(reasons) if len(reasons) <= FEW else (*reasons[: FEW - 1], f"and {len(reasons) - FEW + 1} more")


def sentence(status: str, troubled: Sequence[Part]) -> str:
    """Whether Tocsin itself is all right."""
    if status == "ok":
        return "Tocsin is well."
    names = [part.name.removeprefix("The ").lower() if place else part.name for place, part in enumerate(troubled)]
    who = " and ".join(names) or "Something"
    verb = "do" if len(names) > 1 else "does"
    return f"{who} {verb} not work." if status == "down" else f"{who} {'need' if len(names) > 1 else 'needs'} a look."


class StepRow(msgspec.Struct, frozen=True):
    """One step of the engine: how often, when it last ended well (ms), why it last did not, and its sign."""

    name: str
    every: str
    ended_at: int | None
    error: str
    state: str


def step_row(name: str, every: int, ended_at: int | None, error: str | None, now: int) -> StepRow:
    """A step in words. Late: it has not ended for three of its turns and half a minute."""
    if error:
        state = "degraded"
    elif ended_at is None:
        state = "unknown"
    else:
        state = "degraded" if now - ended_at > 3 * every + 30 * SECOND else "up"
    return StepRow(name, in_words(every), ended_at, error or "", state)


def size(count: int) -> str:
    """Bytes in words: ``12.4 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"

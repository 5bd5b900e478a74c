"""The dial: the last 24 hours run clockwise to now, at the top. Rings as paths of SVG, from the server; no script."""

import math
from collections.abc import Sequence

import msgspec

from tocsin.core.clock import DAY, HOUR

CENTRE = 200.0
SWEEP = 330.0  # degrees for a day; the rest is where the names of the rings stand
OUTER = 142.0  # where the first ring stands
INNER = 100.0  # and where the last may
WATCH = (165.0, 173.0)
RINGS = 5
_HEIGHTS = {"none": 2.0, "up": 5.0, "3": 11.0, "4": 13.0, "5": 16.0}
_CLASSES = {"none": "k-none", "up": "k-up calm", "3": "k-degraded", "4": "k-4", "5": "k-down"}


class Mark(msgspec.Struct, frozen=True):
    """One piece of a ring."""

    css: str
    path: str


class Tick(msgspec.Struct, frozen=True):
    """One hour at the edge; every third is written."""

    x1: float
    y1: float
    x2: float
    y2: float
    word: str
    x: float
    y: float


class Ring(msgspec.Struct, frozen=True):
    """A ring's name and where it is written."""

    name: str
    y: float


class Dial(msgspec.Struct, frozen=True):
    """All that is drawn."""

    marks: tuple[Mark, ...]
    rings: tuple[Ring, ...]
    ticks: tuple[Tick, ...]
    hand: str


class Shift(msgspec.Struct, frozen=True):
    """A piece of the watch: from, until (ms), and whether it is the present one."""

    since: int
    until: int
    now: bool


def draw(sites: Sequence[tuple[str, Sequence[str]]], shifts: Sequence[Shift], now: int, offset: int) -> Dial:
    """The dial of at most five *sites* (name and cells, the oldest first) and of the watch.

    *offset*: how far the reader's clock is ahead of UTC, in ms.
    """
    shown = sites[:RINGS]
    step = 21.0 if len(shown) <= 3 else (OUTER - INNER) / (len(shown) - 1)
    squeeze = min(1.0, step / 18)
    marks: list[Mark] = [_watch(shift, now) for shift in shifts]
    rings = [Ring("On watch", CENTRE - sum(WATCH) / 2 + 4)] if shifts else []
    for place, (name, kinds) in enumerate(shown):
        base = OUTER - place * step
        marks += [_cell(base, place_, len(kinds), kind, squeeze) for place_, kind in enumerate(kinds)]
        rings.append(Ring(name, CENTRE - base - 5 * squeeze + 1))
    local = now + offset
    return Dial(tuple(marks), tuple(rings), tuple(_ticks(local)), f"{local // HOUR % 24:02d}:{local // 60_000 % 60:02d}")


def _cell(base: float, place: int, count: int, kind: str, squeeze: float) -> Mark:
    wide = SWEEP / count
    start = 360 - SWEEP + place * wide
    return Mark(_CLASSES[kind], arc(base, base + _HEIGHTS[kind] * squeeze, start + 0.55, start + wide - 0.55))


def _watch(shift: Shift, now: int) -> Mark:
    start, end = (360 - SWEEP + SWEEP * (max(0, min(DAY, at - now + DAY)) / DAY) for at in (shift.since, shift.until))
    return Mark("watch-1" if shift.now else "watch-0", arc(*WATCH, start + 0.5, max(start + 1, end - 0.5)))


def arc(inner: float, outer: float, start: float, end: float) -> str:
    """The path of a piece of ring between two angles, in degrees clockwise from the top."""
    large = 1 if end - start > 180 else 0
    (x1, y1), (x2, y2) = _point(outer, start), _point(outer, end)
    (x3, y3), (x4, y4) = _point(inner, end), _point(inner, start)
    there = f"M{x1:.1f} {y1:.1f}A{outer:g} {outer:g} 0 {large} 1 {x2:.1f} {y2:.1f}"
    return f"{there}L{x3:.1f} {y3:.1f}A{inner:g} {inner:g} 0 {large} 0 {x4:.1f} {y4:.1f}z"


def _point(radius: float, degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return CENTRE + radius * math.sin(angle), CENTRE - radius * math.cos(angle)


def _ticks(local: int) -> list[Tick]:
    found = []
    for back in range(24):
        at = local // HOUR * HOUR - back * HOUR
        degrees = 360 - SWEEP * (local - at) / DAY
        if not 360 - SWEEP + 4 <= degrees <= 357:
            continue
        hour = at // HOUR % 24
        written = hour % 3 == 0 and degrees <= 349  # nearer than that stands the time itself
        (x1, y1), (x2, y2) = _point(177, degrees), _point(182 if written else 179.5, degrees)
        x, y = _point(190, degrees)
        found.append(
            Tick(round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1), f"{hour:02d}" if written else "", round(x, 1), round(y + 4, 1))
        )
    return found


# --- the same cells in a row, for a table


class Bar(msgspec.Struct, frozen=True):
    """One cell of a heartbeat bar, 8 units apart and 28 high."""

    css: str
    x: int
    y: int
    height: int


_BARS = {"none": (24, 4), "up": (17, 11), "3": (9, 19), "4": (5, 23), "5": (0, 28)}


def bars(kinds: Sequence[str]) -> list[Bar]:
    """A heartbeat bar: cells by time, one height for each state."""
    return [Bar(_CLASSES[kind].split(" ")[0], place * 8, *_BARS[kind]) for place, kind in enumerate(kinds)]

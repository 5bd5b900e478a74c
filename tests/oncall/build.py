"""Schedules for tests: `a_schedule(a_layer("week", "anna", "ben"))`, and moments written as people write them."""

from datetime import datetime, time
from typing import Any

from tocsin.core.times import from_datetime
from tocsin.oncall.model import Layer, Override, OverrideKind, Restriction, Rotation, Schedule, Shifts, Unit
from tocsin.oncall.rules import shifts


def utc(text: str) -> int:
    """``2026-03-29T01:00`` (UTC) in milliseconds; with an offset (``+02:00``) the moment it names."""
    read = datetime.fromisoformat(text)
    return from_datetime(read if read.tzinfo else datetime.fromisoformat(text + "+00:00"))


def wall(text: str) -> datetime:
    """A wall-clock time."""
    return datetime.fromisoformat(text)


def between(begins: str, ends: str, *weekdays: int) -> Restriction:
    """A restriction."""
    return Restriction(time.fromisoformat(begins), time.fromisoformat(ends), weekdays)


def a_layer(unit: str, *users: str, length: int = 1, starts_at: str = "2026-01-05T09:00", only: tuple[Restriction, ...] = ()) -> Layer:
    """A layer named after its unit; it starts on a Monday at 09:00."""
    return Layer(unit, Rotation(Unit(unit), length, wall(starts_at), users), only)


def a_schedule(*layers: Layer, zone: str = "Europe/Berlin", **other: Any) -> Schedule:
    """A schedule with these layers, the last of which wins."""
    return Schedule("s1", "First line", zone, layers, **other)


def an_override(kind: str, user: str | None, starts_at: str, ends_at: str, *, replaces: str | None = None, name: str = "o1") -> Override:
    """An override; moments as `utc` reads them."""
    return Override(name, "s1", OverrideKind(kind), user, replaces, utc(starts_at), utc(ends_at))


def told(found: Shifts) -> list[str]:
    """Shifts as lines: ``anna 01-05 08:00 - 01-12 08:00 layer`` (UTC)."""
    return [f"{s.user} {_short(s.starts_at)} - {_short(s.ends_at)} {s.source}" for s in found.shifts]


def told_between(schedule: Schedule, start: str, end: str, *overrides: Override) -> list[str]:
    """The shifts of a schedule between two moments, as lines."""
    return told(shifts(schedule, overrides, utc(start), utc(end)))


def gaps_between(schedule: Schedule, start: str, end: str, *overrides: Override) -> list[str]:
    """The gaps of a schedule between two moments, as lines."""
    return [f"{_short(g.starts_at)} - {_short(g.ends_at)}" for g in shifts(schedule, overrides, utc(start), utc(end)).gaps]


def _short(ms: int) -> str:
    from tocsin.core.times import to_datetime

    return to_datetime(ms).strftime("%m-%d %H:%M")

"""Silences, maintenance windows and dependencies, and what they look at."""

import enum
from typing import Any

import msgspec

FIELDS = ("site", "type", "severity", "host", "subject")
ATTRIBUTE = "attributes."  # the prefix of the fields that the sender made up


class Op(enum.StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT = "!="
    PREFIX = "^"
    REGEX = "~"  # the whole value must match
    AT_LEAST = ">="  # as numbers; what is no number fits neither
    AT_MOST = "<="


class Matcher(msgspec.Struct, frozen=True):
    """One condition on one field of an alert. A field that the alert does not have counts as empty text."""

    field: str
    op: Op
    value: str


Matchers = tuple[Matcher, ...]


class Labels:
    """What matchers see of an alert: its fields as text; its attributes, read only if somebody asks for one."""

    __slots__ = ("_raw", "_values")

    def __init__(self, site: str, kind: str, severity: int, host: str | None, subject: str | None, attributes: str | None) -> None:
        self._values = {"site": site, "type": kind, "severity": str(severity), "host": host or "", "subject": subject or ""}
        self._raw = attributes

    def get(self, field: str) -> str:
        """The value of *field*; empty if there is none."""
        found = self._values.get(field)
        if found is not None:
            return found
        if self._raw is not None:
            self._read_attributes(self._raw)
        return self._values.get(field, "")

    def _read_attributes(self, raw: str) -> None:
        self._raw = None
        for name, value in msgspec.json.decode(raw).items():
            self._values[ATTRIBUTE + name] = as_text(value)


def as_text(value: Any) -> str:
    """An attribute as matchers see it: text as it is, nothing as empty text, all else as JSON (``true``, ``12``)."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


class Silence(msgspec.Struct, frozen=True):
    """Quiet for what matches, from one moment to another (ms). Field order is the column order of the store."""

    id: str
    matchers: Matchers
    starts_at: int
    ends_at: int
    comment: str
    created_by: str
    created_at: int
    ended_by: str | None = None  # who ended it early
    reminded_at: int | None = None


class Maintenance(msgspec.Struct, frozen=True):
    """Planned work: quiet for what matches, once or by a rule. Field order is the column order of the store.

    ``starts_at`` and ``ends_at`` are those of the first window; the windows of a rule start at the same time of the
    day in ``time_zone`` and last as long as the first. ``ended_at``: no window reaches beyond it.
    """

    id: str
    name: str
    matchers: Matchers
    starts_at: int
    ends_at: int
    comment: str
    rrule: str | None
    time_zone: str
    created_by: str
    created_at: int
    ended_at: int | None = None
    ended_by: str | None = None


class Dependency(msgspec.Struct, frozen=True):
    """While an alert that matches ``parent`` is not resolved, alerts that match ``children`` are quiet.

    ``same``: fields that must have the same value, and have one, in both. Field order is the column order of the store.
    """

    id: str
    name: str
    parent: Matchers
    children: Matchers
    same: tuple[str, ...]
    created_by: str
    created_at: int


class Window(msgspec.Struct, frozen=True):
    """A stretch of time in milliseconds: from ``starts_at`` up to, but not including, ``ends_at``."""

    starts_at: int
    ends_at: int


class Work(msgspec.Struct, frozen=True):
    """One window of a maintenance, with its name."""

    name: str
    window: Window


class Standing(enum.StrEnum):
    """Where a silence or maintenance stands."""

    UPCOMING = "upcoming"
    ACTIVE = "active"
    EXPIRED = "expired"


class MuteKind(enum.StrEnum):
    """What can keep an alert quiet."""

    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    DEPENDENCY = "dependency"
    RULE = "rule"  # an event rule: for good, or for now


class MuteReason(msgspec.Struct, frozen=True):
    """Why nobody is told: by what, until when (ms; None: until another alert is resolved), and all of it in ``words``.

    ``words`` go after "muted by": ``maintenance "Kernel update" until 2026-05-02 04:00 Europe/Berlin``. The same cause
    has always the same words, so that they also tell whether it has changed.
    """

    kind: MuteKind
    id: str
    until: int | None
    words: str

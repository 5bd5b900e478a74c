"""Schedules and what follows from them. Moments are milliseconds UTC; wall-clock times are naive, in the schedule's zone."""

import enum
from datetime import datetime, time

import msgspec

from tocsin.core.errors import NotAllowed


class Unit(enum.StrEnum):
    """What a rotation counts in. All but hours follow the calendar: 09:00 stays 09:00 when the clocks change."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Rotation(msgspec.Struct, frozen=True):
    """People who take turns. Turn k starts ``k x length`` units after ``starts_at`` and belongs to user ``k mod len(users)``."""

    unit: Unit
    length: int
    starts_at: datetime  # wall clock
    users: tuple[str, ...]


class Restriction(msgspec.Struct, frozen=True):
    """A part of the week. ``ends`` at or before ``begins`` is on the next day. No ``weekdays``: every day (1 is Monday)."""

    begins: time
    ends: time
    weekdays: tuple[int, ...] = ()


class Layer(msgspec.Struct, frozen=True):
    """A rotation, within its restrictions (any of them; none: always)."""

    name: str
    rotation: Rotation
    restrictions: tuple[Restriction, ...] = ()


class Schedule(msgspec.Struct, frozen=True):
    """Layers, the last of which wins where it has somebody. ``version`` counts the changes."""

    id: str
    name: str
    time_zone: str
    layers: tuple[Layer, ...]
    announce_gaps: bool = True
    announce_hand_offs: bool = True
    version: int = 1
    created_at: int = 0
    updated_at: int = 0


class OverrideKind(enum.StrEnum):
    """How an override changes who is on."""

    ADD = "add"  # `user` too
    REMOVE = "remove"  # not `user`; without one: nobody
    REPLACE = "replace"  # `user` instead of `replaces`, if that one is on; without one: instead of whoever is on


class Override(msgspec.Struct, frozen=True):
    """A change from ``starts_at`` until before ``ends_at``. Of several, the later made is applied later, and so wins."""

    id: str
    schedule_id: str
    kind: OverrideKind
    user: str | None
    replaces: str | None
    starts_at: int
    ends_at: int
    created_at: int = 0
    created_by: str = ""


class Source(enum.StrEnum):
    """Why somebody is on call."""

    LAYER = "layer"
    OVERRIDE = "override"


class Duty(msgspec.Struct, frozen=True):
    """A person who is on call at the moment asked about, from ``since`` until before ``until`` by this turn or override."""

    user: str
    since: int
    until: int
    source: Source


class Shift(msgspec.Struct, frozen=True):
    """One person's stretch of duty: one turn of one layer, or one override, as far as it wins. The end is exclusive."""

    user: str
    starts_at: int
    ends_at: int
    source: Source


class Gap(msgspec.Struct, frozen=True):
    """A stretch in which nobody is on call."""

    starts_at: int
    ends_at: int


class Shifts(msgspec.Struct, frozen=True):
    """A schedule between two moments: the shifts in order (start, then user) and the gaps between them."""

    shifts: tuple[Shift, ...]
    gaps: tuple[Gap, ...]


class Turn(msgspec.Struct, frozen=True):
    """Somebody's duty between two moments, which is to be swapped for another's."""

    user: str
    starts_at: int
    ends_at: int


class Answer(enum.StrEnum):
    """What became of a swap that somebody was asked for."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"  # nobody said anything, and who asked was told so


class SwapStatus(enum.StrEnum):
    """Where such a swap stands."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"  # nobody answered in time


class SwapRequest(msgspec.Struct, frozen=True):
    """The person of ``first`` asks the person of ``second`` to take each other's duty. ``expires_at``: until when it can be answered."""

    id: str
    schedule_id: str
    first: Turn
    second: Turn
    note: str
    created_at: int
    created_by: str
    expires_at: int
    answer: Answer | None = None
    answered_at: int | None = None
    answered_by: str | None = None

    def status(self, now: int) -> SwapStatus:
        """Where it stands at *now*."""
        if self.answer is not None:
            return SwapStatus(self.answer.value)
        return SwapStatus.ASKED if now < self.expires_at else SwapStatus.EXPIRED


class Speaker(msgspec.Struct, frozen=True):
    """Who asks or answers. A swap is between two people: nobody else speaks for them but who may set up schedules (``for_all``)."""

    user_id: str | None
    for_all: bool

    def may(self, turn: Turn) -> bool:
        """Whether they may speak for the person of *turn*."""
        return self.for_all or self.user_id == turn.user

    def must_be(self, turn: Turn, does: str) -> None:
        """Raises `NotAllowed` unless they may."""
        if not self.may(turn):
            raise NotAllowed(f"only the person whose duty it is {does}, or an administrator")


ANYBODY = Speaker(None, for_all=True)


class Team(msgspec.Struct, frozen=True):
    """People who are reached together, in this order."""

    id: str
    name: str
    users: tuple[str, ...]
    version: int = 1
    created_at: int = 0
    updated_at: int = 0


class Feed(msgspec.Struct, frozen=True):
    """A calendar address: of one schedule, of one person, or of one person in one schedule. Its token is stored hashed."""

    id: str
    schedule_id: str | None
    user_id: str | None
    created_at: int
    created_by: str
    revoked_at: int | None = None
    last_used_at: int | None = None

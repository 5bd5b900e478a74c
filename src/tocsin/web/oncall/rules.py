"""The calendar of a schedule as a page shows it: lanes of blocks, days with their shifts, sentences. Pure functions."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import DAY, HOUR
from tocsin.core.wall import moment, wall_clock
from tocsin.oncall import rules
from tocsin.oncall.model import (
    Gap,
    Layer,
    Override,
    OverrideKind,
    Schedule,
    Shift,
    Shifts,
    Source,
    Speaker,
    SwapRequest,
    SwapStatus,
    Turn,
    Unit,
)

TONES = 4  # shades that people are told apart by

Names = Mapping[str, str]


class Block(msgspec.Struct, frozen=True):
    """A stretch of one lane. ``x`` and ``width`` are per cent of the lane.

    ``look``: ``p1`` to ``p4``, ``over``, ``hole`` (nobody), or ``past`` (a hole that nobody has to fill any more).
    """

    user: str  # empty: nobody
    name: str
    look: str
    starts_at: int
    ends_at: int
    x: float
    width: float
    on: bool


class Lane(msgspec.Struct, frozen=True):
    """One line of the calendar."""

    name: str
    note: str
    blocks: tuple[Block, ...]


class Slot(msgspec.Struct, frozen=True):
    """One shift on one day, with the times as that day sees them."""

    block: Block
    says: str


class Day(msgspec.Struct, frozen=True):
    """One day of the calendar; ``within``: of the month that is shown."""

    date: date
    today: bool
    within: bool
    x: float
    width: float
    slots: tuple[Slot, ...]


class Range(msgspec.Struct, frozen=True):
    """What is shown: whole days in the schedule's zone, the first of them, and where the pages before and after begin."""

    first: date
    days: int
    before: date
    after: date
    by: str
    title: str


def span(by: str, around: date) -> Range:
    """The week or the month that *around* lies in. A month is shown in whole weeks."""
    if by == "month":
        first = around.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        start = first - timedelta(days=first.weekday())
        weeks = -(-(after - start).days // 7)
        return Range(start, weeks * 7, (first - timedelta(days=1)).replace(day=1), after, by, f"{first:%B} {first.year}")
    first = around - timedelta(days=around.weekday())
    last = first + timedelta(days=6)
    begins = str(first.day) if first.month == last.month else f"{first.day} {first:%B}"
    return Range(first, 7, first - timedelta(days=7), first + timedelta(days=7), by, f"{begins} to {last.day} {last:%B}")


def edges(shown: Range, zone: ZoneInfo) -> tuple[int, ...]:
    """When each day begins, and when the last ends (ms)."""
    return tuple(moment(datetime.combine(shown.first + timedelta(days=n), time()), zone) for n in range(shown.days + 1))


def tones(schedule: Schedule) -> dict[str, str]:
    """Each person's shade, by the order in which the schedule names them."""
    users = dict.fromkeys(user for layer in schedule.layers for user in layer.rotation.users if user)
    return {user: f"p{place % TONES + 1}" for place, user in enumerate(users)}


class Painter:
    """Turns shifts between two moments into blocks."""

    def __init__(self, start: int, end: int, now: int, names: Names, looks: Mapping[str, str]) -> None:
        self._start, self._end, self._now, self._names, self._looks = start, end, now, names, looks

    def block(self, user: str, look: str, starts_at: int, ends_at: int) -> Block:
        """One block, cut to what is shown."""
        begins, ends = max(starts_at, self._start), min(ends_at, self._end)
        whole = self._end - self._start
        return Block(
            user,
            self._names.get(user, "Somebody") if user else "Nobody",
            look,
            starts_at,
            ends_at,
            round((begins - self._start) / whole * 100, 3),
            round((ends - begins) / whole * 100, 3),
            starts_at <= self._now < ends_at,
        )

    def shifts(self, found: Sequence[Shift]) -> tuple[Block, ...]:
        """Blocks in each person's shade; what an override made is hatched."""
        return tuple(
            self.block(one.user, "over" if one.source is Source.OVERRIDE else self._looks.get(one.user, "p1"), one.starts_at, one.ends_at)
            for one in found
        )

    def result(self, found: Shifts) -> tuple[Block, ...]:
        """Who is told in the end, and where nobody is."""
        holes = [self.block("", "hole" if gap.ends_at > self._now else "past", gap.starts_at, gap.ends_at) for gap in found.gaps]
        return tuple(sorted([*self.shifts(found.shifts), *holes], key=lambda one: (one.starts_at, one.name)))

    def overrides(self, made: Sequence[Override]) -> tuple[Block, ...]:
        """What was changed for a while."""
        return tuple(
            self.block(one.user or "" if one.kind is not OverrideKind.REMOVE else "", "over", one.starts_at, one.ends_at) for one in made
        )


def alone(schedule: Schedule, layer: Layer, start: int, end: int) -> tuple[Shift, ...]:
    """What one layer gives by itself."""
    return rules.shifts(msgspec.structs.replace(schedule, layers=(layer,)), (), start, end).shifts


def days(shown: Range, at: Sequence[int], blocks: Sequence[Block], today: date, month: int) -> tuple[Day, ...]:
    """The days with their shifts. A shift stands on the day on which it begins; one that is longer than a day, on each."""
    whole = at[-1] - at[0]
    found = []
    for place in range(shown.days):
        begins, ends = at[place], at[place + 1]
        which = shown.first + timedelta(days=place)
        slots = tuple(_slots(blocks, begins, ends, first=place == 0))
        x, width = round((begins - at[0]) / whole * 100, 3), round((ends - begins) / whole * 100, 3)
        found.append(Day(which, which == today, shown.by == "week" or which.month == month, x, width, slots))
    return tuple(found)


def _slots(blocks: Sequence[Block], begins: int, ends: int, *, first: bool) -> list[Slot]:
    found = []
    for one in blocks:
        if not (one.starts_at < ends and one.ends_at > begins):
            continue
        if one.starts_at < begins and one.ends_at - one.starts_at <= DAY and not first:
            continue
        found.append(Slot(one, _part(one, begins, ends)))
    return found


def _part(one: Block, begins: int, ends: int) -> str:
    """Which edges of a shift lie in a day: ``from``, ``until``, ``both`` or ``all``."""
    if one.starts_at <= begins and one.ends_at >= ends:
        return "all"
    if one.starts_at < begins:
        return "until"
    return "from" if one.ends_at - one.starts_at > DAY else "both"


class SwapSeen(msgspec.Struct, frozen=True):
    """A swap that somebody was asked for, as one person sees it.

    ``for_you``: the person is asked and can answer. ``answers``, ``takes_back``: which buttons they have; who is asked only answers.
    """

    id: str
    title: str
    status: SwapStatus
    first: Turn
    second: Turn
    first_name: str
    second_name: str
    note: str
    expires_at: int
    for_you: bool
    answers: bool
    takes_back: bool


def swap_seen(one: SwapRequest, viewer: str, speaker: Speaker, names: Names, now: int) -> SwapSeen:
    """What *viewer* sees of a swap, and may do with it."""
    status = one.status(now)
    waits = status is SwapStatus.ASKED
    first, second = [names.get(turn.user, "Somebody") for turn in (one.first, one.second)]
    return SwapSeen(
        one.id,
        f"{'You ask' if one.first.user == viewer else f'{first} asks'} {'you' if one.second.user == viewer else second}",
        status,
        one.first,
        one.second,
        first,
        second,
        one.note,
        one.expires_at,
        waits and one.second.user == viewer,
        waits and speaker.may(one.second),
        waits and speaker.may(one.first) and one.second.user != viewer,
    )


def turns_of(layer: Layer) -> str:
    """``weekly, from Mon 09:00``: how a layer turns, for its line in the calendar."""
    rotation = layer.rotation
    words = {Unit.HOUR: "hour", Unit.DAY: "day", Unit.WEEK: "week", Unit.MONTH: "month"}[rotation.unit]
    every = f"every {words}" if rotation.length == 1 else f"every {rotation.length} {words}s"
    if not layer.restrictions:
        return every
    first = layer.restrictions[0]
    more = f" and {len(layer.restrictions) - 1} more" if len(layer.restrictions) > 1 else ""
    return f"{first.begins:%H:%M} to {first.ends:%H:%M}{more}, {every}"


def stretch(starts_at: int, ends_at: int, zone: ZoneInfo) -> str:
    """``Saturday 28 November from 12:00 to 20:00``, ``Tuesday 24 November 20:00 to Wednesday 08:00``."""
    begins, ends = wall_clock(starts_at, zone), wall_clock(ends_at, zone)
    last = wall_clock(ends_at - 1, zone)
    if begins.date() == last.date():
        return f"{begins:%A} {begins.day} {begins:%B} from {begins:%H:%M} to {'24:00' if ends.date() != begins.date() else f'{ends:%H:%M}'}"
    until = f"{ends:%A} {ends:%H:%M}" if ends - begins < timedelta(days=6) else f"{ends:%A} {ends.day} {ends:%B} {ends:%H:%M}"
    return f"{begins:%A} {begins.day} {begins:%B} {begins:%H:%M} to {until}"


def joined(found: Sequence[Shift], user: str) -> list[Shift]:
    """The turns of one person, those that touch put together."""
    done: list[Shift] = []
    for one in found:
        if one.user != user:
            continue
        if done and done[-1].ends_at >= one.starts_at:
            done[-1] = msgspec.structs.replace(done[-1], ends_at=max(done[-1].ends_at, one.ends_at))
        else:
            done.append(one)
    return done


def following(found: Sequence[Shift], on: Sequence[str], now: int) -> Shift | None:
    """The first shift after *now* of somebody who is not on call now; else the first of anybody."""
    later = [one for one in found if one.starts_at > now]
    return next((one for one in later if one.user not in on), later[0] if later else None)


def local(text: str, zone: ZoneInfo) -> int | None:
    """The moment of a field ``2026-11-28T12:00`` in the schedule's zone; None if it is none."""
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if wall.tzinfo is not None or not 1970 <= wall.year < 2200 else moment(wall, zone)


def field(at: int, zone: ZoneInfo) -> str:
    """A moment as a field for times takes it."""
    return wall_clock(at, zone).isoformat(timespec="minutes")


def next_hour(now: int) -> int:
    """Where the fields of an override begin, if nobody said where."""
    return (now // HOUR + 1) * HOUR


def nearest(gaps: Sequence[Gap], now: int) -> Gap | None:
    """The gap that is next, or is now."""
    return next((gap for gap in gaps if gap.ends_at > now), None)

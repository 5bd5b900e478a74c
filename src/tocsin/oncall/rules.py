"""Who is on call, and when: pure functions of a schedule, its overrides and a time.

    layers  -> at each moment the last layer that has somebody
    overrides (in the order they were made) -> on top of that: add, remove, replace

A *shift* is one turn of one layer, or one override, as far as it wins. Two turns of the same person are two shifts.
"""

from bisect import insort
from collections.abc import Collection, Iterator, Sequence
from heapq import merge
from itertools import pairwise
from operator import itemgetter
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import DAY
from tocsin.oncall import calendar
from tocsin.oncall.calendar import Span
from tocsin.oncall.model import Duty, Gap, Layer, Override, OverrideKind, Schedule, Shift, Shifts, Source

FIRST_REACH = 2 * DAY  # how far `who_is_on_call` looks at first for the start and the end of a duty
LONGEST_REACH = 512 * DAY  # and at last: longer than any turn or override that is accepted

MAX_TURNS_IN_A_ROW = 32  # of one person: who has more has nobody to hand over to

NOBODY = ""  # takes the place of somebody who cannot be on call: the turn stays, and is empty

Origin = tuple[int, int] | str  # of a duty: layer and turn, or the override's id
On = dict[str, Origin]


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """From one moment to another the same people are on, for the same reasons."""

    starts_at: int
    ends_at: int
    on: On


def who_is_on_call(schedule: Schedule, overrides: Sequence[Override], at: int) -> tuple[Duty, ...]:
    """Everybody who is on call at *at*, by user id."""
    reach = FIRST_REACH
    while True:
        start, end = at - reach, at + reach
        found = _shifts(_stretches(schedule, overrides, start, end))
        around = [shift for shift in found if shift.starts_at <= at < shift.ends_at]
        if reach >= LONGEST_REACH or all(start < shift.starts_at and shift.ends_at < end for shift in around):
            return tuple(sorted((Duty(s.user, s.starts_at, s.ends_at, s.source) for s in around), key=lambda duty: duty.user))
        reach *= 4


def users_on_call(schedule: Schedule, overrides: Sequence[Override], at: int) -> tuple[str, ...]:
    """The ids of everybody who is on call at *at*, in order; much cheaper than `who_is_on_call`."""
    on = _from_layers(schedule, at)
    for override in overrides:
        if override.starts_at <= at < override.ends_at:
            on = _changed(on, override)
    return tuple(sorted(on))


def shifts(schedule: Schedule, overrides: Sequence[Override], start: int, end: int) -> Shifts:
    """What happens between *start* and before *end*, cut to these."""
    stretches = list(_stretches(schedule, overrides, start, end))
    return Shifts(tuple(_shifts(stretches)), tuple(_gaps(stretches)))


def on_until(schedule: Schedule, overrides: Sequence[Override], user: str, at: int) -> int | None:
    """Until when *user*, who is on call at *at*, is so without a break, by whatever turns and overrides; None: no end in sight."""
    for _ in range(MAX_TURNS_IN_A_ROW):
        duty = next((one for one in who_is_on_call(schedule, overrides, at) if one.user == user), None)
        if duty is None:
            return at
        at = duty.until
    return None


def without(schedule: Schedule, overrides: Sequence[Override], gone: Collection[str]) -> tuple[Schedule, list[Override]]:
    """The same, with the turns of those who are *gone* empty and the overrides that would put them on call left out."""
    if not gone:
        return schedule, list(overrides)
    layers = tuple(_layer_without(layer, gone) for layer in schedule.layers)
    kept = [o for o in overrides if o.kind is OverrideKind.REMOVE or o.user not in gone]
    return msgspec.structs.replace(schedule, layers=layers), kept


def _layer_without(layer: Layer, gone: Collection[str]) -> Layer:
    users = tuple(NOBODY if user in gone else user for user in layer.rotation.users)
    return msgspec.structs.replace(layer, rotation=msgspec.structs.replace(layer.rotation, users=users))


# One moment.


def _from_layers(schedule: Schedule, at: int) -> On:
    zone = ZoneInfo(schedule.time_zone)
    for number in range(len(schedule.layers) - 1, -1, -1):
        layer = schedule.layers[number]
        turn = calendar.turn_at(layer.rotation, at, zone)
        user = _user(layer, turn)
        if user and calendar.windows(layer.restrictions, at, at + 1, zone):
            return {user: (number, turn)}
    return {}


def _user(layer: Layer, turn: int) -> str:
    return layer.rotation.users[turn % len(layer.rotation.users)] if turn >= 0 else NOBODY


def _changed(on: On, override: Override) -> On:
    """Who is on once *override* holds."""
    if override.kind is OverrideKind.REMOVE:
        return {user: origin for user, origin in on.items() if override.user not in (None, user)}
    new: On = {override.user or NOBODY: override.id}
    if override.kind is OverrideKind.ADD:
        return {**new, **on}  # who is on already stays on as before
    if override.replaces is None:
        return new
    if override.replaces not in on:
        return on
    return {**new, **{user: origin for user, origin in on.items() if user != override.replaces}}


# A stretch of time.


def _stretches(schedule: Schedule, overrides: Sequence[Override], start: int, end: int) -> Iterator[Stretch]:
    """``[start, end)`` cut wherever something changes, in order."""
    touching = [o for o in overrides if o.starts_at < end and o.ends_at > start]
    base = _flattened(schedule, start, end)
    edges = [edge for o in touching for edge in (max(start, o.starts_at), min(end, o.ends_at))]
    cuts = sorted({start, end, *(begins for begins, _, _ in base), *edges})
    held = _Held(touching)
    place = 0
    for begins, ends in pairwise(cuts):
        while place + 1 < len(base) and base[place + 1][0] <= begins:
            place += 1
        on = base[place][2]
        for override in held.at(begins):
            on = _changed(on, override)
        yield Stretch(begins, ends, on)


class _Held:
    """The overrides that hold at a moment, in the order in which they were made; asked with moments that only rise."""

    def __init__(self, overrides: Sequence[Override]) -> None:
        self._coming = sorted(enumerate(overrides), key=lambda one: one[1].starts_at, reverse=True)
        self._now: list[tuple[int, Override]] = []

    def at(self, moment: int) -> list[Override]:
        while self._coming and self._coming[-1][1].starts_at <= moment:
            insort(self._now, self._coming.pop(), key=itemgetter(0))
        self._now = [one for one in self._now if one[1].ends_at > moment]
        return [override for _, override in self._now]


def _flattened(schedule: Schedule, start: int, end: int) -> list[tuple[int, int, On]]:
    """What the layers alone give, without a hole: the last layer that has somebody, or nobody."""
    zone = ZoneInfo(schedule.time_zone)
    covered: list[tuple[int, int, On]] = [(start, end, {})]
    for number, layer in enumerate(schedule.layers):
        covered = _laid_over(covered, list(_pieces(layer, number, start, end, zone)))
    return covered


def _pieces(layer: Layer, number: int, start: int, end: int, zone: ZoneInfo) -> Iterator[tuple[int, int, On]]:
    """The turns of one layer, cut to its windows."""
    spans = calendar.windows(layer.restrictions, start, end, zone)
    place = 0
    for turn, begins, ends in calendar.turns(layer.rotation, start, end, zone):
        user = _user(layer, turn)
        while place < len(spans) and spans[place][1] <= begins:
            place += 1
        for a, b in _within(spans, place, begins, ends):
            if user:
                yield a, b, {user: (number, turn)}


def _within(spans: Sequence[Span], place: int, begins: int, ends: int) -> Iterator[Span]:
    for a, b in spans[place:]:
        if a >= ends:
            return
        yield max(a, begins), min(b, ends)


def _laid_over(below: list[tuple[int, int, On]], above: list[tuple[int, int, On]]) -> list[tuple[int, int, On]]:
    """*above* where it has something, *below* elsewhere; both in order."""
    left: list[tuple[int, int, On]] = []
    place = 0
    for begins, ends, on in below:
        at = begins
        while place < len(above) and above[place][0] < ends:
            a, b, _ = above[place]
            if at < a:
                left.append((at, a, on))
            at = max(at, b)
            if b > ends:
                break
            place += 1
        if at < ends:
            left.append((at, ends, on))
    return list(merge(left, above))


def _shifts(stretches: Sequence[Stretch] | Iterator[Stretch]) -> list[Shift]:
    """The stretches of each person put together where the reason stays the same."""
    done: list[Shift] = []
    running: dict[str, tuple[int, Origin]] = {}
    ends_at = 0
    for stretch in stretches:
        for user, (since, origin) in list(running.items()):
            if stretch.on.get(user) != origin:
                done.append(_shift(user, since, stretch.starts_at, origin))
                del running[user]
        for user, origin in stretch.on.items():
            running.setdefault(user, (stretch.starts_at, origin))
        ends_at = stretch.ends_at
    done.extend(_shift(user, since, ends_at, origin) for user, (since, origin) in running.items())
    return sorted(done, key=lambda shift: (shift.starts_at, shift.user))


def _shift(user: str, since: int, until: int, origin: Origin) -> Shift:
    return Shift(user, since, until, Source.OVERRIDE if isinstance(origin, str) else Source.LAYER)


def _gaps(stretches: Sequence[Stretch]) -> list[Gap]:
    gaps: list[Gap] = []
    for stretch in stretches:
        if stretch.on:
            continue
        if gaps and gaps[-1].ends_at == stretch.starts_at:
            gaps[-1] = Gap(gaps[-1].starts_at, stretch.ends_at)
        else:
            gaps.append(Gap(stretch.starts_at, stretch.ends_at))
    return gaps

"""Reading a log behind its writers, as pure functions: what was seen, what may still be committed below it."""

from collections.abc import Iterable

import msgspec

from tocsin.core.clock import SECOND
from tocsin.stream.model import Place

PATIENCE = 5 * SECOND  # a number that is not there after so long belongs to a transaction that was rolled back
PAUSE = 0.1  # seconds between two looks at least
LONGEST_PAUSE, WAIT, LONGEST_WAIT = 0.2, 0.2, 1.0
IN_A_STORM = 4  # times as long until listeners are told once more that there is too much to tell: whoever hears it reads a page anew
MAX_HOLES = 500  # numbers that are waited for at the same time


def pause(listeners: int) -> float:
    """Seconds between two looks: what happens together is told together, the more so the more there are to tell."""
    return PAUSE + min(LONGEST_PAUSE, listeners * 0.0002)


def waits(listeners: int, *, is_storm: bool) -> float:
    """Seconds since they were last told something until listeners are told what is not pressing: that a known alert came once more,
    that there is still too much to tell.
    """
    return min(LONGEST_WAIT, WAIT + listeners * 0.001) * (IN_A_STORM if is_storm else 1)


class Tail(msgspec.Struct, frozen=True):
    """The end of a log as it was last seen: the highest number, and those below it that were not there yet, with since when (ms)."""

    last: int
    holes: tuple[tuple[int, int], ...] = ()

    @property
    def waited_for(self) -> list[int]:
        """The numbers that may still come."""
        return [number for number, _ in self.holes]


def advance(tail: Tail, seen: Iterable[int], now: int) -> Tail:
    """The end of the log after *seen* numbers were read: on PostgreSQL a lower one may be committed a moment after a higher one."""
    found = set(seen)
    last = max(found, default=tail.last)
    holes = [(number, since) for number, since in tail.holes if number not in found and now - since < PATIENCE]
    if last > tail.last:
        missing = last - tail.last - sum(1 for number in found if number > tail.last)
        if 0 < missing <= MAX_HOLES:
            holes += [(number, now) for number in range(tail.last + 1, last) if number not in found]
    return Tail(max(last, tail.last), tuple(holes[-MAX_HOLES:]))


class Seen(msgspec.Struct, frozen=True):
    """Up to when changes were told (ms), and those of the last seconds: another process may commit an earlier one a moment later."""

    until: int
    lately: frozenset[tuple[str, int]] = frozenset()


def fresh(seen: Seen, found: Iterable[tuple[str, int]], now: int) -> tuple[list[tuple[str, int]], Seen]:
    """Of the changes (of what, when) that were *found* since `since`, those that were not told yet; and what is seen then."""
    known = list(found)
    since = max(seen.until, now) - PATIENCE
    new = [one for one in known if one not in seen.lately]
    return new, Seen(max(seen.until, now), frozenset(one for one in known if one[1] >= since))


def since(seen: Seen) -> int:
    """From when on changes are looked for."""
    return seen.until - PATIENCE


def read_place(text: str) -> Place | None:
    """A place that came back in ``Last-Event-ID``; None for anything that is none."""
    parts = text.strip().split("-")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        return None
    return Place(*map(int, parts))

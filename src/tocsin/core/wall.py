"""Clocks on walls: what the clocks of a time zone show, and when they show it.

One rule decides everything about changes of the clocks: a wall-clock time means the first moment at which the zone's
clocks show that time or a later one. A time that is skipped is then the first moment after the gap, one that comes twice
is its first coming, and a later time is never an earlier moment. See docs/adr/0010-calendar-arithmetic.md.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tocsin.core.clock import SECOND

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall clock, compared with wall clock only
_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=32_768)
def moment(wall: datetime, zone: ZoneInfo) -> int:
    """The first moment at which the clocks of *zone* show *wall* or later."""
    seconds = (wall - _EPOCH) // _SECOND
    before, after = _offset(wall, zone, 0), _offset(wall, zone, 1)
    if after > before:
        return _end_of_gap(seconds - after, seconds - before, zone) * SECOND
    return (seconds - before) * SECOND


def _offset(wall: datetime, zone: ZoneInfo, fold: int) -> int:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset()
    return 0 if offset is None else offset // _SECOND


def _end_of_gap(earlier: int, later: int, zone: ZoneInfo) -> int:
    """The second in ``(earlier, later]`` at which the clocks of *zone* are put forward."""
    new = datetime.fromtimestamp(later, zone).utcoffset()
    while later - earlier > 1:
        middle = (earlier + later) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == new:
            later = middle
        else:
            earlier = middle
    return later


def wall_clock(at: int, zone: ZoneInfo) -> datetime:
    """What the clocks of *zone* show at the moment *at*, to the second."""
    return datetime.fromtimestamp(at // SECOND, zone).replace(tzinfo=None, fold=0)

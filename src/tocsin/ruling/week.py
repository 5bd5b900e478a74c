"""Times of the week in a zone, looked up in an instant: a bit for each of the week's minutes."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from tocsin.core.clock import DAY, MINUTE
from tocsin.core.wall import wall_clock
from tocsin.oncall.model import Restriction

MINUTES_OF_DAY = 24 * 60
MINUTES = 7 * MINUTES_OF_DAY
_QUARTER = 15 * MINUTE  # clocks are put forward and back at the end of a quarter of an hour
_REMEMBERED = 20_000
_THURSDAY = 3 * MINUTES_OF_DAY  # 1 January 1970; a week begins on Monday


class Week:
    """Whether moments are within any of some parts of the week, by the clocks of a zone."""

    __slots__ = ("_bits", "_offsets", "_zone")

    def __init__(self, times: Sequence[Restriction], time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        self._bits = bytearray(MINUTES)
        self._offsets: dict[int, int] = {}
        for one in times:
            self._mark(one)

    def _mark(self, one: Restriction) -> None:
        begins, ends = (t.hour * 60 + t.minute for t in (one.begins, one.ends))
        length = (ends - begins) % MINUTES_OF_DAY or MINUTES_OF_DAY
        for weekday in one.weekdays or range(1, 8):
            start = (weekday - 1) * MINUTES_OF_DAY + begins
            for minute in range(start, start + length):
                self._bits[minute % MINUTES] = 1

    def holds(self, at: int) -> bool:
        """Whether the moment *at* (ms) is within."""
        quarter = at // _QUARTER
        offset = self._offsets.get(quarter)
        if offset is None:
            offset = self._offset(quarter)
        return self._bits[(at // MINUTE + offset + _THURSDAY) % MINUTES] == 1

    def _offset(self, quarter: int) -> int:
        """By how many minutes the zone's clocks are ahead of UTC."""
        wall = wall_clock(quarter * _QUARTER, self._zone)
        minutes = wall.toordinal() * MINUTES_OF_DAY + wall.hour * 60 + wall.minute
        if len(self._offsets) >= _REMEMBERED:
            self._offsets.clear()
        found = minutes - (_EPOCH + quarter * _QUARTER // MINUTE)
        self._offsets[quarter] = found
        return found


_EPOCH = 719_163 * (DAY // MINUTE)  # the ordinal of 1 January 1970

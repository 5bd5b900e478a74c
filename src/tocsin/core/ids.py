"""UUIDv7 text (RFC 9562, 5.7): sorted by time, so that an index only ever grows at its end."""

import re
import secrets
import threading

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def new_id(now: int) -> str:
    """One UUIDv7 for the moment *now* (milliseconds)."""
    return new_ids(now, 1)[0]


def new_ids(now: int, count: int) -> list[str]:
    """*count* ids in rising order, above all that this process made for the same millisecond (RFC 9562, 6.2, method 2)."""
    return _series.take(now, count)


def first_id(at: int) -> str:
    """What no id of the moment *at* or a later one is below."""
    head = f"{at:012x}"
    return f"{head[:8]}-{head[8:]}-7"


class _Series:
    """The ids of one millisecond: a random start, then a counter in the last 48 bits.

    The top bit of the counter starts at 0, so it cannot overflow for any number that fits in a millisecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now, self._prefix, self._next = -1, "", 0

    def take(self, now: int, count: int) -> list[str]:
        with self._lock:
            if now != self._now:
                self._begin(now)
            start, prefix = self._next, self._prefix
            self._next += count
        return [prefix + f"{n:012x}" for n in range(start, start + count)]

    def _begin(self, now: int) -> None:
        noise = secrets.token_bytes(10)
        rand_a = int.from_bytes(noise[:2], "big") & 0x0FFF
        variant = (int.from_bytes(noise[2:4], "big") & 0x3FFF) | 0x8000
        head = f"{now:012x}"
        self._now, self._next = now, int.from_bytes(noise[4:], "big") >> 1
        self._prefix = f"{head[:8]}-{head[8:]}-7{rand_a:03x}-{variant:04x}-"


_series = _Series()


def is_uuid(text: str) -> bool:
    """Whether *text* is a UUID of any version in lower-case canonical form."""
    return _UUID.fullmatch(text) is not None

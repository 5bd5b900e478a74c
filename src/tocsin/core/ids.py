"""UUIDv7 text (RFC 9562, 5.7): sorted by time, so that an index only ever grows at its end."""

import re
import secrets

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def new_id(now: int) -> str:
    """One UUIDv7 for the moment *now* (milliseconds)."""
    return new_ids(now, 1)[0]


def new_ids(now: int, count: int) -> list[str]:
    """*count* ids in rising order: one random start, then a counter in the last 48 bits (RFC 9562, 6.2, method 2).

    The top bit of the counter starts at 0, so it cannot overflow for any batch that fits in memory.
    """
    noise = secrets.token_bytes(10)
    rand_a = int.from_bytes(noise[:2], "big") & 0x0FFF
    variant = (int.from_bytes(noise[2:4], "big") & 0x3FFF) | 0x8000
    start = int.from_bytes(noise[4:], "big") >> 1
    head = f"{now:012x}"
    prefix = f"{head[:8]}-{head[8:]}-7{rand_a:03x}-{variant:04x}-"
    return [prefix + f"{n:012x}" for n in range(start, start + count)]


def is_uuid(text: str) -> bool:
    """Whether *text* is a UUID of any version in lower-case canonical form."""
    return _UUID.fullmatch(text) is not None

"""The only module that reads the clock. Everything else is handed the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in whole milliseconds since 1970, UTC."""

    def now(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000  # noqa: TID251 - the clock


def monotonic() -> float:
    """Seconds on a clock that never jumps: for measuring how long something took."""
    return time.monotonic()  # noqa: TID251 - the clock


def worked() -> float:
    """Seconds of processor time that this process has had so far, in all its threads."""
    return time.process_time()


SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

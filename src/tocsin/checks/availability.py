"""How long something was up: by time, never by counting looks (H5)."""

from collections.abc import Iterable

import msgspec

from tocsin.checks.model import Span, Status


class Shares(msgspec.Struct, frozen=True):
    """Milliseconds of a period in each status. What is planned (maintenance), paused or not known counts for nothing, and is shown."""

    up: int = 0
    degraded: int = 0
    down: int = 0
    maintenance: int = 0
    unknown: int = 0
    paused: int = 0

    @property
    def judged(self) -> int:
        """Of how many milliseconds it is known how it was."""
        return self.up + self.degraded + self.down

    @property
    def percent(self) -> float | None:
        """The share of the time judged in which it served, if slowly. None: nothing is known."""
        return None if not self.judged else 100 * (self.judged - self.down) / self.judged


def shares(spans: Iterable[Span], start: int, end: int) -> Shares:
    """What *spans* of one check say of the time from *start* to *end* (ms; *end* excluded, and not later than now)."""
    found = dict.fromkeys(Status, 0)
    for span in spans:
        found[span.status] += max(0, min(end, end if span.ends_at is None else span.ends_at) - max(start, span.starts_at))
    return Shares(**{status.value: length for status, length in found.items()})


def budget(sla: float, seen: Shares, length: int) -> int:
    """How many milliseconds it may still be down in a period of *length*, of which *seen* is known; below 0: it was too long."""
    return round(length * (100 - sla) / 100) - seen.down

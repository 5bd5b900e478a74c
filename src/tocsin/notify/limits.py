"""How fast one contact may be written to (N6). What is over the rate waits and is bundled, never dropped.

Three budgets for each contact: the ordinary one; one message a minute for each site, so that a quiet site's first
alert overtakes another's storm; a reserve for critical alerts.
"""

import threading
from collections.abc import Iterable

from tocsin.core.clock import MINUTE
from tocsin.core.severity import Severity
from tocsin.notify.rules import Choice, Waiting

CRITICAL_RESERVE = 5
MAX_SITES = 10_000


class Bucket:
    """A token bucket: *capacity* at once, *per_minute* lasting. Time is handed in, in milliseconds."""

    __slots__ = ("at", "capacity", "per_minute", "tokens")

    def __init__(self, capacity: int, per_minute: float, now: int) -> None:
        self.capacity, self.per_minute = capacity, per_minute
        self.tokens, self.at = float(capacity), now

    def refill(self, now: int) -> float:
        """The tokens at *now*."""
        if now > self.at:
            self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.per_minute / MINUTE)
            self.at = now
        return self.tokens

    def take(self, now: int) -> bool:
        """Takes one token if there is one."""
        if self.refill(now) < 1:
            return False
        self.tokens -= 1
        return True


class Limits:
    """The budgets of all contacts of this node. Used by the writer's thread and the event loop."""

    def __init__(self, burst: int, per_minute: int) -> None:
        self._burst, self._per_minute = burst, per_minute
        self._ordinary: dict[str, Bucket] = {}
        self._critical: dict[str, Bucket] = {}
        self._sites: dict[tuple[str, int], Bucket] = {}
        self._lock = threading.Lock()

    def take(self, contact_id: str, site_id: int, severity: int, now: int) -> bool:
        """Whether one message may leave now; if so it is counted."""
        with self._lock:
            return self._take(contact_id, site_id, severity, now)

    def choose(self, waiting: Iterable[Waiting], now: int) -> list[Choice]:
        """What leaves now of all that is due, the loudest first. Each single and each digest is counted."""
        with self._lock:
            return [self._choose(group, now) for group in sorted(waiting, key=lambda w: -w.loudest)]

    def _choose(self, group: Waiting, now: int) -> Choice:
        ordinary = self._bucket(group.contact_id, now)
        fits = group.count <= ordinary.refill(now)
        singles = 0
        while singles < group.count and self._take(group.contact_id, group.site_id, group.loudest, now, ordinary=fits):
            singles += 1
        rest = group.count - singles
        return Choice(group.contact_id, group.site_id, singles, digest=rest > 0 and ordinary.take(now))

    def _take(self, contact_id: str, site_id: int, severity: int, now: int, *, ordinary: bool = True) -> bool:
        if self._site(contact_id, site_id, now).take(now):
            return True
        if ordinary and self._bucket(contact_id, now).take(now):
            return True
        return severity >= Severity.CRITICAL and self._reserve(contact_id, now).take(now)

    def _bucket(self, contact_id: str, now: int) -> Bucket:
        bucket = self._ordinary.get(contact_id)
        if bucket is None:
            bucket = self._ordinary[contact_id] = Bucket(self._burst, self._per_minute, now)
        return bucket

    def _reserve(self, contact_id: str, now: int) -> Bucket:
        bucket = self._critical.get(contact_id)
        if bucket is None:
            bucket = self._critical[contact_id] = Bucket(CRITICAL_RESERVE, 1, now)
        return bucket

    def _site(self, contact_id: str, site_id: int, now: int) -> Bucket:
        bucket = self._sites.get((contact_id, site_id))
        if bucket is None:
            if len(self._sites) >= MAX_SITES:
                self._sites.clear()
            bucket = self._sites[contact_id, site_id] = Bucket(1, 1, now)
        return bucket

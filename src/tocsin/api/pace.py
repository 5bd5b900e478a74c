"""How many calls each caller may make: a share for every minute, which fills up again evenly. In memory, and bounded."""

from collections import OrderedDict
from collections.abc import Callable

from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import TooMany

CALLS = 3_000  # a minute, of one key or one person; far more than any page or program needs
STRANGERS = 600  # a minute, with a key or login that is not known, from one network
MAX_NAMES = 10_000


class Pace:
    """Counts by name. ``most``: how many in a minute, and at once after a minute of rest."""

    def __init__(self, most: int, what: str, now: Callable[[], int]) -> None:
        """*what* they are, for whoever has had too many."""
        self.most, self._what, self._now = most, what, now
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()  # by name: how many are left, as of when

    def take(self, name: str) -> None:
        """One more by *name*. Raises `TooMany`."""
        left, now = self.check(name), self._now()
        self._left[name] = (left - 1, now)
        self._left.move_to_end(name)
        if len(self._left) > MAX_NAMES:
            self._left.popitem(last=False)

    def check(self, name: str) -> float:
        """How many *name* has left. Raises `TooMany` if it is none."""
        now = self._now()
        left, at = self._left.get(name, (self.most, now))
        left = min(self.most, left + max(0, now - at) * self.most / MINUTE)
        if left < 1:
            seconds = -(-(1 - left) * MINUTE // (self.most * SECOND))
            raise TooMany(f"{self._what}: at most {self.most} a minute are taken", retry_after=max(1, int(seconds)))
        return left

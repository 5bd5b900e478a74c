"""Values as Prometheus has them, and the exporters that are asked. Times in milliseconds."""

from collections.abc import Mapping

import msgspec


class Point(msgspec.Struct, frozen=True, gc=False):
    """One value of one series. ``at`` None: now, as in most of what exporters show."""

    name: str
    labels: Mapping[str, str]
    at: int | None
    value: float


class Unreadable(Exception):
    """What came is not what it should be; the text says where."""


class TooMuch(Exception):
    """What came is larger than the limit that the text names."""


class Target(msgspec.Struct, frozen=True):
    """An exporter that is asked. ``host``: whose values they are. ``token``: a secret for the ``Authorization`` header, shown nowhere.

    ``keep_all``: also what it says under names that are turned into ours, and of itself. ``next_at``: when it is asked next.
    ``failures``: how often in a row it did not answer; ``fault``: why, the last time. Field order is the column order of the store.
    """

    id: str
    site_id: int
    name: str
    url: str
    host: str
    interval: int
    token: str | None
    keep_all: bool
    enabled: bool
    created_by: str
    created_at: int
    next_at: int
    asked_at: int | None = None
    answered_at: int | None = None
    samples: int | None = None
    failures: int = 0
    fault: str | None = None
    is_told: bool = False

    def __repr__(self) -> str:
        """Without the token."""
        return f"Target({self.id!r}, {self.name!r}, {self.host!r})"

"""The figures of a period, and what they are made of."""

import enum
from typing import NamedTuple

import msgspec

HOURS, WEEKDAYS = 24, 7


class Happening(enum.Enum):
    """What an alert's history comes to, for the figures."""

    BEGAN = "began"  # it opened or came back
    ANSWERED = "answered"  # somebody took it, after so long
    ENDED = "ended"  # it was resolved, after so long
    ESCALATED = "escalated"  # it went beyond the first level; counted once each time that it began, at its beginning


class Line(NamedTuple):
    """One line of an alert's history, as far as the figures need it: a row as the database gives it.

    ``silent``: nobody was told by it. ``first_level``: it says that the first level of a policy was told, which is no
    escalation yet.
    """

    alert: int
    at: int
    action: str
    silent: bool = False
    first_level: bool = False


class Means(msgspec.Struct, gc=False):
    """A mean in the making. Times in milliseconds."""

    count: int = 0
    total: int = 0
    longest: int = 0

    def add(self, length: int) -> None:
        """Takes one more into account."""
        self.count += 1
        self.total += length
        self.longest = max(self.longest, length)

    @property
    def mean(self) -> float | None:
        """In milliseconds; None of nothing."""
        return self.total / self.count if self.count else None


class Figures(msgspec.Struct):
    """What is counted of one period: how often alerts began, how many of these escalated, how long answers and ends took."""

    began: int = 0
    escalated: int = 0
    answered: Means = msgspec.field(default_factory=Means)
    ended: Means = msgspec.field(default_factory=Means)

    @property
    def escalation_rate(self) -> float | None:
        """The share of alerts that went beyond the first level; None if none began."""
        return self.escalated / self.began if self.began else None


class Period(msgspec.Struct, frozen=True):
    """From a moment until before another one, in milliseconds."""

    since: int
    until: int

    @property
    def before(self) -> "Period":
        """The period of the same length that ends where this one begins."""
        return Period(2 * self.since - self.until, self.since)


class Noisy(msgspec.Struct, frozen=True):
    """How often one thing has begun to trouble, and how many events that were."""

    site_id: int
    type: str
    subject: str | None
    alerts: int
    occurrences: int


class Pages(msgspec.Struct):
    """How often one person (or a contact that is nobody's in particular) was paged by day and by night of their own zone."""

    who: str
    time_zone: str
    user_id: str | None = None
    day: int = 0
    night: int = 0


class Summary(msgspec.Struct, frozen=True):
    """All about one period. ``weekdays`` is Monday to Sunday, each with its 24 hours; what only counts is largest first."""

    period: Period
    time_zone: str
    now: Figures
    before: Figures
    still_open: int
    by_severity: dict[int, int]
    by_type: dict[str, int]
    weekdays: list[list[int]]
    noisiest: list[Noisy]
    people: list[Pages]


class Metric(enum.StrEnum):
    """What a series is of."""

    ALERTS = "alerts"
    MTTA = "mtta_seconds"
    MTTR = "mttr_seconds"
    ESCALATION_RATE = "escalation_rate"


class Step(enum.StrEnum):
    """How long each point of a series lasts, on the clock of the zone."""

    HOUR = "hour"
    DAY = "day"


class Point(msgspec.Struct, frozen=True):
    """One point of a series: when it begins (ms), its figures."""

    at: int
    figures: Figures

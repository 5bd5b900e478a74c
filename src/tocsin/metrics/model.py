"""Samples and the series that they belong to."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from tocsin.core.clock import DAY, HOUR

Labels = tuple[tuple[str, str], ...]

NO_LABELS: Labels = ()
MAX_POINTS = 20_000  # of one curve
SERIES_LIMIT = "tocsin.series_limit"  # the type of the event that says that a site has too many series


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One measured value. ``at`` is milliseconds UTC; ``host`` is empty where no host was measured; ``labels`` are in order."""

    site_id: int
    name: str
    at: int
    value: float
    host: str = ""
    labels: Labels = NO_LABELS


class Series(msgspec.Struct, frozen=True, gc=False):
    """What all samples of one site, name, host and set of labels make up."""

    id: int
    site_id: int
    name: str
    host: str
    labels: Labels
    first_at: int


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A series and its newest value."""

    series: Series
    at: int
    value: float


class SeriesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which series; what is None or empty does not narrow. ``site_ids`` None: of all sites."""

    site_ids: frozenset[int] | None = None
    name: str | None = None
    host: str | None = None
    labels: Labels = NO_LABELS  # these at least


class Rollup(msgspec.Struct, frozen=True, gc=False):
    """What the samples of an hour or a day come to."""

    count: int
    sum: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float


class Recorded(msgspec.Struct, frozen=True):
    """What became of samples: stored, known already, and the places of those that are not: series too many, no finite value."""

    accepted: int
    repeated: int = 0
    refused: tuple[int, ...] = ()


class Removed(msgspec.Struct, frozen=True):
    """How many series were taken away, and whether these were all that fit."""

    series: int
    is_all: bool


class Agg(StrEnum):
    """What is said of the samples of each step."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"

    @property
    def share(self) -> float | None:
        """The share that lies below a percentile; None for what is none."""
        return {"p50": 0.5, "p95": 0.95, "p99": 0.99}.get(self)


class Question(msgspec.Struct, frozen=True):
    """From when to before when, in which steps. Without a step: at most *width* points, or the samples themselves if they are as few."""

    start: int
    end: int
    step: int | None
    width: int
    agg: Agg
    samples_since: int  # older samples are gone: there are roll-ups only


class Curve(msgspec.Struct, frozen=True):
    """One series' points by time: the samples themselves (``step`` None), means with their extremes (``envelope``), or another figure."""

    series: Series
    step: int | None
    points: list[tuple[int, float]]
    envelope: list[tuple[float, float]] | None


def labels_of(found: Mapping[str, str] | None) -> Labels:
    """Labels in the order in which they are kept."""
    return tuple(sorted(found.items())) if found else NO_LABELS


def hour_of(at: int) -> int:
    """The hour (since 1970) in which a sample is kept."""
    return at // HOUR


def day_of(at: int) -> int:
    """The day (since 1970, UTC) that a moment is in."""
    return at // DAY

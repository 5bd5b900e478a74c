"""Samples made fewer: by equal stretches of time, each with its count, sum, least and greatest value and one percentile."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.metrics.packs import Columns, Times, Values


class Buckets(NamedTuple):
    """Stretches of time in order: when each begins, and what its samples come to."""

    begins: Times
    counts: NDArray[np.int64]
    sums: Values
    lows: Values
    highs: Values
    quantiles: Values


def gather(columns: Columns, step: int, share: float | None) -> Buckets:
    """The samples of *columns* by *step*; *share*: the percentile that is wanted, as 0.95."""
    times, values = columns
    begins, first = _edges(times // step * step)
    counts = np.diff(np.append(first, len(times)))
    sums, lows, highs = (kind.reduceat(values, first) for kind in (np.add, np.minimum, np.maximum))
    quantiles = sums if share is None else _quantiles(values, first, counts, (share,))[0]
    return Buckets(begins, counts, sums, lows, highs, quantiles)


def figures(columns: Columns, length: int) -> tuple[NDArray[Any], ...]:
    """What each stretch of a *length* comes to: its place (since 1970), and what a `Rollup` says of it."""
    times, values = columns
    places, first = _edges(times // length)
    counts = np.diff(np.append(first, len(times)))
    sums, lows, highs = (kind.reduceat(values, first) for kind in (np.add, np.minimum, np.maximum))
    return places, counts, sums, lows, highs, *_quantiles(values, first, counts, (0.5, 0.95, 0.99))


def of_rows(rows: Sequence[tuple[float, ...]], length: int, step: int) -> Buckets:
    """Roll-ups (place, count, sum, min, max, percentile), each *length* long, by *step*; of several in one the percentile means nothing."""
    table = np.array(rows, np.float64).T
    begins = table[0].astype(np.int64) * length // step * step
    return _merged(Buckets(begins, table[1].astype(np.int64), *table[2:]))


def merge(parts: Sequence[Buckets]) -> Buckets:
    """Parts in the order of time as one; where one ends in the stretch in which the next begins, they are put together."""
    if len(parts) == 1:
        return parts[0]
    return _merged(Buckets(*[np.concatenate(some) for some in zip(*parts, strict=True)]))


def _merged(found: Buckets) -> Buckets:
    begins, first = _edges(found.begins)
    if len(begins) == len(found.begins):
        return found
    counts, sums = (np.add.reduceat(some, first) for some in (found.counts, found.sums))
    lows, highs = np.minimum.reduceat(found.lows, first), np.maximum.reduceat(found.highs, first)
    return Buckets(begins, counts, sums, lows, highs, found.quantiles[first])


def _edges(begins: Times) -> tuple[Times, NDArray[np.intp]]:
    """Each beginning once, and where it first stands."""
    first = np.flatnonzero(np.concatenate(([True], begins[1:] != begins[:-1])))
    return begins[first], first


def _quantiles(values: Values, first: NDArray[np.intp], counts: NDArray[np.int64], shares: Sequence[float]) -> list[Values]:
    """Of each stretch the values below which each of *shares* lies; between two it is divided evenly (see `rules.quantile`)."""
    ranked = _ranked(values, counts)
    return [_quantile(ranked, first, counts, share) for share in shares]


def _ranked(values: Values, counts: NDArray[np.int64]) -> Values:
    """The values of each stretch in order; where all have as many, as they have on a regular grid, that is five times as quick."""
    if counts[0] * len(counts) == len(values) and np.all(counts == counts[0]):
        return np.sort(values.reshape(-1, counts[0]), axis=1).ravel()
    bucket = np.repeat(np.arange(len(counts)), counts)
    return values[np.lexsort((values, bucket))]


def _quantile(ranked: Values, first: NDArray[np.intp], counts: NDArray[np.int64], share: float) -> Values:
    place = (counts - 1) * share
    low = place.astype(np.int64)
    part = place - low
    below = ranked[first + low]
    above = ranked[first + np.minimum(low + 1, counts - 1)]
    return np.asarray(np.where(part == 0, below, below * (1 - part) + above * part))

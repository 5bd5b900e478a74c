"""Curves: what some series were like over a time, in as many points as are wanted.

What whole hours and days come to is read from their roll-ups where the step allows it, the rest from the samples. Long times
are read a piece at a time, so that a question never holds more than some days of its series at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, HOUR
from tocsin.metrics import rolling
from tocsin.metrics.model import Agg, Curve, Question, Series
from tocsin.metrics.rules import step_for
from tocsin.metrics.store import HistoryStore, by_key, by_series, oldest

if TYPE_CHECKING:
    from tocsin.metrics.buckets import Buckets
    from tocsin.metrics.packs import Columns

_Row = tuple[float, ...]  # place, count, sum, least, greatest, percentile

PIECE = 12 * DAY  # of samples, read at once


class _Stretch(msgspec.Struct, frozen=True):
    """A part of the time and where it is read: roll-ups of a length, or (None) samples."""

    start: int
    end: int
    length: int | None


def curves(connection: sa.Connection, keeper: HistoryStore, series: Sequence[Series], question: Question) -> list[Curve]:
    """The answer for each of *series* that has anything in that time."""
    gathered = _Gathered(question, question.step or step_for(question))
    ids = [one.id for one in series]
    for stretch in _stretches(connection, question, gathered.step):
        if stretch.length is None:
            gathered.add_samples(keeper.columns(connection, ids, stretch.start, stretch.end))
        else:
            gathered.add_rollups(_rows(connection, ids, stretch, question.agg), stretch.length)
    return [gathered.curve(one) for one in series if one.id in gathered.parts]


class _Gathered:
    """What has been read so far; the samples themselves as well, as long as there are no more than are wanted."""

    def __init__(self, question: Question, step: int) -> None:
        self.step, self._question = step, question
        self._wants_samples = question.step is None and question.agg is Agg.AVG
        self.parts: dict[int, list[Buckets]] = {}
        self._samples: dict[int, list[Columns]] = {}

    def add_samples(self, found: "Mapping[int, Columns]") -> None:
        """The samples of the next stretch."""
        from tocsin.metrics import buckets  # noqa: PLC0415 - numpy, which an idle server does not need

        for series_id, columns in found.items():
            self.parts.setdefault(series_id, []).append(buckets.gather(columns, self.step, self._question.agg.share))
            kept = self._samples.setdefault(series_id, [])
            if sum(len(times) for times, _ in kept) <= self._question.width:
                kept.append(columns)

    def add_rollups(self, found: "Mapping[int, Sequence[_Row]]", length: int) -> None:
        """The roll-ups of the next stretch."""
        from tocsin.metrics import buckets  # noqa: PLC0415 - numpy, which an idle server does not need

        self._wants_samples = False
        for series_id, rows in found.items():
            self.parts.setdefault(series_id, []).append(buckets.of_rows(rows, length, self.step))

    def curve(self, series: Series) -> Curve:
        """What there is of one series."""
        from tocsin.metrics import buckets  # noqa: PLC0415 - numpy, which an idle server does not need

        joined = buckets.merge(self.parts[series.id])
        if self._wants_samples and int(joined.counts.sum()) <= self._question.width:
            points = [point for times, values in self._samples[series.id] for point in zip(times.tolist(), values.tolist(), strict=True)]
            return Curve(series, None, points, None)
        points = list(zip(joined.begins.tolist(), _chosen(joined, self._question.agg), strict=True))
        if self._question.agg is not Agg.AVG:
            return Curve(series, self.step, points, None)
        return Curve(series, self.step, points, list(zip(joined.lows.tolist(), joined.highs.tolist(), strict=True)))


def _chosen(found: "Buckets", agg: Agg) -> list[float]:
    if agg is Agg.AVG:
        return list((found.sums / found.counts).tolist())
    by_name = {Agg.MIN: found.lows, Agg.MAX: found.highs, Agg.SUM: found.sums, Agg.COUNT: found.counts}
    return list(by_name.get(agg, found.quantiles).tolist())


def _stretches(connection: sa.Connection, question: Question, step: int) -> Iterator[_Stretch]:
    marks = rolling.marks(connection)
    levels = []
    if marks is not None:
        is_share = question.agg.share is not None
        ends = {DAY: marks.day * DAY, HOUR: marks.hour * HOUR}
        levels = [(length, end) for length, end in ends.items() if (step == length if is_share else step % length == 0)]
    for stretch in _cover(question.start, question.end, levels):
        if stretch.length is not None:
            yield stretch
            continue
        first = oldest(connection)
        if first is not None and first < stretch.end:
            yield from _pieces(_Stretch(max(stretch.start, first), stretch.end, None), step)


def _cover(start: int, end: int, levels: Sequence[tuple[int, int]]) -> Iterator[_Stretch]:
    """Whole days, then whole hours, then the rest, by time."""
    if start >= end:
        return
    if not levels:
        yield _Stretch(start, end, None)
        return
    (length, done), rest = levels[0], levels[1:]
    low, high = -(-start // length) * length, min(done, end // length * length)
    if low >= high:
        yield from _cover(start, end, rest)
        return
    yield from _cover(start, low, rest)
    yield _Stretch(low, high, length)
    yield from _cover(high, end, rest)


def _pieces(stretch: _Stretch, step: int) -> Iterator[_Stretch]:
    """A long stretch cut where a step begins."""
    piece = -(-PIECE // step) * step
    edges = [stretch.start, *range((stretch.start // step) * step + piece, stretch.end, piece), stretch.end]
    return (_Stretch(start, end, None) for start, end in pairwise(edges))


def _rows(connection: sa.Connection, ids: Sequence[int], stretch: _Stretch, agg: Agg) -> dict[int, list[_Row]]:
    """The roll-ups of a stretch, by series."""
    length, figure = stretch.length or HOUR, agg.value if agg.share else "p50"
    within, figures = range(stretch.start // length, stretch.end // length), f"count, sum, min, max, {figure}"
    if length == DAY:
        some_days = f"day BETWEEN {within.start} AND {within.stop - 1}"
        found = by_series(connection, f"SELECT series_id, day, {figures} FROM rollups_daily WHERE {some_days}", ids)  # noqa: S608 - our own words
    else:
        days = range(stretch.start // DAY, (stretch.end - 1) // DAY + 1)
        found = by_key(connection, f"SELECT series_id, hour, {figures} FROM rollups_hourly", "day", days, ids)  # noqa: S608 - the same
    low, high = within.start, within.stop
    rows = {series_id: [one[1:] for one in some if low <= one[1] < high] for series_id, some in groupby(sorted(found), key=itemgetter(0))}
    return {series_id: some for series_id, some in rows.items() if some}

"""Filling: history that comes all at once, days of many series, is packed and rolled up on the spot and never lies in rows.

What it leaves is what recording, rolling up and sealing would have left. It goes on from where history has got to: what is
already there of its time (rows) is rolled up later, as what comes late always is.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from tocsin.core.clock import DAY, HOUR
from tocsin.core.errors import Conflict
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.metrics import buckets, packing, packs, rolling
from tocsin.metrics.model import day_of
from tocsin.metrics.packs import Columns
from tocsin.metrics.rolling import FIGURES, NONE, Marks, Rolling
from tocsin.metrics.store import PART, SPAN, TENS

Column = NDArray[Any]

_LATE = (
    "INSERT INTO late_days(day, series_id, version) SELECT DISTINCT {cell} / {many}, series_id, 1 FROM {table}"
    " WHERE {cell} >= {since} AND {cell} < {until} ON CONFLICT DO NOTHING"
)
_PLACES = (("samples", "hour", HOUR), ("open_samples", "tens", TENS))


def fill(tx: Tx, columns: Mapping[int, Columns], until: int) -> None:
    """Keeps what *columns* hold by series, and moves history on to the midnight *until* (ms): all of it must lie before, and
    after the midnight to which it was moved the last time. Raises `Conflict` if history has got further.
    """
    before = rolling.marks(tx.sql)
    since = 0 if before is None else before.day * DAY
    if until % DAY or any(len(times) and not since <= times[0] <= times[-1] < until for times, _ in columns.values()):
        raise Conflict(f"history is filled by whole days, each once: here from {since} to before {until}, which must be a midnight")
    if before is not None and (before.hour != before.day * 24 or until < since):
        raise Conflict("history is rolled up further than that: such samples must be recorded")
    whole = {series_id: found for series_id, found in columns.items() if len(found[0])}
    _pack(tx, whole)
    _roll_up(tx, whole)
    for table, cell, length in _PLACES:
        late = _LATE.format(table=table, cell=cell, many=DAY // length, since=since // length, until=until // length)
        tx.sql.execute(sa.text(late))
    Rolling(before, Marks(until // HOUR, NONE, day_of(until), NONE, 0 if before is None else before.turn)).write(tx)


def _pack(tx: Tx, columns: Mapping[int, Columns]) -> None:
    """By span and part, in the order of their key; a pack that is there is made anew."""
    cut = sorted((place, series_id // PART, series_id) for series_id, found in columns.items() for place in _spans(found))
    for (span, part), group in groupby(cut, key=lambda one: one[:2]):
        more = {series_id: packs.between(columns[series_id], span * SPAN, (span + 1) * SPAN) for _, _, series_id in group}
        packing.add(tx, span, part, more)


def _spans(found: Columns) -> range:
    times, _ = found
    return range(int(times[0]) // SPAN, int(times[-1]) // SPAN + 1)


def _roll_up(tx: Tx, columns: Mapping[int, Columns]) -> None:
    if not columns:
        return
    ids, hours, figures = _figures(columns, HOUR)
    _insert(tx, tables.rollups_hourly, ("day", "series_id", "hour"), (hours // 24, ids, hours), figures)
    ids, days, figures = _figures(columns, DAY)
    _insert(tx, tables.rollups_daily, ("series_id", "day"), (ids, days), figures)


def _figures(columns: Mapping[int, Columns], length: int) -> tuple[Column, Column, list[Column]]:
    parts = [(series_id, buckets.figures(found, length)) for series_id, found in columns.items()]
    ids = np.concatenate([np.full(len(found[0]), series_id) for series_id, found in parts])
    places, *figures = (np.concatenate(some) for some in zip(*(found for _, found in parts), strict=True))
    return ids, places, figures


def _insert(tx: Tx, table: sa.Table, names: tuple[str, ...], keys: Sequence[Column], figures: Sequence[Column]) -> None:
    """In the order of the key, so that neighbours are written together."""
    order = np.lexsort(keys[::-1])
    rows = list(zip(*(column[order].tolist() for column in (*keys, *figures)), strict=True))
    bulk.insert_new(tx, table, (*names, *FIGURES), rows)

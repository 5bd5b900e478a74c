"""Removing: a series leaves the list at once, and what was measured of it goes a little at a time.

That it was removed is a row of its own, which stays: so what is left of it is known after a kill, its number is never given
to another series, and every process sees that what it knew of it is over (service.py). What is packed or rolled up of it in
between is taken out as well. Each step is a look and a small transaction that may be done twice.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, MINUTE
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.metrics import packing
from tocsin.metrics.model import Series, day_of, hour_of
from tocsin.metrics.packing import Packing
from tocsin.metrics.store import PART, hours_of_rows, tens_of_open

SETTLED = MINUTE  # what another process was just storing of it is committed by then
EARLIER = 8 * DAY  # how long before the first sample that came there may be another
MAX_ROWS = 4_000  # that go in one transaction
_COLUMNS = ("series_id", "first_at", "removed_at")

_SERIES, _REMOVED, _BLOCKS = tables.series, tables.removed_series, tables.blocks
_OPEN, _SAMPLES = tables.open_samples, tables.samples
_PLACES = ((_OPEN, "tens"), (_SAMPLES, "hour"), (tables.late_days, "day"), (tables.rollups_hourly, "day"), (tables.rollups_daily, "day"))


class Removal(msgspec.Struct, frozen=True):
    """Rows that go: those of some series in some moments, hours or days."""

    table: str
    first: str
    cells: Sequence[int]
    series_ids: Sequence[int]

    def write(self, tx: Tx) -> bool:
        """Takes them out."""
        c = tables.metadata.tables[self.table].c
        gone = sa.and_(c[self.first].in_(self.cells), c.series_id.in_(self.series_ids))
        tx.sql.execute(sa.delete(c.series_id.table).where(gone))
        return True


class Swept(msgspec.Struct, frozen=True):
    """Nothing is left of these series."""

    series_ids: Sequence[int]
    at: int

    def write(self, tx: Tx) -> bool:
        """Notes it."""
        tx.sql.execute(_REMOVED.update().where(_REMOVED.c.series_id.in_(self.series_ids)).values(swept_at=self.at))
        return True


def hold(tx: Tx) -> None:
    """Nobody else removes series before this transaction ends: of two removals the one with the higher number is seen later."""
    if not tx.is_sqlite:
        tx.driver.execute("LOCK TABLE removed_series IN SHARE ROW EXCLUSIVE MODE")


def remove(tx: Tx, series: Sequence[Series], now: int) -> None:
    """They are in the list no more."""
    bulk.insert(tx, _REMOVED, _COLUMNS, [(one.id, one.first_at, now) for one in series])
    tx.sql.execute(_SERIES.delete().where(_SERIES.c.id.in_([one.id for one in series])))


def last(tx: Tx) -> int:
    """The number of the newest removal; 0: nothing was ever removed."""
    return int(tx.driver.execute("SELECT max(number) FROM removed_series").fetchone()[0] or 0)


def since(tx: Tx, number: int) -> frozenset[int]:
    """The series that were removed after that removal."""
    return frozenset(tx.sql.execute(sa.select(_REMOVED.c.series_id).where(_REMOVED.c.number > number)).scalars())


def look(connection: sa.Connection, now: int) -> Removal | Packing | Swept | None:
    """The next of what is left of removed series; those of one pack at once. None: nothing is left of any."""
    c = _REMOVED.c
    left = sa.and_(c.swept_at.is_(None), c.removed_at <= now - SETTLED)
    first = connection.execute(sa.select(sa.func.min(c.series_id)).where(left)).scalar_one_or_none()
    if first is None:
        return None
    part = first // PART
    mine = c.series_id.between(part * PART, part * PART + PART - 1)
    found = connection.execute(sa.select(c.series_id, c.first_at).where(left, mine).order_by(c.series_id)).all()
    ids, begins = [one.series_id for one in found], min(one.first_at for one in found) - EARLIER
    for piece in (*_rows(connection, ids, begins, now), _packed(connection, part, frozenset(ids))):
        if piece is not None:
            return piece
    return Swept(ids, now)


def _rows(connection: sa.Connection, ids: Sequence[int], begins: int, now: int) -> Iterator[Removal]:
    hours, days = hours_of_rows(connection), range(day_of(begins), day_of(now) + 2)
    of = {_OPEN: tens_of_open(connection), _SAMPLES: range(max(hours.start, hour_of(begins)), hours.stop)}
    for table, name in _PLACES:
        place, cells = table.c[name], of.get(table, days)
        query = sa.select(place, sa.func.count()).where(place.in_(cells), table.c.series_id.in_(ids))
        chosen = _some(connection.execute(query.group_by(place).order_by(place))) if cells else []
        if chosen:
            yield Removal(table.name, name, chosen, ids)


def _some(counted: "Iterable[sa.Row[int, int]]") -> list[int]:
    """The first moments, hours or days, as many as may go at once; at least one."""
    chosen: list[int] = []
    total = 0
    for cell, count in counted:
        total += count
        if chosen and total > MAX_ROWS:
            break
        chosen.append(cell)
    return chosen


def _packed(connection: sa.Connection, part: int, ids: frozenset[int]) -> Packing | None:
    """The first pack of their part that has any of them, without them."""
    from tocsin.metrics import packs  # noqa: PLC0415 - numpy, which an idle server does not need

    c = _BLOCKS.c
    for span, pack in connection.execute(sa.select(c.span, c.pack).where(c.part == part).order_by(c.span)):
        if ids & packs.series_in(pack):
            return packing.without(connection, span, part, ids)
    return None

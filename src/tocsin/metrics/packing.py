"""Sealing: samples older than two days leave their rows for packs, a little at a time.

Each step is one look (outside the writer, where packing costs time) and one small transaction that writes the pack and takes
out the very rows that are in it, or does nothing if anything changed in between. Dying anywhere loses nothing and doubles
nothing; a late sample is a row again until it is sealed into the pack of its time.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.metrics import rolling
from tocsin.metrics.model import day_of
from tocsin.metrics.store import PART, SPAN_DAYS, Row, hours_of_rows, rows_within

if TYPE_CHECKING:
    from tocsin.metrics.packs import Columns

OPEN_DAYS = 2  # whole days that stay rows
MAX_ROWS = 5_000  # samples that leave their rows in one transaction: some ten milliseconds
SPAN_HOURS = SPAN_DAYS * 24

_SAMPLES, _BLOCKS = tables.samples, tables.blocks


class Packing(msgspec.Struct, frozen=True):
    """What is to be done: ``count`` rows go into a pack, which replaces that of this revision (0: there is none yet)."""

    span: int
    part: int
    hours: range
    count: int
    revision: int
    samples: int
    pack: bytes

    def write(self, tx: Tx) -> bool:
        """Does it. False, and nothing is done: something has changed since it was looked at."""
        tx.driver.execute("SAVEPOINT sealing")
        is_whole = self.put(tx) and self._take_out(tx) == self.count
        if not is_whole:
            tx.driver.execute("ROLLBACK TO SAVEPOINT sealing")
        tx.driver.execute("RELEASE SAVEPOINT sealing")
        return is_whole

    def put(self, tx: Tx) -> bool:
        """Puts the pack in the place of that revision, or nothing if it is empty; False if there is another by now."""
        here = (self.span, self.part, self.revision)
        values: tuple[object, ...] = (self.samples, self.pack, *here) if self.samples else here
        sql = _DELETE if not self.samples else _REPLACE if self.revision else _INSERT
        return bool(tx.driver.execute(sql if tx.is_sqlite else sql.replace("?", "%s"), values).rowcount)

    def _take_out(self, tx: Tx) -> int:
        c = _SAMPLES.c
        mine = c.series_id.between(self.part * PART, self.part * PART + PART - 1)
        return int(tx.sql.execute(_SAMPLES.delete().where(c.hour.in_([*self.hours]), mine)).rowcount)


_INSERT = "INSERT INTO blocks(samples, pack, span, part, revision) VALUES (?, ?, ?, ?, ? + 1) ON CONFLICT DO NOTHING"
_REPLACE = "UPDATE blocks SET samples = ?, pack = ?, revision = revision + 1 WHERE span = ? AND part = ? AND revision = ?"
_DELETE = "DELETE FROM blocks WHERE span = ? AND part = ? AND revision = ?"


def look(connection: sa.Connection, now: int) -> Packing | None:
    """The next rows to be sealed, packed: of whole days that are rolled up, from the oldest on. None: there are none."""
    marks = rolling.marks(connection)
    hours = hours_of_rows(connection)
    limit = 0 if marks is None else min(day_of(now) - OPEN_DAYS, marks.day) * 24
    if not hours or hours[0] >= limit:
        return None
    first = hours[0]
    c = _SAMPLES.c
    series_id = connection.execute(sa.select(sa.func.min(c.series_id)).where(c.hour == first)).scalar_one()
    span = first // SPAN_HOURS
    return _packed(connection, span, series_id // PART, range(first, min(limit, (span + 1) * SPAN_HOURS)))


def _packed(connection: sa.Connection, span: int, part: int, hours: range) -> Packing:
    from tocsin.metrics import packs  # noqa: PLC0415 - numpy, which an idle server does not need

    rows, done = _some_rows(connection, hours, range(part * PART, (part + 1) * PART))
    return _joined(connection, span, part, packs.columns_of(sorted(rows)), (done, len(rows)))


def add(tx: Tx, span: int, part: int, more: "Mapping[int, Columns]") -> None:
    """Puts what was never a row into the pack of its time."""
    _joined(tx.sql, span, part, more, (range(0), 0)).put(tx)


def without(connection: sa.Connection, span: int, part: int, series_ids: frozenset[int]) -> Packing:
    """The pack without these series."""
    return _joined(connection, span, part, {}, (range(0), 0), series_ids)


_NONE: frozenset[int] = frozenset()


def _joined(
    connection: sa.Connection, span: int, part: int, more: "Mapping[int, Columns]", taken: tuple[range, int], gone: frozenset[int] = _NONE
) -> Packing:
    """The pack with *more* and without what is *gone*; *taken*: the hours and the number of the rows that it comes from."""
    from tocsin.metrics import packs  # noqa: PLC0415 - numpy, which an idle server does not need

    c = _BLOCKS.c
    block = connection.execute(sa.select(c.revision, c.pack).where(c.span == span, c.part == part)).one_or_none()
    columns = {} if block is None else {key: found for key, found in packs.unpack(block.pack).items() if key not in gone}
    for series_id, some in more.items():
        columns[series_id] = packs.join([columns[series_id], some]) if series_id in columns else some
    samples = sum(len(times) for times, _ in columns.values())
    pack = packs.pack(dict(sorted(columns.items())))
    return Packing(span, part, *taken, 0 if block is None else block.revision, samples, pack)


def _some_rows(connection: sa.Connection, hours: range, series_ids: range) -> tuple[list[Row], range]:
    """The rows of the first of *hours*, as many as one transaction may take out; at least those of one hour."""
    rows: list[Row] = []
    for hour in hours:
        more = rows_within(connection, range(hour, hour + 1), series_ids)
        if rows and len(rows) + len(more) > MAX_ROWS:
            return rows, range(hours.start, hour)
        rows += more
    return rows, hours

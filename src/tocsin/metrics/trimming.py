"""Retention: history that is too old goes, a little at a time. Roll-ups of days stay."""

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.metrics.model import day_of
from tocsin.metrics.store import SPAN_DAYS

HOURLY_DAYS = 730  # how long roll-ups of hours stay
MAX_BLOCKS = 20  # that go in one transaction
MAX_ROLLUPS = 2_000

_BLOCKS, _HOURLY = tables.blocks, tables.rollups_hourly


class Trimming(msgspec.Struct, frozen=True):
    """What is to go: of one span of blocks or of one day of roll-ups, what belongs to the parts or series up to ``last``."""

    table: str
    place: int
    last: int

    def write(self, tx: Tx) -> bool:
        """Takes it out."""
        mark = "?" if tx.is_sqlite else "%s"
        first, second = ("span", "part") if self.table == _BLOCKS.name else ("day", "series_id")
        delete = f"DELETE FROM {self.table} WHERE {first} = {mark} AND {second} <= {mark}"  # noqa: S608 - our own names
        tx.driver.execute(delete, (self.place, self.last))
        return True


def look(connection: sa.Connection, days: int, now: int) -> Trimming | None:
    """The next that is older than *days* (samples), or than two years (roll-ups of hours)."""
    oldest_day = day_of(now) - days
    c, h = _BLOCKS.c, _HOURLY.c
    return _next(connection, c.span, c.part, (oldest_day // SPAN_DAYS) - 1, MAX_BLOCKS) or _next(
        connection, h.day, h.series_id, day_of(now) - HOURLY_DAYS - 1, MAX_ROLLUPS
    )


def _next(connection: sa.Connection, first: sa.Column[int], second: sa.Column[int], until: int, at_once: int) -> Trimming | None:
    place = connection.execute(sa.select(sa.func.min(first)).where(first <= until)).scalar_one_or_none()
    if place is None:
        return None
    some = sa.select(second).where(first == place).order_by(second).limit(at_once).subquery()
    last = connection.execute(sa.select(sa.func.max(some.c[second.name]))).scalar_one()
    return Trimming(first.table.name, place, last)

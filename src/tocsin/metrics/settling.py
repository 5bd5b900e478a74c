"""Settling: samples that are some tens old leave the order in which they came for the order in which they are read.

Each step moves some series of a quarter of an hour in one transaction. It may be done twice, and by two at once: a row that is there
already stays as it is.
"""

import json
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.db.writer import Tx
from tocsin.metrics.rules import QUARTER, SETTLED, opens
from tocsin.metrics.store import TENS, tens_of_open

MAX_ROWS = 4_000  # that move in one transaction
QUARTER_TENS = QUARTER // TENS
MOST_SERIES = 4_096  # whose rows are counted together


class Settling(msgspec.Struct, frozen=True):
    """What is to move: the open rows of some series, of a time within a quarter of an hour."""

    tens: range
    series_ids: range

    def write(self, tx: Tx) -> bool:
        """Moves them."""
        for statement in (_INSERT, _DELETE):
            _run(tx.driver, statement, self.tens, self.series_ids, is_sqlite=tx.is_sqlite)
        return True


_WHERE = " FROM open_samples WHERE tens IN {tens} AND series_id BETWEEN {mark} AND {mark}"
_INSERT = (
    "INSERT INTO samples(hour, series_id, at, value) SELECT tens / 360, series_id, at, value"
    + _WHERE
    + " ORDER BY series_id, at ON CONFLICT DO NOTHING"
)
_DELETE = "DELETE" + _WHERE
_COUNT = "SELECT tens, count(*)" + _WHERE + " GROUP BY tens ORDER BY tens"
_FIRST = "SELECT min((SELECT series_id FROM open_samples WHERE tens = m.value ORDER BY series_id LIMIT 1)) FROM {listed}"


def look(connection: sa.Connection, now: int) -> Settling | None:
    """The next rows that are to move: of the oldest quarter of an hour, from the first series on. None: what is old is settled."""
    opened = tens_of_open(connection)
    if not opened or opened[0] * TENS >= opens(now - SETTLED):
        return None
    tens = range(opened[0], (opened[0] // QUARTER_TENS + 1) * QUARTER_TENS)
    is_sqlite, driver = connection.dialect.name == "sqlite", connection.connection.driver_connection
    first = _first(driver, tens, is_sqlite=is_sqlite)
    many = 1
    counts = _run(driver, _COUNT, tens, range(first, first + 1), is_sqlite=is_sqlite)
    while many < MOST_SERIES:  # twice as many as long as they fit
        more = _run(driver, _COUNT, tens, range(first, first + 2 * many), is_sqlite=is_sqlite)
        if sum(count for _, count in more) > MAX_ROWS:
            break
        many, counts = 2 * many, more
    return Settling(range(tens.start, _end(counts)), range(first, first + many))


def _end(counts: list[tuple[int, int]]) -> int:
    """Before which moment to stop: one series alone may have more than can move at once."""
    total = 0
    for place, count in counts:
        total += count
        if total > MAX_ROWS and total > count:
            return place
    return counts[-1][0] + 1


def _first(driver: Any, tens: range, *, is_sqlite: bool) -> int:
    """The first series that has any rows of this time: asked for one by one, or all rows would be read."""
    listed, cells = ("json_each(?) AS m", json.dumps([*tens])) if is_sqlite else ("unnest(%s::integer[]) AS m(value)", [*tens])
    return int(driver.execute(_FIRST.format(listed=listed), (cells,)).fetchone()[0])


def _run(driver: Any, statement: str, tens: range, series_ids: range, *, is_sqlite: bool) -> list[Any]:
    mark = "?" if is_sqlite else "%s"
    listed = f"({', '.join(map(str, tens))})"
    done = driver.execute(statement.format(tens=listed, mark=mark), (series_ids.start, series_ids.stop - 1))
    return list(done.fetchall()) if statement is _COUNT else []

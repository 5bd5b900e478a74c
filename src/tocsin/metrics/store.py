"""Where samples are kept: what any keeper of history can do, and the one that keeps it in the database.

In the database the last days are rows, and what is older is sealed into packs (packing.py). Both are read alike: of two
samples of the same series and moment, the sealed one came first.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count as count_from
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, HOUR
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.metrics.model import Labels, Series, SeriesFilter, hour_of, labels_of
from tocsin.metrics.rules import last_closed_hour

if TYPE_CHECKING:
    from tocsin.metrics.packs import Columns

Row = tuple[int, int, float]  # series, moment, value
Key = tuple[int, str, str, Labels]  # site, name, host, labels
Point = tuple[int, float]
Place = tuple[int, str, str, str]  # of a series in the list of all: site, host, name, labels

RECENT = 2  # hours in which nearly every series has its newest value
AT_ONCE = 500  # series in one question
SPAN_DAYS = 6  # in one block
SPAN = SPAN_DAYS * DAY
PART = 16  # series in one block

_SERIES, _SAMPLES, _BLOCKS = tables.series, tables.samples, tables.blocks
_SAMPLE_COLUMNS = ("hour", "series_id", "at", "value")
_SERIES_COLUMNS = ("site_id", "host", "name", "labels", "first_at")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class HistoryStore(Protocol):
    """What keeps samples. The series themselves are always in the database."""

    def add(self, tx: Tx, rows: Sequence[Row], now: int) -> int:
        """Keeps *rows*; of two of the same series and moment the first stays. Answers how many were new."""
        ...

    def newest(self, connection: sa.Connection, series_ids: Sequence[int], since: int) -> dict[int, Point]:
        """The last moment and value of each of these series that has one since *since*."""
        ...

    def points(self, connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> dict[int, list[Point]]:
        """All moments and values of each series from *start* to before *end*, by time; a series without any is left out."""
        ...

    def columns(self, connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> "dict[int, Columns]":
        """The same as arrays: what many points are read by."""
        ...


class SqlHistory:
    """History in the database."""

    def add(self, tx: Tx, rows: Sequence[Row], now: int) -> int:
        """See `HistoryStore`. In the order of the key, so that neighbours are written together."""
        keyed = sorted([(at // HOUR, series_id, at, value) for series_id, at, value in rows])
        closed = last_closed_hour(now)
        if keyed and keyed[0][0] <= closed:
            late = sorted({(hour // 24, series_id) for hour, series_id, _, _ in keyed if hour <= closed})
            bulk.upsert(
                tx, tables.late_days, ("day", "series_id", "version"), [(*one, 1) for one in late], "version = late_days.version + 1"
            )
        return bulk.insert_new(tx, _SAMPLES, _SAMPLE_COLUMNS, keyed)

    def newest(self, connection: sa.Connection, series_ids: Sequence[int], since: int) -> dict[int, Point]:
        """See `HistoryStore`. Nearly always in the last two hours; only what is silent is looked for further back."""
        _, last = hours_of_rows(connection)
        first, recent = hour_of(since), max(hour_of(since), last - RECENT + 1)
        found = _newest(connection, series_ids, range(recent, last + 1))
        missing = [series_id for series_id in series_ids if series_id not in found]
        found |= _newest(connection, missing, range(first, recent))
        return {series_id: point for series_id, point in found.items() if point[0] >= since}

    def points(self, connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> dict[int, list[Point]]:
        """See `HistoryStore`."""
        found: dict[int, dict[int, float]] = {}
        for series_id, at, value in _rows(connection, series_ids, start, end):
            found.setdefault(series_id, {})[at] = value
        for pack in packs_of(connection, series_ids, start, end):
            for series_id, (times, values) in _opened(pack, series_ids).items():
                found.setdefault(series_id, {}).update(zip(times.tolist(), values.tolist(), strict=True))
        chosen = {series_id: sorted(one for one in points.items() if start <= one[0] < end) for series_id, points in found.items()}
        return {series_id: points for series_id, points in chosen.items() if points}

    def columns(self, connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> "dict[int, Columns]":
        """See `HistoryStore`."""
        from tocsin.metrics import packs  # noqa: PLC0415 - numpy, which an idle server does not need

        parts: dict[int, list[Columns]] = {}
        for pack in packs_of(connection, series_ids, start, end):
            for series_id, columns in _opened(pack, series_ids).items():
                parts.setdefault(series_id, []).append(columns)
        for series_id, columns in packs.columns_of(_rows(connection, series_ids, start, end)).items():
            parts.setdefault(series_id, []).append(columns)
        joined = {series_id: packs.between(packs.join(some), start, end) for series_id, some in parts.items()}
        return {series_id: columns for series_id, columns in joined.items() if len(columns[0])}


def hours_of_rows(connection: sa.Connection) -> tuple[int, int]:
    """The first and the last hour of which there are rows; (0, -1) if there are none. Two questions: of one, SQLite would read all."""
    first, last = connection.exec_driver_sql("SELECT (SELECT min(hour) FROM samples), (SELECT max(hour) FROM samples)").one()
    return (0, -1) if first is None else (first, last)


def oldest(connection: sa.Connection) -> int | None:
    """From when on there may be samples; None: there are none."""
    first, last = hours_of_rows(connection)
    span = connection.exec_driver_sql("SELECT min(span) FROM blocks").scalar_one_or_none()
    begins = [*([first * HOUR] if first <= last else []), *([] if span is None else [span * SPAN])]
    return min(begins, default=None)


def _rows(connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> list[Row]:
    """The samples that are rows, by hour and series."""
    first, last = hours_of_rows(connection)
    hours = range(max(first, hour_of(start)), min(last, hour_of(end - 1)) + 1)
    return rows_within(connection, hours, series_ids)


def rows_within(connection: sa.Connection, hours: range, series_ids: Sequence[int]) -> list[Row]:
    """The samples of some series in some hours that are rows."""
    return by_key(connection, "SELECT series_id, at, value FROM samples", "hour", hours, series_ids)


def by_key(connection: sa.Connection, select: str, first: str, cells: Sequence[int], series_ids: Sequence[int]) -> list[Any]:
    """Rows by the two first columns of their key, *first* and the series, in any order.

    Lists and not spans, so that each is found by the key; and through the driver: these may be a hundred thousand.
    """
    if not cells or not series_ids:
        return []
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        where = f"{first} IN (SELECT value FROM json_each(?)) AND series_id IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own name
        return list(driver.execute(f"{select} WHERE {where}", (json.dumps([*cells]), json.dumps([*series_ids]))).fetchall())
    where = f"{first} = ANY(%s::integer[]) AND series_id = ANY(%s::bigint[])"
    return list(driver.execute(f"{select} WHERE {where}", ([*cells], [*series_ids])).fetchall())


def by_series(connection: sa.Connection, select: str, series_ids: Sequence[int]) -> list[Any]:
    """Rows of a table whose key begins with the series; *select* has a condition already."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        listed = f"{select} AND series_id IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own words
        return list(driver.execute(listed, (json.dumps([*series_ids]),)).fetchall())
    return list(driver.execute(f"{select} AND series_id = ANY(%s::bigint[])", ([*series_ids],)).fetchall())


def packs_of(connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> list[bytes]:
    """The packs in which these series may have samples of that time."""
    if end <= start or not series_ids:
        return []
    c = _BLOCKS.c
    spans, parts = range(start // SPAN, (end - 1) // SPAN + 1), sorted({series_id // PART for series_id in series_ids})
    query = sa.select(c.pack).where(c.span.between(spans.start, spans.stop - 1), c.part.in_(parts))
    return list(connection.execute(query).scalars())


def _opened(pack: bytes, series_ids: Sequence[int]) -> "dict[int, Columns]":
    from tocsin.metrics import packs  # noqa: PLC0415 - numpy, which an idle server does not need

    return packs.unpack(pack, frozenset(series_ids))


def _newest(connection: sa.Connection, series_ids: Sequence[int], hours: range) -> dict[int, Point]:
    if not hours:
        return {}
    found: dict[int, Point] = {}
    for start in range(0, len(series_ids), AT_ONCE):
        rows = connection.execute(_NEWEST, {"hours": list(hours), "ids": series_ids[start : start + AT_ONCE]})
        found |= {series_id: (at, value) for series_id, at, value in rows}
    return found


_NEWEST = sa.text(
    "SELECT s.series_id, s.at, s.value FROM (SELECT series_id, max(at) AS last FROM samples"  # noqa: S608 - our own number
    " WHERE hour IN :hours AND series_id IN :ids GROUP BY series_id) AS n"
    f" JOIN samples s ON s.hour = n.last / {HOUR} AND s.series_id = n.series_id AND s.at = n.last"
).bindparams(sa.bindparam("hours", expanding=True), sa.bindparam("ids", expanding=True))


# --- Series


def ids_of(tx: Tx, keys: Sequence[Key]) -> dict[Key, int]:
    """The ids of those of these series that are there."""
    if not keys:
        return {}
    wanted = [(site_id, host, name, labels_text(labels)) for site_id, name, host, labels in keys]
    if tx.is_sqlite:
        found = [(place, tx.driver.execute(_ID, one).fetchone()) for place, one in enumerate(wanted)]
        return {keys[place]: row[0] for place, row in found if row is not None}
    rows = tx.driver.execute(_IDS, [list(column) for column in zip(*wanted, strict=True)])
    return {keys[place - 1]: series_id for place, series_id in rows}


_ID = "SELECT id FROM series WHERE site_id = ? AND host = ? AND name = ? AND labels = ?"
_IDS = (
    "SELECT k.place, s.id FROM unnest(%s::integer[], %s::text[], %s::text[], %s::text[])"
    " WITH ORDINALITY AS k(site_id, host, name, labels, place)"
    " CROSS JOIN LATERAL (SELECT id FROM series WHERE site_id = k.site_id AND host = k.host AND name = k.name"
    " AND labels = k.labels OFFSET 0) AS s"
)


def make(tx: Tx, firsts: Mapping[Key, int]) -> None:
    """Makes these series, each with the moment of its first sample; one that another node was first to make stays as it is."""
    rows = [(site_id, host, name, labels_text(labels), at) for (site_id, name, host, labels), at in firsts.items()]
    if tx.is_sqlite:  # which would give the number of the last series to the next, were the last removed
        numbers = count_from(tx.driver.execute(_LAST_ID).fetchone()[0] + 1)
        bulk.insert_new(tx, _SERIES, ("id", *_SERIES_COLUMNS), [(number, *row) for number, row in zip(numbers, rows, strict=False)])
    else:
        bulk.insert_new(tx, _SERIES, _SERIES_COLUMNS, rows)


_LAST_ID = "SELECT max(ifnull((SELECT max(id) FROM series), 0), ifnull((SELECT max(series_id) FROM removed_series), 0))"


def count(tx: Tx, site_id: int) -> int:
    """How many series a site has."""
    return int(tx.sql.execute(sa.select(sa.func.count()).select_from(_SERIES).where(_SERIES.c.site_id == site_id)).scalar_one())


def find(connection: sa.Connection, wanted: SeriesFilter, after: Place | None = None, limit: int | None = None) -> list[Series]:
    """The series that fit, by site, host, name and labels; *after* goes on behind one of them."""
    c = _SERIES.c
    order = (c.site_id, c.host, c.name, c.labels)
    query = sa.select(c.id, c.site_id, c.name, c.host, c.labels, c.first_at).where(*_conditions(wanted)).order_by(*order)
    if after is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after)))
    if limit is not None and not wanted.labels:
        query = query.limit(limit)
    found = (Series(row.id, row.site_id, row.name, row.host, labels_from(row.labels), row.first_at) for row in connection.execute(query))
    return list(_fitting(found, wanted.labels, limit))


def names(connection: sa.Connection, site_ids: frozenset[int] | None) -> list[tuple[str, int]]:
    """What is measured at these sites (None: at all), each name with how many series have it."""
    query = sa.select(_SERIES.c.name, sa.func.count()).where(*_conditions(SeriesFilter(site_ids=site_ids)))
    return [(name, count) for name, count in connection.execute(query.group_by(_SERIES.c.name).order_by(_SERIES.c.name))]


def hosts(connection: sa.Connection, site_ids: frozenset[int] | None, limit: int) -> list[str]:
    """The hosts of which something is measured at these sites (None: at all), by name."""
    query = sa.select(_SERIES.c.host).distinct().where(_SERIES.c.host != "", *_conditions(SeriesFilter(site_ids=site_ids)))
    return list(connection.execute(query.order_by(_SERIES.c.host).limit(limit)).scalars())


def _conditions(wanted: SeriesFilter) -> Iterator[sa.ColumnElement[bool]]:
    c = _SERIES.c
    if wanted.site_ids is not None:
        yield c.site_id.in_(sorted(wanted.site_ids))
    if wanted.name is not None:
        yield c.name == wanted.name
    if wanted.host is not None:
        yield c.host == wanted.host


def _fitting(found: Iterable[Series], labels: Labels, limit: int | None) -> Iterator[Series]:
    left = limit
    for one in found:
        if left == 0:
            return
        if set(labels) <= set(one.labels):
            left = None if left is None else left - 1
            yield one


def place_of(one: Series) -> Place:
    """Where a series stands in the list of all."""
    return one.site_id, one.host, one.name, labels_text(one.labels)


def labels_text(labels: Labels) -> str:
    """Labels as they stand in their column: a JSON object in order."""
    return _encode(dict(labels)).decode() if labels else "{}"


def labels_from(text: str) -> Labels:
    """What stands in the column, as labels."""
    return labels_of(_decode(text))

"""Where samples are kept: what any keeper of history can do, and the one that keeps it in the database.

In the database the samples of the last minutes are open: rows in the order in which they come. Those of the last days are
settled (settling.py): rows by hour and series. What is older is sealed into packs (packing.py). All are read alike: of two
samples of the same series and moment, the sealed one came first, then the settled one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count as count_from, pairwise
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.metrics.model import Labels, Series, SeriesFilter, hour_of, labels_of
from tocsin.metrics.rules import last_closed_hour, opens

if TYPE_CHECKING:
    from tocsin.metrics.packs import Columns

Row = tuple[int, int, float]  # series, moment, value
Key = tuple[int, str, str, Labels]  # site, name, host, labels
Point = tuple[int, float]
Place = tuple[int, str, str, str]  # of a series in the list of all: site, host, name, labels

TENS = 10 * SECOND
RECENT = (MINUTE, 6 * MINUTE)  # in which most series have their newest value, and nearly all
AT_ONCE = 500  # series in one question
SPAN_DAYS = 6  # in one block
SPAN = SPAN_DAYS * DAY
PART = 16  # series in one block

_SERIES, _OPEN, _SAMPLES, _BLOCKS = tables.series, tables.open_samples, tables.samples, tables.blocks
_OPEN_COLUMNS = ("tens", "series_id", "at", "value")
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
        edge = opens(now)
        timely = sorted([(at // TENS, series_id, at, value) for series_id, at, value in rows if at >= edge])
        added = bulk.insert_new(tx, _OPEN, _OPEN_COLUMNS, timely)
        return added if len(timely) == len(rows) else added + _add_late(tx, [row for row in rows if row[1] < edge], now)

    def newest(self, connection: sa.Connection, series_ids: Sequence[int], since: int) -> dict[int, Point]:
        """See `HistoryStore`. Nearly always in the last minutes; only what is silent is looked for further back."""
        opened, hours = tens_of_open(connection), hours_of_rows(connection)
        shared = opened.start * TENS // HOUR if opened else hours.stop
        edges = [opened.stop, *(opened.stop - length // TENS for length in RECENT), max(opened.start, since // TENS)]
        places = [(_NEWEST_OPEN, range(max(low, opened.start), high)) for high, low in pairwise(edges)]
        found: dict[int, Point] = {}
        for question, cells in (*places, (_NEWEST, range(max(hours.start, hour_of(since)), min(hours.stop, shared)))):
            missing = [series_id for series_id in series_ids if series_id not in found]
            found |= _newest(connection, question, missing, cells)
        # Of an hour of which some is settled and some is not.
        for series_id, point in _newest(connection, _NEWEST, series_ids, range(shared, hours.stop)).items():
            found[series_id] = max(point, found.get(series_id, point))
        return {series_id: point for series_id, point in found.items() if point[0] >= since}

    def points(self, connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> dict[int, list[Point]]:
        """See `HistoryStore`."""
        found: dict[int, dict[int, float]] = {}
        for series_id, at, value in _rows(connection, series_ids, start, end):
            found.setdefault(series_id, {}).setdefault(at, value)
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


def _add_late(tx: Tx, rows: Sequence[Row], now: int) -> int:
    """Samples that are not open any more: they are settled at once, unless they are there and not settled yet."""
    closed = last_closed_hour(now)
    days = sorted({(at // DAY, series_id) for series_id, at, _ in rows if at // HOUR <= closed})
    bulk.upsert(tx, tables.late_days, ("day", "series_id", "version"), [(*one, 1) for one in days], "version = late_days.version + 1")
    opened = tens_of_open(tx.sql)
    tens = sorted({at // TENS for _, at, _ in rows if at // TENS in opened})
    known = {(series_id, at) for series_id, at, _ in _open_rows(tx.sql, tens, sorted({row[0] for row in rows}))}
    keyed = sorted([(at // HOUR, series_id, at, value) for series_id, at, value in rows if (series_id, at) not in known])
    return bulk.insert_new(tx, _SAMPLES, _SAMPLE_COLUMNS, keyed)


def hours_of_rows(connection: sa.Connection) -> range:
    """From the first to the last hour of which there are settled rows. Two questions: of one, SQLite would read all."""
    return _span(connection, "SELECT (SELECT min(hour) FROM samples), (SELECT max(hour) FROM samples)")


def tens_of_open(connection: sa.Connection) -> range:
    """The same of the open rows, by ten seconds."""
    return _span(connection, "SELECT (SELECT min(tens) FROM open_samples), (SELECT max(tens) FROM open_samples)")


def _span(connection: sa.Connection, question: str) -> range:
    first, last = connection.exec_driver_sql(question).one()
    return range(0) if first is None else range(first, last + 1)


def oldest(connection: sa.Connection) -> int | None:
    """From when on there may be samples; None: there are none."""
    hours, opened = hours_of_rows(connection), tens_of_open(connection)
    span = connection.exec_driver_sql("SELECT min(span) FROM blocks").scalar_one_or_none()
    begins = [*([hours[0] * HOUR] if hours else []), *([opened[0] * TENS] if opened else []), *([] if span is None else [span * SPAN])]
    return min(begins, default=None)


def _rows(connection: sa.Connection, series_ids: Sequence[int], start: int, end: int) -> list[Row]:
    """The samples that are rows, the settled ones first."""
    hours, opened = hours_of_rows(connection), tens_of_open(connection)
    hours = range(max(hours.start, hour_of(start)), min(hours.stop, hour_of(end - 1) + 1))
    opened = range(max(opened.start, start // TENS), min(opened.stop, (end - 1) // TENS + 1))
    return rows_within(connection, hours, series_ids) + _open_rows(connection, opened, series_ids)


def _open_rows(connection: sa.Connection, tens: Sequence[int], series_ids: Sequence[int]) -> list[Row]:
    return by_key(connection, "SELECT series_id, at, value FROM open_samples", "tens", tens, series_ids)


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


def _newest(connection: sa.Connection, question: sa.TextClause, series_ids: Sequence[int], cells: range) -> dict[int, Point]:
    if not cells:
        return {}
    found: dict[int, Point] = {}
    for start in range(0, len(series_ids), AT_ONCE):
        rows = connection.execute(question, {"cells": list(cells), "ids": series_ids[start : start + AT_ONCE]})
        found |= {series_id: (at, value) for series_id, at, value in rows}
    return found


def _newest_in(table: str, cell: str, length: int) -> sa.TextClause:
    return sa.text(
        f"SELECT s.series_id, s.at, s.value FROM (SELECT series_id, max(at) AS last FROM {table}"  # noqa: S608 - our own names
        f" WHERE {cell} IN :cells AND series_id IN :ids GROUP BY series_id) AS n"
        f" JOIN {table} s ON s.{cell} = n.last / {length} AND s.series_id = n.series_id AND s.at = n.last"
    ).bindparams(sa.bindparam("cells", expanding=True), sa.bindparam("ids", expanding=True))


_NEWEST_OPEN, _NEWEST = _newest_in("open_samples", "tens", TENS), _newest_in("samples", "hour", HOUR)


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

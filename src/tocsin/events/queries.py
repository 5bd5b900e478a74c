"""Reading what came in: the event log, each source's numbering, the quarantine. On read connections only."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import FieldError
from tocsin.db import tables
from tocsin.events.matching import contains, of_sites, type_fits
from tocsin.events.model import Gap, Sequence as Numbering

_EVENTS, _ALERTS = tables.events, tables.alerts


class StoredEvent(msgspec.Struct, frozen=True):
    """One row of the log. ``attributes`` is JSON text. Field order is the column order of the statement."""

    number: int
    id: str
    site_id: int
    type: str
    occurred_at: int
    received_at: int
    severity: int
    status: str
    title: str
    message: str | None
    subject: str | None
    host: str | None
    attributes: str | None
    dedup_key: str | None
    source: str | None
    sequence: int | None
    alert_number: int | None
    alert_id: str | None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; None leaves a condition out. They occurred from ``since`` on and before ``until`` (ms)."""

    site_ids: frozenset[int] | None = None
    type: str | None = None
    severity_min: int | None = None
    since: int | None = None
    until: int | None = None
    q: str | None = None


class Quarantined(msgspec.Struct, frozen=True):
    """One member of a batch that could not be taken."""

    id: str
    received_at: int
    site_id: int | None
    key_id: str | None
    errors: tuple[FieldError, ...]
    payload: str


def _select() -> sa.Select[Any]:
    columns = [_EVENTS.c[name] for name in StoredEvent.__struct_fields__[:-1]]
    joined = _EVENTS.outerjoin(_ALERTS, _EVENTS.c.alert_number == _ALERTS.c.number)
    return sa.select(*columns, _ALERTS.c.id.label("alert_id")).select_from(joined)


def select(wanted: Filter, after: tuple[int, int] | None, limit: int) -> sa.Select[Any]:
    """The statement for one page, the newest first: *limit* events after the place (occurred_at, number) *after*."""
    c = _EVENTS.c
    query = _select().where(*_in_time(wanted, after), *_fits(wanted))
    return query.order_by(c.occurred_at.desc(), c.number.desc()).limit(limit)


def page(connection: sa.Connection, wanted: Filter, after: tuple[int, int] | None, limit: int) -> list[StoredEvent]:
    """One page of the events that are *wanted*."""
    return [StoredEvent(*row) for row in connection.execute(select(wanted, after, limit))]


def scan(
    connection: sa.Connection, wanted: Filter, after: tuple[int, int] | None, limit: int, rows: int
) -> tuple[list[StoredEvent], tuple[int, int] | None]:
    """Like `page`, but looks at about the newest *rows* events of the time asked for; the place where it stopped looking, if it did.

    However rare what is wanted is, this is quick: whoever wants to look further back goes on from that place.
    """
    if not _is_choosy(wanted):
        return page(connection, wanted, after, limit), None
    c = _EVENTS.c
    looked_at, stopped = _newest(connection, wanted, after, rows)
    query = sa.select(c.number).where(c.number.in_(looked_at), *_fits(wanted)).order_by(c.occurred_at.desc(), c.number.desc())
    numbers = connection.execute(query.limit(limit)).scalars().all()  # numbers alone: all that fits is sorted
    return _in_time_order(connection, numbers), None if stopped is None else (stopped, 0)


def volume(connection: sa.Connection, wanted: Filter, width: int, rows: int) -> tuple[dict[int, tuple[int, int]], bool]:
    """How many events and how many problems are *wanted* in each *width* ms, among about the newest *rows* of the time asked for; and
    whether there are older ones.
    """
    c = _EVENTS.c
    looked_at, stopped = _newest(connection, wanted, None, rows)
    cell: sa.ColumnElement[int] = sa.literal_column(f"occurred_at / {width:d}")
    problems = sa.func.sum(sa.case((c.status == "problem", 1), else_=0))
    query = sa.select(cell, sa.func.count(), problems).where(c.number.in_(looked_at), *_fits(wanted)).group_by(cell)
    return {row[0] * width: (row[1], int(row[2])) for row in connection.execute(query)}, stopped is not None


def scan_and_count(
    connection: sa.Connection, wanted: Filter, limit: int, rows: int, width: int
) -> tuple[list[StoredEvent], tuple[int, int] | None, dict[int, tuple[int, int]]]:
    """`scan` from the newest on and `volume` of the same, in one look at the events: a text is sought in each of them only once."""
    c = _EVENTS.c
    looked_at, stopped = _newest(connection, wanted, None, rows)
    fit = (
        sa.select(c.number, c.occurred_at, c.status).where(c.number.in_(looked_at), *_fits(wanted)).cte("fit")
    )  # kept, as it is read twice
    newest = sa.select(fit.c.number, fit.c.occurred_at).order_by(fit.c.occurred_at.desc(), fit.c.number.desc()).limit(limit).subquery()
    cell: sa.ColumnElement[int] = sa.literal_column(f"occurred_at / {width:d}")
    problems = sa.func.sum(sa.case((fit.c.status == "problem", 1), else_=0))
    cells = sa.select(cell, sa.func.count(), problems).select_from(fit).group_by(cell)
    both = sa.union_all(sa.select(newest.c.number, newest.c.occurred_at, sa.literal_column("-1")), cells)
    numbers, found = [], dict[int, tuple[int, int]]()
    for first, second, third in connection.execute(both):
        if third < 0:
            numbers.append(first)
        else:
            found[first * width] = (second, int(third))
    return _in_time_order(connection, numbers), None if stopped is None else (stopped, 0), found


def _in_time_order(connection: sa.Connection, numbers: Sequence[int]) -> list[StoredEvent]:
    """These events, the newest first."""
    return sorted(by_numbers(connection, numbers), key=lambda one: (one.occurred_at, one.number), reverse=True)


def _newest(connection: sa.Connection, wanted: Filter, after: tuple[int, int] | None, rows: int) -> tuple[sa.Select[int], int | None]:
    """The numbers of the newest *rows* events of the time asked for, from the place *after* on, and of those of the same moment as the
    last of them; and that moment, if there may be more. They are found in the index of times alone, and then looked at in the order
    in which they are stored: that is much faster than one by one in the order of time.
    """
    c = _EVENTS.c
    query = sa.select(c.occurred_at).where(*_in_time(wanted, after)).order_by(c.occurred_at.desc())
    stopped = connection.execute(query.offset(rows - 1).limit(1)).scalar_one_or_none()
    looked_at = wanted if stopped is None else msgspec.structs.replace(wanted, since=stopped)
    return sa.select(c.number).where(*_in_time(looked_at, after)), stopped


def _is_choosy(wanted: Filter) -> bool:
    """Whether more is asked for than a time."""
    return not (wanted.site_ids is None and wanted.type is None and wanted.severity_min is None and wanted.q is None)


def lags(connection: sa.Connection, newest: int) -> dict[tuple[int, str], tuple[int, int]]:
    """By site and source: how long the newest events took to arrive, on average and at most (ms)."""
    c = _EVENTS.c
    late = (c.received_at - c.occurred_at).label("late")
    recent = sa.select(c.site_id, c.source, late).order_by(c.number.desc()).limit(newest).subquery()
    r = recent.c
    query = sa.select(r.site_id, r.source, sa.func.avg(r.late), sa.func.max(r.late)).where(r.source.is_not(None))
    return {(row[0], row[1]): (int(row[2]), row[3]) for row in connection.execute(query.group_by(r.site_id, r.source))}


def find_quarantined(connection: sa.Connection, entry_id: str, site_ids: frozenset[int] | None) -> Quarantined | None:
    """One entry of the quarantine, if it is there and of one of these sites."""
    table = tables.quarantine
    query = sa.select(*[table.c[name] for name in Quarantined.__struct_fields__]).where(table.c.id == entry_id)
    r = connection.execute(query.where(*of_sites(table.c.site_id, site_ids))).first()
    if r is None:
        return None
    return Quarantined(r.id, r.received_at, r.site_id, r.key_id, msgspec.json.decode(r.errors, type=tuple[FieldError, ...]), r.payload)


def count_quarantined(connection: sa.Connection, site_ids: frozenset[int] | None) -> int:
    """How much is in quarantine."""
    table = tables.quarantine
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*of_sites(table.c.site_id, site_ids))).scalar_one())


def _in_time(wanted: Filter, after: tuple[int, int] | None = None) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions of the time, from the place *after* on. One bound on each side: SQLite goes by the first that it is given."""
    c = _EVENTS.c
    if wanted.since is not None:
        yield c.occurred_at >= wanted.since
    if after is None or (wanted.until is not None and wanted.until <= after[0]):
        if wanted.until is not None:
            yield c.occurred_at < wanted.until
    else:
        at, number = after
        yield c.occurred_at <= at
        yield sa.or_(c.occurred_at < at, c.number < number)


def _fits(wanted: Filter) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions other than the time."""
    c = _EVENTS.c
    yield from of_sites(c.site_id, wanted.site_ids)
    if wanted.type is not None:
        yield type_fits(c.type, wanted.type)
    if wanted.severity_min is not None:
        yield c.severity >= wanted.severity_min
    if wanted.q is not None:
        yield contains((c.title, c.message, c.subject, c.host), wanted.q)


def find(connection: sa.Connection, event_id: str, site_ids: frozenset[int] | None) -> StoredEvent | None:
    """The event with this id (canonical, lower case), if it is there and of one of the sites."""
    row = connection.execute(_select().where(_EVENTS.c.id == event_id, *of_sites(_EVENTS.c.site_id, site_ids))).first()
    return None if row is None else StoredEvent(*row)


def sources(connection: sa.Connection, site_ids: frozenset[int] | None, after: tuple[int, str] | None, limit: int) -> list[Numbering]:
    """What is known of each source's numbering (E4), by site and name."""
    table = tables.sequences
    query = sa.select(*[table.c[name] for name in Numbering.__struct_fields__]).where(*of_sites(table.c.site_id, site_ids))
    if after is not None:
        last_site, last_source = after
        same_site = sa.and_(table.c.site_id == last_site, table.c.source > last_source)
        query = query.where(sa.or_(table.c.site_id > last_site, same_site))
    rows = connection.execute(query.order_by(table.c.site_id, table.c.source).limit(limit))
    return [Numbering(**{**row, "gaps": msgspec.json.decode(row["gaps"], type=tuple[Gap, ...])}) for row in rows.mappings()]


def quarantine(connection: sa.Connection, site_ids: frozenset[int] | None, after: str | None, limit: int) -> list[Quarantined]:
    """What could not be taken, the newest first."""
    table = tables.quarantine
    query = sa.select(*[table.c[name] for name in Quarantined.__struct_fields__]).where(*of_sites(table.c.site_id, site_ids))
    if after is not None:
        query = query.where(table.c.id < after)
    rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit))
    return [
        Quarantined(r.id, r.received_at, r.site_id, r.key_id, msgspec.json.decode(r.errors, type=tuple[FieldError, ...]), r.payload)
        for r in rows
    ]


def last_number(connection: sa.Connection) -> int:
    """The running number of the newest event: how many were ever stored, since numbers are given once."""
    return connection.execute(sa.select(sa.func.max(_EVENTS.c.number))).scalar_one() or 0


def of_alert(connection: sa.Connection, number: int, since: int, until: int, limit: int) -> list[StoredEvent]:
    """The newest events of one alert, which occurred between two moments (ms), both included."""
    c = _EVENTS.c
    query = _select().where(c.alert_number == number, c.occurred_at >= since, c.occurred_at <= until)
    return [StoredEvent(*row) for row in connection.execute(query.order_by(c.occurred_at.desc(), c.number.desc()).limit(limit))]


def walked_from(connection: sa.Connection, since: int, until: int, rows: int) -> int:
    """Since when there are no more than *rows* events before *until*, *since* at the earliest (ms)."""
    c = _EVENTS.c
    query = sa.select(c.occurred_at).where(c.occurred_at >= since, c.occurred_at < until).order_by(c.occurred_at.desc())
    found = connection.execute(query.offset(rows).limit(1)).scalar_one_or_none()
    return since if found is None else found + 1


def occurrences(connection: sa.Connection, number: int, since: int, until: int, width: int) -> dict[int, int]:
    """How many events of one alert occurred in each *width* ms from *since* on, by place."""
    c = _EVENTS.c
    place: sa.ColumnElement[int] = sa.literal_column(f"(occurred_at - {since:d}) / {width:d}")
    query = sa.select(place, sa.func.count()).where(c.alert_number == number, c.occurred_at >= since, c.occurred_at < until)
    return {row[0]: row[1] for row in connection.execute(query.group_by(place))}


def by_numbers(connection: sa.Connection, numbers: Sequence[int]) -> list[StoredEvent]:
    """The events with these running numbers, in their order."""
    return [StoredEvent(*row) for row in connection.execute(_select().where(_EVENTS.c.number.in_(numbers)).order_by(_EVENTS.c.number))]


def around(connection: sa.Connection, event: StoredEvent, count: int) -> tuple[list[StoredEvent], list[StoredEvent]]:
    """The *count* events of the same site stored before *event* and after it, the nearest first."""
    c = _EVENTS.c
    # By running number: the neighbours stand beside it, so few rows are looked at, whatever the site.
    near = 50 * count
    earlier = _select().where(c.number < event.number, c.number >= event.number - near, c.site_id == event.site_id)
    later = _select().where(c.number > event.number, c.number <= event.number + near, c.site_id == event.site_id)
    return (
        [StoredEvent(*row) for row in connection.execute(earlier.order_by(c.number.desc()).limit(count))],
        [StoredEvent(*row) for row in connection.execute(later.order_by(c.number).limit(count))],
    )

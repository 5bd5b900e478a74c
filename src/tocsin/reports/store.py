"""The reports' SQL, over the tables of other features. On read connections only; nothing here grows with the period.

History lines and messages are numbered in the order of time, so a period is a range of numbers: it is found by halving,
and needs no index by time, which every event would have to pay for.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.alerts.model import Status
from tocsin.core.clock import DAY, HOUR
from tocsin.db import tables
from tocsin.events.matching import of_sites
from tocsin.notify.model import Kind, State
from tocsin.reports.model import Line, Noisy, Period
from tocsin.reports.reasons import Post, Receiver, Try
from tocsin.reports.rules import BEGINNINGS, CELL, COUNTED, ESCALATED

SLACK = HOUR  # by how much lines may be out of the order of time: several nodes write, and clocks are set
LONGEST_WAY = 7 * DAY  # how long after the decision a message may be sent and still be counted
NOISIEST, TYPES = 10, 200
MAX_POSTS = 1_000  # messages of one alert that are explained
CHUNK = 1_000  # rows that are read at a time

_HISTORY, _ALERTS, _OUTBOX = tables.alert_history, tables.alerts, tables.outbox
Sites = frozenset[int] | None


class Owner(msgspec.Struct, frozen=True):
    """A contact and whose it is."""

    contact_id: str
    kind: str
    name: str
    user_id: str | None
    user_name: str | None
    time_zone: str | None


def last_line(connection: sa.Connection) -> int:
    """The number of the newest history line; 0 if there is none."""
    return connection.execute(sa.select(sa.func.max(_HISTORY.c.number))).scalar_one() or 0


def first_number(connection: sa.Connection, at: int) -> int:
    """The number of the first history line at or after *at*; one above the last if there is none."""
    low, high = connection.execute(sa.select(sa.func.min(_HISTORY.c.number), sa.func.max(_HISTORY.c.number))).one()
    if low is None:
        return 0
    high += 1
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    look = f"SELECT number, at FROM alert_history WHERE number >= {mark} ORDER BY number LIMIT 1"  # noqa: S608 - one of two marks
    while low < high:
        middle = (low + high) // 2
        number, moment = connection.exec_driver_sql(look, (middle,)).one()
        low, high = (low, middle) if moment >= at else (number + 1, high)
    return int(low)


def numbers(connection: sa.Connection, period: Period) -> tuple[int, int]:
    """The numbers between which the history lines of *period* are, and some more."""
    return first_number(connection, period.since - SLACK), first_number(connection, period.until + SLACK)


def lines(connection: sa.Connection, span: tuple[int, int], sites: Sites) -> Iterator[Line]:
    """All lines that count of the alerts to which something happened in *span*, by alert and in the order of time."""
    h, inner = _HISTORY.c, _HISTORY.alias("touched")
    touched = sa.select(inner.c.alert_number).where(inner.c.number >= span[0], inner.c.number < span[1], inner.c.action.in_(COUNTED))
    if sites is not None:
        touched = touched.join_from(inner, _ALERTS, _ALERTS.c.number == inner.c.alert_number).where(*of_sites(_ALERTS.c.site_id, sites))
    silent = sa.case((h.action.in_(_MAY_BE_SILENT), h.details.like('%"nobody: muted by %')), else_=False)
    first_level = sa.case((h.action == ESCALATED, sa.and_(h.details.like('%"level":0,%'), ~h.details.like('%"cycle":%'))), else_=False)
    query = sa.select(h.alert_number, h.at, h.action, silent, first_level).where(h.alert_number.in_(touched), h.action.in_(COUNTED))
    return _stream(connection, query.order_by(h.alert_number, h.number))


_MAY_BE_SILENT = (*BEGINNINGS, "severity_raised", "unacknowledged", "acknowledgement_expired", "snooze_ended")


def _stream(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Any]:
    """The rows, a bounded number at a time."""
    if connection.dialect.name == "sqlite":  # which reads on as it is asked: rows as the driver gives them cost half
        with connection.execute(query) as result:
            while rows := result.cursor.fetchmany(CHUNK):
                yield from rows
    else:
        for rows in connection.execute(query, execution_options={"yield_per": CHUNK}).partitions():
            yield from rows


def _beginnings(span: tuple[int, int], period: Period, sites: Sites, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """*columns* of the alerts that began in *period*, one row for each time."""
    h = _HISTORY.c
    query = sa.select(*columns).select_from(_HISTORY.join(_ALERTS, _ALERTS.c.number == h.alert_number))
    query = query.where(h.number >= span[0], h.number < span[1], h.action.in_(sorted(BEGINNINGS)))
    return query.where(h.at >= period.since, h.at < period.until, *of_sites(_ALERTS.c.site_id, sites))


def volume(connection: sa.Connection, span: tuple[int, int], period: Period, sites: Sites) -> list[tuple[str, int, int]]:
    """How many alerts began, by type and severity."""
    a, count = _ALERTS.c, sa.func.count()
    query = _beginnings(span, period, sites, a.type, a.severity, count).group_by(a.type, a.severity).order_by(count.desc(), a.type)
    return [tuple(row) for row in connection.execute(query)]


def noisiest(connection: sa.Connection, span: tuple[int, int], period: Period, sites: Sites) -> list[Noisy]:
    """What began most often, by site, type and subject; of equals, what more events came of."""
    a, count, events = _ALERTS.c, sa.func.count(), sa.func.sum(_ALERTS.c.occurrences)
    # By subject first: what differs most is compared first, which makes the sorting cheap.
    query = _beginnings(span, period, sites, a.site_id, a.type, a.subject, count, events).group_by(a.subject, a.type, a.site_id)
    query = query.order_by(count.desc(), events.desc(), a.type, a.subject, a.site_id).limit(NOISIEST)
    return [Noisy(site, kind, subject, often, int(total)) for site, kind, subject, often, total in connection.execute(query)]


def still_open(connection: sa.Connection, sites: Sites) -> int:
    """How many alerts are not resolved."""
    query = sa.select(sa.func.count()).select_from(_ALERTS).where(sa.text(f"status <> '{Status.RESOLVED.value}'"))
    return int(connection.execute(query.where(*of_sites(_ALERTS.c.site_id, sites))).scalar_one())


def pages(connection: sa.Connection, period: Period, sites: Sites) -> Iterator[tuple[str, int, int]]:
    """How many messages about trouble reached each contact, by contact and quarter hour. A digest is one message."""
    o = _OUTBOX.c
    cell = o.sent_at // sa.literal_column(str(CELL), sa.BigInteger)
    query = sa.select(o.contact_id, cell, sa.func.count()).where(
        o.id >= _id_at(period.since - LONGEST_WAY),
        o.id < _id_at(period.until),
        o.sent_at >= period.since,
        o.sent_at < period.until,
        o.kind.in_([Kind.OPENED.value, Kind.ESCALATED.value, Kind.REPEATED.value, Kind.DIGEST.value]),
        o.status.in_([State.SENT.value, State.DELIVERED.value]),
        o.digest_id.is_(None),
        *of_sites(o.site_id, sites),
    )
    for contact_id, quarter, count in _stream(connection, query.group_by(o.contact_id, cell)):
        yield contact_id, int(quarter), count


def _id_at(at: int) -> str:
    """Where the ids begin that are made at *at*."""
    text = f"{max(at, 0):012x}"
    return f"{text[:8]}-{text[8:]}"


def owners(connection: sa.Connection) -> Mapping[str, Owner]:
    """All contacts, also those that are gone."""
    c, u = tables.contacts.c, tables.users.c
    joined = tables.contacts.outerjoin(tables.users, c.user_id == u.id)
    query = sa.select(c.id, c.kind, sa.func.coalesce(sa.func.nullif(c.label, ""), c.target), c.user_id, u.name, u.time_zone)
    return {row[0]: Owner(*row) for row in connection.execute(query.select_from(joined))}


def posts(connection: sa.Connection, alert_number: int) -> list[Post]:
    """The messages about one alert, the oldest first; not the digests that it leads, which are about many."""
    o = _OUTBOX.c
    query = sa.select(*[o[name] for name in Post.__struct_fields__]).where(o.alert_number == alert_number, o.kind != Kind.DIGEST.value)
    return [Post(*row) for row in connection.execute(query.order_by(o.created_at, o.id).limit(MAX_POSTS))]


def tries(connection: sa.Connection, message_ids: Collection[str]) -> dict[str, list[Try]]:
    """The attempts of messages, by message, the first first."""
    t, found = tables.attempts.c, dict[str, list[Try]]()
    query = sa.select(t.outbox_id, t.claimed_at, t.finished_at, t.outcome, t.error).order_by(t.outbox_id, t.fence)
    for row in connection.execute(query.where(t.outbox_id.in_(sorted(message_ids)))):
        found.setdefault(row[0], []).append(Try(*row))
    return found


def receivers(connection: sa.Connection) -> dict[str, Receiver]:
    """All contacts, also those that are gone."""
    c = tables.contacts.c
    name = sa.func.coalesce(sa.func.nullif(c.label, ""), c.target)
    query = sa.select(c.id, c.kind, name, c.user_id, c.verified_at, c.disabled_at).order_by(c.created_at, c.id)
    return {row[0]: Receiver(*row) for row in connection.execute(query)}

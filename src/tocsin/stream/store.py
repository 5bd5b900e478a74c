"""The SQL behind the stream: what was committed after a place. On read connections only, by primary keys alone."""

from collections.abc import Sequence

import sqlalchemy as sa

from tocsin.alerts.model import Alert
from tocsin.db import tables
from tocsin.events import queries as event_queries
from tocsin.events.queries import StoredEvent
from tocsin.stream.model import Place
from tocsin.stream.rules import Tail

_EVENTS, _HISTORY, _ALERTS = tables.events, tables.alert_history, tables.alerts
_ALERT_COLUMNS = [_ALERTS.c[name] for name in Alert.__struct_fields__]


def end(connection: sa.Connection) -> Place:
    """Where the logs end now."""
    event = connection.execute(sa.select(sa.func.max(_EVENTS.c.number))).scalar_one() or 0
    line = connection.execute(sa.select(sa.func.max(_HISTORY.c.number))).scalar_one() or 0
    return Place(event, line)


def events_after(connection: sa.Connection, tail: Tail, limit: int) -> list[tuple[int, int | None]]:
    """Number and alert of the events after *tail*, and of those that it still waits for."""
    c = _EVENTS.c
    rows = connection.execute(sa.select(c.number, c.alert_number).where(_after(c.number, tail)).order_by(c.number).limit(limit))
    return [(row[0], row[1]) for row in rows]


def lines_after(connection: sa.Connection, tail: Tail, limit: int) -> list[tuple[int, int]]:
    """Number and alert of the lines of history after *tail*, and of those that it still waits for."""
    c = _HISTORY.c
    rows = connection.execute(sa.select(c.number, c.alert_number).where(_after(c.number, tail)).order_by(c.number).limit(limit))
    return [(row[0], row[1]) for row in rows]


def count_after(connection: sa.Connection, tail: Tail, limit: int) -> tuple[int, int]:
    """How many lines of history, up to *limit*, are after *tail* or are waited for; and of how many alerts they are."""
    c = _HISTORY.c
    lines = sa.select(c.alert_number).where(_after(c.number, tail)).order_by(c.number).limit(limit).subquery()
    row = connection.execute(sa.select(sa.func.count(), sa.func.count(lines.c.alert_number.distinct())).select_from(lines)).one()
    return row[0], row[1]


def _after(number: sa.Column[int], tail: Tail) -> sa.ColumnElement[bool]:
    beyond = number > tail.last
    return sa.or_(beyond, number.in_(tail.waited_for)) if tail.holes else beyond


def alerts(connection: sa.Connection, numbers: Sequence[int]) -> list[Alert]:
    """These alerts as they now are, by number."""
    query = sa.select(*_ALERT_COLUMNS).where(_ALERTS.c.number.in_(numbers)).order_by(_ALERTS.c.number)
    return [Alert(*row) for row in connection.execute(query)]


def events(connection: sa.Connection, numbers: Sequence[int]) -> list[StoredEvent]:
    """These events, by number."""
    return event_queries.by_numbers(connection, numbers)

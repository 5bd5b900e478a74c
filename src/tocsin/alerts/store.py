"""The alerts' SQL. Writes take an open transaction; what was decided is written, nothing else."""

from collections.abc import Iterable, Sequence

import msgspec

from tocsin.alerts.model import Alert, AlertChange, HistoryLine
from tocsin.core.errors import NotFound
from tocsin.db import bulk, tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx

COLUMNS: tuple[str, ...] = Alert.__struct_fields__
_HISTORY = ("alert_number", "at", "actor", "action", "reason", "details")
_FIRST = COLUMNS.index("acknowledged_at")
_EMPTY = (None,) * (len(COLUMNS) - _FIRST)
_encode = msgspec.json.Encoder().encode


def unresolved(tx: Tx, site_id: int, keys: Iterable[str]) -> list[Alert]:
    """The unresolved alerts of *keys*, locked for this transaction."""
    rows = bulk.fetch(
        tx, tables.alerts, COLUMNS, "status <> 'resolved' AND site_id = ? AND dedup_key", keys, parameters=(site_id,), lock=True
    )
    return [Alert(*row) for row in rows]


def last_resolved(tx: Tx, site_id: int, keys: Iterable[str]) -> list[Alert]:
    """For each of *keys* that has one, its newest resolved alert."""
    where = "status = 'resolved' AND site_id = ? AND dedup_key"
    newest: dict[str, int] = {}
    for key, number in bulk.fetch(tx, tables.alerts, ("dedup_key", "number"), where, keys, parameters=(site_id,)):
        newest[key] = max(number, newest.get(key, 0))
    return [by_number(tx, number) for number in newest.values()]


def by_number(tx: Tx, number: int) -> Alert:
    """One alert, locked. Raises `NotFound`."""
    return _one(tx, "number", number, f"there is no alert {number}")


def by_id(tx: Tx, alert_id: str) -> Alert:
    """One alert, locked. Raises `NotFound`."""
    return _one(tx, "id", alert_id, f"there is no alert {alert_id}")


def by_numbers(tx: Tx, numbers: Iterable[int]) -> dict[int, Alert]:
    """The alerts with these numbers, not locked."""
    return {row[0]: Alert(*row) for row in bulk.fetch(tx, tables.alerts, COLUMNS, "number", numbers)}


def _one(tx: Tx, column: str, value: object, complaint: str) -> Alert:
    sql = f"SELECT {', '.join(COLUMNS)} FROM alerts WHERE {column} = "  # noqa: S608 - names from the code
    row = tx.driver.execute(sql + ("?" if tx.is_sqlite else "%s FOR UPDATE"), (value,)).fetchone()
    if row is None:
        raise NotFound(complaint)
    return Alert(*row)


def is_any_due(now: int) -> Question:
    """Whether an acknowledgement or a snooze has ended."""
    return Question("SELECT 1 FROM alerts WHERE due_at <= ?", (now,))


def is_any_noisy(now: int) -> Question:
    """Whether one that rules hold back, or that comes and goes, is to be looked at."""
    return Question("SELECT 1 FROM alerts WHERE noise_at <= ?", (now,))


def due(tx: Tx, now: int, limit: int) -> list[Alert]:
    """Alerts whose acknowledgement or snooze ends at or before *now*, the most overdue first; rows locked by others are left to them."""
    mark, lock = ("?", "") if tx.is_sqlite else ("%s", " FOR UPDATE SKIP LOCKED")
    sql = f"SELECT {', '.join(COLUMNS)} FROM alerts WHERE due_at <= {mark} ORDER BY due_at LIMIT {mark}{lock}"  # noqa: S608 - names from the code
    return [Alert(*row) for row in tx.driver.execute(sql, (now, limit)).fetchall()]


def noisy(tx: Tx, now: int, limit: int) -> list[Alert]:
    """Alerts that rules hold back, or that come and go, and that are to be looked at; rows locked by others are left to them."""
    mark, lock = ("?", "") if tx.is_sqlite else ("%s", " FOR UPDATE SKIP LOCKED")
    sql = f"SELECT {', '.join(COLUMNS)} FROM alerts WHERE noise_at <= {mark} ORDER BY noise_at LIMIT {mark}{lock}"  # noqa: S608 - names from the code
    return [Alert(*row) for row in tx.driver.execute(sql, (now, limit)).fetchall()]


def unresolved_after(tx: Tx, place: tuple[int, str], limit: int, *, muted: bool = False) -> list[Alert]:
    """The next *limit* unresolved alerts after *place* (site id, dedup key), in that order, not locked; *muted*: only quiet ones."""
    mark = "?" if tx.is_sqlite else "%s"
    which = "muted_by IS NOT NULL" if muted else "status <> 'resolved'"
    sql = (
        f"SELECT {', '.join(COLUMNS)} FROM alerts WHERE {which} AND (site_id, dedup_key) > ({mark}, {mark})"  # noqa: S608 - names from the code
        f" ORDER BY site_id, dedup_key LIMIT {mark}"
    )
    return [Alert(*row) for row in tx.driver.execute(sql, (*place, limit)).fetchall()]


def locked(tx: Tx, numbers: Iterable[int]) -> list[Alert]:
    """The alerts with these numbers, as they are now, locked."""
    return [Alert(*row) for row in bulk.fetch(tx, tables.alerts, COLUMNS, "number", numbers, lock=True)]


def next_numbers(tx: Tx, count: int) -> Sequence[int]:
    """*count* alert numbers never used before."""
    if not tx.is_sqlite:
        return [row[0] for row in tx.driver.execute("SELECT nextval('alert_numbers') FROM generate_series(1, %s)", (count,)).fetchall()]
    first = tx.driver.execute(
        "INSERT INTO settings(name, value) VALUES ('last_alert_number', ?) "
        "ON CONFLICT(name) DO UPDATE SET value = CAST(value AS INTEGER) + excluded.value RETURNING CAST(value AS INTEGER) - ? + 1",
        (count, count),
    ).fetchone()[0]
    return range(first, first + count)


def save(tx: Tx, changes: Sequence[AlertChange]) -> None:
    """Writes what was decided: new alerts, changed columns, history lines."""
    # A new alert's later columns are mostly empty: it is inserted without those that are.
    plain: list[tuple[object, ...]] = []
    full: list[tuple[object, ...]] = []
    by_columns: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
    for change in changes:
        alert = change.alert
        if change.is_new:
            row = msgspec.structs.astuple(alert)
            if row[_FIRST:] == _EMPTY:
                plain.append(row[:_FIRST])
            else:
                full.append(row)
        elif change.changed:
            by_columns.setdefault(change.changed, []).append((*[getattr(alert, column) for column in change.changed], alert.number))
    bulk.insert(tx, tables.alerts, COLUMNS[:_FIRST], plain)
    bulk.insert(tx, tables.alerts, COLUMNS, full)
    for columns, rows in by_columns.items():
        bulk.update(tx, tables.alerts, columns, rows)
    add_history(tx, [(change.alert.number, line) for change in changes for line in change.history])


def add_history(tx: Tx, lines: Sequence[tuple[int, HistoryLine]]) -> None:
    """Appends lines to the history of alerts given by number."""
    rows: list[tuple[object, ...]] = []
    last: HistoryLine | None = None
    said: tuple[object, ...] = ()
    for number, line in lines:
        if line is not last:  # many alerts that open together share theirs
            details = None if line.details is None else _encode(line.details).decode()
            last, said = line, (line.at, line.actor, str(line.action), str(line.reason), details)
        rows.append((number, *said))
    bulk.insert(tx, tables.alert_history, _HISTORY, rows)


def of_event(tx: Tx, event_id: str) -> Alert:
    """The alert that an event opened or repeated. Raises `NotFound`."""
    sql = "SELECT alert_number FROM events WHERE id = "
    row = tx.driver.execute(sql + ("?" if tx.is_sqlite else "%s"), (event_id,)).fetchone()
    if row is None or row[0] is None:
        raise NotFound(f"there is no alert for event {event_id}")
    return by_number(tx, row[0])

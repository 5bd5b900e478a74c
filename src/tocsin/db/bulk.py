"""Many rows at once, on either database: the hot path's only SQL writers.

SQLite: prepared statements through the driver. PostgreSQL: one JSON document for many inserts, arrays for look-ups and
updates (docs/adr/0003-writer-thread.md: `executemany` of psycopg is half as fast).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.db.writer import Tx

Row = Sequence[Any]
_encode = msgspec.json.Encoder().encode


def insert(tx: Tx, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Appends *rows* (values in the order of *columns*). A broken constraint raises the driver's IntegrityError."""
    if not rows:
        return
    if tx.is_sqlite:
        _in_chunks(tx, rows, lambda count: _insert_sql(table, columns, count))
        return
    for start in range(0, len(rows), _AT_ONCE):
        documents = [dict(zip(columns, row, strict=True)) for row in rows[start : start + _AT_ONCE]]
        tx.driver.execute(_json_insert_sql(table, columns), (_encode(documents).decode(),))


def insert_new(tx: Tx, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Like `insert`, but a row that breaks a unique constraint is left out: the first one stays.

    Answers how many are new; within a `Tx.pipeline` of PostgreSQL that is not known yet.
    """
    if not rows:
        return 0
    if tx.is_sqlite:
        return _in_chunks(tx, rows, lambda count: _insert_sql(table, columns, count) + " ON CONFLICT DO NOTHING")
    insert_all = _unnest_insert_sql(table, columns) + " ON CONFLICT DO NOTHING"
    return int(tx.driver.execute(insert_all, [list(c) for c in zip(*rows, strict=True)]).rowcount)


def upsert(tx: Tx, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row], change: str) -> None:
    """Like `insert`, but where there is a row of the same primary key it is changed: ``count = excluded.count``."""
    if not rows:
        return
    clash = f" ON CONFLICT ({', '.join(column.name for column in table.primary_key.columns)}) DO UPDATE SET {change}"
    if tx.is_sqlite:
        _in_chunks(tx, rows, lambda count: _insert_sql(table, columns, count) + clash)
    else:
        tx.driver.execute(_unnest_insert_sql(table, columns) + clash, [list(c) for c in zip(*rows, strict=True)])


def update(tx: Tx, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Sets *columns* in the row whose primary key is the last value of each of *rows*."""
    if not rows:
        return
    if tx.is_sqlite:
        _in_chunks(tx, rows, lambda count: _update_sql(table, columns, count))
    else:
        tx.driver.execute(_unnest_update_sql(table, columns), [list(c) for c in zip(*rows, strict=True)])


def change(
    tx: Tx, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row], sets: str, where: str, returning: tuple[str, ...]
) -> list[Any]:
    """Changes what *where* finds for each of *rows*; there and in *sets* a row is ``v``, with the names of *columns*.

    Answers the columns *returning* of every row that was changed.
    """
    found: list[Any] = []
    if tx.is_sqlite:
        for count, values in _chunks(rows):
            found.extend(tx.driver.execute(_change_sql(table, columns, sets, where, returning, count), values).fetchall())
    elif rows:
        found = tx.driver.execute(
            _unnest_change_sql(table, columns, sets, where, returning), [list(c) for c in zip(*rows, strict=True)]
        ).fetchall()
    return found


def fetch(
    tx: Tx,
    table: sa.Table,
    columns: tuple[str, ...],
    where: str,
    keys: Iterable[str] | Iterable[int],
    *,
    parameters: Row = (),
    lock: bool = False,
) -> list[Any]:
    """Rows whose key is among *keys*; *where* ends in the key column, e.g. ``site_id = ? AND dedup_key``.

    With *lock* the rows are locked until the end of the transaction, in the order of *keys* (PostgreSQL; SQLite has one writer).
    """
    wanted = list(keys)
    if not wanted:
        return []
    if tx.is_sqlite:
        select = f"SELECT {', '.join(columns)} FROM {table.name} WHERE {where} IN (SELECT value FROM json_each(?))"  # noqa: S608
        return list(tx.driver.execute(select, (*parameters, _encode(wanted).decode())).fetchall())
    # Key by key, fenced by OFFSET 0: left to choose, PostgreSQL's planner (which has no figures of a table that was
    # empty a minute ago) walks the whole index, or the whole table, and stays with that plan.
    kind = _pg_type(table, where.rpartition(" ")[2])
    select = (
        f"SELECT found.* FROM unnest(%s::{kind}[]) AS k(wanted) CROSS JOIN LATERAL (SELECT {', '.join(columns)} FROM {table.name}"  # noqa: S608
        f" WHERE {where.replace('?', '%s')} = k.wanted OFFSET 0{' FOR UPDATE' if lock else ''}) AS found"
    )
    return list(tx.driver.execute(select, (wanted, *parameters)).fetchall())


def _in_chunks(tx: Tx, rows: Sequence[Row], sql: Callable[[int], str]) -> int:
    """Many rows in one statement: the driver lets go of the interpreter once a statement, not once a row.

    With one row a statement the writer's thread queues for the interpreter behind the event loop after every row.
    """
    return sum(tx.driver.execute(sql(count), values).rowcount for count, values in _chunks(rows))


def _chunks(rows: Sequence[Row]) -> Iterator[tuple[int, list[Any]]]:
    """*rows* in groups of a few sizes: how many there are in each, and all their values in a line."""
    start, left = 0, len(rows)
    for size in _CHUNKS:
        while left >= size:
            yield size, list(chain.from_iterable(rows[start : start + size]))
            start, left = start + size, left - size


_AT_ONCE = 2_000  # rows in one document; COPY would end the pipeline that the statements of a commit share
_CHUNKS = (128, 32, 8, 4, 3, 2, 1)  # few enough that every statement stays prepared


@cache
def _insert_sql(table: sa.Table, columns: tuple[str, ...], count: int) -> str:
    marks = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table.name}({', '.join(columns)}) VALUES {', '.join([marks] * count)}"  # noqa: S608


@cache
def _update_sql(table: sa.Table, columns: tuple[str, ...], count: int) -> str:
    marks = f"({', '.join('?' * (len(columns) + 1))})"
    sets = ", ".join(f"{column} = v.column{place}" for place, column in enumerate(columns, 1))
    return (
        f"UPDATE {table.name} SET {sets} FROM (VALUES {', '.join([marks] * count)}) AS v"  # noqa: S608
        f" WHERE {table.name}.{_key(table)} = v.column{len(columns) + 1}"
    )


@cache
def _change_sql(table: sa.Table, columns: tuple[str, ...], sets: str, where: str, returning: tuple[str, ...], count: int) -> str:
    marks = f"({', '.join('?' * len(columns))})"
    return (
        f"WITH v({', '.join(columns)}) AS (VALUES {', '.join([marks] * count)})"  # noqa: S608
        f" UPDATE {table.name} SET {sets} FROM v WHERE {where} RETURNING {', '.join(f'{table.name}.{column}' for column in returning)}"
    )


@cache
def _unnest_change_sql(table: sa.Table, columns: tuple[str, ...], sets: str, where: str, returning: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%s::{_pg_type(table, c)}[]" for c in columns)
    return (
        f"WITH v({', '.join(columns)}) AS (SELECT * FROM unnest({arrays}))"  # noqa: S608
        f" UPDATE {table.name} SET {sets} FROM v WHERE {where} RETURNING {', '.join(f'{table.name}.{column}' for column in returning)}"
    )


@cache
def _json_insert_sql(table: sa.Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(columns)
    typed = ", ".join(f"{column} {_pg_type(table, column)}" for column in columns)
    return f"INSERT INTO {table.name}({names}) SELECT {names} FROM json_to_recordset(%s::json) AS t({typed})"  # noqa: S608


@cache
def _unnest_insert_sql(table: sa.Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%s::{_pg_type(table, c)}[]" for c in columns)
    return f"INSERT INTO {table.name}({', '.join(columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608


@cache
def _unnest_update_sql(table: sa.Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%s::{_pg_type(table, c)}[]" for c in (*columns, _key(table)))
    names = ", ".join((*columns, "the_key"))
    sets = ", ".join(f"{c} = v.{c}" for c in columns)
    return f"UPDATE {table.name} SET {sets} FROM unnest({arrays}) AS v({names}) WHERE {table.name}.{_key(table)} = v.the_key"  # noqa: S608


def _key(table: sa.Table) -> str:
    (column,) = table.primary_key.columns
    return str(column.name)


def _pg_type(table: sa.Table, column: str) -> str:
    kind = table.c[column].type
    for python_type, name in (
        (sa.SmallInteger, "smallint"),
        (sa.BigInteger, "bigint"),
        (sa.Integer, "integer"),
        (sa.Boolean, "boolean"),
        (sa.Double, "double precision"),
    ):
        if isinstance(kind, python_type):
            return name
    return "text"

"""The audit log's SQL: appending in a chain that holds with any number of writers, and reading."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.audit import rules
from tocsin.audit.model import Broken, Deed, Entry, Head
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx

COLUMNS: tuple[str, ...] = Entry.__struct_fields__
HEAD = "audit_head"  # the row of `settings` that says how far the log reaches
AT_ONCE = 1_000
_LOCK = 0x746F6373  # PostgreSQL: who appends holds it until the commit, so that numbers are given in the order of commits
_TABLE = tables.audit


def append(tx: Tx, deeds: Sequence[Deed]) -> None:
    """Chains *deeds* to the log. The last thing a transaction does: on PostgreSQL the others wait from here to its commit."""
    if not tx.is_sqlite:
        tx.driver.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    entries = rules.chain(_last(tx), deeds)
    bulk.insert(tx, _TABLE, COLUMNS, [msgspec.structs.astuple(entry) for entry in entries])
    sql = "INSERT INTO settings(name, value) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value"
    tx.driver.execute(sql if tx.is_sqlite else sql.replace("?", "%s"), (HEAD, str(entries[-1].head)))


def _last(tx: Tx) -> Head | None:
    row = tx.driver.execute("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return None if row is None else Head(*row)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None leaves a condition out. ``action`` ends in a ``.`` to mean all that begin so."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: int | None = None
    until: int | None = None


def page(connection: sa.Connection, wanted: Filter, after: int | None, limit: int) -> list[Entry]:
    """One page of the log, the newest first: *limit* entries before the number *after*."""
    query = sa.select(*[_TABLE.c[name] for name in COLUMNS]).where(*_conditions(wanted))
    if after is not None:
        query = query.where(_TABLE.c.number < after)
    return [Entry(*row) for row in connection.execute(query.order_by(_TABLE.c.number.desc()).limit(limit))]


def _conditions(wanted: Filter) -> Iterator[sa.ColumnElement[bool]]:
    c = _TABLE.c
    if wanted.actor is not None:
        yield c.actor == wanted.actor
    if wanted.action is not None:
        yield sa.func.substr(c.action, 1, len(wanted.action)) == wanted.action if wanted.action.endswith(".") else c.action == wanted.action
    if wanted.object is not None:
        yield c.object == wanted.object
    if wanted.since is not None:
        yield c.at >= wanted.since
    if wanted.until is not None:
        yield c.at < wanted.until


def kept_head(connection: sa.Connection) -> Head | None:
    """How far the log reaches, by the note beside it; None if there is none."""
    table = tables.settings
    text = connection.execute(sa.select(table.c.value).where(table.c.name == HEAD)).scalar_one_or_none()
    return None if text is None else rules.read_head(text)


def verify(connection: sa.Connection, noted: Head | None = None) -> tuple[Head | None, Broken | None]:
    """Walks the whole log. The last link that holds, and the first that does not."""
    walk = rules.Walk(kept_head(connection), noted)  # the note first: who appends meanwhile only makes the log longer
    query: sa.Select[Any] = sa.select(*[_TABLE.c[name] for name in COLUMNS]).order_by(_TABLE.c.number).limit(AT_ONCE)
    last = -1
    while rows := connection.execute(query.where(_TABLE.c.number > last)).all():
        broken = walk.follow(Entry(*row) for row in rows)
        if broken is not None:
            return walk.head, broken
        last = rows[-1].number
    return walk.head, walk.end()

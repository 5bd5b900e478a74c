"""The SQL of silences, maintenance windows and dependencies, and of the alerts that mute others."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.muting.model import Dependency, Labels, Maintenance, Matchers, Silence
from tocsin.muting.rules import Parent

Kept = TypeVar("Kept", Silence, Maintenance, Dependency)
Changes = dict[str, object]

TABLES: dict[type, sa.Table] = {Silence: tables.silences, Maintenance: tables.maintenance, Dependency: tables.dependencies}
NAMES: dict[type, str] = {Silence: "silence", Maintenance: "maintenance", Dependency: "dependency"}


def add(tx: Tx, kept: Silence | Maintenance | Dependency) -> None:
    """A new one."""
    tx.sql.execute(TABLES[type(kept)].insert().values(**_row(kept)))


def replace(tx: Tx, kept: Silence | Maintenance | Dependency, changed: Sequence[str]) -> None:
    """The columns that were decided to change."""
    row = _row(kept)
    table = TABLES[type(kept)]
    if changed:
        tx.sql.execute(table.update().where(table.c.id == kept.id).values({name: row[name] for name in changed}))


def remove(tx: Tx, kind: type, kept_id: str) -> None:
    """Takes one away."""
    table = TABLES[kind]
    tx.sql.execute(table.delete().where(table.c.id == kept_id))


def get(connection: sa.Connection, kind: type[Kept], kept_id: str, *, lock: bool = False) -> Kept | None:
    """One by its id, if it is there."""
    table = TABLES[kind]
    query = sa.select(*columns(kind)).where(table.c.id == kept_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else read(kind, row)


def columns(kind: type) -> list[sa.Column[Any]]:
    """The columns of a kind in the order of its fields."""
    table = TABLES[kind]
    return [table.c[name] for name in kind.__struct_fields__]  # type: ignore[attr-defined]  # all three are structs


_JSON: dict[str, Callable[[Any], Any]] = {
    "matchers": msgspec.json.Decoder(Matchers).decode,
    "parent": msgspec.json.Decoder(Matchers).decode,
    "children": msgspec.json.Decoder(Matchers).decode,
    "same": msgspec.json.Decoder(tuple[str, ...]).decode,
}


def read(kind: type[Kept], row: Sequence[Any]) -> Kept:
    """A row of `columns` as what it stands for."""
    fields: tuple[str, ...] = kind.__struct_fields__
    return kind(*[_JSON[name](value) if name in _JSON else value for name, value in zip(fields, row, strict=True)])


def _row(kept: Silence | Maintenance | Dependency) -> Changes:
    values = msgspec.structs.asdict(kept)
    return {name: msgspec.json.encode(value).decode() if name in _JSON else value for name, value in values.items()}


def _is_unended(kind: type, now: int) -> list[sa.ColumnElement[bool]]:
    """That one may still mute at *now* or later, as far as the database can tell (a rule may have come to its end)."""
    s, m = tables.silences.c, tables.maintenance.c
    if kind is Silence:
        return [s.ends_at > now]
    if kind is Maintenance:
        return [sa.or_(m.rrule.is_not(None), m.ends_at > now), sa.or_(m.ended_at.is_(None), m.ended_at > now)]
    return []


def unended(connection: sa.Connection, now: int) -> list[list[tuple[Any, ...]]]:
    """The rows of everything that may still mute at *now* or later: silences, then maintenance, then dependencies."""
    found = []
    for kind, table in TABLES.items():
        query = sa.select(*columns(kind)).where(*_is_unended(kind, now)).order_by(table.c.id)
        found.append([tuple(row) for row in connection.execute(query)])
    return found


def count_unended(connection: sa.Connection, kind: type, now: int) -> int:
    """How many of a kind may still mute."""
    query = sa.select(sa.func.count()).select_from(TABLES[kind]).where(*_is_unended(kind, now))
    return int(connection.execute(query).scalar_one())


def ending(connection: sa.Connection, now: int, within: int) -> list[Silence]:
    """The silences that end within so many milliseconds, and whose makers have not been reminded of it."""
    s = tables.silences.c
    query = sa.select(*columns(Silence)).where(s.ends_at > now, s.ends_at <= now + within, s.reminded_at.is_(None)).order_by(s.ends_at)
    return [read(Silence, row) for row in connection.execute(query)]


def every(connection: sa.Connection, kind: type[Kept]) -> list[Kept]:
    """All of a kind."""
    return [read(kind, row) for row in connection.execute(sa.select(*columns(kind)))]


def chunk(connection: sa.Connection, kind: type[Kept], after: str | None, limit: int, unended_at: int | None) -> list[Kept]:
    """The next *limit* of a kind after the id *after*, the newest first."""
    table = TABLES[kind]
    query = sa.select(*columns(kind)).order_by(table.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(table.c.id < after)
    if unended_at is not None:
        query = query.where(*_is_unended(kind, unended_at))
    return [read(kind, row) for row in connection.execute(query)]


def hold_dependencies(tx: Tx) -> None:
    """Nobody else changes a dependency before this transaction ends: two at once might close a circle that neither sees."""
    if not tx.is_sqlite:
        tx.driver.execute("LOCK TABLE dependencies IN SHARE ROW EXCLUSIVE MODE")


def note_shipped(tx: Tx, now: int) -> bool:
    """Notes that what an installation begins with has been made; False if it was noted before."""
    sql = "INSERT INTO settings(name, value) VALUES ('dependencies_shipped_at', ?) ON CONFLICT DO NOTHING"
    return bool(tx.driver.execute(sql if tx.is_sqlite else sql.replace("?", "%s"), (str(now),)).rowcount == 1)


_PARENTS = (
    "SELECT number, site_id, type, severity, host, subject, attributes FROM alerts"
    " WHERE is_parent AND status <> 'resolved' ORDER BY number LIMIT 10000"
)


def parents_down(tx: Tx, slug_of: Callable[[int], str]) -> list[Parent]:
    """The alerts that are not resolved and that others depend on, by number."""
    rows = tx.driver.execute(_PARENTS).fetchall()
    return [Parent(number, Labels(slug_of(site_id), *rest)) for number, site_id, *rest in rows]

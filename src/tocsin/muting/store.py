"""The SQL of silences, maintenance windows and dependencies, and of the alerts that mute others."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
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
    """Takes one away. Raises `NotFound`."""
    table = TABLES[kind]
    if tx.sql.execute(table.delete().where(table.c.id == kept_id)).rowcount == 0:
        raise _not_there(kind, kept_id)


def get(connection: sa.Connection, kind: type[Kept], kept_id: str, *, lock: bool = False) -> Kept:
    """One by its id. Raises `NotFound`."""
    table = TABLES[kind]
    query = sa.select(*columns(kind)).where(table.c.id == kept_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise _not_there(kind, kept_id)
    return read(kind, row)


def _not_there(kind: type, kept_id: str) -> NotFound:
    return NotFound(f"there is no {NAMES[kind]} {kept_id[:40]}")


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


def unended(connection: sa.Connection, now: int) -> list[list[tuple[Any, ...]]]:
    """The rows of everything that may still mute at *now* or later: silences, then maintenance, then dependencies."""
    s, m = tables.silences.c, tables.maintenance.c
    once_over = sa.and_(m.rrule.is_(None), m.ends_at <= now)
    queries = (
        sa.select(*columns(Silence)).where(s.ends_at > now).order_by(s.id),
        sa.select(*columns(Maintenance)).where(sa.not_(once_over), sa.or_(m.ended_at.is_(None), m.ended_at > now)).order_by(m.id),
        sa.select(*columns(Dependency)).order_by(tables.dependencies.c.id),
    )
    return [[tuple(row) for row in connection.execute(query)] for query in queries]


_PARENTS = (
    "SELECT number, site_id, type, severity, host, subject, attributes FROM alerts"
    " WHERE is_parent AND status <> 'resolved' ORDER BY number LIMIT 10000"
)


def parents_down(tx: Tx, slug_of: Callable[[int], str]) -> list[Parent]:
    """The alerts that are not resolved and that others depend on, by number."""
    rows = tx.driver.execute(_PARENTS).fetchall()
    return [Parent(number, Labels(slug_of(site_id), *rest)) for number, site_id, *rest in rows]

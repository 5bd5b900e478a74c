"""The SQL of event rules and their versions."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.ruling.model import EventRule

_RULES, _VERSIONS = tables.rules, tables.rule_versions


class Kept(msgspec.Struct, frozen=True):
    """A rule with what is known about it. Times in milliseconds."""

    rule: EventRule
    created_at: int
    updated_at: int
    updated_by: str


class Version(msgspec.Struct, frozen=True):
    """What a rule once said, since when, and who made it so."""

    rule: EventRule
    created_at: int
    created_by: str


def rows(connection: sa.Connection) -> list[tuple[Any, ...]]:
    """The newest definition of each rule that is there, in order, as text."""
    joined = _RULES.join(_VERSIONS, sa.and_(_RULES.c.id == _VERSIONS.c.rule_id, _RULES.c.version == _VERSIONS.c.version))
    columns = (_VERSIONS.c.definition, _RULES.c.created_at, _RULES.c.updated_at, _VERSIONS.c.created_by)
    query = sa.select(*columns).select_from(joined).where(_RULES.c.deleted_at.is_(None)).order_by(_RULES.c.place, _RULES.c.id)
    return [tuple(row) for row in connection.execute(query)]


def every(connection: sa.Connection) -> list[Kept]:
    """All rules that are there, in order."""
    return [Kept(read(row[0]), *row[1:]) for row in rows(connection)]


def find(connection: sa.Connection, rule_id: str) -> Kept:
    """One of them. Raises `NotFound`."""
    for kept in every(connection):
        if kept.rule.id == rule_id:
            return kept
    raise NotFound(f"there is no rule {rule_id[:40]}")


def versions(connection: sa.Connection, rule_id: str) -> list[Version]:
    """All that a rule ever said, the newest first, whether it is still there or not; empty if there never was one."""
    c = _VERSIONS.c
    query = sa.select(c.definition, c.created_at, c.created_by).where(c.rule_id == rule_id).order_by(c.version.desc())
    return [Version(read(row[0]), row[1], row[2]) for row in connection.execute(query)]


def read(text: str) -> EventRule:
    """A stored definition as what it stands for."""
    return msgspec.json.decode(text, type=EventRule)


def hold(tx: Tx) -> None:
    """Nobody else changes the rules before this transaction ends: they are one list."""
    if not tx.is_sqlite:
        tx.driver.execute("LOCK TABLE rules IN SHARE ROW EXCLUSIVE MODE")


def add(tx: Tx, rule: EventRule, actor: str, now: int) -> None:
    """A new rule, for the moment at the end."""
    place = sa.select(sa.func.coalesce(sa.func.max(_RULES.c.place) + 1, 0)).scalar_subquery()
    tx.sql.execute(_RULES.insert().values(id=rule.id, place=place, version=rule.version, created_at=now, updated_at=now))
    _add_version(tx, rule, actor, now)


def change(tx: Tx, rule: EventRule, actor: str, now: int) -> None:
    """The next version of a rule; one that was removed is there again."""
    values = {"version": rule.version, "updated_at": now, "deleted_at": None}
    tx.sql.execute(_RULES.update().where(_RULES.c.id == rule.id).values(**values))
    _add_version(tx, rule, actor, now)


def remove(tx: Tx, rule_id: str, now: int) -> None:
    """Takes a rule away; what it said is kept."""
    tx.sql.execute(_RULES.update().where(_RULES.c.id == rule_id).values(deleted_at=now))


def put_in_order(tx: Tx, ids: Sequence[str]) -> None:
    """The rules are asked in the order of *ids*."""
    for place, rule_id in enumerate(ids):
        tx.sql.execute(_RULES.update().where(_RULES.c.id == rule_id, _RULES.c.place != place).values(place=place))


def _add_version(tx: Tx, rule: EventRule, actor: str, now: int) -> None:
    text = msgspec.json.encode(rule).decode()
    tx.sql.execute(_VERSIONS.insert().values(rule_id=rule.id, version=rule.version, definition=text, created_at=now, created_by=actor))

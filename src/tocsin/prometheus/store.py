"""The SQL of the exporters that are asked."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
from tocsin.core.ids import is_uuid
from tocsin.db import tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.prometheus.model import Target

_TABLE = tables.exporters
_FIELDS = Target.__struct_fields__
_COLUMNS = tuple("interval_ms" if name == "interval" else name for name in _FIELDS)


def add(tx: Tx, target: Target) -> None:
    """A new one."""
    tx.sql.execute(_TABLE.insert().values(**dict(zip(_COLUMNS, msgspec.structs.astuple(target), strict=True))))


def replace(tx: Tx, target: Target, changed: Sequence[str]) -> None:
    """The fields that were decided to change."""
    values = {_COLUMNS[_FIELDS.index(name)]: getattr(target, name) for name in changed}
    tx.sql.execute(_TABLE.update().where(_TABLE.c.id == target.id).values(values))


def remove(tx: Tx, target_id: str) -> None:
    """Takes one away."""
    tx.sql.execute(_TABLE.delete().where(_TABLE.c.id == target_id))


def every(connection: sa.Connection) -> list[Target]:
    """All of them, the newest first."""
    return [Target(*row) for row in connection.execute(_select().order_by(_TABLE.c.id.desc()))]


def find(connection: sa.Connection, target_id: str, *, lock: bool = False) -> Target:
    """One by its id. Raises `NotFound`."""
    wanted = target_id.lower()
    query = _select().where(_TABLE.c.id == wanted)
    row = connection.execute(query.with_for_update() if lock else query).first() if is_uuid(wanted) else None
    if row is None:
        raise NotFound(f"there is no exporter {target_id[:40]}")
    return Target(*row)


def failing(connection: sa.Connection) -> int:
    """How many that are asked did not answer the last time."""
    query = sa.select(sa.func.count()).select_from(_TABLE).where(_TABLE.c.enabled, _TABLE.c.failures > 0)
    return int(connection.execute(query).scalar_one())


def is_any_due(now: int) -> Question:
    """Whether one is to be asked now."""
    return Question("SELECT 1 FROM exporters WHERE next_at <= ? AND enabled", (now,))


def due(connection: sa.Connection, now: int, limit: int) -> list[Target]:
    """Those that are to be asked now, the most overdue first."""
    wanted = _select().where(_TABLE.c.next_at <= now, _TABLE.c.enabled).order_by(_TABLE.c.next_at).limit(limit)
    return [Target(*row) for row in connection.execute(wanted)]


def claim(tx: Tx, target: Target, now: int) -> bool:
    """Whether this process may ask it now: of several, one may. The next time is a whole number of intervals on."""
    missed = max(0, now - target.next_at) // target.interval
    later = target.next_at + (missed + 1) * target.interval
    still = sa.and_(_TABLE.c.id == target.id, _TABLE.c.next_at == target.next_at, _TABLE.c.enabled)
    return tx.sql.execute(_TABLE.update().where(still).values(next_at=later, asked_at=now)).rowcount == 1


def _select() -> sa.Select[Any]:
    return sa.select(*[_TABLE.c[name] for name in _COLUMNS])

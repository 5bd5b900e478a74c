"""The SQL of heartbeats and their pings."""

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
from tocsin.db import tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.heartbeats.model import KEPT_PINGS, Heartbeat, Kind, Ping, Schedule

_BEATS, _PINGS = tables.heartbeats, tables.heartbeat_pings
LOOKED_AT = "heartbeats_looked_at"


def _read(row: sa.Row[Any]) -> Heartbeat:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    del values["digest"]
    schedule = Schedule(values.pop("period"), values.pop("cron"), values.pop("time_zone"))
    kind = values.pop("last_kind")
    return Heartbeat(schedule=schedule, last_kind=None if kind is None else Kind(kind), **values)


def _values(heartbeat: Heartbeat) -> dict[str, Any]:
    values = msgspec.structs.asdict(heartbeat)
    schedule = values.pop("schedule")
    kind = values.pop("last_kind")
    return {
        **values,
        "period": schedule.period,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "last_kind": None if kind is None else kind.value,
    }


def heartbeats(
    connection: sa.Connection, site_ids: frozenset[int] | None = None, after: str | None = None, limit: int | None = None
) -> list[Heartbeat]:
    """Those of these sites (None: all), in the order in which they were made."""
    query = sa.select(_BEATS).order_by(_BEATS.c.id).limit(limit)
    if site_ids is not None:
        query = query.where(_BEATS.c.site_id.in_(sorted(site_ids)))
    if after is not None:
        query = query.where(_BEATS.c.id > after)
    return [_read(row) for row in connection.execute(query)]


def get(connection: sa.Connection, heartbeat_id: str, site_ids: frozenset[int] | None = None) -> Heartbeat:
    """One by its id. Raises `NotFound`, also for what is of a site that the caller may not see."""
    row = connection.execute(sa.select(_BEATS).where(_BEATS.c.id == heartbeat_id)).one_or_none()
    if row is None or (site_ids is not None and row.site_id not in site_ids):
        raise NotFound(f"there is no heartbeat {heartbeat_id[:40]}")
    return _read(row)


def lock(tx: Tx, heartbeat_id: str) -> Heartbeat | None:
    """The same for a change: who else would change it waits."""
    query = sa.select(_BEATS).where(_BEATS.c.id == heartbeat_id)
    row = tx.sql.execute(query if tx.is_sqlite else query.with_for_update()).one_or_none()
    return None if row is None else _read(row)


def find_token(tx: Tx, digest: str) -> Heartbeat | None:
    """The heartbeat whose token has this digest."""
    query = sa.select(_BEATS).where(_BEATS.c.digest == digest)
    row = tx.sql.execute(query if tx.is_sqlite else query.with_for_update()).one_or_none()
    return None if row is None else _read(row)


def id_of(connection: sa.Connection, digest: str) -> str | None:
    """The id of the heartbeat whose token has this digest."""
    return connection.execute(sa.select(_BEATS.c.id).where(_BEATS.c.digest == digest)).scalar_one_or_none()


def is_any() -> Question:
    """Whether there is one."""
    return Question("SELECT 1 FROM heartbeats")


def is_any_due(now: int) -> Question:
    """Whether there is something to decide about one."""
    return Question("SELECT 1 FROM heartbeats WHERE due_at <= ?", (now,))


def due(connection: sa.Connection, now: int, limit: int) -> list[str]:
    """The ids of those about which there is something to decide, the most overdue first."""
    query = sa.select(_BEATS.c.id).where(_BEATS.c.due_at <= now).order_by(_BEATS.c.due_at, _BEATS.c.id).limit(limit)
    return list(connection.execute(query).scalars())


def expected(connection: sa.Connection, since: int) -> list[str]:
    """The ids of those that are waited for until after a moment."""
    return list(connection.execute(sa.select(_BEATS.c.id).where(_BEATS.c.due_at >= since).order_by(_BEATS.c.id)).scalars())


def count(connection: sa.Connection) -> int:
    """How many there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(_BEATS)).scalar_one()


def add(tx: Tx, heartbeat: Heartbeat, digest: str) -> None:
    """Stores a new one by the digest of its token."""
    tx.sql.execute(_BEATS.insert().values(**_values(heartbeat), digest=digest))


def save(tx: Tx, heartbeat: Heartbeat) -> None:
    """Stores it as it now is; the caller has locked it."""
    tx.sql.execute(_BEATS.update().where(_BEATS.c.id == heartbeat.id).values(_values(heartbeat)))


def new_token(tx: Tx, heartbeat_id: str, digest: str) -> None:
    """Puts another token in the place of the present one."""
    tx.sql.execute(_BEATS.update().where(_BEATS.c.id == heartbeat_id).values(digest=digest))


def remove(tx: Tx, heartbeat_id: str) -> None:
    """Takes one away, with its pings."""
    tx.sql.execute(_PINGS.delete().where(_PINGS.c.heartbeat_id == heartbeat_id))
    tx.sql.execute(_BEATS.delete().where(_BEATS.c.id == heartbeat_id))


# Pings.


def add_ping(tx: Tx, heartbeat: Heartbeat, ping: Ping) -> None:
    """Keeps a ping, and lets go of those that are too many."""
    tx.sql.execute(_PINGS.insert().values(**msgspec.structs.asdict(ping), heartbeat_id=heartbeat.id, site_id=heartbeat.site_id))
    of_it = sa.select(_PINGS.c.number).where(_PINGS.c.heartbeat_id == heartbeat.id).order_by(_PINGS.c.number.desc())
    last = tx.sql.execute(of_it.offset(KEPT_PINGS).limit(1)).scalar_one_or_none()
    if last is not None:
        tx.sql.execute(_PINGS.delete().where(_PINGS.c.heartbeat_id == heartbeat.id, _PINGS.c.number <= last))


def pings(connection: sa.Connection, heartbeat_id: str, limit: int = KEPT_PINGS) -> list[Ping]:
    """The last pings, the newest first."""
    p = _PINGS.c
    query = sa.select(p.at, p.kind, p.took, p.exit_code, p.address, p.log).where(p.heartbeat_id == heartbeat_id)
    rows = connection.execute(query.order_by(p.number.desc()).limit(limit))
    return [Ping(row.at, Kind(row.kind), row.took, row.exit_code, row.address, row.log) for row in rows]


def last_pings(connection: sa.Connection, heartbeat_ids: Collection[str], limit: int) -> dict[str, list[Ping]]:
    """The last *limit* pings of each of them, the newest first, without what they said."""
    p = _PINGS.c
    place = sa.func.row_number().over(partition_by=p.heartbeat_id, order_by=p.number.desc()).label("place")
    ranked = sa.select(p.heartbeat_id, p.number, p.at, p.kind, p.took, p.exit_code, p.address, place)
    last = ranked.where(p.heartbeat_id.in_(sorted(heartbeat_ids))).subquery()
    found: dict[str, list[Ping]] = {one: [] for one in heartbeat_ids}
    query = sa.select(last).where(last.c.place <= limit).order_by(last.c.heartbeat_id, last.c.number.desc())
    for row in connection.execute(query):
        found[row.heartbeat_id].append(Ping(row.at, Kind(row.kind), row.took, row.exit_code, row.address))
    return found


# Whether anybody was there.


def looked_at(tx: Tx) -> int | None:
    """When it was last looked for what is late."""
    table = tables.settings
    found = tx.sql.execute(sa.select(table.c.value).where(table.c.name == LOOKED_AT)).scalar_one_or_none()
    return None if found is None else int(found)


def note_look(tx: Tx, now: int) -> None:
    """Notes that it is looked now."""
    table = tables.settings
    if tx.sql.execute(table.update().where(table.c.name == LOOKED_AT).values(value=str(now))).rowcount == 0:
        tx.sql.execute(table.insert().values(name=LOOKED_AT, value=str(now)))

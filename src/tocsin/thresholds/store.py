"""The SQL of thresholds, and of how series stand to them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
from tocsin.core.ids import is_uuid
from tocsin.db import bulk, tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.thresholds.model import Direction, Level, State, Threshold, Watched

_TABLE, _STATES = tables.thresholds, tables.threshold_states
_COLUMNS = tuple(name if name not in ("lasts", "missing") else f"{name}_ms" for name in Threshold.__struct_fields__)
_SERIES = ("series_id", "site_id", "name", "host", "labels")
_STATE = ("level", "since", "warning_since", "critical_since", "last_at", "due_at", "is_silent")
_labels = msgspec.json.Decoder(dict[str, str]).decode

Place = tuple[int, Direction]  # of a state: the series and the direction


class Kept(msgspec.Struct, frozen=True):
    """A state with what it is about."""

    series: Watched
    direction: Direction
    threshold_id: str
    state: State

    @property
    def place(self) -> Place:
        """What there is one of."""
        return self.series.id, self.direction


def add(tx: Tx, threshold: Threshold) -> None:
    """A new one."""
    tx.sql.execute(_TABLE.insert().values(**_row(threshold)))


def replace(tx: Tx, threshold: Threshold, changed: Sequence[str]) -> None:
    """The fields that were decided to change."""
    row = _row(threshold)
    names = [_COLUMNS[Threshold.__struct_fields__.index(name)] for name in changed]
    tx.sql.execute(_TABLE.update().where(_TABLE.c.id == threshold.id).values({name: row[name] for name in names}))


def remove(tx: Tx, threshold_id: str) -> None:
    """Takes one away."""
    tx.sql.execute(_TABLE.delete().where(_TABLE.c.id == threshold_id))


def every(connection: sa.Connection) -> list[Threshold]:
    """All that people have made, the newest first."""
    return [_read(row) for row in connection.execute(sa.select(*_columns()).order_by(_TABLE.c.id.desc()))]


def find(connection: sa.Connection, threshold_id: str, *, lock: bool = False) -> Threshold:
    """One by its id. Raises `NotFound`."""
    wanted = threshold_id.lower()
    query = sa.select(*_columns()).where(_TABLE.c.id == wanted)
    row = connection.execute(query.with_for_update() if lock else query).first() if is_uuid(wanted) else None
    if row is None:
        raise NotFound(f"there is no threshold {threshold_id[:40]}")
    return _read(row)


def hold(tx: Tx) -> None:
    """Nobody else makes or changes thresholds before this transaction ends."""
    if not tx.is_sqlite:
        tx.driver.execute("LOCK TABLE thresholds IN SHARE ROW EXCLUSIVE MODE")


def _columns() -> list[sa.Column[Any]]:
    return [_TABLE.c[name] for name in _COLUMNS]


def _row(threshold: Threshold) -> dict[str, Any]:
    values = dict(zip(_COLUMNS, msgspec.structs.astuple(threshold), strict=True))
    return values | {"labels": _text(threshold.labels), "direction": threshold.direction.value}


def _text(labels: Any) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()


def _read(row: Any) -> Threshold:
    fields = dict(zip(Threshold.__struct_fields__, row, strict=True))
    return Threshold(**fields | {"labels": _labels(row.labels), "direction": Direction(row.direction)})


# --- States -------------------------------------------------------------------------------------------------------------


def states(tx: Tx, series_ids: Iterable[int]) -> dict[Place, Kept]:
    """How these series stand, locked for this transaction."""
    rows = bulk.fetch(tx, _STATES, _KEPT, "series_id", sorted(series_ids), lock=True)
    return {kept.place: kept for kept in map(_kept, rows)}


def save(tx: Tx, kept: Sequence[Kept]) -> None:
    """Puts these states in the place of what was there."""
    for one in kept:
        tx.driver.execute(_UPSERT.replace("?", "?" if tx.is_sqlite else "%s"), _values(one))


def forget(tx: Tx, places: Iterable[Place]) -> None:
    """These series are watched no more."""
    for series_id, direction in places:
        tx.sql.execute(_STATES.delete().where(_STATES.c.series_id == series_id, _STATES.c.direction == direction.value))


def is_any_due(now: int) -> Question:
    """Whether one's silence is to be told."""
    return Question("SELECT 1 FROM threshold_states WHERE due_at <= ?", (now,))


def due(tx: Tx, now: int, limit: int) -> list[Kept]:
    """Those whose silence is to be told, the longest silent first; rows locked by others are left to them."""
    mark, lock = ("?", "") if tx.is_sqlite else ("%s", " FOR UPDATE SKIP LOCKED")
    sql = f"SELECT {', '.join(_KEPT)} FROM threshold_states WHERE due_at <= {mark} ORDER BY due_at LIMIT {mark}{lock}"  # noqa: S608
    return [_kept(row) for row in tx.driver.execute(sql, (now, limit)).fetchall()]


def of_threshold(tx: Tx, threshold_id: str) -> list[Kept]:
    """All that stands under a threshold, locked."""
    query = sa.select(*[_STATES.c[name] for name in _KEPT]).where(_STATES.c.threshold_id == threshold_id)
    found = tx.sql.execute(query.order_by(_STATES.c.series_id, _STATES.c.direction).with_for_update())
    return [_kept(tuple(row)) for row in found]


_KEPT = (*_SERIES, "direction", "threshold_id", *_STATE)
_UPSERT = (
    f"INSERT INTO threshold_states({', '.join(_KEPT)}) VALUES ({', '.join('?' * len(_KEPT))})"  # noqa: S608 - names from the code
    f" ON CONFLICT (series_id, direction) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in ('threshold_id', *_STATE))}"
)


_LEVELS = {one.value: one for one in Level}  # a quarter of the time that the class takes
_DIRECTIONS = {one.value: one for one in Direction}


def _values(kept: Kept) -> tuple[Any, ...]:
    series, state = kept.series, kept.state
    about = (series.id, series.site_id, series.name, series.host, _text(series.labels), kept.direction.value, kept.threshold_id)
    stands = (state.level.value, state.since, state.warning_since, state.critical_since, state.last_at, state.due_at, state.is_silent)
    return (*about, *stands)


def _kept(row: Sequence[Any]) -> Kept:
    series_id, site_id, name, host, labels, direction, threshold_id, level, *moments, is_silent = row
    series = Watched(series_id, site_id, name, host, _labels(labels))
    since, warning_since, critical_since, last_at, due_at = moments
    state = State(_LEVELS[level], since, warning_since, critical_since, last_at, due_at, bool(is_silent))
    return Kept(series, _DIRECTIONS[direction], threshold_id, state)

"""Roll-ups: what each hour and each day comes to, in rows that anyone can read; late samples have theirs made anew.

How far it has come stands in one row of the settings' table. Each step is a look and a transaction that writes some roll-ups
and moves that row, or does nothing if another node has moved it. Written twice, a roll-up is the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, HOUR
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.metrics.model import Rollup
from tocsin.metrics.rules import SETTLED, last_closed_hour, roll_up
from tocsin.metrics.store import HistoryStore, Point, Row, hours_of_rows

MARKS = "rollups"
MAX_ROWS = 8_000  # samples in one look at an hour
MAX_SERIES = 40  # in one look at a day
MAX_LATE = 20  # late days of series in one look

_SAMPLES, _HOURLY, _DAILY, _LATE, _SETTINGS = (
    tables.samples,
    tables.rollups_hourly,
    tables.rollups_daily,
    tables.late_days,
    tables.settings,
)
FIGURES = Rollup.__struct_fields__
_CHANGE = ", ".join(f"{name} = excluded.{name}" for name in FIGURES)
NONE = -1


class Marks(msgspec.Struct, frozen=True):
    """How far it has come: the hour that is next, its last series that is done, the same of the day; and how often this was moved."""

    hour: int
    hour_done: int
    day: int
    day_done: int
    turn: int = 0


_read = msgspec.json.Decoder(Marks).decode


class Rolling(msgspec.Struct, frozen=True):
    """What is to be written, and from which marks to which."""

    before: Marks | None
    after: Marks
    hourly: Sequence[tuple[int, int, Rollup]] = ()  # series, hour
    daily: Sequence[tuple[int, int, Rollup]] = ()  # series, day
    late: Sequence[tuple[int, int, int]] = ()  # day, series, version: done with this

    def write(self, tx: Tx) -> bool:
        """Writes it; False if another node was first."""
        if not self._move(tx):
            return False
        hourly = [(hour // 24, series_id, hour, *_figures(found)) for series_id, hour, found in self.hourly]
        bulk.upsert(tx, _HOURLY, ("day", "series_id", "hour", *FIGURES), hourly, _CHANGE)
        daily = [(series_id, day, *_figures(found)) for series_id, day, found in self.daily]
        bulk.upsert(tx, _DAILY, ("series_id", "day", *FIGURES), daily, _CHANGE)
        c = _LATE.c
        for day, series_id, version in self.late:
            tx.sql.execute(_LATE.delete().where(c.day == day, c.series_id == series_id, c.version == version))
        return True

    def _move(self, tx: Tx) -> bool:
        mine = msgspec.structs.replace(self.after, turn=self.after.turn + 1)
        if self.before is None:
            return bool(bulk.insert_new(tx, _SETTINGS, ("name", "value"), [(MARKS, _text(mine))]))
        here = sa.and_(_SETTINGS.c.name == MARKS, _SETTINGS.c.value == _text(self.before))
        return tx.sql.execute(_SETTINGS.update().where(here).values(value=_text(mine))).rowcount == 1


def _figures(found: Rollup) -> tuple[float, ...]:
    return tuple(msgspec.structs.astuple(found))


def _text(marks: Marks) -> str:
    return msgspec.json.encode(marks).decode()


def marks(connection: sa.Connection) -> Marks | None:
    """How far it has come; None: it has not begun."""
    found = connection.exec_driver_sql(f"SELECT value FROM settings WHERE name = '{MARKS}'").scalar_one_or_none()  # noqa: S608 - our own name
    return None if found is None else _read(found)


def look(connection: sa.Connection, keeper: HistoryStore, now: int) -> Rolling | None:
    """The next roll-ups: of hours that are over, then of days, then of late samples. None: all is done."""
    found = marks(connection)
    if found is None:
        return _beginning(connection, now)
    return _hour(connection, found, now) or _day(connection, keeper, found) or _late(connection, keeper, found)


def _beginning(connection: sa.Connection, now: int) -> Rolling:
    hours = hours_of_rows(connection)
    hour = min([last_closed_hour(now) + 1, *hours[:1]])
    return Rolling(None, Marks(hour, NONE, hour // 24, NONE))


def _hour(connection: sa.Connection, found: Marks, now: int) -> Rolling | None:
    closed = last_closed_hour(now - SETTLED)
    if found.hour > closed:
        return None
    rows, is_all = _hour_rows(connection, found.hour, found.hour_done)
    hourly = [(series_id, found.hour, roll_up([value for _, value in points])) for series_id, points in _by_series(rows).items()]
    if not is_all:
        return Rolling(found, msgspec.structs.replace(found, hour_done=hourly[-1][0]), hourly)
    following = connection.execute(sa.select(sa.func.min(_SAMPLES.c.hour)).where(_SAMPLES.c.hour > found.hour)).scalar_one_or_none()
    next_hour = min(closed + 1, following or closed + 1)
    return Rolling(found, msgspec.structs.replace(found, hour=next_hour, hour_done=NONE), hourly)


def _hour_rows(connection: sa.Connection, hour: int, done: int) -> tuple[list[Row], bool]:
    """Samples of whole series in an hour, and whether these are all."""
    c = _SAMPLES.c
    query = sa.select(c.series_id, c.at, c.value).where(c.hour == hour, c.series_id > done).order_by(c.series_id, c.at)
    rows = [(series_id, at, value) for series_id, at, value in connection.execute(query.limit(MAX_ROWS + 1))]
    if len(rows) <= MAX_ROWS:
        return rows, True
    cut = rows[-1][0]
    whole = [row for row in rows if row[0] != cut]
    if whole:
        return whole, False
    alone = connection.execute(query.where(c.series_id == cut))  # one series that alone has more
    return [(series_id, at, value) for series_id, at, value in alone], False


def _by_series(rows: Iterable[Row]) -> dict[int, list[Point]]:
    found: dict[int, list[Point]] = {}
    for series_id, at, value in rows:
        found.setdefault(series_id, []).append((at, value))
    return found


def _day(connection: sa.Connection, keeper: HistoryStore, found: Marks) -> Rolling | None:
    day = found.day
    if found.hour < (day + 1) * 24:
        return None
    c = _HOURLY.c
    query = sa.select(c.series_id).distinct().where(c.day == day, c.series_id > found.day_done).order_by(c.series_id)
    ids = list(connection.execute(query.limit(MAX_SERIES)).scalars())
    daily = _of_day(keeper.points(connection, ids, day * DAY, (day + 1) * DAY), day)
    if len(ids) == MAX_SERIES:
        return Rolling(found, msgspec.structs.replace(found, day_done=ids[-1]), (), daily)
    following = connection.execute(sa.select(sa.func.min(c.day)).where(c.day > day)).scalar_one_or_none()
    last = found.hour // 24
    next_day = min(last, following or last) if ids == [] else day + 1
    return Rolling(found, msgspec.structs.replace(found, day=max(day + 1, next_day), day_done=NONE), (), daily)


def _of_day(points: Mapping[int, Sequence[Point]], day: int) -> list[tuple[int, int, Rollup]]:
    return [(series_id, day, roll_up([value for _, value in some])) for series_id, some in points.items()]


def _late(connection: sa.Connection, keeper: HistoryStore, found: Marks) -> Rolling | None:
    """Roll-ups made before the last samples came. Hours and days that are still to be done need nothing."""
    c = _LATE.c
    rows = connection.execute(sa.select(c.day, c.series_id, c.version).order_by(c.day, c.series_id).limit(MAX_LATE)).all()
    if not rows:
        return None
    day = rows[0].day
    late = [(row.day, row.series_id, row.version) for row in rows if row.day == day]
    points = keeper.points(connection, [series_id for _, series_id, _ in late], day * DAY, (day + 1) * DAY)
    hourly = [one for one in _hours_of(points) if one[1] <= found.hour]
    return Rolling(found, found, hourly, _of_day(points, day) if day <= found.day else (), late)


def _hours_of(points: Mapping[int, Sequence[Point]]) -> Iterator[tuple[int, int, Rollup]]:
    for series_id, some in points.items():
        hours: dict[int, list[float]] = {}
        for at, value in some:
            hours.setdefault(at // HOUR, []).append(value)
        for hour, values in hours.items():
            yield series_id, hour, roll_up(values)

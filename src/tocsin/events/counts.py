"""How many events came from each site in each five minutes: counted from the log itself, each event once.

The charts, the dial and the age of a site's last event read these few rows instead of the log. The mark up to which is
counted and the counts change in one transaction, so dying anywhere loses nothing and counts nothing twice. Events of the
last seconds are left for the next time: on PostgreSQL a lower number may be committed a moment after a higher one.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, MINUTE, SECOND
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.events.matching import of_sites

CELL = 5 * MINUTE
SETTLED = 3 * SECOND  # younger events may still have neighbours that are not committed
AT_ONCE = 20_000  # events in one look, so that the reader is not kept long
KEEP = 120 * DAY
MARK = "events_counted"

_EVENTS, _COUNTS, _SETTINGS = tables.events, tables.event_counts, tables.settings


class Count(msgspec.Struct, frozen=True):
    """What one site sent in one cell: all events, those that are problems, and when the last arrived (ms)."""

    site_id: int
    cell: int
    events: int
    problems: int
    last_at: int


class Look(msgspec.Struct, frozen=True):
    """What is to be added: the counts of the events after ``mark`` and up to ``reached``."""

    mark: int
    reached: int
    counts: tuple[Count, ...]

    @property
    def is_full(self) -> bool:
        """Whether more may be left than came in while these were counted: that waits, or under load there would be no end of it."""
        return self.reached - self.mark == AT_ONCE


def mark(connection: sa.Connection) -> int:
    """The number of the last event that is counted."""
    return int(connection.execute(sa.select(_SETTINGS.c.value).where(_SETTINGS.c.name == MARK)).scalar_one_or_none() or 0)


def look(connection: sa.Connection, now: int) -> Look | None:
    """The next events that are not counted yet; None if there are none."""
    c = _EVENTS.c
    before = mark(connection)
    settled = sa.select(c.number).where(c.received_at <= now - SETTLED).order_by(c.number.desc()).limit(1)
    newest = connection.execute(settled).scalar_one_or_none() or 0
    reached = min(newest, before + AT_ONCE)
    if reached <= before:
        return None
    # Whole divisions in whole numbers on both databases.
    cell: sa.ColumnElement[int] = sa.literal_column(f"(occurred_at / {CELL})")
    problems = sa.func.sum(sa.case((c.status == "problem", 1), else_=0))
    query = (
        sa.select(c.site_id, cell, sa.func.count(), problems, sa.func.max(c.received_at))
        .where(c.number > before, c.number <= reached)
        .group_by(c.site_id, cell)
    )
    counts = tuple(Count(r[0], r[1] * CELL, r[2], int(r[3]), r[4]) for r in connection.execute(query))
    return Look(before, reached, counts)


def add(tx: Tx, found: Look) -> bool:
    """Adds the counts; False if another node was first."""
    if not _move_mark(tx, found):
        return False
    for count in found.counts:
        tx.driver.execute(_ADD.replace("?", "?" if tx.is_sqlite else "%s"), msgspec.structs.astuple(count))
    return True


_ADD = (
    "INSERT INTO event_counts(site_id, cell, events, problems, last_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT(site_id, cell) DO UPDATE SET events = event_counts.events + excluded.events, "
    "problems = event_counts.problems + excluded.problems, "
    "last_at = CASE WHEN excluded.last_at > event_counts.last_at THEN excluded.last_at ELSE event_counts.last_at END"
)


def _move_mark(tx: Tx, found: Look) -> bool:
    if found.mark == 0:
        mark = "?" if tx.is_sqlite else "%s"
        insert = f"INSERT INTO settings(name, value) VALUES ('{MARK}', {mark}) ON CONFLICT DO NOTHING"  # noqa: S608 - our own name
        return bool(tx.driver.execute(insert, (str(found.reached),)).rowcount)
    update = _SETTINGS.update().where(_SETTINGS.c.name == MARK, _SETTINGS.c.value == str(found.mark)).values(value=str(found.reached))
    return tx.sql.execute(update).rowcount == 1


def tidy(tx: Tx, now: int) -> None:
    """Removes counts that are too old to be shown."""
    tx.sql.execute(_COUNTS.delete().where(_COUNTS.c.cell < now - KEEP))


# --- reading


def cells(connection: sa.Connection, since: int, until: int, site_ids: frozenset[int] | None) -> list[Count]:
    """The counts of every cell that begins in a period, by time."""
    c = _COUNTS.c
    query = sa.select(*c).where(c.cell >= since - CELL + 1, c.cell < until, *of_sites(c.site_id, site_ids))
    return [Count(*row) for row in connection.execute(query.order_by(c.cell))]


def uncounted(connection: sa.Connection) -> list[tuple[int, int, int]]:
    """Site, moment and 1 for a problem of the newest events that are not in any count yet."""
    c = _EVENTS.c
    query = sa.select(c.site_id, c.occurred_at, sa.case((c.status == "problem", 1), else_=0)).where(c.number > mark(connection))
    return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(c.number.desc()).limit(2_000))]


def last_seen(connection: sa.Connection, site_ids: Sequence[int]) -> dict[int, int]:
    """When the newest event of each site arrived, those not counted yet included; a site that never sent anything is not in it."""
    found: dict[int, int] = {}
    for site_id in site_ids:
        newest = sa.select(_COUNTS.c.last_at).where(_COUNTS.c.site_id == site_id).order_by(_COUNTS.c.cell.desc()).limit(3)
        times = connection.execute(newest).scalars().all()
        if times:
            found[site_id] = max(times)
    c = _EVENTS.c
    fresh = sa.select(c.site_id, c.received_at).where(c.number > mark(connection)).order_by(c.number.desc()).limit(2_000)
    for site_id, received_at in connection.execute(fresh):
        if site_id in site_ids:
            found[site_id] = max(received_at, found.get(site_id, 0))
    return found

"""The last days again, under other rules: what was stored is read and followed; nothing is written, and the time is bounded."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, monotonic
from tocsin.events.sites import SiteBook
from tocsin.ruling.model import EventRule, FiguresOf
from tocsin.ruling.replay import Outcome, Replay

MAX_DAYS = 30
SECONDS = 30.0  # at most so long
AT_ONCE = 5_000  # rows
_PLAIN = ("received_at", "site_id", "type", "severity", "status", "dedup_key", "alert_number")


class BackTest(msgspec.Struct, frozen=True):
    """What two lists of rules come to over the same events. ``complete`` False: there were more than could be looked at in time."""

    since: int
    until: int
    events: int
    complete: bool
    before: Outcome
    after: Outcome


def run(
    connection: sa.Connection,
    before: Sequence[EventRule],
    after: Sequence[EventRule],
    sites: SiteBook,
    now: int,
    days: int = MAX_DAYS,
    tick: Callable[[], float] = monotonic,
    figures_of: FiguresOf | None = None,
) -> BackTest:
    """Follows the events of the last *days* under both lists. *figures_of*: what is known now of the impact of things."""
    since, end = now - days * DAY, tick() + SECONDS
    replay = Replay(before, after, sites.slug_of, _ends(sites), figures_of)
    resolved = deque(_resolved_by_people(connection, since))
    events, at, complete = 0, now, True
    for rows in _events(connection, replay.texts, since):
        _take(replay, rows, resolved)
        events += len(rows)
        if tick() > end:
            at, complete = rows[-1][0], False
            break
    one, other = replay.outcome(at)
    return BackTest(since, at, events, complete, one, other)


def _take(replay: Replay, rows: Sequence[Sequence[Any]], resolved: deque[tuple[int, int]]) -> None:
    """Events, and between them what people resolved at that time."""
    start = 0
    while resolved and resolved[0][0] <= rows[-1][0]:
        at, number = resolved.popleft()
        stop = bisect_right(rows, at, start, key=itemgetter(0))
        replay.take(rows[start:stop])
        replay.resolve(number, at)
        start = stop
    replay.take(rows[start:])


def _events(connection: sa.Connection, texts: Sequence[str], since: int) -> Iterator[Sequence[Any]]:
    """The events that may tell somebody, in the order in which they came, some at a time."""
    sign = "?" if connection.dialect.name == "sqlite" else "%s"
    columns = ", ".join((*_PLAIN, *texts, "number"))
    first = f"SELECT min(number) FROM events WHERE occurred_at >= {sign}"  # noqa: S608 - a mark
    sql = f"SELECT {columns} FROM events WHERE number > {sign} AND status <> 'info' ORDER BY number LIMIT {AT_ONCE}"  # noqa: S608 - names from the code
    after = connection.exec_driver_sql(first, (since,)).scalar()
    place = None if after is None else after - 1
    while place is not None:
        rows = connection.exec_driver_sql(sql, (place,)).cursor.fetchall()
        place = rows[-1][-1] if len(rows) == AT_ONCE else None
        if rows:
            yield rows


def _resolved_by_people(connection: sa.Connection, since: int) -> list[tuple[int, int]]:
    """When which alerts were resolved by somebody, in order."""
    sql = sa.text(
        "SELECT resolved_at, number FROM alerts WHERE status = 'resolved' AND resolved_at >= :since AND resolved_by <> 'tocsin'"
        " ORDER BY resolved_at, number"
    )
    return [(row[0], row[1]) for row in connection.execute(sql, {"since": since})]


def _ends(sites: SiteBook) -> Callable[[int, str, str], tuple[str, ...]]:
    """Of the key that a recovery carries, all that it ends: the same thing's other problems, as the site's catalogue says."""
    rows: dict[tuple[int, str], tuple[str, ...]] = {}

    def others(site_id: int, kind: str) -> tuple[str, ...]:
        site = next((one for one in sites.all() if one.id == site_id), None)
        row = None if site is None else site.catalogue.get(kind)
        return () if row is None or row.recovers_on else (*row.recovers, row.problem)

    def ends(site_id: int, kind: str, key: str) -> tuple[str, ...]:
        known = rows.get((site_id, kind))
        if known is None:
            known = rows[site_id, kind] = others(site_id, kind)
        for problem in known:
            if key.startswith(f"{problem}|"):
                rest = key[len(problem) :]
                return tuple(dict.fromkeys((key, *[f"{name}{rest}" for name in known])))
        return (key,)

    return ends

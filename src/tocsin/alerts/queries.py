"""Reading alerts: lists, one alert with its history, counts. On read connections only."""

import enum
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.alerts.model import Action, Alert, HistoryLine, Status
from tocsin.core.ids import is_uuid
from tocsin.db import tables
from tocsin.events.matching import contains, of_sites, type_fits

MAX_HISTORY = 1_000
_TABLE = tables.alerts
_COLUMNS = [_TABLE.c[name] for name in Alert.__struct_fields__]
_HISTORY = tables.alert_history
MANY = 500  # alerts that are not resolved: with fewer it does not matter how they are found
PLACES = 64  # bits of an alert's number
_NUMBER = (1 << PLACES) - 1
MAX_NAMES = 500  # that are worth naming in a statement
DEAREST = 100  # names that are asked for first
SPARSE = 3  # of so many alerts one is not resolved: fewer, and they are better found by their index
_UNRESOLVED = sa.text("status <> 'resolved'")
_UNRESOLVED_BY_NUMBER = sa.text("+status <> 'resolved'")  # the sign keeps SQLite from the index
_UNRESOLVED_SPAN = sa.select(sa.func.min(_TABLE.c.number), sa.func.max(_TABLE.c.number), sa.func.count()).where(_UNRESOLVED)
Condition = sa.ColumnElement[bool] | sa.TextClause
_RESOLVED = sa.text("status = 'resolved'")
_STATE = sa.case((_TABLE.c.muted_by.is_(None), _TABLE.c.status), else_="muted")


# How much hangs on an alert of this site, host, subject and attributes.
Weigh = Callable[[int, str | None, str | None, str | None], int]


def no_weight(_site: int, _host: str | None, _subject: str | None, _attributes: str | None) -> int:
    """Nothing is known."""
    return 0


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts; None and empty leave a condition out. ``since`` and ``until`` (ms): problems that were alive between them.

    ``type`` ends in a ``.`` to mean all types that begin so.
    """

    statuses: tuple[str, ...] = ()
    site_ids: frozenset[int] | None = None
    severity_min: int | None = None
    type: str | None = None
    host: str | None = None
    q: str | None = None
    since: int | None = None
    until: int | None = None
    owner: str | None = None  # who acknowledged it, or shall look after it
    muted: bool | None = None  # whether something keeps it quiet


class Sort(enum.StrEnum):
    """The orders of a list; ``-`` means the largest first. Equals are ordered by number, in the same direction."""

    NEWEST = "-number"
    OLDEST = "number"
    LOUDEST = "-severity"
    QUIETEST = "severity"
    LAST_SEEN = "-last_seen_at"
    LONGEST_UNSEEN = "last_seen_at"
    LATEST_BEGUN = "-first_seen_at"
    EARLIEST_BEGUN = "first_seen_at"
    MOST_OFTEN = "-occurrences"
    LEAST_OFTEN = "occurrences"
    HEAVIEST = "-impact"  # by what is known of it now; only of what is not resolved

    @property
    def column(self) -> str:
        """The column that decides."""
        return self.value.removeprefix("-")

    def place(self, alert: Alert, weigh: Weigh = no_weight) -> tuple[int, int]:
        """Where *alert* stands in this order. *weigh*: how much hangs on it."""
        if self is Sort.HEAVIEST:
            return weigh(alert.site_id, alert.host, alert.subject, alert.attributes), alert.number
        return getattr(alert, self.column), alert.number


def page(
    connection: sa.Connection,
    wanted: Filter,
    sort: Sort,
    after: tuple[int, int] | None,
    limit: int,
    weigh: Weigh = no_weight,
    names: Mapping[str, int] | None = None,
) -> list[Alert]:
    """One page of the alerts that are *wanted*: *limit* after the place *after*. *weigh*: how much hangs on an alert.

    *names*: the hosts and subjects, in lower case, on which anything can hang, besides gateways, and how much at most, the dearest
    first; None: on any.
    """
    if sort is Sort.HEAVIEST:
        return _those(connection, _heaviest(connection, wanted, weigh, names, after, limit))
    return _in_order(connection, _first(connection, wanted, sort, after, limit))


def _in_order(connection: sa.Connection, numbers: sa.Select[int]) -> list[Alert]:
    """The alerts whose numbers a statement finds, in its order. It finds numbers alone because all that fits may have to be sorted."""
    return _those(connection, connection.execute(numbers).scalars().all())


def _those(connection: sa.Connection, numbers: Sequence[int]) -> list[Alert]:
    alerts = {alert.number: alert for alert in by_numbers(connection, numbers)} if numbers else {}
    return [alerts[number] for number in numbers if number in alerts]


def _first(connection: sa.Connection, wanted: Filter, sort: Sort, after: tuple[int, int] | None, limit: int) -> sa.Select[int]:
    column, number = _TABLE.c[sort.column], _TABLE.c.number
    falling = sort.value.startswith("-")
    unresolved = [_UNRESOLVED] if sort.column == "number" else _unresolved(connection)  # by number it stops when it has enough
    query = sa.select(number).where(*_conditions(wanted, unresolved))
    if after is not None:
        value, last = after
        further = number < last if falling else number > last
        beyond, reached = (column < value, column <= value) if falling else (column > value, column >= value)
        query = query.where(reached, sa.or_(beyond, further))
    order = [column.desc(), number.desc()] if falling else [column.asc(), number.asc()]
    return query.order_by(*order if sort.column != "number" else order[:1]).limit(limit)


def _heaviest(
    connection: sa.Connection, wanted: Filter, weigh: Weigh, names: Mapping[str, int] | None, after: tuple[int, int] | None, limit: int
) -> list[int]:
    """The same of the alerts that are not resolved, those on which most hangs first; then those on which nothing does."""
    c, conditions = _TABLE.c, (*_unresolved(connection), *_conditions(wanted, ()))
    find = sa.func.instr if connection.dialect.name == "sqlite" else sa.func.strpos
    of_gateway = find(c.attributes, '"gateway"') > 0
    query = sa.select(c.number, c.site_id, c.host, c.subject, sa.case((of_gateway, c.attributes))).where(*conditions)
    last = None if after is None else after[0] << PLACES | after[1]
    heavy, found = dict[int, int](), list[int]()
    for some, others in _dearest_first(names):
        known = [sa.func.lower(column).in_(some) for column in (c.host, c.subject)] if some else []
        asked = query if some is None else query.where(sa.or_(*known, of_gateway, c.subject.like("gateway:%")))
        rows = connection.execute(asked).cursor.fetchall()  # as the driver gives them: there may be ten thousand
        # Weight and number in one whole number: it is compared faster than two.
        places = [weigh(site_id, host, subject, said) << PLACES | number for number, site_id, host, subject, said in rows]
        heavy = {place & _NUMBER: place for place in places if place > _NUMBER}
        found = heapq.nlargest(limit, (place for place in heavy.values() if last is None or place < last))
        if len(found) == limit and found[-1] >> PLACES > others:
            break
    found = [place & _NUMBER for place in found]
    if len(found) < limit:
        light = sa.select(c.number).where(*conditions).order_by(c.number.desc()).limit(limit + len(heavy))
        if last is not None and last <= _NUMBER:
            light = light.where(c.number < last)
        found += [number for number in connection.execute(light).scalars() if number not in heavy][: limit - len(found)]
    return found


def _dearest_first(names: Mapping[str, int] | None) -> Iterator[tuple[list[str] | None, int]]:
    """The names to ask for (None: for any), and how much hangs on all others at most: the dearest mostly fill a page."""
    known = list(names or ())
    dearest = known[:DEAREST]
    if names is not None and len(known) > DEAREST and all(map(str.isascii, dearest)):  # SQLite knows the case of ASCII alone
        yield dearest, names[known[DEAREST]]
    yield (known if names is not None and len(known) <= MAX_NAMES and all(map(str.isascii, known)) else None), 0


def _unresolved(connection: sa.Connection) -> list[Condition]:
    """That an alert is not resolved, for statements that look at all of these, of which there may be ten thousand.

    SQLite finds them by their index, one by one all over the table. In a storm most of the alerts between the first and the last
    of them are not resolved: then it is told to read these in the order in which they are stored, which is three times as fast.
    """
    if connection.dialect.name == "sqlite":
        first, last, count = connection.execute(_UNRESOLVED_SPAN).one()
        if count >= MANY and last - first < SPARSE * count:
            return [_UNRESOLVED_BY_NUMBER, _TABLE.c.number.between(first, last)]
    return [_UNRESOLVED]


def _conditions(wanted: Filter, unresolved: Sequence[Condition]) -> list[Condition]:
    """*unresolved*: how it is said that alerts are not resolved, where only such are wanted."""
    c = _TABLE.c
    found = list(_status_conditions(wanted.statuses, unresolved))
    found.extend(of_sites(c.site_id, wanted.site_ids))
    if wanted.severity_min is not None:
        found.append(c.severity >= wanted.severity_min)
    if wanted.type is not None:
        found.append(type_fits(c.type, wanted.type))
    if wanted.host is not None:
        found.append(c.host == wanted.host)
    if wanted.q is not None:
        found.append(contains((c.title, c.message, c.subject, c.host, c.dedup_key), wanted.q))
    if wanted.since is not None:
        found.append(c.last_seen_at >= wanted.since)
    if wanted.until is not None:
        found.append(c.first_seen_at < wanted.until)
    if wanted.owner is not None:
        found.append(sa.or_(c.acknowledged_by == wanted.owner, c.assignee == wanted.owner))
    if wanted.muted is not None:
        found.append(c.muted_by.is_not(None) if wanted.muted else c.muted_by.is_(None))
    return found


def _status_conditions(statuses: Sequence[str], unresolved: Sequence[Condition]) -> Sequence[Condition]:
    """Says "not resolved" where it follows: SQLite does not conclude it."""
    if not statuses:
        return ()
    unresolved = () if Status.RESOLVED in statuses else unresolved
    if len(statuses) == 1:
        return (*unresolved, _TABLE.c.status == statuses[0])
    return (*unresolved, _TABLE.c.status.in_(statuses))


def find(connection: sa.Connection, ref: str, site_ids: frozenset[int] | None = None) -> Alert | None:
    """The alert with this id or short number, if it is there, and of one of the sites if they are given."""
    condition = by_ref(ref)
    if condition is None:
        return None
    row = connection.execute(sa.select(*_COLUMNS).where(condition, *of_sites(_TABLE.c.site_id, site_ids))).first()
    return None if row is None else Alert(*row)


def by_numbers(connection: sa.Connection, numbers: Collection[int]) -> list[Alert]:
    """The alerts with these numbers, in no order."""
    return [Alert(*row) for row in connection.execute(sa.select(*_COLUMNS).where(_TABLE.c.number.in_(numbers)))]


def by_ref(ref: str) -> sa.ColumnElement[bool] | None:
    """The condition for an id or a short number; None for what is neither."""
    if ref.isascii() and ref.isdigit() and len(ref) <= 18:
        return _TABLE.c.number == int(ref)
    return _TABLE.c.id == ref.lower() if is_uuid(ref.lower()) else None


def history(connection: sa.Connection, number: int, newest: int = MAX_HISTORY) -> list[HistoryLine]:
    """The *newest* lines of an alert's history, in the order in which they happened."""
    c = _HISTORY.c
    query = sa.select(c.at, c.actor, c.action, c.reason, c.details).where(c.alert_number == number).order_by(c.number.desc()).limit(newest)
    rows = connection.execute(query).all()
    return [
        HistoryLine(r.at, r.actor, r.action, r.reason, None if r.details is None else msgspec.json.decode(r.details))
        for r in reversed(rows)
    ]


def counts(connection: sa.Connection) -> dict[str, int]:
    """How many alerts are in each state."""
    number = sa.func.count()
    unresolved = sa.select(_TABLE.c.status, number).where(sa.text("status <> 'resolved'")).group_by(_TABLE.c.status)
    found = {status.value: 0 for status in Status}
    found.update((row[0], row[1]) for row in connection.execute(unresolved))
    found[Status.RESOLVED] = connection.execute(sa.select(number).select_from(_TABLE).where(sa.text("status = 'resolved'"))).scalar_one()
    return found


# --- what the dashboard shows. `site_ids`: the sites that its reader may see; None: all.

Sites = frozenset[int] | None


def count_open(connection: sa.Connection, site_ids: Sites) -> int:
    """How many alerts are open, nobody has taken them, and nothing keeps them quiet."""
    heard = (_TABLE.c.status == Status.OPEN.value, _TABLE.c.muted_by.is_(None))
    query = sa.select(sa.func.count()).select_from(_TABLE).where(*_unresolved(connection), *heard)
    return int(connection.execute(query.where(*of_sites(_TABLE.c.site_id, site_ids))).scalar_one())


def groups(connection: sa.Connection, site_ids: Sites) -> list[tuple[int, int, str, int, int]]:
    """The unresolved alerts by site, severity and status (``muted`` for those that something keeps quiet): how many, and when the
    first of them began (ms).
    """
    c = _TABLE.c
    query = sa.select(c.site_id, c.severity, _STATE, sa.func.count(), sa.func.min(c.first_seen_at)).where(*_unresolved(connection))
    found = connection.execute(query.where(*of_sites(c.site_id, site_ids)).group_by(c.site_id, c.severity, _STATE))
    return [(r[0], r[1], r[2], r[3], r[4]) for r in found]


def loudest(connection: sa.Connection, site_ids: Sites, limit: int) -> list[Alert]:
    """The alerts that are neither snoozed nor kept quiet, the loudest first; of equals those that nobody has, then the oldest."""
    c = _TABLE.c
    awake = c.status.in_((Status.OPEN.value, Status.ACKNOWLEDGED.value))
    query = sa.select(c.number).where(*_unresolved(connection), awake, c.muted_by.is_(None), *of_sites(c.site_id, site_ids))
    owned = sa.case((c.status == Status.OPEN.value, 0), else_=1)
    return _in_order(connection, query.order_by(c.severity.desc(), owned, c.number).limit(limit))


def ended(connection: sa.Connection, since: int, width: int, site_ids: Sites) -> list[tuple[int, int, int, int]]:
    """Site, severity, beginning and end of the alerts resolved from *since* (ms) on; those alike within *width* ms are one."""
    c = _TABLE.c
    begun: sa.ColumnElement[int] = sa.literal_column(f"first_seen_at / {width:d}")
    over: sa.ColumnElement[int] = sa.literal_column(f"resolved_at / {width:d}")
    query = (
        sa.select(c.site_id, c.severity, begun, over).where(_RESOLVED, c.resolved_at >= since, *of_sites(c.site_id, site_ids)).distinct()
    )
    return [(r[0], r[1], r[2] * width, r[3] * width) for r in connection.execute(query)]


def last_resolved_at(connection: sa.Connection, site_ids: Sites) -> int | None:
    """When the last alert ended (ms)."""
    c = _TABLE.c
    query = sa.select(c.resolved_at).where(_RESOLVED, *of_sites(c.site_id, site_ids)).order_by(c.resolved_at.desc()).limit(1)
    found: int | None = connection.execute(query).scalar_one_or_none()
    return found


def steps_since(connection: sa.Connection, since: int, site_ids: Sites, newest: int) -> list[tuple[int, str, str, int, int, str]]:
    """The *newest* steps in any history from *since* (ms) on, messages aside: when, who, what; the alert's severity, number, title."""
    h, a = _HISTORY.c, _TABLE.c
    joined = _HISTORY.join(_TABLE, h.alert_number == a.number)
    query = sa.select(h.at, h.actor, h.action, a.severity, a.number, a.title).select_from(joined)
    query = query.where(h.at >= since, h.action != Action.NOTIFIED.value, *of_sites(a.site_id, site_ids))
    return [(r[0], r[1], r[2], r[3], r[4], r[5]) for r in connection.execute(query.order_by(h.number.desc()).limit(newest))]


def coming_due(connection: sa.Connection, until: int, site_ids: Sites, limit: int) -> list[Alert]:
    """The alerts whose acknowledgement or snooze ends before *until* (ms), the first first."""
    c = _TABLE.c
    query = sa.select(*_COLUMNS).where(c.due_at.is_not(None), c.due_at < until, *of_sites(c.site_id, site_ids))
    return [Alert(*row) for row in connection.execute(query.order_by(c.due_at).limit(limit))]


class Tally(msgspec.Struct, frozen=True):
    """How many unresolved alerts there are: by type, and by state (``muted`` for those that something keeps quiet)."""

    by_type: dict[str, int]
    by_state: dict[str, int]


def tally(connection: sa.Connection, site_ids: Sites) -> Tally:
    """Both in one look at the unresolved alerts, of which there may be ten thousand."""
    types, states = Counter[str](), Counter[str]()
    query = sa.select(_TABLE.c.type, _STATE, sa.func.count()).where(*_unresolved(connection), *of_sites(_TABLE.c.site_id, site_ids))
    for kind, state, count in connection.execute(query.group_by(_TABLE.c.type, _STATE)):
        types[kind] += count
        states[state] += count
    return Tally(dict(types), dict(states))


def unresolved_by_state(connection: sa.Connection, wanted: Filter) -> dict[str, int]:
    """How many unresolved alerts of each state are *wanted*, whatever states the filter names; ``muted`` as in `Tally`."""
    query = sa.select(_STATE, sa.func.count()).where(*_unresolved(connection), *_other_conditions(wanted)).group_by(_STATE)
    return {row[0]: row[1] for row in connection.execute(query)}


def resolved(connection: sa.Connection, wanted: Filter, cap: int) -> int:
    """How many resolved alerts are *wanted*, whatever states the filter names; counted up to *cap*."""
    some = sa.select(_TABLE.c.number).where(_RESOLVED, *_other_conditions(wanted)).limit(cap).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def _other_conditions(wanted: Filter) -> list[Condition]:
    """Those that are not about the state."""
    return _conditions(msgspec.structs.replace(wanted, statuses=(), muted=None), ())


def numbers(connection: sa.Connection, wanted: Filter, limit: int) -> list[int]:
    """The numbers of *wanted* alerts, the oldest first."""
    return list(
        connection.execute(
            sa.select(_TABLE.c.number).where(*_conditions(wanted, [_UNRESOLVED])).order_by(_TABLE.c.number).limit(limit)
        ).scalars()
    )


def similar(connection: sa.Connection, alert: Alert, site_ids: Sites, limit: int) -> list[Alert]:
    """Earlier alerts of the same dedup key that were resolved, the newest first."""
    c = _TABLE.c
    base = sa.select(*_COLUMNS).where(_RESOLVED, c.site_id == alert.site_id, c.number != alert.number, *of_sites(c.site_id, site_ids))
    same = connection.execute(base.where(c.dedup_key == alert.dedup_key).order_by(c.number.desc()).limit(limit))
    return [Alert(*row) for row in same]


def near(connection: sa.Connection, alert: Alert, window: int, site_ids: Sites, limit: int) -> list[Alert]:
    """Other unresolved alerts that began within *window* ms of this one, those of the same site or host first."""
    c = _TABLE.c
    query = sa.select(c.number).where(*_unresolved(connection), c.number != alert.number, *of_sites(c.site_id, site_ids))
    query = query.where(c.first_seen_at >= alert.first_seen_at - window, c.first_seen_at <= alert.first_seen_at + window)
    related = sa.case((c.site_id == alert.site_id, 0), else_=1)
    return _in_order(connection, query.order_by(related, c.severity.desc(), c.number).limit(limit))

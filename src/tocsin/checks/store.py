"""The SQL of checks: definitions, who looks, what was found, and how long each status lasted."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.checks.model import Check, Definition, Finding, Result, Span, State, Status, Total, Vote
from tocsin.core.clock import DAY, SECOND
from tocsin.db import tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx

LEASE = 75 * SECOND  # longer than any look takes; then somebody else may
KEEP_PLAIN, KEEP_EVIDENT, KEEP_SPANS = 2 * DAY, 90 * DAY, 1_100 * DAY
TIDY_AT_ONCE = 2_000

_definition = msgspec.json.Decoder(Definition).decode
_state = msgspec.json.Decoder(State).decode
_finding = msgspec.json.Decoder(Finding).decode
_c, _r, _s, _l = tables.checks.c, tables.check_results.c, tables.check_spans.c, tables.check_locations.c
_COLUMNS = [_c[name] for name in Check.__struct_fields__]
_RESULT = [_r[name] for name in Result.__struct_fields__]
_VOTE = [_l[name] for name in Vote.__struct_fields__]
_STATUSES = {status.value: status for status in Status}
_SPAN = [_s.check_id, _s.status, _s.starts_at, _s.ends_at, _s.cause, _s.words]


def _read(row: Sequence[Any]) -> Check:
    values = dict(zip(Check.__struct_fields__, row, strict=True))
    values["definition"], values["state"] = _definition(values["definition"]), _state(values["state"])
    values["status"], values["is_paused"] = Status(values["status"]), bool(values["is_paused"])
    return Check(**values)


def _values(check: Check, names: Collection[str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(check, name) for name in names}
    for name in ("definition", "state"):
        if name in values:
            values[name] = msgspec.json.encode(values[name]).decode()
    if "status" in values:
        values["status"] = values["status"].value
    return values


# --- Checks -----------------------------------------------------------------------------------------------------------


def add(tx: Tx, check: Check) -> None:
    """A new one."""
    tx.sql.execute(tables.checks.insert().values(**_values(check, Check.__struct_fields__)))


def replace(tx: Tx, check: Check, names: Collection[str]) -> None:
    """The columns that were decided to change."""
    tx.sql.execute(tables.checks.update().where(_c.id == check.id).values(**_values(check, names)))


def remove(tx: Tx, check_id: str) -> None:
    """Takes one away, with all that it found."""
    for column in (_r.check_id, _s.check_id, _l.check_id):
        tx.sql.execute(sa.delete(column.table).where(column == check_id))
    tx.sql.execute(tables.checks.delete().where(_c.id == check_id))


def get(connection: sa.Connection, check_id: str, *, lock: bool = False) -> Check | None:
    """One by its id."""
    query = sa.select(*_COLUMNS).where(_c.id == check_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _read(row)


def count(connection: sa.Connection) -> int:
    """How many there are."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(tables.checks)).scalar_one())


def of_sites(connection: sa.Connection, site_ids: Collection[int] | None) -> list[Check]:
    """All checks of these sites (None: of all), by id."""
    query = sa.select(*_COLUMNS).order_by(_c.id)
    return [_read(row) for row in connection.execute(query if site_ids is None else query.where(_c.site_id.in_(site_ids)))]


def page(
    connection: sa.Connection, site_ids: Collection[int] | None, statuses: Collection[str] | None, after: str | None, limit: int
) -> list[Check]:
    """Up to *limit* after the id *after*, the newest first."""
    query = sa.select(*_COLUMNS).order_by(_c.id.desc()).limit(limit)
    if site_ids is not None:
        query = query.where(_c.site_id.in_(site_ids))
    if statuses is not None:
        query = query.where(_c.status.in_(statuses))
    if after is not None:
        query = query.where(_c.id < after)
    return [_read(row) for row in connection.execute(query)]


def changed_since(connection: sa.Connection, since: int, limit: int) -> list[Check]:
    """Those whose status, or definition, was written since a moment (ms), in the order of that."""
    query = sa.select(*_COLUMNS).where(_c.changed_at >= since).order_by(_c.changed_at, _c.id).limit(limit)
    return [_read(row) for row in connection.execute(query)]


# --- Who looks --------------------------------------------------------------------------------------------------------


def _is_free(now: int, until: int) -> sa.ColumnElement[bool]:
    return sa.and_(_c.due_at <= until, sa.or_(_c.lease_until.is_(None), _c.lease_until <= now))


def is_any_due(now: int, until: int) -> Question:
    """Whether a check is due by *until* and nobody looks at it."""
    return Question("SELECT 1 FROM checks WHERE due_at <= ? AND (lease_until IS NULL OR lease_until <= ?)", (until, now))


def claim(tx: Tx, now: int, until: int, most: int) -> list[Check]:
    """Those that are due by *until* and that nobody looks at: from here on this process does. The longest due come first."""
    # By a name of its own: PostgreSQL may run a plain subquery again for each row, and then claims more than was asked for.
    due = sa.select(_c.id).where(_is_free(now, until)).order_by(_c.due_at).limit(most).with_for_update(skip_locked=True).cte("due")
    update = (
        tables.checks.update()
        .where(_c.id.in_(sa.select(due.c.id)))
        .values(lease_until=now + LEASE, fence=_c.fence + 1)
        .returning(*_COLUMNS)
    )
    return sorted((_read(row) for row in tx.sql.execute(update)), key=lambda check: check.due_at or 0)


def claim_one(tx: Tx, check_id: str, now: int) -> Check | None:
    """One out of turn; a look that is under way elsewhere will not count."""
    update = tables.checks.update().where(_c.id == check_id).values(lease_until=now + LEASE, fence=_c.fence + 1).returning(*_COLUMNS)
    row = tx.sql.execute(update).first()
    return None if row is None else _read(row)


def pull_in(tx: Tx, now: int) -> int:
    """Has nobody wait longer than its interval, as where the clock was set back; how many did. They are looked at now."""
    late = [
        one.id for one in of_sites(tx.sql, None) if one.due_at is not None and one.due_at > now + (one.definition.interval + 1) * SECOND
    ]
    for part in _in_parts(late):
        tx.sql.execute(tables.checks.update().where(_c.id.in_(part)).values(due_at=now, lease_until=None))
    return len(late)


def release(tx: Tx, claimed: Mapping[str, int]) -> None:
    """Nobody looks at these any more, as far as nobody else has claimed them since."""
    for check_id, fence in claimed.items():
        tx.sql.execute(tables.checks.update().where(_c.id == check_id, _c.fence == fence).values(lease_until=None))


def release_all(tx: Tx) -> None:
    """Nobody looks at anything: for the only process, as it starts."""
    tx.sql.execute(tables.checks.update().where(_c.lease_until.is_not(None)).values(lease_until=None))


def save_look(tx: Tx, check: Check) -> None:
    """Where a check stands after a look, and that nobody looks at it any more."""
    names = ("status", "status_since", "state", "due_at", "last_at", "last_ms", "last_words", "last_cause", "expires_at", "changed_at")
    tx.sql.execute(tables.checks.update().where(_c.id == check.id).values(**_values(check, names), lease_until=None))


# --- Several locations ------------------------------------------------------------------------------------------------


def set_locations(tx: Tx, check: Check, now: int, *, anew: bool) -> None:
    """Those from which a check is asked; what the others had found goes. *anew*: what was found is of something else."""
    wanted = check.definition.locations if check.definition.hosts else ()
    table = tables.check_locations
    tx.sql.execute(table.delete().where(_l.check_id == check.id, sa.true() if anew else _l.location.not_in(wanted)))
    there = set(tx.sql.execute(sa.select(_l.location).where(_l.check_id == check.id)).scalars())
    added = [name for name in wanted if name not in there]
    if added:
        values = {"check_id": check.id, "site_id": check.site_id, "since": 0, "mark": "", "due_at": now}
        tx.sql.execute(table.insert(), [{**values, "location": name} for name in added])


def votes(connection: sa.Connection, check_id: str) -> list[Vote]:
    """What each location found last, by name."""
    query = sa.select(*_VOTE).where(_l.check_id == check_id).order_by(_l.location)
    return [_read_vote(row) for row in connection.execute(query)]


def vote(tx: Tx, check_id: str, location: str) -> Vote | None:
    """What one of them found; None: it is not asked."""
    row = tx.sql.execute(sa.select(*_VOTE).where(_l.check_id == check_id, _l.location == location)).first()
    return None if row is None else _read_vote(row)


def save_vote(tx: Tx, check_id: str, new: Vote) -> None:
    """What a location found now."""
    finding = None if new.finding is None else msgspec.json.encode(new.finding).decode()
    values = {**{name: getattr(new, name) for name in Vote.__struct_fields__}, "finding": finding}
    tx.sql.execute(tables.check_locations.update().where(_l.check_id == check_id, _l.location == new.location).values(**values))


def hurry(tx: Tx, check_id: str, until: int) -> None:
    """All look again by then."""
    tx.sql.execute(tables.check_locations.update().where(_l.check_id == check_id, _l.due_at > until).values(due_at=until))


def asked_from(connection: sa.Connection, site_id: int, location: str) -> list[tuple[Check, Vote]]:
    """What is asked from a host: each check with what it found there last."""
    query = (
        sa.select(*_COLUMNS, *_VOTE)
        .join_from(tables.check_locations, tables.checks, _c.id == _l.check_id)
        .where(_l.site_id == site_id, _l.location == location, _c.due_at.is_not(None))
        .order_by(_c.id)
    )
    width = len(_COLUMNS)
    return [(_read(row[:width]), _read_vote(row[width:])) for row in connection.execute(query)]


def count_from(tx: Tx, site_id: int, location: str) -> int:
    """How many checks are asked from a host."""
    query = sa.select(sa.func.count()).select_from(tables.check_locations).where(_l.site_id == site_id, _l.location == location)
    return int(tx.sql.execute(query).scalar_one())


def _read_vote(row: Sequence[Any]) -> Vote:
    values = dict(zip(Vote.__struct_fields__, row, strict=True))
    values["finding"] = None if values["finding"] is None else _finding(values["finding"])
    return Vote(**values)


# --- What was found ---------------------------------------------------------------------------------------------------


def keep(tx: Tx, check_id: str, result: Result) -> None:
    """One more look."""
    values = msgspec.structs.asdict(result)
    tx.sql.execute(tables.check_results.insert().values(check_id=check_id, **{**values, "status": result.status.value}))


def results(connection: sa.Connection, check_id: str, before: int | None, limit: int, *, only_evident: bool = False) -> list[Result]:
    """The last looks before a moment, the newest first."""
    query = sa.select(*_RESULT).where(_r.check_id == check_id).order_by(_r.at.desc()).limit(limit)
    if before is not None:
        query = query.where(_r.at < before)
    if only_evident:
        query = query.where(_r.evidence.is_not(None))
    names = Result.__struct_fields__
    return [
        msgspec.structs.replace(one, status=Status(one.status))
        for one in (Result(**dict(zip(names, row, strict=True))) for row in connection.execute(query))
    ]


def timings(connection: sa.Connection, check_id: str, since: int) -> list[tuple[int, float | None]]:
    """When it was looked at since then, and how long that took, in order of time."""
    query = sa.select(_r.at, _r.ms).where(_r.check_id == check_id, _r.at >= since).order_by(_r.at)
    return [(at, ms) for at, ms in connection.execute(query)]


def evident_since(connection: sa.Connection, check_id: str, since: int) -> bool:
    """Whether evidence was kept since then."""
    query = sa.select(_r.at).where(_r.check_id == check_id, _r.at >= since, _r.evidence.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def turn(tx: Tx, check_id: str, began: int, status: Status, cause: str, words: str | None) -> None:
    """Ends the stretch that lasts at *began*, and begins the next one there."""
    tx.sql.execute(
        tables.check_spans.delete().where(_s.check_id == check_id, _s.starts_at >= began)
    )  # what began at the same moment has never been
    tx.sql.execute(tables.check_spans.update().where(_s.check_id == check_id, _s.ends_at.is_(None)).values(ends_at=began))
    values = {"check_id": check_id, "starts_at": began, "status": status.value, "cause": cause, "words": words}
    tx.sql.execute(tables.check_spans.insert().values(**values))


def spans(connection: sa.Connection, check_ids: Collection[str], start: int, end: int) -> dict[str, list[Span]]:
    """The stretches that touch a period, in order, by check."""
    found: dict[str, list[Span]] = {check_id: [] for check_id in check_ids}
    for part in _in_parts(check_ids):
        query = sa.select(*_SPAN).where(*_touching(part, start, end)).order_by(_s.check_id, _s.starts_at)
        for check_id, status, starts_at, ends_at, cause, words in connection.execute(query).cursor:  # type: ignore[attr-defined]  # a driver's can be walked
            one = Span(check_id=check_id, status=_STATUSES[status], starts_at=starts_at, ends_at=ends_at, cause=cause, words=words)
            found[check_id].append(one)
    return found


def totals(connection: sa.Connection, check_ids: Collection[str], start: int, end: int) -> dict[str, list[Total]]:
    """What the stretches that touch a period come to, by check: added up where they lie, for there may be a hundred of each check."""
    found: dict[str, list[Total]] = {check_id: [] for check_id in check_ids}
    lasts = _s.ends_at.is_(None)
    until, began = sa.case((_s.ends_at < end, _s.ends_at), else_=end), sa.case((_s.starts_at > start, _s.starts_at), else_=start)
    for part in _in_parts(check_ids):
        query = (
            sa.select(
                _s.check_id,
                _s.status,
                sa.func.count(),
                sa.func.sum(until - began),
                sa.func.max(until - began),
                lasts,
                sa.func.min(_s.starts_at),
            )
            .where(*_touching(part, start, end))
            .group_by(_s.check_id, _s.status, lasts)
        )
        for check_id, status, count, time, longest, is_last, first in connection.execute(query):
            found[check_id].append(Total(_STATUSES[status], count, int(time), longest, first if is_last else None))
    return found


def outages(connection: sa.Connection, check_ids: Collection[str], start: int, end: int, limit: int) -> list[Span]:
    """The latest stretches of time down that touch a period, the latest first."""
    found: list[Span] = []
    for part in _in_parts(check_ids):
        down = sa.select(*_SPAN).where(*_touching(part, start, end), _s.status == Status.DOWN.value)
        for check_id, status, *rest in connection.execute(down.order_by(_s.starts_at.desc(), _s.check_id).limit(limit)):
            starts_at, ends_at, cause, words = rest
            found.append(Span(check_id=check_id, status=_STATUSES[status], starts_at=starts_at, ends_at=ends_at, cause=cause, words=words))
    return sorted(found, key=lambda span: (-span.starts_at, span.check_id))[:limit]


def _touching(check_ids: Sequence[str], start: int, end: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _s.check_id.in_(check_ids), _s.starts_at < end, sa.or_(_s.ends_at.is_(None), _s.ends_at > start)


def _in_parts(ids: Collection[str], size: int = 500) -> list[list[str]]:
    every = list(ids)
    return [every[start : start + size] for start in range(0, len(every), size)]


def tidy(tx: Tx, now: int) -> None:
    """Looks without evidence after two days, others after ninety, stretches after three years; a few at a time."""
    for keep_for, is_evident in ((KEEP_PLAIN, False), (KEEP_EVIDENT, True)):
        wanted = _r.evidence.is_not(None) if is_evident else _r.evidence.is_(None)
        old = sa.select(_r.check_id, _r.at).where(wanted, _r.at < now - keep_for).limit(TIDY_AT_ONCE)
        tx.sql.execute(tables.check_results.delete().where(sa.tuple_(_r.check_id, _r.at).in_(old)))
    past = sa.select(_s.check_id, _s.starts_at).where(_s.ends_at < now - KEEP_SPANS).limit(TIDY_AT_ONCE)
    tx.sql.execute(tables.check_spans.delete().where(sa.tuple_(_s.check_id, _s.starts_at).in_(past)))

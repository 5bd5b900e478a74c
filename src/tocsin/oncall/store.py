"""The SQL of schedules, overrides, teams and feeds, and of what was told about them."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import Conflict, NotFound
from tocsin.db import tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.oncall.definition import People, Person, layers_of, stored_layers
from tocsin.oncall.model import Answer, Feed, Override, OverrideKind, Schedule, SwapRequest, Team, Turn
from tocsin.oncall.watch import KnownGap

_SCHEDULES, _OVERRIDES, _TEAMS, _MEMBERS, _FEEDS, _SWAPS = (
    tables.schedules,
    tables.overrides,
    tables.teams,
    tables.team_members,
    tables.calendar_feeds,
    tables.swaps,
)


# People.


def people(connection: sa.Connection) -> People:
    """All users, as schedules see them."""
    u = tables.users.c
    rows = connection.execute(sa.select(u.id, u.email, u.name, u.disabled_at).order_by(u.id))
    return People([Person(r.id, r.email, r.name, r.disabled_at is not None) for r in rows])


def gone(connection: sa.Connection, users: Collection[str]) -> set[str]:
    """Those of *users* who cannot be on call: disabled, or no longer there."""
    u = tables.users.c
    found = connection.execute(sa.select(u.id).where(u.id.in_(sorted(users)), u.disabled_at.is_(None))).scalars() if users else ()
    return set(users) - set(found)


# Schedules.


def _schedule(row: sa.Row[tuple[object, ...]]) -> Schedule:
    r = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return Schedule(
        r["id"],
        r["name"],
        r["time_zone"],
        layers_of(r["layers"]),
        bool(r["announce_gaps"]),
        bool(r["announce_hand_offs"]),
        r["version"],
        r["created_at"],
        r["updated_at"],
    )


def _schedule_values(schedule: Schedule) -> dict[str, object]:
    values = {name: getattr(schedule, name) for name in Schedule.__struct_fields__}
    return {**values, "layers": stored_layers(schedule.layers)}


def schedules(connection: sa.Connection, after: str | None = None, limit: int | None = None) -> list[Schedule]:
    """Schedules in the order in which they were made."""
    query = sa.select(_SCHEDULES).order_by(_SCHEDULES.c.id).limit(limit)
    if after is not None:
        query = query.where(_SCHEDULES.c.id > after)
    return [_schedule(row) for row in connection.execute(query)]


def find_schedule(connection: sa.Connection, schedule_id: str) -> Schedule | None:
    """The schedule with this id."""
    row = connection.execute(sa.select(_SCHEDULES).where(_SCHEDULES.c.id == schedule_id)).one_or_none()
    return None if row is None else _schedule(row)


def get_schedule(connection: sa.Connection, schedule_id: str) -> Schedule:
    """The schedule with this id. Raises `NotFound`."""
    found = find_schedule(connection, schedule_id)
    if found is None:
        raise NotFound(f"there is no schedule {schedule_id[:40]}")
    return found


def add_schedule(tx: Tx, schedule: Schedule) -> None:
    """Stores a new schedule."""
    tx.sql.execute(_SCHEDULES.insert().values(_schedule_values(schedule)))


def save_schedule(tx: Tx, schedule: Schedule, seen: int) -> None:
    """Stores a change to the schedule that was at version *seen*. Raises `Conflict` if it is no longer."""
    changed = _SCHEDULES.update().where(_SCHEDULES.c.id == schedule.id, _SCHEDULES.c.version == seen).values(_schedule_values(schedule))
    if tx.sql.execute(changed).rowcount == 0:
        raise Conflict(f"the schedule {schedule.name} was changed by somebody else just now; read it again")


def remove_schedule(tx: Tx, schedule_id: str) -> None:
    """Takes a schedule away, with its overrides and feeds. Raises `NotFound`."""
    tx.sql.execute(_OVERRIDES.delete().where(_OVERRIDES.c.schedule_id == schedule_id))
    tx.sql.execute(_FEEDS.delete().where(_FEEDS.c.schedule_id == schedule_id))
    tx.sql.execute(_SWAPS.delete().where(_SWAPS.c.schedule_id == schedule_id))
    if tx.sql.execute(_SCHEDULES.delete().where(_SCHEDULES.c.id == schedule_id)).rowcount == 0:
        raise NotFound(f"there is no schedule {schedule_id[:40]}")


# Overrides.


def _override(row: sa.Row[tuple[object, ...]]) -> Override:
    r = row._mapping  # noqa: SLF001
    return Override(
        r["id"],
        r["schedule_id"],
        OverrideKind(r["kind"]),
        r["user_id"],
        r["replaces_id"],
        r["starts_at"],
        r["ends_at"],
        r["created_at"],
        r["created_by"],
    )


def overrides(connection: sa.Connection, schedule_ids: Iterable[str], start: int, end: int) -> dict[str, list[Override]]:
    """The overrides that touch ``[start, end)``, by schedule, in the order in which they were made."""
    found: dict[str, list[Override]] = {schedule_id: [] for schedule_id in schedule_ids}
    if found:
        o = _OVERRIDES.c
        query = sa.select(_OVERRIDES).where(o.schedule_id.in_(list(found)), o.ends_at > start, o.starts_at < end).order_by(o.number)
        for row in connection.execute(query):
            found[row.schedule_id].append(_override(row))
    return found


def list_overrides(
    connection: sa.Connection, schedule_id: str, start: int | None, end: int | None, before: int | None, limit: int
) -> list[tuple[int, Override]]:
    """A page of one schedule's overrides with their numbers, the newest first."""
    o = _OVERRIDES.c
    query = sa.select(_OVERRIDES).where(o.schedule_id == schedule_id)
    if start is not None:
        query = query.where(o.ends_at > start)
    if end is not None:
        query = query.where(o.starts_at < end)
    if before is not None:
        query = query.where(o.number < before)
    return [(row.number, _override(row)) for row in connection.execute(query.order_by(o.number.desc()).limit(limit))]


# Swaps.

_TURNS = ("user", "starts_at", "ends_at")


def _swap(row: sa.Row[tuple[object, ...]]) -> SwapRequest:
    r = row._mapping  # noqa: SLF001
    first, second = [Turn(*[r[f"{part}_{name}"] for name in _TURNS]) for part in ("first", "second")]
    answer = None if r["answer"] is None else Answer(r["answer"])
    kept = (r["note"], r["created_at"], r["created_by"], r["expires_at"], answer, r["answered_at"], r["answered_by"])
    return SwapRequest(r["id"], r["schedule_id"], first, second, *kept)


def add_swap(tx: Tx, one: SwapRequest) -> None:
    """Stores a swap that somebody is asked for."""
    values = {name: getattr(one, name) for name in ("id", "schedule_id", "note", "created_at", "created_by", "expires_at")}
    turns = {f"{part}_{name}": getattr(turn, name) for part, turn in (("first", one.first), ("second", one.second)) for name in _TURNS}
    tx.sql.execute(_SWAPS.insert().values(**values, **turns))


def get_swap(connection: sa.Connection, schedule_id: str, swap_id: str) -> SwapRequest:
    """One of a schedule's swaps. Raises `NotFound`."""
    query = sa.select(_SWAPS).where(_SWAPS.c.id == swap_id, _SWAPS.c.schedule_id == schedule_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no swap {swap_id[:40]} in this schedule")
    return _swap(row)


def schedule_of_swap(connection: sa.Connection, swap_id: str) -> str:
    """The id of the schedule that a swap is of. Raises `NotFound`."""
    found = connection.execute(sa.select(_SWAPS.c.schedule_id).where(_SWAPS.c.id == swap_id)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"there is no swap {swap_id[:40]}")
    return str(found)


def swaps(connection: sa.Connection, schedule_id: str, before: str | None, limit: int) -> list[SwapRequest]:
    """A page of a schedule's swaps, the newest first."""
    query = sa.select(_SWAPS).where(_SWAPS.c.schedule_id == schedule_id)
    if before is not None:
        query = query.where(_SWAPS.c.id < before)
    return [_swap(row) for row in connection.execute(query.order_by(_SWAPS.c.id.desc()).limit(limit))]


def count_asked(connection: sa.Connection, schedule_id: str, now: int) -> int:
    """How many swaps of a schedule wait for an answer."""
    waits = (_SWAPS.c.schedule_id == schedule_id, _SWAPS.c.answer.is_(None), _SWAPS.c.expires_at > now)
    return int(connection.execute(sa.select(sa.func.count()).select_from(_SWAPS).where(*waits)).scalar_one())


def answer_swap(tx: Tx, swap_id: str, answer: Answer, by: str, now: int) -> bool:
    """Notes the answer. False: there is one already."""
    values = {"answer": answer.value, "answered_at": now, "answered_by": by}
    changed = _SWAPS.update().where(_SWAPS.c.id == swap_id, _SWAPS.c.answer.is_(None)).values(values)
    return tx.sql.execute(changed).rowcount > 0


def is_any_unanswered(now: int) -> Question:
    """Whether a swap has expired of which nobody was told yet."""
    return Question("SELECT 1 FROM swaps WHERE answer IS NULL AND expires_at <= ?", (now,))


def unanswered(tx: Tx, now: int, limit: int) -> list[SwapRequest]:
    """Swaps that have expired and of which nobody was told yet, the oldest first."""
    overdue = sa.select(_SWAPS).where(_SWAPS.c.answer.is_(None), _SWAPS.c.expires_at <= now).order_by(_SWAPS.c.id).limit(limit)
    return [_swap(row) for row in tx.sql.execute(overdue)]


def open_swaps(connection: sa.Connection, schedule_id: str, since: int) -> list[SwapRequest]:
    """A schedule's swaps that wait for an answer, or were answered or expired after *since*; the newest first."""
    s = _SWAPS.c
    fresh = sa.case((s.answer.is_(None), s.expires_at), else_=s.answered_at) > since
    query = sa.select(_SWAPS).where(s.schedule_id == schedule_id, fresh).order_by(s.id.desc())
    return [_swap(row) for row in connection.execute(query)]


def add_overrides(tx: Tx, made: Sequence[Override]) -> None:
    """Stores new overrides, in this order."""
    for one in made:
        values = msgspec.structs.asdict(one)
        values["user_id"], values["replaces_id"] = values.pop("user"), values.pop("replaces")
        tx.sql.execute(_OVERRIDES.insert().values({**values, "kind": one.kind.value}))


def remove_override(tx: Tx, schedule_id: str, override_id: str) -> Override:
    """Takes an override back and answers it. Raises `NotFound`."""
    here = (_OVERRIDES.c.id == override_id, _OVERRIDES.c.schedule_id == schedule_id)
    row = tx.sql.execute(sa.select(_OVERRIDES).where(*here)).one_or_none()
    if row is None:
        raise NotFound(f"there is no override {override_id[:40]} of this schedule")
    tx.sql.execute(_OVERRIDES.delete().where(*here))
    return _override(row)


# Teams.


def teams(connection: sa.Connection, after: str | None = None, limit: int | None = None) -> list[Team]:
    """Teams in the order in which they were made."""
    query = sa.select(_TEAMS).order_by(_TEAMS.c.id).limit(limit)
    if after is not None:
        query = query.where(_TEAMS.c.id > after)
    rows = connection.execute(query).all()
    members = _members(connection, [row.id for row in rows])
    return [_team(row, members) for row in rows]


def get_team(connection: sa.Connection, team_id: str) -> Team:
    """The team with this id. Raises `NotFound`."""
    row = connection.execute(sa.select(_TEAMS).where(_TEAMS.c.id == team_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no team {team_id[:40]}")
    return _team(row, _members(connection, [team_id]))


def _team(row: sa.Row[tuple[object, ...]], members: dict[str, list[str]]) -> Team:
    r = row._mapping  # noqa: SLF001
    return Team(r["id"], r["name"], tuple(members[r["id"]]), r["version"], r["created_at"], r["updated_at"])


def _members(connection: sa.Connection, team_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {team_id: [] for team_id in team_ids}
    if found:
        m = _MEMBERS.c
        for row in connection.execute(sa.select(_MEMBERS).where(m.team_id.in_(list(found))).order_by(m.team_id, m.place)):
            found[row.team_id].append(row.user_id)
    return found


def add_team(tx: Tx, team: Team) -> None:
    """Stores a new team."""
    tx.sql.execute(
        _TEAMS.insert().values(id=team.id, name=team.name, version=team.version, created_at=team.created_at, updated_at=team.updated_at)
    )
    _add_members(tx, team)


def save_team(tx: Tx, team: Team, seen: int) -> None:
    """Stores a change to the team that was at version *seen*. Raises `Conflict` if it is no longer."""
    changed = _TEAMS.update().where(_TEAMS.c.id == team.id, _TEAMS.c.version == seen)
    if tx.sql.execute(changed.values(name=team.name, version=team.version, updated_at=team.updated_at)).rowcount == 0:
        raise Conflict(f"the team {team.name} was changed by somebody else just now; read it again")
    tx.sql.execute(_MEMBERS.delete().where(_MEMBERS.c.team_id == team.id))
    _add_members(tx, team)


def _add_members(tx: Tx, team: Team) -> None:
    for place, user in enumerate(team.users):
        tx.sql.execute(_MEMBERS.insert().values(team_id=team.id, user_id=user, place=place))


def remove_team(tx: Tx, team_id: str) -> None:
    """Takes a team away. Raises `NotFound`."""
    tx.sql.execute(_MEMBERS.delete().where(_MEMBERS.c.team_id == team_id))
    if tx.sql.execute(_TEAMS.delete().where(_TEAMS.c.id == team_id)).rowcount == 0:
        raise NotFound(f"there is no team {team_id[:40]}")


# Feeds.


def feeds(connection: sa.Connection, after: str | None, limit: int) -> list[Feed]:
    """Calendar feeds in the order in which they were made, revoked ones too."""
    query = sa.select(*_FEED).order_by(_FEEDS.c.id).limit(limit)
    if after is not None:
        query = query.where(_FEEDS.c.id > after)
    return [Feed(*row) for row in connection.execute(query)]


_FEED = tuple(_FEEDS.c[name] for name in Feed.__struct_fields__)


def find_feed(connection: sa.Connection, digest: str) -> Feed | None:
    """The feed whose token has this digest, unless it is revoked."""
    row = connection.execute(sa.select(*_FEED).where(_FEEDS.c.digest == digest, _FEEDS.c.revoked_at.is_(None))).one_or_none()
    return None if row is None else Feed(*row)


def add_feed(tx: Tx, feed: Feed, digest: str) -> None:
    """Stores a new feed by the digest of its token."""
    tx.sql.execute(_FEEDS.insert().values(**msgspec.structs.asdict(feed), digest=digest))


def revoke_feed(tx: Tx, feed_id: str, now: int) -> None:
    """Ends a feed; doing it again keeps the first moment. Raises `NotFound`."""
    done = tx.sql.execute(_FEEDS.update().where(_FEEDS.c.id == feed_id).values(revoked_at=sa.func.coalesce(_FEEDS.c.revoked_at, now)))
    if done.rowcount == 0:
        raise NotFound(f"there is no calendar feed {feed_id[:40]}")


def note_feed_use(tx: Tx, feed_id: str, now: int) -> None:
    """Writes when a feed was last read."""
    tx.sql.execute(_FEEDS.update().where(_FEEDS.c.id == feed_id).values(last_used_at=now))


# What was told.

_DUTY, _GAPS = tables.on_duty, tables.oncall_gaps
_GAP = tuple(_GAPS.c[name] for name in KnownGap.__struct_fields__)


def is_duty_known() -> Question:
    """Whether anybody can come on duty or go."""
    return Question("SELECT 1 FROM schedules UNION ALL SELECT 1 FROM on_duty")


def on_duty(connection: sa.Connection) -> dict[str, set[str]]:
    """Who was on duty at the last look, by schedule."""
    found: dict[str, set[str]] = {}
    for row in connection.execute(sa.select(_DUTY.c.schedule_id, _DUTY.c.user_id)):
        found.setdefault(row.schedule_id, set()).add(row.user_id)
    return found


def lock_schedules(tx: Tx) -> None:
    """Has other nodes wait that want to tell of the same (PostgreSQL; SQLite has one writer): then they find what was told."""
    if not tx.is_sqlite:
        tx.sql.execute(sa.select(_SCHEDULES.c.id).order_by(_SCHEDULES.c.id).with_for_update()).all()


def came_on_duty(tx: Tx, schedule_id: str, user: str, now: int) -> None:
    """Notes that somebody is on duty since now."""
    tx.sql.execute(_DUTY.insert().values(schedule_id=schedule_id, user_id=user, since=now))


def went_off_duty(tx: Tx, schedule_id: str, user: str) -> None:
    """Notes that somebody is on duty no more."""
    tx.sql.execute(_DUTY.delete().where(_DUTY.c.schedule_id == schedule_id, _DUTY.c.user_id == user))


def known_gaps(connection: sa.Connection) -> dict[str, list[KnownGap]]:
    """The gaps that were announced and are not ended, by schedule, the earliest first."""
    found: dict[str, list[KnownGap]] = {}
    for row in connection.execute(sa.select(*_GAP).order_by(_GAPS.c.starts_at, _GAPS.c.id)):
        gap = KnownGap(row.id, row.schedule_id, row.starts_at, row.ends_at, bool(row.began))
        found.setdefault(gap.schedule_id, []).append(gap)
    return found


def add_gap(tx: Tx, gap: KnownGap) -> None:
    """Notes a gap that is announced."""
    tx.sql.execute(_GAPS.insert().values(msgspec.structs.asdict(gap)))


def save_gap(tx: Tx, gap: KnownGap) -> None:
    """Notes how an announced gap has changed."""
    tx.sql.execute(_GAPS.update().where(_GAPS.c.id == gap.id).values(msgspec.structs.asdict(gap)))


def remove_gap(tx: Tx, gap_id: str) -> None:
    """Forgets a gap that has ended."""
    tx.sql.execute(_GAPS.delete().where(_GAPS.c.id == gap_id))

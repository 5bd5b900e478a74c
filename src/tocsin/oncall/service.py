"""Loading schedules and asking the rules about them; changing schedules, overrides, teams."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.ids import new_id, new_ids
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.oncall import definition, rules, store
from tocsin.oncall.definition import LayerText, People
from tocsin.oncall.model import Duty, Override, OverrideKind, Schedule, Shifts, Team, Turn

# Reading: each takes the writer's transaction as well as a read connection.


def on_call_users(at_hand: sa.Connection | Tx, schedule_id: str, at: int) -> list[str]:
    """The ids of the users who are on call at *at*; empty if nobody is, or if there is no such schedule.

    Somebody who is disabled or gone is never among them: a lower layer stands in, or there is a gap.
    """
    connection = _connection(at_hand)
    schedule = store.find_schedule(connection, schedule_id)
    if schedule is None:
        return []
    ((present, overrides),) = _present(connection, [schedule], at, at + 1)
    return list(rules.users_on_call(present, overrides, at))


def team_users(at_hand: sa.Connection | Tx, team_id: str) -> list[str]:
    """The ids of a team's members who are not disabled, in order. Raises `NotFound`."""
    connection = _connection(at_hand)
    team = store.get_team(connection, team_id)
    gone = store.gone(connection, team.users)
    return [user for user in team.users if user not in gone]


def duties(at_hand: sa.Connection | Tx, schedules: Sequence[Schedule], at: int) -> list[tuple[Schedule, tuple[Duty, ...]]]:
    """Who is on call at *at*, schedule by schedule."""
    reach = rules.LONGEST_REACH
    loaded = _present(_connection(at_hand), schedules, at - reach, at + reach)
    return [
        (schedule, rules.who_is_on_call(present, overrides, at)) for schedule, (present, overrides) in zip(schedules, loaded, strict=True)
    ]


def shifts(at_hand: sa.Connection | Tx, schedule: Schedule, start: int, end: int) -> Shifts:
    """The shifts and gaps of a schedule between two moments."""
    ((present, overrides),) = _present(_connection(at_hand), [schedule], start, end)
    return rules.shifts(present, overrides, start, end)


def _connection(at_hand: sa.Connection | Tx) -> sa.Connection:
    return at_hand.sql if isinstance(at_hand, Tx) else at_hand


def _present(connection: sa.Connection, schedules: Sequence[Schedule], start: int, end: int) -> list[tuple[Schedule, list[Override]]]:
    """Schedules with the overrides of a stretch of time, without those who are gone."""
    overrides = store.overrides(connection, [s.id for s in schedules], start, end)
    gone = store.gone(connection, {user for s in schedules for user in _named(s, overrides[s.id])})
    return [rules.without(s, overrides[s.id], gone) for s in schedules]


def _named(schedule: Schedule, overrides: Iterable[Override]) -> set[str]:
    named = {user for layer in schedule.layers for user in layer.rotation.users}
    return named | {o.user for o in overrides if o.user is not None}


# Schedules.


class ScheduleChange(msgspec.Struct, frozen=True):
    """What is to be different; None leaves a thing as it is. ``version``: the one that the change was made from."""

    name: str | None = None
    time_zone: str | None = None
    layers: Sequence[LayerText] | None = None
    announce_gaps: bool | None = None
    announce_hand_offs: bool | None = None
    version: int | None = None


def add_schedule(tx: Tx, wanted: ScheduleChange, now: int) -> Schedule:
    """Makes a schedule. Raises `InvalidInput`."""
    empty = Schedule(new_id(now), "", "UTC", (), created_at=now, updated_at=now)
    schedule = definition.read_schedule(_with(empty, wanted), wanted.layers or (), store.people(tx.sql))
    store.add_schedule(tx, schedule)
    return schedule


def change_schedule(tx: Tx, schedule_id: str, wanted: ScheduleChange, now: int) -> Schedule:
    """Changes a schedule. Raises `NotFound`, `InvalidInput`, and `Conflict` if it is no longer at the version that was named."""
    old = store.get_schedule(tx.sql, schedule_id)
    _check_version("schedule", old, wanted.version)
    new = definition.read_schedule(_with(old, wanted), wanted.layers, store.people(tx.sql))
    new = msgspec.structs.replace(new, version=old.version + 1, updated_at=now)
    store.save_schedule(tx, new, old.version)
    return new


def _with(schedule: Schedule, wanted: ScheduleChange) -> Schedule:
    names = ("name", "time_zone", "announce_gaps", "announce_hand_offs")
    given = {name: value for name in names if (value := getattr(wanted, name)) is not None}
    return msgspec.structs.replace(schedule, **given)


def _check_version(kind: str, old: Schedule | Team, seen: int | None) -> None:
    if seen is not None and seen != old.version:
        raise Conflict(
            f"the {kind} {old.name} is at version {old.version} now, changed at {to_text(old.updated_at)}, and you sent version {seen};"
            " read it again, make your change to that, and send its version"
        )


# Overrides.


def add_override(tx: Tx, wanted: Override, now: int) -> Override:
    """Makes an override; its id and time are filled in. Raises `NotFound`, `InvalidInput`."""
    store.get_schedule(tx.sql, wanted.schedule_id)
    override = definition.read_override(msgspec.structs.replace(wanted, id=new_id(now), created_at=now), store.people(tx.sql))
    store.add_overrides(tx, [override])
    return override


def swap(tx: Tx, schedule_id: str, first: Turn, second: Turn, actor: str, now: int) -> list[Override]:
    """Two people take each other's duty: two overrides at once. Raises `NotFound`, `InvalidInput`."""
    schedule = store.get_schedule(tx.sql, schedule_id)
    people = store.people(tx.sql)
    first, second = definition.read_swap(first, second, people)
    for part, turn in (("first", first), ("second", second)):
        _must_be_on(tx, schedule, turn, people, part)
    one, two = new_ids(now, 2)
    made = [
        _taken_over(one, schedule.id, first, second.user, actor, now),
        _taken_over(two, schedule.id, second, first.user, actor, now),
    ]
    store.add_overrides(tx, made)
    return made


def _taken_over(new: str, schedule_id: str, turn: Turn, by: str, actor: str, now: int) -> Override:
    return Override(new, schedule_id, OverrideKind.REPLACE, by, turn.user, turn.starts_at, turn.ends_at, now, actor)


def _must_be_on(tx: Tx, schedule: Schedule, turn: Turn, people: People, part: str) -> None:
    """Who gives a duty away must have one: otherwise the swap would be none."""
    found = shifts(tx, schedule, turn.starts_at, turn.ends_at)
    if turn.user not in {shift.user for shift in found.shifts}:
        span = f"{to_text(turn.starts_at)} and {to_text(turn.ends_at)}"
        raise InvalidInput.of(f"{part}.user", f"{people.by_id[turn.user].email} is not on call between {span}")


# Teams.


def add_team(tx: Tx, name: str, users: Sequence[str], now: int) -> Team:
    """Makes a team. Raises `InvalidInput`."""
    members = definition.read_members(users, store.people(tx.sql))
    team = Team(new_id(now), definition.read_name(name), members, created_at=now, updated_at=now)
    store.add_team(tx, team)
    return team


def change_team(tx: Tx, team_id: str, name: str | None, users: Sequence[str] | None, version: int | None, now: int) -> Team:
    """Changes a team; None leaves a thing as it is. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    old = store.get_team(tx.sql, team_id)
    _check_version("team", old, version)
    members = old.users if users is None else definition.read_members(users, store.people(tx.sql))
    new = Team(
        old.id,
        old.name if name is None else definition.read_name(name),
        members,
        old.version + 1,
        old.created_at,
        now,
    )
    store.save_team(tx, new, old.version)
    return new

"""Loading schedules and asking the rules about them; changing schedules, overrides, teams, calendar feeds."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import DAY
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import new_id, new_ids
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.oncall import definition, ical, rules, store
from tocsin.oncall.definition import LayerText, People
from tocsin.oncall.model import (
    Answer,
    Duty,
    Feed,
    Override,
    OverrideKind,
    Schedule,
    Shifts,
    SwapRequest,
    SwapStatus,
    Team,
    Turn,
)

# Reading: each takes the writer's transaction as well as a read connection.


def duties(at_hand: sa.Connection | Tx, schedules: Sequence[Schedule], at: int) -> list[tuple[Schedule, tuple[Duty, ...]]]:
    """Who is on call at *at*, schedule by schedule."""
    reach = rules.LONGEST_REACH
    loaded = present(_connection(at_hand), schedules, at - reach, at + reach)
    return [
        (schedule, rules.who_is_on_call(without_gone, overrides, at))
        for schedule, (without_gone, overrides) in zip(schedules, loaded, strict=True)
    ]


def shifts(at_hand: sa.Connection | Tx, schedule: Schedule, start: int, end: int) -> Shifts:
    """The shifts and gaps of a schedule between two moments."""
    ((without_gone, overrides),) = present(_connection(at_hand), [schedule], start, end)
    return rules.shifts(without_gone, overrides, start, end)


def _connection(at_hand: sa.Connection | Tx) -> sa.Connection:
    return at_hand.sql if isinstance(at_hand, Tx) else at_hand


def present(connection: sa.Connection, schedules: Sequence[Schedule], start: int, end: int) -> list[tuple[Schedule, list[Override]]]:
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


def add_schedule(tx: Tx, who: Who, wanted: ScheduleChange, now: int) -> Schedule:
    """Makes a schedule. Raises `InvalidInput`."""
    empty = Schedule(new_id(now), "", "UTC", (), created_at=now, updated_at=now)
    schedule = definition.read_schedule(_with(empty, wanted), wanted.layers or (), store.people(tx.sql))
    store.add_schedule(tx, schedule)
    audit.record(tx, who, "schedule.made", f"schedule:{schedule.id}", now, after=_as_text(schedule))
    return schedule


def change_schedule(tx: Tx, who: Who, schedule_id: str, wanted: ScheduleChange, now: int) -> Schedule:
    """Changes a schedule. Raises `NotFound`, `InvalidInput`, and `Conflict` if it is no longer at the version that was named."""
    old = store.get_schedule(tx.sql, schedule_id)
    _check_version("schedule", old, wanted.version)
    new = definition.read_schedule(_with(old, wanted), wanted.layers, store.people(tx.sql))
    new = msgspec.structs.replace(new, version=old.version + 1, updated_at=now)
    store.save_schedule(tx, new, old.version)
    thing = f"schedule:{schedule_id}"
    audit.record_change(tx, who, "schedule.changed", thing, now, before=_as_text(old), after=_as_text(new))
    return new


def remove_schedule(tx: Tx, who: Who, schedule_id: str, now: int) -> None:
    """Takes a schedule away, with its overrides and feeds. Raises `NotFound`."""
    old = store.get_schedule(tx.sql, schedule_id)
    store.remove_schedule(tx, schedule_id)
    audit.record(tx, who, "schedule.removed", f"schedule:{schedule_id}", now, before=_as_text(old))


def _as_text(schedule: Schedule) -> dict[str, Any]:
    """What the audit log keeps of a schedule: what people wrote."""
    names = ("name", "time_zone", "announce_gaps", "announce_hand_offs")
    layers = msgspec.to_builtins(definition.layers_text(schedule.layers))
    return {**{name: getattr(schedule, name) for name in names}, "layers": layers}


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


def add_override(tx: Tx, who: Who, wanted: Override, now: int) -> Override:
    """Makes an override; its id, time and maker are filled in. Raises `NotFound`, `InvalidInput`."""
    store.get_schedule(tx.sql, wanted.schedule_id)
    made = msgspec.structs.replace(wanted, id=new_id(now), created_at=now, created_by=who.name)
    override = definition.read_override(made, store.people(tx.sql))
    _keep(tx, who, [override], now)
    return override


def _keep(tx: Tx, who: Who, made: Sequence[Override], now: int) -> None:
    store.add_overrides(tx, made)
    for one in made:
        audit.record(tx, who, "override.made", f"override:{one.id}", now, after=_override_as_text(one))


def remove_override(tx: Tx, who: Who, schedule_id: str, override_id: str, now: int) -> None:
    """Takes an override back. Raises `NotFound`."""
    old = store.remove_override(tx, schedule_id, override_id)
    audit.record(tx, who, "override.removed", f"override:{override_id}", now, before=_override_as_text(old))


def _override_as_text(one: Override) -> dict[str, Any]:
    times = {"starts_at": to_text(one.starts_at), "ends_at": to_text(one.ends_at)}
    return {"schedule": one.schedule_id, "kind": one.kind, "user": one.user, "replaces": one.replaces, **times}


def swap(tx: Tx, who: Who, schedule_id: str, first: Turn, second: Turn, now: int) -> list[Override]:
    """Two people take each other's duty: two overrides at once. Raises `NotFound`, `InvalidInput`."""
    schedule, first, second = _read_swap(tx, schedule_id, first, second)
    one, two = new_ids(now, 2)
    made = [
        _taken_over(one, schedule.id, first, second.user, who.name, now),
        _taken_over(two, schedule.id, second, first.user, who.name, now),
    ]
    _keep(tx, who, made, now)
    return made


MAX_ASKED = 100  # swaps of one schedule that wait for an answer
ASKED_FOR = 7 * DAY  # how long somebody has to answer, unless a duty begins before
MAX_NOTE = 500


def ask_swap(tx: Tx, who: Who, schedule_id: str, first: Turn, second: Turn, note: str, now: int) -> SwapRequest:
    """Asks the person of *second* to take the duty of *first* for theirs. Nothing changes before they accept.

    Raises `NotFound`, `InvalidInput`, `Conflict`.
    """
    schedule, first, second = _read_swap(tx, schedule_id, first, second)
    for part, turn in (("first", first), ("second", second)):
        if turn.starts_at <= now:
            raise InvalidInput.of(f"{part}.starts_at", "has begun: nobody can be asked for it any more; make an override instead")
    if store.count_asked(tx.sql, schedule.id, now) >= MAX_ASKED:
        raise Conflict(f"{MAX_ASKED} swaps of this schedule wait for an answer already")
    until = min(first.starts_at, second.starts_at, now + ASKED_FOR)
    made = SwapRequest(new_id(now), schedule.id, first, second, note.strip(), now, who.name, until)
    store.add_swap(tx, made)
    audit.record(tx, who, "swap.asked", f"swap:{made.id}", now, after=_swap_as_text(made))
    return made


def answer_swap(tx: Tx, who: Who, schedule_id: str, swap_id: str, answer: Answer, now: int) -> SwapRequest:
    """What the asked person says, or that the question is taken back. Accepting writes both overrides.

    The same answer again changes nothing. Raises `NotFound`; `Conflict` if it was answered otherwise or has expired;
    `InvalidInput` if somebody is no longer on call by then.
    """
    asked = store.get_swap(tx.sql, schedule_id, swap_id)
    if asked.answer is answer:
        return asked
    if asked.status(now) is SwapStatus.EXPIRED:
        raise Conflict(f"the swap has expired at {to_text(asked.expires_at)}; ask again")
    if not store.answer_swap(tx, swap_id, answer, who.name, now):
        raise Conflict(f"the swap was {store.get_swap(tx.sql, schedule_id, swap_id).answer} already")
    if answer is Answer.ACCEPTED:
        swap(tx, who, schedule_id, asked.first, asked.second, now)
    audit.record(tx, who, f"swap.{answer.value}", f"swap:{swap_id}", now, after=_swap_as_text(asked))
    return store.get_swap(tx.sql, schedule_id, swap_id)


AT_ONCE = 100  # expired swaps in one transaction


def expire_swaps(tx: Tx, who: Who, now: int) -> list[SwapRequest]:
    """Notes of swaps that nobody answered in time that they have expired; answers those that it noted, and nobody else has."""
    found = [one for one in store.unanswered(tx, now, AT_ONCE) if store.answer_swap(tx, one.id, Answer.EXPIRED, who.name, now)]
    for one in found:
        audit.record(tx, who, "swap.expired", f"swap:{one.id}", now, after=_swap_as_text(one))
    return found


def _swap_as_text(one: SwapRequest) -> dict[str, Any]:
    turns = {
        part: {"user": turn.user, "starts_at": to_text(turn.starts_at), "ends_at": to_text(turn.ends_at)}
        for part, turn in (("first", one.first), ("second", one.second))
    }
    return {"schedule": one.schedule_id, **turns, "note": one.note}


def _read_swap(tx: Tx, schedule_id: str, first: Turn, second: Turn) -> tuple[Schedule, Turn, Turn]:
    """Both duties, checked: who gives one away has it. Raises `NotFound`, `InvalidInput`."""
    schedule = store.get_schedule(tx.sql, schedule_id)
    people = store.people(tx.sql)
    first, second = definition.read_swap(first, second, people)
    for part, turn in (("first", first), ("second", second)):
        _must_be_on(tx, schedule, turn, people, part)
    return schedule, first, second


def _taken_over(new: str, schedule_id: str, turn: Turn, by: str, actor: str, now: int) -> Override:
    return Override(new, schedule_id, OverrideKind.REPLACE, by, turn.user, turn.starts_at, turn.ends_at, now, actor)


def _must_be_on(tx: Tx, schedule: Schedule, turn: Turn, people: People, part: str) -> None:
    """Who gives a duty away must have one: otherwise the swap would be none."""
    found = shifts(tx, schedule, turn.starts_at, turn.ends_at)
    if turn.user not in {shift.user for shift in found.shifts}:
        span = f"{to_text(turn.starts_at)} and {to_text(turn.ends_at)}"
        raise InvalidInput.of(f"{part}.user", f"{people.by_id[turn.user].email} is not on call between {span}")


# Teams.


def add_team(tx: Tx, who: Who, name: str, users: Sequence[str], now: int) -> Team:
    """Makes a team. Raises `InvalidInput`."""
    members = definition.read_members(users, store.people(tx.sql))
    team = Team(new_id(now), definition.read_name(name), members, created_at=now, updated_at=now)
    store.add_team(tx, team)
    audit.record(tx, who, "team.made", f"team:{team.id}", now, after=_team_as_text(team))
    return team


def change_team(tx: Tx, who: Who, team_id: str, name: str | None, users: Sequence[str] | None, version: int | None, now: int) -> Team:
    """Changes a team; None leaves a thing as it is. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    old = store.get_team(tx.sql, team_id)
    _check_version("team", old, version)
    members = old.users if users is None else definition.read_members(users, store.people(tx.sql))
    new_name = old.name if name is None else definition.read_name(name)
    new = msgspec.structs.replace(old, name=new_name, users=members, version=old.version + 1, updated_at=now)
    store.save_team(tx, new, old.version)
    thing = f"team:{team_id}"
    audit.record_change(tx, who, "team.changed", thing, now, before=_team_as_text(old), after=_team_as_text(new))
    return new


def remove_team(tx: Tx, who: Who, team_id: str, now: int) -> None:
    """Takes a team away. Raises `NotFound`."""
    old = store.get_team(tx.sql, team_id)
    store.remove_team(tx, team_id)
    audit.record(tx, who, "team.removed", f"team:{team_id}", now, before=_team_as_text(old))


def _team_as_text(team: Team) -> dict[str, Any]:
    return {"name": team.name, "users": team.users}


# Calendars.

CALENDAR_BACK, CALENDAR_AHEAD = 30 * DAY, 90 * DAY
NOTED_EVERY = DAY  # how exactly it is known when a feed was last read
_TOKEN_BYTES = 24


def add_feed(tx: Tx, who: Who, schedule_id: str | None, user: str | None, now: int) -> tuple[Feed, str]:
    """Makes a calendar feed of a schedule, of a person, or of a person in a schedule; answers it with the token of its address.

    The token is stored hashed, so this is the only moment at which it is known. Raises `InvalidInput`.
    """
    if schedule_id is None and user is None:
        raise InvalidInput.of("schedule", "name a schedule, a user, or both")
    if schedule_id is not None and store.find_schedule(tx.sql, schedule_id) is None:
        raise InvalidInput.of("schedule", f"there is no schedule {schedule_id!r}")
    user_id = None if user is None else definition.read_user(user, store.people(tx.sql))
    feed = Feed(new_id(now), schedule_id, user_id, now, who.name)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    store.add_feed(tx, feed, _digest(token))
    audit.record(tx, who, "calendar.made", f"calendar:{feed.id}", now, after={"schedule": schedule_id, "user": user_id})
    return feed, token


def revoke_feed(tx: Tx, who: Who, feed_id: str, now: int) -> None:
    """Ends a feed at once. Raises `NotFound`."""
    store.revoke_feed(tx, feed_id, now)
    audit.record(tx, who, "calendar.revoked", f"calendar:{feed_id}", now)


def find_feed(connection: sa.Connection, token: str) -> Feed:
    """The feed of an address. Raises `NotFound`."""
    feed = store.find_feed(connection, _digest(token))
    if feed is None:
        raise NotFound("there is no such calendar, or it was revoked")
    return feed


def _digest(token: str) -> str:
    """What is stored of a token. Plain SHA-256 is enough: its 192 random bits cannot be tried through."""
    return hashlib.sha256(token.encode()).hexdigest()


def calendar(connection: sa.Connection, schedule_id: str | None, user_id: str | None, now: int) -> str:
    """The shifts of a schedule (None: of all), of a person (None: of all), from 30 days ago until 90 days ahead, as iCalendar.

    Raises `NotFound` if the schedule is gone.
    """
    schedules = _naming(connection, user_id, now) if schedule_id is None else [store.get_schedule(connection, schedule_id)]
    names = {person.id: person.name for person in store.people(connection).by_id.values()}
    entries = [entry for one in schedules for entry in _entries(connection, one, user_id, names, now)]
    person = names.get(user_id or "", "")
    title = " ".join([person, "on call", *([f"({schedules[0].name})"] if schedule_id is not None else [])]).strip()
    return ical.write(f"{title[:1].upper()}{title[1:]}", entries, now)


def _naming(connection: sa.Connection, user_id: str | None, now: int) -> list[Schedule]:
    """The schedules in which a person (None: anybody) may be on call within the time that a calendar shows."""
    schedules = store.schedules(connection)
    made = store.overrides(connection, [s.id for s in schedules], now - CALENDAR_BACK, now + CALENDAR_AHEAD)
    return [s for s in schedules if user_id is None or user_id in _named(s, made[s.id])]


def _entries(connection: sa.Connection, schedule: Schedule, user_id: str | None, names: dict[str, str], now: int) -> list[ical.Entry]:
    start, end = now - CALENDAR_BACK, now + CALENDAR_AHEAD
    # A shift that the edges would cut is shown whole: its entry must not change from one reading to the next.
    edges = [duty for at in (start, end) for _, found in duties(connection, [schedule], at) for duty in found]
    start, end = min([start, *(duty.since for duty in edges)]), max([end, *(duty.until for duty in edges)])
    wanted = [shift for shift in shifts(connection, schedule, start, end).shifts if user_id in (None, shift.user)]
    return [
        ical.Entry(
            f"{schedule.id}.{shift.user}.{shift.starts_at}@tocsin",
            f"On call: {schedule.name}" if user_id else f"{names.get(shift.user, 'Somebody')} on call: {schedule.name}",
            shift.source,
            shift.starts_at,
            shift.ends_at,
        )
        for shift in wanted
    ]

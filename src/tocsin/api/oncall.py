"""``/schedules``, ``/oncall``, ``/teams``, ``/calendar-feeds``: who is on call, and the changes to that."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Cursor, Id, Limit, Moment, Name, Page, Time
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.errors import FieldError, InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.notify import readiness
from tocsin.notify.readiness import OnDuty
from tocsin.oncall import definition, service, store
from tocsin.oncall.definition import LayersText, UserRef, ZoneName
from tocsin.oncall.model import Duty, Feed, Gap, Override, OverrideKind, Schedule, Shift, Source, Team, Turn

SHOWN_AHEAD = 14 * DAY
LONGEST_QUESTION = 366 * DAY
CALENDAR_TYPE = "text/calendar"

Version = Annotated[int, Meta(ge=1, description="The version that you read; if it is no longer the present one, nothing is changed (409).")]
Starts = Annotated[Moment, Meta(description="From this moment on.")]
Ends = Annotated[Moment, Meta(description="Until before this moment.")]
ScheduleRef = Annotated[str, Meta(min_length=1, max_length=36, description="A schedule's id.")]


# In.


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many, and from where on."""

    limit: Limit = 100
    cursor: Cursor | None = None


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule to be made. Without layers, people are on call by overrides only."""

    name: Name
    time_zone: ZoneName
    layers: LayersText = ()
    announce_gaps: Annotated[bool, Meta(description="Open an alert a day before nobody is on call.")] = True
    announce_hand_offs: Annotated[bool, Meta(description="Tell people when they come on duty.")] = True


class ScheduleChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. ``layers`` are replaced as a whole."""

    name: Name | None = None
    time_zone: ZoneName | None = None
    layers: LayersText | None = None
    announce_gaps: bool | None = None
    announce_hand_offs: bool | None = None
    version: Version | None = None


class OverrideQuery(ListQuery, frozen=True, kw_only=True):
    """Which overrides: those that touch the time between two moments."""

    since: Starts | None = msgspec.field(default=None, name="from")
    until: Ends | None = msgspec.field(default=None, name="to")


class NewOverride(msgspec.Struct, frozen=True, kw_only=True):
    """A change to who is on call for a while. Of several at one moment, the one made later is applied later, and so wins.

    `add`: `user` is on too. `remove`: `user` is not on; without one, nobody is. `replace`: `user` is on instead of
    `replaces`, as long as that one is; without `replaces`, instead of whoever is on, be it nobody.
    """

    kind: OverrideKind
    user: UserRef | None = None
    replaces: UserRef | None = None
    starts_at: Starts
    ends_at: Ends


class GivenTurn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody's duty between two moments."""

    user: UserRef
    starts_at: Starts
    ends_at: Ends


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """Two duties whose people take each other's."""

    first: GivenTurn
    second: GivenTurn


class ShiftQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Between which moments (default: from now, for 14 days); at most 366 days."""

    since: Starts | None = msgspec.field(default=None, name="from")
    until: Ends | None = msgspec.field(default=None, name="to")


class OnCallQuery(msgspec.Struct, frozen=True, kw_only=True):
    """When (default: now), and in which schedule (default: all)."""

    at: Annotated[Moment, Meta(description="At this moment.")] | None = None
    schedule: ScheduleRef | None = None


class NewTeam(msgspec.Struct, frozen=True, kw_only=True):
    """A team to be made."""

    name: Name
    users: Annotated[tuple[UserRef, ...], Meta(max_length=definition.MAX_USERS)] = ()


class TeamChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays."""

    name: Name | None = None
    users: Annotated[tuple[UserRef, ...], Meta(max_length=definition.MAX_USERS)] | None = None
    version: Version | None = None


class NewFeed(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar address to be made: of a schedule, of a person in all schedules, or of a person in one."""

    schedule: ScheduleRef | None = None
    user: UserRef | None = None


# Out.


class ScheduleOut(msgspec.Struct, frozen=True):
    """A schedule."""

    id: Id
    name: str
    time_zone: str
    layers: LayersText
    announce_gaps: bool
    announce_hand_offs: bool
    version: Annotated[int, Meta(description="Counts the changes; send it with yours.")]
    created_at: Time
    updated_at: Time


class SchedulePage(Page, frozen=True):
    """A page of schedules, the oldest first."""

    items: list[ScheduleOut]


class OverrideOut(msgspec.Struct, frozen=True):
    """A change to who is on call for a while."""

    id: Id
    kind: OverrideKind
    user: Id | None
    replaces: Id | None
    starts_at: Time
    ends_at: Time
    created_at: Time
    created_by: str


class OverridePage(Page, frozen=True):
    """A page of overrides, the newest first."""

    items: list[OverrideOut]


class SwapOut(msgspec.Struct, frozen=True):
    """The two overrides that make the swap."""

    items: list[OverrideOut]


class ShiftOut(msgspec.Struct, frozen=True):
    """One person's stretch of duty: one turn of a layer, or one override, as far as it wins."""

    user: Id
    starts_at: Time
    ends_at: Time
    source: Source


class GapOut(msgspec.Struct, frozen=True):
    """A stretch in which nobody is on call."""

    starts_at: Time
    ends_at: Time


class ShiftsOut(msgspec.Struct, frozen=True):
    """The shifts between the two moments, cut to them, in order; and the gaps."""

    items: list[ShiftOut]
    gaps: list[GapOut]


class DutyOut(msgspec.Struct, frozen=True):
    """Somebody who is on call, since when and until when by this turn or override."""

    user: Id
    since: Time
    until: Time
    source: Source


class ScheduleDuties(msgspec.Struct, frozen=True):
    """Who is on call in one schedule."""

    id: Id
    name: str
    on_call: list[DutyOut]


class ReadyOut(msgspec.Struct, frozen=True):
    """Somebody who is on call within a day."""

    user: Id
    name: str
    starts_at: Annotated[Time, Meta(description="When the duty begins; a moment in the past or now: it has.")]
    schedules: list[str]
    contacts: Annotated[int, Meta(description="Verified ways to reach them; a text and a call to one number are one.")]
    ready: bool


class ReadinessOut(msgspec.Struct, frozen=True):
    """Who is on call within a day, whoever is first on call first."""

    needed: int
    items: list[ReadyOut]


class OnCallOut(msgspec.Struct, frozen=True):
    """Who is on call, schedule by schedule."""

    schedules: list[ScheduleDuties]


class TeamOut(msgspec.Struct, frozen=True):
    """People who are reached together."""

    id: Id
    name: str
    users: list[Id]
    version: int
    created_at: Time
    updated_at: Time


class TeamPage(Page, frozen=True):
    """A page of teams, the oldest first."""

    items: list[TeamOut]


class FeedOut(msgspec.Struct, frozen=True):
    """A calendar address without its secret part, which is not stored."""

    id: Id
    schedule: Id | None
    user: Id | None
    created_at: Time
    created_by: str
    revoked_at: Time | None
    last_used_at: Annotated[Time | None, Meta(description="To the day.")]


class NewFeedOut(FeedOut, frozen=True):
    """A calendar address just made: shown this once."""

    url: Annotated[str, Meta(description="For calendar programs; whoever has it can read the calendar, until it is revoked.")]


class FeedPage(Page, frozen=True):
    """A page of calendar addresses, the oldest first, revoked ones too."""

    items: list[FeedOut]


class SchedulesApi(Controller):
    """Schedules and their overrides."""

    path = "/schedules"
    tags = ("On call",)

    @get(sync_to_thread=True)
    def list_schedules(self, server: TheServer, asked: Given[ListQuery]) -> SchedulePage:
        """Lists the schedules."""
        with server.core.database.read() as connection:
            found = store.schedules(connection, _after(asked, "schedules"), asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "schedules", lambda one: (one.id,))
        return SchedulePage(cursor, [_schedule_out(one) for one in items])

    @post(status_code=201)
    async def add_schedule(self, server: TheServer, caller: TheCaller, sent: Given[NewSchedule]) -> ScheduleOut:
        """Makes a schedule."""
        now = server.core.clock.now()
        wanted = service.ScheduleChange(**msgspec.structs.asdict(sent))
        return _schedule_out(await server.core.writer.run(lambda tx: service.add_schedule(tx, caller.who, wanted, now)))

    @get("/{schedule_id:str}", sync_to_thread=True)
    def show_schedule(self, server: TheServer, schedule_id: InPath) -> ScheduleOut:
        """Shows one schedule."""
        with server.core.database.read() as connection:
            return _schedule_out(store.get_schedule(connection, id_in_path(schedule_id, "schedule")))

    @patch("/{schedule_id:str}", opt={"conflict": True})
    async def change_schedule(self, server: TheServer, caller: TheCaller, schedule_id: InPath, sent: Given[ScheduleChange]) -> ScheduleOut:
        """Changes a schedule. With `version`, only if nobody else has changed it since."""
        now, wanted, where = (
            server.core.clock.now(),
            service.ScheduleChange(**msgspec.structs.asdict(sent)),
            id_in_path(schedule_id, "schedule"),
        )
        return _schedule_out(await server.core.writer.run(lambda tx: service.change_schedule(tx, caller.who, where, wanted, now)))

    @delete("/{schedule_id:str}", status_code=204)
    async def remove_schedule(self, server: TheServer, caller: TheCaller, schedule_id: InPath) -> None:
        """Takes a schedule away, with its overrides and calendar addresses."""
        now, where = server.core.clock.now(), id_in_path(schedule_id, "schedule")
        await server.core.writer.run(lambda tx: service.remove_schedule(tx, caller.who, where, now))

    @get("/{schedule_id:str}/overrides", sync_to_thread=True)
    def list_overrides(self, server: TheServer, schedule_id: InPath, asked: Given[OverrideQuery]) -> OverridePage:
        """Lists the overrides of a schedule, the newest first."""
        after = read_cursor(asked.cursor, "overrides", (int,))
        where = id_in_path(schedule_id, "schedule")
        with server.core.database.read() as connection:
            store.get_schedule(connection, where)
            since, until = _ms_or_none(asked.since), _ms_or_none(asked.until)
            found = store.list_overrides(connection, where, since, until, after[0] if after else None, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "overrides", lambda one: (one[0],))
        return OverridePage(cursor, [_override_out(one) for _, one in items])

    @post("/{schedule_id:str}/overrides", status_code=201)
    async def add_override(self, server: TheServer, caller: TheCaller, schedule_id: InPath, sent: Given[NewOverride]) -> OverrideOut:
        """Changes who is on call for a while. A shift by itself is an override of the kind `add`."""
        now = server.core.clock.now()
        starts_at, ends_at = from_datetime(sent.starts_at), from_datetime(sent.ends_at)
        wanted = Override("", id_in_path(schedule_id, "schedule"), sent.kind, sent.user, sent.replaces, starts_at, ends_at)
        return _override_out(await server.core.writer.run(lambda tx: service.add_override(tx, caller.who, wanted, now)))

    @delete("/{schedule_id:str}/overrides/{override_id:str}", status_code=204)
    async def remove_override(self, server: TheServer, caller: TheCaller, schedule_id: InPath, override_id: InPath) -> None:
        """Takes an override back."""
        now, where, which = server.core.clock.now(), id_in_path(schedule_id, "schedule"), id_in_path(override_id, "override")
        await server.core.writer.run(lambda tx: service.remove_override(tx, caller.who, where, which, now))

    @post("/{schedule_id:str}/swap", status_code=201)
    async def swap(self, server: TheServer, caller: TheCaller, schedule_id: InPath, sent: Given[Swap]) -> SwapOut:
        """Has two people take each other's duty: writes two overrides at once. To ask the other one first: `POST .../swaps`."""
        now, where = server.core.clock.now(), id_in_path(schedule_id, "schedule")
        first, second = turn_of(sent.first), turn_of(sent.second)
        made = await server.core.writer.run(lambda tx: service.swap(tx, caller.who, where, first, second, now))
        return SwapOut([_override_out(one) for one in made])

    @get("/{schedule_id:str}/shifts", sync_to_thread=True)
    def list_shifts(self, server: TheServer, schedule_id: InPath, asked: Given[ShiftQuery]) -> ShiftsOut:
        """Lists who is on call from when to when, and where nobody is."""
        start, end = _span(asked, server.core.clock.now())
        with server.core.database.read() as connection:
            schedule = store.get_schedule(connection, id_in_path(schedule_id, "schedule"))
            found = service.shifts(connection, schedule, start, end)
        return ShiftsOut([_shift_out(one) for one in found.shifts], [_gap_out(one) for one in found.gaps])

    @get("/{schedule_id:str}/ical", sync_to_thread=True, media_type="text/calendar", opt={"produces": "text/calendar"})
    def show_calendar(self, server: TheServer, schedule_id: InPath) -> Response[str]:
        """The schedule as an iCalendar file: the last 30 days and the next 90.

        Calendar programs cannot send a key: for them make an address with `POST /calendar-feeds`.
        """
        with server.core.database.read() as connection:
            text = service.calendar(connection, id_in_path(schedule_id, "schedule"), None, server.core.clock.now())
        return Response(text, media_type=CALENDAR_TYPE)


class OnCallApi(Controller):
    """Who is on call."""

    tags = ("On call",)

    @get("/oncall", sync_to_thread=True)
    def show_on_call(self, server: TheServer, asked: Given[OnCallQuery]) -> OnCallOut:
        """Says who is on call, schedule by schedule. Somebody whose account is disabled never is."""
        at = server.core.clock.now() if asked.at is None else definition.check_moment("at", from_datetime(asked.at))
        with server.core.database.read() as connection:
            one = None if asked.schedule is None else store.get_schedule(connection, id_in_path(asked.schedule, "schedule"))
            found = service.duties(connection, store.schedules(connection) if one is None else [one], at)
        return OnCallOut([ScheduleDuties(s.id, s.name, [_duty_out(duty) for duty in on]) for s, on in found])

    @get("/oncall/readiness", sync_to_thread=False)
    def show_readiness(self, server: TheServer) -> ReadinessOut:
        """Says who is on call within a day, and whether each has two verified contacts."""
        now = server.core.clock.now()
        return ReadinessOut(readiness.NEEDED, [_ready_out(one) for one in readiness.on_duty_soon(server.core.contacts.directory, now)])


class TeamsApi(Controller):
    """Teams."""

    path = "/teams"
    tags = ("On call",)

    @get(sync_to_thread=True)
    def list_teams(self, server: TheServer, asked: Given[ListQuery]) -> TeamPage:
        """Lists the teams."""
        with server.core.database.read() as connection:
            found = store.teams(connection, _after(asked, "teams"), asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "teams", lambda one: (one.id,))
        return TeamPage(cursor, [_team_out(one) for one in items])

    @post(status_code=201)
    async def add_team(self, server: TheServer, caller: TheCaller, sent: Given[NewTeam]) -> TeamOut:
        """Makes a team."""
        now = server.core.clock.now()
        return _team_out(await server.core.writer.run(lambda tx: service.add_team(tx, caller.who, sent.name, sent.users, now)))

    @get("/{team_id:str}", sync_to_thread=True)
    def show_team(self, server: TheServer, team_id: InPath) -> TeamOut:
        """Shows one team."""
        with server.core.database.read() as connection:
            return _team_out(store.get_team(connection, id_in_path(team_id, "team")))

    @patch("/{team_id:str}", opt={"conflict": True})
    async def change_team(self, server: TheServer, caller: TheCaller, team_id: InPath, sent: Given[TeamChange]) -> TeamOut:
        """Changes a team. With `version`, only if nobody else has changed it since."""
        now, where = server.core.clock.now(), id_in_path(team_id, "team")

        def work(tx: Tx) -> Team:
            return service.change_team(tx, caller.who, where, sent.name, sent.users, sent.version, now)

        return _team_out(await server.core.writer.run(work))

    @delete("/{team_id:str}", status_code=204)
    async def remove_team(self, server: TheServer, caller: TheCaller, team_id: InPath) -> None:
        """Takes a team away."""
        now, where = server.core.clock.now(), id_in_path(team_id, "team")
        await server.core.writer.run(lambda tx: service.remove_team(tx, caller.who, where, now))


class FeedsApi(Controller):
    """Addresses for calendar programs."""

    path = "/calendar-feeds"
    tags = ("On call",)

    @get(sync_to_thread=True)
    def list_feeds(self, server: TheServer, asked: Given[ListQuery]) -> FeedPage:
        """Lists the calendar addresses that were made; their secret parts are not stored and cannot be shown."""
        with server.core.database.read() as connection:
            found = store.feeds(connection, _after(asked, "feeds"), asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "feeds", lambda one: (one.id,))
        return FeedPage(cursor, [FeedOut(**_feed_fields(one)) for one in items])

    @post(status_code=201)
    async def add_feed(self, server: TheServer, caller: TheCaller, sent: Given[NewFeed]) -> Response[NewFeedOut]:
        """Makes an address that calendar programs can subscribe to. The answer is the only place where it is ever shown."""
        now = server.core.clock.now()
        schedule = None if sent.schedule is None else sent.schedule.lower()
        feed, token = await server.core.writer.run(lambda tx: service.add_feed(tx, caller.who, schedule, sent.user, now))
        url = f"{server.core.settings.public_url}/ical/{token}.ics"
        return Response(NewFeedOut(**_feed_fields(feed), url=url), headers={"Cache-Control": "no-store"})

    @delete("/{feed_id:str}", status_code=204)
    async def revoke_feed(self, server: TheServer, caller: TheCaller, feed_id: InPath) -> None:
        """Ends an address at once."""
        now, which = server.core.clock.now(), id_in_path(feed_id, "calendar feed")
        await server.core.writer.run(lambda tx: service.revoke_feed(tx, caller.who, which, now))


class CalendarPages(Controller):
    """What calendar programs read. The token in the address is the key; ours are never longer than 64 characters."""

    include_in_schema = False

    @get("/ical/{token:str}")
    async def read_calendar(self, server: TheServer, token: InPath) -> Response[str]:
        """A feed's calendar."""
        now = server.core.clock.now()
        feed, text = await asyncio.to_thread(_feed_text, server, token.removesuffix(".ics"), now)
        if feed.last_used_at is None or feed.last_used_at < now - service.NOTED_EVERY:
            await server.core.writer.run(lambda tx: store.note_feed_use(tx, feed.id, now))
        return Response(text, media_type=CALENDAR_TYPE, headers={"Cache-Control": "private, max-age=300"})


def _feed_text(server: Server, token: str, now: int) -> tuple[Feed, str]:
    with server.core.database.read() as connection:
        feed = service.find_feed(connection, token)
        return feed, service.calendar(connection, feed.schedule_id, feed.user_id, now)


# Reading what was asked.


def _after(asked: ListQuery, kind: str) -> str | None:
    place = read_cursor(asked.cursor, kind, (str,))
    return None if place is None else str(place[0])


def _ready_out(one: OnDuty) -> ReadyOut:
    return ReadyOut(one.user_id, one.name, to_text(one.starts_at), list(one.schedules), one.contacts, one.is_ready)


def id_in_path(text: str, kind: str) -> str:
    """An id from an address. Raises `NotFound` for what can be none."""
    if not is_uuid(text.lower()):
        raise NotFound(f"there is no {kind} {text[:40]}")
    return text.lower()


def _ms_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else from_datetime(moment)


def _span(asked: ShiftQuery, now: int) -> tuple[int, int]:
    """The moments asked about. Raises `InvalidInput`."""
    start = now if asked.since is None else from_datetime(asked.since)
    end = start + SHOWN_AHEAD if asked.until is None else from_datetime(asked.until)
    errors = [FieldError(*one) for one in definition.span_misfits(start, end, LONGEST_QUESTION, ("from", "to"))]
    if errors:
        raise InvalidInput(tuple(errors))
    return start, end


def turn_of(sent: GivenTurn) -> Turn:
    """A duty as it was sent."""
    return Turn(sent.user, from_datetime(sent.starts_at), from_datetime(sent.ends_at))


# Writing what was found.


def _schedule_out(one: Schedule) -> ScheduleOut:
    return ScheduleOut(
        one.id,
        one.name,
        one.time_zone,
        definition.layers_text(one.layers),
        one.announce_gaps,
        one.announce_hand_offs,
        one.version,
        to_text(one.created_at),
        to_text(one.updated_at),
    )


def _override_out(one: Override) -> OverrideOut:
    times = (to_text(one.starts_at), to_text(one.ends_at), to_text(one.created_at))
    return OverrideOut(one.id, one.kind, one.user, one.replaces, *times, one.created_by)


def _shift_out(one: Shift) -> ShiftOut:
    return ShiftOut(one.user, to_text(one.starts_at), to_text(one.ends_at), one.source)


def _gap_out(one: Gap) -> GapOut:
    return GapOut(to_text(one.starts_at), to_text(one.ends_at))


def _duty_out(one: Duty) -> DutyOut:
    return DutyOut(one.user, to_text(one.since), to_text(one.until), one.source)


def _team_out(one: Team) -> TeamOut:
    return TeamOut(one.id, one.name, list(one.users), one.version, to_text(one.created_at), to_text(one.updated_at))


def _feed_fields(one: Feed) -> dict[str, Any]:
    times = {"created_at": to_text(one.created_at), "revoked_at": to_text_or_none(one.revoked_at)}
    last_used_at = to_text_or_none(one.last_used_at)
    return {
        "id": one.id,
        "schedule": one.schedule_id,
        "user": one.user_id,
        **times,
        "created_by": one.created_by,
        "last_used_at": last_used_at,
    }

"""Changing who is on call for a while: overrides, and addresses for calendar programs."""

import asyncio
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api.context import Given
from tocsin.bootstrap import Server
from tocsin.core.clock import HOUR
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.identity.model import Viewer
from tocsin.oncall import service, store
from tocsin.oncall.definition import LONGEST_OVERRIDE, Person
from tocsin.oncall.model import Feed, Override, OverrideKind, Schedule
from tocsin.web import people
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.oncall import rules
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.times import Times
from tocsin.web.viewer import TheViewer

USUAL = 4 * HOUR  # how long an override is, if nobody said
NO_MOMENT = "Is no time. Example: 2026-11-28T20:00."

WallText = Annotated[str, Meta(max_length=19)]
Ref = Annotated[str, Meta(max_length=36)]


class OverrideQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the form begins with: a stretch that was drawn, a gap, a shift."""

    since: WallText | None = msgspec.field(default=None, name="from")
    until: WallText | None = msgspec.field(default=None, name="to")
    replaces: Ref | None = None


class OverrideForm(msgspec.Struct, frozen=True, kw_only=True):
    """A change for a while."""

    kind: Literal["replace", "add", "remove"] = "replace"
    user: Ref = ""
    replaces: Ref = ""
    starts_at: WallText = ""
    ends_at: WallText = ""


class FeedForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the calendar shows: one's own shifts everywhere, or all of a schedule."""

    schedule: Ref = ""


class CoverPages(Controller):
    """Overrides, calendar addresses."""

    path = "/oncall"
    include_in_schema = False

    @get("/{schedule_id:str}/override", sync_to_thread=True)
    def ask_override(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath, asked: Given[OverrideQuery]
    ) -> Response[bytes]:
        """The form of an override."""
        schedule, everybody, _ = look(server, schedule_id)
        zone, now = ZoneInfo(schedule.time_zone), server.core.clock.now()
        starts_at = rules.local(asked.since or "", zone) or rules.next_hour(now)
        ends_at = rules.local(asked.until or "", zone) or starts_at + USUAL
        sent = OverrideForm(
            user=viewer.user_id, replaces=asked.replaces or "", starts_at=rules.field(starts_at, zone), ends_at=rules.field(ends_at, zone)
        )
        return _override_page(request, server, viewer, schedule, everybody, sent, Problems())

    @post("/{schedule_id:str}/override", status_code=200)
    async def add_override(self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath) -> Response[bytes]:
        """Makes an override."""
        sent = await form(request, OverrideForm)
        schedule, everybody, _ = await asyncio.to_thread(look, server, schedule_id)
        now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
        try:
            wanted = _override(schedule, sent)
            await server.core.writer.run(lambda tx: service.add_override(tx, who, wanted, now))
        except InvalidInput as error:
            return await asyncio.to_thread(_override_page, request, server, viewer, schedule, everybody, sent, problems(error))
        await asyncio.to_thread(server.core.refresh)
        return go(f"/oncall?schedule={schedule.id}&at={sent.starts_at[:10]}&done=override", depth=2)

    @post("/{schedule_id:str}/overrides/{override_id:str}/remove", status_code=200)
    async def remove_override(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath, override_id: InPath
    ) -> Response[bytes]:
        """Takes an override back."""
        await form(request, NoFields)
        now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
        where, which = id_of(schedule_id), id_of(override_id)
        await server.core.writer.run(lambda tx: service.remove_override(tx, who, where, which, now))
        await asyncio.to_thread(server.core.refresh)
        return go(f"/oncall?schedule={where}&done=removed", depth=4)

    @get("/calendars", sync_to_thread=True)
    def calendars(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Addresses for calendar programs."""
        return _calendars_page(request, server, viewer, "")

    @post("/calendars", status_code=200)
    async def add_calendar(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes an address; this answer is the only place where it is ever shown."""
        sent = await form(request, FeedForm)
        now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
        schedule, user = (sent.schedule, None) if sent.schedule else (None, viewer.user_id)
        _, token = await server.core.writer.run(lambda tx: service.add_feed(tx, who, schedule, user, now))
        made = f"{server.core.settings.public_url}/ical/{token}.ics"
        return await asyncio.to_thread(_calendars_page, request, server, viewer, made)

    @post("/calendars/{feed_id:str}/revoke", status_code=200)
    async def revoke_calendar(self, request: AnyRequest, server: TheServer, viewer: TheViewer, feed_id: InPath) -> Response[bytes]:
        """Ends an address at once."""
        await form(request, NoFields)
        now, who, which = server.core.clock.now(), viewer.calling(address_of(request)).who, id_of(feed_id)
        await server.core.writer.run(lambda tx: service.revoke_feed(tx, who, which, now))
        return go("/oncall/calendars", depth=3)


def id_of(text: str) -> str:
    """An id from an address. Raises `NotFound` for what can be none."""
    if not is_uuid(text.lower()):
        raise NotFound(f"there is nothing of the name {text[:40]} here")
    return text.lower()


def look(server: Server, schedule_id: str) -> tuple[Schedule, list[Person], dict[str, str]]:
    """The schedule, those who can be on call, and everybody's name. Raises `NotFound`."""
    with server.core.database.read() as connection:
        schedule = store.get_schedule(connection, id_of(schedule_id))
        found = [person for person in store.people(connection).by_id.values() if not person.disabled]
        return schedule, sorted(found, key=lambda person: person.name.lower()), people.names(connection)


# Overrides.


def _override(schedule: Schedule, sent: OverrideForm) -> Override:
    """What the form says. Raises `InvalidInput` for times that are none."""
    zone = ZoneInfo(schedule.time_zone)
    at = {name: rules.local(getattr(sent, name), zone) for name in ("starts_at", "ends_at")}
    for name, moment in at.items():
        if moment is None:
            raise InvalidInput.of(name, NO_MOMENT)
    kind = OverrideKind(sent.kind)
    replaces = sent.replaces or None if kind is OverrideKind.REPLACE else None
    return Override("", schedule.id, kind, sent.user or None, replaces, at["starts_at"] or 0, at["ends_at"] or 0)


def _override_page(
    request: AnyRequest, server: Server, viewer: Viewer, schedule: Schedule, everybody: list[Person], sent: OverrideForm, wrong: Problems
) -> Response[bytes]:
    zone, now = ZoneInfo(schedule.time_zone), server.core.clock.now()
    starts_at, ends_at = rules.local(sent.starts_at, zone), rules.local(sent.ends_at, zone)
    planned = None
    with server.core.database.read() as connection:
        names = people.names(connection)
        if starts_at is not None and ends_at is not None and 0 < ends_at - starts_at <= LONGEST_OVERRIDE:
            planned = service.shifts(connection, schedule, starts_at, ends_at)
    return screen(
        request,
        viewer,
        "oncall/override.html",
        status=422 if wrong else 200,
        here="oncall",
        schedule=schedule,
        choices=[(person.id, person.name) for person in everybody],
        names=names,
        sent=sent,
        wrong=wrong,
        planned=planned,
        local=Times(zone, now),
        stretch=lambda begins, ends: rules.stretch(begins, ends, zone),
    )


# Calendars.


def _calendars_page(request: AnyRequest, server: Server, viewer: Viewer, made: str) -> Response[bytes]:
    with server.core.database.read() as connection:
        schedules = store.schedules(connection)
        feeds = _feeds(connection, viewer)
    return screen(
        request,
        viewer,
        "oncall/calendars.html",
        here="oncall",
        schedules=schedules,
        all_of=[(one.id, f"Everybody in {one.name}") for one in schedules],
        titles={one.id: one.name for one in schedules},
        feeds=feeds,
        made=made,
    )


def _feeds(connection: sa.Connection, viewer: Viewer) -> list[Feed]:
    """Those that this person made, or that show their shifts, and that still work; an administrator sees all."""
    found = [feed for feed in store.feeds(connection, None, 1_000) if feed.revoked_at is None]
    return [one for one in found if viewer.may("configure") or one.user_id == viewer.user_id or one.created_by == viewer.email]

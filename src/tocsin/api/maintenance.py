"""``/maintenance``: planned work, once or by a rule."""

from typing import Annotated

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Id, Name, Page, Time
from tocsin.api.muting import (
    ListQuery,
    LooseComment,
    MatcherOut,
    MatchersIn,
    Standing,
    When,
    list_page,
    matchers_out,
    read_matchers,
    sites_of,
    wanted_changes,
    write,
)
from tocsin.core.ids import new_id
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.muting import rules, service
from tocsin.muting.model import Maintenance
from tocsin.muting.recurrence import MAX_RULE

WINDOWS_SHOWN = 5

Rrule = Annotated[
    str,
    Meta(
        max_length=MAX_RULE,
        description="RFC 5545, without a time of the day: that comes from `starts_at`.",
        examples=["FREQ=MONTHLY;BYDAY=1SU"],
        extra={"must": f"be a rule of at most {MAX_RULE} characters, such as FREQ=MONTHLY;BYDAY=1SU"},
    ),
]
Zone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=60,
        description="IANA time zone.",
        examples=["Europe/Berlin"],
        extra={"must": "be a time zone such as Europe/Berlin"},
    ),
]


class NewMaintenance(msgspec.Struct, frozen=True, kw_only=True):
    """Planned work, once or by a rule. ``starts_at`` and ``ends_at`` are those of the first window."""

    name: Name
    matchers: MatchersIn
    starts_at: Annotated[When, Meta(description="Default: now.")] | None = None
    ends_at: When
    rrule: Rrule | None = None
    time_zone: Annotated[Zone, Meta(description="By whose clocks the windows of a rule start.")] = "UTC"
    comment: LooseComment = ""


class MaintenanceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays as it is. ``rrule`` null: only once."""

    name: Name | None = None
    matchers: MatchersIn | None = None
    starts_at: When | None = None
    ends_at: When | None = None
    rrule: Rrule | UnsetType | None = UNSET
    time_zone: Zone | None = None
    comment: LooseComment | None = None


class WindowOut(msgspec.Struct, frozen=True):
    """A stretch of time; the end is not part of it."""

    starts_at: Time
    ends_at: Time


class MaintenanceOut(msgspec.Struct, frozen=True):
    """A maintenance. ``starts_at`` and ``ends_at`` are those of its first window."""

    id: Id
    name: str
    matchers: list[MatcherOut]
    starts_at: Time
    ends_at: Time
    rrule: str | None
    time_zone: str
    comment: str
    status: Standing
    windows: Annotated[list[WindowOut], Meta(description="The window that is open, and those to come: five at most.")]
    created_by: str
    created_at: Time
    ended_at: Annotated[Time | None, Meta(description="When somebody ended it.")]
    ended_by: str | None


class MaintenancePage(Page, frozen=True):
    """A page of maintenance, the newest first."""

    items: list[MaintenanceOut]


class MaintenanceApi(Controller):
    """Maintenance windows."""

    path = "/maintenance"
    tags = ("Silence",)

    @get(sync_to_thread=True)
    def list_maintenance(self, server: TheServer, caller: TheCaller, asked: Given[ListQuery]) -> MaintenancePage:
        """Lists maintenance windows, the newest first, each with its next windows."""
        items, cursor = list_page(server, caller, Maintenance, asked.status, asked.limit, asked.cursor)
        now = server.core.clock.now()
        return MaintenancePage(cursor, [_out(one, now) for one in items])

    @get("/{maintenance_id:str}", sync_to_thread=True)
    def show_maintenance(self, server: TheServer, caller: TheCaller, maintenance_id: InPath) -> MaintenanceOut:
        """Shows one maintenance with its next windows."""
        with server.core.database.read() as connection:
            found = service.find(connection, Maintenance, maintenance_id, sites_of(server, caller))
        return _out(found, server.core.clock.now())

    @post(status_code=201, opt={"conflict": True})
    async def add_maintenance(self, server: TheServer, caller: TheCaller, sent: Given[NewMaintenance]) -> MaintenanceOut:
        """Plans a maintenance. In its windows what it matches tells nobody; what is still open when a window ends pages."""
        now = server.core.clock.now()
        planned = Maintenance(
            new_id(now),
            sent.name.strip(),
            read_matchers(sent.matchers),
            now if sent.starts_at is None else from_datetime(sent.starts_at),
            from_datetime(sent.ends_at),
            sent.comment.strip(),
            sent.rrule,
            sent.time_zone,
            caller.name,
            now,
        )
        return _out(await write(server, lambda tx: service.add(tx, caller.who, planned, now, sites_of(server, caller))), now)

    @patch("/{maintenance_id:str}", opt={"conflict": True})
    async def change_maintenance(
        self, server: TheServer, caller: TheCaller, maintenance_id: InPath, sent: Given[MaintenanceChange]
    ) -> MaintenanceOut:
        """Changes a maintenance that is not over yet."""
        now, wanted = server.core.clock.now(), wanted_changes(sent)
        sites = sites_of(server, caller)
        made = await write(server, lambda tx: service.change(tx, caller.who, Maintenance, maintenance_id, wanted, now, sites))
        return _out(made, now)

    @post("/{maintenance_id:str}/expire", status_code=200)
    async def expire_maintenance(self, server: TheServer, caller: TheCaller, maintenance_id: InPath) -> MaintenanceOut:
        """Ends a maintenance now, with all windows to come; what is still open pages at once."""
        now = server.core.clock.now()
        made = await write(server, lambda tx: service.end(tx, caller.who, Maintenance, maintenance_id, now, sites_of(server, caller)))
        return _out(made, now)

    @delete("/{maintenance_id:str}", status_code=204)
    async def remove_maintenance(self, server: TheServer, caller: TheCaller, maintenance_id: InPath) -> None:
        """Removes a maintenance; a window that is open ends."""
        now = server.core.clock.now()
        await write(server, lambda tx: service.remove(tx, caller.who, Maintenance, maintenance_id, now, sites_of(server, caller)))


def _out(found: Maintenance, now: int) -> MaintenanceOut:
    windows = rules.coming(found, now, WINDOWS_SHOWN)
    return MaintenanceOut(
        id=found.id,
        name=found.name,
        matchers=matchers_out(found.matchers),
        starts_at=to_text(found.starts_at),
        ends_at=to_text(found.ends_at),
        rrule=found.rrule,
        time_zone=found.time_zone,
        comment=found.comment,
        status=rules.status_of(found, now).value,
        windows=[WindowOut(to_text(w.starts_at), to_text(w.ends_at)) for w in windows],
        created_by=found.created_by,
        created_at=to_text(found.created_at),
        ended_at=to_text_or_none(found.ended_at),
        ended_by=found.ended_by,
    )

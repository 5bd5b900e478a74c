"""``/events``, ``/sources``, ``/quarantine``: what came in. ``POST /events`` is in intake.py."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from litestar import Controller, get
from litestar.response import Stream

from tocsin.api import shapes
from tocsin.api.alerts import period
from tocsin.api.context import Given, InPath, TheCaller, TheServer, visible_sites
from tocsin.api.csv import csv_lines
from tocsin.api.fields import Cursor, Level, Limit, Search, Since, Slug, TypeFilter, Until
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.errors import NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.parquet import PARQUET, Column, Kind, Parquet
from tocsin.core.times import to_text
from tocsin.events import queries

CSV_PAGE = 500
CSV_COLUMNS = (
    *("id", "type", "site", "occurred_at", "received_at", "severity", "status", "title", "message"),
    *("subject", "host", "attributes", "dedup_key", "source", "sequence", "alert_id"),
)

_KINDS = {"occurred_at": Kind.TIME, "received_at": Kind.TIME, "severity": Kind.WHOLE, "sequence": Kind.WHOLE}
_ALWAYS = ("id", "type", "site", "occurred_at", "received_at", "severity", "status", "title")
PARQUET_COLUMNS = tuple(Column(name, _KINDS.get(name, Kind.TEXT), may_be_empty=name not in _ALWAYS) for name in CSV_COLUMNS)


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events."""

    site: Slug | None = None
    type: TypeFilter | None = None
    severity_min: Level | None = None
    since: Since | None = None
    until: Until | None = None
    q: Search | None = None


class EventQuery(EventFilter, frozen=True, kw_only=True):
    """Which events, and how many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class SiteListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of which site, and how many."""

    site: Slug | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class EventsApi(Controller):
    """Events."""

    tags = ("Events",)

    @get("/events", sync_to_thread=True)
    def list_events(self, server: TheServer, caller: TheCaller, asked: Given[EventQuery]) -> shapes.EventPage:
        """Lists events, the newest first."""
        core = server.core
        wanted = _filter(asked, visible_sites(core.sites, caller, asked.site))
        after = read_cursor(asked.cursor, "events", (int, int))
        with core.database.read() as connection:
            found = queries.page(connection, wanted, after, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "events", _place)
        return shapes.EventPage(cursor, [shapes.event_out(event, core.sites.slug_of) for event in items])

    @get("/events.csv", media_type="text/csv", opt={"produces": "text/csv"})
    async def export_events(self, server: TheServer, caller: TheCaller, asked: Given[EventFilter]) -> Stream:
        """Exports events as CSV, the newest first, however many there are.

        Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        wanted = _filter(asked, visible_sites(server.core.sites, caller, asked.site))
        first = await asyncio.to_thread(_csv_page, server, wanted, None)
        headers = {"Content-Disposition": 'attachment; filename="events.csv"'}
        return Stream(_csv(server, wanted, first), media_type="text/csv; header=present", headers=headers)

    @get("/events.parquet", media_type=PARQUET, opt={"produces": PARQUET})
    async def export_events_as_parquet(self, server: TheServer, caller: TheCaller, asked: Given[EventFilter]) -> Stream:
        """Exports events as Parquet, the newest first, however many there are: what pandas, DuckDB and Spark read."""
        wanted = _filter(asked, visible_sites(server.core.sites, caller, asked.site))
        first = await asyncio.to_thread(_csv_page, server, wanted, None)
        headers = {"Content-Disposition": 'attachment; filename="events.parquet"'}
        return Stream(_parquet(server, wanted, first), media_type=PARQUET, headers=headers)

    @get("/events/{event_id:str}", sync_to_thread=True)
    def show_event(self, server: TheServer, caller: TheCaller, event_id: InPath) -> shapes.EventOut:
        """Shows one event."""
        core = server.core
        event = None
        if is_uuid(event_id.lower()):
            with core.database.read() as connection:
                event = queries.find(connection, event_id.lower(), caller.site_ids)
        if event is None:
            raise NotFound(f"there is no event {event_id[:40]}")
        return shapes.event_out(event, core.sites.slug_of)

    @get("/sources", sync_to_thread=True)
    def list_sources(self, server: TheServer, caller: TheCaller, asked: Given[SiteListQuery]) -> shapes.SourcePage:
        """Lists who sends events under running numbers: what is missing, what came twice, how far the clocks differ."""
        core = server.core
        site_ids = visible_sites(core.sites, caller, asked.site)
        after = read_cursor(asked.cursor, "sources", (int, str))
        with core.database.read() as connection:
            found = queries.sources(connection, site_ids, after, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "sources", lambda one: (one.site_id, one.source))
        return shapes.SourcePage(cursor, [shapes.source_out(one, core.sites.slug_of) for one in items])

    @get("/quarantine", sync_to_thread=True)
    def list_quarantine(self, server: TheServer, caller: TheCaller, asked: Given[SiteListQuery]) -> shapes.QuarantinePage:
        """Lists what could not be taken, the newest first."""
        core = server.core
        site_ids = visible_sites(core.sites, caller, asked.site)
        after = read_cursor(asked.cursor, "quarantine", (str,))
        with core.database.read() as connection:
            found = queries.quarantine(connection, site_ids, after[0] if after else None, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "quarantine", lambda one: (one.id,))
        return shapes.QuarantinePage(cursor, [shapes.quarantined_out(one, core.sites.slug_of) for one in items])


def _place(event: queries.StoredEvent) -> tuple[int, int]:
    return event.occurred_at, event.number


def _filter(asked: EventFilter, site_ids: frozenset[int] | None) -> queries.Filter:
    since, until = period(asked.since, asked.until)
    return queries.Filter(site_ids=site_ids, type=asked.type, severity_min=asked.severity_min, since=since, until=until, q=asked.q)


# --- CSV


async def _csv(server: Server, wanted: queries.Filter, events: list[queries.StoredEvent]) -> AsyncIterator[bytes]:
    yield csv_lines([CSV_COLUMNS])
    async for page in _pages(server, wanted, events):
        yield csv_lines([_csv_row(server, event) for event in page])


async def _parquet(server: Server, wanted: queries.Filter, events: list[queries.StoredEvent]) -> AsyncIterator[bytes]:
    file = Parquet(PARQUET_COLUMNS)
    async for page in _pages(server, wanted, events):
        full = await asyncio.to_thread(file.rows, [_row(server, event) for event in page])
        if full:
            yield full
    yield await asyncio.to_thread(file.end)


async def _pages(server: Server, wanted: queries.Filter, events: list[queries.StoredEvent]) -> AsyncIterator[list[queries.StoredEvent]]:
    """All events, a page at a time. Each is a snapshot of its own, so that a long export holds no old state back."""
    while events:
        yield events
        if len(events) < CSV_PAGE:
            return
        events = await asyncio.to_thread(_csv_page, server, wanted, _place(events[-1]))


def _csv_page(server: Server, wanted: queries.Filter, after: tuple[int, int] | None) -> list[queries.StoredEvent]:
    with server.core.database.read() as connection:
        return queries.page(connection, wanted, after, CSV_PAGE)


def _csv_row(server: Server, event: queries.StoredEvent) -> list[object]:
    times = {"occurred_at": to_text(event.occurred_at), "received_at": to_text(event.received_at)}
    values = {"site": server.core.sites.slug_of(event.site_id), **times}
    return [values.get(name, getattr(event, name, None)) for name in CSV_COLUMNS]


def _row(server: Server, event: queries.StoredEvent) -> list[object]:
    """The same for programs: times and numbers as such, text as it is, nothing where there is nothing."""
    site = server.core.sites.slug_of(event.site_id)
    return [site if name == "site" else getattr(event, name) for name in CSV_COLUMNS]

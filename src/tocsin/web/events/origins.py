"""``/events/sources`` and ``/events/quarantine``: who sends, what is missing, and what could not be taken."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api.context import Given
from tocsin.api.fields import Cursor
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput
from tocsin.core.ids import is_uuid
from tocsin.core.text import counted
from tocsin.events import queries
from tocsin.events.store import MAX_PAYLOAD
from tocsin.identity.model import Viewer
from tocsin.pipeline import again
from tocsin.web.access import address_of, form, go
from tocsin.web.desk import Desk
from tocsin.web.events import rules
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

SOURCES = 500
PAGE = 25
LATEST = 2_000


class QuarantineQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page, and what was just done."""

    cursor: Cursor | None = None
    done: Annotated[str, Meta(pattern=r"^(taken|dropped)$", max_length=10)] | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The form below an entry. ``payload``: what to try in its place."""

    id: Annotated[str, Meta(max_length=36)]
    payload: Annotated[str, Meta(max_length=MAX_PAYLOAD)] | None = None


class OriginPages(Controller):
    """Sources and quarantine."""

    path = "/events"
    include_in_schema = False

    @get("/sources", sync_to_thread=True)
    def sources(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Lists who sends under running numbers: what is missing, how late it arrives, how the clocks go."""
        desk: Desk = request.app.state.desk
        with server.core.database.read() as connection:
            found = queries.sources(connection, viewer.site_ids, None, SOURCES)
            lags = queries.lags(connection, LATEST)
            quarantined = queries.count_quarantined(connection, viewer.site_ids)
        return screen(
            request,
            viewer,
            "sources.html",
            here="events",
            sources=sorted(found, key=lambda one: (not one.missing, -one.last_seen_at)),
            lags=lags,
            gaps_say=rules.gaps_say,
            skew_says=rules.skew_says,
            site_name=desk.site_name,
            quarantined=quarantined,
        )

    @get("/quarantine", sync_to_thread=True)
    def quarantine(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[QuarantineQuery]) -> Response[bytes]:
        """Lists what could not be taken, with the reasons."""
        return _quarantine(request, server, viewer, asked)

    @post("/quarantine/again", status_code=200)
    async def again(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Tries an entry once more, mended or as it is. What is still wrong is shown beside it."""
        sent = await form(request, Entry)
        core, who = server.core, viewer.calling(address_of(request)).who
        try:
            work = again.try_again(
                core.ingest, core.sites.slug_of, _entry_id(sent.id), sent.payload, who, viewer.site_ids, core.clock.now()
            )
            await core.writer.run(work)
        except InvalidInput as error:
            return await asyncio.to_thread(_quarantine, request, server, viewer, QuarantineQuery(), sent, error)
        return go("/events/quarantine?done=taken", depth=2)

    @post("/quarantine/drop", status_code=200)
    async def drop(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Throws an entry away."""
        sent = await form(request, Entry)
        who = viewer.calling(address_of(request)).who
        await server.core.writer.run(again.throw_away(_entry_id(sent.id), who, viewer.site_ids, server.core.clock.now()))
        return go("/events/quarantine?done=dropped", depth=2)


def _entry_id(text: str) -> str:
    if not is_uuid(text.lower()):
        raise InvalidInput.of("id", "is not that of an entry in quarantine")
    return text.lower()


def _quarantine(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    asked: QuarantineQuery,
    tried: Entry | None = None,
    wrong: InvalidInput | None = None,
) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    after = read_cursor(asked.cursor, "quarantine", (str,))
    with server.core.database.read() as connection:
        found = queries.quarantine(connection, viewer.site_ids, after[0] if after else None, PAGE + 1)
        quarantined = queries.count_quarantined(connection, viewer.site_ids)
        last = queries.find_quarantined(connection, tried.id.lower(), viewer.site_ids) if tried else None
    entries, cursor = cut_page(found, PAGE, "quarantine", lambda one: (one.id,))
    if last is not None and last.id not in {entry.id for entry in entries}:
        entries = [last, *entries]
    return screen(
        request,
        viewer,
        "quarantine.html",
        status=200 if wrong is None else 422,
        here="events",
        entries=entries,
        next_page=f"/events/quarantine?cursor={cursor}" if cursor else None,
        quarantined=quarantined,
        done=asked.done,
        tried=tried,
        wrong=wrong.errors if wrong else (),
        site_name=desk.site_name,
        counted=counted,
    )

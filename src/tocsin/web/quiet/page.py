"""``/silences``: what is kept quiet, by what and until when; and the form that shows what it would mute before it is saved."""

import asyncio
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.alerts import queries
from tocsin.alerts.model import Alert
from tocsin.api.context import Given
from tocsin.api.muting import sites_of, write
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import new_id
from tocsin.core.text import sentence
from tocsin.identity.model import Viewer
from tocsin.muting import preview as previews, rules as muting_rules, service
from tocsin.muting.model import Dependency, Maintenance, Matchers, Silence, Standing, Window
from tocsin.muting.preview import Preview, Scope
from tocsin.web import people
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.groups import read_fields
from tocsin.web.pages import screen
from tocsin.web.quiet import rules
from tocsin.web.quiet.rules import QuietForm
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

MOST = 100
OVER = 20  # that are over, and still shown
SHOWN = 5  # alerts of a preview
DONE = {
    "silence": "Quiet from now on, as far as it matches. Everything is still recorded.",
    "maintenance": "Planned. In its windows nobody is told; what is still open at the end pages.",
    "ended": "Ended. What is still open pages at once.",
    "changed": "Changed. What no longer matches, and is still open, pages.",
    "depends": "Kept. It holds from now on, for what is open too.",
    "removed": "The dependency is removed. What it kept quiet, and is still open, pages.",
}

Text = Annotated[str, Meta(max_length=500)]


class QuietQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Literal["silence", "maintenance", "ended", "changed", "depends", "removed"] | None = None


class NewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the form begins with."""

    kind: Literal["silence", "maintenance"] = "silence"
    host: Text | None = None
    type: Text | None = None
    site: Text | None = None
    subject: Text | None = None


class Entry(msgspec.Struct, frozen=True):
    """One silence or maintenance on the page. ``window``: the one that is open, or the next."""

    kept: Silence | Maintenance
    kind: str
    says: str
    repeats: str
    window: Window | None
    mutes: int
    by: str


class Seen(msgspec.Struct, frozen=True):
    """A preview with the alerts that it names."""

    found: Preview
    now: list[Alert]
    week: list[Alert]


class QuietPages(Controller):
    """Silences and maintenance."""

    path = "/silences"
    include_in_schema = False

    @get(sync_to_thread=True)
    def quiet(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[QuietQuery]) -> Response[bytes]:
        """Shows what is quiet now, what will be, what was, and what depends on what."""
        now = server.core.clock.now()
        with server.core.database.read() as connection:
            entries = _entries(server, viewer, connection, now)
            whole = viewer.may("look-at-the-whole")
            depends = service.page(connection, Dependency, lambda _: True, None, MOST, unended_at=None) if whole else []
        by = {standing: [one for one in entries if muting_rules.status_of(one.kept, now) is standing] for standing in Standing}
        return screen(
            request,
            viewer,
            "quiet/list.html",
            here="quiet",
            active=by[Standing.ACTIVE],
            upcoming=by[Standing.UPCOMING],
            expired=by[Standing.EXPIRED][:OVER],
            depends=depends,
            says=rules.says,
            done=DONE.get(asked.done or "", ""),
        )

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[NewQuery]) -> Response[bytes]:
        """The form; with conditions in the address it shows at once what they would mute."""
        given = [(name, "=", value) for name in ("site", "type", "host", "subject") if (value := getattr(asked, name))]
        begun = rules.begun(asked.kind, given, _zone(viewer), server.core.clock.now())
        return _page(request, server, viewer, begun, Problems())

    @get("/{kind:str}/{kept_id:str}", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, kind: InPath, kept_id: InPath) -> Response[bytes]:
        """The form of one that is not over, with what it would mute."""
        kept = _find(server, viewer, kind, kept_id)
        return _page(request, server, viewer, rules.written(kept, _zone(viewer)), Problems(), kept)

    @post("/{kind:str}/{kept_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, kind: InPath, kept_id: InPath) -> Response[bytes]:
        """Shows what the change would mute, or makes it."""
        kept = await asyncio.to_thread(_find, server, viewer, kind, kept_id)
        sent = rules.form_of(read_fields(await request.body()))
        if sent.do != "save":
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(), kept)
        caller, now = viewer.calling(address_of(request)), server.core.clock.now()
        try:
            wanted = rules.changes(kept, sent, _zone(viewer), now)
            sites = sites_of(server, caller)
            if isinstance(kept, Silence):
                await write(server, lambda tx: service.change(tx, caller.who, Silence, kept.id, wanted, now, sites, sent.edition or None))
            else:
                await write(
                    server, lambda tx: service.change(tx, caller.who, Maintenance, kept.id, wanted, now, sites, sent.edition or None)
                )
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error, _on_page), kept)
        except Conflict as error:
            kept = await asyncio.to_thread(_find, server, viewer, kind, kept_id)
            wrong = Problems() if rules.overtaken(kept, sent.edition) else Problems(form=sentence(error.message))
            return await asyncio.to_thread(_page, request, server, viewer, sent, wrong, kept)
        return go("/silences?done=changed", depth=2)

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Shows what it would mute, or saves it."""
        sent = rules.form_of(read_fields(await request.body()))
        if sent.do != "save":
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems())
        caller, now = viewer.calling(address_of(request)), server.core.clock.now()
        try:
            wanted = _planned(sent, viewer, caller.name, now)
            sites = sites_of(server, caller)
            if isinstance(wanted, Silence):
                await write(server, lambda tx: service.add(tx, caller.who, wanted, now, sites))
            else:
                await write(server, lambda tx: service.add(tx, caller.who, wanted, now, sites))
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error, _on_page))
        except Conflict as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(matchers=error.message))
        return go(f"/silences?done={sent.kind}", depth=1)

    @post("/{kind:str}/{kept_id:str}/end", status_code=200)
    async def end(self, request: AnyRequest, server: TheServer, viewer: TheViewer, kind: InPath, kept_id: InPath) -> Response[bytes]:
        """Ends it now; what is still open pages at once."""
        await form(request, NoFields)
        caller, now = viewer.calling(address_of(request)), server.core.clock.now()
        sites = sites_of(server, caller)
        if kind == "maintenance":
            await write(server, lambda tx: service.end(tx, caller.who, Maintenance, kept_id, now, sites))
        else:
            await write(server, lambda tx: service.end(tx, caller.who, Silence, kept_id, now, sites))
        return go("/silences?done=ended", depth=3)


def _zone(viewer: Viewer) -> ZoneInfo:
    return ZoneInfo(viewer.time_zone or "UTC")


def _scope(server: Server, viewer: Viewer) -> Scope:
    return Scope(viewer.site_ids, server.core.sites.slug_of, server.core.sites.id_of)


def _entries(server: Server, viewer: Viewer, connection: sa.Connection, now: int) -> list[Entry]:
    sites, scope = sites_of(server, viewer.calling("")), _scope(server, viewer)
    name = people.namer(people.names(connection))
    kept: list[Silence | Maintenance] = [
        *service.page(connection, Silence, lambda one: service.sees(one, sites), None, MOST, unended_at=None),
        *service.page(connection, Maintenance, lambda one: service.sees(one, sites), None, MOST, unended_at=None),
    ]
    found = []
    for one in kept:
        active = muting_rules.status_of(one, now) is Standing.ACTIVE
        window = next(iter(muting_rules.coming(one, now, 1)), None)
        mutes = previews.muted_now(connection, one.matchers, scope) if active else 0
        kind_name = "silence" if isinstance(one, Silence) else "maintenance"
        found.append(Entry(one, kind_name, rules.says(one.matchers), rules.repeats(one), window, mutes, name(one.created_by)))
    return sorted(found, key=lambda entry: entry.window.starts_at if entry.window else -entry.kept.ends_at)


def _find(server: Server, viewer: Viewer, kind: str, kept_id: str) -> Silence | Maintenance:
    """One that is not over. Raises `NotFound`."""
    sites = sites_of(server, viewer.calling(""))
    with server.core.database.read() as connection:
        kept: Silence | Maintenance
        if kind == "maintenance":
            kept = service.find(connection, Maintenance, kept_id, sites)
        elif kind == "silence":
            kept = service.find(connection, Silence, kept_id, sites)
        else:
            raise NotFound(f"there is nothing quiet of the kind {kind[:40]}")
    return kept


def _planned(sent: QuietForm, viewer: Viewer, actor: str, now: int) -> Silence | Maintenance:
    """What the form says. Raises `InvalidInput` for what cannot be read; the rest is the service's to check."""
    matchers = rules.matchers_of(sent)
    starts_at, ends_at = rules.times_of(sent, _zone(viewer), now)
    rules.check_words(sent)
    if sent.kind == "silence":
        return Silence(new_id(now), matchers, starts_at, ends_at, sent.comment, actor, now)
    zone = viewer.time_zone or "UTC"
    return Maintenance(new_id(now), sent.name, matchers, starts_at, ends_at, sent.comment, sent.rrule or None, zone, actor, now)


def _on_page(field: str) -> str:
    """All that is wrong with a condition stands below the conditions."""
    return "matchers" if field.startswith("matchers") else field


def _page(
    request: AnyRequest, server: Server, viewer: Viewer, sent: QuietForm, wrong: Problems, kept: Silence | Maintenance | None = None
) -> Response[bytes]:
    seen = None
    if sent.matchers and "matchers" not in wrong:
        try:
            seen = _see(server, viewer, rules.matchers_of(sent))
        except InvalidInput as error:
            wrong = problems(error, _on_page)
    desk: Desk = request.app.state.desk
    overtaken = rules.overtaken(kept, sent.edition)
    return screen(
        request,
        viewer,
        "quiet/form.html",
        status=422 if wrong else 409 if overtaken else 200,
        here="quiet",
        sent=sent,
        kept=kept,
        overtaken=overtaken,
        edition=muting_rules.edition(kept) if kept else "",
        says=rules.says,
        wrong=wrong,
        seen=seen,
        shown=SHOWN,
        rows=rules.with_places(sent.matchers),
        fields=rules.fields_of(sent.matchers),
        ops=rules.OPS,
        lengths=[(str(ms), words) for ms, words in rules.LENGTHS],
        repeats=rules.repeats_offered(sent.rrule),
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
        site_name=desk.site_name,
    )


def _see(server: Server, viewer: Viewer, matchers: Matchers) -> Seen:
    """What it would mute. Raises `InvalidInput` for conditions that cannot be used."""
    sites = sites_of(server, viewer.calling(""))
    if sites is not None:
        muting_rules.expect_site(matchers, sites, "matchers")
    with server.core.database.read() as connection:
        found = previews.preview(connection, matchers, _scope(server, viewer), server.core.clock.now())
        alerts = {one.number: one for one in queries.by_numbers(connection, {*found.now.newest[:SHOWN], *found.week.newest[:SHOWN]})}
    return Seen(
        found,
        [alerts[number] for number in found.now.newest[:SHOWN] if number in alerts],
        [alerts[number] for number in found.week.newest[:SHOWN] if number in alerts],
    )

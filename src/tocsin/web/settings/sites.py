"""``/settings/sites``: the sites, and what each makes of every type of event."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import sites as api, whmcs
from tocsin.api.context import Given, visible_site
from tocsin.api.fields import Level, Name, Search, Slug
from tocsin.api.sites import NewSite
from tocsin.api.whmcs import ServersWanted, WhmcsConnection, WhmcsTried
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.editions import edition
from tocsin.core.errors import InvalidInput, NotFound, Overtaken
from tocsin.core.reading import read_body
from tocsin.core.severity import Severity
from tocsin.core.text import sentence
from tocsin.events import counts
from tocsin.events.catalogue.model import CatalogueRow, Category, Override
from tocsin.events.catalogue.rows import ROWS
from tocsin.events.catalogue.rules import unknown_row
from tocsin.events.sites import Site, overridden
from tocsin.identity.model import Viewer
from tocsin.web.access import Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.groups import number, read_fields, several, single
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

SHIPPED = {row.type: row for row in ROWS}
DONE = {
    "changed": "The row is changed. Events from now on follow it.",
    "reset": "The row is again as it is shipped.",
    "renamed": "The site is renamed.",
    "connected": "WHMCS is connected. The first answers come within a quarter of a minute.",
    "forgotten": "The connection is forgotten. What the settings say counts again.",
}


class SitesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Annotated[str, Meta(pattern=r"^(made|renamed)$", max_length=10)] | None = None


class RowsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of the catalogue."""

    q: Search | None = None
    category: Category | None = None
    changed: Literal["yes"] | None = None
    done: Literal["changed", "reset", "renamed", "connected", "forgotten"] | None = None


class NewSiteForm(msgspec.Struct, frozen=True, kw_only=True):
    """A site to be made."""

    slug: Slug
    name: Name | None = None


class RenameForm(msgspec.Struct, frozen=True, kw_only=True):
    """What people call it."""

    name: Name


class RowForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a site makes of one type."""

    severity: Level
    quiet_severity: Level | None = None
    loud: Literal["always", "never", "default"] = "default"
    title: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    edition: Annotated[str, Meta(max_length=16)] = ""
    reset: Annotated[str, Meta(max_length=1)] | None = None


class WhmcsForm(msgspec.Struct, frozen=True, kw_only=True):
    """How WHMCS is reached, as it is typed. A secret that is left empty stays, as long as address and identifier do."""

    url: Annotated[str, Meta(max_length=500)] = ""
    identifier: Annotated[str, Meta(max_length=200)] = ""
    secret: Annotated[str, Meta(max_length=200)] = ""
    do: Literal["save", "test", "forget"] = "save"


class SitePages(Controller):
    """Sites and their catalogues."""

    path = "/settings/sites"
    include_in_schema = False

    @get(sync_to_thread=True)
    def sites(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[SitesQuery]) -> Response[bytes]:
        """Lists the sites."""
        return _sites(request, server, viewer, asked)

    @post(status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a site."""
        sent = await form(request, NewSiteForm)
        await api.make_site(server, viewer.calling(address_of(request)).who, NewSite(slug=sent.slug, name=sent.name))
        return go("/settings/sites?done=made", depth=1)

    @get("/{slug:str}", sync_to_thread=True)
    def site(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath, asked: Given[RowsQuery]) -> Response[bytes]:
        """Shows a site with its catalogue."""
        return _site(request, server, viewer, visible_site(server.core.sites, viewer.calling(""), slug), asked)

    @post("/{slug:str}", status_code=200)
    async def rename(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath) -> Response[bytes]:
        """Changes what people call it."""
        sent = await form(request, RenameForm)
        caller = viewer.calling(address_of(request))
        await api.rename(server, caller.who, visible_site(server.core.sites, caller, slug), sent.name)
        return go(f"/settings/sites/{slug}?done=renamed", depth=2)

    @post("/{slug:str}/whmcs", status_code=200)
    async def connect(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath) -> Response[bytes]:
        """Says how WHMCS is reached, asks it once, or forgets it."""
        caller = viewer.calling(address_of(request))
        site, sent = visible_site(server.core.sites, caller, slug), await form(request, WhmcsForm)
        if sent.do == "forget":
            await whmcs.disconnect(server, caller, site)
            return go(f"/settings/sites/{slug}?done=forgotten#whmcs", depth=3)
        try:
            wanted = _connection(server, site, sent)
            if sent.do == "test":
                tried = await whmcs.attempt(server, whmcs.connection_of(site, wanted))
                return await asyncio.to_thread(_site, request, server, viewer, site, RowsQuery(), sent=sent, tried=tried)
            await whmcs.connect(server, caller, site, wanted)
        except InvalidInput as error:
            return await asyncio.to_thread(_site, request, server, viewer, site, RowsQuery(), sent=sent, wrong=problems(error))
        return go(f"/settings/sites/{slug}?done=connected#whmcs", depth=3)

    @post("/{slug:str}/whmcs/servers", status_code=200)
    async def take_servers(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath) -> Response[bytes]:
        """Makes the checks of the servers that are ticked."""
        caller = viewer.calling(address_of(request))
        site, fields = visible_site(server.core.sites, caller, slug), read_fields(await request.body())
        ticked = {"servers": [number(one) for one in several(fields, "servers")], "private": bool(single(fields, "private"))}
        await whmcs.take_servers(server, caller, site, read_body(msgspec.json.encode(ticked), ServersWanted))
        return go("/checks", depth=4)

    @get("/{slug:str}/{event_type:str}", sync_to_thread=True)
    def row(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath, event_type: InPath) -> Response[bytes]:
        """Shows one row, to be changed."""
        site = visible_site(server.core.sites, viewer.calling(""), slug)
        return _row(request, server, viewer, site, event_type, None, None)

    @post("/{slug:str}/{event_type:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath, event_type: InPath) -> Response[bytes]:
        """Changes one row, or puts it back as it is shipped."""
        caller = viewer.calling(address_of(request))
        site = visible_site(server.core.sites, caller, slug)
        sent = await form(request, RowForm)
        if sent.reset:
            await api.reset_row(server, caller.who, site, event_type)
            return go(f"/settings/sites/{slug}?done=reset", depth=3)
        try:
            override = Override(
                type=event_type, severity=sent.severity, quiet_severity=sent.quiet_severity, loud=sent.loud, title=sent.title
            )
        except InvalidInput as error:
            return await asyncio.to_thread(_row, request, server, viewer, site, event_type, sent, error)
        try:
            await api.change_row(server, caller.who, site, override, sent.edition)
        except Overtaken:
            await asyncio.to_thread(server.core.refresh)  # what another node has saved
            site = server.core.sites.get(site.slug)
            return await asyncio.to_thread(_row, request, server, viewer, site, event_type, sent, None)
        return go(f"/settings/sites/{slug}?done=changed", depth=3)


def _connection(server: Server, site: Site, sent: WhmcsForm) -> WhmcsConnection:
    """What was typed. A secret is never sent to another address than the one that it was given for."""
    url, identifier, secret = sent.url.strip().rstrip("/"), sent.identifier.strip(), sent.secret.strip()
    kept = server.core.connections.of(site.id)
    if not secret and kept is not None and (kept.url, kept.identifier) == (url, identifier):
        secret = kept.secret
    return read_body(msgspec.json.encode({"url": url, "identifier": identifier, "secret": secret}), WhmcsConnection)


def _site(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    site: Site,
    asked: RowsQuery,
    *,
    sent: WhmcsForm | None = None,
    wrong: Problems | None = None,
    tried: WhmcsTried | None = None,
) -> Response[bytes]:
    changed, kept = api.changed_types(server, site), server.core.connections.of(site.id)
    if sent is None:
        sent = WhmcsForm() if kept is None else WhmcsForm(url=kept.url, identifier=kept.identifier)
    return screen(
        request,
        viewer,
        "settings/site.html",
        status=422 if wrong else 200,
        here="settings",
        tab="sites",
        site=site,
        asked=asked,
        rows=[row for row in site.catalogue.rows() if _wanted(row, asked, changed)],
        changed=changed,
        total=len(site.catalogue.rows()),
        categories=[category.value for category in Category],
        tone=tone,
        connected=kept is not None,
        by_settings=kept is not None and kept.from_settings,
        whmcs=whmcs.seen(server, site),
        offered=whmcs.offered(server, site) if viewer.may("watch") else [],
        sent=sent,
        wrong=wrong or Problems(),
        opened=tried is not None or bool(wrong),
        tried=None if tried is None else (tried.fault is None, _outcome(tried)),
        done=DONE.get(asked.done or "", ""),
    )


def _outcome(tried: WhmcsTried) -> str:
    """In words what WHMCS answered."""
    if tried.fault is None:
        return f"WHMCS {tried.version} answers all of our questions."
    return f"{sentence(tried.fault)} {sentence(tried.cure or '')}"


def tone(row: CatalogueRow) -> tuple[int, str]:
    """How loud a row is, as a severity and a word: what people hear of it."""
    if row.loud == "never":
        return 1, "only recorded"
    if row.when is not None:
        return int(row.severity), f"loud when {row.when.value}"
    loud = row.loud == "always" or row.quiet_severity >= Severity.MEDIUM
    return (int(row.quiet_severity), "always told") if loud else (int(row.quiet_severity), "only recorded")


def _wanted(row: CatalogueRow, asked: RowsQuery, changed: set[str]) -> bool:
    if asked.category is not None and row.category != asked.category:
        return False
    if asked.changed and row.type not in changed:
        return False
    words = (asked.q or "").lower()
    return not words or words in row.type or words in row.title.lower()


def _sites(request: AnyRequest, server: Server, viewer: Viewer, asked: SitesQuery) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    now = desk.now()
    sites = desk.sites(viewer)
    with server.core.database.read() as connection:
        seen = counts.last_seen(connection, [site.id for site in sites])
        today: dict[int, int] = {}
        for one in counts.cells(connection, now - DAY, now, viewer.site_ids):
            today[one.site_id] = today.get(one.site_id, 0) + one.events
    return screen(
        request,
        viewer,
        "settings/sites.html",
        here="settings",
        tab="sites",
        sites=sites,
        seen=seen,
        today=today,
        done=asked.done,
        shipped=len(SHIPPED),
    )


def _row(
    request: AnyRequest, server: Server, viewer: Viewer, site: Site, event_type: str, sent: RowForm | None, wrong: InvalidInput | None
) -> Response[bytes]:
    row = site.catalogue.get(event_type)
    if row is None:
        raise NotFound(f"{site.name} knows no event of the type {event_type[:60]}")
    with server.core.database.read() as connection:
        kept = edition(overridden(connection, site.id, event_type))
    overtaken = sent is not None and sent.edition not in ("", kept)
    return screen(
        request,
        viewer,
        "settings/catalogue_row.html",
        status=422 if wrong else 409 if overtaken else 200,
        here="settings",
        tab="sites",
        site=site,
        row=row,
        shipped=SHIPPED.get(event_type) or unknown_row(event_type),
        changed=event_type in api.changed_types(server, site),
        overtaken=overtaken,
        edition=kept,
        sent=sent,
        wrong={error.field: error.message for error in wrong.errors} if wrong else {},
        tone=tone,
    )

"""``/settings/sites``: the sites, and what each makes of every type of event."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import sites as api
from tocsin.api.context import Given, visible_site
from tocsin.api.fields import Level, Name, Search, Slug
from tocsin.api.sites import NewSite
from tocsin.api.whmcs import is_connected, seen
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.severity import Severity
from tocsin.events import counts
from tocsin.events.catalogue.model import CatalogueRow, Category, Override
from tocsin.events.catalogue.rows import ROWS
from tocsin.events.catalogue.rules import unknown_row
from tocsin.events.sites import Site
from tocsin.identity.model import Viewer
from tocsin.web.access import address_of, form, go
from tocsin.web.desk import Desk
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

SHIPPED = {row.type: row for row in ROWS}


class SitesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Annotated[str, Meta(pattern=r"^(made|renamed)$", max_length=10)] | None = None


class RowsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of the catalogue."""

    q: Search | None = None
    category: Category | None = None
    changed: Literal["yes"] | None = None
    done: Annotated[str, Meta(pattern=r"^(changed|reset|renamed)$", max_length=10)] | None = None


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
    reset: Annotated[str, Meta(max_length=1)] | None = None


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
        site = visible_site(server.core.sites, viewer.calling(""), slug)
        changed = api.changed_types(server, site)
        rows = [row for row in site.catalogue.rows() if _wanted(row, asked, changed)]
        return screen(
            request,
            viewer,
            "settings/site.html",
            here="settings",
            tab="sites",
            site=site,
            asked=asked,
            rows=rows,
            changed=changed,
            total=len(site.catalogue.rows()),
            categories=[category.value for category in Category],
            tone=tone,
            connected=is_connected(server, site),
            whmcs=seen(server, site),
        )

    @post("/{slug:str}", status_code=200)
    async def rename(self, request: AnyRequest, server: TheServer, viewer: TheViewer, slug: InPath) -> Response[bytes]:
        """Changes what people call it."""
        sent = await form(request, RenameForm)
        caller = viewer.calling(address_of(request))
        await api.rename(server, caller.who, visible_site(server.core.sites, caller, slug), sent.name)
        return go(f"/settings/sites/{slug}?done=renamed", depth=2)

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
        await api.change_row(server, caller.who, site, override)
        return go(f"/settings/sites/{slug}?done=changed", depth=3)


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
    return screen(
        request,
        viewer,
        "settings/catalogue_row.html",
        status=200 if wrong is None else 422,
        here="settings",
        tab="sites",
        site=site,
        row=row,
        shipped=SHIPPED.get(event_type) or unknown_row(event_type),
        changed=event_type in api.changed_types(server, site),
        sent=sent,
        wrong={error.field: error.message for error in wrong.errors} if wrong else {},
        tone=tone,
    )

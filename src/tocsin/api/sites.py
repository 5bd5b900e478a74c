"""``/sites`` and ``/catalogue``: the sites, and what each makes of events."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, delete, get, patch, post, put
from msgspec import UNSET, Meta, UnsetType

from tocsin.api import shapes
from tocsin.api.context import Given, InPath, TheCaller, TheServer, own_site, visible_site
from tocsin.api.fields import Level, Name, Slug, clean_name
from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.bootstrap import Server
from tocsin.core import editions
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.escalation import service as policies
from tocsin.escalation.rules import BUILT_IN
from tocsin.events import sites as site_store
from tocsin.events.catalogue.model import ActivityPattern, CatalogueRow, Category, Override
from tocsin.events.catalogue.rules import all_patterns
from tocsin.events.sites import Site

Loudness = Literal["always", "never", "default"]
EventType = Annotated[str, Meta(min_length=1, max_length=100, extra={"must": "be dotted lower case, such as invoice.payment_failed"})]


class NewSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site to be made; ``name`` is what people read (default: the slug)."""

    slug: Slug
    name: Name | None = None


class SiteChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. ``default_policy`` null or ``default``: the built-in policy."""

    name: Name | None = None
    default_policy: Annotated[str, Meta(max_length=36, description="The id of an escalation policy.")] | UnsetType | None = UNSET


class CatalogueQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose catalogue (default: the key's own site, else ``main``)."""

    site: Slug | None = None


class CatalogueChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a site changes in one row; what is left out stays as it is shipped."""

    severity: Level | None = None
    quiet_severity: Annotated[Level, Meta(description="When the row's condition does not hold.")] | None = None
    loud: Annotated[Loudness, Meta(description="`never`: only recorded.")] | None = None
    title: (
        Annotated[str, Meta(min_length=1, max_length=200, description="A template: `Invoice {id}: payment refused[ by {gateway}]`")] | None
    ) = None
    category: Category | None = None


class CatalogueRowOut(msgspec.Struct, frozen=True):
    """What one type of event is at a site."""

    type: str
    category: Category
    severity: int
    quiet_severity: Annotated[int, Meta(description="Its severity when the condition does not hold.")]
    loud: Loudness
    title: str
    condition: Annotated[str | None, Meta(description="When it is loud; null: always, if its severity is 3 or more.")]
    recovers: Annotated[list[str], Meta(description="The problems that it ends.")]
    hook: Annotated[str | None, Meta(description="The WHMCS hook that it comes from.")]
    changed: Annotated[bool, Meta(description="Whether the site has changed it.")]


class Catalogue(msgspec.Struct, frozen=True):
    """A site's whole catalogue."""

    site: str
    items: list[CatalogueRowOut]


class PatternChange(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of the WHMCS activity log that match become events of a type; named groups are read like attributes."""

    pattern: Annotated[str, Meta(min_length=1, max_length=300, description="A regular expression; case does not matter.")]
    type: EventType


class PatternOut(msgspec.Struct, frozen=True):
    """One activity-log pattern."""

    name: str
    pattern: str
    type: str
    shipped: Annotated[bool, Meta(description="Whether it came with Tocsin; a site's own of the same name takes its place.")]


class Patterns(msgspec.Struct, frozen=True):
    """A site's patterns in the order in which they are tried; the first that matches counts."""

    site: str
    items: list[PatternOut]


class SitesApi(Controller):
    """Sites and what each makes of events."""

    tags = ("Sites",)

    @get("/sites", sync_to_thread=True)
    def list_sites(self, server: TheServer, caller: TheCaller) -> shapes.SitePage:
        """Lists the sites by name."""
        return shapes.SitePage(None, [_site_out(server, site) for site in server.core.sites.all() if caller.sees(site.id)])

    @post("/sites", status_code=201, opt={"conflict": True})
    async def add_site(self, server: TheServer, caller: TheCaller, sent: Given[NewSite]) -> shapes.SiteOut:
        """Makes a site."""
        return _site_out(server, await make_site(server, caller.who, sent))

    @patch("/sites/{slug:str}")
    async def change_site(self, server: TheServer, caller: TheCaller, slug: InPath, sent: Given[SiteChange]) -> shapes.SiteOut:
        """Changes what people call a site (its short name stays), or which escalation policy holds for alerts that open from now on."""
        site = visible_site(server.core.sites, caller, slug)
        if sent.default_policy is not UNSET:
            await use_policy(server, caller.who, site, sent.default_policy)
        return _site_out(server, site if sent.name is None else await rename(server, caller.who, site, sent.name))

    @get("/catalogue", sync_to_thread=True)
    def show_catalogue(self, server: TheServer, caller: TheCaller, asked: Given[CatalogueQuery]) -> Catalogue:
        """Shows what each type of event is at a site."""
        site = visible_site(server.core.sites, caller, asked.site or own_site(server.core.sites, caller))
        changed = changed_types(server, site)
        return Catalogue(site.slug, [_row_out(row, changed=row.type in changed) for row in site.catalogue.rows()])

    @put("/sites/{slug:str}/catalogue/{event_type:str}")
    async def change_catalogue(
        self, server: TheServer, caller: TheCaller, slug: InPath, event_type: InPath, sent: Given[CatalogueChange]
    ) -> CatalogueRowOut:
        """Changes a row for a site, or adds one of its own; what an earlier change said is replaced."""
        site = visible_site(server.core.sites, caller, slug)
        await change_row(server, caller.who, site, Override(type=event_type, **msgspec.structs.asdict(sent)))
        row = server.core.sites.get(slug).catalogue.get(event_type)
        if row is None:
            raise NotFound(f"the row {event_type} was taken away again by somebody else")
        return _row_out(row, changed=True)

    @delete("/sites/{slug:str}/catalogue/{event_type:str}", status_code=204)
    async def reset_catalogue(self, server: TheServer, caller: TheCaller, slug: InPath, event_type: InPath) -> None:
        """Takes a site's change back: the row is again as it is shipped."""
        await reset_row(server, caller.who, visible_site(server.core.sites, caller, slug), event_type)

    @get("/sites/{slug:str}/patterns", sync_to_thread=True)
    def list_patterns(self, server: TheServer, caller: TheCaller, slug: InPath) -> Patterns:
        """Lists a site's activity-log patterns in the order in which they are tried."""
        return Patterns(slug, _patterns(server, visible_site(server.core.sites, caller, slug)))

    @get("/sites/{slug:str}/patterns/{name:str}", sync_to_thread=True)
    def show_pattern(self, server: TheServer, caller: TheCaller, slug: InPath, name: InPath) -> PatternOut:
        """Shows one pattern."""
        return _pattern(server, visible_site(server.core.sites, caller, slug), name)

    @put("/sites/{slug:str}/patterns/{name:str}")
    async def set_pattern(self, server: TheServer, caller: TheCaller, slug: InPath, name: InPath, sent: Given[PatternChange]) -> PatternOut:
        """Makes a pattern, or replaces the one of that name."""
        site = visible_site(server.core.sites, caller, slug)
        if not clean_name(name):
            raise InvalidInput.of("name", "must have 1 to 60 letters, digits, dots, dashes or underscores")
        new = await asyncio.to_thread(ActivityPattern, name, sent.pattern, sent.type)
        now = server.core.clock.now()

        def work(tx: Tx) -> None:
            old = site_store.replace_pattern(tx, site.id, name, new)
            audit.record(tx, caller.who, "pattern.changed", f"pattern:{slug}/{name}", now, before=old, after=sent, site_id=site.id)

        await _change(server, work)
        return PatternOut(new.name, new.pattern, new.type, shipped=False)

    @delete("/sites/{slug:str}/patterns/{name:str}", status_code=204)
    async def remove_pattern(self, server: TheServer, caller: TheCaller, slug: InPath, name: InPath) -> None:
        """Takes a site's own pattern away; a shipped one of that name counts again."""
        site = visible_site(server.core.sites, caller, slug)
        now = server.core.clock.now()

        def work(tx: Tx) -> None:
            old = site_store.replace_pattern(tx, site.id, name, None) if clean_name(name) else None
            if old is None:
                raise NotFound(f"{slug} has no pattern {name[:60]} of its own")
            audit.record(tx, caller.who, "pattern.removed", f"pattern:{slug}/{name}", now, before=old, site_id=site.id)

        await _change(server, work)


async def make_site(server: Server, who: Who, wanted: NewSite) -> Site:
    """A new site. Raises `Conflict` if its short name is taken."""
    now = server.core.clock.now()

    def work(tx: Tx) -> None:
        table = tables.sites
        if tx.sql.execute(sa.select(table.c.id).where(table.c.slug == wanted.slug)).first() is not None:
            raise Conflict(f"there is already a site {wanted.slug}")
        site_id = site_store.ensure(tx, wanted.slug, now)
        name = (wanted.name or wanted.slug).strip()
        tx.sql.execute(table.update().where(table.c.slug == wanted.slug).values(name=name))
        audit.record(tx, who, "site.made", f"site:{wanted.slug}", now, after={"name": name}, site_id=site_id)

    await _change(server, work)
    return server.core.sites.get(wanted.slug)


async def use_policy(server: Server, who: Who, site: Site, policy_id: str | None) -> None:
    """Makes a policy the default of *site*; None: the built-in one. Raises `InvalidInput` if there is no such policy."""
    now, wanted = server.core.clock.now(), None if policy_id == BUILT_IN else policy_id
    await _change(server, lambda tx: policies.use_at_site(tx, who, site.id, site.slug, wanted, now))


def _site_out(server: Server, site: Site) -> shapes.SiteOut:
    return shapes.site_out(site, server.core.policies.default_of(site.id))


async def rename(server: Server, who: Who, site: Site, name: str) -> Site:
    """*site* under another name for people."""
    now = server.core.clock.now()

    def work(tx: Tx) -> None:
        tx.sql.execute(tables.sites.update().where(tables.sites.c.id == site.id).values(name=name.strip()))
        names = {"before": {"name": site.name}, "after": {"name": name.strip()}}
        audit.record(tx, who, "site.renamed", f"site:{site.slug}", now, before=names["before"], after=names["after"], site_id=site.id)

    await _change(server, work)
    return server.core.sites.get(site.slug)


async def change_row(server: Server, who: Who, site: Site, new: Override, seen: str | None = None) -> None:
    """Has *site* see events of a type as *new* says. *seen*: the edition that it was made from, if that matters. Raises `Overtaken`."""
    now = server.core.clock.now()

    def work(tx: Tx) -> None:
        old = site_store.replace_override(tx, site.id, new.type, new)
        editions.expect(seen, editions.edition(old), "row")
        thing = f"catalogue:{site.slug}/{new.type}"
        audit.record(tx, who, "catalogue.changed", thing, now, before=old, after=new, site_id=site.id)

    await _change(server, work)


async def reset_row(server: Server, who: Who, site: Site, event_type: str) -> None:
    """Takes what *site* changed in a row back. Raises `NotFound` if it has not changed it."""
    Override(type=event_type)  # refuses what can be no type
    now = server.core.clock.now()

    def work(tx: Tx) -> None:
        old = site_store.replace_override(tx, site.id, event_type, None)
        if old is None:
            raise NotFound(f"{site.slug} has not changed {event_type}")
        audit.record(tx, who, "catalogue.reset", f"catalogue:{site.slug}/{event_type}", now, before=old, site_id=site.id)

    await _change(server, work)


async def _change(server: Server, work: Callable[[Tx], None]) -> None:
    """Does *work*, then has this node see it at once; others see it within five seconds."""
    await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)


def changed_types(server: Server, site: Site) -> set[str]:
    """The types whose rows *site* has changed."""
    table = tables.catalogue
    with server.core.database.read() as connection:
        return set(connection.execute(sa.select(table.c.type).where(table.c.site_id == site.id)).scalars())


def _row_out(row: CatalogueRow, *, changed: bool) -> CatalogueRowOut:
    return CatalogueRowOut(
        row.type,
        row.category,
        int(row.severity),
        int(row.quiet_severity),
        row.loud,
        row.title,
        row.when.value if row.when else None,
        list(row.recovers),
        row.hook,
        changed,
    )


def _patterns(server: Server, site: Site) -> list[PatternOut]:
    table = tables.activity_patterns
    with server.core.database.read() as connection:
        rows = connection.execute(sa.select(table).where(table.c.site_id == site.id)).all()
    own = [ActivityPattern(row.name, row.pattern, row.type) for row in rows]
    names = {pattern.name for pattern in own}
    return [PatternOut(p.name, p.pattern, p.type, shipped=p.name not in names) for p in all_patterns(own)]


def _pattern(server: Server, site: Site, name: str) -> PatternOut:
    for pattern in _patterns(server, site):
        if pattern.name == name:
            return pattern
    raise NotFound(f"{site.slug} has no pattern {name[:60]}")

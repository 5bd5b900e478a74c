"""The sites and what each makes of events: its catalogue. Kept in memory, refilled when something changed."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.events.catalogue.model import ActivityPattern, Override
from tocsin.events.catalogue.rules import Catalogue


class Site(msgspec.Struct, frozen=True):
    """One WHMCS installation (or anything else that is watched as one)."""

    id: int
    slug: str
    name: str
    catalogue: Catalogue


class SiteBook:
    """All sites by slug and by id. Readers see one consistent state; `load` puts a new one in its place."""

    def __init__(self) -> None:
        self._by_slug: Mapping[str, Site] = {}
        self._by_id: Mapping[int, Site] = {}

    def load(self, connection: sa.Connection) -> None:
        """Reads all sites with their catalogue rows and patterns."""
        overrides: dict[int, list[Override]] = {}
        for row in connection.execute(sa.select(tables.catalogue)):
            overrides.setdefault(row.site_id, []).append(msgspec.json.decode(row.override, type=Override))
        patterns: dict[int, list[ActivityPattern]] = {}
        for row in connection.execute(sa.select(tables.activity_patterns)):
            patterns.setdefault(row.site_id, []).append(ActivityPattern(row.name, row.pattern, row.type))
        found = connection.execute(sa.select(tables.sites)).all()
        self._replace([Site(r.id, r.slug, r.name, _catalogue(overrides.get(r.id, []), patterns.get(r.id, []))) for r in found])

    def _replace(self, sites: list[Site]) -> None:
        self._by_slug = {site.slug: site for site in sites}
        self._by_id = {site.id: site for site in sites}

    def adopt(self, other: "SiteBook") -> None:
        """Takes over what *other* has read."""
        self._by_slug, self._by_id = other._by_slug, other._by_id  # noqa: SLF001 - of the same class

    def find(self, slug: str) -> Site | None:
        """The site of that name, if it is known."""
        return self._by_slug.get(slug)

    def get(self, slug: str) -> Site:
        """The site of that name. Raises `NotFound`."""
        site = self._by_slug.get(slug)
        if site is None:
            raise NotFound(f"there is no site {slug}; known are {', '.join(sorted(self._by_slug)) or 'none'}")
        return site

    def slug_of(self, site_id: int) -> str:
        """The name of the site with this id."""
        site = self._by_id.get(site_id)
        return site.slug if site else f"site-{site_id}"

    def name_of(self, site_id: int) -> str:
        """What people call the site with this id."""
        site = self._by_id.get(site_id)
        return site.name if site else f"site {site_id}"

    def id_of(self, slug: str) -> int | None:
        """The id of the site of that name, if it is known."""
        site = self._by_slug.get(slug)
        return None if site is None else site.id

    def all(self) -> list[Site]:
        """All sites in the order of their names."""
        return sorted(self._by_slug.values(), key=lambda site: site.slug)


_DEFAULT = Catalogue.default()


def _catalogue(overrides: list[Override], patterns: list[ActivityPattern]) -> Catalogue:
    if not overrides and not patterns:
        return _DEFAULT
    return Catalogue.with_overrides(overrides, patterns)


def ensure(tx: Tx, slug: str, now: int) -> int:
    """The id of the site *slug*, made if it is not there: a key without a site is trusted to name new ones."""
    values = {"slug": slug, "name": slug, "created_at": now}
    table = tables.sites
    if tx.is_sqlite:
        tx.driver.execute("INSERT INTO sites(slug, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", tuple(values.values()))
    else:
        tx.driver.execute("INSERT INTO sites(slug, name, created_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", tuple(values.values()))
    return int(tx.sql.execute(sa.select(table.c.id).where(table.c.slug == slug)).scalar_one())


def overridden(connection: sa.Connection, site_id: int, event_type: str) -> Override | None:
    """What a site changes in a row of the catalogue, if anything."""
    table = tables.catalogue
    here = sa.and_(table.c.site_id == site_id, table.c.type == event_type)
    found = connection.execute(sa.select(table.c.override).where(here)).scalar_one_or_none()
    return None if found is None else msgspec.json.decode(found, type=Override)


def replace_override(tx: Tx, site_id: int, event_type: str, new: Override | None) -> Override | None:
    """Sets (or, with None, takes away) what a site changes in a row of the catalogue; answers what it was before."""
    table = tables.catalogue
    here = sa.and_(table.c.site_id == site_id, table.c.type == event_type)
    old = overridden(tx.sql, site_id, event_type)
    tx.sql.execute(table.delete().where(here))
    if new is not None:
        tx.sql.execute(table.insert().values(site_id=site_id, type=event_type, override=msgspec.json.encode(new).decode()))
    return old


def replace_pattern(tx: Tx, site_id: int, name: str, new: ActivityPattern | None) -> dict[str, str] | None:
    """Sets (or, with None, takes away) a site's own pattern of this name; answers what it was before."""
    table = tables.activity_patterns
    here = sa.and_(table.c.site_id == site_id, table.c.name == name)
    old = tx.sql.execute(sa.select(table.c.pattern, table.c.type).where(here)).one_or_none()
    tx.sql.execute(table.delete().where(here))
    if new is not None:
        tx.sql.execute(table.insert().values(site_id=site_id, name=new.name, pattern=new.pattern, type=new.type))
    return None if old is None else {"pattern": old.pattern, "type": old.type}

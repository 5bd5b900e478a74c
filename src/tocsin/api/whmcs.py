"""``/sites/{slug}/whmcs``: what is known of a site's WHMCS by its API."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from msgspec import Meta

from tocsin.api.context import InPath, TheCaller, TheServer, visible_site
from tocsin.api.fields import Time
from tocsin.bootstrap import Server
from tocsin.core.times import to_text, to_text_or_none
from tocsin.events.sites import Site
from tocsin.whmcs import store
from tocsin.whmcs.model import HealthCheck, Look
from tocsin.whmcs.summary import Summary, summary

CONNECTED_SITE = "main"


class WhmcsActionOut(msgspec.Struct, frozen=True):
    """How one action of WHMCS's API went last."""

    action: str
    asked_at: Time
    answered_at: Annotated[Time | None, Meta(description="When it last went well.")]
    took_ms: Annotated[int | None, Meta(description="How long the answer took; null: there was none.")]
    fault: Annotated[str | None, Meta(description="Why there was no answer; null: it went well.")]
    cure: Annotated[str | None, Meta(description="What to change, and where.")]


class WhmcsHealthOut(msgspec.Struct, frozen=True):
    """What WHMCS says of itself. ``told`` false: this version lists no checks."""

    told: bool
    well: int
    warnings: tuple[HealthCheck, ...]
    dangers: tuple[HealthCheck, ...]


class WhmcsServerOut(msgspec.Struct, frozen=True):
    """How full a server is. ``percent`` null: it has no limit."""

    id: int
    name: str
    host: str
    active: bool
    services: int
    limit: int
    percent: int | None


class WhmcsOut(msgspec.Struct, frozen=True):
    """What is known of a site's WHMCS, at most five minutes old unless ``actions`` says otherwise. Null: not known."""

    site: str
    connected: Annotated[bool, Meta(description="Whether Tocsin has an address and credentials for it.")]
    version: str | None
    daily_cron_at: Annotated[Time | None, Meta(description="When the daily cron last ran, by our clock.")]
    health: WhmcsHealthOut | None
    queue_waiting: Annotated[int | None, Meta(description="Module actions that failed and wait.")]
    queue_since: Annotated[Time | None, Meta(description="Since when the oldest waits.")]
    queue_first: Annotated[tuple[str, ...], Meta(description="The first five of them.")]
    servers: tuple[WhmcsServerOut, ...]
    admins: Annotated[int | None, Meta(description="Administrators that are enabled.")]
    admins_without_second_factor: int | None
    counts: Annotated[dict[str, int], Meta(description="Orders, tickets and more, by the names of WHMCS.")]
    income: Annotated[dict[str, str], Meta(description="As WHMCS writes it.")]
    actions: tuple[WhmcsActionOut, ...]


class WhmcsApi(Controller):
    """WHMCS, seen from outside."""

    tags = ("Sites",)

    @get("/sites/{slug:str}/whmcs", sync_to_thread=True)
    def show_whmcs(self, server: TheServer, caller: TheCaller, slug: InPath) -> WhmcsOut:
        """Shows what is known of a site's WHMCS by its API."""
        site = visible_site(server.core.sites, caller, slug)
        return _out(site.slug, is_connected(server, site), seen(server, site))


def is_connected(server: Server, site: Site) -> bool:
    """Whether WHMCS of this site is asked: it is the first one, and the settings say how to reach it."""
    return site.slug == CONNECTED_SITE and server.core.settings.whmcs_api_secret is not None


def seen(server: Server, site: Site) -> Summary:
    """What the last looks say."""
    with server.core.database.read() as connection:
        return summary(store.looks(connection, site.id))


def _out(slug: str, connected: bool, found: Summary) -> WhmcsOut:  # noqa: FBT001 - a field of the answer
    health = found.health
    return WhmcsOut(
        site=slug,
        connected=connected,
        version=found.version,
        daily_cron_at=to_text_or_none(found.last_daily),
        health=None if health is None else WhmcsHealthOut(health.told, health.well, health.warnings, health.dangers),
        queue_waiting=found.waiting,
        queue_since=to_text_or_none(found.waiting_since),
        queue_first=found.first_waiting,
        servers=tuple(WhmcsServerOut(s.id, s.name, s.host, s.active, s.services, s.limit, s.percent) for s in found.servers),
        admins=found.admins,
        admins_without_second_factor=found.without_second_factor,
        counts=found.counts,
        income=found.income,
        actions=tuple(_action(look) for look in found.actions),
    )


def _action(look: Look) -> WhmcsActionOut:
    answered_at = to_text_or_none(look.answered_at)
    return WhmcsActionOut(look.action, to_text(look.asked_at), answered_at, look.took, look.fault, look.cure)

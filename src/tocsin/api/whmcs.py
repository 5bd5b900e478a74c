"""``/sites/{slug}/whmcs``: what is known of a site's WHMCS by its API."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, post, put
from msgspec import Meta

from tocsin.api.checks import NewCheck, make as make_check
from tocsin.api.context import Given, InPath, TheCaller, TheServer, visible_site
from tocsin.api.fields import Time
from tocsin.api.muting import write
from tocsin.bootstrap import Server
from tocsin.checks import store as check_store
from tocsin.checks.model import HttpTarget, PingTarget, Target, TcpTarget, TlsTarget
from tocsin.checks.service import MAX_CHECKS
from tocsin.core.errors import InvalidInput
from tocsin.core.times import to_text, to_text_or_none
from tocsin.events.sites import Site
from tocsin.identity.model import Caller
from tocsin.whmcs import service, store
from tocsin.whmcs.client import WhmcsApi as Api
from tocsin.whmcs.model import Capacity, Connection, HealthCheck, Look
from tocsin.whmcs.offers import Offer, offers
from tocsin.whmcs.reading import WhmcsFault
from tocsin.whmcs.summary import Summary, summary

Secret = Annotated[str, Meta(min_length=1, max_length=200, extra={"must": "have 1 to 200 characters, as WHMCS shows it once"})]
Address = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=500,
        description="The address of WHMCS.",
        examples=["https://billing.example.com"],
        extra={"must": "be an address such as https://billing.example.com, of at most 500 characters"},
    ),
]


class WhmcsConnection(msgspec.Struct, frozen=True, kw_only=True):
    """How WHMCS is reached, and with which API credentials."""

    url: Address
    identifier: Annotated[Secret, Meta(description="Of the API credentials.")]
    secret: Annotated[Secret, Meta(description="Of the API credentials. Never shown again.")]


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
    url: Annotated[str | None, Meta(description="Its address.")]
    origin: Annotated[Literal["settings", "user"] | None, Meta(description="Who has said how it is reached.")]
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


class WhmcsTried(msgspec.Struct, frozen=True, kw_only=True):
    """What WHMCS answered when it was asked once. ``fault`` null: it answers all of our questions."""

    version: str | None = None
    fault: str | None = None
    cure: Annotated[str | None, Meta(description="What to change, and where.")] = None


class OfferOut(msgspec.Struct, frozen=True):
    """A check that a server could have."""

    name: str
    kind: Literal["ping", "http", "tls", "panel"]
    host: str
    port: int | None
    present: Annotated[bool, Meta(description="Whether the site has it already.")]


class OfferedServer(msgspec.Struct, frozen=True):
    """A server that WHMCS knows, with the checks that it could have."""

    id: int
    name: str
    host: str
    ticked: Annotated[bool, Meta(description="Whether it is taken unless servers are named: it is active, and has a host.")]
    checks: list[OfferOut]


class OfferedServers(msgspec.Struct, frozen=True):
    """All servers that WHMCS knows."""

    items: list[OfferedServer]


class ServersWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers become hosts with checks. Without ``servers``: all that are ticked."""

    servers: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=200, description="Their ids in WHMCS.")] | None = None
    private: Annotated[bool, Meta(description="Whether the checks may go to private addresses.")] = False


class ServersTaken(msgspec.Struct, frozen=True):
    """The names of the checks that were made, and how many were there already."""

    made: list[str]
    present: int


class WhmcsApi(Controller):
    """WHMCS, seen from outside."""

    tags = ("Sites",)

    @get("/sites/{slug:str}/whmcs", sync_to_thread=True)
    def show_whmcs(self, server: TheServer, caller: TheCaller, slug: InPath) -> WhmcsOut:
        """Shows what is known of a site's WHMCS by its API."""
        site = visible_site(server.core.sites, caller, slug)
        return _out(server, site)

    @put("/sites/{slug:str}/whmcs")
    async def connect_whmcs(self, server: TheServer, caller: TheCaller, slug: InPath, sent: Given[WhmcsConnection]) -> WhmcsOut:
        """Says how WHMCS of a site is reached; it is asked within a quarter of a minute. It takes the place of what the settings say."""
        site = visible_site(server.core.sites, caller, slug)
        await connect(server, caller, site, sent)
        return await asyncio.to_thread(_out, server, site)

    @post("/sites/{slug:str}/whmcs/test", status_code=200)
    async def test_whmcs(self, server: TheServer, caller: TheCaller, slug: InPath, sent: Given[WhmcsConnection]) -> WhmcsTried:
        """Asks WHMCS each of our questions once, and keeps nothing."""
        return await attempt(server, connection_of(visible_site(server.core.sites, caller, slug), sent))

    @delete("/sites/{slug:str}/whmcs", status_code=204)
    async def disconnect_whmcs(self, server: TheServer, caller: TheCaller, slug: InPath) -> None:
        """Forgets how WHMCS of a site is reached; what the settings say counts again."""
        await disconnect(server, caller, visible_site(server.core.sites, caller, slug))

    @get("/sites/{slug:str}/whmcs/servers", sync_to_thread=True)
    def list_whmcs_servers(self, server: TheServer, caller: TheCaller, slug: InPath) -> OfferedServers:
        """Lists the servers that WHMCS knows, and the checks that each could have."""
        site = visible_site(server.core.sites, caller, slug)
        return OfferedServers(offered(server, site))

    @post("/sites/{slug:str}/whmcs/servers", status_code=200)
    async def take_whmcs_servers(self, server: TheServer, caller: TheCaller, slug: InPath, sent: Given[ServersWanted]) -> ServersTaken:
        """Makes the checks of servers that WHMCS knows, those that are not there yet. Doing it again changes nothing."""
        return await take_servers(server, caller, visible_site(server.core.sites, caller, slug), sent)


def connection_of(site: Site, sent: WhmcsConnection) -> Connection:
    """The connection that somebody describes, checked. Raises `InvalidInput`."""
    wanted = Connection(site.id, sent.url.rstrip("/"), sent.identifier, sent.secret)
    service.check(wanted)
    return wanted


async def connect(server: Server, caller: Caller, site: Site, sent: WhmcsConnection) -> None:
    """Connects a site with its WHMCS. Raises `InvalidInput`."""
    wanted, now = connection_of(site, sent), server.core.clock.now()
    await write(server, lambda tx: service.connect(tx, caller.who, site.slug, wanted, now))


async def disconnect(server: Server, caller: Caller, site: Site) -> None:
    """Forgets a site's own connection. Raises `NotFound`."""
    now = server.core.clock.now()
    await write(server, lambda tx: service.disconnect(tx, caller.who, site.slug, site.id, now))


async def attempt(server: Server, wanted: Connection) -> WhmcsTried:
    """Whether WHMCS answers each of our questions now."""
    api = Api(server.door, wanted.url, wanted.identifier, wanted.secret)
    try:
        version = await api.version()
        await api.probe()
    except WhmcsFault as fault:
        return WhmcsTried(fault=fault.reason, cure=fault.cure)
    return WhmcsTried(version=version)


async def take_servers(server: Server, caller: Caller, site: Site, sent: ServersWanted) -> ServersTaken:
    """Makes the checks of servers that WHMCS knows, those that are not there yet. Raises `InvalidInput`."""
    known = await asyncio.to_thread(lambda: {one.id: one for one in seen(server, site).servers})
    missing = [one for one in sent.servers or [] if one not in known]
    if missing:
        raise InvalidInput.of("servers", f"WHMCS of {site.slug} knows no server {missing[0]}")
    wanted = [one for one in known.values() if (is_ticked(one) if sent.servers is None else one.id in sent.servers)]
    made, present = [], 0
    there = await asyncio.to_thread(_names, server, site)
    for offer in (offer for one in wanted for offer in offers(one)):
        if offer.name in there:
            present += 1
            continue
        await make_check(server, caller, _check_of(offer, site.slug, private=sent.private))
        made.append(offer.name)
    return ServersTaken(made, present)


def offered(server: Server, site: Site) -> list[OfferedServer]:
    """The servers that WHMCS knows, and the checks that each could have."""
    there = _names(server, site)
    return [_offered(one, there) for one in seen(server, site).servers]


def is_ticked(one: Capacity) -> bool:
    """Whether a server is taken unless somebody says otherwise."""
    return one.active and bool(offers(one))


def _names(server: Server, site: Site) -> set[str]:
    """The names of the checks that a site has."""
    with server.core.database.read() as connection:
        return {one.definition.name for one in check_store.page(connection, [site.id], None, None, MAX_CHECKS)}


def _offered(one: Capacity, there: set[str]) -> OfferedServer:
    checks = [OfferOut(offer.name, offer.kind, offer.host, offer.port, offer.name in there) for offer in offers(one)]
    return OfferedServer(one.id, one.name, one.host, is_ticked(one), checks)


def _check_of(offer: Offer, slug: str, *, private: bool) -> NewCheck:
    target: Target
    match offer.kind:
        case "ping":
            target = PingTarget(host=offer.host)
        case "http":
            target = HttpTarget(url=f"http://{offer.host}/", statuses="200-499", trusted=False)  # the bare host may show anything
        case "tls":
            target = TlsTarget(host=offer.host)
        case "panel":
            target = TcpTarget(host=offer.host, port=offer.port or 443)
    return NewCheck(name=offer.name, target=target, site=slug, host=offer.host, group="WHMCS servers", private=private)


def is_connected(server: Server, site: Site) -> bool:
    """Whether WHMCS of this site is asked."""
    return server.core.connections.of(site.id) is not None


def seen(server: Server, site: Site) -> Summary:
    """What the last looks say."""
    with server.core.database.read() as connection:
        return summary(store.looks(connection, site.id))


def _out(server: Server, site: Site) -> WhmcsOut:
    found, connection = seen(server, site), server.core.connections.of(site.id)
    health = found.health
    return WhmcsOut(
        site=site.slug,
        connected=connection is not None,
        url=None if connection is None else connection.url,
        origin=None if connection is None else "settings" if connection.from_settings else "user",
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

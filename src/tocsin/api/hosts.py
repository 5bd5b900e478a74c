"""``/hosts`` and ``/agents``: the servers that report, and how new ones are let in."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import AnyRequest, Given, InPath, TheCaller, TheServer, chosen_site, own_site, visible_sites
from tocsin.api.fields import Cursor, Id, Limit, Page, Slug, Time
from tocsin.api.intake import unzip
from tocsin.api.paging import cut_page, read_cursor
from tocsin.api.shapes import AnyJson
from tocsin.audit.refusals import network_of
from tocsin.bootstrap import Server
from tocsin.checks import store as check_store, votes
from tocsin.checks.model import Errand, Finding, Report
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.reading import read_body
from tocsin.core.text import one_line
from tocsin.core.times import to_text, to_text_or_none
from tocsin.hosts import rules, store
from tocsin.hosts.model import Host
from tocsin.pipeline.roll import digest

MAX_FOUND = 4 * 1024 * 1024
ASK_AGAIN = 20 * SECOND


class HostQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which hosts, and how many."""

    site: Slug | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class HostChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different."""

    paused: Annotated[bool, Meta(description="True: nothing is told of it until it is false again.")] | None = None


class NewAgentToken(msgspec.Struct, frozen=True, kw_only=True):
    """For which site (default: the key's own, else `main`)."""

    site: Slug | None = None


class NewAgent(msgspec.Struct, frozen=True, kw_only=True):
    """A new server, and the token that it was given."""

    token: Annotated[str, Meta(min_length=1, max_length=100, extra={"must": "be the token that `tocsin hosts token` printed"})]
    host: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"\S", extra={"must": "be a host name"})]


class HostOut(msgspec.Struct, frozen=True):
    """A server that reports, or did. `silent`: nothing has come for two intervals, and it is told."""

    id: Id
    site: str
    name: str
    status: Literal["paused", "silent", "up"]
    agent_version: str
    interval_seconds: float
    clock_off_seconds: Annotated[float, Meta(description="How far its clock is ahead of ours.")]
    first_seen_at: Time
    last_seen_at: Time
    silent_since: Time | None
    facts: AnyJson


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent found since it last asked."""

    looks: Annotated[list[Report], Meta(max_length=100)] = []


class Work(msgspec.Struct, frozen=True):
    """What it is to look at: each once, after so many milliseconds; then it asks again."""

    checks: list[Errand]
    ask_again_ms: int


class HostPage(Page, frozen=True):
    """A page of hosts, by name."""

    items: list[HostOut]


class AgentTokenOut(msgspec.Struct, frozen=True):
    """What a new server fetches a key of its own with, once."""

    id: Id
    token: Annotated[str, Meta(description="Shown this once.")]
    site: str
    expires_at: Time


class AgentKeyOut(msgspec.Struct, frozen=True):
    """The key of a new server, of scope ingest."""

    key: Annotated[str, Meta(description="Shown this once.")]
    host: str
    site: str


class HostsApi(Controller):
    """Hosts."""

    path = "/hosts"
    tags = ("Hosts",)

    @get(sync_to_thread=True)
    def list_hosts(self, server: TheServer, caller: TheCaller, asked: Given[HostQuery]) -> HostPage:
        """Lists the hosts that an agent reports for, by name."""
        core = server.core
        place = read_cursor(asked.cursor, "hosts", (str, str))
        with core.database.read() as connection:
            sites = visible_sites(core.sites, caller, asked.site)
            found = store.hosts(connection, sites, None if place is None else (str(place[0]), str(place[1])), asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "hosts", lambda one: (one.name, one.id))
        return HostPage(cursor, [host_out(server, one) for one in items])

    @get("/{host_id:str}", sync_to_thread=True)
    def show_host(self, server: TheServer, caller: TheCaller, host_id: InPath) -> HostOut:
        """Shows one host."""
        return host_out(server, _find(server, host_id, caller.site_ids))

    @patch("/{host_id:str}")
    async def change_host(self, server: TheServer, caller: TheCaller, host_id: InPath, sent: Given[HostChange]) -> HostOut:
        """Pauses a host, or goes on with it."""
        which = await asyncio.to_thread(_find, server, host_id, caller.site_ids)
        paused = sent.paused
        if paused is None:
            return host_out(server, which)
        roll = server.core.roll
        return host_out(server, await server.core.writer.run(lambda tx: roll.pause(tx, caller.who, which.id, paused=paused)))

    @delete("/{host_id:str}", status_code=204)
    async def remove_host(self, server: TheServer, caller: TheCaller, host_id: InPath) -> None:
        """Takes a host from the list; its open alerts about silence are resolved. If its agent reports again, it is there again."""
        which = await asyncio.to_thread(_find, server, host_id, caller.site_ids)
        await server.core.writer.run(lambda tx: server.core.roll.remove(tx, caller.who, which.id))


class AgentsApi(Controller):
    """How new servers are let in."""

    path = "/agents"
    tags = ("Hosts",)

    @post("/tokens", status_code=201)
    async def add_agent_token(self, server: TheServer, caller: TheCaller, sent: Given[NewAgentToken]) -> Response[AgentTokenOut]:
        """Makes a token with which one new server fetches a key of its own, within an hour."""
        core = server.core
        site = core.sites.get(chosen_site(core.sites, caller, sent.site))
        token, secret = await core.writer.run(lambda tx: core.roll.make_token(tx, caller.who, site.id))
        made = AgentTokenOut(token.id, secret, site.slug, to_text(token.expires_at))
        return Response(made, headers={"Cache-Control": "no-store"})

    @post("/checks", status_code=200, request_max_body_size=MAX_FOUND, opt={"reads": Found, "card": True})
    async def exchange_checks(self, request: AnyRequest, server: TheServer, caller: TheCaller) -> Work:
        """Takes what an agent has found for checks that name its host as a location, and answers what it is to look at next.

        It is told where to look and nothing of what is expected there; checks that hold what proves who you are cannot name agents.
        """
        card = rules.read_card(request.headers.get(rules.HEADER))
        if card is None:
            raise InvalidInput.of(rules.HEADER, "is missing: it says which host asks")
        sent = read_body(_plain(await request.body(), request.headers.get("content-encoding", "")), Found)
        core = server.core
        site_id = core.sites.get(own_site(core.sites, caller)).id
        asked, found = await asyncio.to_thread(_judged, server, site_id, card.host, sent.looks)
        if found:
            asked = await core.writer.run(lambda tx: core.checks.take_reports(tx, site_id, card.host, found))
        return Work(asked, ASK_AGAIN)

    @post("/register", status_code=201, opt={"paced": True, "proved": True, "reads": NewAgent})
    async def register_agent(self, request: AnyRequest, server: TheServer) -> Response[AgentKeyOut]:
        """Gives a new server a key of its own for a token, which is used up by that. The token is the key to this call."""
        sent = read_body(_plain(await request.body(), request.headers.get("content-encoding", "")), NewAgent)
        host = one_line(sent.host)
        if not host or not sent.token.isprintable():
            raise InvalidInput.of("host" if not host else "token", "must be one word")
        address = request.client.host if request.client else ""
        guard, network = request.app.state.guard, network_of(address)
        guard.strangers.check(network)
        if not await asyncio.to_thread(_is_token, server, sent.token):
            guard.strangers.take(network)
            raise rules.no_such_token()
        made = await server.core.writer.run(lambda tx: server.core.roll.register(tx, sent.token, host, address))
        shown = AgentKeyOut(made.secret, host, made.key.site or "")
        return Response(shown, headers={"Cache-Control": "no-store"})


def _judged(server: Server, site_id: int, host: str, looks: Sequence[Report]) -> tuple[list[Errand], list[tuple[Report, Finding]]]:
    """What is asked from a host, and what its agent's reports come to."""
    from tocsin.checks.probes import report  # noqa: PLC0415 - with the first agent that looks

    settings = server.core.settings
    with server.core.database.read() as connection:
        every = check_store.asked_from(connection, site_id, host)
    now = server.core.clock.now()
    known = {check.id: check.definition for check, _ in every}
    found = [
        (one, report.judge(known[one.check], one, settings.response_time_warning, settings.response_time_critical))
        for one in looks
        if one.check in known
    ]
    return [votes.errand(check.id, check.definition, vote, now) for check, vote in every], found


def _plain(body: bytes, encoding: str) -> bytes:
    return unzip(body) if encoding.strip().lower() == "gzip" else body


def _is_token(server: Server, secret: str) -> bool:
    with server.core.database.read() as connection:
        return store.is_token(connection, digest(secret))


def find(connection: sa.Connection, host_id: str, site_ids: frozenset[int] | None) -> Host:
    """One that the caller may see. Raises `NotFound`."""
    if not is_uuid(host_id.lower()):
        raise NotFound(f"there is no host {host_id[:40]}")
    return store.get(connection, host_id.lower(), site_ids)


def _find(server: Server, host_id: str, site_ids: frozenset[int] | None) -> Host:
    with server.core.database.read() as connection:
        return find(connection, host_id, site_ids)


def host_out(server: Server, one: Host) -> HostOut:
    """A host in the words of the API."""
    facts: Any = msgspec.json.decode(one.facts)
    return HostOut(
        one.id,
        server.core.sites.slug_of(one.site_id),
        one.name,
        one.status.value,
        one.version,
        one.interval / SECOND,
        one.clock_off / SECOND,
        to_text(one.first_seen_at),
        to_text(one.last_seen_at),
        to_text_or_none(one.silent_at),
        facts,
    )

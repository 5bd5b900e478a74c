"""``/heartbeats`` and ``/ping``: jobs that report when they run."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Request, Response, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from tocsin.api.context import Given, InPath, TheCaller, TheServer, chosen_site, visible_sites
from tocsin.api.fields import Cursor, Id, Level, Limit, Name, Page, Slug, Time
from tocsin.api.paging import cut_page, read_cursor
from tocsin.audit.refusals import network_of
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.times import to_text, to_text_or_none
from tocsin.heartbeats import rules, store
from tocsin.heartbeats.model import LONGEST_GRACE, LONGEST_PERIOD, LONGEST_RUN, MAX_CRON, MAX_LOG, Heartbeat, Kind, Ping, Schedule, Status
from tocsin.identity.model import Caller
from tocsin.pipeline.pulse import Made, Wanted, digest, no_such_token

DEFAULT_GRACE, DEFAULT_SEVERITY = 300, 3
MAX_READ = 16 * 1024 * 1024  # so much of a log is read to its end; of a longer one, the end of what was read is kept
AnyRequest = Request[Any, Any, Any]

Period = Annotated[
    int,
    Meta(ge=60, le=LONGEST_PERIOD // SECOND, description="How often it runs.", extra={"must": "be 60 to 31622400 seconds"}),
]
Cron = Annotated[
    str,
    Meta(
        min_length=9,
        max_length=MAX_CRON,
        description="When it runs, in five fields.",
        examples=["30 2 * * *"],
        extra={"must": "be a cron expression such as 30 2 * * *"},
    ),
]
Zone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=60,
        description="Whose clock the expression goes by.",
        examples=["Europe/Berlin"],
        extra={"must": "be a time zone such as Europe/Berlin"},
    ),
]
Grace = Annotated[int, Meta(ge=0, le=LONGEST_GRACE // SECOND, description="How late it may be.", extra={"must": "be 0 to 2592000 seconds"})]
LongestRun = Annotated[
    int,
    Meta(
        ge=1,
        le=LONGEST_RUN // SECOND,
        description="How long a run may take that reports its start. Null: however long.",
        extra={"must": "be 1 to 2592000 seconds"},
    ),
]
KindWord = Literal["start", "success", "fail"]
StatusWord = Literal["paused", "failed", "missed", "overrunning", "running", "waiting", "up"]


class HeartbeatQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which heartbeats, and how many."""

    site: Slug | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class NewHeartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be watched. Give `period_seconds` or `cron`."""

    name: Name
    site: Slug | None = None
    period_seconds: Period | None = None
    cron: Cron | None = None
    time_zone: Zone = "UTC"
    grace_seconds: Grace = DEFAULT_GRACE
    longest_run_seconds: LongestRun | None = None
    severity: Annotated[Level, Meta(description="Of its alerts.")] = DEFAULT_SEVERITY


class HeartbeatChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. `period_seconds` takes the place of `cron`, and the other way round."""

    name: Name | None = None
    period_seconds: Period | None = None
    cron: Cron | None = None
    time_zone: Zone | None = None
    grace_seconds: Grace | None = None
    longest_run_seconds: LongestRun | UnsetType | None = UNSET
    severity: Level | None = None
    paused: Annotated[bool, Meta(description="True: nothing is expected until it is false again.")] | None = None


class HeartbeatOut(msgspec.Struct, frozen=True):
    """A heartbeat. `status`: the worst that holds; `waiting`: nothing has come yet, and it is not late."""

    id: Id
    site: str
    name: str
    status: StatusWord
    period_seconds: int | None
    cron: str | None
    time_zone: str
    grace_seconds: int
    longest_run_seconds: int | None
    severity: int
    expected_at: Annotated[Time | None, Meta(description="When it should report next.")]
    started_at: Annotated[Time | None, Meta(description="When the run began that has not ended.")]
    last_ping_at: Time | None
    last_kind: KindWord | None
    last_run_ms: Annotated[int | None, Meta(description="How long the last run took that reported its start.")]
    created_at: Time
    updated_at: Time


class NewHeartbeatOut(HeartbeatOut, frozen=True):
    """A heartbeat with the address that its job calls."""

    url: Annotated[str, Meta(description="Shown this once. Whoever knows it can report for the job.")]
    mail: Annotated[str | None, Meta(description="The same for mail; null: no mail is taken in.")]


class PingOut(msgspec.Struct, frozen=True):
    """One report of a job."""

    at: Time
    kind: KindWord
    took_ms: Annotated[int | None, Meta(description="Since its start, if it reported that.")]
    exit_code: int | None
    address: Annotated[str, Meta(description="Where it came from.")]
    log: Annotated[str, Meta(description="The end of what it had to say.")]


class HeartbeatDetail(HeartbeatOut, frozen=True):
    """A heartbeat with its last pings, the newest first."""

    pings: list[PingOut]


class HeartbeatPage(Page, frozen=True):
    """A page of heartbeats, the oldest first."""

    items: list[HeartbeatOut]


class Heard(msgspec.Struct, frozen=True):
    """What was understood. `expected_at`: when to report next; null while it is paused."""

    kind: KindWord
    status: StatusWord
    expected_at: Time | None


class HeartbeatsApi(Controller):
    """Heartbeats."""

    path = "/heartbeats"
    tags = ("Heartbeats",)

    @get(sync_to_thread=True)
    def list_heartbeats(self, server: TheServer, caller: TheCaller, asked: Given[HeartbeatQuery]) -> HeartbeatPage:
        """Lists the heartbeats in the order in which they were made."""
        core = server.core
        place = read_cursor(asked.cursor, "heartbeats", (str,))
        with core.database.read() as connection:
            sites = visible_sites(core.sites, caller, asked.site)
            found = store.heartbeats(connection, sites, None if place is None else str(place[0]), asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "heartbeats", lambda one: (one.id,))
        return HeartbeatPage(cursor, [HeartbeatOut(**_fields(server, one)) for one in items])

    @get("/{heartbeat_id:str}", sync_to_thread=True)
    def show_heartbeat(self, server: TheServer, caller: TheCaller, heartbeat_id: InPath) -> HeartbeatDetail:
        """Shows one heartbeat with its last pings."""
        with server.core.database.read() as connection:
            found = find(connection, heartbeat_id, caller.site_ids)
            pings = store.pings(connection, found.id)
        return HeartbeatDetail(**_fields(server, found), pings=[_ping_out(one) for one in pings])

    @post(status_code=201, opt={"conflict": True})
    async def add_heartbeat(self, server: TheServer, caller: TheCaller, sent: Given[NewHeartbeat]) -> Response[NewHeartbeatOut]:
        """Has a job watched. The answer is the only place where the address that it calls is ever shown.

        The job is expected from now on: one that never reports is late, too.
        """
        return _shown_once(server, await make(server, caller, sent))

    @patch("/{heartbeat_id:str}")
    async def change_heartbeat(
        self, server: TheServer, caller: TheCaller, heartbeat_id: InPath, sent: Given[HeartbeatChange]
    ) -> HeartbeatOut:
        """Changes a heartbeat, pauses it, or goes on with it."""
        return HeartbeatOut(**_fields(server, await change(server, caller, heartbeat_id, sent)))

    @post("/{heartbeat_id:str}/token", status_code=200)
    async def change_heartbeat_token(self, server: TheServer, caller: TheCaller, heartbeat_id: InPath) -> Response[NewHeartbeatOut]:
        """Gives a heartbeat another address, for one that was lost or that somebody else has seen. The present one ends at once."""
        return _shown_once(server, await new_token(server, caller, heartbeat_id), 200)

    @delete("/{heartbeat_id:str}", status_code=204)
    async def remove_heartbeat(self, server: TheServer, caller: TheCaller, heartbeat_id: InPath) -> None:
        """Takes a heartbeat away, with its pings; its open alerts are resolved."""
        await remove(server, caller, heartbeat_id)


# What the pages do, too.


async def make(server: Server, caller: Caller, sent: NewHeartbeat) -> Made:
    """A new one, with the token of its address. Raises `InvalidInput`, `Conflict`."""
    core = server.core
    site_id = core.sites.get(chosen_site(core.sites, caller, sent.site)).id
    period = None if sent.period_seconds is None else sent.period_seconds * SECOND
    longest_run = None if sent.longest_run_seconds is None else sent.longest_run_seconds * SECOND
    schedule = Schedule(period, sent.cron, sent.time_zone)
    wanted = Wanted(sent.name.strip(), schedule, sent.grace_seconds * SECOND, longest_run, sent.severity)
    return await core.writer.run(lambda tx: core.pulse.make(tx, caller.who, site_id, wanted))


async def change(server: Server, caller: Caller, heartbeat_id: str, sent: HeartbeatChange, seen: str | None = None) -> Heartbeat:
    """The heartbeat as it then is. Raises `NotFound`, `InvalidInput`, `Overtaken`."""
    which = await _visible(server, heartbeat_id, caller.site_ids)
    wanted = _changes(which.schedule, sent)
    return await server.core.writer.run(
        lambda tx: server.core.pulse.change(tx, caller.who, which.id, wanted, paused=sent.paused, seen=seen)
    )


async def new_token(server: Server, caller: Caller, heartbeat_id: str) -> Made:
    """Another address; the present one ends. Raises `NotFound`."""
    which = await _visible(server, heartbeat_id, caller.site_ids)
    return await server.core.writer.run(lambda tx: server.core.pulse.new_token(tx, caller.who, which.id))


async def remove(server: Server, caller: Caller, heartbeat_id: str) -> None:
    """Takes one away; its open alerts are resolved. Raises `NotFound`."""
    which = await _visible(server, heartbeat_id, caller.site_ids)
    await server.core.writer.run(lambda tx: server.core.pulse.remove(tx, caller.who, which.id))


def find(connection: sa.Connection, heartbeat_id: str, site_ids: frozenset[int] | None) -> Heartbeat:
    """One that the caller may see. Raises `NotFound`."""
    return store.get(connection, _id(heartbeat_id), site_ids)


class PingApi(Controller):
    """What jobs call. The token in the address is the key."""

    path = "/ping/{token:str}"
    tags = ("Heartbeats",)
    opt = {"paced": True}  # noqa: RUF012 - the framework's own way of saying it

    @get()
    async def ping(self, request: AnyRequest, server: TheServer, token: InPath) -> Response[Heard]:
        """Takes a job's report that it has run and succeeded. HEAD does the same."""
        return await _take(request, server, token, "0", with_code=False)

    @post(status_code=200, request_max_body_size=None)
    async def ping_with_log(self, request: AnyRequest, server: TheServer, token: InPath) -> Response[Heard]:
        """The same; the end of the body is kept, as what the job had to say."""
        return await _take(request, server, token, "0", with_code=False)

    @get("/{what:str}")
    async def ping_outcome(self, request: AnyRequest, server: TheServer, token: InPath, what: InPath) -> Response[Heard]:
        """Takes a job's report that it has begun (`start`), has failed (`fail`), or has ended with an exit code."""
        return await _take(request, server, token, what)

    @post("/{what:str}", status_code=200, request_max_body_size=None)
    async def ping_outcome_with_log(self, request: AnyRequest, server: TheServer, token: InPath, what: InPath) -> Response[Heard]:
        """The same; the end of the body is kept, as what the job had to say."""
        return await _take(request, server, token, what)


async def _take(request: AnyRequest, server: Server, token: str, what: str, *, with_code: bool = True) -> Response[Heard]:
    """Takes a ping, if there is a heartbeat with this token. Raises `NotFound`, `TooMany`."""
    understood = rules.kind_of(what)
    if understood is None:
        raise NotFound(f"{what[:40]!r} is nothing that a job can report; known are start, fail, and exit codes from 0 to 255")
    kind, code = understood
    address = request.client.host if request.client else ""
    guard, network = request.app.state.guard, network_of(address)
    guard.strangers.check(network)
    known = await asyncio.to_thread(_find, server, token)
    if known is None:
        guard.strangers.take(network)
        raise no_such_token()
    guard.calls.take(f"heartbeat:{known}")
    log = rules.clean_log(await _end_of_body(request)) if request.method == "POST" else ""
    exit_code = code if with_code else None
    heartbeat = await server.core.writer.run(lambda tx: server.core.pulse.ping(tx, token, kind, exit_code, address, log))
    heard = Heard(kind.value, heartbeat.status.value, to_text_or_none(heartbeat.expected_at))
    return Response(heard, headers={"Cache-Control": "no-store"})


def _find(server: Server, token: str) -> str | None:
    with server.core.database.read() as connection:
        return store.id_of(connection, digest(token))


async def _end_of_body(request: AnyRequest) -> bytes:
    """The last bytes of a body of any length, in little memory."""
    end, read = b"", 0
    async for part in request.stream():
        end = (end + part)[-MAX_LOG:]
        read += len(part)
        if read >= MAX_READ:
            break
    return end


async def _visible(server: Server, heartbeat_id: str, site_ids: frozenset[int] | None) -> Heartbeat:
    """The heartbeat, if the caller may see it. Raises `NotFound`."""

    def look() -> Heartbeat:
        with server.core.database.read() as connection:
            return find(connection, heartbeat_id, site_ids)

    return await asyncio.to_thread(look)


def _id(text: str) -> str:
    if not is_uuid(text.lower()):
        raise NotFound(f"there is no heartbeat {text[:40]}")
    return text.lower()


def _changes(present: Schedule, sent: HeartbeatChange) -> dict[str, object]:
    wanted: dict[str, object] = {}
    if sent.name is not None:
        wanted["name"] = sent.name.strip()
    if sent.period_seconds is not None or sent.cron is not None or sent.time_zone is not None:
        keeps = sent.period_seconds is None and sent.cron is None
        period = present.period if keeps else None if sent.period_seconds is None else sent.period_seconds * SECOND
        wanted["schedule"] = Schedule(period, present.cron if keeps else sent.cron, sent.time_zone or present.time_zone)
    if sent.grace_seconds is not None:
        wanted["grace"] = sent.grace_seconds * SECOND
    if sent.longest_run_seconds is not UNSET:
        wanted["longest_run"] = None if sent.longest_run_seconds is None else sent.longest_run_seconds * SECOND
    if sent.severity is not None:
        wanted["severity"] = sent.severity
    return wanted


def ping_url(public_url: str, token: str) -> str:
    """The address that a job calls."""
    return f"{public_url}/api/v1/ping/{token}"


def ping_mail(server: Server, token: str) -> str | None:
    """The address of mail to which a job may report instead; None: no mail is taken in."""
    domain = server.core.settings.ping_mail
    return None if domain is None else f"{token}@{domain}"


def _shown_once(server: Server, made: Made, status: int = 201) -> Response[NewHeartbeatOut]:
    url, mail = ping_url(server.core.settings.public_url, made.token), ping_mail(server, made.token)
    shown = NewHeartbeatOut(**_fields(server, made.heartbeat), url=url, mail=mail)
    return Response(shown, status_code=status, headers={"Cache-Control": "no-store"})


def _fields(server: Server, one: Heartbeat) -> dict[str, Any]:
    status: Status = one.status
    kind: Kind | None = one.last_kind
    return {
        "id": one.id,
        "site": server.core.sites.slug_of(one.site_id),
        "name": one.name,
        "status": status.value,
        "period_seconds": None if one.schedule.period is None else one.schedule.period // SECOND,
        "cron": one.schedule.cron,
        "time_zone": one.schedule.time_zone,
        "grace_seconds": one.grace // SECOND,
        "longest_run_seconds": None if one.longest_run is None else one.longest_run // SECOND,
        "severity": one.severity,
        "expected_at": to_text_or_none(one.expected_at),
        "started_at": to_text_or_none(one.started_at),
        "last_ping_at": to_text_or_none(one.last_ping_at),
        "last_kind": None if kind is None else kind.value,
        "last_run_ms": one.last_took,
        "created_at": to_text(one.created_at),
        "updated_at": to_text(one.updated_at),
    }


def _ping_out(one: Ping) -> PingOut:
    return PingOut(to_text(one.at), one.kind.value, one.took, one.exit_code, one.address, one.log)

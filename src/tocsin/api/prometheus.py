"""``/prometheus``: what Prometheus sends by remote write, and the exporters that Tocsin asks itself."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from tocsin.api.context import AnyRequest, Given, InPath, TheCaller, TheServer, chosen_site, visible_sites
from tocsin.api.fields import Cursor, Host, Id, Limit, Name, Page, Slug, Time
from tocsin.api.intake import MAX_BACKLOG
from tocsin.api.paging import cut_page, read_cursor
from tocsin.api.problems import CONTENT_TYPE, Problem, UnsupportedContent
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput, TooLarge, Unavailable
from tocsin.core.ids import new_id
from tocsin.core.times import to_text, to_text_or_none
from tocsin.events.model import MAX_BODY
from tocsin.identity.model import Caller
from tocsin.pipeline.prometheus import Written
from tocsin.pipeline.scraping import NoPage, look
from tocsin.prometheus import service, store, wire
from tocsin.prometheus.model import Point, Target, TooMuch, Unreadable

FIRST, SECOND_VERSION = "prometheus.writerequest", "io.prometheus.write.v2.request"
_WRITTEN = "X-Prometheus-Remote-Write"

Url = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=500,
        description="Where its page is.",
        examples=["http://web01.example.com:9100/metrics"],
        extra={"must": "be an address such as http://web01.example.com:9100/metrics, of at most 500 characters"},
    ),
]
Seconds = Annotated[int, Meta(ge=10, le=3_600, description="How often.", extra={"must": "be a whole number from 10 to 3600"})]
Token = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2_000,
        description="Sent as `Authorization: Bearer`. Never shown again.",
        extra={"must": "have 1 to 2000 characters"},
    ),
]
KeepAll = Annotated[
    bool, Meta(description="Also keep what is turned into our names, and what the exporter says of itself, under its own names.")
]


class ExporterQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which, and how many."""

    site: Slug | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class NewExporter(msgspec.Struct, frozen=True, kw_only=True):
    """An exporter that Tocsin is to ask. ``name`` is what kind it is; ``host`` (default: that of the address) is whose values it shows."""

    url: Url
    name: Name = "node_exporter"
    site: Slug | None = None
    host: Host | None = None
    interval_seconds: Seconds = 60
    token: Token | None = None
    keep_all: KeepAll = False
    enabled: bool = True


class ExporterChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. ``token`` null: none."""

    url: Url | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    host: Host | UnsetType = UNSET
    interval_seconds: Seconds | UnsetType = UNSET
    token: Token | UnsetType | None = UNSET
    keep_all: KeepAll | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ExporterOut(msgspec.Struct, frozen=True):
    """An exporter, and how it was last."""

    id: Id
    name: str
    site: str
    host: str
    url: str
    interval_seconds: int
    with_token: Annotated[bool, Meta(description="Whether a token is sent.")]
    keep_all: bool
    enabled: bool
    created_by: str
    created_at: Time
    asked_at: Time | None
    answered_at: Annotated[Time | None, Meta(description="When it last showed something.")]
    samples: Annotated[int | None, Meta(description="How many values were kept then.")]
    failures: Annotated[int, Meta(description="How often in a row it did not answer. From three on an alert is open.")]
    fault: Annotated[str | None, Meta(description="Why, the last time.")]


class ExporterTried(msgspec.Struct, frozen=True, kw_only=True):
    """What an exporter showed when it was asked once."""

    samples: Annotated[int, Meta(description="How many values would be kept under their own names.")] = 0
    of_hosts: Annotated[int, Meta(description="Of how many hosts it says how they are, in words that become our metrics.")] = 0
    refused: Annotated[int, Meta(description="How many values are of no use.")] = 0
    reasons: tuple[str, ...] = ()
    fault: Annotated[str | None, Meta(description="Why it shows nothing; null: it does.")] = None


class ExporterPage(Page, frozen=True):
    """A page of exporters, the newest first."""

    items: list[ExporterOut]


class ExportersApi(Controller):
    """Exporters."""

    path = "/prometheus/exporters"
    tags = ("Metrics",)

    @get(sync_to_thread=True)
    def list_exporters(self, server: TheServer, caller: TheCaller, asked: Given[ExporterQuery]) -> ExporterPage:
        """Lists the exporters that Tocsin asks, the newest first."""
        sites = visible_sites(server.core.sites, caller, asked.site)
        after = read_cursor(asked.cursor, "exporter", (str,))
        with server.core.database.read() as connection:
            found = [one for one in store.every(connection) if sites is None or one.site_id in sites]
        left = [one for one in found if after is None or one.id < after[0]]
        items, cursor = cut_page(left[: asked.limit + 1], asked.limit, "exporter", lambda one: (one.id,))
        return ExporterPage(cursor, [_out(server, one) for one in items])

    @get("/{exporter_id:str}", sync_to_thread=True)
    def show_exporter(self, server: TheServer, caller: TheCaller, exporter_id: InPath) -> ExporterOut:
        """Shows one exporter."""
        with server.core.database.read() as connection:
            return _out(server, service.find(connection, exporter_id, caller.site_ids))

    @post(status_code=201, opt={"conflict": True})
    async def add_exporter(self, server: TheServer, caller: TheCaller, sent: Given[NewExporter]) -> ExporterOut:
        """Has Tocsin ask an exporter, from now on."""
        return _out(server, await add(server, caller, sent))

    @post("/test", status_code=200)
    async def test_exporter(self, server: TheServer, caller: TheCaller, sent: Given[NewExporter]) -> ExporterTried:
        """Asks an exporter once and keeps nothing."""
        return await attempt(server, target_of(server, caller, sent))

    @patch("/{exporter_id:str}", opt={"conflict": True})
    async def change_exporter(self, server: TheServer, caller: TheCaller, exporter_id: InPath, sent: Given[ExporterChange]) -> ExporterOut:
        """Changes an exporter, and asks it at once."""
        return _out(server, await change(server, caller, exporter_id, sent))

    @delete("/{exporter_id:str}", status_code=204)
    async def remove_exporter(self, server: TheServer, caller: TheCaller, exporter_id: InPath) -> None:
        """Stops asking an exporter. Its series stay; an alert that it does not answer is resolved."""
        await server.core.writer.run(lambda tx: server.core.exporters.remove(tx, caller.who, exporter_id))


def target_of(server: Server, caller: Caller, sent: NewExporter) -> Target:
    """The exporter that somebody describes, checked. Raises `InvalidInput`."""
    now = server.core.clock.now()
    site = server.core.sites.get(chosen_site(server.core.sites, caller, sent.site))
    wanted = Target(
        new_id(now),
        site.id,
        sent.name.strip(),
        sent.url,
        (sent.host or service.host_in(sent.url)).lower(),
        sent.interval_seconds * SECOND,
        sent.token,
        sent.keep_all,
        sent.enabled,
        caller.name,
        now,
        now,
    )
    service.check(wanted)
    return wanted


async def add(server: Server, caller: Caller, sent: NewExporter) -> Target:
    """A new exporter. Raises `InvalidInput`, `Conflict`."""
    made = target_of(server, caller, sent)
    return await server.core.writer.run(lambda tx: service.make(tx, caller.who, made, made.created_at))


async def change(server: Server, caller: Caller, exporter_id: str, sent: ExporterChange) -> Target:
    """Changes one. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    wanted = _wanted(sent)
    return await server.core.writer.run(lambda tx: server.core.exporters.change(tx, caller.who, exporter_id, wanted))


async def attempt(server: Server, target: Target) -> ExporterTried:
    """What *target* shows now."""
    try:
        found = await look(server.door, target, server.core.clock.now())
    except NoPage as fault:
        return ExporterTried(fault=str(fault))
    return ExporterTried(samples=len(found.samples), of_hosts=len(found.looks), refused=found.refused, reasons=found.reasons)


class RemoteWriteApi(Controller):
    """Remote write: what Prometheus itself defines (docs/reference/prometheus.md)."""

    path = "/prometheus/write"
    include_in_schema = False

    @post(status_code=200, request_max_body_size=MAX_BODY)
    async def take_remote_write(self, server: TheServer, caller: TheCaller, request: AnyRequest) -> Response[bytes]:
        """Takes samples, and answers once they are stored."""
        read = _reader(request)
        if server.core.writer.backlog > MAX_BACKLOG:
            raise Unavailable("the intake is full: more arrives than can be stored", retry_after=1)
        keep_all = request.query_params.get("keep") == "all"
        site = server.core.sites.get(chosen_site(server.core.sites, caller, request.query_params.get("site")))
        points = await asyncio.to_thread(_points, await request.body(), read)
        return _answer(await server.core.receiver.take(points, site.id, keep_all=keep_all))


def _reader(request: AnyRequest) -> Any:
    """What reads the body. Raises `UnsupportedContent`."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    proto = parameters.partition("proto=")[2].strip().lower() or FIRST
    if kind.strip().lower() != "application/x-protobuf" or proto not in (FIRST, SECOND_VERSION):
        raise UnsupportedContent("Send application/x-protobuf: prometheus.WriteRequest (1.0) or io.prometheus.write.v2.Request (2.0)")
    if request.headers.get("content-encoding", "").strip().lower() != "snappy":
        raise UnsupportedContent("Send Content-Encoding: snappy, in the block format")
    return wire.read_first if proto == FIRST else wire.read_second


def _points(body: bytes, read: Any) -> list[Point]:
    try:
        found: list[Point] = read(wire.unpack(body))
    except TooMuch as error:
        raise TooLarge(str(error)) from None
    except Unreadable as error:
        raise InvalidInput.of("body", str(error)) from None
    return found


def _answer(written: Written) -> Response[bytes]:
    headers = {
        f"{_WRITTEN}-Samples-Written": str(written.accepted),
        f"{_WRITTEN}-Histograms-Written": "0",
        f"{_WRITTEN}-Exemplars-Written": "0",
    }
    if not written.refused:
        return Response(b"", status_code=204, headers=headers)
    detail = f"{written.refused} of {written.refused + written.accepted} samples were not taken: {'; '.join(written.reasons)}"
    problem = Problem("urn:tocsin:InvalidInput", "The input is not valid", 422, detail)
    return Response(msgspec.json.encode(problem), status_code=422, headers=headers, media_type=CONTENT_TYPE)


def _wanted(sent: ExporterChange) -> dict[str, object]:
    given = {name: value for name, value in msgspec.structs.asdict(sent).items() if value is not UNSET}
    if not given:
        raise InvalidInput.of("body", f"names nothing to change; known are {', '.join(sent.__struct_fields__)}")
    if "interval_seconds" in given:
        given["interval"] = given.pop("interval_seconds") * SECOND
    if "host" in given:
        given["host"] = given["host"].lower()
    return given


def _out(server: Server, found: Target) -> ExporterOut:
    return ExporterOut(
        found.id,
        found.name,
        server.core.sites.slug_of(found.site_id),
        found.host,
        found.url,
        found.interval // SECOND,
        found.token is not None,
        found.keep_all,
        found.enabled,
        found.created_by,
        to_text(found.created_at),
        to_text_or_none(found.asked_at),
        to_text_or_none(found.answered_at),
        found.samples,
        found.failures,
        found.fault,
    )

"""``/metrics``: samples in, and what was measured."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.response import Stream
from msgspec import Meta

from tocsin.api.context import AnyRequest, Given, TheCaller, TheServer, chosen_site, own_site, visible_sites
from tocsin.api.csv import csv_lines
from tocsin.api.fields import Cursor, Host, Limit, Moment, Page, Slug, Time
from tocsin.api.intake import MAX_BACKLOG, SMALL, unzip
from tocsin.api.paging import cut_page, read_cursor
from tocsin.api.problems import UnsupportedContent
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY, SECOND
from tocsin.core.errors import FieldError, InvalidInput, Unavailable
from tocsin.core.parquet import PARQUET, Column, Kind, Parquet
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.events.model import MAX_BODY
from tocsin.events.sites import SiteBook
from tocsin.hosts import rules as host_rules
from tocsin.hosts.model import Card
from tocsin.identity.model import Caller
from tocsin.metrics import rules, store
from tocsin.metrics.decode import Decoded, Refused, Samples, decode
from tocsin.metrics.model import MAX_POINTS, NO_LABELS, Agg, Curve, Question, Reading, Recorded, Removed, Sample, Series, SeriesFilter

CSV_COLUMNS = ("site", "host", "name", "labels", "at", "value")
PARQUET_COLUMNS = (*[Column(name, Kind.TEXT) for name in CSV_COLUMNS[:4]], Column("at", Kind.TIME), Column("value", Kind.NUMBER))
EXPORT_SERIES = 50  # looked up at once
PIECE = 2 * DAY  # of one series, written at once
ExportedSample = tuple[str, str, str, str, int, float]
USUAL = DAY
MAX_CURVES = 100
LONGEST = 40 * 366 * DAY
WEIGHT = 10  # samples that take the writer as long as an event
LATELY = 2 * DAY  # how far back a series' last value is looked for

MetricName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=rules.MAX_NAME,
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        description="What is measured.",
        examples=["cpu_percent"],
        extra={"must": "be the name of a metric, such as cpu_percent"},
    ),
]
LabelsInQuery = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2_000,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*=",
        description="Labels that the series has (it may have others): `name=value`, with commas between.",
        examples=["mount=/"],
        extra={"must": "be labels such as mount=/ or mount=/,device=sda1"},
    ),
]


StepLength = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,5}[smhd]$",
        description="How long each point lasts: a number and s, m, h or d.",
        examples=["5m"],
        extra={"must": "be a number and s, m, h or d, such as 5m"},
    ),
]
Width = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_POINTS,
        description="How many points at most, where no step is named.",
        extra={"must": f"be a whole number from 1 to {MAX_POINTS}"},
    ),
]


class SamplesTaken(msgspec.Struct, frozen=True):
    """How many samples are stored, how many were known already, and which cannot be taken."""

    accepted: int
    repeated: int
    rejected: list[Refused]


class SeriesWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which series."""

    site: Slug | None = None
    name: MetricName | None = None
    host: Host | None = None
    labels: LabelsInQuery | None = None


class SeriesQuery(SeriesWanted, frozen=True, kw_only=True):
    """Which series, and how many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class MetricSeries(msgspec.Struct, frozen=True):
    """A series, and its newest value of the last two days."""

    name: str
    unit: Annotated[str, Meta(description="The last word of the name.")]
    host: str | None
    site: str
    labels: dict[str, str]
    first_at: Time
    last_at: Time | None
    last_value: float | None


class SeriesPage(Page, frozen=True):
    """A page of series, by site, host, name and labels."""

    items: list[MetricSeries]


class SeriesRemoved(msgspec.Struct, frozen=True):
    """How many series were removed."""

    removed: int
    more: Annotated[bool, Meta(description="Whether others fit too: a request removes 1,000 at most. Ask again.")]


class PeriodWanted(SeriesWanted, frozen=True, kw_only=True):
    """Which series, and from when to when."""

    since: Annotated[Moment, Meta(description="From this moment on. Default: a day before `to`.")] | None = msgspec.field(
        default=None, name="from"
    )
    until: Annotated[Moment, Meta(description="Before this moment. Default: now.")] | None = msgspec.field(default=None, name="to")


class CurveQuery(PeriodWanted, frozen=True, kw_only=True):
    """Which series, from when to when, in which steps, and what of each step."""

    name: MetricName
    step: StepLength | None = None
    width: Width = 1_000
    agg: Annotated[
        Agg,
        Meta(description="What is said of the samples of each step.", extra={"must": f"be one of {', '.join(Agg)}"}),
    ] = Agg.AVG


class CurveOut(msgspec.Struct, frozen=True):
    """A series and its points: `[unix_ms, value]`, by time."""

    name: str
    unit: str
    host: str | None
    site: str
    labels: dict[str, str]
    step_seconds: Annotated[int | None, Meta(description="How long each point lasts; null: these are the samples themselves.")]
    points: list[tuple[int, float]]
    envelope: Annotated[
        list[tuple[float, float]] | None, Meta(description="For means: the least and the greatest value of each point's step.")
    ]


class Curves(msgspec.Struct, frozen=True):
    """The series that fit and have anything in that time."""

    series: list[CurveOut]


class HistoryApi(Controller):
    """History of metrics."""

    path = "/metrics"
    tags = ("Metrics",)

    @post(status_code=202, request_max_body_size=MAX_BODY, opt={"reads": Samples, "card": False})
    async def send_samples(self, server: TheServer, caller: TheCaller, request: AnyRequest) -> SamplesTaken:
        """Takes samples, and answers once they are stored.

        A sample of the same series and time again does no harm: the first stays. What cannot be taken is listed.
        """
        if server.core.writer.backlog > MAX_BACKLOG:
            raise Unavailable("the intake is full: more arrives than can be stored", retry_after=1)
        body = await request.body()
        work = (server, caller, body, request.headers.get("content-encoding", ""), request.headers.get("content-type", ""))
        card = host_rules.read_card(request.headers.get(host_rules.HEADER))
        decoded = await asyncio.to_thread(_read, *work) if len(body) > SMALL else _read(*work)
        batch = Batch(server, tuple(decoded.samples), server.core.sites.get(own_site(server.core.sites, caller)).id, card)
        recorded = await server.core.writer.submit(_record, batch, 1 + len(decoded.samples) // WEIGHT)
        return _taken(server, decoded, recorded)

    @get("/series", sync_to_thread=True)
    def list_series(self, server: TheServer, caller: TheCaller, asked: Given[SeriesQuery]) -> SeriesPage:
        """Lists what is measured, by site, host, name and labels."""
        core, wanted = server.core, filter_of(server.core.sites, caller, asked)
        after = read_cursor(asked.cursor, "series", (int, str, str, str))
        with core.database.read() as connection:
            found = core.history.find(connection, wanted, after, asked.limit + 1)
            items, cursor = cut_page(found, asked.limit, "series", store.place_of)
            last = {one.series.id: one for one in core.history.newest_of(connection, items, core.clock.now() - LATELY)}
        return SeriesPage(cursor, [_series_out(one, last.get(one.id), core.sites) for one in items])

    @delete("/series", status_code=200)
    async def remove_series(self, server: TheServer, caller: TheCaller, asked: Given[SeriesWanted]) -> SeriesRemoved:
        """Removes series with all that was measured of them; a sample that comes later makes its series anew.

        Name a metric, a host or both. They are out of sight at once; what is stored of them goes a little at a time.
        """
        removed = await remove(server, caller, asked)
        return SeriesRemoved(removed.series, not removed.is_all)

    @get("/query", sync_to_thread=True)
    def query(self, server: TheServer, caller: TheCaller, asked: Given[CurveQuery]) -> Curves:
        """Answers what some series were like over a time.

        Without a `step`, in at most `width` points, each with its least and greatest value; all samples, if they are no more.
        Steps of whole hours and days are read from roll-ups, which reach further back than the samples.
        """
        core, wanted = server.core, filter_of(server.core.sites, caller, asked)
        question = _question(asked, core.settings.history_days, core.clock.now())
        with core.database.read() as connection:
            series = core.history.find(connection, wanted, limit=MAX_CURVES + 1)
            if len(series) > MAX_CURVES:
                raise InvalidInput.of("name", f"fits more than {MAX_CURVES} series: narrow it by site, host or labels")
            found = core.history.curves(connection, series, question)
        return Curves([_curve_out(one, core.sites) for one in found])

    @get("/export.csv", media_type="text/csv", opt={"produces": "text/csv"})
    async def export_csv(self, server: TheServer, caller: TheCaller, asked: Given[PeriodWanted]) -> Stream:
        """Exports samples as CSV, by series and time, however many there are.

        Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        wanted, period = filter_of(server.core.sites, caller, asked), _period(asked, server.core.clock.now())
        headers = {"Content-Disposition": 'attachment; filename="metrics.csv"'}
        return Stream(_csv(server, wanted, *period), media_type="text/csv", headers=headers)

    @get("/export.parquet", media_type=PARQUET, opt={"produces": PARQUET})
    async def export_parquet(self, server: TheServer, caller: TheCaller, asked: Given[PeriodWanted]) -> Stream:
        """Exports samples as Parquet, by series and time, however many there are: what pandas, DuckDB and Spark read."""
        wanted, period = filter_of(server.core.sites, caller, asked), _period(asked, server.core.clock.now())
        headers = {"Content-Disposition": 'attachment; filename="metrics.parquet"'}
        return Stream(_parquet(server, wanted, *period), media_type=PARQUET, headers=headers)


async def remove(server: Server, caller: Caller, asked: SeriesWanted) -> Removed:
    """Takes series away: what the page does, too. Raises `InvalidInput`, `NotFound`."""
    if asked.name is None and asked.host is None:
        raise InvalidInput.of("name", "must be there, or a host: which series are to be removed, such as name=cpu_percent&host=web-1")
    wanted, history = filter_of(server.core.sites, caller, asked), server.core.history
    return await server.core.writer.run(lambda tx: history.remove(tx, caller.who, wanted, server.core.clock.now()))


class Batch(msgspec.Struct, frozen=True):
    """One request's samples on their way to the writer."""

    server: Server
    samples: tuple[Sample, ...]
    site_id: int  # the sender's own
    card: Card | None  # of an agent


def _record(tx: Tx, batches: Sequence[Batch]) -> list[Recorded]:
    """A group for `Writer.submit`. An agent is heard with what it sends."""
    for one in batches:
        if one.card is not None:
            one.server.core.roll.hear(tx, one.site_id, one.card)
    core = batches[0].server.core
    return core.history.record_all(tx, [one.samples for one in batches], core.clock.now())


def _read(server: Server, caller: Caller, body: bytes, encoding: str, kind: str) -> Decoded:
    if kind.partition(";")[0].strip().lower() not in ("", "application/json"):
        raise UnsupportedContent('Send application/json: {"samples": [...]}')
    coding = encoding.strip().lower()
    if coding not in ("", "identity", "gzip"):
        raise UnsupportedContent("Send the body as it is, or with Content-Encoding: gzip")
    sites = server.core.sites

    def find_site(slug: str | None) -> int | FieldError:
        try:
            return sites.get(chosen_site(sites, caller, slug)).id
        except InvalidInput as error:
            return error.errors[0]

    return decode(unzip(body) if coding == "gzip" else body, find_site, server.core.clock.now())


def _taken(server: Server, decoded: Decoded, recorded: Recorded) -> SamplesTaken:
    words = f"would be one series too many: the site may have {server.core.settings.series_limit} (TOCSIN_SERIES_LIMIT)"
    full = (FieldError("labels", words),)
    refused = [*decoded.refused, *[Refused(decoded.places[place], full) for place in recorded.refused]]
    return SamplesTaken(recorded.accepted, recorded.repeated, sorted(refused, key=lambda one: one.index))


def filter_of(sites: SiteBook, caller: Caller, asked: SeriesWanted) -> SeriesFilter:
    """The series that *caller* asks about. Raises `NotFound` for a site that is not there, or not for this caller."""
    site_ids = visible_sites(sites, caller, asked.site)
    return SeriesFilter(
        site_ids=site_ids, name=asked.name, host=asked.host, labels=NO_LABELS if asked.labels is None else rules.read_labels(asked.labels)
    )


def _period(asked: PeriodWanted, now: int) -> tuple[int, int]:
    end = now + 1 if asked.until is None else from_datetime(asked.until)
    start = end - USUAL if asked.since is None else from_datetime(asked.since)
    if start >= end:
        raise InvalidInput.of("from", "must be before to")
    if end - start > LONGEST:
        raise InvalidInput.of("from", "is more than 40 years before to")
    return start, end


def _question(asked: CurveQuery, history_days: int, now: int) -> Question:
    start, end = _period(asked, now)
    step = None if asked.step is None else rules.read_step(asked.step)
    if step is not None and (end - start) // step > MAX_POINTS:
        raise InvalidInput.of("step", f"makes more than {MAX_POINTS} points of that time: make it longer, or name a width")
    return Question(start, end, step, asked.width, asked.agg, now - history_days * DAY)


def _curve_out(found: Curve, sites: SiteBook) -> CurveOut:
    one = found.series
    step = None if found.step is None else found.step // SECOND
    return CurveOut(
        one.name,
        rules.unit_of(one.name),
        one.host or None,
        sites.slug_of(one.site_id),
        dict(one.labels),
        step,
        found.points,
        found.envelope,
    )


async def _csv(server: Server, wanted: SeriesFilter, start: int, end: int) -> AsyncIterator[bytes]:
    yield csv_lines([CSV_COLUMNS])
    async for rows in _rows(server, wanted, start, end):
        yield await asyncio.to_thread(lambda rows=rows: csv_lines([(*known, to_text(at), value) for *known, at, value in rows]))  # type: ignore[misc]  # lambdas with defaults have no type


async def _parquet(server: Server, wanted: SeriesFilter, start: int, end: int) -> AsyncIterator[bytes]:
    file = Parquet(PARQUET_COLUMNS)
    async for rows in _rows(server, wanted, start, end):
        full = await asyncio.to_thread(file.rows, rows)
        if full:
            yield full
    yield await asyncio.to_thread(file.end)


async def _rows(server: Server, wanted: SeriesFilter, start: int, end: int) -> AsyncIterator[list[ExportedSample]]:
    """All samples, piece by piece. Each is a snapshot of its own, so that a long export holds no old state back."""
    first = await asyncio.to_thread(_oldest, server)
    if first is None:
        return
    start = max(start, first)
    after: store.Place | None = None
    while series := await asyncio.to_thread(_some_series, server, wanted, after):
        for one in series:
            for begin in range(start, end, PIECE):
                rows = await asyncio.to_thread(_piece, server, one, begin, min(end, begin + PIECE))
                if rows:
                    yield rows
        after = store.place_of(series[-1])


def _oldest(server: Server) -> int | None:
    with server.core.database.read() as connection:
        return server.core.history.oldest(connection)


def _some_series(server: Server, wanted: SeriesFilter, after: store.Place | None) -> list[Series]:
    with server.core.database.read() as connection:
        return server.core.history.find(connection, wanted, after, EXPORT_SERIES)


def _piece(server: Server, one: Series, start: int, end: int) -> list[ExportedSample]:
    with server.core.database.read() as connection:
        points = server.core.history.points(connection, one.id, start, end)
    known = (server.core.sites.slug_of(one.site_id), one.host, one.name, store.labels_text(one.labels) if one.labels else "")
    return [(*known, at, value) for at, value in points]


def _series_out(series: Series, last: Reading | None, sites: SiteBook) -> MetricSeries:
    return MetricSeries(
        series.name,
        rules.unit_of(series.name),
        series.host or None,
        sites.slug_of(series.site_id),
        dict(series.labels),
        to_text(series.first_at),
        to_text_or_none(None if last is None else last.at),
        None if last is None else last.value,
    )

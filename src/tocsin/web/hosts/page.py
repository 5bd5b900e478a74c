"""``/hosts``: servers that report, and one in full: figures, disks, services, and charts of any time."""

import asyncio
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.alerts import queries
from tocsin.alerts.queries import Filter, Sort
from tocsin.api import hosts as api
from tocsin.api.context import Given, chosen_site
from tocsin.api.fields import Moment, Slug
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY, HOUR
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.times import from_datetime
from tocsin.hosts import store
from tocsin.hosts.model import MOST, Host
from tocsin.identity.model import Viewer
from tocsin.metrics.model import Agg, Question, Reading, SeriesFilter
from tocsin.metrics.rules import step_for
from tocsin.muting import service as muting
from tocsin.muting.model import Labels
from tocsin.web.access import AnyRequest, NoFields, address_of, form, go
from tocsin.web.desk import Desk
from tocsin.web.hosts import rules
from tocsin.web.hosts.rules import Picture
from tocsin.web.pages import chart_data, screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

SHOWN = 100
FRESH = HOUR  # an older value is not how it is now
WIDTH = 600  # points of a chart
ALERTS = 8
DONE = {
    "paused": "Paused. Nothing is told of its silence.",
    "resumed": "It is expected again.",
    "removed": "Taken from the list. If its agent reports again, it is there again.",
}
_LISTED = ("cpu_percent", "memory_percent", "load_1m", "cpu_count", "disk_percent")


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From which on, and what was just done."""

    start: Annotated[int, Meta(ge=0, le=100_000)] = 0
    done: Literal["removed"] | None = None


class OneQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of which time, beside the week before or not."""

    range: Literal["1h", "6h", "24h", "7d", "30d", "90d"] = "24h"
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")
    compare: Literal["week"] | None = None
    done: Literal["paused", "resumed"] | None = None


class TokenForm(msgspec.Struct, frozen=True, kw_only=True):
    """For which site a server is let in."""

    site: Slug | None = None


class HostPages(Controller):
    """Servers."""

    path = "/hosts"
    include_in_schema = False

    @get(sync_to_thread=True)
    def hosts(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ListQuery]) -> Response[bytes]:
        """Lists the servers, silent ones first, each with its newest figures."""
        desk: Desk = request.app.state.desk
        with server.core.database.read() as connection:
            every = store.hosts(connection, viewer.site_ids, None, MOST)
            shown = sorted(every, key=lambda one: (rules.URGENCY.index(one.status), one.name))[asked.start : asked.start + SHOWN]
            figures = _figures(server, connection, shown, desk.now())
        return screen(
            request,
            viewer,
            "hosts/list.html",
            here="checks",
            headline=rules.headline(every),
            count=len(every),
            hosts=shown,
            figures=figures,
            asked=asked,
            shown=SHOWN,
            signs=rules.SIGNS,
            words=rules.WORDS,
            site_name=desk.site_name,
            sites=[(site.slug, site.name) for site in desk.sites(viewer)],
            done=DONE.get(asked.done or "", ""),
        )

    @post("/token", status_code=200)
    async def let_in(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Shows how a new server is let in, with a token that works once."""
        sent = await form(request, TokenForm)
        caller, core = viewer.calling(address_of(request)), server.core
        site = core.sites.get(chosen_site(core.sites, caller, sent.site))
        _, secret = await core.writer.run(lambda tx: core.roll.make_token(tx, caller.who, site.id))
        url = core.settings.public_url
        return await asyncio.to_thread(screen, request, viewer, "hosts/token.html", here="checks", secret=secret, address=url, site=site)

    @get("/{host_id:str}", sync_to_thread=True)
    def host(self, request: AnyRequest, server: TheServer, viewer: TheViewer, host_id: InPath, asked: Given[OneQuery]) -> Response[bytes]:
        """Shows one server: how it is, and how it was."""
        desk: Desk = request.app.state.desk
        now = desk.now()
        start, end = _time(asked, now)
        with server.core.database.read() as connection:
            host = api.find(connection, host_id, viewer.site_ids)
            history = server.core.history
            wanted = SeriesFilter(site_ids=frozenset({host.site_id}), host=host.name)
            known = history.find(connection, wanted)
            readings = history.newest_of(connection, known, now - FRESH)
            names = {one.name for one in known}
            beside = _beside(server, connection, host, start, end)
        return screen(
            request,
            viewer,
            "hosts/one.html",
            here="checks",
            host=host,
            facts=msgspec.json.decode(host.facts, type=dict[str, object]),
            figures=rules.now_of(readings),
            readings=len(readings),
            pictures=[one for one in rules.PICTURES if names.intersection(one.metrics)],
            sign_of=rules.SIGNS[host.status],
            words=rules.WORDS[host.status],
            size=rules.size,
            site=desk.site_name(host.site_id),
            asked=asked,
            ranges=rules.RANGES,
            since=start,
            until=end,
            beside=beside,
            done=DONE.get(asked.done or "", ""),
        )

    @get("/{host_id:str}/charts/{key:str}", sync_to_thread=True)
    def chart(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, host_id: InPath, key: InPath, asked: Given[OneQuery]
    ) -> Response[bytes]:
        """The points of one chart, with the alerts and the planned work of the time."""
        pictured = rules.picture(key)
        if pictured is None:
            raise NotFound(f"there is no chart {key[:40]}")
        start, end = _time(asked, server.core.clock.now())
        with server.core.database.read() as connection:
            host = api.find(connection, host_id, viewer.site_ids)
            drawn = _drawn(server, connection, host, pictured, start, end, compare=asked.compare == "week")
        return chart_data(request, drawn)

    @post("/{host_id:str}/pause", status_code=200)
    async def pause(self, request: AnyRequest, server: TheServer, viewer: TheViewer, host_id: InPath) -> Response[bytes]:
        """Nothing is told of it until it is resumed."""
        return await _pause(request, server, viewer, host_id, paused=True)

    @post("/{host_id:str}/resume", status_code=200)
    async def resume(self, request: AnyRequest, server: TheServer, viewer: TheViewer, host_id: InPath) -> Response[bytes]:
        """It is expected again."""
        return await _pause(request, server, viewer, host_id, paused=False)

    @post("/{host_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, host_id: InPath) -> Response[bytes]:
        """Takes it from the list."""
        await form(request, NoFields)
        caller = viewer.calling(address_of(request))
        host = await asyncio.to_thread(_find, server, viewer, host_id)
        await server.core.writer.run(lambda tx: server.core.roll.remove(tx, caller.who, host.id))
        return go("/hosts?done=removed", depth=2)


def _find(server: Server, viewer: Viewer, host_id: str) -> Host:
    with server.core.database.read() as connection:
        return api.find(connection, host_id, viewer.site_ids)


async def _pause(request: AnyRequest, server: Server, viewer: Viewer, host_id: str, *, paused: bool) -> Response[bytes]:
    await form(request, NoFields)
    caller = viewer.calling(address_of(request))
    host = await asyncio.to_thread(_find, server, viewer, host_id)
    await server.core.writer.run(lambda tx: server.core.roll.pause(tx, caller.who, host.id, paused=paused))
    return go(f"/hosts/{host_id}?done={'paused' if paused else 'resumed'}", depth=2)


def _time(asked: OneQuery, now: int) -> tuple[int, int]:
    """From when to when. Raises `InvalidInput`."""
    end = now if asked.until is None else min(now, from_datetime(asked.until))
    start = end - rules.RANGES[asked.range][0] if asked.since is None else from_datetime(asked.since)
    if not rules.SHORTEST <= end - start <= rules.LONGEST:
        raise InvalidInput.of("from", "must lie ten minutes to 400 days before `to`, and in the past")
    return start, end


def _figures(server: Server, connection: sa.Connection, hosts: list[Host], now: int) -> dict[str, rules.Now]:
    """The newest figures of the servers in a list, read by name of the figure: a few questions for any number of servers."""
    sites = frozenset(host.site_id for host in hosts)
    found: dict[tuple[int, str], list[Reading]] = {}
    for name in _LISTED if hosts else ():
        for one in server.core.history.newest(connection, SeriesFilter(site_ids=sites, name=name), now - FRESH):
            found.setdefault((one.series.site_id, one.series.host), []).append(one)
    return {host.id: rules.now_of(found.get((host.site_id, host.name), ())) for host in hosts}


def _alerts_of(host: Host, start: int, end: int) -> Filter:
    return Filter(site_ids=frozenset({host.site_id}), host=host.name, since=start, until=end)


def _drawn(
    server: Server, connection: sa.Connection, host: Host, pictured: Picture, start: int, end: int, *, compare: bool
) -> dict[str, object]:
    history, sites = server.core.history, frozenset({host.site_id})
    series = [
        one for name in pictured.metrics for one in history.find(connection, SeriesFilter(site_ids=sites, name=name, host=host.name))
    ][: rules.MOST_LINES]
    kept_since = server.core.clock.now() - server.core.settings.history_days * DAY
    question = Question(start, end, None, WIDTH, Agg.AVG, kept_since)
    step = step_for(question)
    question = msgspec.structs.replace(question, step=step)
    curves = history.curves(connection, series, question)
    before = []
    if compare:
        earlier = msgspec.structs.replace(question, start=start - rules.WEEK, end=end - rules.WEEK)
        before = history.curves(connection, series, earlier)
    return rules.chart(pictured, curves, before, step // 1000, _beside(server, connection, host, start, end))


def _beside(server: Server, connection: sa.Connection, host: Host, start: int, end: int) -> rules.Beside:
    alerts = queries.page(connection, _alerts_of(host, start, end), Sort.LATEST_BEGUN, None, ALERTS)
    labels = Labels(server.core.sites.slug_of(host.site_id), "host.silent", 5, host.name, None, None)
    return rules.Beside(alerts, muting.work_on(connection, labels, start, end))

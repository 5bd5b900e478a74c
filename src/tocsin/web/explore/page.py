"""``/explore``: any series, several in one chart, of any time."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.alerts import queries
from tocsin.alerts.model import Alert
from tocsin.alerts.queries import Filter, Sort
from tocsin.api.context import Given
from tocsin.api.fields import Moment
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.times import from_datetime, to_text
from tocsin.identity.model import Viewer
from tocsin.metrics import rules as metrics, store
from tocsin.metrics.model import Agg, Question, Series, SeriesFilter
from tocsin.web.access import AnyRequest, address_of, form, go
from tocsin.web.desk import Desk
from tocsin.web.explore import rules
from tocsin.web.explore.rules import Selection, Time
from tocsin.web.hosts import rules as charts
from tocsin.web.pages import chart_data, screen
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

WIDTH = 1_000  # points of a line
HOSTS = 500  # that are offered
MARKED = 4  # hosts whose alerts are marked
ALERTS = 8
RANGES = {key: word for key, (_, word) in charts.RANGES.items()}
AGGS = {"avg": "mean", "max": "greatest", "min": "least", "p95": "95 of 100", "sum": "sum"}
Typed = Annotated[str, Meta(max_length=300)]


class ExploreQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown, of which time, and what of each step; and what a person adds."""

    show: Annotated[str, Meta(max_length=4_000)] = ""
    range: Annotated[str, Meta(max_length=7, extra={"must": "be a number and m, h or d, such as 36h"})] = "24h"
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")
    compare: Literal["week"] | None = None
    agg: Literal["avg", "max", "min", "p95", "sum"] = "avg"
    unit: Annotated[str, Meta(max_length=120)] = ""
    name: Typed = ""
    host: Typed = ""
    labels: Typed = ""
    gone: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None  # series that were just removed


class RemoveForm(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be removed."""

    show: Annotated[str, Meta(min_length=1, max_length=4_000)]


class ExplorePages(Controller):
    """The explorer."""

    path = "/explore"
    include_in_schema = False

    @get(sync_to_thread=True)
    def explore(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ExploreQuery]) -> Response[bytes]:
        """Shows what is selected, a chart for each unit; what is measured at all, where nothing is."""
        if asked.name:
            return go(_address(asked, rules.added(asked.show, asked.name, asked.host, asked.labels)))
        desk: Desk = request.app.state.desk
        selections, time = rules.read(asked.show), _time(asked, desk.now())
        with server.core.database.read() as connection:
            units = [(unit, len(_series(server, connection, viewer, rules.of_unit(selections, unit)))) for unit in rules.units(selections)]
            names = store.names(connection, viewer.site_ids)
            hosts = store.hosts(connection, viewer.site_ids, HOSTS)
        return screen(
            request,
            viewer,
            "explore/page.html",
            here="checks",
            asked=asked,
            selections=selections,
            shown=rules.written(selections),
            without=rules.without,
            pictures=[(rules.picture(unit, selections), fits) for unit, fits in units],
            most=charts.MOST_LINES,
            names=names,
            hosts=hosts,
            ranges=RANGES,
            aggs=AGGS,
            since=time.start,
            until=time.end,
            address=partial(_address, asked, rules.written(selections)),
        )

    @get("/chart", sync_to_thread=True)
    def chart(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ExploreQuery]) -> Response[bytes]:
        """The points of everything that is selected and has this unit."""
        desk: Desk = request.app.state.desk
        selections = rules.of_unit(rules.read(asked.show), asked.unit)
        with server.core.database.read() as connection:
            drawn = _drawn(server, connection, viewer, desk, selections, asked)
        return chart_data(request, drawn)

    @post("/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Removes all that is selected, with what was measured of it."""
        sent, who = await form(request, RemoveForm), viewer.calling(address_of(request)).who
        wanted, history, now = _filters(viewer, rules.read(sent.show)), server.core.history, server.core.clock.now()
        gone = await server.core.writer.run(lambda tx: [history.remove(tx, who, one, now) for one in wanted])
        left = "" if all(one.is_all for one in gone) else sent.show
        return go("/explore?" + urlencode({"show": left, "gone": sum(one.series for one in gone)}), depth=1)


def _address(asked: ExploreQuery, shown: str, unit: str | None = None, **changes: str | None) -> str:
    """This page with other words in its address; with a *unit* where its chart is."""
    fixed = {name: moment for name, moment in (("from", asked.since), ("to", asked.until)) if moment is not None and "range" not in changes}
    time = {name: to_text(from_datetime(moment)) for name, moment in fixed.items()} or {"range": asked.range}
    words = {"show": shown, **time, "agg": asked.agg, "compare": asked.compare, "unit": unit, **changes}
    return f"/explore{'/chart' if unit else ''}?" + urlencode({name: word for name, word in words.items() if word})


def _time(asked: ExploreQuery, now: int) -> Time:
    since, until = (None if moment is None else from_datetime(moment) for moment in (asked.since, asked.until))
    return rules.time_of(asked.range, since, until, now)


def _drawn(
    server: Server, connection: sa.Connection, viewer: Viewer, desk: Desk, selections: list[Selection], asked: ExploreQuery
) -> dict[str, object]:
    history, now = server.core.history, desk.now()
    time = _time(asked, now)
    series = _series(server, connection, viewer, selections)[: charts.MOST_LINES]
    kept_since = now - server.core.settings.history_days * DAY
    question = Question(time.start, time.end, None, WIDTH, Agg(asked.agg), kept_since)
    step = metrics.step_for(question)
    question = msgspec.structs.replace(question, step=step)
    curves, before = history.curves(connection, series, question), []
    if asked.compare:
        earlier = msgspec.structs.replace(question, start=time.start - charts.WEEK, end=time.end - charts.WEEK)
        before = history.curves(connection, series, earlier)
    beside = charts.Beside(_alerts(connection, viewer, series, time))
    named = rules.names_of(series, desk.site_name)
    return charts.chart(rules.picture(asked.unit, selections), curves, before, step // 1000, beside, named)


def _series(server: Server, connection: sa.Connection, viewer: Viewer, selections: list[Selection]) -> list[Series]:
    """All that is selected, each once; of each selection one more than fits into a chart at most."""
    found: dict[int, Series] = {}
    for wanted in _filters(viewer, selections):
        found |= {series.id: series for series in server.core.history.find(connection, wanted, limit=charts.MOST_LINES + 1)}
    return list(found.values())


def _filters(viewer: Viewer, selections: Sequence[Selection]) -> list[SeriesFilter]:
    return [SeriesFilter(site_ids=viewer.site_ids, name=one.name, host=one.host, labels=one.labels) for one in selections]


def _alerts(connection: sa.Connection, viewer: Viewer, series: list[Series], time: Time) -> list[Alert]:
    """Those of the hosts in the picture that began in its time."""
    places = list(dict.fromkeys((one.site_id, one.host) for one in series if one.host))[:MARKED]
    wanted = [Filter(site_ids=frozenset({site}), host=host, since=time.start, until=time.end) for site, host in places]
    found = [alert for one in wanted for alert in queries.page(connection, one, Sort.LATEST_BEGUN, None, ALERTS)]
    return [alert for alert in found if viewer.site_ids is None or alert.site_id in viewer.site_ids]

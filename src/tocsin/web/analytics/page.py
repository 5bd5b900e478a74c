"""The page ``/analytics``: which period stands in the address."""

from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, Response, get
from msgspec import Meta

from tocsin.api.analytics import read_period
from tocsin.api.context import Given, visible_site
from tocsin.api.fields import Moment, Slug
from tocsin.core.clock import DAY, MINUTE
from tocsin.core.text import counted
from tocsin.core.times import from_datetime
from tocsin.core.zones import is_zone
from tocsin.reports import service
from tocsin.reports.model import Period
from tocsin.reports.store import last_line
from tocsin.web.analytics import rules
from tocsin.web.desk import Desk
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

RANGES = (7, 30, 90)


class AnalyticsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The last so many days, or from one moment to another; of one site or of all."""

    days: Annotated[int, Meta(ge=1, le=366, extra={"must": "be a whole number from 1 to 366, such as 30"})] = 7
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")
    site: Slug | None = None


class AnalyticsPage(Controller):
    """Looking back."""

    path = "/analytics"
    include_in_schema = False

    @get(sync_to_thread=True)
    def analytics(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[AnalyticsQuery]) -> Response[bytes]:
        """The figures of a period beside those of the one before."""
        desk: Desk = request.app.state.desk
        core, now = server.core, desk.now()
        period = _period(asked, now)
        sites = viewer.site_ids if asked.site is None else frozenset({visible_site(core.sites, viewer.calling(""), asked.site).id})
        zone = ZoneInfo(viewer.time_zone) if is_zone(viewer.time_zone) else ZoneInfo("UTC")
        with core.database.read() as connection:
            found = desk.kept(
                ("analytics", asked, zone, sites),
                lambda: service.summary(connection, period, zone, sites),
                MINUTE,
                stamp=(period, last_line(connection)),
            )
        most = max(map(max, found.weekdays))
        return screen(
            request,
            viewer,
            "analytics.html",
            here="analytics",
            asked=asked,
            ranges=RANGES,
            found=found,
            figures=rules.figures(found.now, found.before),
            weekdays=list(zip(rules.WEEKDAYS, found.weekdays, strict=True)),
            shade=lambda count: rules.shade(count, most),
            busiest=rules.busiest(found.weekdays),
            loud=max((one.alerts for one in found.noisiest), default=0),
            sites=desk.sites(viewer),
            site_name=desk.site_name,
            site_slug=core.sites.slug_of,
            counted=counted,
        )


def _period(asked: AnalyticsQuery, now: int) -> Period:
    """Up to now, to the minute that has begun, if no end is asked for. Raises `InvalidInput`."""
    now = (now // MINUTE + 1) * MINUTE
    if asked.since is None and asked.until is None:
        return Period(now - asked.days * DAY, now)
    until = now if asked.until is None else from_datetime(asked.until)
    return read_period(asked.since, asked.until, now) if asked.since is not None else Period(until - asked.days * DAY, until)

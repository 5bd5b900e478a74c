"""``/availability``: how much of a period each site, group, host or check was up, and what went wrong."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get
from msgspec import Meta

from tocsin.api.availability import period_of
from tocsin.api.context import Given, visible_sites
from tocsin.api.fields import Moment, Slug
from tocsin.checks import figures, store
from tocsin.checks.figures import Line
from tocsin.core.clock import DAY
from tocsin.web.desk import Desk
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

RANGES = (1, 7, 30, 90, 365)
OUTAGES = 50
LINES = 300
BYS = (("site", "Sites"), ("group", "Groups"), ("host", "Hosts"), ("check", "Checks"))


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The last so many days, or from one moment to another; of one site or of all; one line for each of what."""

    days: Annotated[int, Meta(ge=1, le=1_100, extra={"must": "be a whole number from 1 to 1100, such as 30"})] = 30
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")
    by: Literal["site", "group", "host", "check"] = "check"
    site: Slug | None = None


class Meter(msgspec.Struct, frozen=True):
    """A budget as a bar of 1,000: how much is used, at most all of it."""

    used: int
    is_broken: bool


def meter(line: Line) -> Meter | None:
    """None: nothing was promised, or nothing was measured."""
    if line.budget is None or not line.uptime.measured:
        return None
    allowed = line.budget.allowed
    used = 1_000 if allowed <= 0 and line.budget.used else round(1_000 * line.budget.used / allowed) if allowed else 0
    return Meter(min(1_000, used), line.budget.left < 0)


def left_out(line: Line) -> dict[str, int]:
    """What counts neither way, by why: how long (ms); nothing of what did not happen."""
    found = {"maintenance": line.uptime.maintenance, "not seen": line.uptime.unknown, "paused": line.uptime.paused}
    return {why: length for why, length in found.items() if length}


def headline(lines: list[Line], outages: int) -> str:
    """What a colleague would say."""
    broken = sum(line.budget is not None and line.budget.left < 0 for line in lines)
    if not any(line.uptime.measured for line in lines):
        return "Nothing was measured in this time"
    if broken:
        return f"{broken} {'promise is' if broken == 1 else 'promises are'} broken"
    if not outages:
        return "Everything answered, all the time"
    return f"{outages:,} {'outage' if outages == 1 else 'outages'}, within what was promised"


class AvailabilityPage(Controller):
    """Availability."""

    path = "/availability"
    include_in_schema = False

    @get(sync_to_thread=True)
    def availability(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[PageQuery]) -> Response[bytes]:
        """The figures of a period, the least available first, and its outages."""
        desk: Desk = request.app.state.desk
        core = server.core
        period = period_of(asked.since, asked.until, desk.now(), asked.days * DAY)
        sites = visible_sites(core.sites, viewer.calling(""), asked.site)
        with core.database.read() as connection:
            checks = store.of_sites(connection, sites)
            lines, outages, count = figures.both(connection, checks, asked.by, period, core.sites.slug_of, OUTAGES)
        return screen(
            request,
            viewer,
            "checks/availability.html",
            here="checks",
            asked=asked,
            ranges=RANGES,
            bys=BYS,
            period=period,
            headline=headline(lines, count),
            lines=lines[:LINES],
            unlisted=len(lines) - LINES,
            meter=meter,
            left_out=left_out,
            outages=outages,
            outages_count=count,
            any_check=bool(checks),
            sites=[(site.slug, site.name) for site in desk.sites(viewer)],
            names={site.slug: site.name for site in desk.sites(viewer)},
            site_name=desk.site_name,
        )

"""``/availability`` and ``/outages``: how much of a period things were up, and when they were not."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get
from msgspec import Meta

from tocsin.api.context import Given, TheCaller, TheServer, visible_sites
from tocsin.api.fields import Id, Limit, Moment, Slug, Time
from tocsin.bootstrap import Server
from tocsin.checks import figures, service, store
from tocsin.checks.figures import By, Line, Period
from tocsin.checks.model import Check
from tocsin.checks.uptime import Outage, Uptime
from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.identity.model import Caller

USUAL, LONGEST = 30 * DAY, 1_100 * DAY
GroupName = Annotated[str, Meta(min_length=1, max_length=100, extra={"must": "have 1 to 100 characters"})]


class AvailabilityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which period (default: the last 30 days), of what, and how it is added up."""

    since: Annotated[Moment, Meta(description="From this moment on.")] | None = msgspec.field(default=None, name="from")
    until: Annotated[Moment, Meta(description="Before this moment. Default: now.")] | None = msgspec.field(default=None, name="to")
    by: Annotated[
        Literal["check", "host", "site", "group"],
        Meta(description="One line for each of these.", extra={"must": "be check, host, site or group"}),
    ] = "check"
    site: Slug | None = None
    group: GroupName | None = None
    check: Annotated[str, Meta(max_length=36, description="One check's id.", extra={"must": "be a check's id"})] | None = None


class OutageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of which period (default: the last 30 days), and of what."""

    since: Annotated[Moment, Meta(description="From this moment on.")] | None = msgspec.field(default=None, name="from")
    until: Annotated[Moment, Meta(description="Before this moment. Default: now.")] | None = msgspec.field(default=None, name="to")
    site: Slug | None = None
    group: GroupName | None = None
    check: Annotated[str, Meta(max_length=36, description="One check's id.", extra={"must": "be a check's id"})] | None = None
    limit: Limit = 100


class BudgetOut(msgspec.Struct, frozen=True):
    """What a promise allows of the time that was measured."""

    sla_percent: float
    allowed_seconds: float
    used_seconds: float
    left_seconds: Annotated[float, Meta(description="Below 0: the promise is broken.")]


class LineOut(msgspec.Struct, frozen=True):
    """The availability of one check, host, site or group. Unknown, paused and maintenance count neither way."""

    key: Annotated[str, Meta(description="The check's id, the host, the site's short name, or the group.")]
    name: str
    checks: Annotated[int, Meta(description="How many checks it is added up from.")]
    uptime_percent: Annotated[float | None, Meta(description="Of the time that was measured; null: none was.")]
    up_seconds: float
    degraded_seconds: Annotated[float, Meta(description="It answered, slowly or with a warning: counts as up.")]
    down_seconds: float
    unknown_seconds: float
    maintenance_seconds: float
    paused_seconds: float
    outages: int
    longest_outage_seconds: float
    budget: Annotated[BudgetOut | None, Meta(description="By the strictest promise of its checks; null: there is none.")]


class AvailabilityOut(msgspec.Struct, frozen=True):
    """The availability of a period, the least available first."""

    since: Time = msgspec.field(name="from")
    until: Time = msgspec.field(name="to")
    items: list[LineOut]


class OutageOut(msgspec.Struct, frozen=True):
    """One time down."""

    check: Id
    name: str
    site: str
    host: str
    starts_at: Time
    ends_at: Annotated[Time | None, Meta(description="null: it lasts.")]
    seconds: Annotated[float, Meta(description="As far as it lies in the period.")]
    cause: str
    words: str | None


class OutageList(msgspec.Struct, frozen=True):
    """Outages, the latest first; ``total`` counts also those beyond the limit."""

    total: int
    items: list[OutageOut]


class AvailabilityApi(Controller):
    """Availability."""

    tags = ("Checks",)

    @get("/availability", sync_to_thread=True)
    def show_availability(self, server: TheServer, caller: TheCaller, asked: Given[AvailabilityQuery]) -> AvailabilityOut:
        """Shows how much of a period each check, host, site or group was up, by time; with what was promised."""
        period = period_of(asked.since, asked.until, server.core.clock.now())
        checks = _checks(server, caller, asked)
        return availability_out(server, checks, asked.by, period)

    @get("/outages", sync_to_thread=True)
    def list_outages(self, server: TheServer, caller: TheCaller, asked: Given[OutageQuery]) -> OutageList:
        """Lists when checks were down, why and for how long, the latest first."""
        period = period_of(asked.since, asked.until, server.core.clock.now())
        with server.core.database.read() as connection:
            found = figures.outages(connection, _checks(server, caller, asked), period)
        return OutageList(len(found), [_outage_out(server, check, one) for check, one in found[: asked.limit]])


def availability_out(server: Server, checks: list[Check], by: By, period: Period) -> AvailabilityOut:
    """The answer for *checks*."""
    with server.core.database.read() as connection:
        lines = figures.availability(connection, checks, by, period, server.core.sites.slug_of)
    return AvailabilityOut(to_text(period.start), to_text(period.end), [line_out(line) for line in lines])


def period_of(since: datetime | None, until: datetime | None, now: int, usual: int = USUAL) -> Period:
    """From *since* (default: *usual* ms before the end) to *until* (default, and at most: *now*).

    Raises `InvalidInput` for one that is empty, too long, or begins in the future.
    """
    end = now if until is None else min(now, from_datetime(until))
    start = end - usual if since is None else from_datetime(since)
    if start >= end:
        raise InvalidInput.of("from", "must lie before `to`, and in the past")
    if end - start > LONGEST:
        raise InvalidInput.of("from", f"must be at most {LONGEST // DAY} days before `to`: so long it is kept")
    return Period(start, end)


def _checks(server: Server, caller: Caller, asked: AvailabilityQuery | OutageQuery) -> list[Check]:
    sites = visible_sites(server.core.sites, caller, asked.site)
    with server.core.database.read() as connection:
        found = [service.find(connection, asked.check, sites)] if asked.check is not None else store.of_sites(connection, sites)
    return [check for check in found if asked.group is None or check.definition.group == asked.group]


def line_out(line: Line) -> LineOut:
    """One line for the wire."""
    found, budget = line.uptime, line.budget
    return LineOut(
        key=line.key,
        name=line.name,
        checks=len(line.checks),
        uptime_percent=_rounded(found),
        up_seconds=found.up / 1000,
        degraded_seconds=found.degraded / 1000,
        down_seconds=found.down / 1000,
        unknown_seconds=found.unknown / 1000,
        maintenance_seconds=found.maintenance / 1000,
        paused_seconds=found.paused / 1000,
        outages=found.outages,
        longest_outage_seconds=found.longest / 1000,
        budget=None if budget is None else BudgetOut(budget.sla, budget.allowed / 1000, budget.used / 1000, budget.left / 1000),
    )


def _rounded(found: Uptime) -> float | None:
    """To four digits, but never to 100 what was down for a moment."""
    percent = found.percent
    if percent is None:
        return None
    rounded = round(percent, 4)
    return 99.9999 if rounded >= 100 and found.down else rounded


def _outage_out(server: Server, check: Check, one: Outage) -> OutageOut:
    return OutageOut(
        check=check.id,
        name=check.definition.name,
        site=server.core.sites.slug_of(check.site_id),
        host=check.definition.place,
        starts_at=to_text(one.starts_at),
        ends_at=to_text_or_none(one.ends_at),
        seconds=one.lasted / 1000,
        cause=one.cause,
        words=one.words,
    )

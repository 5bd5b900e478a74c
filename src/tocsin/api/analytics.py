"""``/analytics``: how quickly people answer, how long problems last, what is noisy, whom it wakes."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, get
from msgspec import Meta

from tocsin.api.context import Given, TheCaller, TheServer, visible_sites
from tocsin.api.fields import Moment, Slug, Time
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_text
from tocsin.core.zones import is_zone
from tocsin.events.sites import SiteBook
from tocsin.reports import rules, service
from tocsin.reports.model import Figures, Metric, Noisy, Pages, Period, Step, Summary

USUAL = 7 * DAY
EARLIEST, LATEST = 0, 4_102_444_800_000  # from 1970 to 2100

Zone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="The IANA zone whose clock hours, weekdays and days are of. Default: UTC.",
        examples=["Europe/Berlin"],
        extra={"must": "be an IANA time zone such as Europe/Berlin"},
    ),
]


class SummaryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which period (default: the last 7 days; at most 366), of which site."""

    since: Annotated[Moment, Meta(description="From this moment on.")] | None = msgspec.field(default=None, name="from")
    until: Annotated[Moment, Meta(description="Before this moment. Default: now.")] | None = msgspec.field(default=None, name="to")
    site: Slug | None = None
    time_zone: Zone = "UTC"


class SeriesQuery(SummaryQuery, frozen=True, kw_only=True):
    """Of which figure, in which steps. By the hour at most 31 days."""

    metric: Annotated[Metric, Meta(extra={"must": f"be one of {', '.join(Metric)}"}, description="Which figure, as the summary names it.")]
    step: Annotated[Step, Meta(extra={"must": "be day or hour"}, description="How long each point lasts.")] = Step.DAY


class FiguresOut(msgspec.Struct, frozen=True):
    """What is counted of a period. Without anything to divide by, a figure is null."""

    mtta_seconds: Annotated[float | None, Meta(description="Mean time from when people were told until somebody acknowledged or snoozed.")]
    mttr_seconds: Annotated[float | None, Meta(description="Mean time from when an alert began until it was resolved.")]
    escalation_rate: Annotated[float | None, Meta(description="The share of alerts that went beyond the first level: 0 to 1.")]
    alerts: Annotated[int, Meta(description="How often alerts began: opened, or came back.")]
    acknowledged: Annotated[int, Meta(description="Answers that came in this period.")]
    resolved: Annotated[int, Meta(description="Ends that came in this period.")]
    escalated: int


class NoisyOut(msgspec.Struct, frozen=True):
    """One kind of trouble with one thing."""

    site: str
    type: str
    subject: str | None
    alerts: Annotated[int, Meta(description="How often it began.")]
    occurrences: Annotated[int, Meta(description="Events that these alerts have counted.")]


class PagesOut(msgspec.Struct, frozen=True):
    """How often one person was paged. Night is 22:00 to 07:00 on their own clock; a digest counts once."""

    who: str
    user: Annotated[str | None, Meta(description="The person's id; null for a contact that is nobody's in particular.")]
    time_zone: str
    day: int
    night: int


class PeriodOut(FiguresOut, frozen=True, kw_only=True):
    """The period before, of the same length."""

    since: Time = msgspec.field(name="from")
    until: Time = msgspec.field(name="to")


class SummaryOut(PeriodOut, frozen=True, kw_only=True):
    """All about a period."""

    time_zone: str
    unresolved: Annotated[int, Meta(description="Alerts that are not resolved now.")]
    by_severity: Annotated[
        dict[str, int], Meta(description="How often alerts began, by the severity that each has or had last, `1` to `5`.")
    ]
    by_type: Annotated[dict[str, int], Meta(description="The 200 most frequent, the most frequent first.")]
    by_hour: Annotated[list[int], Meta(description="24 numbers: hours of the day.")]
    by_weekday: Annotated[list[int], Meta(description="7 numbers: Monday to Sunday.")]
    by_weekday_and_hour: Annotated[list[list[int]], Meta(description="For each weekday, its 24 hours.")]
    noisiest: Annotated[list[NoisyOut], Meta(description="The 10 that began most often.")]
    people: list[PagesOut]
    before: PeriodOut


class PointOut(msgspec.Struct, frozen=True):
    """One point: when it begins, and the figure from then to the next."""

    at: Time
    value: float | None
    count: Annotated[int, Meta(description="How many alerts, answers or ends it is made of.")]


class SeriesOut(msgspec.Struct, frozen=True):
    """One figure over time."""

    metric: Metric
    step: Step
    time_zone: str
    points: list[PointOut]


class AnalyticsApi(Controller):
    """Analytics."""

    path = "/analytics"
    tags = ("Analytics",)

    @get("/summary", sync_to_thread=True)
    def show_summary(self, server: TheServer, caller: TheCaller, asked: Given[SummaryQuery]) -> SummaryOut:
        """Sums up a period, beside the one before.

        Answers and ends belong to the period in which they came. What was undone did not happen; each return of an alert
        counts by itself; while an alert is muted nobody is waited for.
        """
        sites, period, zone = _read(server, caller, asked)
        with server.core.database.read() as connection:
            found = service.summary(connection, period, zone, sites)
        return summary_out(found, server.core.sites)

    @get("/series", sync_to_thread=True)
    def show_series(self, server: TheServer, caller: TheCaller, asked: Given[SeriesQuery]) -> SeriesOut:
        """One figure, day by day or hour by hour on the clock of the zone."""
        sites, period, zone = _read(server, caller, asked)
        if asked.step is Step.HOUR:
            rules.check_period(period, rules.LONGEST_BY_HOUR)
        with server.core.database.read() as connection:
            points = service.series(connection, period, asked.step, zone, sites)
        made = [PointOut(to_text(p.at), rules.value(p.figures, asked.metric), _count(p.figures, asked.metric)) for p in points]
        return SeriesOut(asked.metric, asked.step, asked.time_zone, made)


def _read(server: Server, caller: Any, asked: SummaryQuery) -> tuple[frozenset[int] | None, Period, ZoneInfo]:
    return (
        visible_sites(server.core.sites, caller, asked.site),
        read_period(asked.since, asked.until, server.core.clock.now()),
        read_zone(asked.time_zone),
    )


def read_period(since: Any, until: Any, now: int) -> Period:
    """The period between two moments, by default the last 7 days. Raises `InvalidInput`."""
    end = now if until is None else from_datetime(until)
    start = end - USUAL if since is None else from_datetime(since)
    for field, at in (("from", start), ("to", end)):
        if not EARLIEST <= at <= LATEST:
            raise InvalidInput.of(field, "must be between 1970 and 2100")
    return rules.check_period(Period(start, end))


def read_zone(name: str) -> ZoneInfo:
    """The zone of this name. Raises `InvalidInput`."""
    if not is_zone(name):
        raise InvalidInput.of("time_zone", f"{name!r} is no time zone. Example: Europe/Berlin")
    return ZoneInfo(name)


def _count(figures: Figures, metric: Metric) -> int:
    match metric:
        case Metric.MTTA:
            return figures.answered.count
        case Metric.MTTR:
            return figures.ended.count
        case _:
            return figures.began


def _figures(figures: Figures, period: Period) -> dict[str, Any]:
    return {
        "since": to_text(period.since),
        "until": to_text(period.until),
        "mtta_seconds": rules.value(figures, Metric.MTTA),
        "mttr_seconds": rules.value(figures, Metric.MTTR),
        "escalation_rate": rules.value(figures, Metric.ESCALATION_RATE),
        "alerts": figures.began,
        "acknowledged": figures.answered.count,
        "resolved": figures.ended.count,
        "escalated": figures.escalated,
    }


def summary_out(found: Summary, sites: SiteBook) -> SummaryOut:
    """A summary for the wire."""
    return SummaryOut(
        **_figures(found.now, found.period),
        time_zone=found.time_zone,
        unresolved=found.still_open,
        by_severity={str(severity): found.by_severity.get(severity, 0) for severity in (5, 4, 3, 2, 1)},
        by_type=found.by_type,
        by_hour=[sum(day[hour] for day in found.weekdays) for hour in range(24)],
        by_weekday=[sum(day) for day in found.weekdays],
        by_weekday_and_hour=found.weekdays,
        noisiest=[_noisy(one, sites) for one in found.noisiest],
        people=[_pages(one) for one in found.people],
        before=PeriodOut(**_figures(found.before, found.period.before)),
    )


def _noisy(one: Noisy, sites: SiteBook) -> NoisyOut:
    return NoisyOut(sites.slug_of(one.site_id), one.type, one.subject, one.alerts, one.occurrences)


def _pages(one: Pages) -> PagesOut:
    return PagesOut(one.who, one.user_id, one.time_zone, one.day, one.night)

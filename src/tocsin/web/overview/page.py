"""The page ``/`` and what it reads."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get

from tocsin.alerts import queries
from tocsin.alerts.model import Alert, Status
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY, HOUR
from tocsin.events import counts, queries as event_queries
from tocsin.events.sites import Site
from tocsin.oncall import service as oncall, store as oncall_store
from tocsin.oncall.model import Shifts
from tocsin.web import people
from tocsin.web.alerts import escalating
from tocsin.web.alerts.rules import NextStep
from tocsin.web.desk import Desk, Sites
from tocsin.web.overview import dial, rules
from tocsin.web.overview.rules import Group, Known, Line, Span
from tocsin.web.pages import AnyRequest, news_since, screen
from tocsin.web.times import Times
from tocsin.web.viewer import TheViewer, zone_named

SHOWN = 8
NEWS = 9
STEPS_READ = 250
COMING = 5
QUIET = (Status.SNOOZED, rules.MUTED)
PLANS = 3


class Facts(msgspec.Struct, frozen=True):
    """All that the overview is made of, as it stands for readers of the same sites."""

    groups: list[Group]
    loudest: list[Alert]
    ended: list[Span]
    heard: list[counts.Count]
    last_seen: dict[int, int]
    quiet_since: int | None
    lines: list[Line]
    due: list[Alert]
    planned: dict[int, NextStep]
    missing: dict[int, int]
    plans: list[tuple[str, Shifts]]
    names: dict[str, str]
    at: int


class SiteRow(msgspec.Struct, frozen=True):
    """One line of the table of sites. ``level``: its loudest open alert's severity, 0: none."""

    site: Site
    level: int
    troubles: int
    kinds: list[str]
    bars: list[dial.Bar]
    last_at: int | None
    today: int
    missing: int | None


class OverviewPage(Controller):
    """The front page."""

    include_in_schema = False

    @get("/", sync_to_thread=True)
    def overview(self, request: AnyRequest, viewer: TheViewer) -> Response[bytes]:
        """Says whether everything is all right, and who has it."""
        desk: Desk = request.app.state.desk
        now = desk.now()
        facts = desk.kept(("overview", viewer.site_ids), lambda: read(desk.server, now, viewer.site_ids), since=news_since(request))
        times = Times(zone_named(viewer.time_zone), now)
        name = people.namer(facts.names)
        rows = site_rows(desk.sites(viewer), facts, now)
        known = Known(
            now=now,
            tally=rules.tally(facts.groups),
            worst=facts.loudest[0] if facts.loudest else None,
            sites=len(rows),
            watch=rules.on_watch(facts.plans, name, now),
            last_event_at=max(facts.last_seen.values(), default=None),
            quiet_since=facts.quiet_since,
            last_hour=sum(one.events for one in facts.heard if one.cell >= now - HOUR),
        )
        return screen(
            request,
            viewer,
            "overview.html",
            as_of=facts.at,
            here="overview",
            front=rules.front(known, name, times.clock),
            tally=known.tally,
            alerts=facts.loudest,
            rows=rows,
            dial=draw(rows, facts.plans, times),
            dial_says=rules.dial_says(known.tally.open, [(row.site.name, row.kinds) for row in rows]),
            news=rules.news(facts.lines, name, NEWS),
            coming=[rules.coming(alert, name) for alert in facts.due],
            watch=rules.watchers(facts.plans, name, times.when, now),
            last_event_at=known.last_event_at,
            next_id=next((alert.id for alert in facts.loudest if alert.status == Status.OPEN), None),
            planned=facts.planned,
            name=name,
            site_name=desk.site_name,
        )


def read(server: Server, now: int, site_ids: Sites) -> Facts:
    """Reads all of it in one snapshot."""
    with server.core.database.read() as connection:
        loudest, names = queries.loudest(connection, site_ids, SHOWN), people.names(connection)
        all_sites = [site.id for site in server.core.sites.all() if site_ids is None or site.id in site_ids]
        return Facts(
            groups=[Group(*row) for row in queries.groups(connection, site_ids)],
            loudest=loudest,
            ended=[Span(*row) for row in queries.ended(connection, now - DAY, rules.CELL, site_ids)],
            heard=counts.cells(connection, now - DAY, now, site_ids),
            last_seen=counts.last_seen(connection, all_sites),
            quiet_since=queries.last_resolved_at(connection, site_ids),
            lines=[Line(*row) for row in queries.steps_since(connection, now - DAY, site_ids, STEPS_READ)],
            due=queries.coming_due(connection, now + DAY, site_ids, COMING),
            planned=escalating.planned(connection, loudest, server.core.policies, names),
            missing=_missing(connection, site_ids),
            plans=[
                (one.name, oncall.shifts(connection, one, now - DAY, now + 2 * DAY))
                for one in oncall_store.schedules(connection, None, PLANS)
            ],
            names=names,
            at=now,
        )


def _missing(connection: sa.Connection, site_ids: Sites) -> dict[int, int]:
    """How many numbered events of each site never came; sites that do not number theirs are not in it."""
    found: dict[int, int] = {}
    for source in event_queries.sources(connection, None, None, 1_000):
        if site_ids is None or source.site_id in site_ids:
            found[source.site_id] = found.get(source.site_id, 0) + source.missing
    return found


def site_rows(sites: list[Site], facts: Facts, now: int) -> list[SiteRow]:
    """The sites, those with the most trouble first."""
    ids = [site.id for site in sites]
    spans = [*facts.ended, *(Span(group.site_id, group.severity, group.since, now) for group in facts.groups if group.status not in QUIET)]
    kinds = rules.cells(spans, [(one.site_id, one.cell) for one in facts.heard], ids, now)
    today = _sums(facts.heard)
    rows = [
        SiteRow(
            site,
            max((group.severity for group in facts.groups if _awake(group, site)), default=0),
            sum(group.count for group in facts.groups if _awake(group, site) and group.severity > 2),
            kinds[site.id],
            dial.bars(kinds[site.id]),
            facts.last_seen.get(site.id),
            today.get(site.id, 0),
            facts.missing.get(site.id),
        )
        for site in sites
    ]
    return sorted(rows, key=lambda row: (-row.level, -rules.loudness(row.kinds), row.site.name.lower()))


def _awake(group: Group, site: Site) -> bool:
    return group.site_id == site.id and group.status not in QUIET


def _sums(heard: list[counts.Count]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for one in heard:
        found[one.site_id] = found.get(one.site_id, 0) + one.events
    return found


def draw(rows: list[SiteRow], plans: list[tuple[str, Shifts]], times: Times) -> dial.Dial:
    """The dial of the sites with the most trouble, and of the first plan's watch."""
    now = times.now
    heard = [row for row in rows if row.last_at is not None or row.level]
    shown = sorted(heard, key=lambda row: -rules.loudness(row.kinds))[: dial.RINGS]
    offset = times.local(now).utcoffset() or timedelta()
    past = [one for one in plans[0][1].shifts if one.starts_at < now] if plans else []
    shifts = [dial.Shift(one.starts_at, min(now, one.ends_at), now=one.ends_at > now) for one in past]
    return dial.draw([(row.site.name, row.kinds) for row in shown], shifts, now, int(offset.total_seconds() * 1000))

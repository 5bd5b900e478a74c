"""Availability by time: stretches add up to the period, what nobody knows counts neither way, and promises are held to."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.checks.build import DOWN, FINE, LOST, SHOP, SLOW, Watched, a_check
from tests.fakes import NOW
from tests.world import World
from tocsin.checks import figures, store, uptime
from tocsin.checks.figures import Period
from tocsin.checks.model import Check, Span, State, Status
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.db import tables
from tocsin.db.engine import Database

pytestmark = pytest.mark.claim("H5")

CHECK = Check(
    id="c",
    site_id=1,
    definition=SHOP,
    version=1,
    is_paused=False,
    status=Status.UP,
    status_since=0,
    state=State(),
    created_at=NOW,
    created_by="marta",
    updated_at=NOW,
    last_at=NOW + 30 * DAY,
)


def lived(*stretches: tuple[Status, int]) -> list[Span]:
    """Stretches one after the other; the last one lasts."""
    spans, at = [], NOW
    for status, length in stretches:
        spans.append(Span(check_id="c", status=status, starts_at=at, ends_at=at + length, cause="x"))
        at += length
    spans.append(Span(check_id="c", status=Status.UP, starts_at=at, ends_at=None, cause="x"))
    return spans


@pytest.mark.claim("K16", "R2")
def test_uptime_is_the_time_up_of_the_time_that_is_known() -> None:
    spans = lived((Status.UP, 90 * MINUTE), (Status.DOWN, 5 * MINUTE), (Status.DEGRADED, 5 * MINUTE), (Status.UNKNOWN, HOUR))
    found = uptime.uptime(uptime.clipped(CHECK, spans, NOW, NOW + 160 * MINUTE))
    assert (found.up, found.down, found.degraded, found.unknown) == (90 * MINUTE, 5 * MINUTE, 5 * MINUTE, HOUR)
    assert found.percent == 95
    assert (found.outages, found.longest) == (1, 5 * MINUTE)


@pytest.mark.claim("K16", "R2")
def test_maintenance_and_pauses_are_shown_and_do_not_count() -> None:
    spans = lived((Status.MAINTENANCE, HOUR), (Status.PAUSED, HOUR), (Status.UP, HOUR))
    found = uptime.uptime(uptime.clipped(CHECK, spans, NOW, NOW + 3 * HOUR))
    assert (found.maintenance, found.paused, found.percent) == (HOUR, HOUR, 100)


def test_nothing_known_is_no_figure() -> None:
    assert uptime.uptime(uptime.clipped(CHECK, lived((Status.UNKNOWN, HOUR)), NOW, NOW + HOUR)).percent is None


def test_an_outage_that_reaches_into_a_period_counts_from_its_beginning() -> None:
    spans = lived((Status.UP, HOUR), (Status.DOWN, HOUR), (Status.UP, HOUR))
    (outage,) = uptime.outages(CHECK, spans, NOW + 90 * MINUTE, NOW + 3 * HOUR)
    assert (outage.starts_at, outage.ends_at, outage.lasted) == (NOW + HOUR, NOW + 2 * HOUR, 30 * MINUTE)


def test_what_was_seen_last_is_not_taken_to_hold_for_ever() -> None:
    """Tocsin was stopped: an hour later nobody can say that it is still up."""
    stopped = Check(**{name: getattr(CHECK, name) for name in Check.__struct_fields__} | {"last_at": NOW + HOUR})
    found = uptime.uptime(uptime.clipped(stopped, lived(), NOW, NOW + 2 * HOUR))
    assert (found.up, found.unknown) == (HOUR + 3 * MINUTE, 57 * MINUTE)


@pytest.mark.claim("P1")
def test_a_promise_is_a_budget_of_minutes() -> None:
    spans = lived((Status.UP, 999 * MINUTE), (Status.DOWN, MINUTE))
    found = uptime.uptime(uptime.clipped(CHECK, spans, NOW, NOW + 1_000 * MINUTE))
    budget = uptime.budget(found, 99.8)
    assert budget is not None
    assert (budget.allowed, budget.used, budget.left) == (2 * MINUTE, MINUTE, MINUTE)
    broken = uptime.budget(found, 99.95)
    assert broken is not None
    assert broken.left == -30 * SECOND
    assert uptime.budget(found, None) is None


_stretches = st.lists(st.tuples(st.sampled_from(list(Status)), st.integers(1, 5_000)), max_size=20)


@pytest.mark.claim("K16", "R2")
@given(_stretches, st.integers(-2_000, 60_000), st.integers(1, 60_000))
def test_whatever_happened_the_parts_add_up_to_the_period(stretches: Sequence[tuple[Status, int]], start: int, length: int) -> None:
    start, end = NOW + start, NOW + start + length
    spans = uptime.clipped(CHECK, lived(*stretches), start, end)
    found = uptime.uptime(spans)
    total = found.measured + found.unknown + found.maintenance + found.paused
    assert total == max(0, end - max(start, NOW))
    middle = (start + end) // 2
    halves = [uptime.uptime(uptime.clipped(CHECK, lived(*stretches), *part)) for part in ((start, middle), (middle, end))]
    assert sum(half.down for half in halves) == found.down


@pytest.mark.claim("K16", "R2")
@given(_stretches, st.integers(-2_000, 60_000), st.integers(1, 60_000), st.integers(0, 90_000))
def test_added_up_where_they_lie_the_stretches_come_to_the_same(
    database: Database, stretches: Sequence[tuple[Status, int]], start: int, length: int, seen: int
) -> None:
    start, end = NOW + start, NOW + start + length
    check, spans = msgspec.structs.replace(CHECK, last_at=NOW + seen), lived(*stretches)
    with database.writer_connection() as connection:
        connection.execute(tables.check_spans.delete())
        rows = [msgspec.structs.asdict(span) | {"status": span.status.value} for span in spans]
        connection.execute(tables.check_spans.insert(), rows)
        totals = store.totals(connection, [check.id], start, end)[check.id]
        downs = store.outages(connection, [check.id], start, end, limit=100)
        connection.rollback()
    assert uptime.of_totals(check, totals, start, end) == uptime.uptime(uptime.clipped(check, spans, start, end))
    touching = [span for span in spans if span.starts_at < end and (span.ends_at is None or span.ends_at > start)]
    assert downs == [span for span in reversed(touching) if span.status is Status.DOWN]


@pytest.mark.claim("K16", "R2", "P1")
async def test_a_check_that_lives_through_a_day_has_the_figures_of_that_day(world: World) -> None:
    shop = await Watched.make(world, a_check(retries=1, retry_after=20, sla=99.0, group="shop", interval=600))
    await shop.lives_for(2 * HOUR, FINE)
    await shop.lives_for(30 * MINUTE, DOWN)
    await shop.lives_for(HOUR, FINE)
    await shop.lives_for(30 * MINUTE, LOST)
    await shop.lives_for(20 * HOUR, SLOW)
    now = world.clock.now()
    with world.core.database.read() as connection:
        check = store.get(connection, shop.id)
        assert check is not None
        (line,) = figures.availability(connection, [check], "group", Period(now - DAY, now), world.core.sites.slug_of)
        ((_, outage),) = figures.outages(connection, [check], Period(now - DAY, now))
        both = figures.both(connection, [check], "group", Period(now - DAY, now), world.core.sites.slug_of, latest=5)
    assert both == ([line], [(check, outage)], 1)
    assert (line.key, line.name) == ("shop", "shop")
    assert line.uptime.down == pytest.approx(30 * MINUTE, abs=601 * SECOND)
    assert line.uptime.unknown == pytest.approx(30 * MINUTE, abs=601 * SECOND)
    assert line.uptime.percent == pytest.approx(100 * (1 - 0.5 / 23.5), abs=0.8)
    assert line.budget is not None
    assert line.budget.left < 0
    assert outage.lasted == line.uptime.down
    assert outage.cause == "refuses the connection"


@pytest.mark.claim("K3", "A14", "S10", "origin:A12")
async def test_response_times_are_kept_as_metrics_and_failures_have_none(world: World) -> None:
    from tocsin.metrics.model import SeriesFilter

    shop = await Watched.make(world, a_check(retries=0))
    await shop.lives(FINE, SLOW, DOWN, LOST)
    with world.core.database.read() as connection:
        (series,) = world.core.history.find(connection, SeriesFilter(name="response_ms"))
        points = world.core.history.points(connection, series.id, NOW - DAY, world.clock.at + 1)
    assert (series.host, dict(series.labels)) == ("shop.example.com", {"check": shop.id, "kind": "tcp"})
    assert [value for _, value in points] == [12.0, 3500.0]

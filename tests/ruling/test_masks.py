"""Asking many rules at once, and replaying events under them, comes to what asking each by itself does."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, strategies as st

from tests.build import an_event
from tests.fakes import NOW
from tests.ruling.build import a_rule, at_night
from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.events import store as event_store
from tocsin.muting.model import Matcher, Op
from tocsin.ruling import backtest
from tocsin.ruling.masks import Masks
from tocsin.ruling.model import EventLabels, EventRule, Threshold
from tocsin.ruling.replay import Replay
from tocsin.ruling.rules import Ready

pytestmark = pytest.mark.claim("A10")

FIELDS = {
    "type": ["disk.full", "disk.slow", "cpu.high"],
    "host": ["web-1", "web-2", "db-1", ""],
    "title": ["Disk full", "Disk slow", ""],
    "severity": ["1", "3", "5"],
    "attributes.rack": ["r1", "r2", ""],
    "attributes.usage": ["97", ""],
}
SEVERITIES = ["[13]", "5|1"]  # one that fits no severity is refused
PATTERNS = ["disk.*", "web-[0-9]", ".*full", "[13]", "r.", "", "9"]


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    field = draw(st.sampled_from(sorted(FIELDS)))
    op = draw(st.sampled_from(Op))
    numbers, patterns = (["1", "3"], SEVERITIES) if field == "severity" else (["1", "3", "97", "-0.5"], PATTERNS)
    value = draw(st.sampled_from(patterns if op is Op.REGEX else numbers if op in (Op.AT_LEAST, Op.AT_MOST) else FIELDS[field]))
    return Matcher(field, op, value[:3] if op is Op.PREFIX else value)


rules = st.builds(
    lambda place, found, night: a_rule(number=place, matchers=tuple(found), **(at_night() if night else {})),
    st.integers(0, 99),
    st.lists(matchers(), max_size=3),
    st.booleans(),
)
labels = st.builds(
    lambda kind, host, title, severity, rack, usage: EventLabels(
        "main",
        an_event(
            type=kind,
            host=host or None,
            title=title,
            severity=int(severity),
            attributes=f'{{"rack":"{rack}","usage":{usage or "null"}}}' if rack or usage else None,
        ),
    ),
    *[st.sampled_from(FIELDS[name]) for name in ("type", "host", "title", "severity", "attributes.rack", "attributes.usage")],
)


@given(st.lists(rules, max_size=60), st.lists(labels, min_size=1, max_size=5), st.integers(NOW, NOW + 7 * DAY))
def test_asked_together_the_same_rules_match_as_asked_one_by_one(found: list[EventRule], events: list[EventLabels], at: int) -> None:
    masks = Masks(found)
    for one in [*events, *events]:  # the second time from memory
        mask = masks.of(one.get, at)
        assert [bool(mask >> place & 1) for place in range(len(found))] == [Ready(rule).why_not(one, at) is None for rule in found]


# Replaying.

Row = tuple[int, int, str, int, str, str, int | None]


def row(at: int, key: str = "k", *, severity: int = 4, number: int | None = 1, kind: str = "disk.full") -> Row:
    return (NOW + at, 1, kind, severity, "problem", key, number)


def over(at: int, key: str = "k", *, kind: str = "disk.full") -> Row:
    return (NOW + at, 1, kind, 1, "recovery", key, 1)


def replay(*rows: Row, until: int = DAY, **actions: Any) -> tuple[int, int]:
    """Pages without and with a rule of these actions."""
    course = Replay([], [a_rule("type=disk.full", **actions)], lambda _: "main", lambda _site, _kind, key: (key,))
    course.take(rows)
    before, after = course.outcome(NOW + until)
    return before.pages, after.pages


def test_repeats_do_not_page_and_getting_worse_does() -> None:
    assert replay(row(0), row(1), row(2, severity=5), row(3, severity=5), severity=2) == (2, 1)


def test_a_delay_is_paged_once_it_is_over_and_not_if_the_problem_is_over_first() -> None:
    assert replay(row(0), over(299_999), row(HOUR), delay_seconds=300) == (2, 1)
    assert replay(row(0), over(300_000), delay_seconds=300) == (1, 1)
    assert replay(row(0), until=299_999, delay_seconds=300) == (1, 0), "its delay has not ended yet"


def test_a_threshold_is_paged_once_it_is_reached() -> None:
    three = Threshold(3, 600)
    assert replay(*[row(n * 6 * MINUTE) for n in range(9)], threshold=three) == (1, 0)
    assert replay(*[row(n * MINUTE) for n in range(9)], threshold=three) == (1, 1)


def test_a_key_makes_one_problem_of_several() -> None:
    assert replay(row(0, "a"), row(1, "b"), row(2, "c"), dedup_key="{site}") == (3, 1)
    assert replay(row(0, "a"), over(1, "a"), row(2, "b"), dedup_key="{site}") == (2, 2)


def test_what_is_muted_or_info_pages_nobody() -> None:
    assert replay(row(0), mute=True) == (1, 0)
    assert replay(row(0), severity=1) == (1, 0)


def test_what_is_said_the_same_about_is_followed_once_and_counts_for_both() -> None:
    assert replay(row(0, "a", kind="cpu.high"), row(1, "b"), over(2, "a", kind="cpu.high"), mute=True) == (2, 1)


def test_a_problem_that_two_kinds_of_events_are_about_is_followed_apart_from_then_on() -> None:
    """Both begin alike; then an event comes that only the rule speaks about."""
    assert replay(row(0, "k", kind="cpu.high", severity=2), row(1, "k", severity=4), row(2, "k", severity=5), mute=True) == (3, 1)


def test_what_somebody_resolved_is_over() -> None:
    course = Replay([], [a_rule("type=disk.full", mute=True)], lambda _: "main", lambda _site, _kind, key: (key,))
    course.take([row(0), row(1, "other", kind="cpu.high", number=2)])
    course.resolve(1, NOW + 2)
    course.resolve(2, NOW + 2)
    course.take([row(3, number=3), row(4, "other", kind="cpu.high", number=4)])
    before, after = course.outcome(NOW + DAY)
    assert (before.pages, after.pages, before.alerts, after.alerts) == (4, 2, 4, 4)


async def test_a_back_test_stops_when_its_time_is_up_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "AT_ONCE", 5)
    rows = [event_store.row_of(an_event(number, dedup_key=str(number), occurred_at=NOW), NOW, None) for number in range(1, 14)]
    await world.write(lambda tx: event_store.add(tx, rows))
    ticks = iter([0.0, 1.0, backtest.SECONDS + 1])
    with world.core.database.read() as connection:
        found = backtest.run(connection, [], [a_rule("type^disk.", mute=True)], world.core.sites, NOW, tick=lambda: next(ticks))
        whole = backtest.run(connection, [], [], world.core.sites, NOW)
    assert (found.events, found.complete, found.before.pages) == (10, False, 10)
    assert (whole.events, whole.complete, whole.before.pages) == (13, True, 13)
    assert world.rows(sa.text("SELECT count(*) FROM alerts"))[0][0] == 0

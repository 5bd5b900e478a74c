"""What event rules come to, and what is wrong with a rule."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from tests.build import an_event
from tests.fakes import NOW
from tests.muting.build import at
from tests.ruling.build import a_rule, at_night, rule_set
from tocsin.core.errors import InvalidInput
from tocsin.events.model import Event
from tocsin.oncall.model import Restriction
from tocsin.ruling.model import Actions, EventLabels, EventRule, Ruling, Threshold
from tocsin.ruling.rules import Ready, RuleSet, faults
from tocsin.ruling.week import Week

pytestmark = pytest.mark.claim("A10")


def ruled(rules: RuleSet, event: Event | None = None, when: int = NOW, **changes: Any) -> tuple[Event, Ruling | None]:
    found = rules.rule(event or an_event(**changes), "main", when)
    return found.event, found.ruling


def test_an_event_that_no_rule_matches_is_as_it_came() -> None:
    event = an_event()
    assert ruled(rule_set(a_rule("type=cpu.high")), event) == (event, None)
    assert ruled(RuleSet(), event) == (event, None)


@pytest.mark.parametrize(
    "text",
    [
        "site=main",
        "type=disk.full",
        "type^disk.",
        "severity=3",
        "host~web-[0-9]+",
        "subject=disk:/",
        "title~.*full",
        "message^no space",
        "source=agent-7",
        "attributes.mount=/var",
        "host!=web-2",
    ],
)
def test_a_rule_matches_on_every_field(text: str) -> None:
    event = an_event(message="no space left", source="agent-7", attributes='{"mount":"/var"}')
    changed, ruling = ruled(rule_set(a_rule(text, severity=5)), event)
    assert changed.severity == 5
    assert ruling is not None
    assert [decision.words for decision in ruling.decisions] == ['rule "Rule 1" (version 1): severity 5']


@pytest.mark.parametrize(
    "text", ["site=shop", "type=disk", "severity=2", "host=web-2", "title^full", "source=agent-7", "attributes.mount=/"]
)
def test_a_rule_that_does_not_match_decides_nothing(text: str) -> None:
    assert ruled(rule_set(a_rule(text))) == (an_event(), None)


def test_of_each_thing_the_first_rule_that_decides_it_wins() -> None:
    rules = rule_set(
        a_rule("type^disk.", number=1, severity=2),
        a_rule("host=web-1", number=2, severity=5, title="{host}: {title}"),
        a_rule("host=web-1", number=3, severity=4, delay_seconds=60),
    )
    event, ruling = ruled(rules)
    assert (event.severity, event.title) == (2, "web-1: Disk full")
    assert ruling is not None
    assert ruling.delay == 60_000
    assert [(decision.name, decision.set) for decision in ruling.decisions] == [
        ("Rule 1", ("severity 2",)),
        ("Rule 2", ("title {host}: {title}",)),
        ("Rule 3", ("nobody is told for the first 60 seconds",)),
    ]


def test_each_rule_sees_the_event_as_it_came() -> None:
    rules = rule_set(a_rule("severity=3", number=1, severity=5), a_rule("severity=5", number=2, mute=True))
    event, ruling = ruled(rules)
    assert event.severity == 5
    assert ruling is not None
    assert ruling.muted_by is None, "severity 5 is what rule 1 made of it"


def test_after_a_rule_with_stop_no_other_is_asked() -> None:
    rules = rule_set(a_rule("host=web-1", number=1, severity=2, stop=True), a_rule("host=web-1", number=2, mute=True))
    _, ruling = ruled(rules)
    assert ruling is not None
    assert (ruling.severity, ruling.muted_by) == (2, None)


def test_a_rule_that_is_switched_off_decides_nothing() -> None:
    assert ruled(rule_set(a_rule("host=web-1", enabled=False))) == (an_event(), None)


def test_what_is_only_recorded_is_not_ruled() -> None:
    info = an_event(status="info")
    assert ruled(rule_set(a_rule("host=web-1", severity=5)), info) == (info, None)


# Templates.


def test_a_title_is_one_line_of_at_most_200_characters() -> None:
    event, _ = ruled(rule_set(a_rule(title="{attributes.text} on {host}")), attributes='{"text":"line\\nbreak\\u0000 ' + "x" * 400 + '"}')
    assert event.title.startswith("line break ")
    assert len(event.title) == 200
    assert "\n" not in event.title


def test_a_title_of_nothing_leaves_the_title_as_it_came() -> None:
    assert ruled(rule_set(a_rule(title="{attributes.nothing}")))[0].title == "Disk full"


def test_a_dedup_key_of_fields_makes_one_problem_of_several() -> None:
    rules = rule_set(a_rule("type^disk.", dedup_key="disks of {host}"))
    keys = {ruled(rules, subject=subject)[0].dedup_key for subject in ("disk:/", "disk:/var")}
    assert keys == {"disks of web-1"}


def test_a_dedup_key_without_any_of_its_fields_would_be_everythings_and_is_not_used() -> None:
    assert ruled(rule_set(a_rule(dedup_key="{attributes.check}")))[0].dedup_key == an_event().dedup_key


def test_a_recovery_ends_the_rules_problem_and_its_own() -> None:
    event, _ = ruled(rule_set(a_rule("type^disk.", dedup_key="disks of {host}")), status="recovery", ends=("disk.full|disk:/|web-1",))
    assert event.ends == ("disk.full|disk:/|web-1", "disks of web-1")
    assert event.severity == 3


def test_a_long_dedup_key_is_cut_and_stays_different() -> None:
    rules = rule_set(a_rule(dedup_key="{message}"))
    one, other = (ruled(rules, message="x" * 3_000 + end)[0].dedup_key or "" for end in "ab")
    assert one != other
    assert len(one) <= 255


# Times.


@pytest.mark.parametrize(
    ("wall", "held"),
    [
        ("2026-01-05 21:59", False),
        ("2026-01-05 22:00", True),
        ("2026-01-06 05:59", True),
        ("2026-01-06 06:00", False),
        ("2026-03-29 03:30", True),  # the night in which the clocks are put forward
        ("2026-10-25 05:59", True),  # and back
        ("2026-10-25 06:00", False),
    ],
)
def test_a_rule_holds_at_its_times_by_the_clocks_of_its_zone(wall: str, held: bool) -> None:
    rules = rule_set(a_rule("host=web-1", **at_night()))
    assert (ruled(rules, when=at(wall, "Europe/Berlin"))[1] is not None) is held


restrictions = st.lists(
    st.builds(
        Restriction, st.times(), st.times(), st.lists(st.integers(1, 7), max_size=7, unique=True).map(lambda days: tuple(sorted(days)))
    ),
    min_size=1,
    max_size=3,
)


@given(
    restrictions,
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC", "Pacific/Chatham"]),
    st.integers(at("2025-01-01 00:00"), at("2027-12-31 00:00")),
)
def test_times_are_what_a_person_reads_off_the_clock(times: list[Restriction], zone: str, moment: int) -> None:
    times = [Restriction(t.begins.replace(second=0, microsecond=0), t.ends.replace(second=0, microsecond=0), t.weekdays) for t in times]
    wall = datetime.fromtimestamp(moment // 1000, ZoneInfo(zone))
    clock, today, yesterday = wall.time().replace(second=0), wall.isoweekday(), (wall.isoweekday() - 2) % 7 + 1

    def on(one: Restriction, weekday: int) -> bool:
        return not one.weekdays or weekday in one.weekdays

    def holds(one: Restriction) -> bool:
        if one.begins < one.ends:
            return on(one, today) and one.begins <= clock < one.ends
        return (on(one, today) and clock >= one.begins) or (on(one, yesterday) and clock < one.ends)

    assert Week(times, zone).holds(moment) is any(map(holds, times))


# What is wrong with a rule.


def wrong(rule: EventRule) -> list[str]:
    return sorted(error.field for error in faults(rule, {"default"}))


def test_nothing_is_wrong_with_a_good_rule() -> None:
    every: dict[str, Any] = {
        "severity": 4,
        "policy": "default",
        "dedup_key": "{host}",
        "title": "{host}!",
        "delay_seconds": 60,
        "mute": True,
    }
    assert wrong(a_rule("host~web-.*", **every, threshold=Threshold(3, 60), **at_night())) == []
    assert wrong(a_rule(severity=2)) == [], "a rule about everything, that only sets something"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (a_rule("host=web-1", name=" "), "name"),
        (a_rule("host=web-1", name="a\nb"), "name"),
        (a_rule("host=web-1", time_zone="Mars/Base"), "time_zone"),
        (a_rule("host=web-1", actions=Actions()), "actions"),
        (a_rule("host=web-1", severity=6), "actions.severity"),
        (a_rule("host=web-1", policy="gone"), "actions.policy"),
        (a_rule("host=web-1", title="{nothing}"), "actions.title"),
        (a_rule("host=web-1", title="{host"), "actions.title"),
        (a_rule("host=web-1", dedup_key="{attributes.}"), "actions.dedup_key"),
        (a_rule("host=web-1", dedup_key="a\0"), "actions.dedup_key"),
        (a_rule("host=web-1", delay_seconds=86_401), "actions.delay_seconds"),
        (a_rule("host=web-1", threshold=Threshold(1, 60)), "actions.threshold.count"),
        (a_rule("host=web-1", threshold=Threshold(2, 0)), "actions.threshold.within_seconds"),
        (a_rule("host~(", severity=2), "matchers[0].value"),
        (a_rule("colour=red"), "matchers[0].field"),
        (a_rule(mute=True), "matchers"),
        (a_rule("host~.*", mute=True), "matchers"),
        (a_rule(severity=1), "matchers"),
        (a_rule("host~.*", dedup_key="all"), "matchers"),
    ],
)
def test_what_cannot_be_is_refused_by_name(rule: EventRule, field: str) -> None:
    assert wrong(rule) == [field]


def test_everything_may_be_louder_or_have_keys_of_its_own() -> None:
    assert wrong(a_rule(severity=2)) == []
    assert wrong(a_rule(dedup_key="{host}")) == []


def test_an_expression_that_would_explode_takes_no_time() -> None:
    rules = rule_set(a_rule("host~(a+)+b"))
    assert ruled(rules, host="a" * 253)[1] is None
    with pytest.raises(InvalidInput):
        Ready(a_rule("host~((a{1,1000}){1,1000}){1,1000}"))


def test_a_rule_says_why_it_does_not_match() -> None:
    labels = EventLabels("main", an_event())
    assert Ready(a_rule("host=web-2")).why_not(labels, NOW) == "host is 'web-1', not = 'web-2'"
    assert Ready(a_rule("attributes.x=1")).why_not(labels, NOW) == "there is no attributes.x"
    assert Ready(a_rule(**at_night())).why_not(labels, at("2026-01-05 12:00")) == "it holds at other times of the week (Europe/Berlin)"
    assert Ready(a_rule("host=web-1")).why_not(labels, NOW) is None


# What an event costs.

WEB_1 = {"impact.monthly_income": "2310.00", "impact.services": "182", "impact.clients": "140"}


@pytest.mark.claim("A12")
@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("impact.monthly_income>=500", True),
        ("impact.monthly_income>=2310", True),
        ("impact.monthly_income>=2310.01", False),
        ("impact.clients<=140", True),
        ("impact.clients<=9", False),
        ("impact.due_amount>=0", False),
        ("impact.due_amount<=1000000", False),
    ],
)
def test_a_rule_goes_by_what_hangs_on_a_thing_and_what_is_not_known_is_on_neither_side(text: str, matches: bool) -> None:
    found = rule_set(a_rule(text, severity=5)).rule(an_event(), "main", NOW, lambda *_: WEB_1)
    assert (found.ruling is not None) is matches


def test_what_an_event_costs_is_only_asked_if_a_rule_wants_to_know() -> None:
    asked: list[tuple[object, ...]] = []

    def figures_of(*thing: object) -> dict[str, str]:
        asked.append(thing)
        return WEB_1

    rule_set(a_rule("type=disk.full")).rule(an_event(), "main", NOW, figures_of)
    assert asked == []
    rule_set(a_rule("impact.clients>=1")).rule(an_event(host="web-1"), "main", NOW, figures_of)
    assert [thing[1] for thing in asked] == ["web-1"]


@pytest.mark.parametrize("value", ["", "many", "1e9", "nan", "inf", "0x10", "1,000", "١٢"])
def test_what_is_compared_with_must_be_a_number(value: str) -> None:
    rule = a_rule(f"impact.clients>={value}")
    assert [one.field for one in faults(rule, ())] == ["matchers[0].value"]


def test_no_title_and_no_key_is_made_of_a_figure_that_changes() -> None:
    rule = a_rule("host=web-1", title="{impact.clients} clients", dedup_key="{impact.clients}")
    assert [one.field for one in faults(rule, ())] == ["actions.title", "actions.dedup_key"]

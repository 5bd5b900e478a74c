"""The overview's words: one sentence that says whether all is well and who has it."""

import msgspec
import pytest

from tests.build import an_alert
from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.oncall.model import Shift, Shifts, Source
from tocsin.web.overview import rules
from tocsin.web.overview.rules import Front, Group, Known, Line, Span

NAMES = {"marta@example.com": "Marta Weiss", "jonas@example.com": "Jonas Weber", "u-marta": "Marta Weiss", "u-jonas": "Jonas Weber"}


def name(actor: str | None) -> str:
    return NAMES.get(actor or "", actor or "somebody")


def clock(ms: int) -> str:
    return f"{ms % DAY // HOUR:02d}:{ms % HOUR // MINUTE:02d}"


def said(*groups: Group, **known: object) -> Front:
    values = {"now": NOW, "tally": rules.tally(groups), "worst": None, "sites": 3, "last_event_at": NOW - 4_000}
    return rules.front(Known(**(values | known)), name, clock)  # type: ignore[arg-type]


def open_group(severity: int, count: int = 1, status: str = "open") -> Group:
    return Group(1, severity, status, count, NOW - HOUR)


def test_nothing_ever_came() -> None:
    front = said(last_event_at=None)
    assert front.first
    assert front.rest == "Listening for the first event."


@pytest.mark.claim("U1")
def test_all_quiet_names_who_watches_and_for_how_long_it_has_been_quiet() -> None:
    front = said(watch="Marta", quiet_since=NOW - 41 * HOUR)
    assert front.rest == "All quiet. Marta is on watch."
    assert front.deck == "No open alert for 41 hours. Three sites; the last event came 4\u00a0s ago."


def test_all_quiet_without_a_schedule_and_with_something_snoozed() -> None:
    front = said(open_group(4, 2, "snoozed"))
    assert front.rest == "All quiet."
    assert front.deck.endswith("Two are snoozed.")


def test_what_is_kept_quiet_by_maintenance_needs_nobody() -> None:
    front = said(open_group(5, 40, rules.MUTED))
    assert front.rest == "All quiet."
    assert front.deck.endswith("40 are kept quiet.")


@pytest.mark.claim("U1")
def test_the_worst_alert_is_the_sentence_and_its_owner_is_named() -> None:
    worst = an_alert(
        title="srv-12 is down", severity=5, status="acknowledged", acknowledged_by="marta@example.com", first_seen_at=NOW - 14 * MINUTE
    )
    front = said(open_group(5, status="acknowledged"), open_group(3, 4), worst=worst)
    assert (front.bad, front.rest) == ("srv-12 is down.", "Marta has it.")
    assert front.kicker == "Critical since 23:46, for 14\u00a0min"
    assert front.deck == "Four other alerts need an owner."
    assert front.figures[0] == rules.Figure("4", "without an owner")


@pytest.mark.parametrize(
    ("changes", "rest"),
    [
        ({}, "Nobody has it yet."),
        ({"assignee": "jonas@example.com"}, "It waits for Jonas."),
        ({"status": "acknowledged", "acknowledged_by": "The key whmcs"}, "The key whmcs has it."),
    ],
)
def test_who_has_it(changes: dict[str, str], rest: str) -> None:
    assert said(open_group(4), worst=an_alert(severity=4, **changes)).rest == rest


def test_many_equally_loud_alerts_are_one_sentence() -> None:
    front = said(open_group(5, 37), worst=an_alert(severity=5, title="Disk full"))
    assert (front.bad, front.rest) == ("37 alerts are critical.", "Nobody has them yet.")
    assert front.deck == "The first of them: Disk full."
    assert front.figures[0].loud


def test_small_things_are_no_alarm() -> None:
    front = said(open_group(2, 3), worst=an_alert(severity=2, title="Disk full in 6 days"))
    assert front.rest == "Nothing urgent."
    assert front.deck == "Three small things wait for the day. The loudest: Disk full in 6 days."


def test_a_title_of_any_length_stays_a_sentence() -> None:
    front = said(open_group(4), worst=an_alert(severity=4, title="🔥" * 200))
    assert len(front.bad) <= rules.LONG_TITLE
    assert front.bad.endswith("…")


def test_cells_show_the_worst_of_each_half_hour() -> None:
    spans = [
        Span(1, 3, NOW - 3 * HOUR, NOW - 2 * HOUR),
        Span(1, 5, NOW - 130 * MINUTE, NOW - 125 * MINUTE),
        Span(1, 2, NOW - 5 * HOUR, NOW),
    ]
    heard = [(1, NOW - minutes * MINUTE - 1) for minutes in range(0, 20 * 60, 30)]
    kinds = rules.cells(spans, heard, [1, 2], NOW)
    assert kinds[2] == ["none"] * 48
    assert kinds[1][:8] == ["none"] * 8
    assert kinds[1][42:46] == ["3", "5", "3", "up"]
    assert kinds[1][-1] == "up"


def test_trouble_from_before_yesterday_fills_the_row() -> None:
    assert rules.cells([Span(1, 4, NOW - 9 * DAY, NOW)], [], [1], NOW)[1] == ["4"] * 48


def line(action: str, actor: str = "tocsin", number: int = 1, title: str = "Disk full", severity: int = 4) -> Line:
    return Line(NOW, actor, action, severity, number, title)


def read(one: rules.News) -> str:
    return one.before + one.link + one.after


def test_news_read_like_sentences() -> None:
    lines = [
        line("acknowledged", "marta@example.com"),
        line("opened"),
        line("resolved"),
        line("resolved", "jonas@example.com"),
        line("notified"),
        line("commented", "marta@example.com"),
    ]
    assert [read(one) for one in rules.news(lines, name, 9)] == [
        "Marta acknowledged Disk full",
        "Disk full was raised as high",
        "Disk full is over",
        "Jonas resolved Disk full",
        "Marta left a note on Disk full",
    ]


def test_the_same_done_to_many_is_one_line() -> None:
    lines = [line("resolved", "marta@example.com", n) for n in range(41)] + [line("opened", number=n) for n in range(1_204)]
    assert [read(one) for one in rules.news(lines, name, 9)] == ["Marta resolved 41 alerts", "1,204 alerts were raised"]


def test_what_is_to_come() -> None:
    acknowledged = an_alert(status="acknowledged", acknowledged_by="marta@example.com", due_at=NOW + HOUR)
    assert read(rules.coming(acknowledged, name)) == "Disk full opens again, unless Marta ends it"
    assert read(rules.coming(msgspec.structs.replace(acknowledged, status="snoozed"), name)) == "Disk full wakes up"


def shifts(*turns: tuple[str, int, int]) -> Shifts:
    return Shifts(tuple(Shift(user, NOW + start, NOW + end, Source.LAYER) for user, start, end in turns), ())


def test_who_is_on_watch_and_who_follows() -> None:
    plans = [("Night", shifts(("u-marta", -HOUR, 8 * HOUR), ("u-jonas", 8 * HOUR, 16 * HOUR)))]
    now, later = rules.watchers(plans, name, clock, NOW)
    assert (now.name, now.says, now.when) == ("Marta Weiss", "now", "until 08:00")
    assert (later.name, later.says, later.when) == ("Jonas Weber", "next, at 08:00", "in 8\u00a0h")
    assert rules.on_watch(plans, name, NOW) == "Marta"


def test_a_gap_is_said_out_loud() -> None:
    plans = [("Night", shifts(("u-jonas", HOUR, 2 * HOUR))), ("Payments", shifts(("u-marta", -HOUR, HOUR), ("u-jonas", -HOUR, HOUR)))]
    said = [(one.name, one.says) for one in rules.watchers(plans, name, clock, NOW)]
    assert said == [
        ("", "nobody is on watch, Night"),
        ("Jonas Weber", "next, at 01:00"),
        ("Marta Weiss", "now, Payments"),
        ("Jonas Weber", "now, Payments"),
    ]
    assert rules.on_watch(plans, name, NOW) == "Marta and Jonas"

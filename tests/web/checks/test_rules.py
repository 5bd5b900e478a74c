"""What the pages about checks show: bars, sentences, forms."""

import msgspec
import pytest

from tests.checks.build import a_check
from tocsin.api.checks import CheckChange, NewCheck
from tocsin.checks.model import BannerTarget, DnsTarget, HttpTarget, Span, Status, TcpTarget
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.reading import read_body
from tocsin.web.checks import rules

NOW = 1_000 * DAY


def span(status: Status, starts_at: int, ends_at: int | None = None) -> Span:
    return Span(check_id="c", status=status, starts_at=starts_at, ends_at=ends_at, cause="")


def looks(*spans: Span, count: int = 6) -> list[str]:
    return [cell.look for cell in rules.bar(spans, NOW - HOUR, NOW, count).cells]


@pytest.mark.claim("U5")
def test_a_cell_shows_the_worst_of_its_time() -> None:
    up, down = span(Status.UP, 0, NOW - 35 * MINUTE), span(Status.DOWN, NOW - 35 * MINUTE, NOW - 34 * MINUTE)
    assert looks(up, down, span(Status.UP, NOW - 34 * MINUTE)) == ["up", "up", "down", "up", "up", "up"]


def test_what_was_not_seen_or_planned_shows_only_where_there_was_nothing_else() -> None:
    late = span(Status.UP, NOW - 25 * MINUTE, NOW - 15 * MINUTE)
    assert looks(late, span(Status.MAINTENANCE, NOW - 15 * MINUTE)) == ["none", "none", "none", "up", "up", "maint"]


def test_a_stretch_that_ends_at_the_edge_of_a_cell_does_not_colour_the_next() -> None:
    assert looks(span(Status.DOWN, NOW - 60 * MINUTE, NOW - 50 * MINUTE), span(Status.UP, NOW - 50 * MINUTE))[:2] == ["down", "up"]


def test_the_bars_say_in_words_what_they_show() -> None:
    assert rules.bar([span(Status.UP, 0)], NOW - HOUR, NOW, 6).says == "6 cells of 10\u00a0min: up throughout"
    half = rules.bar([span(Status.UP, 0, NOW - 30 * MINUTE), span(Status.DOWN, NOW - 30 * MINUTE)], NOW - HOUR, NOW, 6)
    assert half.says == "6 cells of 10\u00a0min: down in 3"


@pytest.mark.parametrize("kind", rules.kinds())
def test_every_kind_of_check_has_a_form_with_words_for_people(kind: str) -> None:
    assert kind in rules.KINDS
    fields = rules.fields_of(kind, {})
    assert any(one.required for one in fields)
    assert all(one.label[0].isupper() or one.name in ("json_op", "json_value") for one in fields)
    assert all(one.choices for one in fields if one.type in ("choice", "switch"))


@pytest.mark.parametrize(
    "target",
    [
        HttpTarget(url="https://a.example.com/", headers={"X-One": "a: b"}, json_path="$.a", json_op=">", json_value="5", trusted=False),
        TcpTarget(host="a.example.com", port=22),
        DnsTarget(host="a.example.com", record="MX", values=["10 mx1.example.com", "20 mx2.example.com"]),
        BannerTarget(host="a.example.com", protocol="imap", tls=True),
    ],
)
def test_a_check_that_is_shown_in_its_form_and_saved_is_the_same(target: HttpTarget | TcpTarget | DnsTarget | BannerTarget) -> None:
    one = a_check(target=target, warning_ms=300, sla=99.9, group="shop")
    sent = rules.CheckForm(
        kind=one.kind,
        target=rules.values_of(target),
        plain=dict.fromkeys(rules.PLAIN, "") | {"name": one.name, "warning_ms": "300", "sla_percent": "99.9", "group": "shop"},
        private=False,
        do="save",
    )
    made = read_body(rules.body_of(sent, change=False), NewCheck)
    assert (made.target, made.warning_ms, made.sla_percent, made.group) == (target, 300, 99.9, "shop")
    emptied = msgspec.structs.replace(sent, plain={**sent.plain, "group": "", "sla_percent": ""})
    changed = read_body(rules.body_of(emptied, change=True), CheckChange)
    assert (changed.group, changed.sla_percent) == (None, None)


def test_phases_stand_one_after_the_other_on_one_scale() -> None:
    first, second = rules.phases({"dns": 10.0, "connect": 30.0, "total": 80.0})
    assert (first.name, first.x, first.width) == ("Name", 0, 125)
    assert (second.name, second.x, second.width) == ("Connect", 125, 375)


def test_a_chart_has_a_gap_where_nobody_looked() -> None:
    drawn = rules.chart([(0, 5.0), (60_000, 6.0), (1_200_000, 7.0)], 60, [])
    assert drawn["times"] == [0, 60, 120, 1200]
    assert drawn["series"][0]["values"] == [5.0, 6.0, None, 7.0]
    assert drawn["says"].startswith("Half of the answers came within 6 ms")


def test_a_chart_shades_the_maintenance_and_marks_where_it_went_down() -> None:
    spans = [span(Status.UP, 0, 60_000), span(Status.MAINTENANCE, 60_000, 120_000), span(Status.DOWN, 120_000, 180_000)]
    drawn = rules.chart([(0, 5.0)], 60, spans)
    assert drawn["spans"] == [{"from": 60, "to": 120, "text": "maintenance"}]
    assert drawn["marks"] == [{"at": 120, "text": "down"}]

"""What exporters show."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from tocsin.prometheus import exposition
from tocsin.prometheus.model import Point, TooMuch

INF = float("inf")


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("up 1", Point("up", {}, None, 1.0)),
        ("  node_load1\t0.25  ", Point("node_load1", {}, None, 0.25)),
        ('disk{mount="/"} 1e3', Point("disk", {"mount": "/"}, None, 1000.0)),
        ('disk{ mount = "/" , device="sda", } 1', Point("disk", {"mount": "/", "device": "sda"}, None, 1.0)),
        ("empty{} 1", Point("empty", {}, None, 1.0)),
        (r'path{p="C:\\temp",q="a\"b\nc\d"} 1', Point("path", {"p": "C:\\temp", "q": 'a"b\nc\\d'}, None, 1.0)),
        ('brace{p="}"} 1', Point("brace", {"p": "}"}, None, 1.0)),
        ("old 1 1767225600000", Point("old", {}, 1767225600000, 1.0)),
        ("open 1 1767225600.123", Point("open", {}, 1767225600123, 1.0)),
        ('hits_total{a="b"} 17 # {trace_id="abc"} 0.5 1767225600.1', Point("hits_total", {"a": "b"}, None, 17.0)),
        ("top +Inf", Point("top", {}, None, INF)),
        ("rule:sum:rate5m -0.5", Point("rule:sum:rate5m", {}, None, -0.5)),
    ],
)
def test_a_line_is_read_as_it_is_meant(line: str, point: Point) -> None:
    assert exposition.read(f"# TYPE x gauge\n{line}\n# EOF\n") == exposition.Shown([point], 0)


@pytest.mark.parametrize(
    "line", ["9lives 1", "name", "name one", "name 1 2 3", "name 1_000", 'name{a="b" 1', "name{a=b} 1", 'name{a="b"c="d"} 1', "<html>"]
)
def test_a_line_that_cannot_be_read_costs_itself_alone(line: str) -> None:
    shown = exposition.read(f"a 1\n{line}\nb 2")
    assert ([point.name for point in shown.points], shown.unreadable, shown.first_unreadable) == (["a", "b"], 1, line)


def test_a_line_or_a_page_without_end_is_bounded() -> None:
    assert exposition.read("x" * 10_000 + " 1\nb 2").unreadable == 1
    with pytest.raises(TooMuch, match="100,000 lines"):
        exposition.read("\n" * 100_001)


@given(st.text(max_size=200))
def test_no_page_however_odd_raises_anything_else(page: str) -> None:
    with suppress(TooMuch):
        exposition.read(page)

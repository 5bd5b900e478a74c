"""node_exporter's names in ours."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import HOUR, MINUTE
from tocsin.prometheus.model import Point
from tocsin.prometheus.nodes import Derived, Look, Memory, derive, look

GB = 1_000_000_000.0


def point(name: str, value: float, **labels: str) -> Point:
    return Point(name, labels, None, value)


def cpu(idle: float, user: float, iowait: float = 0.0, *, number: str = "0") -> list[Point]:
    """One processor's seconds."""
    modes = {"idle": idle, "user": user, "iowait": iowait, "steal": 0.0}
    return [point("node_cpu_seconds_total", value, cpu=number, mode=mode) for mode, value in modes.items()]


def disk(mount: str, size: float, free: float, avail: float, fstype: str = "ext4") -> list[Point]:
    values = {"size_bytes": size, "free_bytes": free, "avail_bytes": avail, "files": 1000.0, "files_free": 250.0}
    labels = {"mountpoint": mount, "fstype": fstype, "device": "/dev/sda1"}
    return [point(f"node_filesystem_{name}", value, **labels) for name, value in values.items()]


def said(before: Look | None, now: Look) -> dict[str, float]:
    return {" ".join([one.name, *[value for _, value in one.labels]]): one.value for one in derive(before, now)}


@pytest.mark.claim("M8")
def test_gauges_are_said_in_our_words_at_the_first_look() -> None:
    page = [
        point("node_memory_MemTotal_bytes", 8 * GB),
        point("node_memory_MemAvailable_bytes", 2 * GB),
        point("node_memory_SwapTotal_bytes", 0),
        point("node_memory_SwapFree_bytes", 0),
        point("node_load1", 1.5),
        point("node_load5", 1.25),
        point("node_load15", 1.0),
        point("node_netstat_Tcp_CurrEstab", 42),
        point("node_boot_time_seconds", 1000),
        point("node_time_seconds", 4600),
        point("node_unknown", 7),
        point("node_load1", float("nan")),
        *disk("/", 100 * GB, 40 * GB, 35 * GB),
        *disk("/run", 1 * GB, 1 * GB, 1 * GB, "tmpfs"),
        *cpu(100, 100),
    ]
    assert said(None, look(page, NOW)) == {
        "memory_percent": 75.0,
        "load_1m": 1.5,
        "load_5m": 1.25,
        "load_15m": 1.0,
        "network_connections": 42.0,
        "uptime_seconds": 3600.0,
        "disk_percent /": 63.158,  # as df: 60 of the 95 that others than root may use
        "inode_percent /": 75.0,
    }


def test_what_is_counted_from_the_beginning_is_compared_with_the_look_before() -> None:
    before = look([*cpu(100, 50, 5), *cpu(100, 50, 5, number="1"), point("node_network_receive_bytes_total", 1000, device="eth0")], NOW)
    after = look(
        [
            *cpu(106, 52, 7),
            *cpu(106, 52, 7, number="1"),
            *cpu(1, 99, number="2"),  # new: there is nothing to compare it with
            point("node_network_receive_bytes_total", 61_000, device="eth0"),
            point("node_network_receive_bytes_total", 9, device="lo"),
        ],
        NOW + MINUTE,
    )
    assert said(before, after) == {
        "cpu_percent": 20.0,
        "cpu_mode_percent user": 20.0,
        "cpu_mode_percent iowait": 20.0,
        "cpu_mode_percent steal": 0.0,
        "network_receive_bytes_per_second eth0": 1000.0,
    }


def test_counters_that_begin_anew_are_counted_from_their_new_beginning() -> None:
    before = look([*cpu(10_000, 5_000), point("node_network_receive_bytes_total", 9e9, device="eth0")], NOW)
    after = look([*cpu(30, 10), point("node_network_receive_bytes_total", 6_000, device="eth0")], NOW + MINUTE)
    found = said(before, after)
    assert (found["cpu_percent"], found["network_receive_bytes_per_second eth0"]) == (25.0, 100.0)


def test_a_mode_that_the_kernel_corrects_downwards_does_no_harm() -> None:
    found = said(look(cpu(100, 50, 5), NOW), look(cpu(109, 51, 4.9), NOW + MINUTE))
    assert found["cpu_percent"] == 10.0


@pytest.mark.parametrize("later", [0, -MINUTE, HOUR + 1])
def test_after_no_time_or_a_long_gap_rates_begin_anew(later: int) -> None:
    assert "cpu_percent" not in said(look(cpu(1, 1), NOW), look(cpu(2, 2), NOW + later))


@given(st.lists(st.tuples(*[st.floats(0, 1e12)] * 3), min_size=2, max_size=6))
def test_a_share_is_always_between_nothing_and_all(rows: list[tuple[float, float, float]]) -> None:
    looks = [look(cpu(*row), NOW + place * MINUTE) for place, row in enumerate(rows)]
    for before, after in pairwise(looks):
        assert all(0 <= one.value <= 100 for one in derive(before, after))


def test_a_look_that_comes_in_pieces_is_whole_when_the_next_begins() -> None:
    memory = Memory()
    pieces = [cpu(100, 100), cpu(100, 100, number="1")], [cpu(103, 101), cpu(103, 101, number="1")], [cpu(104, 105)]
    heard = [memory.add(1, "web01", look(piece, NOW + place * MINUTE)) for place, group in enumerate(pieces) for piece in group]
    assert [(at - NOW, [one.value for one in words if one.name == "cpu_percent"]) for at, words in heard if words] == [(MINUTE, [25.0])]
    assert memory.add(1, "web01", look(cpu(0, 0), NOW)) == (NOW, []), "what comes late is passed over"
    assert memory.add(2, "web01", look(cpu(0, 0), NOW)) == (NOW, []), "another site's host of that name is another host"


def test_the_memory_is_bounded() -> None:
    memory = Memory(most=2)
    for host in ("a", "b", "c"):
        memory.complete(1, host, look(cpu(1, 1), NOW))
    assert memory.complete(1, "a", look(cpu(2, 2), NOW + MINUTE)) == []
    assert Derived("cpu_percent", 50.0) in memory.complete(1, "c", look(cpu(2, 2), NOW + MINUTE))

"""A pack gives back the very bits that were put in."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.extra import numpy as made_up

from tocsin.metrics import packs
from tocsin.metrics.packs import Columns

COUNT = st.integers(1, 60)
ANY_VALUE = st.floats(allow_nan=True, allow_infinity=True, width=64)
LIKELY_VALUE = st.one_of(st.integers(-(10**7), 10**7).map(lambda n: n / 100), st.sampled_from([0.0, -0.0, 1e300, 0.1, 2.0**53 + 2]))


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    count = draw(COUNT)
    if draw(st.booleans()):
        times = draw(st.integers(0, 2**42)) + draw(st.integers(1, 10**6)) * np.arange(count)
    else:
        gaps = draw(st.lists(st.integers(1, 10**9), min_size=count, max_size=count))
        times = draw(st.integers(-(2**42), 2**42)) + np.cumsum(gaps)
    values = draw(st.lists(draw(st.sampled_from([ANY_VALUE, LIKELY_VALUE])), min_size=count, max_size=count))
    return times.astype(np.int64), np.array(values, np.float64)


@pytest.mark.claim("H1")
@given(st.dictionaries(st.integers(0, 2**40), columns(), max_size=5))
@settings(max_examples=80)
@example({1: (np.array([0]), np.array([-0.0]))})
@example({1: (np.array([5, 6]), np.array([float("nan"), float("-inf")]))})
def test_a_pack_gives_back_what_was_written_for_any_values_and_times(series: dict[int, Columns]) -> None:
    found = packs.unpack(packs.pack(series))
    assert list(found) == list(series)
    for series_id, (times, values) in series.items():
        assert found[series_id][0].tolist() == times.tolist()
        assert found[series_id][1].view(np.int64).tolist() == values.view(np.int64).tolist()


@given(made_up.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 2**64 - 1).map(lambda n: n - 2**63)))
@settings(max_examples=30)
def test_every_bit_pattern_of_a_value_survives(bits: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    times = np.arange(len(bits), dtype=np.int64)
    (_, values) = packs.unpack(packs.pack({7: (times, bits.view(np.float64))}))[7]
    assert values.view(np.int64).tolist() == bits.tolist()


def test_only_the_wanted_series_are_unpacked() -> None:
    times = np.arange(3, dtype=np.int64)
    pack = packs.pack({n: (times, times.astype(np.float64) * n) for n in (1, 2, 3)})
    assert [*packs.unpack(pack, frozenset({2, 9}))] == [2]


def test_what_one_host_sent_at_once_shares_its_times() -> None:
    times = np.cumsum(np.random.default_rng(1).integers(290_000, 310_000, 1_000))
    value = np.ones(1_000)
    alone, together = packs.pack({1: (times, value)}), packs.pack(dict.fromkeys(range(16), (times, value)))
    assert len(together) < len(alone) + 16 * 100


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 9)), max_size=40), st.integers(0, 40))
def test_joined_parts_are_in_order_and_the_earlier_part_wins(points: list[tuple[int, float]], cut: int) -> None:
    parts = [dict(reversed(points[:cut])), dict(reversed(points[cut:]))]
    arrays = [(np.array(sorted(one), np.int64), np.array([one[at] for at in sorted(one)], np.float64)) for one in parts]
    times, values = packs.join(arrays)
    assert dict(zip(times.tolist(), values.tolist(), strict=True)) == parts[1] | parts[0]
    assert times.tolist() == sorted(parts[1] | parts[0])


def test_a_server_that_has_nothing_to_seal_does_not_load_the_libraries() -> None:
    code = "import sys; from tocsin.engine import steps; from tocsin.metrics import decode, rolling, service, store; "
    code += "print(*sorted({'numpy', 'pcodec'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""

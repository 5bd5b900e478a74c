"""Snappy and Protobuf as Prometheus writes them, and as nobody should."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from tests.prometheus import build
from tocsin.prometheus import wire
from tocsin.prometheus.model import Point, TooMuch, Unreadable

LOAD = {"__name__": "node_load1", "instance": "web01:9100", "job": "node"}
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SERIES = st.lists(
    st.tuples(
        st.dictionaries(WORDS, WORDS, max_size=5),
        st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)), min_size=1, max_size=4),
    ),
    max_size=6,
)


@given(SERIES)
@pytest.mark.claim("M8")
def test_both_versions_are_read_as_they_were_written(series: list[build.Series]) -> None:
    expected = [Point(labels.get("__name__", ""), labels, at, value) for labels, samples in series for at, value in samples]
    assert wire.read_first(wire.unpack(build.packed(build.first(series)))) == expected
    assert wire.read_second(wire.unpack(build.packed(build.second(series)))) == expected


@pytest.mark.parametrize(
    ("block", "plain"),
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        (b"\x09\x08abc\x09\x03", b"abcabcabc"),  # a copy from three back that overlaps itself
        (b"\x08\x00a\x1a\x01\x00", b"a" * 8),  # with an offset of two bytes
        (b"\x08\x00a\x1b\x01\x00\x00\x00", b"a" * 8),  # of four
        (b"\x3d\xf0\x3c" + b"x" * 61, b"x" * 61),  # a literal whose length takes a byte of its own
    ],
)
def test_every_kind_of_snappy_element_is_unpacked(block: bytes, plain: bytes) -> None:
    assert wire.unpack(block) == plain


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"", "does not end"),
        (b"\xff" * 10 + b"\x01", "does not end"),
        (b"\x05\x08abc", "shorter"),
        (b"\x02\x08abc", "longer"),
        (b"\x09\x20abc", "ends too early"),
        (b"\x05\x05\x01", "before its start"),
        (b"\x05\x00a\x05\x00", "before its start"),
        (b"\x05\x00a\x05", "ends too early"),
    ],
)
def test_a_block_that_is_none_is_named(block: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        wire.unpack(block)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(TooMuch, match="unpacks to 1,073,741,824 bytes"):
        wire.unpack(build.varint(1 << 30) + b"\x00a" + b"\xfe\x01\x00" * 1000)


def test_too_many_samples_or_labels_are_refused() -> None:
    with pytest.raises(TooMuch, match="more than 50,000 samples"):
        wire.read_first(build.first([(LOAD, [(1, 1.0)] * 50_001)]))
    with pytest.raises(TooMuch, match="65 labels"):
        wire.read_first(build.first([({str(n): "x" for n in range(65)}, [(1, 1.0)])]))
    with pytest.raises(Unreadable, match="more than 64"):
        wire.read_second(build.second([({str(n): "x" for n in range(65)}, [(1, 1.0)])]))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\x0a\x05ab", "beyond its end"),
        (b"\x0b", "unknown kind 3"),
        (b"\x80", "does not end"),
        (build.field(1, build.field(1, build.field(1, b"\xff")) + build.field(2, build.sample(1, 1.0))), "not UTF-8"),
    ],
)
def test_a_message_that_is_none_is_named(message: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        wire.read_first(message)


def test_a_word_that_is_not_in_the_list_is_named() -> None:
    for references, words in ((b"\x01\x02", "not in the list"), (b"\x00", "not pairs")):
        message = build.field(4, b"") + build.field(5, build.field(1, references) + build.field(2, build.sample(1, 1.0)))
        with pytest.raises(Unreadable, match=words):
            wire.read_second(message)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_however_odd_are_more_than_a_named_fault(noise: bytes, within: bool) -> None:
    with suppress(Unreadable, TooMuch):
        wire.unpack(noise)
    message = build.first([(LOAD, [(1, 1.0)])]) if within else b""
    for read in (wire.read_first, wire.read_second):
        with suppress(Unreadable, TooMuch):
            read(message[:20] + noise + message[20:])

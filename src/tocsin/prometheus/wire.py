"""Remote write as it is on the wire: Snappy blocks and two Protobuf messages, read by hand and within bounds.

Why not a library: docs/adr/0050-remote-write-by-hand.md. The formats: Snappy's "format_description.txt", Prometheus' remote write
1.0 (``prometheus.WriteRequest``) and 2.0 (``io.prometheus.write.v2.Request``).
"""

import struct
from collections.abc import Iterator
from functools import lru_cache

from tocsin.prometheus.model import Point, TooMuch, Unreadable

MAX_PLAIN = 16 * 1024 * 1024  # bytes of one request once it is unpacked
MAX_POINTS = 50_000
MAX_LABELS = 64
REMEMBERED = 1_024  # bytes of labels that are remembered at most
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_double = struct.Struct("<d").unpack_from


# --- Snappy -------------------------------------------------------------------------------------------------------------


def unpack(packed: bytes, limit: int = MAX_PLAIN) -> bytes:
    """The content of a Snappy block. It says first how long it is: a bomb is refused before anything is unpacked."""
    length, at = _varint(packed, 0, len(packed))
    if length > limit:
        raise TooMuch(f"it unpacks to {length:,} bytes; at most {limit:,} are taken")
    out = bytearray()
    end = len(packed)
    while at < end:
        tag = packed[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            size = tag >> 2
            if size >= 60:
                more = size - 59
                size = int.from_bytes(_slice(packed, at, at + more), "little")
                at += more
            size += 1
            out += _slice(packed, at, at + size)
            at += size
        else:
            width = 1 if kind == 1 else 2 if kind == 2 else 4
            low = int.from_bytes(_slice(packed, at, at + width), "little")
            at += width
            size = ((tag >> 2) & 7) + 4 if kind == 1 else (tag >> 2) + 1
            _copy(out, low | (tag >> 5) << 8 if kind == 1 else low, size)
        if len(out) > length:
            raise Unreadable("the Snappy block is longer than it says")
    if len(out) != length:
        raise Unreadable("the Snappy block is shorter than it says")
    return bytes(out)


def _slice(data: bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise Unreadable("the Snappy block ends too early")
    return data[start:end]


def _copy(out: bytearray, back: int, size: int) -> None:
    start = len(out) - back
    if back == 0 or start < 0:
        raise Unreadable("the Snappy block copies from before its start")
    if back >= size:
        out += out[start : start + size]
    else:
        out += (out[start:] * (size // back + 1))[:size]


# --- Protobuf -----------------------------------------------------------------------------------------------------------


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Unreadable("a number in the message does not end")


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and where its content starts and ends (of a number: its value, and nothing)."""
    while at < end:
        key, at = _varint(data, at, end)
        kind = key & 7
        if kind == BYTES:
            size, at = _varint(data, at, end)
            stop = at + size
        elif kind == VARINT:
            value, at = _varint(data, at, end)
            yield key >> 3, kind, value, 0
            continue
        elif kind in (FIXED64, FIXED32):
            stop = at + (8 if kind == FIXED64 else 4)
        else:
            raise Unreadable(f"the message has a field of the unknown kind {kind}")
        if stop > end:
            raise Unreadable("a field of the message reaches beyond its end")
        yield key >> 3, kind, at, stop
        at = stop


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Unreadable("a label is not UTF-8") from None


class _Points(list[Point]):
    """The points of a request, as many as are allowed."""

    def add(self, data: bytes, start: int, end: int, labels: dict[str, str]) -> None:
        """One ``Sample``: both versions have the same."""
        value, at = 0.0, 0
        for number, kind, one, _ in _fields(data, start, end):
            if number == 1 and kind == FIXED64:
                (value,) = _double(data, one)
            elif number == 2 and kind == VARINT:
                at = one - (1 << 64) if one >> 63 else one
        if len(self) >= MAX_POINTS:
            raise TooMuch(f"it has more than {MAX_POINTS:,} samples; send fewer at once (max_samples_per_send)")
        self.append(Point(labels.get("__name__", ""), labels, at, value))


def read_first(data: bytes) -> list[Point]:
    """The samples of a ``prometheus.WriteRequest`` (1.0). Raises `Unreadable`, `TooMuch`. Histograms and metadata are passed over."""
    points = _Points()
    for number, kind, start, end in _fields(data, 0, len(data)):
        if number != 1 or kind != BYTES:
            continue
        labels_end, samples = start, []
        for inner, inner_kind, inner_start, inner_end in _fields(data, start, end):
            if inner_kind == BYTES and inner == 1:
                labels_end = inner_end
            elif inner_kind == BYTES and inner == 2:
                samples.append((inner_start, inner_end))
        if samples:
            raw = data[start:labels_end]
            labels = _known_labels(raw) if len(raw) <= REMEMBERED else _labels(raw)
            for sample_start, sample_end in samples:
                points.add(data, sample_start, sample_end, labels)
    return points


def _labels(raw: bytes) -> dict[str, str]:
    """The labels at the beginning of a series."""
    labels: dict[str, str] = {}
    for number, kind, start, end in _fields(raw, 0, len(raw)):
        if number != 1 or kind != BYTES:
            continue
        name = value = ""
        for inner, inner_kind, inner_start, inner_end in _fields(raw, start, end):
            if inner_kind == BYTES and inner == 1:
                name = _text(raw[inner_start:inner_end])
            elif inner_kind == BYTES and inner == 2:
                value = _text(raw[inner_start:inner_end])
        labels[name] = value
    if len(labels) > MAX_LABELS:
        raise TooMuch(f"a series has {len(labels)} labels; at most {MAX_LABELS} are taken")
    return labels


_known_labels = lru_cache(maxsize=8_192)(_labels)  # the same bytes come with each request, so they are read once


def read_second(data: bytes) -> list[Point]:
    """The samples of an ``io.prometheus.write.v2.Request`` (2.0): labels are numbers of words in one list."""
    words: list[str] = []
    series: list[tuple[int, int]] = []
    for number, kind, start, end in _fields(data, 0, len(data)):
        if kind == BYTES and number == 4:
            words.append(_text(data[start:end]))
        elif kind == BYTES and number == 5:
            series.append((start, end))
    points = _Points()
    for start, end in series:
        references: list[int] = []
        samples = []
        for number, kind, one, stop in _fields(data, start, end):
            if number == 1:
                references += _packed(data, one, stop) if kind == BYTES else [one]
            elif number == 2 and kind == BYTES:
                samples.append((one, stop))
        if samples:
            labels = _referred(words, references)
            for sample_start, sample_end in samples:
                points.add(data, sample_start, sample_end, labels)
    return points


def _packed(data: bytes, at: int, end: int) -> list[int]:
    values = []
    while at < end:
        value, at = _varint(data, at, end)
        values.append(value)
    return values


def _referred(words: list[str], references: list[int]) -> dict[str, str]:
    if len(references) % 2 or len(references) > 2 * MAX_LABELS:
        raise Unreadable(f"the labels of a series are not pairs, or more than {MAX_LABELS}")
    if any(reference >= len(words) for reference in references):
        raise Unreadable("a label refers to a word that is not in the list of symbols")
    return {words[name]: words[value] for name, value in zip(references[::2], references[1::2], strict=True)}

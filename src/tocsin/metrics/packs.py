"""Packs: some days of some series as few bytes, with their times, and back to the very same bits.

A pack holds the series of a group together, so that what one host sent at once shares its times. Whole numbers, and those
that are whole when scaled by a power of ten, are kept as such (pcodec finds the rest); of times only what is off a regular
grid is kept. Both libraries are loaded with this module: only what seals or reads history needs them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Columns = tuple[Times, Values]

MAX_DECIMALS = 6
EXACT = 2.0**53  # up to here every whole number is a float
_CONFIG = ChunkConfig(compression_level=8)


class _Line(msgspec.Struct, frozen=True, array_like=True):
    """One row of times: how many, the first, the usual distance between two, and how far each is from there (nothing: none is)."""

    count: int
    first: int
    step: int
    packed: bytes


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """One series: its id, its times, and its values, as whole numbers by ``decimals`` or (-1) as they are."""

    series_id: int
    line: int
    decimals: int
    packed: bytes


class _Pack(msgspec.Struct, frozen=True, array_like=True):
    """The whole."""

    lines: list[_Line]
    entries: list[_Entry]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Pack).decode


def pack(series: Mapping[int, Columns]) -> bytes:
    """All *series* (times in order) as bytes."""
    lines: list[_Line] = []
    known: dict[bytes, int] = {}
    entries = []
    for series_id, (times, values) in series.items():
        key = times.tobytes()
        if key not in known:
            known[key] = len(lines)
            lines.append(_line(times))
        entries.append(_Entry(series_id, known[key], *_values(values)))
    return _encode(_Pack(lines, entries))


def unpack(data: bytes, wanted: frozenset[int] | None = None) -> dict[int, Columns]:
    """The series of a pack, or only those that are *wanted*."""
    found = _decode(data)
    entries = [one for one in found.entries if wanted is None or one.series_id in wanted]
    times = {line: _times(found.lines[line]) for line in {one.line for one in entries}}
    return {one.series_id: (times[one.line], _floats(one, found.lines[one.line].count)) for one in entries}


def series_in(data: bytes) -> frozenset[int]:
    """Which series a pack has, without unpacking any."""
    return frozenset(one.series_id for one in _decode(data).entries)


def columns_of(rows: Sequence[tuple[int, int, float]]) -> dict[int, Columns]:
    """Rows of series, moment and value as columns, by series, in the order of time."""
    lists: dict[int, tuple[list[int], list[float]]] = {}
    for series_id, at, value in rows:
        times, values = lists.setdefault(series_id, ([], []))
        times.append(at)
        values.append(value)
    return {series_id: join([(np.array(times, np.int64), np.array(values, np.float64))]) for series_id, (times, values) in lists.items()}


def join(parts: Sequence[Columns]) -> Columns:
    """All *parts* of a series in the order of time; of two samples of one moment that of the earlier part."""
    times, values = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    if np.all(times[1:] > times[:-1]):
        return times, values
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    first = np.concatenate(([True], times[1:] != times[:-1]))
    return times[first], values[first]


def between(columns: Columns, start: int, end: int) -> Columns:
    """What of *columns* lies from *start* to before *end*."""
    low, high = np.searchsorted(columns[0], (start, end))
    return columns[0][low:high], columns[1][low:high]


def _line(times: Times) -> _Line:
    """As what is left of a regular grid, or of no grid, whichever is shorter."""
    first, count = int(times[0]), len(times)
    lines = []
    for step in (int(np.median(np.diff(times))) if count > 1 else 0, 0):
        left = times - _grid(first, step, count)
        lines.append(_Line(count, first, step, _compress(left) if left.any() else b""))
    return min(lines, key=lambda line: len(line.packed))


def _times(line: _Line) -> Times:
    found = _grid(line.first, line.step, line.count)
    return found + _decompress(line.packed) if line.packed else found


def _grid(first: int, step: int, count: int) -> Times:
    return first + step * np.arange(count, dtype=np.int64)


def _values(values: Values) -> tuple[int, bytes]:
    for decimals in range(MAX_DECIMALS + 1):
        whole = _scaled(values, decimals)
        if whole is not None:
            return decimals, _compress(whole)
    return -1, _compress(values)


def _scaled(values: Values, decimals: int) -> NDArray[np.int64] | None:
    """The values as whole numbers, if the very same bits come back (not so for -0.0, NaN and the like)."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.rint(values * 10.0**decimals)
        if not np.all(np.abs(scaled) <= EXACT):
            return None
        whole = scaled.astype(np.int64)
        back = whole / 10.0**decimals
    return whole if np.array_equal(back.view(np.int64), values.view(np.int64)) else None


def _floats(entry: _Entry, count: int) -> Values:
    found: Values = _decompress(entry.packed)
    if len(found) != count:
        raise ValueError(f"a pack has {len(found)} values for {count} times")
    return found if entry.decimals < 0 else np.asarray(found / 10.0**entry.decimals)


def _compress(array: NDArray[Any]) -> bytes:
    if array.dtype == np.int64 and array.min() >= -(2**31) and array.max() < 2**31:
        array = array.astype(np.int32)  # what all numbers have in common is said once, and is shorter so
    return bytes(standalone.simple_compress(np.ascontiguousarray(array), _CONFIG))


def _decompress(packed: bytes) -> Any:
    return standalone.simple_decompress(packed)

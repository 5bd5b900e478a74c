"""Parquet files, written a group of rows at a time: flat columns, packed with gzip, text as a dictionary with runs.

Only writing, and only what our exports need of the format (https://parquet.apache.org/docs/file-format/): what reads any
Parquet reads these. Memory holds one group of rows and some hundred bytes about each earlier one.
"""

import enum
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

PARQUET = "application/vnd.apache.parquet"
MAGIC = b"PAR1"
GROUP = 50_000  # rows
LEVEL = 4  # of gzip
_GZIP_WINDOW = 31  # zlib's number for gzip with the largest window


class Kind(enum.Enum):
    """What a column holds; its physical and its converted type in the format's numbers."""

    TEXT = (6, 0)
    TIME = (2, 9)  # milliseconds since 1970, UTC
    WHOLE = (2, None)
    NUMBER = (5, None)


class Column(msgspec.Struct, frozen=True):
    """A column; one that may be empty holds None there."""

    name: str
    kind: Kind
    may_be_empty: bool = False


class _Chunk(msgspec.Struct, frozen=True):
    """A column of a group as it lies in the file: where its pages begin, and how long they are before and after packing."""

    values: int
    encodings: tuple[int, ...]
    dictionary_at: int | None
    data_at: int
    plain: int
    packed: int


class Parquet:
    """One file: what `rows` and `end` answer, one after the other, is its bytes."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._waiting: list[Sequence[Any]] = []
        self._groups: list[tuple[int, list[_Chunk]]] = []
        self._at = 0

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        """Takes rows (values in the order of the columns); answers what is full."""
        self._waiting += rows
        return b"".join(self._full())

    def _full(self) -> Iterator[bytes]:
        while len(self._waiting) >= GROUP:
            some, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            yield self._group(some)

    def end(self) -> bytes:
        """What is left, and the index of the whole. Nothing may follow."""
        last = self._group(self._waiting) if self._waiting else self._begun(b"")
        index = _index(self._columns, self._groups)
        return last + index + struct.pack("<I", len(index)) + MAGIC

    def _group(self, rows: Sequence[Sequence[Any]]) -> bytes:
        out = bytearray(self._begun(b""))
        chunks = []
        for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
            chunk, pages = _pages(column, values, self._at)
            chunks.append(chunk)
            out += self._begun(pages)
        self._groups.append((len(rows), chunks))
        return bytes(out)

    def _begun(self, more: bytes) -> bytes:
        written = more if self._at else MAGIC + more
        self._at += len(written)
        return written


# Pages.


def _pages(column: Column, values: Sequence[Any], at: int) -> tuple[_Chunk, bytes]:
    """A column of a group: the page of its dictionary, if it is one of text, and the page of its values."""
    levels = _with_length(_runs([value is not None for value in values], 1)) if column.may_be_empty else b""
    there = [value for value in values if value is not None] if column.may_be_empty else values
    if column.kind is not Kind.TEXT:
        page = _page(0, len(values), levels + _plain(column.kind, there), _PLAIN)
        return _Chunk(len(values), (_PLAIN, _RLE), None, at, page.plain, len(page.data)), page.data
    places = {text: place for place, text in enumerate(dict.fromkeys(there))}
    dictionary = _page(2, len(places), _plain(Kind.TEXT, list(places)), _PLAIN)
    width = max(1, (len(places) - 1).bit_length())
    body = levels + bytes([width]) + _runs([places[text] for text in there], width)
    page = _page(0, len(values), body, _DICTIONARY)
    data = dictionary.data + page.data
    chunk = _Chunk(len(values), (_PLAIN, _RLE, _DICTIONARY), at, at + len(dictionary.data), dictionary.plain + page.plain, len(data))
    return chunk, data


class _Page(msgspec.Struct, frozen=True):
    """A page with its head; ``plain``: how long it would be unpacked."""

    data: bytes
    plain: int


_PLAIN, _RLE, _DICTIONARY = 0, 3, 8


def _page(kind: int, count: int, body: bytes, encoding: int) -> _Page:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    packed = packer.compress(body) + packer.flush()
    about = _struct((1, _int(count)), (2, _int(encoding)), *([] if kind else [(3, _int(_RLE)), (4, _int(_RLE))]))
    head = _struct((1, _int(kind)), (2, _int(len(body))), (3, _int(len(packed))), (7 if kind else 5, (_STRUCT, about)))
    return _Page(head + packed, len(head) + len(body))


def _plain(kind: Kind, values: Sequence[Any]) -> bytes:
    if kind is Kind.TEXT:
        return b"".join(_with_length(text.encode(errors="replace")) for text in values)
    found = array("d" if kind is Kind.NUMBER else "q", values)
    if _IS_BIG:
        found.byteswap()
    return found.tobytes()


_IS_BIG = struct.pack("=H", 1) != struct.pack("<H", 1)


def _with_length(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _runs(values: Sequence[int], width: int) -> bytes:
    """Numbers as runs: how many of which. What changes from row to row is packed by bits, eight at a time."""
    out = bytearray()
    loose: list[int] = []
    for value, group in groupby(values):
        left = sum(1 for _ in group)
        while left and len(loose) % 8:  # eight go together: what has begun is filled
            loose.append(value)
            left -= 1
        if left < 8:
            loose += [value] * left
            continue
        out += _bits(loose, width)
        loose = []
        out += _varint(left << 1) + int(value).to_bytes((width + 7) // 8, "little")
    return bytes(out + _bits(loose, width))


def _bits(values: Sequence[int], width: int) -> bytes:
    if not values:
        return b""
    groups = (len(values) + 7) // 8
    packed = bytearray()
    for start in range(0, len(values), 8):
        together = 0
        for place, value in enumerate(values[start : start + 8]):
            together |= int(value) << (place * width)
        packed += together.to_bytes(width, "little")
    return _varint(groups << 1 | 1) + bytes(packed)


# The index, and the heads of pages: Thrift's compact protocol.

_TRUE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 5, 6, 8, 9, 12
Field = tuple[int, tuple[int, bytes]]  # its number, its type and what it holds


def _index(columns: Sequence[Column], groups: Sequence[tuple[int, list[_Chunk]]]) -> bytes:
    root = _struct((4, _text("export")), (5, _int(len(columns))))
    schema = [root, *map(_schema, columns)]
    rows = sum(count for count, _ in groups)
    return _struct(
        (1, _int(1)),
        (2, _list(_STRUCT, schema)),
        (3, _long(rows)),
        (4, _list(_STRUCT, [_row_group(columns, count, chunks) for count, chunks in groups])),
        (6, _text("tocsin")),
    )


def _schema(column: Column) -> bytes:
    physical, converted = column.kind.value
    fields: list[Field] = [(1, _int(physical)), (3, _int(int(column.may_be_empty))), (4, _text(column.name))]
    if converted is not None:
        fields.append((6, _int(converted)))
    if column.kind is Kind.TIME:  # in the newer words of the format, which say that it is UTC
        millis = (_STRUCT, _struct((1, (_STRUCT, b"\0"))))
        timestamp = (_STRUCT, _struct((1, (_TRUE, b"")), (2, millis)))
        fields.append((10, (_STRUCT, _struct((8, timestamp)))))
    return _struct(*fields)


def _row_group(columns: Sequence[Column], count: int, chunks: Sequence[_Chunk]) -> bytes:
    parts = [_column(column, chunk) for column, chunk in zip(columns, chunks, strict=True)]
    return _struct((1, _list(_STRUCT, parts)), (2, _long(sum(chunk.plain for chunk in chunks))), (3, _long(count)))


def _column(column: Column, chunk: _Chunk) -> bytes:
    fields: list[Field] = [
        (1, _int(column.kind.value[0])),
        (2, _list(_I32, [_zigzag(one) for one in chunk.encodings])),
        (3, _list(_BINARY, [_bytes(column.name.encode())])),
        (4, _int(2)),  # gzip
        (5, _long(chunk.values)),
        (6, _long(chunk.plain)),
        (7, _long(chunk.packed)),
        (9, _long(chunk.data_at)),
    ]
    if chunk.dictionary_at is not None:
        fields.append((11, _long(chunk.dictionary_at)))
    first = chunk.data_at if chunk.dictionary_at is None else chunk.dictionary_at
    return _struct((2, _long(first)), (3, (_STRUCT, _struct(*fields))))


def _struct(*fields: Field) -> bytes:
    out, before = bytearray(), 0
    for number, (kind, data) in fields:
        out += bytes([(number - before) << 4 | kind]) + data
        before = number
    return bytes(out) + b"\0"


def _list(kind: int, members: Sequence[bytes]) -> tuple[int, bytes]:
    head = bytes([len(members) << 4 | kind]) if len(members) < 15 else bytes([0xF0 | kind]) + _varint(len(members))
    return _LIST, head + b"".join(members)


def _int(value: int) -> tuple[int, bytes]:
    return _I32, _zigzag(value)


def _long(value: int) -> tuple[int, bytes]:
    return _I64, _zigzag(value)


def _text(value: str) -> tuple[int, bytes]:
    return _BINARY, _bytes(value.encode())


def _bytes(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _zigzag(value: int) -> bytes:
    return _varint(value << 1)  # none is below zero


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""What a sender of remote write does: Protobuf and Snappy, written as plainly as they can be."""

import struct
from collections.abc import Iterable, Mapping, Sequence

Series = tuple[Mapping[str, str], Sequence[tuple[int, float]]]  # labels, and moments with values


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def sample(at: int, value: float) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)


def first(series: Iterable[Series]) -> bytes:
    """A ``prometheus.WriteRequest``, with a field that is passed over."""
    out = field(3, field(2, b"some_metadata"))
    for labels, samples in series:
        pairs = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items())
        out += field(1, pairs + b"".join(field(2, sample(at, value)) for at, value in samples))
    return out


def second(series: Iterable[Series]) -> bytes:
    """An ``io.prometheus.write.v2.Request``, with a field that is passed over."""
    words = [""]
    told = b""
    for labels, samples in series:
        references = b""
        for word in (word for pair in labels.items() for word in pair):
            if word not in words:
                words.append(word)
            references += varint(words.index(word))
        told += field(5, field(1, references) + b"".join(field(2, sample(at, value)) for at, value in samples) + field(5, b"\x08\x01"))
    return b"".join(field(4, word.encode()) for word in words) + told


def packed(content: bytes) -> bytes:
    """A Snappy block without any copy: that is allowed."""
    out = varint(len(content))
    for start in range(0, len(content), 60):
        piece = content[start : start + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return out

"""The DNS on the wire (RFC 1035), as much as a question and its answers need. Whatever is not so raises `Garbled`."""

import struct
from ipaddress import ip_address

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257}
_NAMES = {number: name for name, number in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
MAX_ANSWERS = 100
_INTERNET = 1


class Garbled(Exception):
    """No answer that can be read."""


class Answer:
    """What a name server said: its code, whether it was cut, and the records that answer the question, as text."""

    __slots__ = ("is_cut", "rcode", "values")

    def __init__(self, rcode: int, values: list[str], *, is_cut: bool) -> None:
        self.rcode, self.values, self.is_cut = rcode, values, is_cut

    @property
    def code(self) -> str:
        """``NXDOMAIN``."""
        return RCODES.get(self.rcode, f"code {self.rcode}")


def question(number: int, name: str, record: str) -> bytes:
    """A query, recursion desired. Raises `Garbled` for what can be no name."""
    labels = [part.encode("ascii", "replace") for part in name.rstrip(".").split(".") if part]
    if any(len(label) > 63 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise Garbled(f"{name[:80]} cannot be a name")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + packed + struct.pack("!HH", TYPES[record], _INTERNET)


def read(packet: bytes, asked: bytes) -> Answer:
    """The answer to *asked*. Raises `Garbled` for one to another question: somebody guesses, or lies."""
    try:
        return _read(packet, asked)
    except (struct.error, IndexError, ValueError):
        raise Garbled("its answer cannot be read") from None


def _read(packet: bytes, asked: bytes) -> Answer:
    number, flags, questions, answers, _, _ = struct.unpack_from("!HHHHHH", packet)
    if packet[:2] != asked[:2] or not flags & 0x8000 or number is None:
        raise Garbled("its answer is to another question")
    if questions != 1 or packet[12 : len(asked)].lower() != asked[12:].lower():
        raise Garbled("its answer is to another question")
    wanted = struct.unpack("!H", asked[-4:-2])[0]
    at, values = len(asked), []
    for _ in range(min(answers, MAX_ANSWERS)):
        at = _name(packet, at)[1]
        kind, _, _, length = struct.unpack_from("!HHIH", packet, at)
        at += 10
        if at + length > len(packet):
            break  # it was cut
        if kind == wanted:
            values.append(_value(packet, at, length, _NAMES[kind]))
        at += length
    return Answer(flags & 0xF, values, is_cut=bool(flags & 0x0200))


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """A name, which may be told by pointers, and where it ends. Pointers lead back only, so that none goes round."""
    labels, end, limit, size = [], -1, at, 0
    while (length := packet[at]) != 0:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | packet[at + 1]
            end = at + 2 if end < 0 else end
            if target >= limit:
                raise Garbled("its answer goes round in circles")
            at = limit = target
            continue
        if length > 63 or (size := size + length + 1) > 255:
            raise Garbled("a name of its answer is too long")
        labels.append(packet[at + 1 : at + 1 + length].decode("latin-1"))
        at += length + 1
    return ".".join(labels).lower() or ".", at + 1 if end < 0 else end


def _value(packet: bytes, at: int, length: int, record: str) -> str:
    raw = packet[at : at + length]
    match record:
        case "A" | "AAAA":
            return str(ip_address(raw))
        case "NS" | "CNAME" | "PTR":
            return _name(packet, at)[0]
        case "MX":
            return f"{struct.unpack_from('!H', raw)[0]} {_name(packet, at + 2)[0]}"
        case "SRV":
            return "{} {} {} ".format(*struct.unpack_from("!HHH", raw)) + _name(packet, at + 6)[0]
        case "SOA":
            primary, after = _name(packet, at)
            mailbox, after = _name(packet, after)
            return f"{primary} {mailbox} {struct.unpack_from('!I', packet, after)[0]}"
        case "CAA":
            size = raw[1]
            return f"{raw[0]} {raw[2 : 2 + size].decode('latin-1')} {raw[2 + size :].decode('utf-8', 'replace')}"
        case _:
            return "".join(part.decode("utf-8", "replace") for part in _strings(raw))


def _strings(raw: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(raw):
        found.append(raw[at + 1 : at + 1 + raw[at]])
        at += raw[at] + 1
    return found

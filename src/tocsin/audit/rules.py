"""How entries are written and chained, and whether a chain holds."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tocsin.audit.model import Broken, Deed, Entry, Fault, Head
from tocsin.core.errors import InvalidInput
from tocsin.core.redact import redact, redact_all
from tocsin.core.text import cut

START = "0" * 64  # what stands in place of the digest before the first entry
MAX_TEXT = 2_000
MAX_ITEMS = 100
MAX_DEPTH = 6
_encode = msgspec.json.Encoder(order="deterministic").encode
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


def canonical(value: object) -> str | None:
    """*value* as JSON with sorted names and without secrets; long texts and lists are cut. None stays None."""
    if value is None:
        return None
    return _encode(redact_all(_trimmed(msgspec.to_builtins(value, str_keys=True), MAX_DEPTH))).decode()


def _trimmed(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return cut(value.encode(errors="replace").decode(), MAX_TEXT)
    if depth == 0 and isinstance(value, dict | list):
        return "…"
    if isinstance(value, dict):
        return {cut(str(name), 100): _trimmed(item, depth - 1) for name, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list):
        return [_trimmed(item, depth - 1) for item in value[:MAX_ITEMS]] + (
            [f"and {len(value) - MAX_ITEMS} more"] if len(value) > MAX_ITEMS else []
        )
    return value


def deed(at: int, actor: str, address: str | None, action: str, thing: str, site_id: int | None, before: object, after: object) -> Deed:
    """A deed ready to be chained: masked and cut."""
    return Deed(at, cut(redact(actor), 300), address, action, cut(redact(thing), 300), site_id, canonical(before), canonical(after))


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of two states, what differs."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before[name] for name in names if name in before}, {name: after[name] for name in names if name in after}


def link(head: Head | None, done: Deed) -> Entry:
    """The entry that follows *head*."""
    number, previous = (1, START) if head is None else (head.number + 1, head.digest)
    fields = msgspec.structs.asdict(done)
    return Entry(number=number, previous=previous, digest=digest(number, previous, done), **fields)


def chain(head: Head | None, deeds: Sequence[Deed]) -> list[Entry]:
    """The entries that follow *head*, one for each of *deeds*."""
    entries = []
    for done in deeds:
        entry = link(head, done)
        head = entry.head
        entries.append(entry)
    return entries


def digest(number: int, previous: str, done: Deed) -> str:
    """SHA-256 over the digest before, the number, and the fields as one canonical JSON array."""
    return hashlib.sha256(_encode([previous, number, *msgspec.structs.astuple(done)])).hexdigest()


def seal_of(entry: Entry) -> str:
    """What the digest of *entry* must be."""
    return digest(entry.number, entry.previous, Deed(*[getattr(entry, name) for name in Deed.__struct_fields__]))


def read_head(text: str) -> Head:
    """``1234:ab...`` as `tocsin audit verify` prints it. Raises `InvalidInput`."""
    match = _HEAD.fullmatch(text)
    if match is None:
        raise InvalidInput.of("head", f"{text[:90]!r} is no head of an audit log. It looks like 1234:ab12... with 64 hexadecimal digits")
    return Head(int(match[1]), match[2])


class Walk:
    """Follows the chain from its start. ``head`` is the last link that was seen to hold."""

    def __init__(self, kept: Head | None, noted: Head | None = None) -> None:
        """*kept*: how far the log reaches, by the note beside it; *noted*: a head that somebody wrote down earlier."""
        self.head: Head | None = None
        self._kept = kept
        self._notes = [note for note in (kept, noted) if note is not None]

    def follow(self, entries: Iterable[Entry]) -> Broken | None:
        """The next entries in order."""
        for entry in entries:
            broken = self._step(entry)
            if broken is not None:
                return broken
            self.head = entry.head
        return None

    def _step(self, entry: Entry) -> Broken | None:
        expected, previous = (1, START) if self.head is None else (self.head.number + 1, self.head.digest)
        if entry.number != expected:
            return Broken(expected, Fault.MISSING)
        if entry.previous != previous:
            return Broken(entry.number, Fault.DETACHED)
        if entry.digest != seal_of(entry):
            return Broken(entry.number, Fault.CHANGED)
        if any(note.number == entry.number and note.digest != entry.digest for note in self._notes):
            return Broken(entry.number, Fault.NOT_AS_NOTED)
        return None

    def end(self) -> Broken | None:
        """At the end of the log: whether it reaches as far as the notes say."""
        reached = self.head.number if self.head else 0
        if any(note.number > reached for note in self._notes):
            return Broken(reached, Fault.CUT_OFF)
        return Broken(reached, Fault.NO_NOTE) if reached and self._kept is None else None

"""From a request body to checked events: one object, an array, or lines; all that is wrong is named."""

import re
from typing import Any, get_type_hints

import msgspec

from tocsin.core.errors import FieldError, InvalidInput, TooLarge
from tocsin.core.text import cut, one_line
from tocsin.events.model import MAX_ARRAY, MAX_LINES, EventInput, Incoming, Rejected
from tocsin.events.rules import check

_one = msgspec.json.Decoder(EventInput)
_many = msgspec.json.Decoder(list[EventInput])
_raw_many = msgspec.json.Decoder(list[msgspec.Raw])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Decoded(msgspec.Struct, frozen=True):
    """A body's members in order: exactly one entry per input, `Incoming` or `Rejected`."""

    members: list[Incoming | Rejected]
    single: bool


class _Gate:
    """What one request's events are held against."""

    def __init__(self, site: str | None, now: int, *, escapes: bool) -> None:
        self._site, self._now, self._escapes = site, now, escapes

    def all(self, events: list[EventInput]) -> list[Incoming | Rejected]:
        """Each of *events*, taken or rejected."""
        site, now, escapes = self._site, self._now, self._escapes
        checked = [check(event, site, now, escapes=escapes) for event in events]
        return [
            found if isinstance(found, Incoming) else _rejected(index, event, found)
            for index, (event, found) in enumerate(zip(events, checked, strict=True))
        ]

    def one(self, index: int, event: EventInput) -> Incoming | Rejected:
        """The event at *index*, taken or rejected."""
        found = check(event, self._site, self._now, escapes=self._escapes)
        return found if isinstance(found, Incoming) else _rejected(index, event, found)


def _rejected(index: int, event: EventInput, errors: tuple[FieldError, ...]) -> Rejected:
    return Rejected(index, event.id, errors, msgspec.json.encode(event))


def decode(body: bytes, *, lines: bool, site: str | None, now: int) -> Decoded:
    """Reads *body*: NDJSON if *lines*, else one JSON object or an array of them.

    Raises `InvalidInput` if the body as a whole is not readable, `TooLarge` for too many members.
    """
    escapes = b"\\u" in body or not _is_utf8(body)
    gate = _Gate(site, now, escapes=escapes)
    if lines:
        return Decoded(_lines(body, gate), single=False)
    if body.lstrip()[:1] == b"[":
        return Decoded(_array(body, gate), single=False)
    try:
        return Decoded([gate.one(0, _one.decode(body))], single=True)
    except _BROKEN:
        return Decoded([_examine(0, body, gate)], single=True)


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _array(body: bytes, gate: _Gate) -> list[Incoming | Rejected]:
    try:
        inputs = _many.decode(body)
    except _BROKEN:
        return [_examine(index, bytes(raw), gate) for index, raw in enumerate(_limited(_raw_array(body)))]
    return gate.all(_limited(inputs))


def _limited(members: list[Any]) -> list[Any]:
    if len(members) > MAX_ARRAY:
        raise TooLarge(f"the array has {len(members)} events; at most {MAX_ARRAY} are taken in one request. NDJSON takes {MAX_LINES}.")
    return members


def _raw_array(body: bytes) -> list[msgspec.Raw]:
    try:
        return _raw_many.decode(body)
    except _BROKEN as error:
        raise InvalidInput.of("body", f"is not JSON: {_plain(error)}") from None


def _lines(body: bytes, gate: _Gate) -> list[Incoming | Rejected]:
    if body.count(b"\n") > 2 * MAX_LINES:
        raise TooLarge(f"more than {MAX_LINES} lines")
    try:
        inputs = _one.decode_lines(body)
    except _BROKEN:
        raw = [line for line in body.split(b"\n") if line.strip()]
        _check_lines(len(raw))
        return [_examine(index, line, gate) for index, line in enumerate(raw)]
    _check_lines(len(inputs))
    return gate.all(inputs)


def _check_lines(count: int) -> None:
    if count > MAX_LINES:
        raise TooLarge(f"the body has {count} lines; at most {MAX_LINES} are taken in one request")


def _examine(index: int, raw: bytes, gate: _Gate) -> Incoming | Rejected:
    """The slow way for one member of a body in which something is wrong: good members pass, bad ones have each field named."""
    try:
        event = _one.decode(raw)
    except _BROKEN as error:
        return _explain(index, raw, error, gate)
    decided = gate.one(index, event)
    return msgspec.structs.replace(decided, payload=raw) if isinstance(decided, Rejected) else decided


def _explain(index: int, raw: bytes, error: Exception, gate: _Gate) -> Rejected:
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return Rejected(
            index, None, (FieldError("body", 'must be an object with the fields of an event, such as {"type": "disk.full"}'),), raw
        )
    except _BROKEN as broken:
        return Rejected(index, None, (FieldError("body", f"is not JSON: {_plain(broken)}"),), raw)
    errors = _field_errors(fields)
    if "type" not in fields:
        errors.insert(0, FieldError("type", "is required, such as invoice.payment_failed"))
    if len(fields) <= len(_TYPES) + MAX_UNKNOWN:
        errors.extend(_further_errors(fields, {e.field for e in errors}, gate))
    return Rejected(index, _id_of(fields), tuple(errors) or (FieldError("body", _plain(error)),), raw)


def _further_errors(fields: dict[str, msgspec.Raw], bad: set[str], gate: _Gate) -> tuple[FieldError, ...]:
    """What is wrong with the fields whose JSON type is right, so that one answer names everything."""
    good = {name: value for name, value in fields.items() if name in _TYPES and name not in bad}
    try:
        checked = gate.one(0, _one.decode(msgspec.json.encode({"type": "unknown", **good})))
    except _BROKEN:
        return ()
    return checked.errors if isinstance(checked, Rejected) else ()


MAX_UNKNOWN = 10
_TYPES = get_type_hints(EventInput, include_extras=True)


def _field_errors(fields: dict[str, msgspec.Raw]) -> list[FieldError]:
    """What is wrong with each field by itself. Of unknown ones the first few are named: there may be a million."""
    unknown = [name for name in fields if name not in _TYPES]
    known = f"is no field of an event; known are {', '.join(_TYPES)}"
    errors = [FieldError(cut(one_line(name), 60), known) for name in unknown[:MAX_UNKNOWN]]
    if len(unknown) > MAX_UNKNOWN:
        errors.append(FieldError("body", f"has {len(unknown) - MAX_UNKNOWN} further fields that are none of an event"))
    return errors + [e for name in _TYPES if name in fields and (e := _field_error(name, fields[name]))]


def _field_error(name: str, value: msgspec.Raw) -> FieldError | None:
    try:
        msgspec.json.decode(bytes(value), type=_TYPES[name])
    except _BROKEN as error:
        return FieldError(name, _plain(error))
    return None


def _id_of(fields: dict[str, msgspec.Raw]) -> str | None:
    try:
        return msgspec.json.decode(bytes(fields["id"]), type=str)[:36]
    except (KeyError, *_BROKEN):
        return None


def _plain(error: Exception) -> str:
    """msgspec's and Python's words without their code marks and paths."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    text = re.sub(r" - at `\$.*`$", "", str(error)).replace("`", "")
    return text if text.startswith("JSON") else text[:1].lower() + text[1:]

"""Reading what a request says, into frozen structs: every field that is wrong is named, nothing is guessed."""

import re
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from tocsin.core.errors import FieldError, InvalidInput, UnknownFields
from tocsin.core.text import cut

Shape = TypeVar("Shape", bound=msgspec.Struct)

MAX_FIELDS = 100
_UNKNOWN = "is not known here"
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PLACE = re.compile(r" - at `\$(.*)`$")
_NOT_AMONG = re.compile(r"Invalid enum value (.+)", re.DOTALL)
SHOWN = 60  # characters of a value that is not among those that a field may have


class _Field(NamedTuple):
    """One field of a shape: its name in the code, its type (and in a text), whether it must be there, what to say when it does not fit."""

    name: str
    type: Any
    in_text: Any  # the same without None: text that says "null" is a text
    is_whole_number: bool
    is_list: bool
    required: bool
    must: str


def read_query(raw: bytes, shape: type[Shape]) -> Shape:
    """The query string *raw* as a *shape*. Raises `InvalidInput` naming each parameter that is wrong or not known."""
    fields = _fields(shape)
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, text in _pairs(raw, "query"):
        field = fields.get(name)
        if field is None:
            errors.append(_unknown(name, fields))
        elif name in values:
            errors.append(FieldError(name, "is given more than once"))
        else:
            values[name] = _from_text(name, text, field, errors)
    errors.extend(_missing(fields, values))
    return _build(shape, values, errors)


def read_form(raw: bytes, shape: type[Shape], *, ignored: frozenset[str] = frozenset()) -> Shape:
    """The fields of an HTML form as a *shape*. A browser sends a field that was left empty as an empty text: it counts as not
    given, and a list has one field for each member. Raises `InvalidInput` naming each field that is wrong or not known.
    """
    fields = _fields(shape)
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, text in _pairs(raw, "form"):
        field = fields.get(name)
        if name in ignored or (text == "" and field is not None):
            continue
        if field is None:
            errors.append(_unknown(name, fields))
        elif field.is_list:
            values.setdefault(name, []).append(text)
        elif name in values:
            errors.append(FieldError(name, "is given more than once"))
        else:
            values[name] = _from_text(name, text, field, errors)
    for name in [name for name, value in values.items() if fields[name].is_list]:
        values[name] = _from_text(name, values[name], fields[name], errors)
    errors.extend(_missing(fields, values))
    return _build(shape, values, errors)


def read_body(raw: bytes, shape: type[Shape]) -> Shape:
    """The JSON object *raw* as a *shape*; no body at all is an empty object. Raises `InvalidInput` naming each field."""
    fields = _fields(shape)
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, part in _members(raw).items():
        field = fields.get(name)
        if field is None:
            errors.append(_unknown(name, fields))
        else:
            values[name] = _from_json(name, part, field, errors)
    errors.extend(_missing(fields, values))
    return _build(shape, values, errors)


def _missing(fields: dict[str, _Field], values: dict[str, Any]) -> list[FieldError]:
    return [FieldError(name, "is required") for name, field in fields.items() if field.required and name not in values]


def _build(shape: type[Shape], values: dict[str, Any], errors: list[FieldError]) -> Shape:
    if any(error.message.startswith(_UNKNOWN) for error in errors):
        raise UnknownFields(tuple(errors))
    if errors:
        raise InvalidInput(tuple(errors))
    fields = _fields(shape)
    return shape(**{fields[name].name: value for name, value in values.items()})


@cache
def _fields(shape: type[msgspec.Struct]) -> dict[str, _Field]:
    """The fields of *shape* by their names on the wire, which may be words that Python keeps for itself: ``from``."""
    hints = get_type_hints(shape, include_extras=True)
    return {one.encode_name: _field(one.name, hints[one.name], required=one.required) for one in msgspec.structs.fields(shape)}


def _field(name: str, hint: Any, *, required: bool) -> _Field:
    inner = [one for one in get_args(hint) if one is not type(None)] if _is_union(hint) else [hint]
    plain = get_args(inner[0])[0] if get_origin(inner[0]) is Annotated else inner[0]
    in_text = inner[0] if len(inner) == 1 else hint
    return _Field(name, hint, in_text, plain is int, get_origin(plain) in (list, tuple), required, _must(inner[0]))


def _is_union(hint: Any) -> bool:
    return get_origin(hint) is not Annotated and type(None) in get_args(hint)


def _must(hint: Any) -> str:
    """What is said of a value that does not fit: the shape's own words, or which values there are."""
    plain, *metas = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    for meta in metas:
        if isinstance(meta, msgspec.Meta) and meta.extra:
            return str(meta.extra.get("must", ""))
    choices = _choices(plain)
    return f"be one of {', '.join(choices)}" if choices else ""


def _choices(plain: Any) -> tuple[str, ...]:
    if get_origin(plain) is Literal:
        return tuple(map(str, get_args(plain)))
    return tuple(plain) if isinstance(plain, type) and issubclass(plain, StrEnum) else ()


def _unknown(name: str, fields: dict[str, _Field]) -> FieldError:
    return FieldError(name[:60], f"{_UNKNOWN}; known are {', '.join(fields)}" if fields else f"{_UNKNOWN}; nothing is")


def _pairs(raw: bytes, place: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise InvalidInput.of(place, "is not UTF-8") from None
    except ValueError:
        raise InvalidInput.of(place, f"has more than {MAX_FIELDS} parameters") from None


def _from_text(name: str, text: str | list[str], field: _Field, errors: list[FieldError]) -> Any:
    if _holds_nul(text):
        errors.append(FieldError(name, "must not hold NUL characters"))
        return None
    try:
        return msgspec.convert(text, field.in_text, strict=not field.is_whole_number)
    except msgspec.ValidationError as error:
        errors.append(_misfit(name, error, field))
        return None


def _members(raw: bytes) -> dict[str, msgspec.Raw]:
    if not raw:
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidInput.of("body", "must be a JSON object") from None
    except _BROKEN as error:
        raise InvalidInput.of("body", f"is not JSON: {_words(error)}") from None


def _from_json(name: str, part: msgspec.Raw, field: _Field, errors: list[FieldError]) -> Any:
    try:
        value = msgspec.json.decode(bytes(part), type=field.type)
    except _BROKEN as error:
        errors.append(_misfit(name, error, field))
        return None
    if _holds_nul(value):
        errors.append(FieldError(name, "must not hold NUL characters"))
    return value


def _misfit(name: str, error: Exception, field: _Field) -> FieldError:
    place = _PLACE.search(str(error))
    path = name + (place[1] if place else "")
    if not field.must or path != name:
        return FieldError(path, _words(error))
    given = _NOT_AMONG.match(str(error))
    return FieldError(path, f"must {field.must}" + (f", not {cut(given[1], SHOWN)}" if given else ""))


def _words(error: Exception) -> str:
    """msgspec's and Python's words without their code marks and paths."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    text = _PLACE.sub("", str(error)).replace("`", "")
    return text[:1].lower() + text[1:]


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    return isinstance(value, list | tuple) and any(map(_holds_nul, value))

"""Matchers, checked and made ready: regular expressions by RE2, whose time grows with the length of the text and no faster."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from tocsin.core.errors import FieldError, InvalidInput
from tocsin.muting.model import ATTRIBUTE, FIELDS, Labels, Matcher, Matchers, Op

MAX_MATCHERS = 20
MAX_VALUE = 500
MAX_ATTRIBUTE_NAME = 100
RE2_MEMORY = 1 << 18  # bytes for one compiled expression: hundreds of alternatives, not a million states
TOGETHER = 50  # expressions that are tried as one
TOGETHER_MEMORY = 1 << 22
REMEMBERED = 2_000  # answers of expressions that are tried as one: the same hosts come again and again

_WIDTH = {"host": 0, "subject": 1, "type": 2, "site": 4, "severity": 5}  # how many alerts share a value; attributes stand between

Predicate = Callable[[str], bool]


class Conditions:
    """All matchers of one silence, maintenance or side of a dependency, made ready once.

    ``exact`` are its conditions for one value of a field, the narrowest first; ``screen`` is a prefix, else an expression, that must match
    too: what an index can be built on. ``names_type``: it says which types it means.
    """

    __slots__ = ("_rest", "exact", "names_type", "screen")

    def __init__(self, matchers: Matchers, where: str = "matchers", fields: tuple[str, ...] = FIELDS, *, may_be_wide: bool = False) -> None:
        """Raises `InvalidInput` with the path of the matcher that cannot be used, below *where*.

        *fields*: what may be named beside attributes. *may_be_wide*: matching everything is no fault.
        """
        check(matchers, where, fields, may_be_wide=may_be_wide)
        narrow_first = sorted(matchers, key=lambda m: _WIDTH.get(m.field, 3))
        self.exact = tuple((m.field, m.value) for m in narrow_first if m.op is Op.EQUAL)
        self.names_type = any(m.field == "type" and m.op is not Op.NOT for m in matchers)
        slower = sorted((m for m in narrow_first if m.op is not Op.EQUAL), key=lambda m: m.op is Op.REGEX)
        self.screen = next((m for op in (Op.PREFIX, Op.REGEX) for m in slower if m.op is op), None)
        self._rest = tuple((m.field, predicate(m, f"{where}[{matchers.index(m)}].value")) for m in slower)

    def holds(self, labels: Labels) -> bool:
        """Whether all matchers match."""
        get = labels.get
        for field, value in self.exact:
            if get(field) != value:
                return False
        for field, fits in self._rest:  # noqa: SIM110 - `all` over a generator takes twice as long, and this is the hot path
            if not fits(get(field)):
                return False
        return True


_LONGEST_FIRST = sorted(Op, key=lambda op: -len(op.value))


def read_matcher(text: str) -> Matcher:
    """``host=web-1``, ``type^disk.``, ``host~web-[0-9]+``, ``severity!=5``. Raises `InvalidInput` for the field ``match``."""
    place = min((at for sign in "=!^~<>" if (at := text.find(sign)) > 0), default=-1)
    op = next((op for op in _LONGEST_FIRST if place > 0 and text.startswith(op.value, place)), None)
    if op is None:
        raise InvalidInput.of(
            "match", f"{text[:60]!r} is not FIELD=VALUE, FIELD!=VALUE, FIELD^START, FIELD~EXPRESSION or FIELD>=NUMBER. Example: host=web-1"
        )
    return Matcher(text[:place].strip(), op, text[place + len(op) :])


def check(matchers: Matchers, where: str = "matchers", fields: tuple[str, ...] = FIELDS, *, may_be_wide: bool = False) -> None:
    """Refuses what is too much, unknown or too wide. Raises `InvalidInput` naming each fault; expressions are checked by `predicate`."""
    if not matchers and not may_be_wide:
        raise InvalidInput.of(where, 'is empty and would match everything; name what it is about, such as {"field": "host", ...}')
    if len(matchers) > MAX_MATCHERS:
        raise InvalidInput.of(where, f"has {len(matchers)} matchers; at most {MAX_MATCHERS} are taken")
    faults = [FieldError(f"{where}[{place}].{part}", text) for place, m in enumerate(matchers) for part, text in _faults(m, fields)]
    if faults:
        raise InvalidInput(tuple(faults))
    for place, m in enumerate(matchers):
        if m.field == "severity" and not any(map(predicate(m, f"{where}[{place}].value"), _ANY["severity"])):
            raise InvalidInput.of(f"{where}[{place}].value", f"{m.value[:40]!r} fits no severity; they are 1 to 5. Example: 4")
    if not may_be_wide and all(_is_wide(m, f"{where}[{place}].value") for place, m in enumerate(matchers)):
        raise InvalidInput.of(where, "would match everything; add a matcher that names a site, type, severity, host, subject or attribute")


def _faults(matcher: Matcher, fields: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    name = matcher.field.removeprefix(ATTRIBUTE) if matcher.field.startswith(ATTRIBUTE) else None
    if name is None and matcher.field not in fields:
        found.append(("field", f"{matcher.field[:40]!r} is none of {', '.join(fields)} and attributes.NAME"))
    if name is not None and not 0 < len(name) <= MAX_ATTRIBUTE_NAME:
        found.append(("field", f"the attribute's name must have 1 to {MAX_ATTRIBUTE_NAME} characters, such as attributes.gateway"))
    if any(not _is_storable(text) for text in (matcher.field, matcher.value)):
        found.append(("value", "must be text without NUL characters and lone surrogates"))
    if matcher.op in (Op.AT_LEAST, Op.AT_MOST) and not _NUMBER.fullmatch(matcher.value):
        found.append(("value", f"{matcher.value[:40]!r} is no number. Example: 500"))
    if len(matcher.value) > MAX_VALUE:
        found.append(("value", f"has {len(matcher.value)} characters; at most {MAX_VALUE} are taken"))
    return found


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


# A matcher that lets all of these pass says nothing about the alert. That it has a host at all, or none, is nothing either.
_ANY_TEXT = ("a", "0", "zq-83.example.net", "server:3", "tocsin.probe_of_matchers", "Ünlikely Text, with 4 (odd) [parts]")
_ANY = {
    "severity": ("1", "2", "3", "4", "5"),
    "type": ("disk.full", "invoice.payment_failed", "tocsin.probe_of_matchers", "q.x"),
    "site": ("a", "main", "zq-83", "0"),
}


def _is_wide(matcher: Matcher, where: str) -> bool:
    fits = predicate(matcher, where)
    return matcher == Matcher(matcher.field, Op.EQUAL, "") or all(fits(text) for text in _ANY.get(matcher.field, _ANY_TEXT))


def predicate(matcher: Matcher, where: str = "value") -> Predicate:
    """The matcher as a function of the field's value. Raises `InvalidInput` for an expression that RE2 does not take."""
    value = matcher.value
    match matcher.op:
        case Op.EQUAL:
            return value.__eq__
        case Op.NOT:
            return value.__ne__
        case Op.PREFIX:
            return lambda text: text.startswith(value)
        case Op.AT_LEAST | Op.AT_MOST:
            return _compared(matcher.op, _number_in(value))
        case Op.REGEX:
            match = _compiled(value, where).fullmatch
            return lambda text: match(text) is not None


def _compared(op: Op, limit: float) -> Predicate:
    """Whether a text is a number on the right side of *limit*. Nothing is compared with what is no number."""
    if op is Op.AT_LEAST:
        return lambda text: _number_in(text) >= limit
    return lambda text: _number_in(text) <= limit


def _number_in(text: str) -> float:
    """The number that *text* is; else one that is on no side of any other."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def any_of(op: Op, values: Sequence[str], *, remember: bool = True) -> Predicate | None:
    """Whether a text has one of these prefixes, or matches one of these expressions; None if they cannot be tried as one.

    *remember*: what was asked before is not worked out again.
    """
    if op is Op.PREFIX:
        prefixes = tuple(values)
        return lambda text: text.startswith(prefixes)
    try:
        match = _compiled("|".join(f"(?:{value})" for value in values), "value", TOGETHER_MEMORY).fullmatch
    except InvalidInput:
        return None  # too large together
    if not remember:
        return lambda text: match(text) is not None
    said: dict[str, bool] = {}

    def fits(text: str) -> bool:
        known = said.get(text)
        if known is None:
            if len(said) >= REMEMBERED:
                said.clear()
            known = said[text] = match(text) is not None
        return known

    return fits


def _compiled(pattern: str, where: str, memory: int = RE2_MEMORY) -> Any:
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - three megabytes that an installation without such a matcher need not have

    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise InvalidInput.of(where, f"is not a regular expression that can be used: {told}. Example: web[0-9]+") from None

"""Title templates: one line for a person, made from values that come from outside.

A template is read from left to right, the first alternative that can be filled wins::

    Invoice {id}: payment refused[ by {gateway}]|Payment refused[ by {gateway}]

``{name}`` is an attribute in lower case, or ``{id}`` (what the subject names), ``{subject}`` or ``{host}``;
``[...]`` is left out when one of its names is missing; ``|`` separates alternatives.
"""

import re
from collections.abc import Mapping
from math import isfinite
from unicodedata import category

import msgspec

from tocsin.core.text import cut

TITLE_LIMIT = 200
VALUE_LIMIT = 60

# A value may be 16 KiB; more than this is never looked at to fill sixty characters.
_READ_LIMIT = 4 * VALUE_LIMIT
# Beyond this an integer is no id, and printing one of thousands of digits costs or even fails.
_INTEGER_LIMIT = 10**18

_FIELD = re.compile(r"\{([A-Za-z0-9_]+)\}")
_SEGMENT = re.compile(r"\[([^\[\]]*)\]|([^\[\]]+)")


class Segment(msgspec.Struct, frozen=True):
    """A stretch of a title: words before each name, the name, and the words ``after`` the last."""

    pieces: tuple[tuple[str, str], ...]
    after: str
    optional: bool


# The alternatives, each a row of segments.
Template = tuple[tuple[Segment, ...], ...]


def compile_template(text: str) -> Template:
    """*text* ready to be filled many times; it must be one that `why_wrong` has nothing against."""
    return tuple(tuple(_segment(match[1], match[2]) for match in _SEGMENT.finditer(alternative)) for alternative in text.split("|"))


def _segment(optional: str | None, required: str | None) -> Segment:
    # The split gives words, name, words, name, ..., words.
    *pairs, after = _FIELD.split(optional if optional is not None else required or "")
    pieces = tuple((before, name.lower()) for before, name in zip(pairs[::2], pairs[1::2], strict=True))
    return Segment(pieces, after, optional is not None)


def why_wrong(text: str) -> str | None:
    """What keeps *text* from being a template, in words for the person who wrote it; None when it is one."""
    if not text.strip():
        return "a title cannot be empty"
    if len(text) > TITLE_LIMIT:
        return f"a title has at most {TITLE_LIMIT} characters, this one has {len(text)}"
    if not text.isprintable():
        return "a title is one line without control characters"
    return _why_unreadable(text)


def _why_unreadable(text: str) -> str | None:
    bare = _FIELD.sub("", text)
    if "{" in bare or "}" in bare:
        return "write an attribute as {name}, with letters, digits and underscores only"
    for alternative in bare.split("|"):
        if not alternative.strip():
            return "an alternative between | is empty"
        if any(bracket in _SEGMENT.sub("", alternative) for bracket in "[]"):
            return "each [ needs its ], without another pair inside"
    return None


def fill(template: Template, fields: Mapping[str, object]) -> str:
    """The first alternative of which every needed field is there; empty when there is none."""
    for segments in template:
        text = _fill_segments(segments, fields)
        if text is not None:
            return cut(text, TITLE_LIMIT)
    return ""


def _fill_segments(segments: tuple[Segment, ...], fields: Mapping[str, object]) -> str | None:
    text = ""
    for segment in segments:
        part = ""
        for before, name in segment.pieces:
            value = short_text(fields.get(name))
            # WHMCS writes 0 for "none": no page says "on server 0".
            if not value or (value == "0" and name.endswith("id")):
                break
            part += before + value
        else:
            text += part + segment.after
            continue
        if not segment.optional:
            return None
    return text


def short_text(value: object) -> str:
    """A scalar as at most sixty printable characters on one line; empty for all else (also for true and false)."""
    # Exact types: twice as fast as isinstance on the hottest lines of the intake, and JSON has no others.
    if type(value) is str:
        return _short_string(value)
    if type(value) is int:
        return str(value) if -_INTEGER_LIMIT < value < _INTEGER_LIMIT else ""
    return _short_number(value) if type(value) is float else ""


def _short_string(value: str) -> str:
    if len(value) <= VALUE_LIMIT and value.isprintable() and "  " not in value:
        return value.strip()
    return cut(printable(value[:_READ_LIMIT]), VALUE_LIMIT)


def _short_number(value: float) -> str:
    """Whole numbers without a point, others as money is written: ``24``, ``36.50``."""
    if not isfinite(value) or abs(value) >= _INTEGER_LIMIT:
        return ""
    if value.is_integer():
        return str(int(value))
    return f"{value:.2f}" if abs(value) >= 0.01 else repr(value)


def printable(text: str) -> str:
    """*text* on one line with single spaces; invisible characters (direction marks, joiners) are gone."""
    visible = "".join(c if c.isprintable() else "" if category(c) == "Cf" else " " for c in text)
    return " ".join(visible.split())

"""Forms with numbered groups of fields, such as ``l0.user``: for what has as many parts as somebody wants."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from urllib.parse import parse_qsl

from tocsin.core.errors import FieldError, InvalidInput, UnknownFields
from tocsin.core.text import whole

MOST_FIELDS = 5_000
LONGEST = 2_000  # characters of one field: more than any is allowed to have

# What accounts and keys may do is said on their own pages: no form of groups has a place for it.
PRIVILEGES = frozenset(("role", "roles", "scope", "scopes", "sites", "site_ids", "every_site", "user_id", "actor", "created_by", "admin"))

_UNCLEAR = re.compile(r",[0-9]{3}$")  # thousands, or a fraction

Fields = Mapping[str, Sequence[str]]


def read_fields(raw: bytes) -> Fields:
    """All fields of a form by name, each with its values in order.

    Raises `InvalidInput` for what no page of ours sends, and `UnknownFields`, which is noted down, for a field that would give its
    sender more than they may.
    """
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:  # UnicodeDecodeError is one
        raise InvalidInput.of("form", "cannot be read") from None
    if any("\0" in text for pair in pairs for text in pair):
        raise InvalidInput.of("form", "must not hold NUL characters")
    fields: dict[str, list[str]] = {}
    for name, text in pairs:
        fields.setdefault(name, []).append(text)
    slipped = sorted(PRIVILEGES & fields.keys())
    if slipped:
        raise UnknownFields(tuple(FieldError(name, "is not known here") for name in slipped))
    return fields


def single(fields: Fields, name: str) -> str:
    """The first value of a field, trimmed; empty if it was not sent."""
    return fields[name][0].strip()[:LONGEST] if name in fields else ""


def several(fields: Fields, name: str) -> tuple[str, ...]:
    """All values of a field that are not empty."""
    return tuple(text.strip()[:LONGEST] for text in fields.get(name, ()) if text.strip())


def count(fields: Fields, start: str) -> int:
    """How many groups ``start0.``, ``start1.`` ... there are: one more than the highest number."""
    numbers = (name.removeprefix(start).partition(".")[0] for name in fields if name.startswith(start) and "." in name[len(start) :])
    return max((place + 1 for number in numbers if (place := small(number)) is not None), default=0)


def small(text: str) -> int | None:
    """A number of up to three digits; None if *text* is none."""
    return whole(text, 3)


def number(text: str) -> int | float | str:
    """A number that was typed, with a point or a comma; what is none stays the text, about which the answer then says what it must be.

    So does ``3,000``: it may mean three or three thousand.
    """
    if _UNCLEAR.search(text):
        return text
    for kind in (int, float):
        try:
            value = kind(text.replace(",", "."))
        except ValueError:
            continue
        return value if isfinite(value) else text
    return text

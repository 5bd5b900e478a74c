"""Pages of lists: cursors that are opaque outside and name the last item inside, so that new items never shift a page."""

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from tocsin.core.errors import InvalidInput

Item = TypeVar("Item")
_BIG = 1 << 62


def write_cursor(kind: str, place: Sequence[int | str]) -> str:
    """The cursor that goes on after *place* in a list of *kind*."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *place])).decode().rstrip("=")


def read_cursor(text: str | None, kind: str, types: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The place in a cursor of the same *kind* of list. Raises `InvalidInput` for anything else."""
    if text is None:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found_kind, *place = msgspec.json.decode(raw, type=list[int | str])
    except (ValueError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_a_cursor() from None
    if found_kind != kind or tuple(map(type, place)) != types or not all(map(_is_storable, place)):
        raise _not_a_cursor()
    return tuple(place)


def _is_storable(value: int | str) -> bool:
    return abs(value) < _BIG if isinstance(value, int) else "\0" not in value


def _not_a_cursor() -> InvalidInput:
    return InvalidInput.of("cursor", "is not the next_cursor of an earlier answer to the same question")


def cut_page(items: list[Item], limit: int, kind: str, place: Callable[[Item], Sequence[int | str]]) -> tuple[list[Item], str | None]:
    """The first *limit* of *items*, of which one more was asked for, and the cursor to the rest."""
    if len(items) <= limit:
        return items, None
    page = items[:limit]
    return page, write_cursor(kind, place(page[-1]))

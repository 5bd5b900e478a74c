"""One piece of an endless answer, written to a connection past the task that answers: a thousand of these need not be woken for it.

The HTTP server offers it to what it calls, as an extension of ASGI (docs/adr/0027-one-stream.md).
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

NAME = "tocsin.write_past"


def extension(write: Callable[[bytes], bool]) -> dict[str, dict[object, object]]:
    """What stands in a scope under ``extensions``."""
    return {NAME: {"write": write}}


def write_past(scope: Mapping[str, Any]) -> Callable[[bytes], bool] | None:
    """What writes one piece at once, or answers False; None where the server cannot do that."""
    found: Callable[[bytes], bool] | None = ((scope.get("extensions") or {}).get(NAME) or {}).get("write")
    return found


@lru_cache(maxsize=2)  # the same bytes go to many, one after the other
def framed(piece: bytes) -> bytes:
    """*piece* as ``Transfer-Encoding: chunked`` has it."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)

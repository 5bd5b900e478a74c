"""Two people who change one thing: which state of it each had before their eyes, where it has no version of its own."""

import hashlib

import msgspec

from tocsin.core.errors import Overtaken


def edition(state: object) -> str:
    """Another text as soon as anything in *state* is another."""
    return hashlib.sha256(msgspec.json.encode(state)).hexdigest()[:16]


def expect(seen: str | None, now: str, name: str) -> None:
    """Raises `Overtaken` unless what was *seen* is what is *now*. None, or nothing: the caller does not mind."""
    if seen and seen != now:
        raise Overtaken(f"this {name} was changed by somebody else meanwhile")

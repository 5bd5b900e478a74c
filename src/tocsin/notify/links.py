"""Signed addresses in messages: ``/a/{token}`` acts on one alert with one action, for one person.

A token names the message that carried it and the action, and is sealed with an HMAC, so that nothing has to be stored
for it; it dies with the message's age, when the message's links are revoked, or when its contact is disabled. The alert
and the person are those of the message.
"""

import base64
import enum
import hmac
import uuid
from functools import lru_cache

import msgspec

from tocsin.core.clock import DAY
from tocsin.notify.model import Links, Message

LIFETIME = 7 * DAY
_SEAL = 16  # bytes of HMAC-SHA256: 128 bits cannot be guessed


class LinkAction(enum.StrEnum):
    """What a link does."""

    OPEN = "open"  # shows the alert with all its buttons
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    SNOOZE = "snooze"  # for an hour


_CODES: dict[LinkAction, int] = {LinkAction.OPEN: 1, LinkAction.ACKNOWLEDGE: 2, LinkAction.RESOLVE: 3, LinkAction.SNOOZE: 4}
_ACTIONS = {code: action for action, code in _CODES.items()}


class Opened(msgspec.Struct, frozen=True):
    """What a genuine token says."""

    message_id: str
    action: LinkAction


def token(secret: bytes, message_id: str, action: LinkAction) -> str:
    """44 URL-safe characters."""
    return _written(secret, _CODES[action], _bytes_of(message_id))


def _bytes_of(message_id: str) -> bytes:
    return bytes.fromhex(message_id.replace("-", ""))


def _written(secret: bytes, code: int, message: bytes) -> str:
    body = code.to_bytes(1) + message
    return base64.urlsafe_b64encode(body + _seal(secret, body)).decode()


def read(secret: bytes, text: str) -> Opened | None:
    """What *text* says, or None if it is not one of our tokens. Takes the same time for near misses."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        return None
    body, seal = raw[:17], raw[17:]
    if len(raw) != 17 + _SEAL or not hmac.compare_digest(seal, _seal(secret, body)) or body[0] not in _ACTIONS:
        return None
    return Opened(str(uuid.UUID(bytes=body[1:])), _ACTIONS[body[0]])


def _seal(secret: bytes, body: bytes) -> bytes:
    sealing = _begun(secret).copy()
    sealing.update(body)
    return sealing.digest()[:_SEAL]


@lru_cache(maxsize=4)
def _begun(secret: bytes) -> "hmac.HMAC":
    """Every message has four seals by one secret: a copy of a seal that has begun takes a third of the time of a new one."""
    return hmac.new(secret, b"tocsin-link-1", "sha256")


def links(secret: bytes, public_url: str, message_id: str) -> Links:
    """The addresses that *message_id* carries."""
    base, message = f"{public_url}/a/", _bytes_of(message_id)
    return Links(*[base + _written(secret, code, message) for code in _CODES.values()])


def is_alive(message: Message, now: int) -> bool:
    """Whether the links of *message* still act: not too old, not revoked."""
    return message.links_revoked_at is None and now < message.created_at + LIFETIME

"""What a button "Undo" carries: how the alerts stood before, sealed, so that any node can take the action back."""

import base64
import hashlib
import hmac
import zlib
from collections.abc import Sequence

import msgspec

from tocsin.alerts.model import Before
from tocsin.core.clock import MINUTE
from tocsin.core.errors import InvalidInput

GOOD_FOR = 5 * MINUTE  # the button is shown for ten seconds; a slow connection may need longer

_encode, _decoder = msgspec.json.Encoder().encode, msgspec.json.Decoder(tuple[int, str, list[Before]])


def seal(secret: bytes, user_id: str, before: Sequence[Before], now: int) -> str:
    """The token for *user_id*."""
    packed = zlib.compress(_encode((now, user_id, list(before))), 6)
    return base64.urlsafe_b64encode(_sign(secret, packed) + packed).decode()


def read(secret: bytes, user_id: str, token: str, now: int) -> list[Before]:
    """What a token holds. Raises `InvalidInput` for one that is not ours, not for this user, or too old."""
    packed = _opened(secret, token)
    if packed is None:
        raise InvalidInput.of("token", "is not one of ours: press Undo where it was offered")
    made_at, owner, before = _decoder.decode(zlib.decompress(packed))
    if owner != user_id:
        raise InvalidInput.of("token", "is somebody else's: only who did it can take it back")
    if now - made_at > GOOD_FOR:
        raise InvalidInput.of("token", "is too old to be taken back: open the alert and change it there")
    return before


def _opened(secret: bytes, token: str) -> bytes | None:
    """What we sealed; None for anything else."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        return None
    signature, packed = raw[:32], raw[32:]
    return packed if hmac.compare_digest(signature, _sign(secret, packed)) else None


def _sign(secret: bytes, packed: bytes) -> bytes:
    return hmac.new(secret, b"undo\0" + packed, hashlib.sha256).digest()

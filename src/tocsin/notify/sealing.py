"""Web push without a library: sealing a message for one browser (RFC 8291), and showing a push service who sends (RFC 8292).

`cryptography` is loaded where it is used: an installation without a subscribed browser never pays for it.
"""

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.clock import SECOND

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

RECORD = 4_096  # bytes that every push service takes
MOST = RECORD - 86 - 1 - 16  # what is left of a record for text: header, the mark of the last record, the tag
TOKEN_LASTS = 12 * 3_600  # seconds; a push service refuses more than a day
_POINT, _AUTH = 65, 16


class Subscription(msgspec.Struct, frozen=True):
    """What a browser hands out: where its push service takes messages, its public key and its secret. Not to be shown."""

    endpoint: str
    p256dh: str
    auth: str


class Keys(msgspec.Struct, frozen=True):
    """The pair by which push services know this installation: the private number, and the public point as browsers take it."""

    private: str
    public: str


def make_keys() -> Keys:
    """A new pair. Subscriptions are bound to it: with another one they are all void."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    return Keys(encode(key.private_numbers().private_value.to_bytes(32)), encode(_point(key.public_key())))


def encode(raw: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The opposite, padded or not. Raises `ValueError`."""
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


def check(subscription: Subscription) -> None:
    """Raises `ValueError` if nothing could be sealed for it."""
    if len(decode(subscription.auth)) != _AUTH:
        raise ValueError("the secret must have 16 bytes")
    _public(decode(subscription.p256dh))


def seal(text: bytes, subscription: Subscription, *, salt: bytes | None = None, private: str | None = None) -> bytes:
    """*text* (at most `MOST` bytes) as one record of ``aes128gcm``, which only that browser can read. *salt* and *private* are for
    tests; else they are made anew for each message, as they must be.
    """
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    if len(text) > MOST:
        raise ValueError(f"a push message has at most {MOST} bytes")
    theirs_raw, secret, salt = decode(subscription.p256dh), decode(subscription.auth), salt or os.urandom(16)
    ours = ec.generate_private_key(ec.SECP256R1()) if private is None else _private(private)
    ours_raw = _point(ours.public_key())
    shared = ours.exchange(ec.ECDH(), _public(theirs_raw))
    base = _derive(secret, shared, b"WebPush: info\0" + theirs_raw + ours_raw, 32)
    key, nonce = _derive(salt, base, b"Content-Encoding: aes128gcm\0", 16), _derive(salt, base, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD.to_bytes(4) + bytes([_POINT]) + ours_raw
    return header + AESGCM(key).encrypt(nonce, text + b"\x02", None)


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256, for at most 32 bytes (RFC 5869)."""
    known = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(known, info + b"\x01", hashlib.sha256)[:length]


def token(keys: Keys, audience: str, subject: str, now: int) -> str:
    """The value of ``Authorization``: that the holder of *keys* writes to *audience*, and whom to ask about it. Holds `TOKEN_LASTS`."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

    claims = {"aud": audience, "exp": now // SECOND + TOKEN_LASTS, "sub": subject}
    head = encode(msgspec.json.encode({"typ": "JWT", "alg": "ES256"}))
    signed = f"{head}.{encode(msgspec.json.encode(claims))}"
    r, s = utils.decode_dss_signature(_private(keys.private).sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"vapid t={signed}.{encode(r.to_bytes(32) + s.to_bytes(32))}, k={keys.public}"


def _private(text: str) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    return ec.derive_private_key(int.from_bytes(decode(text)), ec.SECP256R1())


def _public(raw: bytes) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    if len(raw) != _POINT:
        raise ValueError(f"the key must be a point of {_POINT} bytes")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)


def _point(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

"""The bridge's signature: ``X-Tocsin-Signature: t=UNIX,v1=HEX``, HMAC-SHA256 of ``t.body`` under the API key."""

import hashlib
import hmac
import re

from tocsin.core.clock import MINUTE
from tocsin.core.errors import NotAuthenticated

MAX_AGE = 5 * MINUTE
_FORM = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})", re.ASCII)


def verify(header: str, secret: str, body: bytes, now: int) -> int:
    """The sender's clock minus ours in milliseconds, if the signature is good and at most five minutes old.

    *body* is what was sent, before any decompression. Raises `NotAuthenticated`.
    """
    match = _FORM.fullmatch(header.strip())
    if match is None:
        raise NotAuthenticated("X-Tocsin-Signature must look like t=1767225600,v1=<64 hex digits>")
    skew = int(match[1]) * 1000 - now
    if abs(skew) > MAX_AGE:
        raise NotAuthenticated(
            f"the signature is {abs(skew) // 1000} s away from this server's time; at most 300 s are allowed: check both clocks"
        )
    if not hmac.compare_digest(sign(match[1], secret, body), match[2]):
        raise NotAuthenticated("the signature does not fit the body: check that the sender signs with the key that it sends")
    return skew


def sign(moment: str, secret: str, body: bytes) -> str:
    """The hex signature of *body* at the Unix second *moment*."""
    return hmac.digest(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hex()

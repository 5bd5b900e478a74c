"""Decisions about keys and sessions: how they look, whether one is good now."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput, NotAllowed, NotAuthenticated
from tocsin.core.times import to_text
from tocsin.identity.model import ApiKey, Scope, Session

PREFIX = "tocsin_"
MIN_PASSWORD = 10
SESSION_IDLE = 12 * HOUR
SESSION_LASTS = 30 * DAY
_LENGTHS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\\\x00-\x1f]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)


def make_secret() -> str:
    """A new key: ``tocsin_`` and 43 characters that hold 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of a key. Plain SHA-256 is enough: 256 random bits cannot be tried through."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check(key: ApiKey | None, scope: Scope | None, now: int, *, whole: bool = False) -> ApiKey:
    """The key, if it is good now for *scope* (None: no key is). *whole*: what is asked for is not one site's.

    Raises `NotAuthenticated` or `NotAllowed`.
    """
    if key is None:
        raise NotAuthenticated("this key is not known; make one with `tocsin key add`")
    if key.revoked_at is not None:
        raise NotAuthenticated(f"this key was revoked at {to_text(key.revoked_at)}")
    if key.expires_at is not None and key.expires_at <= now:
        raise NotAuthenticated(f"this key expired at {to_text(key.expires_at)}")
    if scope is None:
        raise NotAllowed("this is for people who are logged in; no key may do it")
    if not key.allows(scope):
        raise NotAllowed(f"this key has the scope {', '.join(sorted(key.scopes))}; this needs {scope.value}")
    if whole and key.site is not None:
        raise NotAllowed(f"this key is for the site {key.site} only; this is about the whole installation")
    return key


def read_scopes(text: str) -> frozenset[Scope]:
    """``ingest,read`` -> the scopes. Raises `InvalidInput`."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    known = [scope.value for scope in Scope]
    for word in words:
        if word not in known:
            raise InvalidInput.of("scope", f"{word!r} is none of {', '.join(known)}. Example: ingest,read")
    if not words:
        raise InvalidInput.of("scope", f"names no scope. Known: {', '.join(known)}")
    return frozenset(Scope(word) for word in words)


def read_length(text: str, field: str = "expires") -> int:
    """``90d`` -> milliseconds. Raises `InvalidInput` for *field*."""
    match = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if match is None or int(match[1]) == 0:
        raise InvalidInput.of(field, f"{text[:40]!r} is no length of time. Example: 90d (m, h, d or w)")
    return int(match[1]) * _LENGTHS[match[2]]


def check_email(text: str) -> str:
    """The address in lower case. Raises `InvalidInput`."""
    if len(text) > 254 or _EMAIL.fullmatch(text) is None:
        raise InvalidInput.of("email", f"{text[:80]!r} is no mail address. Example: marta@example.com")
    return text.lower()


def check_password(text: str) -> str:
    """The password, if it is long enough to keep. Raises `InvalidInput`."""
    if len(text) < MIN_PASSWORD:
        raise InvalidInput.of("password", f"has {len(text)} characters; at least {MIN_PASSWORD} are needed")
    if len(text) > 1024:
        raise InvalidInput.of("password", "has more than 1,024 characters")
    return text


def make_token() -> str:
    """A new session's or link's token: 43 characters that hold 256 random bits."""
    return secrets.token_urlsafe(32)


def csrf_token(token: str) -> str:
    """What forms of this session carry to show that the page they came from was ours. It cannot be turned back into the token."""
    return hmac.digest(token.encode(), b"tocsin-csrf-1", hashlib.sha256).hex()


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that says nothing about where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def session_is_over(session: Session, seen_at: int, now: int) -> bool:
    """Whether a session has run out: 12 hours without use, or 30 days. *seen_at*: a later use that is not yet written."""
    return now >= session.ends_at or now - max(session.seen_at, seen_at) >= SESSION_IDLE


def cookie_name(public_url: str) -> str:
    """The session cookie's name. ``__Host-``: browsers take it by HTTPS only, from this host only, and from no other path."""
    return "__Host-tocsin" if public_url.startswith("https:") else "tocsin"


def is_own_page(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a request that changes something comes from a page of ours, by what the browser itself says about it.

    Programs that are no browsers send neither header; they have no cookies that somebody else could use.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(public_url)
    return origin == f"{parts.scheme}://{parts.netloc}" or origin.partition("://")[2] == headers.get("host", "?")

"""Decisions about people, keys and sessions: how they look, whether one is good now."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict, InvalidInput, NotAllowed, NotAuthenticated, NotFound
from tocsin.core.text import one_line
from tocsin.core.times import in_utc, to_text
from tocsin.core.zones import is_zone
from tocsin.identity.model import ApiKey, Pass, PassKind, Role, Scope, Session, User

PREFIX = "tocsin_"
MIN_PASSWORD, MAX_PASSWORD, MIN_DIFFERENT = 12, 1_024, 5
SESSION_IDLE = 12 * HOUR
SESSION_LASTS = 30 * DAY
_LENGTHS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
# The letters of what is tried first, whatever digits and signs are put around them; and what is typed by running along the keys.
_COMMON = frozenset(
    re.findall(
        r"[a-z]+",
        """password passwort motdepasse contrasena passwordpassword letmein letmeinplease welcome welcomehome changeme changemenow
        admin administrator adminadmin administrators root rootroot qwerty qwertyuiop qwertyqwerty qwertz qwertzuiop azerty
        azertyuiop iloveyou iloveyouforever sunshine princess football baseball monkey dragon master superman batman trustno
        trustnoone whatever secret secretsecret supersecret mysecret mypassword thisismypassword testtest testtesttest default
        temporary tocsin tocsintocsin whmcs whmcswhmcs hosting webhosting abcdefghijkl abcdefghijklm abcabcabcabc
        correcthorsebatterystaple starwars pokemon computer internet summer winter spring autumn monday january""",
    )
)
_RUNS = frozenset(
    ("123456789012", "1234567890123", "012345678901", "123412341234", "1q2w3e4r5t6y", "1qaz2wsx3edc", "qazwsxedcrfv", "0987654321098")
)
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


def check_password(text: str, email: str = "", field: str = "password") -> str:
    """The password, if it is good enough to keep. Raises `InvalidInput`."""
    plain = text.casefold()
    letters = re.sub(r"[^a-z]", "", plain)
    if len(text) < MIN_PASSWORD:
        raise InvalidInput.of(field, f"has {len(text)} characters; at least {MIN_PASSWORD} are needed. Four words are easy to keep")
    if len(text) > MAX_PASSWORD:
        raise InvalidInput.of(field, f"has more than {MAX_PASSWORD:,} characters")
    if email and plain in (email.casefold(), email.casefold().partition("@")[0]):
        raise InvalidInput.of(field, "is the mail address: everybody knows that one")
    if len(set(plain)) < MIN_DIFFERENT or plain in _RUNS or letters in _COMMON:
        raise InvalidInput.of(
            "password", "is one of those that are tried first. Four words that have nothing to do with each other are good"
        )
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
    """Whether a session has run out: 12 hours without use, or 30 days. *seen_at*: its last use, perhaps not yet written."""
    return now >= session.ends_at or now - seen_at >= SESSION_IDLE


def cookie_name(public_url: str) -> str:
    """The session cookie's name. ``__Host-``: browsers take it by HTTPS only, from this host only, and from no other path."""
    return "__Host-tocsin" if public_url.startswith("https:") else "tocsin"


def is_own_page(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a request that changes something comes from a page of ours, by what the browser itself says about it.

    Programs that are no browsers send neither header; they have no cookies that somebody else could use.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    if origin is None:
        return True
    parts = urlsplit(public_url)
    return origin == f"{parts.scheme}://{parts.netloc}" or origin.partition("://")[2] == headers.get("host", "?")


# --- Logins that fail

FREE_TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = MINUTE, 15 * MINUTE
FORGOTTEN_AFTER = DAY  # failures that lie so far back do not count any more


def pause_after(failures: int) -> int:
    """How long (ms) an account rests after so many failed logins: nothing for the first four, then twice as long each time."""
    return 0 if failures < FREE_TRIES else int(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - FREE_TRIES, 10)))


class Try(msgspec.Struct, frozen=True):
    """Whether a login may be tried now: ``wait`` (ms) until it may, ``failures`` if this one fails too."""

    wait: int
    failures: int

    @property
    def left(self) -> int:
        """How many more may fail before a pause."""
        return max(0, FREE_TRIES - self.failures)


def judge_try(failures: int, last_at: int, now: int) -> Try:
    """Whether an account with so many *failures*, the last of them at *last_at*, may be tried."""
    if now - last_at >= FORGOTTEN_AFTER:
        return Try(0, 1)
    wait = max(0, last_at + pause_after(failures) - now)
    return Try(wait, failures if wait else failures + 1)


def account_key(email: str) -> str:
    """Under what an account's failures are kept: a digest, since people type passwords where an address belongs."""
    return hashlib.sha256(f"tocsin-account-1:{email.strip().lower()}".encode(errors="replace")).hexdigest()


# --- The second factor

TOTP_STEP = 30 * SECOND
_CODE = re.compile(r"[0-9]{6}")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without what is mistaken for something else: l, o, 0, 1


def clean_code(text: str) -> str:
    """A code as it was typed, without spaces and dashes, in small letters."""
    return re.sub(r"[\s-]", "", text).lower()


def is_totp(code: str) -> bool:
    """Whether a clean code is one of the app; else it may be a recovery code."""
    return _CODE.fullmatch(code) is not None


def steps_around(now: int) -> tuple[int, int, int]:
    """The time steps whose code is taken: the present one, and one on either side, since clocks differ and people type slowly."""
    step = now // TOTP_STEP
    return step, step - 1, step + 1


def make_recovery_codes() -> list[str]:
    """Ten codes such as ``k4mw-9pzr-7cxh-t2nd``, of 80 random bits each: so many cannot be tried through, not even from digests."""
    raw = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(10)]
    return ["-".join(code[place : place + 4] for place in range(0, 16, 4)) for code in raw]


# --- Links that work once

LASTS: Mapping[PassKind, int] = {PassKind.INVITE: 7 * DAY, PassKind.RESET: HOUR, PassKind.SETUP: DAY}


def check_pass(found: Pass | None, kind: PassKind, now: int) -> Pass:
    """The link, if it is good now. Raises `NotFound` with the reason and what to do."""
    if found is None or found.kind is not kind:
        raise NotFound("this is not a link that Tocsin made, or a newer one has taken its place")
    if found.used_at is not None:
        raise NotFound(f"this link was used at {in_utc(found.used_at)}; each works once")
    if now >= found.expires_at:
        raise NotFound(f"this link ran out at {in_utc(found.expires_at)}")
    return found


# --- People


def check_name(text: str) -> str:
    """A name without spaces around it. Raises `InvalidInput`."""
    name = one_line(text)
    if not 1 <= len(name) <= 100:
        raise InvalidInput.of("name", "must have 1 to 100 characters")
    return name


def check_time_zone(text: str) -> str:
    """The name of a time zone. Raises `InvalidInput`."""
    if not is_zone(text):
        raise InvalidInput.of("time_zone", f"{text[:80]!r} is no time zone. Example: Europe/Berlin")
    return text


def check_last_admin(admins: frozenset[str], user: User) -> None:
    """*admins*: the ids of those who can log in and do everything. Raises `Conflict` if *user*, as they shall be, leaves nobody."""
    stays = user.role is Role.ADMIN and user.disabled_at is None and user.site_ids is None
    if admins == {user.id} and not stays:
        raise Conflict(f"{user.email} is the last administrator who can log in: make somebody else one first")

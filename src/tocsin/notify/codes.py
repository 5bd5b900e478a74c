"""The code that proves a contact: how long it lasts, how often it may be tried and sent, and whether what was typed is it. Pure."""

import enum
import hashlib
import hmac

import msgspec

from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.times import in_words

DIGITS = 6
LASTS = 10 * MINUTE
TRIES = 5
PAUSE = 30 * SECOND  # between two codes to one contact
SENDS_AN_HOUR = 5  # to one contact
SENDS_AN_HOUR_EACH = 15  # of one person, to all contacts together: those that were removed meanwhile count too


class Code(msgspec.Struct, frozen=True):
    """A code on its way, without itself. Field order is the table's column order. ``sends`` counts from ``counted_from``, for an hour."""

    contact_id: str
    digest: str
    sent_at: int
    expires_at: int
    tries_left: int
    sends: int
    counted_from: int


class Judged(enum.StrEnum):
    """What typing a code comes to; in words, for who typed it."""

    RIGHT = "is right"
    WRONG = "is not the code that was sent"
    USED_UP = "was wrong too often: have a new code sent"
    EXPIRED = "has expired: have a new one sent"
    NONE = "was never sent, or was used: have one sent"


def digest(secret: bytes, contact_id: str, code: str) -> str:
    """What is kept of a code. Six digits are soon guessed, so that it takes the secret of this installation to check one."""
    return hmac.new(secret, f"contact code|{contact_id}|{code}".encode(), hashlib.sha256).hexdigest()


def tidy(text: str) -> str:
    """A code as people type it: ``123 456``."""
    return "".join(letter for letter in text if letter.isascii() and letter.isdigit())


def why_not_now(code: Code | None, of_person: int, now: int) -> str | None:
    """Why no code may be sent now; *of_person*: how many went to all contacts of the person within the hour."""
    if code is not None and now < code.sent_at + PAUSE:
        return f"a code was sent just now: wait {in_words(code.sent_at + PAUSE - now)}"
    if code is not None and _sends(code, now) >= SENDS_AN_HOUR:
        return f"{SENDS_AN_HOUR} codes were sent within an hour: wait {in_words(code.counted_from + HOUR - now)}"
    if of_person >= SENDS_AN_HOUR_EACH:
        return f"{SENDS_AN_HOUR_EACH} codes were sent to this person's contacts within an hour: wait until it is over"
    return None


def _sends(code: Code, now: int) -> int:
    return code.sends if now < code.counted_from + HOUR else 0


def issued(contact_id: str, kept: str, before: Code | None, now: int) -> Code:
    """A new code, in the place of the one *before*."""
    counted = 0 if before is None else _sends(before, now)
    counted_from = now if before is None or counted == 0 else before.counted_from
    return Code(contact_id, kept, now, now + LASTS, TRIES, counted + 1, counted_from)


def judge(code: Code | None, kept: str, now: int) -> Judged:
    """Whether what was typed, as *kept*, is the code."""
    if code is None or not code.digest:
        return Judged.NONE
    if now >= code.expires_at:
        return Judged.EXPIRED
    if code.tries_left <= 0:
        return Judged.USED_UP
    return Judged.RIGHT if hmac.compare_digest(code.digest, kept) else Judged.WRONG


def words(code: str, kind: str) -> tuple[str, str]:
    """Title and text of the message that carries a code. A voice says the digits one by one, and twice."""
    lasts = in_words(LASTS)
    if kind == "voice":
        spoken = ". ".join(code)
        return f"Your code is: {spoken}", f"Again: {spoken}. It holds for {lasts}."
    return (
        f"{code} is your code for Tocsin",
        f"Type it where you added this contact. It holds for {lasts}. If you did not ask for it, ignore this.",
    )

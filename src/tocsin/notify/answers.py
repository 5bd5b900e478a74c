"""What the answer of a web service means for a message: one place for all channels that post to one.

A service's own words are shown only as far as they are a short code: a body may repeat the secret that was sent.
"""

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tocsin.core.clock import DAY, HOUR, SECOND
from tocsin.core.text import cut, one_line
from tocsin.core.times import from_datetime
from tocsin.net.http import HttpDoor, HttpFailure, NotSent, Response
from tocsin.notify.model import Outcome, Result

SEND_SECONDS = 10.0
CHECK_SECONDS = 5.0
JSON_TYPE = {"Content-Type": "application/json"}

_WORDS = re.compile(r"[A-Za-z0-9_-]{6,}")
_READABLE = re.compile(r"[^\x20-\x7e]")


async def post(door: HttpDoor, url: str, body: bytes, departing: Callable[[], None], headers: Mapping[str, str] = JSON_TYPE) -> Response:
    """One POST within ten seconds. Raises `NotSent`, `MaybeSent`."""
    return await door.request("POST", url, headers=headers, body=body, within=SEND_SECONDS, departing=departing)


async def deliver(
    door: HttpDoor,
    url: str,
    body: bytes,
    departing: Callable[[], None],
    judge: Callable[[Response], Outcome],
    headers: Mapping[str, str] = JSON_TYPE,
) -> Outcome:
    """Posts *body*; what *judge* makes of the answer, or what no answer means."""
    try:
        answer = await post(door, url, body, departing, headers)
    except HttpFailure as failure:
        return unanswered(failure)
    return judge(answer)


def already_departed() -> None:
    """For a second post of one attempt: the departure has been told."""


def unanswered(failure: HttpFailure) -> Outcome:
    """What no answer means: nothing left, or nobody knows."""
    return Outcome(Result.TEMPORARY if isinstance(failure, NotSent) else Result.UNKNOWN, failure.reason)


def stranger(service: str) -> Outcome:
    """For an answer of 200 that *service* would not give."""
    return Outcome(Result.REFUSED, f"what answers is not {service}: look for a proxy in between", HOUR)


def judged(answer: Response, service: str, cure: str, now: int, said: str | None = None) -> Outcome:
    """What a status means where the service says no more. *cure* follows when our address or key is not accepted.

    *said* is the service's own short word for it, already safe to show.
    """
    what = f"{service} answered {answer.status}" + (f" ({said})" if said else "")
    status = answer.status
    if 200 <= status < 300:
        return Outcome(Result.SENT)
    if status == 429:
        return Outcome(Result.TEMPORARY, f"{service} is asked too often ({status})", retry_after(answer, now))
    if status >= 500 or status in (408, 425):
        return Outcome(Result.TEMPORARY, what, retry_after(answer, now))
    if status in (401, 403, 404, 405, 410) or 300 <= status < 400:
        return Outcome(Result.REFUSED, f"{what}: {cure}", HOUR)
    return Outcome(Result.PERMANENT, f"{service} does not accept the message: {what}")


def retry_after(answer: Response, now: int) -> int | None:
    """Milliseconds of a Retry-After header, in seconds or as a date; a day at most."""
    text = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return min(int(text) * SECOND, DAY)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return None if moment.tzinfo is None else min(max(0, from_datetime(moment) - now), DAY)


def fields(answer: Response) -> dict[str, Any]:
    """The JSON object of an answer; empty if it is none."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def short(text: object, *secrets: str | None) -> str | None:
    """*text* of a service as one short line, or None where it repeats a part of a secret or is none."""
    if not isinstance(text, str):
        return None
    line = cut(_READABLE.sub("?", one_line(text)), 120)
    return None if not line or any(_repeats(line, secret) for secret in secrets if secret) else line


def _repeats(line: str, secret: str) -> bool:
    """Whether a word of one occurs in the other, long enough to tell something."""
    pairs = [(word, secret) for word in _WORDS.findall(line)] + [(word, line) for word in _WORDS.findall(secret)]
    return any(word in other for word, other in pairs)


async def reach(door: HttpDoor, url: str, service: str) -> str | None:
    """None if something answers at *url*, else the fault. Sends nothing that could become a message."""
    try:
        await door.request("HEAD", url, within=CHECK_SECONDS)
    except HttpFailure as failure:
        return f"{service} cannot be reached: {failure.reason}."
    return None

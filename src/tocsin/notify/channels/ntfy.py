"""Push notifications through an ntfy server, public or one's own.

Published as JSON to the root of the server (JSON sent to a topic's own path would arrive as raw text). What a server of
version 2.13 or later answers decides the outcome: see `_judge`. An answer of 200 means accepted, not seen by a person.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND, monotonic
from tocsin.core.text import cut, cut_bytes, one_line
from tocsin.core.times import in_words
from tocsin.net.http import HttpDoor, HttpFailure, MaybeSent, NotSent, Response
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import Push, push_text

DOCUMENT_BYTES = 8_192  # a JSON document of this size or more is refused
SHORT_BYTES = 1_000  # what is left of a message that a server with smaller limits found too large
SEND_SECONDS = 10.0
CHECK_SECONDS = 5.0
POLL_BYTES = 1024 * 1024
POLL_MARGIN = 60  # seconds by which the server's clock may be behind ours
REFILL = 5 * SECOND  # a server gives back one request per interval; less waiting only fails again

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_TOO_LARGE = frozenset({41301, 41303, 40014, 42905})
T = TypeVar("T")


class _Published(msgspec.Struct):
    """The parts of the server's answer that matter. ``expires`` is missing when the server keeps no messages."""

    id: str
    event: str
    expires: int | None = None
    sequence_id: str | None = None
    attachment: Any = None


class _Refusal(msgspec.Struct):
    """The server's error: ``code`` is five digits, the first three of which are the HTTP status."""

    code: int
    error: str = ""


class _Cached(msgspec.Struct):
    """One line of a poll."""

    event: str = ""
    click: str = ""


_published = msgspec.json.Decoder(_Published)
_refusal = msgspec.json.Decoder(_Refusal)
_cached = msgspec.json.Decoder(_Cached)


class Ntfy:
    """Sends to topics of one server. ``replaces`` tells whether it updates notifications in place (None: not known yet)."""

    kind = "ntfy"

    def __init__(self, server: str, token: str | None, door: HttpDoor) -> None:
        """*server* is its address without a final slash; *token* goes along as a Bearer token."""
        self._server = server.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._door = door
        self._keeps_messages: bool | None = None
        self.replaces: bool | None = None

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Publishes *letter*. A message that the server finds too large is shortened and published once more at once."""
        if not _TOPIC.fullmatch(letter.contact.target):
            return Outcome(Result.PERMANENT, "the topic may hold letters, digits, - and _ only, at most 64 of them")
        push, begun = push_text(letter), monotonic()
        try:
            answer = await self._publish(document(push, letter), departing, SEND_SECONDS)
            if _is_too_large(answer):
                short = msgspec.structs.replace(push, message=cut_bytes(push.message, SHORT_BYTES))
                answer = await self._publish(document(short, letter), _already_departed, SEND_SECONDS - (monotonic() - begun))
        except NotSent as failure:
            return Outcome(Result.TEMPORARY, failure.reason)
        except MaybeSent as failure:
            return Outcome(Result.UNKNOWN, failure.reason)
        return self._concluded(answer, letter.now)

    async def _publish(self, body: bytes, departing: Callable[[], None], within: float) -> Response:
        headers = self._headers | {"Content-Type": "application/json"}
        return await self._door.request("POST", self._server + "/", headers=headers, body=body, within=within, departing=departing)

    def _concluded(self, answer: Response, now: int) -> Outcome:
        if answer.status != 200:
            return _judge(answer, now)
        message = _decoded(_published, answer)
        if message is None or message.event != "message":
            return Outcome(
                Result.REFUSED,
                "what answers at NTFY_SERVER_URL is not an ntfy server: check the address and any proxy before it",
                HOUR,
            )
        self.replaces = message.sequence_id is not None
        self._keeps_messages = message.expires is not None
        return Outcome(Result.SENT, receipt=_receipt(message))

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Reads the topic back and looks for the click address, which holds a token that only this message has.

        Needs a token that may read; a write-only one, a full answer or a server without a cache leaves the question open.
        """
        if letter.links is None or self._keeps_messages is False or not _TOPIC.fullmatch(letter.contact.target):
            return Presence.CANNOT_TELL
        address = f"{self._server}/{letter.contact.target}/json?poll=1&since={attempted_at // SECOND - POLL_MARGIN}"
        try:
            answer = await self._door.request("GET", address, headers=self._headers, within=SEND_SECONDS, limit=POLL_BYTES)
        except HttpFailure:
            return Presence.NOT_NOW
        return _presence(answer, letter.links.open)

    async def check(self, contact: Contact) -> str | None:
        """Asks for the server's health without credentials (wrong ones count towards a lock-out), then for the topic's access."""
        if not _TOPIC.fullmatch(contact.target):
            return f"The topic {one_line(contact.target)!r} is not valid: use letters, digits, - and _ only."
        try:
            health = await self._door.request("GET", f"{self._server}/v1/health", within=CHECK_SECONDS)
            if health.status != 200 or b'"healthy":true' not in health.body.replace(b" ", b""):
                return f"The ntfy server answered {health.status} when asked for its health: check NTFY_SERVER_URL and the server's log."
            access = await self._door.request("GET", f"{self._server}/{contact.target}/auth", headers=self._headers, within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"The ntfy server cannot be reached: {failure.reason}. Check NTFY_SERVER_URL."
        return self._access_fault(access, contact.target)

    def _access_fault(self, access: Response, topic: str) -> str | None:
        if access.status == 200:
            return None
        if access.status == 403:
            # The server asks for the right to *read* here. A valid token without it is the recommended, write-only one.
            return None if self._headers else f"The ntfy server demands a login for the topic {topic}: set NTFY_TOKEN."
        outcome = _judge(access, 0)
        return f"The ntfy server does not accept the topic {topic}: {outcome.error}."

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def _already_departed() -> None:
    """For the second, shortened publish: the departure has been told."""


# --- The request ---------------------------------------------------------------------------------------------------


def document(push: Push, letter: Letter) -> bytes:
    """The JSON to publish, in raw UTF-8 and below 8,192 bytes. Escapes can double a message, so it may be cut once more."""
    body = msgspec.json.encode(_fields(push, letter))
    excess = len(body) - (DOCUMENT_BYTES - 1)
    if excess <= 0:
        return body
    # Each byte of text is at least one byte of JSON, so cutting the excess is always enough.
    room = max(0, len(push.message.encode()) - excess)
    return msgspec.json.encode(_fields(msgspec.structs.replace(push, message=cut_bytes(push.message, room)), letter))


def _fields(push: Push, letter: Letter) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "topic": letter.contact.target,
        "title": push.title,
        "message": push.message,
        "priority": push.priority,
        "tags": push.tags,
        "sequence_id": sequence_id(letter),
    }
    if push.click:
        fields["click"] = push.click
    if push.buttons:
        fields["actions"] = [
            {"action": "http", "label": button.label, "url": button.url, "method": "POST", "clear": True} for button in push.buttons
        ]
    return fields


def sequence_id(letter: Letter) -> str:
    """One identity for all messages of an alert's present life, so that a server that can do so replaces the old by the new."""
    if letter.message.kind == Kind.DIGEST:
        return "d" + _alphanumeric(letter.message.id)[:63]
    return f"a{_alphanumeric(letter.alert.id)[:50]}g{letter.message.generation}"[:64]


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


# --- The answer ----------------------------------------------------------------------------------------------------


def _decoded(decoder: msgspec.json.Decoder[T], answer: Response) -> T | None:
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _receipt(message: _Published) -> str:
    notes = ["replaces the one before"] if message.sequence_id is not None else []
    if message.attachment is not None:
        notes.append("shown as a file: the server's message-size-limit is below 4K")
    return f"{cut(one_line(message.id), 64)} ({'; '.join(notes)})" if notes else cut(one_line(message.id), 64)


def _code(answer: Response) -> int:
    """ntfy's five-digit code; 0 when somebody else answered (a proxy)."""
    refusal = _decoded(_refusal, answer)
    return refusal.code if refusal else 0


def _is_too_large(answer: Response) -> bool:
    return answer.status != 200 and (_code(answer) in _TOO_LARGE or answer.status == 413)


def _judge(answer: Response, now: int) -> Outcome:
    """What an answer other than 200 means: ntfy's own code first, then, for a proxy's answer, the HTTP status."""
    code = _code(answer)
    known = _KNOWN.get(code)
    if known is not None:
        return Outcome(known.result, f"{known.error} ({code})", known.retry_after)
    if code == 42908:
        return _quota_used_up(now)
    return _by_status(answer, code)


def _quota_used_up(now: int) -> Outcome:
    wait = DAY - now % DAY
    return Outcome(
        Result.REFUSED,
        f"the daily quota of the ntfy server is used up and comes back at 00:00 UTC, in {in_words(wait)} (42908)",
        wait,
    )


def _by_status(answer: Response, code: int) -> Outcome:
    status = answer.status
    said = _said(answer, code)
    if status >= 500:
        return Outcome(Result.TEMPORARY, f"the ntfy server has a fault: {said}")
    if status == 429:
        return Outcome(Result.TEMPORARY, f"the ntfy server is asked too often: {said}", max(REFILL, _retry_after(answer)))
    if status == 413 or code in _TOO_LARGE:
        return Outcome(Result.PERMANENT, f"the ntfy server finds even the shortened message too large: {said}")
    if 40000 <= code < 40100:
        return Outcome(Result.PERMANENT, f"the ntfy server does not accept the message: {said}")
    if status in (408, 425):
        return Outcome(Result.TEMPORARY, f"the ntfy server did not take the request in time: {said}")
    if 300 <= status < 400:
        return Outcome(
            Result.REFUSED,
            f"the ntfy server redirects, which is not followed: set NTFY_SERVER_URL to its final address ({status})",
            HOUR,
        )
    return Outcome(Result.REFUSED, f"the ntfy server refuses: {said}", HOUR)


def _said(answer: Response, code: int) -> str:
    refusal = _decoded(_refusal, answer)
    return f"{cut(one_line(refusal.error), 160)} ({code})" if refusal and refusal.error else f"HTTP {answer.status}"


def _retry_after(answer: Response) -> int:
    """Milliseconds of a Retry-After header in seconds: ntfy never sends one, a proxy before it may."""
    text = answer.headers.get("Retry-After", "")
    return int(text) * SECOND if re.fullmatch(r"\d{1,6}", text) else 0


_STRANGER = "the ntfy server does not know NTFY_TOKEN, or it has expired: make a new one"
_KNOWN = {
    40101: Outcome(Result.REFUSED, _STRANGER, HOUR),
    40301: Outcome(Result.REFUSED, "NTFY_TOKEN may not write to this topic: allow it with `ntfy access`", HOUR),
    40401: Outcome(Result.REFUSED, "the ntfy server does not know this address: check NTFY_SERVER_URL", HOUR),
    42901: Outcome(Result.TEMPORARY, "the ntfy server takes no more requests from this address for the moment", REFILL),
    42902: Outcome(Result.REFUSED, "the mail quota of the ntfy server is used up", HOUR),
    42904: Outcome(Result.REFUSED, "the ntfy server has as many topics as it allows: raise its global-topic-limit", HOUR),
    42909: Outcome(
        Result.REFUSED,
        "the ntfy server has locked this address out after failed logins: look for a device with an old password",
        10 * MINUTE,
    ),
    42910: Outcome(Result.REFUSED, "the call quota of the ntfy server is used up", HOUR),
    50701: Outcome(
        Result.REFUSED,
        "the ntfy server takes this topic for a UnifiedPush one: choose a name that does not start with `up`",
        HOUR,
    ),
}


def _presence(answer: Response, click: str) -> Presence:
    if answer.status >= 500 or answer.status == 429:
        return Presence.NOT_NOW
    if answer.status != 200:
        return Presence.CANNOT_TELL
    lines = [_line(raw) for raw in answer.body.split(b"\n") if raw.strip()]
    if any(line is not None and line.click == click for line in lines):
        return Presence.PRESENT
    return Presence.CANNOT_TELL if answer.cut or None in lines else Presence.ABSENT


def _line(raw: bytes) -> _Cached | None:
    try:
        return _cached.decode(raw)
    except msgspec.DecodeError:
        return None

"""Push notifications to a browser that subscribed: sealed for it alone, and taken to it by its maker's push service.

A message of the same alert's present life takes the place of the one before that has not been delivered (``Topic``), so
that a repeat is harmless. A subscription that is no more (404, 410) is gone for good: the browser makes a new one.
"""

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tocsin.alerts.model import Status
from tocsin.core.clock import HOUR
from tocsin.core.errors import TocsinError
from tocsin.core.severity import Severity
from tocsin.core.text import cut_bytes
from tocsin.net.http import HttpDoor, Response
from tocsin.notify import sealing
from tocsin.notify.answers import deliver, judged, reach
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import push_text
from tocsin.notify.sealing import Subscription
from tocsin.notify.vapid import Vapid

TTL = 12 * 3_600  # seconds for which a push service keeps what it cannot deliver at once
BODY_BYTES = 1_500
RENEW = HOUR  # tokens are made anew so long before they expire
_CURE = "the keys of this installation are not accepted there: remove the contact and subscribe again"


class WebPush:
    """Sends to the subscription in the contact's secret."""

    kind = "webpush"

    def __init__(self, door: HttpDoor, vapid: Vapid) -> None:
        self._door, self._vapid = door, vapid
        self._tokens: dict[str, tuple[int, str]] = {}

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One sealed POST."""
        subscription = read(letter.contact)
        if subscription is None:
            return Outcome(Result.PERMANENT, "the contact has no subscription")
        try:
            body = sealing.seal(payload(letter), subscription)
            headers = await self._headers(letter, subscription.endpoint)
        except TocsinError as error:
            return Outcome(Result.TEMPORARY, error.message)
        except ValueError:
            return Outcome(Result.PERMANENT, "the browser's key cannot be used: subscribe again")

        def judge(answer: Response) -> Outcome:
            return _judge(answer, letter)

        return await deliver(self._door, subscription.endpoint, body, departing, judge, headers)

    async def _headers(self, letter: Letter, endpoint: str) -> dict[str, str]:
        loud = letter.alert.severity >= Severity.HIGH and letter.message.kind not in (Kind.ACKNOWLEDGED, Kind.RESOLVED)
        return {
            "Authorization": await self._token(endpoint, letter.now),
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(TTL),
            "Urgency": "high" if loud or letter.message.kind == Kind.NOTICE else "normal",
            "Topic": topic(letter),
        }

    async def _token(self, endpoint: str, now: int) -> str:
        audience = "{0.scheme}://{0.netloc}".format(urlsplit(endpoint))
        until, token = self._tokens.get(audience, (0, ""))
        if now >= until:
            token = sealing.token(await self._vapid.keys(), audience, self._vapid.subject, now)
            self._tokens[audience] = (now + sealing.TOKEN_LASTS * 1_000 - RENEW, token)
        return token

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """A push service cannot be asked."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Whether the push service answers."""
        subscription = read(contact)
        if subscription is None:
            return "The contact has no subscription."
        parts = urlsplit(subscription.endpoint)
        return await reach(self._door, f"{parts.scheme}://{parts.netloc}/", f"The push service {contact.target}")

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def read(contact: Contact) -> Subscription | None:
    """The subscription of *contact*, unless it has none (any more)."""
    try:
        return msgspec.json.decode(contact.secret or "", type=Subscription)
    except msgspec.DecodeError:
        return None


def topic(letter: Letter) -> str:
    """What takes whose place: one for each alert's present life, else the message's own. 32 letters at most."""
    alert, message = letter.alert, letter.message
    about = message.id if message.kind in (Kind.DIGEST, Kind.NOTICE) else f"{alert.id}|{message.generation}"
    return sealing.encode(hashlib.sha256(about.encode()).digest()[:24])


def payload(letter: Letter) -> bytes:
    """What the service worker gets: words, the page, and what its buttons do."""
    push = push_text(letter)
    document: dict[str, Any] = {
        "title": push.title,
        "body": cut_bytes(push.message, BODY_BYTES),
        "tag": topic(letter),
        "url": push.click,
        "urgent": push.priority >= Severity.HIGH,
        "actions": _actions(letter),
    }
    text = msgspec.json.encode(document)
    excess = len(text) - sealing.MOST
    if excess <= 0:
        return text
    # Each byte of text is at least one byte of JSON, so cutting the excess is always enough.
    return msgspec.json.encode({**document, "body": cut_bytes(document["body"], max(0, len(document["body"].encode()) - excess))})


def _actions(letter: Letter) -> list[dict[str, str]]:
    """Two at most: no browser shows more. Of what is over or in somebody's hands there is nothing to take."""
    links = letter.links
    if links is None or letter.message.kind == Kind.DIGEST or letter.alert.status != Status.OPEN:
        return []
    return [
        {"action": "acknowledge", "title": "Acknowledge", "url": links.acknowledge},
        {"action": "snooze", "title": "Snooze 1 h", "url": links.snooze},
    ]


def _judge(answer: Response, letter: Letter) -> Outcome:
    service = letter.contact.target
    if answer.status in (404, 410):
        return Outcome(Result.PERMANENT, f"the browser has unsubscribed ({service} answered {answer.status})", gone=True)
    if answer.status == 413:
        return Outcome(Result.PERMANENT, f"{service} finds the message too large")
    return judged(answer, service, _CURE, letter.now)

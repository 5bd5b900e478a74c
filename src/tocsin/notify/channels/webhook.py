"""A signed POST of JSON to any address; the body is described by contracts/webhook.schema.json.

Every copy of one message carries the same id, so that the other side can take it once: ``id`` in the body and the
headers ``X-Tocsin-Id`` and ``Idempotency-Key``. Signed like what the bridge sends: ``X-Tocsin-Signature: t=UNIX,v1=HEX``.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.alerts.model import Alert
from tocsin.core.clock import SECOND
from tocsin.core.times import to_text, to_text_or_none
from tocsin.events.signature import sign
from tocsin.net.http import HttpDoor, Response
from tocsin.notify.answers import JSON_TYPE, deliver, judged, reach
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import headline, push_text

VERSION = 1
_CURE = "check the address of this webhook and what stands behind it"
_PLAIN = ("id", "number", "dedup_key", "type", "title", "message", "severity", "status", "subject", "host", "occurrences", "generation")
_TIMES = ("first_seen_at", "last_seen_at", "acknowledged_at", "resolved_at")
_LINKS = ("open", "acknowledge", "resolve")
_PEOPLE = ("acknowledged_by", "resolved_by", "resolution")


class Webhook:
    """Posts to the address of the contact."""

    kind = "webhook"

    def __init__(self, door: HttpDoor) -> None:
        self._door = door

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One POST; any status from 200 to 299 means that it was taken."""
        address, _, key = (letter.contact.secret or "").partition("#")
        if not address:
            return Outcome(Result.PERMANENT, "the contact has no address to post to")
        body = msgspec.json.encode(document(letter))
        headers = {
            **JSON_TYPE,
            "X-Tocsin-Id": letter.message.id,
            "Idempotency-Key": letter.message.id,
            "X-Tocsin-Signature": signature(letter.now, key, body),
        }

        def judge(answer: Response) -> Outcome:
            return judged(answer, letter.contact.target, _CURE, letter.now)

        return await deliver(self._door, address, body, departing, judge, headers=headers)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Nobody can be asked."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Whether something answers there."""
        address = (contact.secret or "").partition("#")[0]
        return await reach(self._door, address, f"The webhook {contact.target}") if address else "The contact has no address."

    async def close(self) -> None:
        """Gives back connections."""
        await self._door.close()


def signature(now: int, key: str, body: bytes) -> str:
    """``t=UNIX,v1=HEX`` of *body* at *now* (ms)."""
    moment = str(now // SECOND)
    return f"t={moment},v1={sign(moment, key, body)}"


def document(letter: Letter) -> dict[str, Any]:
    """What is posted."""
    message = letter.message
    return {
        "version": VERSION,
        "id": message.id,
        "kind": message.kind,
        "headline": headline(letter),
        "text": push_text(letter).message,
        "decided_at": to_text(message.created_at),
        "maybe_repeated": message.maybe_repeated,
        "site": letter.site,
        "alert": None if message.kind == Kind.NOTICE else _alert(letter.alert),
        "others": [_alert(other) for other in letter.others],
        "more": letter.more,
        "links": None if letter.links is None else {name: getattr(letter.links, name) for name in _LINKS},
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        **{name: getattr(alert, name) for name in _PLAIN},
        **{name: to_text_or_none(getattr(alert, name)) for name in _TIMES},
        **{name: getattr(alert, name) for name in _PEOPLE},
    }

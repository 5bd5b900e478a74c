"""Opsgenie, and Jira Service Management that follows it: alerts by alias, so that a repeat only counts up.

The service answers 202 and works later: what it cannot do then is seen there only.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tocsin.core.text import cut
from tocsin.net.http import HttpDoor, HttpFailure, Response
from tocsin.notify.answers import CHECK_SECONDS, deliver, fields, judged, short, stranger
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import clean, clean_line, headline, push_text

BASES: Mapping[str, str] = {
    "": "https://api.opsgenie.com",
    "eu": "https://api.eu.opsgenie.com",
    "jsm": "https://api.atlassian.com/jsm/ops/integration",
}
MESSAGE_LETTERS = 130
DESCRIPTION_LETTERS = 12_000
_CURE = "check the key of the API integration that this contact holds, and its region"
_PRIORITY = {5: "P1", 4: "P2", 3: "P3", 2: "P4", 1: "P5"}


class Opsgenie:
    """Writes with the keys of API integrations."""

    kind = "opsgenie"

    def __init__(self, door: HttpDoor, bases: Mapping[str, str] = BASES) -> None:
        self._door, self._bases = door, bases

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Creates, acknowledges or closes; a notice is no problem: it is created and closed at once."""
        base, key = self._place(letter.contact)
        if not key:
            return Outcome(Result.PERMANENT, "the contact has no key of an API integration")
        outcome = await self._post(base, key, *request(letter), letter.now, departing)
        if letter.message.kind == Kind.NOTICE and outcome.result is Result.SENT:
            return await self._post(base, key, *_end(letter, "close"), letter.now, departing)
        return outcome

    async def _post(self, base: str, key: str, path: str, body: dict[str, Any], now: int, departing: Callable[[], None]) -> Outcome:
        headers = {"Content-Type": "application/json", "Authorization": f"GenieKey {key}"}

        def judge(answer: Response) -> Outcome:
            return _judged(answer, key, now)

        return await deliver(self._door, base + path, msgspec.json.encode(body), departing, judge, headers=headers)

    def _place(self, contact: Contact) -> tuple[str, str]:
        region, _, key = (contact.secret or "").rpartition(":")
        return self._bases[region], key

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Not asked: a repeat does no harm, since the alias is the same."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Asks how many alerts there are. A key that may only create is as good."""
        base, key = self._place(contact)
        if not key:
            return "The contact has no key of an API integration."
        try:
            answer = await self._door.request(
                "GET", f"{base}/v2/alerts/count", headers={"Authorization": f"GenieKey {key}"}, within=CHECK_SECONDS
            )
        except HttpFailure as failure:
            return f"Opsgenie cannot be reached: {failure.reason}."
        return f"Opsgenie does not know this key: {_CURE}." if answer.status == 401 else None

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def request(letter: Letter) -> tuple[str, dict[str, Any]]:
    """The path and the body for this letter."""
    match letter.message.kind:
        case Kind.ACKNOWLEDGED:
            return _end(letter, "acknowledge")
        case Kind.RESOLVED:
            return _end(letter, "close")
        case _:
            return "/v2/alerts", _alert(letter)


def _end(letter: Letter, action: str) -> tuple[str, dict[str, Any]]:
    alias = quote(_alias(letter), safe="")
    return f"/v2/alerts/{alias}/{action}?identifierType=alias", {"source": "Tocsin", "note": headline(letter)}


def _alias(letter: Letter) -> str:
    return letter.message.id if letter.message.kind == Kind.NOTICE else letter.alert.id


def _alert(letter: Letter) -> dict[str, Any]:
    alert, links = letter.alert, letter.links
    pages = f"\n\nAcknowledge: {links.acknowledge}\nResolve: {links.resolve}\nOpen: {links.open}" if links else ""
    number = "" if letter.message.kind == Kind.NOTICE else str(alert.number)
    facts = {
        "number": number,
        "site": letter.site,
        "type": alert.type,
        "host": clean_line(alert.host or ""),
        "subject": clean_line(alert.subject or ""),
    }
    return {
        "message": cut(headline(letter), MESSAGE_LETTERS),
        "alias": _alias(letter),
        "description": cut(clean(push_text(letter).message), DESCRIPTION_LETTERS) + pages,
        "priority": _PRIORITY[alert.severity],
        "source": "Tocsin",
        "entity": cut(clean_line(alert.host or "") or letter.site, 100),
        "tags": [cut(letter.site, 50)] if letter.site else [],
        "details": {name: value for name, value in facts.items() if value},
    }


def _judged(answer: Response, key: str, now: int) -> Outcome:
    said = fields(answer)
    word = short(said.get("message"), key)
    if answer.status == 202:
        return Outcome(Result.SENT, receipt=short(said.get("requestId"), key))
    if answer.status < 300:
        return stranger("Opsgenie")
    return judged(answer, "Opsgenie", _CURE, now, word)

"""PagerDuty: events of the Events API v2. One alert of ours is one incident there, by its dedup key, from trigger to resolve."""

from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.core.clock import HOUR
from tocsin.core.text import cut
from tocsin.core.times import to_text
from tocsin.net.http import HttpDoor, Response
from tocsin.notify.answers import deliver, fields, judged, reach, short, stranger
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import clean, clean_line, headline

US, EU = "https://events.pagerduty.com", "https://events.eu.pagerduty.com"
SUMMARY_LETTERS = 1_024
TEXT_LETTERS = 4_000
_CURE = "check the integration key of this contact"
_SEVERITY = {5: "critical", 4: "error", 3: "warning", 2: "info", 1: "info"}
_ACTIONS = {Kind.ACKNOWLEDGED: "acknowledge", Kind.RESOLVED: "resolve"}


class PagerDuty:
    """Sends events to the services whose integration keys the contacts hold."""

    kind = "pagerduty"

    def __init__(self, door: HttpDoor, us: str = US, eu: str = EU) -> None:
        self._door, self._us, self._eu = door, us, eu

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One event; a notice is no problem: it is triggered and resolved at once."""
        base, key = self._place(letter.contact)
        if not key:
            return Outcome(Result.PERMANENT, "the contact has no integration key")
        kind = Kind(letter.message.kind)
        outcome = await self._post(base, key, event(letter, key, _ACTIONS.get(kind, "trigger")), letter.now, departing)
        if kind is Kind.NOTICE and outcome.result is Result.SENT:
            return await self._post(base, key, event(letter, key, "resolve"), letter.now, departing)
        return outcome

    async def _post(self, base: str, key: str, body: dict[str, Any], now: int, departing: Callable[[], None]) -> Outcome:
        def judge(answer: Response) -> Outcome:
            return _judged(answer, key, now)

        return await deliver(self._door, f"{base}/v2/enqueue", msgspec.json.encode(body), departing, judge)

    def _place(self, contact: Contact) -> tuple[str, str]:
        secret = contact.secret or ""
        return (self._eu, secret.removeprefix("eu:")) if secret.startswith("eu:") else (self._us, secret)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """There is nothing to ask; a repeat does no harm, since the dedup key is the same."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Whether PagerDuty can be reached: only an event shows whether a key is good."""
        base, key = self._place(contact)
        return await reach(self._door, base, "PagerDuty") if key else "The contact has no integration key."

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def event(letter: Letter, key: str, action: str) -> dict[str, Any]:
    """The event that does *action* to the incident of this alert."""
    dedup_key = letter.message.id if letter.message.kind == Kind.NOTICE else letter.alert.id
    bare = {"routing_key": key, "event_action": action, "dedup_key": dedup_key}
    if action != "trigger":
        return bare
    links = letter.links
    return {
        **bare,
        "client": "Tocsin",
        **({"client_url": links.open, "links": _links(letter)} if links else {}),
        "payload": _payload(letter),
    }


def _links(letter: Letter) -> list[dict[str, str]]:
    links = letter.links
    if links is None:
        return []
    return [{"href": links.acknowledge, "text": "Acknowledge in Tocsin"}, {"href": links.resolve, "text": "Resolve in Tocsin"}]


def _payload(letter: Letter) -> dict[str, Any]:
    alert = letter.alert
    details = {
        "impact": clean_line(letter.impact),
        "message": clean(alert.message or ""),
        "subject": clean_line(alert.subject or ""),
        "occurrences": alert.occurrences,
    }
    return {
        "summary": cut(headline(letter), SUMMARY_LETTERS),
        "source": clean_line(alert.host or "") or letter.site or "tocsin",
        "severity": _SEVERITY[alert.severity],
        "timestamp": to_text(alert.first_seen_at),
        "group": letter.site,
        "class": alert.type,
        "custom_details": {
            "alert": alert.number,
            **{name: cut(v, TEXT_LETTERS) if isinstance(v, str) else v for name, v in details.items() if v},
        },
    }


def _judged(answer: Response, key: str, now: int) -> Outcome:
    said = fields(answer)
    if answer.status == 202:
        return Outcome(Result.SENT, receipt=short(said.get("dedup_key"), key))
    errors = said.get("errors")
    word = short("; ".join(e for e in errors if isinstance(e, str)) if isinstance(errors, list) else said.get("message"), key)
    if answer.status == 400 and "routing" in (word or "routing").lower():
        return Outcome(Result.REFUSED, f"PagerDuty does not accept the event ({word or 400}): {_CURE}", HOUR)
    if answer.status < 300:
        return stranger("PagerDuty")
    return judged(answer, "PagerDuty", _CURE, now, word)

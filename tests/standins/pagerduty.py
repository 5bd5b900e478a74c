"""PagerDuty's Events API v2: POST /v2/enqueue (developer.pagerduty.com/docs/events-api-v2-overview). Incidents by dedup key."""

from typing import Any, Literal

import msgspec

from tests.standins.provider import Answer, Provider, Seen, is_web_address, json

KEY = "R016AZBYCXDWEVFUGTHSIRJQKPLOMN11"


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    summary: str
    source: str
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: str | None = None
    component: str | None = None
    group: str | None = None
    class_: str | None = msgspec.field(name="class", default=None)
    custom_details: dict[str, Any] | None = None


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    href: str
    text: str


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    routing_key: str
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: str
    client: str | None = None
    client_url: str | None = None
    links: list[_Link] = []
    payload: _Payload | None = None


class PagerDutyStandIn(Provider):
    """One integration key. ``incidents``: the state of each dedup key."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, str] = {}

    async def answer(self, seen: Seen) -> Answer:
        if seen.method == "HEAD":
            return Answer(404)
        self.want((seen.method, seen.path) == ("POST", "/v2/enqueue"), f"{seen.method} {seen.path}")
        event = self.read(seen, _Event)
        if event is None:
            return _invalid("JSON cannot be parsed")
        if event.routing_key != KEY:
            return _invalid("Invalid routing key")
        self._check(event)
        self.incidents[event.dedup_key] = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}[event.event_action]
        self.taken.append(event)
        return json(202, {"status": "success", "message": "Event processed", "dedup_key": event.dedup_key})

    def _check(self, event: _Event) -> None:
        self.want(0 < len(event.dedup_key) <= 255, f"the dedup key {event.dedup_key}")
        self.want((event.payload is not None) == (event.event_action == "trigger"), f"the payload of {event.event_action}")
        self.want(all(is_web_address(link.href) and link.text for link in event.links), f"bad links: {event.links}")
        if event.payload is not None:
            self.want(0 < len(event.payload.summary) <= 1_024, f"a summary of {len(event.payload.summary)} characters")
            self.want(bool(event.payload.source), "no source")


def _invalid(error: str) -> Answer:
    return json(400, {"status": "invalid event", "message": "Event object is invalid", "errors": [error]})

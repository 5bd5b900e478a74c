"""Opsgenie's Alert API: create, acknowledge, close by alias, count (docs.opsgenie.com/docs/alert-api). Alerts by alias."""

from typing import Literal
from urllib.parse import unquote

import msgspec

from tests.standins.provider import Answer, Provider, Seen, json

KEY = "1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f"


class _Alert(msgspec.Struct, forbid_unknown_fields=True):
    message: str
    alias: str
    description: str
    priority: Literal["P1", "P2", "P3", "P4", "P5"]
    source: str
    entity: str
    tags: list[str]
    details: dict[str, str]


class _Action(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    note: str


class OpsgenieStandIn(Provider):
    """One key. ``alerts``: the state of each alias, and how often it was created."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    async def answer(self, seen: Seen) -> Answer:
        if seen.headers.get("Authorization") != f"GenieKey {KEY}":
            return json(401, {"message": "Could not authenticate", "took": 0.001, "requestId": "r-0"})
        if (seen.method, seen.path) == ("GET", "/v2/alerts/count"):
            return json(200, {"data": {"count": len(self.alerts)}, "took": 0.01, "requestId": "r-0"})
        self.want(seen.method == "POST", f"{seen.method} {seen.path}")
        taken = self._create(seen) if seen.path == "/v2/alerts" else self._end(seen)
        if not taken:
            return json(422, {"message": "Request body is not processable. Please check the errors.", "took": 0.001, "requestId": "r-0"})
        return json(202, {"result": "Request will be processed", "took": 0.107, "requestId": f"r-{len(self.taken)}"})

    def _create(self, seen: Seen) -> bool:
        alert = self.read(seen, _Alert)
        if alert is None:
            return False
        limits = ((alert.message, 130), (alert.alias, 512), (alert.description, 15_000), (alert.source, 100), (alert.entity, 512))
        self.want(all(len(value) <= limit for value, limit in limits), "a field that is too long")
        self.want(bool(alert.message), "no message")
        self.want(len(alert.tags) <= 20 and all(0 < len(tag) <= 50 for tag in alert.tags), f"tags {alert.tags}")
        self.want(sum(len(k) + len(v) for k, v in alert.details.items()) <= 8_000, "details that are too long")
        self.counts[alert.alias] = self.counts.get(alert.alias, 0) + 1
        self.alerts[alert.alias] = "open"
        self.taken.append(alert)
        return True

    def _end(self, seen: Seen) -> bool:
        parts = seen.path.split("/")
        good = len(parts) == 5 and parts[1:3] == ["v2", "alerts"] and parts[4] in ("acknowledge", "close")
        self.want(good and seen.query.get("identifierType") == "alias", f"{seen.path} {dict(seen.query)}")
        action = self.read(seen, _Action)
        if action is None or not good:
            return False
        self.want(len(action.note) <= 25_000 and len(action.source) <= 100, "a field that is too long")
        self.alerts[unquote(parts[3])] = {"acknowledge": "acknowledged", "close": "closed"}[parts[4]]
        self.taken.append(action)
        return True

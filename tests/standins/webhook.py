"""Somebody's own webhook: checks the signature and holds the body against contracts/webhook.schema.json."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from tests.standins.provider import Answer, Provider, Seen

PATH = "/tocsin/in"
KEY = "whsec_0123456789abcdef0123456789"
SCHEMA = Path(__file__).parents[2] / "contracts" / "webhook.schema.json"


class WebhookStandIn(Provider):
    """Takes each id once, as a good receiver would. ``clock`` is the second that signatures must be near."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self._validator = jsonschema_rs.validator_for(msgspec.json.decode(SCHEMA.read_bytes()), validate_formats=True)

    async def answer(self, seen: Seen) -> Answer:
        if seen.method == "HEAD":
            return Answer(405)
        self.want((seen.method, seen.path) == ("POST", PATH), f"{seen.method} {seen.path}")
        if not self._is_signed(seen):
            return Answer(403)
        document: dict[str, Any] = msgspec.json.decode(seen.body)
        for error in self._validator.iter_errors(document):
            self.violation(f"{error.instance_path}: {error.message}"[:300])
        for name in ("X-Tocsin-Id", "Idempotency-Key"):
            self.want(seen.headers.get(name) == document["id"], f"the header {name} is not the id")
        if document["id"] not in self.ids:
            self.ids.add(document["id"])
            self.taken.append(document)
        return Answer(204)

    def _is_signed(self, seen: Seen) -> bool:
        form = re.fullmatch(r"t=(\d{10}),v1=([0-9a-f]{64})", seen.headers.get("X-Tocsin-Signature", ""))
        if form is None:
            self.violation("no signature")
            return False
        wanted = hmac.new(KEY.encode(), form[1].encode() + b"." + seen.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, form[2])

"""Vonage's Messages API (POST /v1/messages), Voice API (POST, GET /v1/calls) and their signed call-backs (developer.vonage.com)."""

import base64
import hashlib
import hmac
import re
import uuid
from functools import cache
from typing import Any, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.standins.provider import Answer, Provider, Seen, json
from tocsin.core.phone import VonageAccount

APPLICATION = "1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f"
SECRET = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF"
FROM = "+4930123457"
_NUMBER = re.compile(r"[1-9][0-9]{6,14}")


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def account() -> VonageAccount:
    """The application, with a key of its own for this run."""
    pem = _key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return VonageAccount(APPLICATION, pem.decode(), SECRET, FROM)


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    message_type: Literal["text"]
    channel: Literal["sms"]
    to: str
    from_: str = msgspec.field(name="from")
    text: str
    client_ref: str
    webhook_url: str | None = None
    webhook_version: Literal["v1"] | None = None


class _Phone(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["phone"]
    number: str


class _Talk(msgspec.Struct, forbid_unknown_fields=True, tag_field="action", tag="talk"):
    text: str
    bargeIn: bool = False  # noqa: N815 - as Vonage spells it


class _Dtmf(msgspec.Struct, forbid_unknown_fields=True):
    maxDigits: int  # noqa: N815
    timeOut: int  # noqa: N815


class _Input(msgspec.Struct, forbid_unknown_fields=True, tag_field="action", tag="input"):
    type: list[Literal["dtmf"]]
    dtmf: _Dtmf
    eventUrl: list[str]  # noqa: N815
    eventMethod: Literal["POST"]  # noqa: N815


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    to: list[_Phone]
    from_: _Phone = msgspec.field(name="from")
    ringing_timer: int
    ncco: list[_Talk | _Input]
    event_url: list[str] = []
    event_method: Literal["POST"] | None = None


class VonageStandIn(Provider):
    """One application. ``sids`` are the ids that it gave. ``now``: the second that tokens must be good at."""

    def __init__(self, now: int = 0) -> None:
        super().__init__()
        self.sids: list[str] = []
        self.now = now

    async def answer(self, seen: Seen) -> Answer:
        if not self._may(seen.headers.get("Authorization", "")):
            return json(401, {"title": "Unauthorized", "detail": "You did not provide correct credentials."})
        if (seen.method, seen.path) == ("GET", "/v1/calls"):
            return json(200, {"count": 0, "_embedded": {"calls": []}})
        self.want(seen.method == "POST" and seen.path in ("/v1/messages", "/v1/calls"), f"{seen.method} {seen.path}")
        return self._text(seen) if seen.path == "/v1/messages" else self._call(seen)

    def _may(self, header: str) -> bool:
        head, claims, seal = [*header.removeprefix("Bearer ").split("."), "", "", ""][:3]
        try:
            _key().public_key().verify(_raw(seal), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        said = msgspec.json.decode(_raw(claims))
        self.want(msgspec.json.decode(_raw(head)) == {"alg": "RS256", "typ": "JWT"}, "the head of the token")
        self.want(bool(said["jti"]) and said["exp"] - said["iat"] <= 86_400, "the claims of the token")
        is_good = not self.now or said["iat"] - 60 <= self.now < said["exp"]
        return bool(said["application_id"] == APPLICATION and is_good)

    def _text(self, seen: Seen) -> Answer:
        message = self.read(seen, _Text)
        if message is None:
            return _invalid()
        if not _NUMBER.fullmatch(message.to):
            return json(
                422, {"title": "Invalid params", "detail": "The value of one or more parameters is invalid.", "invalid_parameters": []}
            )
        self.want(bool(_NUMBER.fullmatch(message.from_)), f"from {message.from_}")
        self.want(0 < len(message.text) <= 1_000 and len(message.client_ref) <= 100, "a text or reference that is too long")
        self.want(message.webhook_url is None or message.webhook_url.startswith("https://"), "the call-back")
        self.taken.append(message)
        return json(202, {"message_uuid": self._new()})

    def _call(self, seen: Seen) -> Answer:
        call = self.read(seen, _Call)
        if call is None:
            return _invalid()
        if not _NUMBER.fullmatch(call.to[0].number):
            return json(400, {"type": "BAD_REQUEST", "error_title": "Bad Request", "invalid_parameters": {"to": "Not a valid number"}})
        self.want(1 <= call.ringing_timer <= 120, f"ringing_timer {call.ringing_timer}")
        for action in call.ncco:
            if isinstance(action, _Input):
                self.want(action.eventUrl[0].startswith("https://") and 0 <= action.dtmf.timeOut <= 10, f"a bad input: {action}")
            else:
                self.want(0 < len(action.text) <= 1_500, f"a talk of {len(action.text)} characters")
        self.taken.append(call)
        return json(201, {"uuid": self._new(), "status": "started", "direction": "outbound", "conversation_uuid": "CON-1"})

    def _new(self) -> str:
        self.sids.append(str(uuid.uuid4()))
        return self.sids[-1]


def signed(body: dict[str, Any], now: int, secret: str = SECRET, **claims: Any) -> tuple[dict[str, str], bytes]:
    """Headers and body of a call-back, signed as developer.vonage.com/en/getting-started/concepts/webhooks says. *now*: seconds."""
    raw = msgspec.json.encode(body)
    said = {
        "iat": now,
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(raw).hexdigest(),
        "api_key": "a1b2c3d4",
        "application_id": APPLICATION,
        **claims,
    }
    text = _base64(msgspec.json.encode({"alg": "HS256", "typ": "JWT"})) + "." + _base64(msgspec.json.encode(said))
    seal = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return {"Authorization": f"Bearer {text}.{_base64(seal)}", "Content-Type": "application/json"}, raw


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _invalid() -> Answer:
    return json(422, {"title": "Invalid params", "detail": "The value of one or more parameters is invalid."})

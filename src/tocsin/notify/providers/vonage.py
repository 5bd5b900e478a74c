"""Vonage: texts by the Messages API, calls by the Voice API, both as one application (a JWT of its private key).

Its call-backs carry a JWT, too, signed with the signature secret, and in it the hash of the body.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.ids import new_id
from tocsin.core.phone import VonageAccount
from tocsin.net.http import HttpDoor, HttpFailure, Response
from tocsin.notify.answers import CHECK_SECONDS, JSON_TYPE, deliver, fields, judged, short
from tocsin.notify.model import Outcome, Result
from tocsin.notify.providers.model import Callback, Incoming, Pressed, Receipt, Said, Script, Stage, turn_of

API = "https://api.nexmo.com"
RING_SECONDS = 30
KEY_SECONDS = 8
JSON = "application/json"
JWT_LASTS = 15 * MINUTE
MAX_AGE = 5 * MINUTE

_TEXT_STAGES = {
    "submitted": Stage.SENT,
    "delivered": Stage.DELIVERED,
    "read": Stage.DELIVERED,
    "rejected": Stage.FAILED,
    "undeliverable": Stage.FAILED,
}
_CALL_STAGES = {
    **dict.fromkeys(("started", "ringing"), Stage.SENT),
    **dict.fromkeys(("answered", "human", "machine", "completed"), Stage.DELIVERED),
    **dict.fromkeys(("busy", "cancelled", "failed", "rejected", "timeout", "unanswered"), Stage.FAILED),
}
_AWAY = {"busy": "busy", "timeout": "nobody answered", "unanswered": "nobody answered", "rejected": "the call was rejected"}
_COMPACT = msgspec.json.Encoder()


class Vonage:
    """One application. *back* is the address of our call-backs; None: Vonage cannot reach us."""

    name = "vonage"

    def __init__(self, account: VonageAccount, door: HttpDoor, back: str | None, api: str = API) -> None:
        self._account, self._door, self._api = account, door, api
        self._back = None if back is None else f"{back}/vonage"
        self._token, self._token_until = "", 0
        self.can_call = account.sender.startswith("+")
        self.is_reached = back is not None
        self.can_hear = self.is_reached and account.sender.startswith("+")

    async def text(self, number: str, text: str, message_id: str, now: int, departing: Callable[[], None]) -> Outcome:
        """Sends a message of the channel ``sms``."""
        body: dict[str, Any] = {
            "message_type": "text",
            "channel": "sms",
            "to": _bare(number),
            "from": _bare(self._account.sender),
            "text": text,
            "client_ref": message_id,
        }
        if self._back is not None:
            body.update(webhook_url=f"{self._back}/text/{message_id}", webhook_version="v1")
        return await self._post("/v1/messages", body, now, departing)

    async def call(self, number: str, script: Script, message_id: str, now: int, departing: Callable[[], None]) -> Outcome:
        """Makes a call that says what it has to without asking us first."""
        body: dict[str, Any] = {
            "to": [{"type": "phone", "number": _bare(number)}],
            "from": {"type": "phone", "number": _bare(self._account.sender)},
            "ringing_timer": RING_SECONDS,
            "ncco": self._ncco(script.text, script, message_id),
        }
        if self._back is not None:
            body.update(event_url=[f"{self._back}/call/{message_id}"], event_method="POST")
        return await self._post("/v1/calls", body, now, departing)

    async def _post(self, path: str, body: dict[str, Any], now: int, departing: Callable[[], None]) -> Outcome:
        def judge(answer: Response) -> Outcome:
            return self._judged(answer, now)

        headers = {**JSON_TYPE, "Authorization": f"Bearer {self._jwt(now)}"}
        return await deliver(self._door, self._api + path, msgspec.json.encode(body), departing, judge, headers)

    def _judged(self, answer: Response, now: int) -> Outcome:
        said = fields(answer)
        found = said.get("message_uuid") or said.get("uuid")
        if answer.status in (200, 201, 202) and isinstance(found, str):
            return Outcome(Result.SENT, receipt=short(found))
        word = short(said.get("detail") or said.get("title") or said.get("error_title"), self._token, self._account.signature_secret)
        if answer.status == 402:
            return Outcome(Result.REFUSED, "the Vonage account has no credit left (402)", HOUR)
        if answer.status < 300:
            return Outcome(Result.REFUSED, "what answers is not Vonage: look for a proxy in between", HOUR)
        return judged(answer, "Vonage", "check the TOCSIN_VONAGE_ settings", now, word)

    async def check(self, now: int) -> str | None:
        """Asks for the last call, which shows whether the application and its key are known."""
        headers = {"Authorization": f"Bearer {self._jwt(now)}"}
        try:
            answer = await self._door.request("GET", f"{self._api}/v1/calls?page_size=1", headers=headers, within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"Vonage cannot be reached: {failure.reason}."
        if answer.status in (401, 403):
            return f"Vonage does not accept the application ({answer.status}): check TOCSIN_VONAGE_APPLICATION_ID and its private key."
        return None

    def _jwt(self, now: int) -> str:
        """A token of the application, kept until a third of its time is over."""
        if now >= self._token_until:
            claims = {
                "application_id": self._account.application_id,
                "iat": now // SECOND,
                "exp": (now + JWT_LASTS) // SECOND,
                "jti": new_id(now),
            }
            self._token, self._token_until = sign_jwt(claims, self._account.private_key), now + JWT_LASTS // 3
        return self._token

    # --- Call-backs ------------------------------------------------------------------------------------------------

    def is_genuine(self, callback: Callback, now: int) -> bool:
        """A JWT of the signature secret, at most five minutes old, that fits this application and this body."""
        if self._back is None:
            return False
        claims = read_jwt(callback.headers.get("authorization", "").removeprefix("Bearer "), self._account.signature_secret)
        if claims is None:
            return False
        issued, hashed = claims.get("iat"), claims.get("payload_hash")
        application = claims.get("application_id", self._account.application_id)
        is_fresh = isinstance(issued, int) and abs(issued * SECOND - now) <= MAX_AGE
        return is_fresh and application == self._account.application_id and (hashed is None or hashed in _hashes(callback.body))

    def text_receipt(self, callback: Callback) -> Receipt | None:
        """``status``, and what it cost."""
        said = _object(callback.body)
        stage, found = _TEXT_STAGES.get(str(said.get("status"))), said.get("message_uuid")
        if stage is None or not isinstance(found, str):
            return None
        error, usage = said.get("error"), said.get("usage")
        why = short(error.get("title")) if isinstance(error, dict) else None
        price = _millionths(usage.get("price")) if isinstance(usage, dict) else None
        return Receipt(found, stage, (why or str(said["status"])) if stage is Stage.FAILED else None, price)

    def call_receipt(self, callback: Callback) -> Receipt | None:
        """``status``, and when it is over what it cost."""
        said = _object(callback.body)
        status, found = str(said.get("status")), said.get("uuid")
        stage = _CALL_STAGES.get(status)
        if stage is None or not isinstance(found, str):
            return None
        error = _AWAY.get(status, status) if stage is Stage.FAILED else None
        return Receipt(found, stage, error, _millionths(said.get("price")), elsewhere=status not in _AWAY)

    def pressed(self, callback: Callback) -> Pressed | None:
        """``dtmf.digits``; who was called is ``to``."""
        said = _object(callback.body)
        keys, number, found = said.get("dtmf"), said.get("to"), said.get("uuid")
        digits = keys.get("digits") if isinstance(keys, dict) else None
        if not isinstance(number, str) or not isinstance(found, str):
            return None
        return Pressed(found, f"+{_bare(number)}", digits if isinstance(digits, str) else "", turn_of(callback))

    def incoming(self, callback: Callback) -> Incoming | None:
        """``from`` and ``text`` of an inbound message."""
        said = _object(callback.body)
        found, number, text = said.get("message_uuid"), said.get("from"), said.get("text")
        if not (isinstance(found, str) and isinstance(number, str) and isinstance(text, str)):
            return None
        return Incoming(found, f"+{_bare(number)}", text)

    def answer(self, text: str) -> Said | None:
        """Vonage takes no answer in place of its 200."""
        _ = text
        return None

    def speak(self, text: str, script: Script | None, message_id: str) -> Said:
        """An NCCO."""
        return Said(msgspec.json.encode(self._ncco(text, script, message_id)), JSON)

    def silence(self) -> Said:
        """Nothing to do."""
        return Said(b"[]", JSON)

    def _ncco(self, text: str, script: Script | None, message_id: str) -> list[dict[str, Any]]:
        said = {"action": "talk", "text": text}
        if script is None or not script.menu:
            return [said]
        if self._back is None:
            return [said, said]
        keys = {
            "action": "input",
            "type": ["dtmf"],
            "dtmf": {"maxDigits": 1, "timeOut": KEY_SECONDS},
            "eventUrl": [f"{self._back}/keys/{message_id}?turn={script.turn}"],
            "eventMethod": "POST",
        }
        return [{**said, "text": f"{text} {script.menu}".strip(), "bargeIn": True}, keys]


def sign_jwt(claims: dict[str, Any], private_key: str) -> str:
    """A JWT with RS256."""
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - heavy, and only needed to send
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    key = serialization.load_pem_private_key(private_key.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the private key of a Vonage application is an RSA key")
    head = _base64(_COMPACT.encode({"alg": "RS256", "typ": "JWT"})) + b"." + _base64(_COMPACT.encode(claims))
    return (head + b"." + _base64(key.sign(head, padding.PKCS1v15(), hashes.SHA256()))).decode()


def read_jwt(token: str, secret: str) -> dict[str, Any] | None:
    """The claims of a JWT that is signed with HS256 under *secret*, or None."""
    parts = token.encode("utf-8", "replace").split(b".")
    if len(parts) != 3:
        return None
    try:
        head, claims, seal = (base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in parts)
        algorithm, found = msgspec.json.decode(head), msgspec.json.decode(claims)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    wanted = hmac.digest(secret.encode(), parts[0] + b"." + parts[1], hashlib.sha256)
    is_ours = isinstance(algorithm, dict) and algorithm.get("alg") == "HS256" and hmac.compare_digest(wanted, seal)
    return found if is_ours and isinstance(found, dict) else None


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _hashes(body: bytes) -> set[str]:
    """The hash of the body as it came, and, as the Voice API has it, without the spaces in it."""
    hashes = {hashlib.sha256(body).hexdigest()}
    if found := _object(body):
        hashes.add(hashlib.sha256(_COMPACT.encode(found)).hexdigest())
    return hashes


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _bare(number: str) -> str:
    """Vonage writes numbers without the plus sign; a name as sender stays as it is."""
    return number.removeprefix("+")


def _millionths(price: object) -> int | None:
    """``"0.0333"`` -> 33300."""
    if not isinstance(price, str) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,10})?", price):
        return None
    try:
        return int(Decimal(price) * 1_000_000)
    except InvalidOperation:
        return None

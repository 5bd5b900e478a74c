"""A push service and the browser behind it: checks who sends (RFC 8292), and opens what only the browser can (RFC 8291).

It opens with the library's own key derivation, so that sender and reader share no code.
"""

import base64
import re
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.standins.provider import Answer, Provider, Seen

PATH = "/send/"
TOKEN = re.compile(r"vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)")
AUTH = b"0123456789abcdef"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class PushStandIn(Provider):
    """``subscribed`` are the browsers that are still there; ``key`` is the one of the application server that they subscribed with."""

    def __init__(self) -> None:
        super().__init__()
        self._browser = ec.generate_private_key(ec.SECP256R1())
        self.subscribed = {"a-browser"}
        self.key: str | None = None
        self.topics: list[str] = []

    def subscription(self, name: str = "a-browser") -> dict[str, Any]:
        """As ``PushSubscription.toJSON()`` gives it."""
        keys = {"p256dh": encoded(point(self._browser.public_key())), "auth": encoded(AUTH)}
        return {"endpoint": f"{self.url}{PATH}{name}", "expirationTime": None, "keys": keys}

    async def answer(self, seen: Seen) -> Answer:
        if seen.method == "HEAD":
            return Answer(405)
        self.want(seen.method == "POST" and seen.path.startswith(PATH), f"{seen.method} {seen.path}")
        if seen.path.removeprefix(PATH) not in self.subscribed:
            return Answer(410, b"push subscription has unsubscribed or expired")
        if not self._knows(seen):
            return Answer(403, b"the key does not match")
        headers = seen.headers
        self.want(re.fullmatch(r"\d+", headers.get("TTL", "")) is not None, "no TTL")
        self.want(headers.get("Urgency") in ("very-low", "low", "normal", "high"), "no Urgency")
        self.want(re.fullmatch(r"[\w-]{1,32}", headers.get("Topic", "")) is not None, "a Topic that is none")
        self.want(headers.get("Content-Encoding") == "aes128gcm", "another encoding")
        self.want(len(seen.body) <= 4096, "more than 4,096 bytes")
        text = self._open(seen.body)
        if text is None:
            self.violation("the browser cannot read it")
            return Answer(400)
        self.topics.append(headers["Topic"])
        self.taken.append({**msgspec.json.decode(text), "urgency": headers["Urgency"]})
        return Answer(201, headers={"Location": f"{self.url}/message/1"})

    def _knows(self, seen: Seen) -> bool:
        """Whether the token is signed by the key that it names, for this service, and not for long."""
        found = TOKEN.fullmatch(seen.headers.get("Authorization", ""))
        if found is None:
            self.violation("no VAPID token")
            return False
        head, claims, seal, key = found.groups()
        document = msgspec.json.decode(decoded(claims))
        self.want(msgspec.json.decode(decoded(head)) == {"typ": "JWT", "alg": "ES256"}, "another algorithm")
        self.want(document["aud"] == self.url, f"the audience is {document['aud']}")
        self.want(document["sub"].startswith(("mailto:", "https://", "http://")), "nobody to ask")
        if self.key is not None and key != self.key:
            return False
        raw = decoded(seal)
        signed = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(key))
        try:
            public.verify(signed, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
        except InvalidSignature:
            self.violation("the signature is not that of the key")
            return False
        return True

    def _open(self, body: bytes) -> bytes | None:
        salt, length = body[:16], body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        shared = self._browser.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\0" + point(self._browser.public_key()) + sender
        base = HKDF(SHA256(), 32, AUTH, info).derive(shared)
        key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(base)
        nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(base)
        try:
            text = AESGCM(key).decrypt(nonce, sealed, None)
        except InvalidTag:
            return None
        return text[:-1] if text.endswith(b"\x02") else None

"""Slack: incoming webhooks (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks), chat.postMessage, auth.test."""

import re
from typing import Literal

import msgspec

from tests.standins.provider import Answer, Provider, Seen, json, text

HOOK = "/services/T0000AAAA/B0000BBBB/Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2"
TOKEN = "xoxb-1111-2222-abcdefghijkl"
CHANNEL = "C0123456789"
_LINK = re.compile(r"<(https?://[^|>\s]+)\|[^<>|]+>")


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["mrkdwn"]
    text: str


class _Section(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["section"]
    text: _Text


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    blocks: list[_Section]
    unfurl_links: bool
    unfurl_media: bool
    channel: str | None = None


class SlackStandIn(Provider):
    """One webhook and one bot, which is in one channel."""

    def is_sending(self, seen: Seen) -> bool:
        return seen.method == "POST" and seen.path != "/api/auth.test" and seen.body != b"{}"

    async def answer(self, seen: Seen) -> Answer:
        if seen.method == "HEAD":
            return Answer(404)
        self.want(seen.method == "POST", f"{seen.method} {seen.path}")
        if seen.path.startswith("/api/"):
            return self._method(seen)
        if seen.path != HOOK:
            return text(404, "no_service")
        if seen.body == b"{}":
            return text(400, "no_text")
        message = self.read(seen, _Message)
        if message is None:
            return text(400, "invalid_payload")
        self.want(message.channel is None, "a webhook has its channel")
        self._check(message)
        self.taken.append(message)
        return text(200, "ok")

    def _method(self, seen: Seen) -> Answer:
        if seen.headers.get("Authorization") != f"Bearer {TOKEN}":
            return json(200, {"ok": False, "error": "invalid_auth"})
        if seen.path == "/api/auth.test":
            return json(200, {"ok": True, "url": "https://acme.slack.com/", "user": "tocsin"})
        self.want(seen.path == "/api/chat.postMessage", f"no method {seen.path}")
        message = self.read(seen, _Message)
        if message is None:
            return json(200, {"ok": False, "error": "invalid_arguments"})
        if message.channel != CHANNEL:
            return json(200, {"ok": False, "error": "channel_not_found"})
        self._check(message)
        self.taken.append(message)
        return json(200, {"ok": True, "channel": CHANNEL, "ts": "1764040320.000100"})

    def _check(self, message: _Message) -> None:
        self.want(0 < len(message.text) <= 4_000, f"a text of {len(message.text)} characters")
        self.want(0 < len(message.blocks) <= 50, f"{len(message.blocks)} blocks")
        for block in message.blocks:
            self.want(0 < len(block.text.text) <= 3_000, f"a section of {len(block.text.text)} characters")
        for piece in (message.text, *[block.text.text for block in message.blocks]):
            left = _LINK.sub("", piece)
            self.want("<" not in left and ">" not in left, f"an unescaped sign in {left[:80]!r}")

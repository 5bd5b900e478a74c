"""Telegram's Bot API: sendMessage and getChat (core.telegram.org/bots/api)."""

import html
import re
from typing import Literal

import msgspec

from tests.standins.provider import Answer, Provider, Seen, is_web_address, json

TOKEN = "123456789:AAExampleExampleExampleExample_12345"
CHAT = "-1001234567890"
_TAG = re.compile(r"</?b>")


class _Button(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    url: str


class _Keyboard(msgspec.Struct, forbid_unknown_fields=True):
    inline_keyboard: list[list[_Button]]


class _Preview(msgspec.Struct, forbid_unknown_fields=True):
    is_disabled: bool


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    chat_id: str
    text: str
    parse_mode: Literal["HTML"]
    link_preview_options: _Preview
    message_thread_id: int | None = None
    disable_notification: bool = False
    reply_markup: _Keyboard | None = None


class _Chat(msgspec.Struct, forbid_unknown_fields=True):
    chat_id: str


class TelegramStandIn(Provider):
    """One bot in one chat. ``refuses_buttons``: their addresses are none that Telegram takes."""

    refuses_buttons = False

    def is_sending(self, seen: Seen) -> bool:
        return seen.path.endswith("/sendMessage")

    async def answer(self, seen: Seen) -> Answer:
        self.want(seen.method == "POST", f"{seen.method} {seen.path}")
        bot, _, method = seen.path.removeprefix("/bot").partition("/")
        if bot != TOKEN:
            return _refused(401, "Unauthorized")
        if method == "getChat":
            chat = self.read(seen, _Chat)
            return json(200, {"ok": True, "result": {"id": 1}}) if chat and chat.chat_id == CHAT else _refused(400, "chat not found")
        self.want(method == "sendMessage", f"no method {method}")
        message = self.read(seen, _Message)
        if message is None:
            return _refused(400, "can't parse the request")
        if message.chat_id != CHAT:
            return _refused(400, "chat not found")
        if message.reply_markup and self.refuses_buttons:
            return _refused(400, "inline keyboard button URL 'http://127.0.0.1/' is invalid: Wrong HTTP URL")
        self._check(message)
        self.taken.append(message)
        return json(200, {"ok": True, "result": {"message_id": 40 + len(self.taken), "text": "..."}})

    def _check(self, message: _Message) -> None:
        bare = _TAG.sub("", message.text)
        self.want("<" not in bare and ">" not in bare, "a tag that Telegram does not know")
        self.want(not re.search(r"&(?!(amp|lt|gt);)", bare), "an entity that Telegram does not know")
        self.want(0 < len(html.unescape(bare)) <= 4_096, f"a text of {len(bare)} characters")
        for row in message.reply_markup.inline_keyboard if message.reply_markup else []:
            self.want(0 < len(row) <= 8, f"{len(row)} buttons in a row")
            for button in row:
                self.want(bool(button.text) and is_web_address(button.url), f"a bad button: {button}")


def _refused(status: int, why: str) -> Answer:
    return json(status, {"ok": False, "error_code": status, "description": f"Bad Request: {why}"})

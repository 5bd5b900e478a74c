"""Discord: Execute Webhook (docs.discord.com/developers/resources/webhook), with components, and Get Webhook."""

from typing import Literal

import msgspec

from tests.standins.provider import Answer, Provider, Seen, is_web_address, json

HOOK = "/api/webhooks/112233445566778899/AbCdEfGhIjKlMnOpQrStUvWxYz-0123456789_abcdefghijklmnopqrstuvwxyz"


class _Button(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal[2]
    style: Literal[5]
    label: str
    url: str


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal[1]
    components: list[_Button]


class _Embed(msgspec.Struct, forbid_unknown_fields=True):
    description: str
    color: int


class _Mentions(msgspec.Struct, forbid_unknown_fields=True):
    parse: list[str]


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    content: str
    embeds: list[_Embed]
    allowed_mentions: _Mentions
    components: list[_Row] = []


class DiscordStandIn(Provider):
    """One webhook. ``refuses_buttons``: their addresses are none that Discord takes."""

    refuses_buttons = False

    async def answer(self, seen: Seen) -> Answer:
        if seen.path != HOOK:
            return json(404, {"message": "Unknown Webhook", "code": 10015})
        if seen.method == "GET":
            return json(200, {"id": "112233445566778899", "type": 1, "name": "Tocsin", "channel_id": "1"})
        self.want(seen.method == "POST", f"{seen.method} {seen.path}")
        self.want(dict(seen.query) == {"wait": "true", "with_components": "true"}, f"the query {seen.query}")
        message = self.read(seen, _Message)
        if message is None:
            return json(400, {"message": "Invalid Form Body", "code": 50035})
        if message.components and self.refuses_buttons:
            errors = {"components": {"0": {"components": {"0": {"url": {"_errors": [{"code": "URL_TYPE_INVALID_URL"}]}}}}}}
            return json(400, {"message": "Invalid Form Body", "code": 50035, "errors": errors})
        self._check(message)
        self.taken.append(message)
        return json(200, {"id": f"99887766554433221{len(self.taken)}", "type": 0, "content": message.content})

    def _check(self, message: _Message) -> None:
        self.want(0 < len(message.content) <= 2_000, f"a content of {len(message.content)} characters")
        self.want(len(message.embeds) == 1, f"{len(message.embeds)} embeds")
        self.want(message.allowed_mentions.parse == [], "somebody could be mentioned")
        self.want(len(message.components) <= 5, f"{len(message.components)} rows")
        for embed in message.embeds:
            self.want(0 < len(embed.description) <= 4_096, f"a description of {len(embed.description)} characters")
            self.want(0 <= embed.color <= 0xFFFFFF, f"the colour {embed.color}")
        for row in message.components:
            self.want(0 < len(row.components) <= 5, f"{len(row.components)} buttons")
            for button in row.components:
                self.want(0 < len(button.label) <= 80 and len(button.url) <= 512 and is_web_address(button.url), f"a bad button: {button}")

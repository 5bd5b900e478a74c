"""Discord: an embed through a webhook of a channel, with link buttons below.

Nothing from outside can mention anybody (``allowed_mentions``) or look like a link of ours (Markdown is escaped).
"""

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.core.clock import SECOND
from tocsin.core.text import cut
from tocsin.net.http import HttpDoor, HttpFailure, Response
from tocsin.notify.answers import CHECK_SECONDS, already_departed, fields, judged, post, short, stranger, unanswered
from tocsin.notify.chat import Chat, chat_text
from tocsin.notify.model import Contact, Letter, Outcome, Presence, Result

TEXT_LETTERS = 1_800  # of the 4,096 of a description, before escaping
_CURE = "make a new webhook in the settings of the channel and give its address to this contact"
_MARKDOWN = re.compile(r"([\\*_~`|>\[\]<#-])")
_COLOURS = {5: 0xC62828, 4: 0xE65100, 3: 0xF9A825, 2: 0x1565C0, 1: 0x607D8B}
_CALM = 0x2E7D32


class Discord:
    """Writes to the channel of a webhook."""

    kind = "discord"

    def __init__(self, door: HttpDoor) -> None:
        self._door = door

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One message; if Discord does not accept the addresses of the buttons, once more with links in the text."""
        address = letter.contact.secret
        if address is None:
            return Outcome(Result.PERMANENT, "the contact has no address of a webhook")
        chat, colour = chat_text(letter, TEXT_LETTERS), _colour(letter)
        try:
            answer = await self._post(address, embed(chat, colour, buttons=True), departing)
            if answer.status == 400 and b"components" in answer.body:
                answer = await self._post(address, embed(chat, colour, buttons=False), already_departed)
        except HttpFailure as failure:
            return unanswered(failure)
        return _judged(answer, letter.now, address)

    async def _post(self, address: str, message: dict[str, Any], departing: Callable[[], None]) -> Response:
        return await post(self._door, f"{address}?wait=true&with_components=true", msgspec.json.encode(message), departing)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """A webhook reads back only messages whose id it knows."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Reads the webhook, which sends nothing."""
        if contact.secret is None:
            return "The contact has no address of a webhook."
        try:
            answer = await self._door.request("GET", contact.secret, within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"Discord cannot be reached: {failure.reason}."
        if answer.status in (401, 403, 404):
            return f"Discord does not know this webhook any more ({answer.status}): {_CURE}."
        return None

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def embed(chat: Chat, colour: int, *, buttons: bool) -> dict[str, Any]:
    """The message: the first line is what a notification shows."""
    text = _escaped(chat.text)
    links = "" if buttons else "\n\n" + " · ".join(f"[{button.label}]({button.url})" for button in chat.buttons)
    row = [{"type": 2, "style": 5, "label": button.label, "url": button.url} for button in chat.buttons]
    return {
        "content": f"{chat.sign} **{_escaped(cut(chat.title, 200))}**",
        "embeds": [{"description": text + links.rstrip(), "color": colour}],
        "allowed_mentions": {"parse": []},
        **({"components": [{"type": 1, "components": row}]} if buttons and row else {}),
    }


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _colour(letter: Letter) -> int:
    return _CALM if letter.alert.status == "resolved" else _COLOURS[letter.alert.severity]


def _judged(answer: Response, now: int, address: str) -> Outcome:
    said = fields(answer)
    if answer.status == 200:
        return Outcome(Result.SENT, receipt=short(said["id"])) if "id" in said else stranger("Discord")
    outcome = judged(answer, "Discord", _CURE, now, short(said.get("message"), address))
    wait = said.get("retry_after")
    if answer.status == 429 and isinstance(wait, int | float) and 0 < wait < 86_400:
        return msgspec.structs.replace(outcome, retry_after=math.ceil(wait * SECOND))
    return outcome

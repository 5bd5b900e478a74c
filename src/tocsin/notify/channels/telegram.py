"""Telegram: a message of a bot to a person, group or channel, with the actions as buttons below."""

import html
from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.core.clock import HOUR, SECOND
from tocsin.net.http import HttpDoor, HttpFailure, Response
from tocsin.notify.answers import CHECK_SECONDS, JSON_TYPE, already_departed, fields, judged, post, short, stranger, unanswered
from tocsin.notify.chat import Chat, chat_text
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result

API = "https://api.telegram.org"
TEXT_LETTERS = 3_500  # a message may have 4,096, counted after the entities are read
_QUIET = (Kind.ACKNOWLEDGED, Kind.RESOLVED)


class Telegram:
    """Writes as one bot."""

    kind = "telegram"

    def __init__(self, token: str, door: HttpDoor, api: str = API) -> None:
        self._token, self._door, self._base = token, door, f"{api}/bot{token}"

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One message; if Telegram does not accept the addresses of the buttons (those of a test on one's own machine), without them."""
        message = document(letter.contact.target, chat_text(letter, TEXT_LETTERS), quiet=letter.message.kind in _QUIET)
        try:
            answer = await self._post(message, departing)
            if answer.status == 400 and "reply_markup" in message and b"button" in answer.body.lower():
                del message["reply_markup"]
                answer = await self._post(message, already_departed)
        except HttpFailure as failure:
            return unanswered(failure)
        return self._judged(answer, letter.now)

    async def _post(self, message: dict[str, Any], departing: Callable[[], None]) -> Response:
        return await post(self._door, f"{self._base}/sendMessage", msgspec.json.encode(message), departing)

    def _judged(self, answer: Response, now: int) -> Outcome:
        said = fields(answer)
        if answer.status == 200 and said.get("ok") is True:
            result = said.get("result")
            return Outcome(Result.SENT, receipt=str(result.get("message_id")) if isinstance(result, dict) else None)
        word = short(said.get("description"), self._token)
        more = said.get("parameters")
        parameters = more if isinstance(more, dict) else {}
        if answer.status == 429 and isinstance(parameters.get("retry_after"), int):
            return Outcome(Result.TEMPORARY, "Telegram is asked too often (429)", min(86_400, parameters["retry_after"]) * SECOND)
        if answer.status == 400 and isinstance(parameters.get("migrate_to_chat_id"), int):
            new = parameters["migrate_to_chat_id"]
            return Outcome(Result.REFUSED, f"the Telegram group has become a supergroup: set the contact to {new}", HOUR)
        if answer.status == 400 and word and "chat not found" in word:
            return Outcome(Result.REFUSED, "Telegram does not know this chat: write to the bot first, or add it to the group", HOUR)
        if answer.status == 403:
            return Outcome(Result.PERMANENT, f"Telegram does not let the bot write there ({word or 403})")
        if answer.status == 200:
            return stranger("Telegram")
        return judged(answer, "Telegram", "check TOCSIN_TELEGRAM_TOKEN", now, word)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """A bot cannot read back what it wrote."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Asks for the chat, which sends nothing."""
        body = msgspec.json.encode({"chat_id": contact.target.partition(":")[0]})
        try:
            answer = await self._door.request("POST", f"{self._base}/getChat", headers=JSON_TYPE, body=body, within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"Telegram cannot be reached: {failure.reason}."
        if answer.status in (401, 404):
            return f"Telegram does not know this bot ({answer.status}): check TOCSIN_TELEGRAM_TOKEN."
        if answer.status in (400, 403):
            return "Telegram does not know this chat for the bot: write to the bot first, or add it to the group."
        return None

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def document(target: str, chat: Chat, *, quiet: bool) -> dict[str, Any]:
    """What sendMessage is given; *target* is a chat, or a chat and the topic in it with a colon between."""
    chat_id, _, topic = target.partition(":")
    row = [{"text": button.label, "url": button.url} for button in chat.buttons]
    return {
        "chat_id": chat_id,
        **({"message_thread_id": int(topic)} if topic else {}),
        "text": f"{chat.sign} <b>{_escaped(chat.title)}</b>\n{_escaped(chat.text)}",
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        **({"disable_notification": True} if quiet else {}),
        **({"reply_markup": {"inline_keyboard": [row]}} if row else {}),
    }


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)

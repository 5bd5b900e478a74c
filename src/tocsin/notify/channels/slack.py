"""Slack: through an incoming webhook of a channel, or by name with the token of a bot.

The actions are links in the text and not buttons: Slack reports every press of a button, also of one that only opens an
address, to the app, and shows a warning where the app does not answer. A webhook has nobody to answer.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.core.clock import HOUR, MINUTE
from tocsin.net.http import HttpDoor, HttpFailure, Response
from tocsin.notify.answers import CHECK_SECONDS, JSON_TYPE, deliver, fields, judged, retry_after, short, stranger
from tocsin.notify.chat import Chat, chat_text
from tocsin.notify.model import Contact, Letter, Outcome, Presence, Result

API = "https://slack.com/api"
TEXT_LETTERS = 2_500  # of the 3,000 of a section, before & becomes &amp;
SECTION_LETTERS = 3_000
_CURE = "make a new incoming webhook for the channel and give its address to this contact"
# What chat.postMessage says in a 200: https://docs.slack.dev/reference/methods/chat.postMessage
_LATER = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})
_WRONG_MESSAGE = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "no_text", "invalid_arguments", "msg_blocks_too_long"}
)


class Slack:
    """Writes to channels. ``token`` None: webhooks only."""

    kind = "slack"

    def __init__(self, token: str | None, door: HttpDoor, api: str = API) -> None:
        self._token, self._door, self._api = token, door, api

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One message."""
        contact, message = letter.contact, blocks(chat_text(letter, TEXT_LETTERS))
        if contact.secret is None:
            return await self._by_name(contact, message, letter.now, departing)

        def judge(answer: Response) -> Outcome:
            if answer.status == 200 and answer.body != b"ok":
                return stranger("Slack")
            return judged(answer, "Slack", _CURE, letter.now, _word(answer, contact.secret))

        return await deliver(self._door, contact.secret, msgspec.json.encode(message), departing, judge)

    async def _by_name(self, contact: Contact, message: dict[str, Any], now: int, departing: Callable[[], None]) -> Outcome:
        if self._token is None:
            return Outcome(Result.REFUSED, "a Slack channel by name needs TOCSIN_SLACK_TOKEN, or give the address of its webhook", HOUR)
        body = msgspec.json.encode({"channel": contact.target, **message})
        headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {self._token}"}

        def judge(answer: Response) -> Outcome:
            return _posted(answer, now, self._token)

        return await deliver(self._door, f"{self._api}/chat.postMessage", body, departing, judge, headers=headers)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """A webhook cannot read, and a bot is not asked for the right to."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Asks who the token belongs to; posts nothing at all to a webhook, which a living one refuses with 400."""
        if contact.secret is None:
            return await self._check_token()
        try:
            answer = await self._door.request("POST", contact.secret, headers=JSON_TYPE, body=b"{}", within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"Slack cannot be reached: {failure.reason}."
        if answer.status in (200, 400, 429) or answer.status >= 500:
            return None
        word = _word(answer, contact.secret)
        return f"Slack does not know this webhook any more ({answer.status}{f' {word}' if word else ''}): {_CURE}."

    async def _check_token(self) -> str | None:
        if self._token is None:
            return "A Slack channel by name needs TOCSIN_SLACK_TOKEN, or give the contact the address of a webhook."
        headers = {"Authorization": f"Bearer {self._token}", **JSON_TYPE}
        try:
            answer = await self._door.request("POST", f"{self._api}/auth.test", headers=headers, body=b"{}", within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"Slack cannot be reached: {failure.reason}."
        if fields(answer).get("ok") is True:
            return None
        return f"Slack does not accept TOCSIN_SLACK_TOKEN ({_error(answer, self._token) or answer.status}): make a new one."

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def blocks(chat: Chat) -> dict[str, Any]:
    """The message: ``text`` is what a notification shows. Nothing from outside can mention anybody, since ``<`` is escaped."""
    links = "   ".join(f"*<{button.url}|{button.label}>*" for button in chat.buttons)
    sections = [f"*{chat.sign} {_escaped(chat.title)}*\n{_escaped(chat.text)}"[:SECTION_LETTERS], links]
    return {
        "text": f"{chat.sign} {_escaped(chat.title)}",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in sections if text],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _word(answer: Response, secret: str | None) -> str | None:
    """Slack's short code, such as ``no_service``."""
    return short(answer.body.decode(errors="replace"), secret)


def _error(answer: Response, token: str | None) -> str | None:
    return short(fields(answer).get("error"), token)


def _posted(answer: Response, now: int, token: str | None) -> Outcome:
    if answer.status != 200:
        return judged(answer, "Slack", "check TOCSIN_SLACK_TOKEN", now, _error(answer, token))
    said = fields(answer)
    if said.get("ok") is True:
        return Outcome(Result.SENT, receipt=short(said.get("ts")))
    if "error" not in said:
        return stranger("Slack")
    error = _error(answer, token) or "no reason given"
    if error in _LATER:
        return Outcome(Result.TEMPORARY, f"Slack cannot take it now ({error})", retry_after(answer, now))
    if error in _WRONG_MESSAGE:
        return Outcome(Result.PERMANENT, f"Slack does not accept the message ({error})")
    cure = "invite the bot into the channel, and check TOCSIN_SLACK_TOKEN and its scope chat:write"
    return Outcome(Result.REFUSED, f"Slack refuses ({error}): {cure}", 10 * MINUTE)

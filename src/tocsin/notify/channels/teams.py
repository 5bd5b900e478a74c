"""Microsoft Teams: an Adaptive Card to a workflow of the kind "when a Teams webhook request is received".

What comes from outside goes into text runs, which Teams shows as they are; a text block would read Markdown in it.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.net.http import HttpDoor, Response
from tocsin.notify.answers import deliver, judged, reach, short
from tocsin.notify.chat import Chat, chat_text
from tocsin.notify.model import Contact, Letter, Outcome, Presence, Result

TEXT_LETTERS = 3_000  # a card may have 28 KB; escaped, a letter may take six bytes
LINES = 30
_CURE = "make a new workflow for the channel and give its address to this contact"
_RELAYED = re.compile(rb"HTTP error ([45]\d\d)")


class Teams:
    """Writes to the channel or chat of a workflow."""

    kind = "teams"

    def __init__(self, door: HttpDoor) -> None:
        self._door = door

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One card."""
        address = letter.contact.secret
        if address is None:
            return Outcome(Result.PERMANENT, "the contact has no address of a workflow")
        body = msgspec.json.encode(card(chat_text(letter, TEXT_LETTERS)))

        def judge(answer: Response) -> Outcome:
            return judged(_told(answer), "Teams", _CURE, letter.now, _word(answer, address))

        return await deliver(self._door, address, body, departing, judge)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """A workflow cannot be asked."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Whether Microsoft can be reached: whatever is posted to a workflow starts it."""
        return await reach(self._door, contact.secret, "Teams") if contact.secret else "The contact has no address of a workflow."

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""


def card(chat: Chat) -> dict[str, Any]:
    """The message with its one card; the buttons open the signed pages."""
    lines = [line for line in chat.text.split("\n") if line][:LINES]
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [_run(f"{chat.sign} {chat.title}", size="medium", weight="bolder"), *[_run(line) for line in lines]],
        "actions": [{"type": "Action.OpenUrl", "title": button.label, "url": button.url} for button in chat.buttons],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


def _run(text: str, **look: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}


def _told(answer: Response) -> Response:
    """The old connectors answer 200 and say in the text that Teams itself refused."""
    relayed = _RELAYED.search(answer.body) if answer.status == 200 else None
    return msgspec.structs.replace(answer, status=int(relayed[1])) if relayed else answer


def _word(answer: Response, address: str) -> str | None:
    """The code of an error such as ``{"error": {"code": "WorkflowTriggerIsNotEnabled"}}``."""
    found = re.search(rb'"code"\s*:\s*"([A-Za-z0-9_]{1,60})"', answer.body)
    return short(found[1].decode(), address) if found else None

"""What a chat message says: the push notification's words, with a sign that needs no short codes and all three links."""

import msgspec

from tocsin.core.text import cut
from tocsin.notify.model import Kind, Letter
from tocsin.notify.render import Button, push_text

_SIGNS = {
    "rotating_light": "\N{POLICE CARS REVOLVING LIGHT}",
    "warning": "\N{WARNING SIGN}\ufe0f",
    "yellow_circle": "\N{LARGE YELLOW CIRCLE}",
    "bell": "\N{BELL}",
    "white_check_mark": "\N{WHITE HEAVY CHECK MARK}",
    "calendar": "\N{CALENDAR}",
    "bust_in_silhouette": "\N{BUST IN SILHOUETTE}",
}
OPEN = "Open"


class Chat(msgspec.Struct, frozen=True):
    """``title`` is one line, ``text`` the facts and what came with the alert, ``buttons`` what can be done, the page last."""

    sign: str
    title: str
    text: str
    buttons: tuple[Button, ...]


def chat_text(letter: Letter, limit: int) -> Chat:
    """The chat message for *letter*, its text of at most *limit* characters."""
    push = push_text(letter)
    number = "" if letter.message.kind in (Kind.DIGEST, Kind.NOTICE) else f" (#{letter.alert.number})"
    page = (Button(OPEN, push.click),) if push.click else ()
    return Chat(_SIGNS[push.tags[0]], push.title + number, cut(push.message, limit), (*push.buttons, *page))

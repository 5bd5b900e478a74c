"""What somebody means who answers a text message: pure reading of a few words."""

import enum
import re

import msgspec


class Wish(enum.StrEnum):
    """What is asked for."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    ESCALATE = "escalate"  # tell the next level now
    STOP = "stop"  # no more texts to this number
    START = "start"  # again
    HELP = "help"


class Command(msgspec.Struct, frozen=True):
    """A wish, and the number of the alert if one was said."""

    wish: Wish
    alert: int | None = None


_WORDS: dict[str, Wish] = {
    **dict.fromkeys(("ack", "acknowledge", "acknowledged", "a"), Wish.ACKNOWLEDGE),
    **dict.fromkeys(("resolve", "resolved", "res", "r"), Wish.RESOLVE),
    **dict.fromkeys(("escalate", "esc", "e"), Wish.ESCALATE),
    **dict.fromkeys(("stop", "stopall", "unsubscribe", "cancel", "end", "quit"), Wish.STOP),
    **dict.fromkeys(("start", "unstop"), Wish.START),
    **dict.fromkeys(("help", "info"), Wish.HELP),
}
_FORM = re.compile(r"\W*([a-z]{1,20})\W*([0-9]{1,12})?\W*", re.ASCII)
_NUMBERED = (Wish.ACKNOWLEDGE, Wish.RESOLVE, Wish.ESCALATE)

KEYS: dict[str, Wish] = {"4": Wish.ACKNOWLEDGE, "5": Wish.RESOLVE, "6": Wish.ESCALATE}


def read_command(text: str) -> Command | None:
    """*text* as a command, or None. ``Ack 12``, ``ack #12.`` and ``12 ack`` are not all one: the word comes first."""
    match = _FORM.fullmatch(text.strip().lower()[:200])
    wish = _WORDS.get(match[1]) if match is not None else None
    if match is None or wish is None or (match[2] and wish not in _NUMBERED):
        return None
    return Command(wish, int(match[2]) if match[2] else None)

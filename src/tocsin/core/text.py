"""Cutting and cleaning text for people and protocols."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile(r"\s+")
_URL_SECRET = re.compile(r"(?<=://)(?!user:password@)[^/@\s]+@")  # what examples say is nobody's
_ELLIPSIS = "…"


def cut_bytes(text: str, limit: int) -> str:
    """*text* in at most *limit* bytes of UTF-8, cut between characters, with an ellipsis where something is missing."""
    raw = text.encode()
    if len(raw) <= limit:
        return text
    room = limit - len(_ELLIPSIS.encode())
    return raw[: max(0, room)].decode(errors="ignore").rstrip() + (_ELLIPSIS if room >= 0 else "")


def cut(text: str, limit: int) -> str:
    """*text* in at most *limit* characters, with an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + _ELLIPSIS


def one_line(text: str) -> str:
    """*text* without control characters and with single spaces: fit for a title or a mail header."""
    if text.isascii() and text.isprintable() and "  " not in text:  # nearly all text, and much faster
        return text.strip()
    return _SPACES.sub(" ", _CONTROL.sub(" ", text)).strip()


def without_credentials(text: str) -> str:
    """*text* with ``user:password@`` taken out of every address in it."""
    return _URL_SECRET.sub("", text)


def counted(count: int, noun: str) -> str:
    """``1 alert``, ``12 alerts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sentence(words: str) -> str:
    """*words* with a capital at the start and a full stop at the end, as a page says what an error says."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def whole(text: str, digits: int = 9) -> int | None:
    """The number that *text* is, of up to *digits* plain digits; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None

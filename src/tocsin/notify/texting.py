"""What a text message and a call say. A text fits into one SMS where its letters allow it.

One SMS holds 160 letters of the GSM 7-bit alphabet (GSM 03.38), or 70 of any other; longer texts are cut by phones into
parts of 153 or 67. Letters that only look better (typographic quotes, emoji) are given up for the bigger one.
"""

import re
import unicodedata

from tocsin.core.severity import Severity
from tocsin.core.text import counted, one_line
from tocsin.core.times import in_words
from tocsin.notify.model import Kind, Letter
from tocsin.notify.providers.model import Script
from tocsin.notify.render import clean, clean_line, headline
from tocsin.notify.rules import PROBLEM_KINDS

SINGLE, PART = 160, 153
WIDE_SINGLE, WIDE_PART = 70, 67
WIDE_ROOM = 2 * WIDE_PART  # a title in Greek or Hindi gets two parts
TITLE = 40  # places of a title that what hangs on it must leave
SPOKEN_LETTERS = 400

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u00b7", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\t", " "),
        "\u2026": "...",
        "\u00d7": "x",
        "\u2192": "->",
        "\u0141": "L",
        "\u0142": "l",
        "\u0110": "D",
        "\u0111": "d",
        "\u0131": "i",
    }
)
_UNSPEAKABLE = re.compile(r"https?://\S+|[^\w\s.,:;!?%()'/+-]|_+")


def sms_text(letter: Letter, *, answers: bool, actions: tuple[str, ...] = ("ack", "resolve")) -> str:
    """The text message for *letter*. *answers*: people can reply with *actions*; otherwise a link stands there."""
    lead, title, hint = _sms_parts(letter, actions if answers else ())
    return _fitted(lead, title, hint, _stake(letter))


def _stake(letter: Letter) -> str:
    """What hangs on it, of a problem."""
    return clean_line(letter.impact) if letter.message.kind in PROBLEM_KINDS else ""


def _sms_parts(letter: Letter, actions: tuple[str, ...]) -> tuple[str, str, str]:
    """What stands before the title, the title, and what can be done: *actions* by an answer, or a page."""
    alert, kind = letter.alert, letter.message.kind
    site = f" {clean_line(letter.site, 30)}" if letter.site else ""
    again = " (perhaps again)" if letter.message.maybe_repeated else ""
    if kind == Kind.NOTICE:
        return "Tocsin", f"{clean_line(alert.title)}. {one_line(clean(alert.message or ''))}", ""
    if kind == Kind.DIGEST:
        more = counted(1 + len(letter.others) + letter.more, "more alert")
        return f"{more}{f' of{site}' if site else ''}{again}, the loudest", f"#{alert.number} {_named(letter)}", _page(letter)
    number = f"{site} #{alert.number}"
    if kind == Kind.RESOLVED:
        return f"RESOLVED{number}", _named(letter), ""
    if kind == Kind.ACKNOWLEDGED:
        return f"ACKNOWLEDGED{number} by {clean_line(alert.acknowledged_by or 'somebody', 30)}", _named(letter), ""
    word = Severity(alert.severity).word.upper()
    age = f" open {in_words(letter.now - alert.first_seen_at)}" if kind == Kind.REPEATED else ""
    hint = " or ".join(f"{action} {alert.number}" for action in actions)
    return f"{word}{number}{age}{again}", _named(letter), f"Reply {hint}" if hint else _page(letter)


def _named(letter: Letter) -> str:
    alert = letter.alert
    title = clean_line(alert.title, 120) or alert.type
    host = clean_line(alert.host or "", 60)
    return title if not host or host in title else f"{title} ({host})"


def _page(letter: Letter) -> str:
    return letter.links.open if letter.links is not None else ""


def _fitted(lead: str, title: str, hint: str, stake: str) -> str:
    """All in one SMS, the title cut if it must be; in two parts of the wide alphabet if its letters need that.

    The *stake* is left out if it would cut the title too short, or needs other letters than the rest.
    """
    plain = tuple(map(simple, (lead, title, hint)))
    narrow = all(septets(part) is not None for part in plain)
    room = SINGLE if narrow else WIDE_ROOM
    lead, title, hint = plain if narrow else (lead, title, hint)
    ending = f" {hint}" if hint else ""
    left = room - _size(f"{lead}: .{ending}")
    stake = simple(stake) if narrow else stake
    rest = left - _size(f" {stake}")
    if stake and rest >= min(_size(title), TITLE) and (septets(stake) is not None or not narrow):
        return f"{lead}: {_cut(title, rest)}. {stake}{ending}"
    return f"{lead}: {_cut(title, left)}.{ending}" if left >= 10 else f"{lead}: {_cut(title, max(0, left + _size(ending)))}."


def _cut(title: str, room: int) -> str:
    title = title.rstrip(" .")
    if _size(title) <= room:
        return title
    while title and _size(title) > room - 2:
        title = title[:-1]
    return title.rstrip(" .") + ".."


def simple(text: str) -> str:
    """*text* in the GSM alphabet as far as that leaves its words: plain quotes and dashes, fewer accents, no pictures."""
    text = text.translate(_PLAIN)
    return one_line("".join(_simple_letter(letter) for letter in text))


def _simple_letter(letter: str) -> str:
    if letter in _BASIC or letter in _EXTENDED:
        return letter
    bare = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
    if bare and all(c in _BASIC or c in _EXTENDED for c in bare):
        return bare
    return "" if unicodedata.category(letter) in ("So", "Sk", "Cs", "Co", "Mn", "Cf") else letter


def septets(text: str) -> int | None:
    """How many of the 160 places *text* takes, or None if it has letters beyond the GSM alphabet."""
    if not all(letter in _BASIC or letter in _EXTENDED for letter in text):
        return None
    return len(text) + sum(letter in _EXTENDED for letter in text)


def _size(text: str) -> int:
    narrow = septets(text)
    return len(text.encode("utf-16-le")) // 2 if narrow is None else narrow


def parts(text: str) -> int:
    """How many SMS *text* is billed as."""
    size, narrow = _size(text), septets(text) is not None
    single, part = (SINGLE, PART) if narrow else (WIDE_SINGLE, WIDE_PART)
    return 1 if size <= single else -(-size // part)


# --- Voice ---------------------------------------------------------------------------------------------------------


def script(letter: Letter, *, hears: bool) -> Script:
    """What a call about *letter* says. *hears*: keys that are pressed reach us."""
    alert, kind = letter.alert, letter.message.kind
    if kind == Kind.NOTICE:
        return Script(f"This is Tocsin. {_spoken(alert.title)}. {_spoken(alert.message or '')}")
    site = f" at {_spoken(letter.site)}" if letter.site else ""
    if kind == Kind.DIGEST:
        loudest = _spoken(_named(letter))
        return Script(f"This is Tocsin. {_spoken(headline(letter))}. The loudest is: {loudest}. Please look at your messages.")
    word = Severity(alert.severity).word.capitalize()
    text = f"This is Tocsin. {word} alert{site}, number {alert.number}. {_spoken(headline(letter))}."
    host = f" On {_spoken(alert.host)}." if alert.host else ""
    stake = f" {_spoken(_stake(letter))}" if _stake(letter) else ""
    return Script(text + host + stake, MENU if hears else "")


MENU = "Press 4 to acknowledge, 5 to resolve, 6 to escalate."


def _spoken(text: str) -> str:
    """*text* without what a voice cannot say."""
    return one_line(_UNSPEAKABLE.sub(" ", clean_line(text, SPOKEN_LETTERS)))

"""What a message says, in a push notification and in a mail. Pure functions of a `Letter`; the templates are read once.

Titles and messages of alerts come from outside (clients of a host choose some of them). They pass `clean` before they
go anywhere: no control or direction-changing characters, and the HTML templates escape everything they are handed.
"""

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.alerts.flaps import in_sentence
from tocsin.alerts.model import Alert, Status
from tocsin.core.clock import DAY, MINUTE
from tocsin.core.severity import Severity
from tocsin.core.text import counted, cut, cut_bytes, one_line
from tocsin.core.times import in_words, to_datetime
from tocsin.notify.model import Kind, Letter

if TYPE_CHECKING:
    from jinja2 import Template

MESSAGE_BYTES = 4_095  # what an ntfy server takes as a message; one byte more becomes a file
TITLE_LETTERS = 120
PUSH_LIST = 10
MAIL_LIST = 30
SYSTEM = "tocsin"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85]")
# Direction overrides and isolates, invisible joiners that hide text, byte order mark, tag characters.
# The zero-width joiner stays: emoji and several scripts need it.
_DECEPTIVE = re.compile(r"[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_WEB_ADDRESS = re.compile(r"https?://[!-~]{1,500}")
_BLANK_LINES = re.compile(r"\n{3,}")
_PILED_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{3})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)

_SIGN = {Severity.CRITICAL: "rotating_light", Severity.HIGH: "warning", Severity.MEDIUM: "yellow_circle", Severity.LOW: "bell"}
_QUIET_PRIORITY = 2
_LONG_TITLE = 60
_BUNDLED = "More came than this address should get at once, so here they are together, the loudest first."
_TONE = {5: "crit", 4: "high", 3: "med", 2: "low", 1: "info"}


class Button(msgspec.Struct, frozen=True):
    """One thing a person can do: its word and its signed address."""

    label: str
    url: str


class Push(msgspec.Struct, frozen=True):
    """A push notification: ``priority`` 1 to 5, ``message`` at most 4,095 bytes, at most three ``buttons``."""

    title: str
    message: str
    priority: int
    tags: tuple[str, ...]
    click: str | None
    buttons: tuple[Button, ...]


class Mail(msgspec.Struct, frozen=True):
    """A mail's words. ``subject`` is one line and stays the same through the life of an alert, so that its mails thread."""

    subject: str
    text: str
    html: str


class _Fact(msgspec.Struct, frozen=True):
    name: str
    value: str


class _Row(msgspec.Struct, frozen=True):
    """One alert in a digest."""

    word: str
    tone: str
    title: str
    place: str
    number: int


def clean(text: str) -> str:
    """*text* from outside without control characters, lone surrogates and characters that hide or turn text. Line ends stay."""
    if text.isascii() and text.isprintable():  # nearly all text, and much faster
        return text.strip()
    text = _CONTROL.sub("", _LINE_ENDS.sub("\n", text))
    text = _PILED_MARKS.sub(r"\1", _DECEPTIVE.sub("", text))
    return _BLANK_LINES.sub("\n\n", text).strip()


def clean_line(text: str, limit: int = 200) -> str:
    """*text* from outside as one line of at most *limit* characters."""
    return cut(one_line(clean(text)), limit)


# --- Words ---------------------------------------------------------------------------------------------------------


def headline(letter: Letter) -> str:
    """The one sentence that must be read: ``Resolved after 12 min: Service 77: creation failed``."""
    if letter.message.kind == Kind.DIGEST:
        return _digest_headline(letter)
    title = _title(letter.alert)
    lead = _lead(letter)
    return f"{lead}: {title}" if lead else title


def _lead(letter: Letter) -> str:
    alert = letter.alert
    flapping = in_sentence(alert)
    match letter.message.kind:
        case Kind.OPENED | Kind.REPEATED if flapping is not None:
            return flapping
        case Kind.ESCALATED:
            return f"Escalated after {_age(letter)}" if letter.message.step else f"Now {_word(alert)}"
        case Kind.REPEATED:
            return f"Still open after {_age(letter)}"
        case Kind.ACKNOWLEDGED:
            return f"Acknowledged by {_who(alert.acknowledged_by)}"
        case Kind.RESOLVED:
            return f"Resolved after {_age(letter)}"
        case _:
            return "It is back" if alert.generation > 1 else ""


def _digest_headline(letter: Letter) -> str:
    of_site = f" of site {clean_line(letter.site, 63)}" if letter.site else ""
    return f"{_digest_count(letter)} more{of_site}"


def _digest_count(letter: Letter) -> int:
    return 1 + len(letter.others) + letter.more


def _title(alert: Alert) -> str:
    return clean_line(alert.title, TITLE_LETTERS) or clean_line(alert.type, TITLE_LETTERS)


def _who(name: str | None) -> str:
    return clean_line(name or "", 60) or "somebody"


def _age(letter: Letter) -> str:
    end = letter.alert.resolved_at or letter.now
    return in_words(end - letter.alert.first_seen_at)


def _word(alert: Alert) -> str:
    return Severity(alert.severity).word


def _moment(ms: int, now: int) -> str:
    """``03:12 UTC``, with the date when it is not the day of *now*."""
    if ms // DAY == now // DAY:  # nearly always, and much faster
        hours, minutes = divmod(ms % DAY // MINUTE, 60)
        return f"{hours:02}:{minutes:02} UTC"
    moment = to_datetime(ms)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def _place(alert: Alert, site: str) -> str:
    """``acme, on srv-12`` with whatever of the two is known."""
    parts = [clean_line(site, 63) if site else "", f"on {clean_line(alert.host, 100)}" if alert.host else ""]
    return ", ".join(part for part in parts if part)


def _severity_and_place(letter: Letter) -> str:
    place = _place(letter.alert, letter.site)
    return f"{_word(letter.alert).capitalize()}: {place}." if place else f"{_word(letter.alert).capitalize()}."


def _seen(letter: Letter) -> str:
    alert = letter.alert
    since = _moment(alert.first_seen_at, letter.now)
    return f"Seen {alert.occurrences:,} times since {since}." if alert.occurrences > 1 else f"First seen {since}."


def _impact(letter: Letter) -> list[str]:
    """What hangs on it stands first, until it is over."""
    return [clean_line(letter.impact)] if letter.impact and letter.alert.status != Status.RESOLVED else []


def _standing(letter: Letter) -> str:
    """Who has it now, or how it ended: from the alert as it stands, whatever made us write."""
    alert = letter.alert
    if alert.status == Status.RESOLVED:
        return _ending(alert)
    if alert.status == Status.ACKNOWLEDGED:
        return f"{_who(alert.acknowledged_by)} has it."
    if alert.status == Status.SNOOZED and alert.snoozed_until:
        return f"Snoozed until {_moment(alert.snoozed_until, letter.now)}."
    waited = letter.now - alert.first_seen_at
    return f"Open for {in_words(waited)}, and nobody has it yet." if waited >= MINUTE else "Nobody has it yet."


def _ending(alert: Alert) -> str:
    by = "" if alert.resolved_by in (None, SYSTEM) else f" by {_who(alert.resolved_by)}"
    how = clean_line(alert.resolution or "", 300)
    return f"Resolved{by}: {how}" if how else f"Resolved{by}."


def _notes(letter: Letter) -> list[str]:
    """What the reader must know about the message itself."""
    notes = []
    if letter.delay > MINUTE:
        decided = _moment(letter.now - letter.delay, letter.now)
        notes.append(f"Delayed by {in_words(letter.delay)}: it was decided at {decided}.")
    if letter.message.maybe_repeated:
        notes.append("You may have received this before.")
    return notes


def runbook(attributes: str | None) -> str:
    """The address of a page that says what to do, if the sender of the event gave one."""
    if attributes is None or "runbook" not in attributes:  # nearly always, and much faster
        return ""
    values = msgspec.json.decode(attributes)
    for name in ("runbook", "runbook_url"):
        value = values.get(name) if isinstance(values, dict) else None
        if isinstance(value, str) and _WEB_ADDRESS.fullmatch(value):
            return value
    return ""


def _loudest_first(letter: Letter) -> list[Alert]:
    return sorted((letter.alert, *letter.others), key=lambda alert: -alert.severity)


def _buttons(letter: Letter) -> tuple[Button, ...]:
    """A digest has none: a button could act on one of its alerts only, and nobody would know on which."""
    if letter.links is None or letter.alert.status == Status.RESOLVED or letter.message.kind == Kind.DIGEST:
        return ()
    resolve = Button("Resolve", letter.links.resolve)
    if letter.alert.status == Status.ACKNOWLEDGED:
        return (resolve,)
    return (Button("Acknowledge", letter.links.acknowledge), resolve)


# --- Push ----------------------------------------------------------------------------------------------------------


def push_text(letter: Letter) -> Push:
    """The push notification for *letter*."""
    return Push(
        title=cut(headline(letter), TITLE_LETTERS),
        message=cut_bytes(_push_body(letter), MESSAGE_BYTES),
        priority=_priority(letter),
        tags=_tags(letter),
        click=letter.links.open if letter.links else None,
        buttons=_buttons(letter),
    )


def _push_body(letter: Letter) -> str:
    # The facts and notes stand first: what is cut away at the end is only ever the long text from outside.
    if letter.message.kind == Kind.DIGEST:
        return "\n".join([*_notes(letter), *_push_list(letter)])
    if letter.message.kind == Kind.NOTICE:
        return "\n".join([clean(letter.alert.message or ""), *_notes(letter)])
    facts = " ".join([*_impact(letter), _severity_and_place(letter), _seen(letter), _standing(letter)])
    if letter.message.kind in (Kind.ACKNOWLEDGED, Kind.RESOLVED):
        return "\n".join([facts, *_notes(letter)])
    guide, told = runbook(letter.alert.attributes), clean(letter.alert.message or "")
    return "\n".join([facts, *_notes(letter), *([f"Runbook: {guide}"] if guide else [])]) + (f"\n\n{told}" if told else "")


def _push_list(letter: Letter) -> list[str]:
    alerts = _loudest_first(letter)
    lines = [f"• {_word(alert).capitalize()}: {cut(_title(alert), 80)}{_host_suffix(alert)}" for alert in alerts[:PUSH_LIST]]
    unlisted = len(alerts) - len(lines) + letter.more
    return [*lines, f"and {unlisted:,} more"] if unlisted else lines


def _host_suffix(alert: Alert) -> str:
    return f" ({clean_line(alert.host, 60)})" if alert.host else ""


def _priority(letter: Letter) -> int:
    """The severity; good news and confirmations never wake anybody."""
    if letter.message.kind in (Kind.ACKNOWLEDGED, Kind.RESOLVED):
        return _QUIET_PRIORITY
    return letter.alert.severity


def _tags(letter: Letter) -> tuple[str, ...]:
    """An emoji short code for the sign before the title, then the site as a plain tag (a tag with a comma would be split)."""
    match letter.message.kind:
        case Kind.RESOLVED:
            sign = "white_check_mark"
        case Kind.ACKNOWLEDGED:
            sign = "bust_in_silhouette"
        case Kind.NOTICE:
            sign = "calendar"
        case _:
            sign = _SIGN.get(Severity(letter.alert.severity), "bell")
    site = _tag(letter.site)
    return (sign, site) if site else (sign,)


@lru_cache(maxsize=256)
def _tag(site: str) -> str:
    return re.sub(r"[^\w.-]+", "-", clean_line(site, 63)).strip("-")


# --- Mail ----------------------------------------------------------------------------------------------------------


def mail_text(letter: Letter) -> Mail:
    """The mail for *letter*: subject, plain text and HTML that say the same."""
    view = _view(letter)
    return Mail(subject=_subject(letter), text=template("mail.txt").render(view).strip() + "\n", html=template("mail.html").render(view))


def _subject(letter: Letter) -> str:
    site = f"[{clean_line(letter.site, 63)}] " if letter.site else ""
    if letter.message.kind == Kind.DIGEST:
        return f"{site}{counted(_digest_count(letter), 'more alert')}"
    if letter.message.kind == Kind.NOTICE:
        return _title(letter.alert)
    return f"{site}{_title(letter.alert)} (#{letter.alert.number})"


def _view(letter: Letter) -> dict[str, Any]:
    return _notice_view(letter) if letter.message.kind == Kind.NOTICE else _alert_view(letter)


def _notice_view(letter: Letter) -> dict[str, Any]:
    """A notice has a title and a text, and nothing to press."""
    title, text = _title(letter.alert), clean(letter.alert.message or "")
    plain = dict.fromkeys(("beside", "site", "seen", "message", "open", "number"), "")
    return {
        **plain,
        "headline": title,
        "title": title,
        "is_long": len(title) > _LONG_TITLE,
        "tone": _tone(letter),
        "word": "Notice",
        "standing": text,
        "notes": _notes(letter),
        "facts": [],
        "rows": [],
        "unlisted": 0,
        "buttons": (),
        "is_digest": False,
        "preheader": text,
    }


def _alert_view(letter: Letter) -> dict[str, Any]:
    is_digest = letter.message.kind == Kind.DIGEST
    title = _digest_headline(letter) if is_digest else _title(letter.alert)
    rows = [_row(alert) for alert in _loudest_first(letter)[:MAIL_LIST]] if is_digest else []
    return {
        "headline": headline(letter),
        "title": title,
        "is_long": len(title) > _LONG_TITLE,
        "tone": _tone(letter),
        "word": _state_word(letter),
        "beside": _beside(letter),
        "site": clean_line(letter.site, 63),
        "seen": "" if is_digest else _seen(letter),
        "standing": _BUNDLED if is_digest else " ".join([*_impact(letter), _standing(letter)]),
        "message": "" if is_digest else clean(letter.alert.message or ""),
        "notes": _notes(letter),
        "facts": [] if is_digest else _facts(letter),
        "rows": rows,
        "unlisted": _digest_count(letter) - len(rows) if is_digest else 0,
        "buttons": _buttons(letter),
        "open": letter.links.open if letter.links else None,
        "is_digest": is_digest,
        "number": None if is_digest else letter.alert.number,
        "preheader": _preheader(letter),
    }


def _preheader(letter: Letter) -> str:
    if letter.message.kind == Kind.DIGEST:
        return f"The loudest: {_title(letter.alert)}"
    lead = _lead(letter)
    return " ".join([*_impact(letter), f"{lead}." if lead else _severity_and_place(letter), _standing(letter)])


def _tone(letter: Letter) -> str:
    return "ok" if letter.alert.status == Status.RESOLVED else _TONE[letter.alert.severity]


def _state_word(letter: Letter) -> str:
    return f"Resolved after {_age(letter)}" if letter.alert.status == Status.RESOLVED else _word(letter.alert).capitalize()


def _beside(letter: Letter) -> str:
    """What stands beside the sign: the news, or since when."""
    alert, kind = letter.alert, letter.message.kind
    if kind == Kind.DIGEST:
        return "is the loudest"
    if alert.status == Status.RESOLVED:
        return ""
    lead = "" if kind == Kind.ESCALATED and not letter.message.step else _lead(letter)
    times = f", {alert.occurrences:,} times" if alert.occurrences > 1 else ""
    return lead or f"since {_moment(alert.first_seen_at, letter.now)}{times}"


def _row(alert: Alert) -> _Row:
    return _Row(_word(alert).capitalize(), _TONE[alert.severity], _title(alert), clean_line(alert.host or "", 100), alert.number)


def _facts(letter: Letter) -> list[_Fact]:
    alert, now = letter.alert, letter.now
    facts = [
        ("Site", letter.site),
        ("Host", alert.host),
        ("Concerns", None if (alert.subject or "").casefold() in alert.title.casefold() else alert.subject),
        ("Severity", _word(alert) if alert.status == Status.RESOLVED else None),
        ("First seen", _moment(alert.first_seen_at, now)),
        ("Last seen", f"{_moment(alert.last_seen_at, now)}, {alert.occurrences:,} times" if alert.occurrences > 1 else None),
        ("Kind", alert.type),
        ("Runbook", runbook(alert.attributes)),
    ]
    return [_Fact(name, clean_line(value, 500)) for name, value in facts if value]


@cache
def template(name: str) -> "Template":
    """One of the templates of mails."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - a server that sends no mail needs no templates

    # Plain text needs no escaping: nothing interprets it. Line ends and controls are gone by then.
    loader = PackageLoader("tocsin.notify")
    return Environment(
        loader=loader, autoescape=name.endswith(".html"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template(name)

"""Shifts as an iCalendar file (RFC 5545): what calendar programs subscribe to. Moments in UTC, so that no zone has to be described."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from tocsin.core.times import to_datetime
from tocsin.oncall.model import Source

LINE_BYTES = 75
REFRESH = "PT15M"  # how often programs should come back

_ESCAPED = re.compile(r"[\\;,]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Entry(msgspec.Struct, frozen=True):
    """One shift as a calendar shows it. ``uid`` stays the same as long as the shift does, so that a program sees it move or go."""

    uid: str
    title: str
    source: Source
    starts_at: int
    ends_at: int


def write(name: str, entries: Iterable[Entry], now: int) -> str:
    """The file: a calendar called *name* with these entries."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Tocsin//On call//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{_text(name)}",
        f"X-WR-CALNAME:{_text(name)}",
        f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}",
        f"X-PUBLISHED-TTL:{REFRESH}",
    ]
    for entry in entries:
        lines += _event(entry, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _event(entry: Entry, now: int) -> list[str]:
    why = "By an override" if entry.source is Source.OVERRIDE else "By the rotation"
    return [
        "BEGIN:VEVENT",
        f"UID:{entry.uid}",
        f"DTSTAMP:{_moment(now)}",
        f"DTSTART:{_moment(entry.starts_at)}",
        f"DTEND:{_moment(entry.ends_at)}",
        f"SUMMARY:{_text(entry.title)}",
        f"DESCRIPTION:{why}",
        "TRANSP:TRANSPARENT",  # on duty is not the same as busy
        "END:VEVENT",
    ]


def _moment(ms: int) -> str:
    return to_datetime(ms).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """*text* as a value: its own signs escaped, no control characters."""
    plain = _CONTROL.sub("", text).replace("\n", " ")
    return _ESCAPED.sub(lambda match: "\\" + match[0], plain)


def _folded(line: str) -> Iterator[str]:
    """*line* in parts of at most 75 bytes, cut between characters; all but the first begin with a space."""
    rest, room = line, LINE_BYTES
    while len(rest.encode()) > room:
        part = rest.encode()[:room].decode(errors="ignore")
        yield part if rest is line else " " + part
        rest, room = rest[len(part) :], LINE_BYTES - 1
    yield rest if rest is line else " " + rest

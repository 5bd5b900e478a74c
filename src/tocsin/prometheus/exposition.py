"""What an exporter shows: Prometheus' text format, and OpenMetrics as far as it is the same.

Tolerant of what it does not need (comments, exemplars, ``# EOF``), strict about bounds; a line that cannot be read is left out and
counted, so that one odd line does not cost all others.
"""

import re

import msgspec

from tocsin.prometheus.model import Point, TooMuch

MAX_LINES = 100_000
MAX_LABELS = 64
MAX_LINE = 8_192
_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{)?")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_.]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,)?')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_SECONDS = re.compile(r"-?\d+\.\d+")


class Shown(msgspec.Struct, frozen=True):
    """The values on a page, and how many lines could not be read."""

    points: list[Point]
    unreadable: int
    first_unreadable: str | None = None


def read(page: str) -> Shown:
    """All values on *page*. Raises `TooMuch`."""
    lines = page.split("\n", MAX_LINES)
    if len(lines) > MAX_LINES:
        raise TooMuch(f"the page has more than {MAX_LINES:,} lines")
    points: list[Point] = []
    unreadable, first = 0, None
    for raw in lines:
        line = raw.strip()
        if not line or line[0] == "#":
            continue
        point = _point(line) if len(line) <= MAX_LINE else None
        if point is None:
            unreadable += 1
            first = first or line[:80]
        else:
            points.append(point)
    return Shown(points, unreadable, first)


def _point(line: str) -> Point | None:
    found = _SERIES.match(line)
    if found is None:
        return None
    labels: dict[str, str] = {}
    at = found.end()
    if found[2]:
        read_labels = _labels(line, at)
        if read_labels is None:
            return None
        labels, at = read_labels
    words = line[at:].partition(" # ")[0].split()  # what follows is an exemplar
    if not 1 <= len(words) <= 2:
        return None
    try:
        value = float(words[0])
        moment = None if len(words) == 1 else _moment(words[1])
    except (ValueError, OverflowError):
        return None
    return None if "_" in words[0] else Point(found[1], labels, moment, value)


def _labels(line: str, at: int) -> tuple[dict[str, str], int] | None:
    labels: dict[str, str] = {}
    while line[at : at + 1] != "}":
        found = _LABEL.match(line, at)
        if found is None or len(labels) >= MAX_LABELS:
            return None
        value = found[2]
        labels[found[1]] = _ESCAPE.sub(_unescape, value) if "\\" in value else value
        at = found.end()
        if found[3] is None and line[at : at + 1] != "}":
            return None
        while line[at : at + 1] == " ":
            at += 1
    return labels, at + 1


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[1], found[0])


def _moment(text: str) -> int:
    """Milliseconds; OpenMetrics writes seconds, with a point."""
    return round(float(text) * 1000) if _SECONDS.fullmatch(text) else int(text)

"""The form of a silence or maintenance, and the words for both. Pure functions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.wall import moment, wall_clock
from tocsin.muting.matching import MAX_MATCHERS
from tocsin.muting.model import Dependency, Maintenance, Matcher, Matchers, Op, Silence
from tocsin.muting.rules import edition
from tocsin.web.groups import Fields, count, several, single

COMMENT = 1_000
PLACES = 2  # empty conditions that the form has at least
LENGTHS = ((HOUR, "1 hour"), (2 * HOUR, "2 hours"), (4 * HOUR, "4 hours"), (8 * HOUR, "8 hours"), (24 * HOUR, "a day"))
FIELDS = (("host", "Host"), ("type", "Type of event"), ("site", "Site"), ("subject", "What it is about"), ("severity", "Severity"))
OPS = (("=", "is"), ("!=", "is not"), ("^", "begins with"), ("~", "fits the expression"), (">=", "is at least"), ("<=", "is at most"))
REPEATS = (
    ("", "Only once"),
    ("FREQ=DAILY", "Every day"),
    ("FREQ=WEEKLY", "Every week"),
    ("FREQ=MONTHLY", "Every month, on this day"),
    ("FREQ=MONTHLY;BYDAY=1SU", "Every first Sunday of the month"),
)
SAYS = {"=": "is", "!=": "is not", "^": "begins with", "~": "fits", ">=": "is at least", "<=": "is at most"}


Row = tuple[str, str, str]  # field, comparison, value


class QuietForm(msgspec.Struct, frozen=True):
    """What was typed. ``kind``: ``silence`` or ``maintenance``."""

    kind: str = "silence"
    matchers: tuple[tuple[str, str, str], ...] = ()
    lasts: str = ""  # milliseconds from the beginning; empty: until ``ends_at``
    starts_at: str = ""
    ends_at: str = ""
    comment: str = ""
    name: str = ""
    rrule: str = ""
    edition: str = ""  # what was changed, as it was when the form was opened
    do: str = "preview"


def form_of(fields: Fields) -> QuietForm:
    """The fields ``m0.field``, ``m0.op``, ``m0.value`` ... put together."""
    names = ("kind", "lasts", "starts_at", "ends_at", "comment", "name", "rrule", "edition", "do")
    values = {name: single(fields, name) for name in names}
    kind = "maintenance" if values.pop("kind") == "maintenance" else "silence"
    return QuietForm(kind=kind, matchers=rows_of(fields, "m"), **values)


def matchers_of(sent: QuietForm) -> Matchers:
    """The conditions. Raises `InvalidInput` for a comparison that there is not."""
    return as_matchers(sent.matchers, "matchers")


def as_matchers(rows: Sequence[Row], where: str) -> Matchers:
    """Conditions as the page has them. Raises `InvalidInput` for a comparison that there is not."""
    known = {op.value for op in Op}
    if any(op not in known for _, op, _ in rows):
        raise InvalidInput.of(where, "choose a comparison from the list")
    return tuple(Matcher(field, Op(op), value) for field, op, value in rows)


def rows_of(fields: Fields, start: str) -> tuple[Row, ...]:
    """The fields ``m0.field``, ``m0.op``, ``m0.value`` ... that were filled in."""
    found = (
        (single(fields, f"{start}{n}.field"), single(fields, f"{start}{n}.op"), single(fields, f"{start}{n}.value"))
        for n in range(count(fields, start))
    )
    return tuple(one for one in found if one[0] and one[2])[:MAX_MATCHERS]


def with_places(rows: Sequence[Row]) -> list[Row]:
    """Conditions, and empty ones to fill in."""
    return [*rows, *[("", "=", "")] * max(1, PLACES - len(rows))]


def check_words(sent: QuietForm) -> None:
    """Raises `InvalidInput` for a name or a comment that is missing or too long."""
    if len(sent.comment) > COMMENT:
        raise InvalidInput.of("comment", f"must have at most {COMMENT} characters")
    if sent.kind == "silence" and not sent.comment:
        raise InvalidInput.of("comment", "say why, for those who wonder why it is quiet")
    if sent.kind == "maintenance" and not 1 <= len(sent.name) <= 100:
        raise InvalidInput.of("name", "must have 1 to 100 characters")


def written(kept: Silence | Maintenance, zone: ZoneInfo) -> QuietForm:
    """One that there is, as the form has it."""
    kind = "silence" if isinstance(kept, Silence) else "maintenance"
    matchers = tuple((one.field, one.op.value, one.value) for one in kept.matchers)
    name, rrule = (kept.name, kept.rrule or "") if isinstance(kept, Maintenance) else ("", "")
    starts_at, ends_at = _field(kept.starts_at, zone), _field(kept.ends_at, zone)
    return QuietForm(kind, matchers, "", starts_at, ends_at, kept.comment, name, rrule, edition(kept))


def overtaken(kept: Silence | Maintenance | Dependency | None, seen: str) -> bool:
    """Whether somebody else has changed *kept* since the form was opened that carries this edition of it."""
    return kept is not None and bool(seen) and edition(kept) != seen


def changes(kept: Silence | Maintenance, sent: QuietForm, zone: ZoneInfo, now: int) -> dict[str, Any]:
    """What the form wants otherwise. A silence began when it began. Raises `InvalidInput` for what cannot be read."""
    check_words(sent)
    was = written(kept, zone)
    if isinstance(kept, Silence):
        _, ends_at = times_of(msgspec.structs.replace(sent, starts_at=""), zone, now)
        wanted: dict[str, Any] = {"ends_at": ends_at}
    else:
        starts_at, ends_at = times_of(sent, zone, now)
        wanted = {"starts_at": starts_at, "ends_at": ends_at, "name": sent.name, "rrule": sent.rrule or None}
        if sent.starts_at == was.starts_at:  # the page shows whole minutes
            wanted["starts_at"] = kept.starts_at
    if sent.ends_at == was.ends_at and not sent.lasts:
        wanted["ends_at"] = kept.ends_at
    return {**wanted, "matchers": matchers_of(sent), "comment": sent.comment}


def fields_of(matchers: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """What a condition can be about; an attribute that is asked for already among them."""
    known = [field for field, _ in FIELDS]
    return [*FIELDS, *((field, field) for field in dict.fromkeys(field for field, _, _ in matchers) if field not in known)]


def repeats_offered(rrule: str) -> list[tuple[str, str]]:
    """How a maintenance can come again; a rule that was made otherwise among them."""
    return [*REPEATS, *([(rrule, rrule)] if rrule not in dict(REPEATS) else [])]


def times_of(sent: QuietForm, zone: ZoneInfo, now: int) -> tuple[int, int]:
    """From when until when. Raises `InvalidInput` for times that are none."""
    starts_at = now if not sent.starts_at else _local("starts_at", sent.starts_at, zone)
    if sent.lasts.isascii() and sent.lasts.isdigit() and len(sent.lasts) < 12:
        return starts_at, starts_at + int(sent.lasts)
    return starts_at, _local("ends_at", sent.ends_at, zone)


def _local(field: str, text: str, zone: ZoneInfo) -> int:
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or wall.tzinfo is not None or not 1970 <= wall.year < 2200:
        raise InvalidInput.of(field, "is no time. Example: 2026-11-28T20:00")
    return moment(wall, zone)


def begun(kind: str, matchers: Sequence[tuple[str, str, str]], zone: ZoneInfo, now: int) -> QuietForm:
    """The form at first: a silence from now on; a maintenance at the next full hour, for two."""
    if kind == "silence":
        return QuietForm(matchers=tuple(matchers), lasts=str(2 * HOUR))
    start = (now // HOUR + 1) * HOUR
    return QuietForm("maintenance", tuple(matchers), "", _field(start, zone), _field(start + 2 * HOUR, zone))


def _field(at: int, zone: ZoneInfo) -> str:
    return wall_clock(at // MINUTE * MINUTE, zone).isoformat(timespec="minutes")


def says(matchers: Matchers) -> str:
    """The conditions in words, as in ``host is srv-12 and type begins with disk``."""
    return " and ".join(f"{one.field.removeprefix('attributes.')} {SAYS[one.op.value]} {one.value or 'empty'}" for one in matchers)


def repeats(planned: Silence | Maintenance) -> str:
    """How a maintenance comes again, in words; empty for what comes once."""
    rule = planned.rrule if isinstance(planned, Maintenance) else None
    return "" if not rule else dict(REPEATS).get(rule, rule).lower()


# Dependencies.

SAME = (("site", "Site"), ("host", "Host"), ("type", "Type"), ("subject", "What it is about"))


class DependencyForm(msgspec.Struct, frozen=True):
    """What was typed."""

    name: str = ""
    parent: tuple[Row, ...] = ()
    children: tuple[Row, ...] = ()
    same: tuple[str, ...] = ()
    edition: str = ""
    do: str = "preview"


def dependency_of(fields: Fields) -> DependencyForm:
    """The fields ``p0.field``, ``c0.field`` ... put together."""
    parent, children = rows_of(fields, "p"), rows_of(fields, "c")
    return DependencyForm(
        single(fields, "name"), parent, children, several(fields, "same")[:4], single(fields, "edition"), single(fields, "do")
    )


def written_dependency(kept: Dependency) -> DependencyForm:
    """One that there is, as the form has it."""
    parent, children = (tuple((m.field, m.op.value, m.value) for m in side) for side in (kept.parent, kept.children))
    return DependencyForm(kept.name, parent, children, kept.same, edition(kept))

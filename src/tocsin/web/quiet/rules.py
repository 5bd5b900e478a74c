"""The form of a silence or maintenance, and the words for both. Pure functions."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.wall import moment, wall_clock
from tocsin.muting.matching import MAX_MATCHERS
from tocsin.muting.model import Maintenance, Matcher, Matchers, Op, Silence
from tocsin.web.groups import Fields, count, single

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
_SAYS = {"=": "is", "!=": "is not", "^": "begins with", "~": "fits", ">=": "is at least", "<=": "is at most"}


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
    do: str = "preview"


def form_of(fields: Fields) -> QuietForm:
    """The fields ``m0.field``, ``m0.op``, ``m0.value`` ... put together."""
    found = ((single(fields, f"m{n}.field"), single(fields, f"m{n}.op"), single(fields, f"m{n}.value")) for n in range(count(fields, "m")))
    names = ("kind", "lasts", "starts_at", "ends_at", "comment", "name", "rrule", "do")
    values = {name: single(fields, name) for name in names}
    kind = "maintenance" if values.pop("kind") == "maintenance" else "silence"
    return QuietForm(kind=kind, matchers=tuple(one for one in found if one[0] and one[2])[:MAX_MATCHERS], **values)


def matchers_of(sent: QuietForm) -> Matchers:
    """The conditions. Raises `InvalidInput` for a comparison that there is not."""
    known = {op.value for op in Op}
    if any(op not in known for _, op, _ in sent.matchers):
        raise InvalidInput.of("matchers", "choose a comparison from the list")
    return tuple(Matcher(field, Op(op), value) for field, op, value in sent.matchers)


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
    return " and ".join(f"{one.field.removeprefix('attributes.')} {_SAYS[one.op.value]} {one.value or 'empty'}" for one in matchers)


def repeats(planned: Silence | Maintenance) -> str:
    """How a maintenance comes again, in words; empty for what comes once."""
    rule = planned.rrule if isinstance(planned, Maintenance) else None
    return "" if not rule else dict(REPEATS).get(rule, rule).lower()

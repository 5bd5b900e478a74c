"""Decisions about samples: what may be a name, a label, a time and a value."""

import re
from collections.abc import Sequence
from math import fsum, isfinite

from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import FieldError
from tocsin.core.text import cut, one_line
from tocsin.core.times import to_text
from tocsin.metrics.model import Labels, Question, Rollup, Sample

LATEST = 7 * DAY + HOUR  # how late a sample may come: an agent keeps seven days while the server is away
AHEAD = 10 * MINUTE
CLOSED = 10 * MINUTE  # after its end an hour is over; what comes later is late
QUARTER = 15 * MINUTE  # as much is settled at once (settling.py)
OPEN = 5 * MINUTE  # after its end no sample of a quarter of an hour is open any more
SETTLED = MINUTE  # what was sent just before that, or before an hour was over, may be committed so much later
MAX_NAME = 120
MAX_HOST = 253
MAX_LABELS = 16
MAX_LABEL_NAME = 63
MAX_LABEL_VALUE = 200

STEPS = (
    *(SECOND * n for n in (1, 2, 5, 10, 15, 30)),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7, 14, 30, 90, 365)),
)

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", re.ASCII)
_FOREIGN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_BETWEEN_LABELS = re.compile(r",(?=[a-zA-Z_][a-zA-Z0-9_]*=)", re.ASCII)
_STEP = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


def is_name(text: str) -> bool:
    """Whether *text* is a name of ours: lower case, at least two words, the last of which is the unit: ``cpu_percent``."""
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None


def read_labels(text: str) -> Labels:
    """``mount=/,device=sda1`` as labels; a comma that no name and ``=`` follow belongs to the value."""
    pairs = [part.partition("=") for part in _BETWEEN_LABELS.split(text)]
    return tuple(sorted({name: value for name, _, value in pairs}.items()))


def read_step(text: str) -> int | None:
    """``5m`` in milliseconds; None for what is no length of time."""
    found = _STEP.fullmatch(text)
    return None if found is None else int(found[1]) * _UNITS[found[2]]


def is_foreign_name(text: str) -> bool:
    """Whether *text* is a name as Prometheus has them: ``node_load1``."""
    return len(text) <= MAX_NAME and _FOREIGN_NAME.fullmatch(text) is not None


def unit_of(name: str) -> str:
    """The unit in which the values of a metric are: the last word of its name."""
    return name.rpartition("_")[2]


def check(sample: Sample, now: int) -> tuple[FieldError, ...]:
    """All that is wrong with a sample; nothing if it may be stored."""
    return (*check_series(sample.name, sample.host, sample.labels), *check_point(sample.at, sample.value, now))


def is_good_point(at: int, value: float, now: int) -> bool:
    """Whether `check_point` finds nothing: what is asked first, a hundred thousand times a second."""
    return now - LATEST <= at <= now + AHEAD and isfinite(value)


def check_point(at: int, value: float, now: int) -> tuple[FieldError, ...]:
    """What is wrong with a time and a value. A clock that is hours off is named, not stored."""
    errors = []
    if at < now - LATEST:
        errors.append(FieldError("at", f"is more than 7 days before this server's clock, {to_text(now)}: too late to be stored"))
    if at > now + AHEAD:
        errors.append(FieldError("at", f"is more than 10 minutes ahead of this server's clock, {to_text(now)}: set the sender's clock"))
    if not isfinite(value):
        errors.append(FieldError("value", "must be a finite number, such as 12.5; leave out what was not measured"))
    return tuple(errors)


def check_series(name: str, host: str, labels: Labels) -> tuple[FieldError, ...]:
    """What is wrong with what a series is known by."""
    errors = []
    if not is_name(name):
        words = f"must be lower-case words with _ between, the last one the unit, such as cpu_percent; at most {MAX_NAME} characters"
        errors.append(FieldError("name", words))
    return (*errors, *check_place(host, labels))


def check_place(host: str, labels: Labels) -> tuple[FieldError, ...]:
    """The same without the name, which others may choose otherwise."""
    errors = []
    if len(host) > MAX_HOST or not _is_clean(host):
        errors.append(FieldError("host", f"must be a host name of at most {MAX_HOST} characters, such as web-1.example.com"))
    return (*errors, *check_labels(labels))


def check_labels(labels: Labels) -> tuple[FieldError, ...]:
    """What is wrong with labels; a wrong one is named by the first."""
    if len(labels) > MAX_LABELS:
        return (FieldError("labels", f"has {len(labels)} members; at most {MAX_LABELS} are taken"),)
    for name, value in labels:
        if len(name) > MAX_LABEL_NAME or not _LABEL_NAME.fullmatch(name):
            return (FieldError(_place(name), f"must be named with letters, digits and _, at most {MAX_LABEL_NAME}, such as mount"),)
        if not 0 < len(value) <= MAX_LABEL_VALUE or not _is_clean(value):
            return (FieldError(_place(name), f"must be text of 1 to {MAX_LABEL_VALUE} characters in one line"),)
    return ()


def _place(label: str) -> str:
    return f"labels.{cut(one_line(label), 60)}"


def _is_clean(text: str) -> bool:
    """Whether a database can store *text* and a line can show it: no control characters, no half of a surrogate pair."""
    return text.isprintable() or not any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in text)


def roll_up(values: Sequence[float]) -> Rollup:
    """What these values (at least one) come to."""
    ranked = sorted(values)
    p50, p95, p99 = (quantile(ranked, share) for share in (0.5, 0.95, 0.99))
    return Rollup(len(ranked), total(ranked), ranked[0], ranked[-1], p50, p95, p99)


def total(values: Sequence[float]) -> float:
    """The sum, as exact as can be; infinite where it is beyond what a number can be."""
    try:
        return fsum(values)
    except OverflowError:
        return sum(values, 0.0)


def quantile(ranked: Sequence[float], share: float) -> float:
    """The value below which *share* of *ranked* (in order) lies; between two it is divided evenly."""
    place = (len(ranked) - 1) * share
    low = int(place)
    if low + 1 >= len(ranked):
        return ranked[-1]
    part = place - low
    return ranked[low] * (1 - part) + ranked[low + 1] * part


def last_closed_hour(now: int) -> int:
    """The newest hour that is over at *now*: its samples are there, but for late ones."""
    return (now - CLOSED) // HOUR - 1


def opens(now: int) -> int:
    """From when on (ms) samples that come at *now* are open: those of quarters that are over were settled, or soon will be."""
    return (now - OPEN) // QUARTER * QUARTER


def step_for(question: Question) -> int:
    """The shortest step that makes no more points than are wanted, and of which there is something to be had."""
    shortest = (question.end - question.start) / question.width
    if question.start < question.samples_since:
        shortest = max(shortest, HOUR)
    return next((step for step in STEPS if step >= shortest), STEPS[-1])

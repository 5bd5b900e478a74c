"""What the explorer shows, decided without a page: which series are meant, from when to when, and how their lines are called."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from tocsin.core.clock import DAY, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.metrics import rules as metrics
from tocsin.metrics.model import NO_LABELS, Labels, Series
from tocsin.web.hosts.rules import Picture

MOST = 12  # selections
BETWEEN = "|"
SHORTEST, LONGEST = 10 * MINUTE, 1_100 * DAY
_ONE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:@([^@{}|\s]+))?(?:\{([^{}|]+)\})?", re.ASCII)
_UNITS = {"percent": "%", "ms": "ms", "seconds": "s", "bytes": "bytes", "celsius": "°C"}


class Selection(msgspec.Struct, frozen=True):
    """Some series: of a name, and (where they are named) of a host and with labels."""

    name: str
    host: str | None = None
    labels: Labels = NO_LABELS

    @property
    def text(self) -> str:
        """``disk_percent@srv-03{mount=/var}``, as it stands in the address."""
        labels = ",".join(f"{name}={value}" for name, value in self.labels)
        return self.name + (f"@{self.host}" if self.host else "") + (f"{{{labels}}}" if labels else "")


def read(text: str) -> tuple[Selection, ...]:
    """Selections with ``|`` between, each once. Raises `InvalidInput`."""
    found = dict.fromkeys(_read(part.strip()) for part in text.split(BETWEEN) if part.strip())
    if len(found) > MOST:
        raise InvalidInput.of("show", f"names {len(found)} selections; at most {MOST} are shown at once")
    return tuple(found)


def _read(text: str) -> Selection:
    match = _ONE.fullmatch(text)
    if match is None or len(match[1]) > metrics.MAX_NAME:
        raise InvalidInput.of("show", "must be metrics such as cpu_percent@srv-12 or disk_percent@srv-03{mount=/}, with | between")
    labels = metrics.read_labels(match[3]) if match[3] else NO_LABELS
    if metrics.check_place(match[2] or "", labels):
        raise InvalidInput.of("show", "must have labels such as {mount=/} or {mount=/,device=sda1}")
    return Selection(match[1], match[2], labels)


def added(shown: str, name: str, host: str, labels: str) -> str:
    """The selections with one more, whose parts a person has typed. Raises `InvalidInput`."""
    one = name.strip() + (f"@{host.strip()}" if host.strip() else "") + (f"{{{labels.strip().strip('{}')}}}" if labels.strip() else "")
    return written(read(shown + BETWEEN + one))


def written(selections: Iterable[Selection]) -> str:
    """Selections as they stand in the address."""
    return BETWEEN.join(one.text for one in selections)


def without(selections: Sequence[Selection], gone: Selection) -> str:
    """All but one."""
    return written(one for one in selections if one != gone)


def units(selections: Iterable[Selection]) -> list[str]:
    """The units of what is selected: what has the same is drawn in one chart."""
    return list(dict.fromkeys(metrics.unit_of(one.name) for one in selections))


def of_unit(selections: Iterable[Selection], unit: str) -> list[Selection]:
    """Those that are drawn in the chart of this unit."""
    return [one for one in selections if metrics.unit_of(one.name) == unit]


class Time(NamedTuple):
    """From when to when (ms)."""

    start: int
    end: int


def time_of(length: str, since: int | None, until: int | None, now: int) -> Time:
    """The last so long (``36h``), or from one moment to another. Raises `InvalidInput`."""
    back = metrics.read_step(length)
    if back is None:
        raise InvalidInput.of("range", "must be a number and m, h or d, such as 36h")
    end = now if until is None else min(now, until)
    start = end - back if since is None else since
    if not SHORTEST <= end - start <= LONGEST:
        raise InvalidInput.of("range" if since is None else "from", "must be ten minutes to 1,100 days, and in the past")
    return Time(start, end)


def picture(unit: str, selections: Sequence[Selection]) -> Picture:
    """The chart of all that is selected with this unit: called by the metrics in it."""
    names = list(dict.fromkeys(one.name for one in selections if metrics.unit_of(one.name) == unit))
    known = _UNITS.get(unit)
    plain = [name.removesuffix(f"_{unit}") if known else name for name in names]
    return Picture(unit, ", ".join(name.replace("_", " ") for name in plain).capitalize() or unit, (), known or "")


def names_of(series: Sequence[Series], site_name: Callable[[int], str]) -> Callable[[Series, Picture], str]:
    """What lines are called: by what tells them apart."""
    many_names = len({one.name for one in series}) > 1
    many_places = len({(one.host, one.name, one.labels) for one in series}) < len(series)

    def named(one: Series, _: Picture) -> str:
        labels = " ".join(value for name, value in one.labels if name != "check")
        parts = [one.host, one.name.replace("_", " ") if many_names or not (one.host or labels) else "", labels]
        return " ".join([*filter(None, parts), *([f"({site_name(one.site_id)})"] if many_places else [])])

    return named

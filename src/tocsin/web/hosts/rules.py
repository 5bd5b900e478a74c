"""What the pages about servers show, decided without a page: which figures, which charts, and what is said of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from tocsin.alerts.model import Alert
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.text import cut
from tocsin.hosts.model import Host, Status
from tocsin.metrics.model import Curve, Reading, Series
from tocsin.muting.model import Work

SIGNS = {Status.UP: "up", Status.SILENT: "down", Status.PAUSED: "paused"}
WORDS = {Status.UP: "Reports", Status.SILENT: "Silent", Status.PAUSED: "Paused"}
URGENCY = (Status.SILENT, Status.UP, Status.PAUSED)
RANGES: Mapping[str, tuple[int, str]] = {
    "1h": (HOUR, "1 h"),
    "6h": (6 * HOUR, "6 h"),
    "24h": (DAY, "24 h"),
    "7d": (7 * DAY, "7 d"),
    "30d": (30 * DAY, "30 d"),
    "90d": (90 * DAY, "90 d"),
}
WEEK = 7 * DAY
MOST_LINES = 8  # in one chart
_COLOURS = ("line-1", "line-2", "line-3", "line-4", "ok-mark", "med-mark", "high-mark", "ink-3")
_MEGA = 1_000_000


class Picture(msgspec.Struct, frozen=True):
    """One chart: its key in addresses, its title, the metrics in it, the unit, and by how much values are divided for it."""

    key: str
    title: str
    metrics: tuple[str, ...]
    unit: str
    divisor: int = 1


PICTURES = (
    Picture("cpu", "Processor", ("cpu_percent",), "%"),
    Picture("memory", "Memory", ("memory_percent", "swap_percent"), "%"),
    Picture("load", "Load", ("load_1m", "load_5m", "load_15m"), ""),
    Picture("disks", "Disks", ("disk_percent",), "%"),
    Picture("network", "Network", ("network_receive_bytes_per_second", "network_transmit_bytes_per_second"), "MB/s", _MEGA),
    Picture("io", "Disk traffic", ("disk_read_bytes_per_second", "disk_write_bytes_per_second"), "MB/s", _MEGA),
    Picture("busy", "Disks busy", ("disk_busy_percent",), "%"),
    Picture("connections", "Connections", ("network_connections",), ""),
    Picture("pressure", "Waiting for resources", ("pressure_percent",), "%"),
    Picture("processes", "Processes", ("processes_count",), ""),
)


def picture(key: str) -> Picture | None:
    """The chart with this key."""
    return next((one for one in PICTURES if one.key == key), None)


class Disk(msgspec.Struct, frozen=True):
    """How full a file system is."""

    mount: str
    percent: float
    free: float | None  # bytes
    inodes: float | None  # percent

    @property
    def look(self) -> str:
        """Its colour."""
        return "down" if self.percent >= 95 else "degraded" if self.percent >= 85 else "up"


class Service(msgspec.Struct, frozen=True):
    """A service, a port or a panel's service, and whether it runs."""

    name: str
    is_up: bool


class Now(msgspec.Struct, frozen=True):
    """The newest figures of a server."""

    cpu: float | None
    memory: float | None
    load: float | None
    cores: int | None
    disks: tuple[Disk, ...]
    services: tuple[Service, ...]

    @property
    def fullest(self) -> Disk | None:
        """The disk that is nearest to its end."""
        return max(self.disks, key=lambda disk: disk.percent, default=None)


def now_of(readings: Iterable[Reading]) -> Now:
    """The figures that *readings* of one server hold."""
    plain: dict[str, float] = {}
    by_mount: dict[str, dict[str, float]] = {}
    services = []
    for one in readings:
        labels = dict(one.series.labels)
        if one.series.name in ("disk_percent", "disk_free_bytes", "inode_percent"):
            by_mount.setdefault(labels.get("mount", "/"), {})[one.series.name] = one.value
        elif one.series.name in ("service_up", "panel_service_up"):
            services.append(Service(next(iter(labels.values()), "service"), one.value >= 1))
        elif not labels:
            plain[one.series.name] = one.value
    disks = tuple(
        Disk(mount, values["disk_percent"], values.get("disk_free_bytes"), values.get("inode_percent"))
        for mount, values in sorted(by_mount.items())
        if "disk_percent" in values
    )
    cores = plain.get("cpu_count")
    return Now(
        plain.get("cpu_percent"),
        plain.get("memory_percent"),
        plain.get("load_1m"),
        None if cores is None else round(cores),
        disks,
        tuple(sorted(services, key=lambda service: (service.is_up, service.name))),
    )


def headline(hosts: Sequence[Host]) -> str:
    """What a colleague would say."""
    silent = [host for host in hosts if host.status is Status.SILENT]
    if not hosts:
        return "No server reports yet"
    if len(silent) == 1:
        return f"{silent[0].name} is silent"
    if silent:
        return f"{len(silent)} of {len(hosts)} servers are silent"
    return "Every server reports" if len(hosts) > 1 else f"{hosts[0].name} reports"


def size(number: float) -> str:
    """``12.4 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1_000:
            return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1_000
    return f"{number:,.1f} TB"


# --- Charts -----------------------------------------------------------------------------------------------------------


def line_name(series: Series, pictured: Picture) -> str:
    """What a line is called: its labels, or what is particular in its name."""
    labels = " ".join(value for _, value in series.labels)
    if len(pictured.metrics) == 1:
        return labels or pictured.title
    words = {"receive": "In", "transmit": "Out", "read": "Read", "write": "Written", "swap": "Swap", "memory": "Memory"}
    word = next((said for part, said in words.items() if part in series.name), series.name.rpartition("_")[2])
    return f"{word} {labels}".strip()


class Beside(msgspec.Struct, frozen=True):
    """What is marked on the time axis: the alerts that began, and the planned work."""

    alerts: Sequence[Alert] = ()
    work: Sequence[Work] = ()


def spanned(work: Work) -> dict[str, Any]:
    """Planned work, as a chart is told of it."""
    return {"from": work.window.starts_at // SECOND, "to": work.window.ends_at // SECOND, "text": cut(work.name, 40)}


def chart(
    pictured: Picture,
    curves: Sequence[Curve],
    before: Sequence[Curve],
    step: int,
    beside: Beside,
    named: Callable[[Series, Picture], str] = line_name,
) -> dict[str, Any]:
    """The chart of some series; *before*: the same a week earlier, drawn on the times of now. Where nothing came is a gap."""
    lines = [(named(one.series, pictured), one, 0) for one in curves[:MOST_LINES]]
    lines += [(f"{named(one.series, pictured)} a week before", one, WEEK) for one in before[:MOST_LINES]]
    moments = sorted({(at + shift) // SECOND for _, one, shift in lines for at, _ in one.points})
    times = _with_gaps(moments, step)
    place = {at: number for number, at in enumerate(times)}
    series = []
    for number, (name, one, shift) in enumerate(lines):
        values: list[float | None] = [None] * len(times)
        for at, value in one.points:
            values[place[(at + shift) // SECOND]] = brief(value / pictured.divisor)
        series.append({"name": name, "colour": "ink-3" if shift else _COLOURS[number % len(_COLOURS)], "values": values})
    found: dict[str, Any] = {
        "kind": "line",
        "times": times,
        "step": step,
        "unit": pictured.unit,
        "zero": True,
        "series": series,
        "marks": [{"at": one.first_seen_at // SECOND, "text": cut(one.title, 40)} for one in beside.alerts],
        "spans": [spanned(one) for one in beside.work],
        "says": said(pictured, curves, named),
    }
    envelope = curves[0].envelope if len(curves) == 1 and not before else None
    if envelope:
        bounds = dict(zip((at // SECOND for at, _ in curves[0].points), envelope, strict=True))
        found["band"] = {
            "low": [None if at not in bounds else brief(bounds[at][0] / pictured.divisor) for at in times],
            "high": [None if at not in bounds else brief(bounds[at][1] / pictured.divisor) for at in times],
        }
    return found


def brief(value: float) -> float:
    """As many places as can be read off a chart: three below ten, none from a thousand on. The rest would only be sent."""
    return round(value, 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1_000 else None)


def _with_gaps(moments: Sequence[int], step: int) -> list[int]:
    """The moments (s), with one in between wherever far more than usual lies between two, so that a line is broken there."""
    apart = sorted(later - earlier for earlier, later in pairwise(moments))
    usual = max(step, apart[len(apart) // 2] if apart else step)
    times: list[int] = []
    for at in moments:
        if times and at - times[-1] > 3 * usual:
            times.append(times[-1] + usual)
        times.append(at)
    return times


def said(pictured: Picture, curves: Sequence[Curve], named: Callable[[Series, Picture], str] = line_name) -> str:
    """What a chart shows, in one sentence."""
    if not any(one.points for one in curves):
        return f"{pictured.title}: nothing was measured in this time."
    parts = []
    for one in curves[:3]:
        values = [value / pictured.divisor for _, value in one.points]
        mean, high = sum(values) / len(values), max(values)
        unit = f" {pictured.unit}" if pictured.unit else ""
        parts.append(f"{named(one.series, pictured)}: {mean:,.1f}{unit} on average, {high:,.1f}{unit} at most")
    return "; ".join(parts) + "."


SHORTEST, LONGEST = 10 * MINUTE, 400 * DAY

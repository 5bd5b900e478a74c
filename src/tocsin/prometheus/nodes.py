"""node_exporter's names as ours, so that a host that runs it needs no agent. Pure functions over what one host showed at one moment."""

import re
from collections.abc import Iterable, Mapping
from math import isfinite

import msgspec

from tocsin.core.clock import HOUR
from tocsin.prometheus.model import Point

LONGEST_STEP = HOUR  # between two looks; after a longer gap, rates begin anew
# File systems that hold no data of anybody: they are in memory, made by the kernel, or read-only images.
_NO_DISKS = re.compile(
    r"tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660|proc|sysfs|cgroup2?|autofs|binfmt_misc|bpf|configfs|debugfs|devpts|efivarfs|fusectl"
    r"|fuse\.lxcfs|fuse\.snapfuse|hugetlbfs|mqueue|nsfs|pstore|rpc_pipefs|securityfs|tracefs|nfsd|selinuxfs"
)
_NO_WIRES = ("lo", "veth", "docker", "br-", "virbr", "tap", "fwbr", "fwpr", "fwln", "cali", "cni", "flannel", "ifb", "dummy", "vnet", "lxc")
_IDLE = ("idle", "iowait")

_GAUGES = {
    "node_memory_MemTotal_bytes": "memory",
    "node_memory_MemAvailable_bytes": "available",
    "node_memory_SwapTotal_bytes": "swap",
    "node_memory_SwapFree_bytes": "swap_free",
    "node_load1": "load_1m",
    "node_load5": "load_5m",
    "node_load15": "load_15m",
    "node_netstat_Tcp_CurrEstab": "connections",
    "node_boot_time_seconds": "boot",
    "node_time_seconds": "time",
}
_OF_DISKS = {
    "node_filesystem_size_bytes": "size",
    "node_filesystem_free_bytes": "free",
    "node_filesystem_avail_bytes": "avail",
    "node_filesystem_files": "inodes",
    "node_filesystem_files_free": "inodes_free",
}
_OF_WIRES = {
    "node_network_receive_bytes_total": "network_receive_bytes_per_second",
    "node_network_transmit_bytes_total": "network_transmit_bytes_per_second",
}
_PROCESSOR = "node_cpu_seconds_total"
NAMES = frozenset((*_GAUGES, *_OF_DISKS, *_OF_WIRES, _PROCESSOR))


class Look(msgspec.Struct, frozen=True):
    """What matters of what a host showed at a moment."""

    at: int
    gauges: Mapping[str, float]
    disks: Mapping[str, Mapping[str, float]]  # by mount
    processors: Mapping[tuple[str, str], float]  # by number and mode: seconds
    wires: Mapping[tuple[str, str], float]  # by our name and the interface: bytes

    def joined(self, later: "Look") -> "Look":
        """This with what came of the same moment in another message."""
        disks = {mount: {**self.disks.get(mount, {}), **later.disks.get(mount, {})} for mount in {**self.disks, **later.disks}}
        return Look(
            later.at,
            {**self.gauges, **later.gauges},
            disks,
            {**self.processors, **later.processors},
            {**self.wires, **later.wires},
        )


class Derived(msgspec.Struct, frozen=True):
    """A value in our words, without the host."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def look(points: Iterable[Point], at: int) -> Look:
    """What matters of *points*, all of one host and moment; the rest is passed over."""
    gauges: dict[str, float] = {}
    disks: dict[str, dict[str, float]] = {}
    processors: dict[tuple[str, str], float] = {}
    wires: dict[tuple[str, str], float] = {}
    for point in points:
        name, labels = point.name, point.labels
        if name not in NAMES or not isfinite(point.value):
            continue
        if name in _GAUGES:
            gauges[_GAUGES[name]] = point.value
        elif name in _OF_DISKS and _is_disk(labels):
            disks.setdefault(labels["mountpoint"], {})[_OF_DISKS[name]] = point.value
        elif name == _PROCESSOR:
            processors[labels.get("cpu", ""), labels.get("mode", "")] = point.value
        elif name in _OF_WIRES and (device := labels.get("device", "")) and not device.startswith(_NO_WIRES):
            wires[_OF_WIRES[name], device] = point.value
    return Look(at, gauges, disks, processors, wires)


def _is_disk(labels: Mapping[str, str]) -> bool:
    mount = labels.get("mountpoint", "")
    return (
        bool(mount)
        and _NO_DISKS.fullmatch(labels.get("fstype", "")) is None
        and not mount.startswith(("/run/", "/snap/", "/var/lib/docker/"))
    )


def derive(before: Look | None, now: Look) -> list[Derived]:
    """What a host's look says in our words. What is counted from the beginning needs the look *before*."""
    found = [*_memory(now.gauges), *_disks(now.disks), *_others(now.gauges)]
    if before is not None and 0 < now.at - before.at <= LONGEST_STEP:
        found += [*_processor(before.processors, now.processors), *_wires(before, now)]
    return found


def _memory(gauges: Mapping[str, float]) -> Iterable[Derived]:
    yield from _used("memory_percent", gauges.get("memory"), gauges.get("available"))
    yield from _used("swap_percent", gauges.get("swap"), gauges.get("swap_free"))


def _used(name: str, total: float | None, free: float | None, labels: tuple[tuple[str, str], ...] = ()) -> Iterable[Derived]:
    if total is not None and free is not None and total > 0:
        yield Derived(name, _percent(total - free, total), labels)


def _disks(disks: Mapping[str, Mapping[str, float]]) -> Iterable[Derived]:
    """As `df` counts: what root alone may use is not there for anybody else."""
    for mount, disk in disks.items():
        labels = (("mount", mount),)
        size, free, avail = disk.get("size"), disk.get("free"), disk.get("avail")
        if size is not None and free is not None and avail is not None and size - free + avail > 0:
            yield Derived("disk_percent", _percent(size - free, size - free + avail), labels)
        yield from _used("inode_percent", disk.get("inodes"), disk.get("inodes_free"), labels)


def _others(gauges: Mapping[str, float]) -> Iterable[Derived]:
    for name in ("load_1m", "load_5m", "load_15m"):
        if name in gauges:
            yield Derived(name, gauges[name])
    if "connections" in gauges:
        yield Derived("network_connections", gauges["connections"])
    if "boot" in gauges and "time" in gauges:
        yield Derived("uptime_seconds", max(0.0, gauges["time"] - gauges["boot"]))


def _processor(before: Mapping[tuple[str, str], float], now: Mapping[tuple[str, str], float]) -> Iterable[Derived]:
    """Seconds by mode, of those processors and modes that both looks have, since the one before or since the counters began anew."""
    both = [key for key in now if key in before]
    if not both:
        return
    restarted = sum(now[key] for key in both) < sum(before[key] for key in both)
    spent: dict[str, float] = {}
    for key in both:  # single modes may go back a little: the kernel corrects itself
        spent[key[1]] = spent.get(key[1], 0.0) + (now[key] if restarted else max(0.0, now[key] - before[key]))
    total = sum(spent.values())
    if total > 0 and "idle" in spent:
        yield Derived("cpu_percent", _percent(total - sum(spent.get(mode, 0.0) for mode in _IDLE), total))
        for mode, seconds in spent.items():
            if mode != "idle":
                yield Derived("cpu_mode_percent", _percent(seconds, total), (("mode", mode),))


def _wires(before: Look, now: Look) -> Iterable[Derived]:
    seconds = (now.at - before.at) / 1000
    for (name, device), count in now.wires.items():
        old = before.wires.get((name, device))
        if old is not None:
            yield Derived(name, (count - old if count >= old else count) / seconds, (("interface", device),))


def _percent(part: float, whole: float) -> float:
    return min(100.0, max(0.0, round(100 * part / whole, 3)))


class Memory:
    """The last looks of many hosts: what is counted from the beginning is compared with them. Bounded: who was seen longest ago goes first.

    A look may come in several messages (remote write spreads the series of a host over shards): it is complete when a later one begins.
    """

    def __init__(self, most: int = 5_000) -> None:
        self._most = most
        self._looks: dict[tuple[int, str], tuple[Look | None, Look]] = {}  # the last complete one, and the one that is coming in

    def complete(self, site_id: int, host: str, came: Look) -> list[Derived]:
        """What a *whole* look says, compared with the one before."""
        place = (site_id, host)
        before = self._looks.pop(place, (None, None))[1]
        self._keep(place, None, came)
        return derive(before, came)

    def add(self, site_id: int, host: str, came: Look) -> tuple[int, list[Derived]]:
        """What came of a look, perhaps not all of it: the moment and words of the look before it, if that is complete now."""
        place = (site_id, host)
        before, current = self._looks.pop(place, (None, None))
        if current is None:
            self._keep(place, None, came)
            return came.at, []
        if came.at < current.at:  # late: it was counted without
            self._keep(place, before, current)
            return came.at, []
        if came.at == current.at:
            self._keep(place, before, current.joined(came))
            return came.at, []
        self._keep(place, current, came)
        return current.at, derive(before, current)

    def _keep(self, place: tuple[int, str], before: Look | None, current: Look) -> None:
        if len(self._looks) >= self._most:
            del self._looks[next(iter(self._looks))]
        self._looks[place] = (before, current)

"""The twelve servers of the company: what each does, and what its agent measures, from the rhythm of business and what goes wrong.

Pure: a seed, a time and the troubles of that time give the figures.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.demo.business import busyness, local
from tocsin.demo.troubles import ALPEN, KIEZ, NORD, Trouble
from tocsin.hosts.model import Card, Fact
from tocsin.metrics.model import Labels, labels_of
from tocsin.metrics.packs import Columns

STEP = 5 * MINUTE  # between two samples of the past
INTERVAL = 30  # seconds between two words of an agent while somebody looks
_GIGA = 10**9
_BACKUP = (2 * HOUR + 30 * MINUTE, 3 * HOUR + 10 * MINUTE)  # of the local day

Figure = NDArray[np.float64]
Name = tuple[str, Labels]


class Volume(msgspec.Struct, frozen=True):
    """A file system: its size in GB, how full it is now, and by how much of it it grows a day (both in percent)."""

    mount: str
    size: int
    percent: float
    a_day: float = 0.0


class Machine(msgspec.Struct, frozen=True):
    """A server. ``noon``: percent of its processor at noon of a working day; ``memory``: how much is in use; ``traffic``: MB/s."""

    name: str
    site: str
    cores: int
    noon: float
    memory: float
    traffic: float
    volumes: tuple[Volume, ...]
    services: tuple[str, ...]
    panel: str | None = "cPanel 122"
    queue: int | None = None  # mails that usually wait
    shop: bool = False  # WHMCS stands on it

    @property
    def number(self) -> int:
        """``12`` of srv-12."""
        return int(self.name.rpartition("-")[2])

    def card(self, at: int) -> Card:
        """What its agent says of itself."""
        facts: dict[str, Fact] = {"system": "Debian GNU/Linux 12", "kernel": "6.1.0-28-amd64", "cpu": "AMD EPYC 7443P", "cores": self.cores}
        with_panel = facts if self.panel is None else {**facts, "panel": self.panel}
        return Card(f"agent-{self.name}", self.name, "1.0", INTERVAL, at, with_panel)


_WEB, _MAIL, _STORE = ("nginx", "mariadb", "php8.2-fpm", "exim4"), ("exim4", "dovecot", "rspamd"), ("borgbackup", "ssh")
FLEET = (
    Machine("srv-03", NORD, 16, 41, 62, 14, (Volume("/", 80, 38), Volume("/var", 400, 96.9, 0.525)), _WEB),
    Machine("srv-04", NORD, 16, 47, 66, 21, (Volume("/", 80, 41), Volume("/home", 1_800, 63, 0.08)), _WEB),
    Machine("srv-05", NORD, 8, 22, 48, 6, (Volume("/", 80, 35), Volume("/var/mail", 900, 58, 0.05)), _MAIL, None, 340),
    Machine("srv-07", NORD, 24, 52, 71, 26, (Volume("/", 80, 44), Volume("/home", 2_400, 69, 0.09)), _WEB),
    Machine("srv-09", NORD, 24, 38, 57, 18, (Volume("/", 80, 36), Volume("/home", 2_400, 52, 0.11)), _WEB),
    Machine("srv-12", NORD, 24, 49, 68, 24, (Volume("/", 80, 47), Volume("/home", 2_400, 74, 0.07)), _WEB),
    Machine("srv-02", KIEZ, 8, 44, 64, 11, (Volume("/", 80, 42), Volume("/home", 900, 61, 0.1)), _WEB, "Plesk 18.0", shop=True),
    Machine("srv-06", KIEZ, 4, 19, 44, 4, (Volume("/", 80, 33), Volume("/var/mail", 400, 47, 0.04)), _MAIL, None, 260),
    Machine("srv-11", KIEZ, 8, 39, 59, 9, (Volume("/", 80, 40), Volume("/home", 900, 55, 0.08)), _WEB, "Plesk 18.0"),
    Machine("srv-21", ALPEN, 8, 36, 61, 7, (Volume("/", 80, 37), Volume("/home", 900, 66, 0.06)), _WEB, "DirectAdmin 1.665"),
    Machine("srv-31", ALPEN, 8, 9, 37, 3, (Volume("/", 80, 28), Volume("/backup", 12_000, 71, 0.05)), _STORE, None),
    Machine("srv-33", ALPEN, 8, 33, 58, 6, (Volume("/", 80, 39), Volume("/home", 900, 49, 0.07)), _WEB, "DirectAdmin 1.665"),
)
BY_NAME = {machine.name: machine for machine in FLEET}


def moments(machine: Machine, start: int, end: int, step: int = STEP) -> NDArray[np.int64]:
    """When its agent measures: every server at its own seconds."""
    phase = machine.number * 7_919 % step
    return np.arange(start + (phase - start) % step, end, step, dtype=np.int64)


def measured(machine: Machine, times: NDArray[np.int64], troubles: Sequence[Trouble], now: int, seed: int) -> dict[Name, Columns]:
    """What it measured at these *times*, but for those at which it was down. *now*: when its disks are as full as is said."""
    if not len(times):
        return {}
    mine = [one for one in troubles if one.host == machine.name or (machine.shop and one.host is None and one.site == machine.site)]
    scene = _Scene(machine, times, mine, now, np.random.default_rng((seed, machine.number, int(times[0]) // MINUTE)))
    there = ~scene.during("server.down")
    return {(name, labels): (times[there], values[there]) for name, labels, values in scene.figures()}


class _Scene:
    """One server over some time."""

    def __init__(
        self, machine: Machine, times: NDArray[np.int64], troubles: Sequence[Trouble], now: int, chance: np.random.Generator
    ) -> None:
        self._machine, self._times, self._troubles, self._now, self._chance = machine, times, troubles, now, chance
        self._day = self._of_day()
        self._busy = self._rhythm()

    def _of_day(self) -> NDArray[np.int64]:
        """How far each moment is into its local day; the clocks are changed while nobody looks closely."""
        offset = local(int(self._times[0])).utcoffset()
        return (self._times + (0 if offset is None else round(offset.total_seconds()) * 1_000)) % DAY

    def _rhythm(self) -> Figure:
        """How busy it is: as the business is, smooth between the hours, and never quite the same."""
        hours = np.arange(int(self._times[0]) // HOUR, int(self._times[-1]) // HOUR + 2) * HOUR
        busy = np.interp(self._times, hours + HOUR // 2, [busyness(int(at)) for at in hours])
        return np.asarray(busy * self._noise(1, 0.09))

    def _noise(self, middle: float, spread: float) -> Figure:
        return self._chance.normal(middle, spread, len(self._times)).clip(0.2 * middle, None)

    def during(self, kind: str, lag: int = 0) -> NDArray[np.bool_]:
        """Whether a trouble of this kind stood, or had stood no longer than *lag* before."""
        found = np.zeros(len(self._times), bool)
        for one in self._of(kind):
            ends = np.inf if one.lasts is None else one.began + one.lasts + lag
            found |= (self._times >= one.began) & (self._times < ends)
        return found

    def _of(self, kind: str) -> list[Trouble]:
        return [one for one in self._troubles if one.type == kind]

    def figures(self) -> Iterator[tuple[str, Labels, Figure]]:
        """Name, labels and values of all that it measures."""
        machine, slow = self._machine, self.during("server.slow")
        backup = (self._day >= _BACKUP[0]) & (self._day < _BACKUP[1]) | self.during("backup.late")
        after = self.during("server.down", 25 * MINUTE)  # it has just come back: caches are cold, everybody reconnects
        rush = self.during("gateway.declines")
        cpu = 4 + machine.noon * self._busy + 11 * backup + 14 * slow + 16 * after + 9 * rush
        cpu = cpu.clip(0.5, 78)
        load = cpu / 100 * machine.cores * self._noise(1, 0.06) + 2.4 * machine.cores * slow
        yield from self._plain("cpu_percent", cpu)
        yield from self._plain("memory_percent", (machine.memory + 7 * self._busy - 18 * after + self._noise(1, 0.4)).clip(5, 88))
        yield from self._plain("swap_percent", (2.5 + 4 * slow + 0.6 * self._busy).clip(0, 40))
        yield from self._plain("load_1m", load)
        yield from self._plain("load_5m", _smoothed(load, 3))
        yield from self._plain("load_15m", _smoothed(load, 6))
        yield "cpu_count", (), np.full(len(cpu), float(machine.cores))
        for volume in machine.volumes:
            yield from self._volume(volume)
        traffic = machine.traffic * 1_000_000 * self._busy * (1 + 0.5 * rush)
        yield from self._whole("network_receive_bytes_per_second", traffic * 0.3, interface="eth0")
        yield from self._whole("network_transmit_bytes_per_second", traffic + 60_000_000 * backup, interface="eth0")
        yield from self._whole("disk_read_bytes_per_second", traffic * 0.4 + 110_000_000 * backup, device="nvme0n1")
        yield from self._whole("disk_write_bytes_per_second", traffic * 0.7 + 30_000_000 * slow, device="nvme0n1")
        yield from self._plain("disk_busy_percent", (6 + 14 * self._busy + 47 * backup + 55 * slow).clip(0, 99), device="nvme0n1")
        yield from self._whole("network_connections", 30 + machine.traffic * 38 * self._busy * (1 + 0.9 * rush))
        yield from self._whole("processes_count", 180 + 9 * machine.cores + 60 * self._busy)
        if machine.queue is not None:
            stuck = self.during("mail.queue_long")
            yield from self._whole("mail_queue_messages", machine.queue * self._noise(1, 0.15) + 3_900 * stuck, service="exim")
        for service in machine.services:
            yield "service_up", labels_of({"service": service}), np.ones(len(cpu))

    def _plain(self, name: str, values: Figure, **labels: str) -> Iterator[tuple[str, Labels, Figure]]:
        yield name, labels_of(labels), np.round(values, 2)

    def _whole(self, name: str, values: Figure, **labels: str) -> Iterator[tuple[str, Labels, Figure]]:
        yield name, labels_of(labels), np.round(values)

    def _volume(self, volume: Volume) -> Iterator[tuple[str, Labels, Figure]]:
        """How full a file system is: it grows, logs are rotated on Sundays, and where one ran full it was filled for two days before."""
        days = (self._now - self._times) / DAY
        week = (self._times / DAY + 3.9) % 7 * 0.25  # more, until Sunday night
        percent = volume.percent - days * volume.a_day + (week if volume.mount == "/" else 0) + self._chance.normal(0, 0.01, len(days))
        if volume is self._machine.volumes[-1]:
            for one in self._of("disk.full"):
                over = one.began + (one.lasts or self._now)
                rising = ((self._times - one.began + 2 * DAY) / (2 * DAY)).clip(0, 1) * (self._times < over)
                percent = percent + rising * (97.2 - percent)
        percent = percent.clip(1, 99)
        yield from self._plain("disk_percent", percent, mount=volume.mount)
        yield from self._whole("disk_free_bytes", volume.size * _GIGA * (1 - percent / 100), mount=volume.mount)


def _smoothed(values: Figure, width: int) -> Figure:
    return np.convolve(np.concatenate([np.full(width - 1, values[0]), values]), np.full(width, 1 / width), "valid")


def took(usual: float, times: NDArray[np.int64], troubles: Sequence[Trouble], chance: np.random.Generator) -> Columns:
    """How long answers took at these *times* (ms): longer when there is much to do, and none while it was down."""
    if not len(times):
        return times, np.zeros(0)
    hours = np.arange(int(times[0]) // HOUR, int(times[-1]) // HOUR + 2) * HOUR
    busy = np.interp(times, hours + HOUR // 2, [busyness(int(at)) for at in hours])
    values = usual * (0.8 + 0.35 * busy) * chance.lognormal(0, 0.09, len(times))
    there = np.ones(len(times), bool)
    for one in troubles:
        during = (times >= one.began) & (times < (np.inf if one.lasts is None else one.began + one.lasts))
        there &= ~during
    return times[there], np.round(values[there], 1)

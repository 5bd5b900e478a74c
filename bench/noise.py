"""What others do on the machine while we measure: seen, waited for, and written down with every run."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import psutil  # type: ignore[import-untyped]  # it comes without types

from tocsin.core.clock import monotonic

CALM = 0.2  # cores used by others, and stolen by the hypervisor, up to which a run counts as undisturbed
KTHREADD = 2


@dataclass(frozen=True)
class Noise:
    """Cores that others used on average, and cores that the hypervisor gave to somebody else."""

    others: float
    steal: float

    @property
    def total(self) -> float:
        """Cores that were not there for the run."""
        return self.others + self.steal

    @property
    def is_calm(self) -> bool:
        """Whether the run counts as undisturbed."""
        return self.total < CALM

    def __str__(self) -> str:
        return f"others {self.others:.2f}, steal {self.steal:.2f}"


class Watch:
    """``with Watch() as watch: ...; watch.noise``: what happened meanwhile outside our own processes.

    Ours are this process and its descendants; the kernel's threads work for everybody and count for nobody.
    """

    noise: Noise

    def __enter__(self) -> Self:
        self._before = _Reading.take()
        return self

    def __exit__(self, *_: object) -> None:
        before, after = self._before, _Reading.take()
        seconds = max(0.001, after.at - before.at)
        others = (after.busy - before.busy) - (after.ours - before.ours) - (after.kernel - before.kernel)
        self.noise = Noise(round(max(0.0, others) / seconds, 2), round((after.steal - before.steal) / seconds, 2))


@dataclass(frozen=True)
class _Reading:
    """CPU seconds since the start of the machine (busy, steal) and of the processes (ours, kernel)."""

    at: float
    busy: float
    steal: float
    ours: float
    kernel: float

    @classmethod
    def take(cls) -> "_Reading":
        machine = psutil.cpu_times()
        me = psutil.Process()
        ours = _used(me) + sum(map(_used, me.children(recursive=True)))
        # Soft interrupts, mostly loopback traffic, are in the processes' own times too.
        busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
        return cls(monotonic(), busy, getattr(machine, "steal", 0.0), ours, _kernel_threads())


def _used(process: psutil.Process) -> float:
    """What it and its finished children have used."""
    with suppress(psutil.Error):
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _kernel_threads() -> float:
    with suppress(psutil.Error):
        parent = psutil.Process(KTHREADD)
        if parent.name() == "kthreadd":
            return sum(map(_used, parent.children()))
    return 0.0


def wait_for_quiet(seconds: float) -> None:
    """Until others leave the machine alone, at most *seconds*."""
    end = monotonic() + seconds
    while monotonic() < end:
        with Watch() as watch:
            time.sleep(0.5)
        if watch.noise.is_calm:
            return


@dataclass(frozen=True)
class Run:
    """One measured run: its figures by name, and the noise around it."""

    values: dict[str, float]
    noise: Noise


def undisturbed(measure: Callable[[], Run], *, tries: int) -> list[Run]:
    """Runs of *measure* until one is calm, at most *tries*; all of them, for the record."""
    runs: list[Run] = []
    for _ in range(tries):
        if tries > 1:
            wait_for_quiet(5)
        runs.append(measure())
        if runs[-1].noise.is_calm:
            break
    return runs


def median(runs: Sequence[Run], name: str) -> float:
    """The middle of a figure over the calm runs, or over all if none was."""
    calm = [run for run in runs if run.noise.is_calm]
    return statistics.median(run.values[name] for run in calm or runs)


def in_words(runs: Sequence[Run]) -> str:
    """How quiet it was, for the reader."""
    calm = sum(run.noise.is_calm for run in runs)
    worst = max((run.noise for run in runs), key=lambda noise: noise.total)
    stolen = f"others used {worst.others:.2f} cores and the hypervisor took {worst.steal:.2f}"
    return f"{calm} of {len(runs)} runs were undisturbed; in the worst one {stolen}."


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which *share* of *values* lie; infinite if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")

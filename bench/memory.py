"""What the process holds in memory, empty and full, and how soon it answers after its start."""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Bound, Options, Part, Row
from bench.load import alert, event, send_all
from bench.servers import Alertmanager, Target, Tocsin

EVENTS, PROBLEMS = 1_000_000, 100_000
LINES = 1_000
SETTLE_SECONDS = 3
STARTS = 5
IDLE, FULL = Bound(80, at_least=False, unit="MiB"), Bound(150, at_least=False, unit="MiB")
START = Bound(1.5, at_least=False, unit="s")


def fill(target: Target, events: int, problems: int) -> None:
    """*problems* open alerts, and of the other *events* half repeats of them and half recorded only."""
    send_all(target, _bodies(problems, lambda k: event(k, "problem")), "application/x-ndjson")
    rest = events - problems
    send_all(target, _bodies(rest, lambda k: event(k % problems, "problem" if k % 2 else "info")), "application/x-ndjson")


def _bodies(count: int, make: Callable[[int], bytes]) -> Iterator[bytes]:
    for first in range(0, count, LINES):
        yield b"\n".join(make(k) for k in range(first, min(count, first + LINES)))


def _arrays(count: int) -> Iterator[bytes]:
    for first in range(0, count, 100):
        yield b"[" + b",".join(alert(k) for k in range(first, min(count, first + 100))) + b"]"


def measure(tocsin: Tocsin, alertmanager: Alertmanager, work: Path, options: Options) -> Part:
    """Idle and full memory of both, and our start on data of three sizes."""
    events, problems = round(EVENTS * options.scale), round(PROBLEMS * options.scale)
    folder = work / "memory"
    first_starts = [_first_start(tocsin, folder) for _ in range(STARTS)]
    tocsin.copy_to(folder)
    with tocsin.on(folder) as target:
        idle = _settled(target)
        fill(target, events, problems)
        full, peak = _settled(target), target.child.peak_mib()
    full_starts = [_start(tocsin, folder) for _ in range(STARTS)]
    shutil.rmtree(folder)
    peer_idle, peer_full = _peer(alertmanager, problems)
    content = f"{events:,} events and {problems:,} open alerts"
    rows = [
        _against(IDLE, "memory, idle, MiB", idle, peer_idle),
        _against(FULL, f"memory after {content}, MiB (Alertmanager: the open alerts only)", full, peer_full),
        Row("the most it had resident on the way, MiB", f"{peak:.0f}"),
        _timed("start on an empty data folder to the first answer, s", first_starts),
        _timed(f"start with {content}, s", full_starts),
    ]
    return Part("Memory and start", "Alertmanager", rows, [], {"first_starts": first_starts, "full_starts": full_starts})


def _first_start(tocsin: Tocsin, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    return _start(tocsin, folder)


def _start(tocsin: Tocsin, folder: Path) -> float:
    with tocsin.on(folder) as target:
        return target.child.started_s


def _settled(target: Target) -> float:
    time.sleep(SETTLE_SECONDS)
    return target.child.rss_mib()


def _peer(alertmanager: Alertmanager, problems: int) -> tuple[float, float]:
    with alertmanager.fresh() as target:
        idle = _settled(target)
        send_all(target, _arrays(problems), "application/json")
        return idle, _settled(target)


def _against(bound: Bound, what: str, ours: float, peer: float) -> Row:
    return Row(what, f"{ours:.0f}", f"{peer:.0f}", ours / peer, bound.text, bound.is_met(ours))


def _timed(what: str, starts: list[float]) -> Row:
    middle = statistics.median(starts)
    return Row(what, f"{middle:.2f}", target=START.text, met=START.is_met(middle))

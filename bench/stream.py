"""A thousand open dashboards: what they cost in memory, how soon all of them show an alert, what is left of the intake."""

import http.client
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from bench.figures import Bound, Options, Part, Row
from bench.load import wrk
from bench.noise import Run, Watch, in_words, median, undisturbed
from bench.servers import BenchError, Target, Tocsin
from tocsin.core.clock import monotonic

DASHBOARDS, ALERTS = 1_000, 20
READER = "The reader of all dashboards takes its share of the two cores, so events/s fall by more than the server's own work grows."
PAUSE = 0.7  # seconds between two alerts that are timed
LONGEST = 10.0  # seconds after which an alert counts as not shown
QUESTION = "/api/v1/stream?topics=alert,summary"  # as a page asks
MEMORY = Bound(100, at_least=False, unit="MiB")
SHOWN = Bound(500, at_least=False, unit="ms")
KEPT = Bound(0.95, at_least=True, unit="x")
COST = Bound(1.05, at_least=False, unit="x")
CASES = (
    ("new problems, arrays of 100, 4 connections", "distinct", 100, 4),
    ("repeats of one alert, one a request, 64 connections", "repeat", 1, 64),
)


class Dashboards:
    """Connections that read all that they are sent, in a thread; and when the last of them has read a word."""

    def __init__(self, target: Target, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._tails: dict[socket.socket, bytes] = {}
        self._word, self._waiting, self._last = b"", set[socket.socket](), 0.0
        self._shown, self._over = threading.Event(), threading.Event()
        self.lost = 0
        head = f"GET {QUESTION} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {target.auth}\r\nAccept: text/event-stream\r\n\r\n"
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", target.port), 10)
            one.sendall(head.encode())
            if not one.recv(4096).startswith(b"HTTP/1.1 200"):
                raise BenchError("a dashboard was not let in")
            one.setblocking(False)
            self._tails[one] = b""
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.2):
                self._take(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered

    def _take(self, one: socket.socket) -> None:
        chunk = one.recv(262_144)
        if not chunk:
            self.lost += 1
            self._selector.unregister(one)
        if one in self._waiting:
            if self._word in self._tails[one] + chunk:
                self._waiting.discard(one)
                if not self._waiting:
                    self._last = monotonic()
                    self._shown.set()
            else:
                self._tails[one] = chunk[-len(self._word) :]

    def expect(self, word: bytes) -> None:
        """From now on looks for *word*."""
        self._shown.clear()
        self._tails = dict.fromkeys(self._tails, b"")
        self._word, self._waiting = word, set(self._tails)

    def shown_at(self) -> float:
        """When the last of all read it; infinite if one did not."""
        return self._last if self._shown.wait(LONGEST) else float("inf")

    def close(self) -> None:
        """Goes away."""
        self._over.set()
        self._thread.join()
        for one in self._tails:
            one.close()


@contextmanager
def _dashboards(target: Target, count: int) -> Iterator[Dashboards]:
    dashboards = Dashboards(target, count)
    try:
        yield dashboards
    finally:
        dashboards.close()


def measure(tocsin: Tocsin, options: Options) -> Part:
    """Fresh servers; the dashboards' reader is in this process, on the same cores."""
    count = round(DASHBOARDS * options.scale)
    open_pages = undisturbed(lambda: _one(tocsin, count), tries=options.tries)
    memory, last = median(open_pages, "memory_mib"), median(open_pages, "slowest_ms")
    rows = [
        Row(f"memory of {count:,} dashboards, MiB", f"{memory:.0f}", target=MEMORY.text, met=MEMORY.is_met(memory)),
        Row("POST to the last of them, median alert, ms", f"{median(open_pages, 'middle_ms'):.0f}"),
        Row("POST to the last of them, slowest alert, ms", f"{last:.0f}", target=SHOWN.text, met=SHOWN.is_met(last)),
    ]
    runs = list(open_pages)
    for title, mode, batch, connections in CASES:
        rates: dict[int, list[float]] = {}
        costs: dict[int, list[float]] = {}
        for _ in range(options.repeats):
            for dashboards in (0, count):
                made = undisturbed(partial(_intake, tocsin, dashboards, mode, batch, connections, options.seconds), tries=options.tries)
                runs += made
                rates.setdefault(dashboards, []).append(median(made, "events_s"))
                costs.setdefault(dashboards, []).append(median(made, "cpu_us"))
        without, beside = statistics.median(rates[0]), statistics.median(rates[count])
        share = beside / without
        rows.append(
            Row(f"intake beside them, events/s: {title}", f"{beside:,.0f}", f"{without:,.0f}", share, KEPT.text, KEPT.is_met(share))
        )
        alone, shared = statistics.median(costs[0]), statistics.median(costs[count])
        more = shared / alone
        rows.append(Row("the server's CPU for one of these, µs", f"{shared:.1f}", f"{alone:.1f}", more, COST.text, COST.is_met(more)))
    notes = [f"{ALERTS} alerts, one after the other; {in_words(runs)}", READER]
    return Part("Open dashboards", "no dashboard", rows, notes, [run.values for run in runs])


def _one(tocsin: Tocsin, count: int) -> Run:
    with tocsin.fresh() as target, Watch() as watch:
        with _dashboards(target, 1):
            time.sleep(2)  # what the first one loads is not theirs
        before = target.child.rss_mib()
        with _dashboards(target, count) as dashboards:
            times = [_show(target, dashboards, number) for number in range(ALERTS)]
            memory = target.child.rss_mib() - before
            if dashboards.lost:
                raise BenchError(f"{dashboards.lost} dashboards were sent away")
    values = {"memory_mib": memory, "middle_ms": statistics.median(times), "slowest_ms": max(times)}
    return Run(values, watch.noise)


def _show(target: Target, dashboards: Dashboards, number: int) -> float:
    """Milliseconds from the post of a new alert until the last dashboard has it."""
    word = f"Needle {number} of the bench"
    body = msgspec.json.encode({"type": "disk.full", "subject": f"needle:{number}", "severity": 4, "status": "problem", "title": word})
    dashboards.expect(word.encode())
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    begun = monotonic()
    connection.request("POST", target.path, body, {"Authorization": target.auth or "", "Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 202:
        raise BenchError(f"an event was answered with {answer.status}")
    took = (dashboards.shown_at() - begun) * 1000
    time.sleep(PAUSE)
    return took


def _intake(tocsin: Tocsin, dashboards: int, mode: str, batch: int, connections: int, seconds: float) -> Run:
    with tocsin.fresh() as target, _dashboards(target, dashboards):
        before = target.child.cpu_seconds()
        run = wrk(target, mode=mode, batch=batch, lines=False, connections=connections, seconds=seconds)
        events = run.values["events_s"] * max(1, round(seconds))
        run.values["cpu_us"] = 1e6 * (target.child.cpu_seconds() - before) / events if events else float("inf")
    cost = f"{run.values['cpu_us']:.1f} µs each"
    print(f"  {mode}-{batch} beside {dashboards:,} dashboards: {run.values['events_s']:,.0f}/s, {cost} ({run.noise})", flush=True)
    return run

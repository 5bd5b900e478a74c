"""A thousand open dashboards: what they cost in memory, how soon all of them show an alert, what is left of the intake.

Each listens as a page does, and asks for what is new on it as `live.js` does: half of them show the overview, half the alerts.
"""

import heapq
import http.client
import queue
import random
import re
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from bench.figures import Bound, Options, Part, Row
from bench.load import wrk
from bench.noise import Run, Watch, in_words, median, undisturbed
from bench.pages import add_user, log_in
from bench.servers import BenchError, Target, Tocsin
from tocsin.core.clock import monotonic

DASHBOARDS, ALERTS = 1_000, 20
READER = "The reader of all dashboards takes its share of the two cores, so events/s fall by more than the server's own work grows."
PAUSE = 0.7  # seconds between two alerts that are timed
LONGEST = 10.0  # seconds after which an alert counts as not shown
QUESTION = "/api/v1/stream?topics=alert,summary"  # as a page asks
PAGES = ("/", "/alerts")
REST, SOON = 2.0, 0.4  # seconds between two renewals of a page at least, and before the first
ASKING = 4  # connections over which all pages are asked for
_NEWS = re.compile(rb"event: (?:alert|reload)\n")
_SUMMARY = re.compile(rb'event: summary\ndata: \{[^}]*"at":(\d+)')
_PACE = re.compile(rb'event: pace\ndata: \{"renew_within_ms":(\d+)\}')
MEMORY = Bound(100, at_least=False, unit="MiB")
SHOWN = Bound(500, at_least=False, unit="ms")
KEPT = Bound(0.95, at_least=True, unit="x")
COST = Bound(1.1, at_least=False, unit="x")
CASES = (
    ("new problems, arrays of 100, 4 connections", "distinct", 100, 4),
    ("repeats of one alert, one a request, 64 connections", "repeat", 1, 64),
)


class _Page:
    """One open page: when it asks for what is new, as `live.js` would have it."""

    def __init__(self, number: int) -> None:
        self.number, self.path = number, PAGES[number % len(PAGES)]
        self.within, self.asked_at = 0.0, -REST  # seconds
        self.since, self.turn, self.due = 0.0, 0.0, 0.0  # due: 0 while it does not wait
        self.news_at = b"0"

    def hear(self, chunk: bytes, now: float) -> bool:
        """Takes what it is told; whether it now waits for another moment than before."""
        before = self.due
        if pace := _PACE.search(chunk):
            within = int(pace[1]) / 1000
            if within < self.within:
                self.since = now
            self.within = within
            if self.due:
                self.due = self.since + self.turn * within
        if _NEWS.search(chunk):
            self.wait(now)
        if self.due and (summary := _SUMMARY.search(chunk)):
            self.news_at = summary[1]
        return self.due != before

    def wait(self, now: float) -> None:
        """It waits for its turn, if it does not already."""
        if not self.due:
            self.since, self.turn = max(now + SOON, self.asked_at + REST), random.random()
            self.due = self.since + self.turn * self.within

    def ask(self, now: float) -> None:
        """It asks."""
        self.asked_at, self.due = now, 0.0


class Dashboards:
    """Open pages that read all that they are sent, in a thread, and renew themselves; and when the last of them has read a word."""

    def __init__(self, target: Target, cookie: str, count: int) -> None:
        self._target, self._cookie = target, cookie
        self._selector = selectors.DefaultSelector()
        self._tails: dict[socket.socket, bytes] = {}
        self._pages: dict[socket.socket, _Page] = {}
        self._waiting_turn: list[tuple[float, int, _Page]] = []
        self._asked: queue.SimpleQueue[_Page | None] = queue.SimpleQueue()
        self._aged: queue.SimpleQueue[_Page] = queue.SimpleQueue()  # those that were answered with what was older than their news
        self._word, self._waiting, self._last = b"", set[socket.socket](), 0.0
        self._shown, self._over = threading.Event(), threading.Event()
        self.lost = self.renewed = self.refused = 0
        head = f"GET {QUESTION} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n"
        for number in range(count):
            one = socket.create_connection(("127.0.0.1", target.port), 10)
            one.sendall(head.encode())
            greeting = one.recv(4096)
            if not greeting.startswith(b"HTTP/1.1 200"):
                raise BenchError("a dashboard was not let in")
            one.setblocking(False)
            self._tails[one], self._pages[one] = b"", _Page(number)
            self._pages[one].hear(greeting, monotonic())
            self._selector.register(one, selectors.EVENT_READ)
        self._threads = [threading.Thread(target=self._read, daemon=True)]
        self._threads += [threading.Thread(target=self._ask, daemon=True) for _ in range(ASKING if count else 0)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.1):
                self._take(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
            now = monotonic()
            while self._waiting_turn and self._waiting_turn[0][0] <= now:
                due, _, page = heapq.heappop(self._waiting_turn)
                if due == page.due:  # else it has been told another time since
                    page.ask(now)
                    self._asked.put(page)
            while not self._aged.empty():
                page = self._aged.get()
                page.wait(now)
                self._note(page)

    def _note(self, page: _Page) -> None:
        heapq.heappush(self._waiting_turn, (page.due, page.number, page))

    def _take(self, one: socket.socket) -> None:
        chunk = one.recv(262_144)
        if not chunk:
            self.lost += 1
            self._selector.unregister(one)
        page = self._pages[one]
        if page.hear(chunk, monotonic()):
            self._note(page)
        if one in self._waiting:
            if self._word in self._tails[one] + chunk:
                self._waiting.discard(one)
                if not self._waiting:
                    self._last = monotonic()
                    self._shown.set()
            else:
                self._tails[one] = chunk[-len(self._word) :]

    def _ask(self) -> None:
        """Fetches the pages whose moment has come."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=60)
        headers = {"Cookie": self._cookie, "Accept": "text/html", "Accept-Encoding": "gzip", "HX-Request": "true"}
        while (page := self._asked.get()) is not None:
            news_at = page.news_at.decode()
            connection.request("GET", page.path, headers=headers | {"HX-Renewal": news_at})
            answer = connection.getresponse()
            answer.read()
            self.renewed += 1
            self.refused += answer.status != 200
            if int(answer.headers["X-As-Of"]) < int(news_at):
                self._aged.put(page)
        connection.close()

    def expect(self, word: bytes) -> None:
        """From now on looks for *word*."""
        self._shown.clear()
        self._tails = dict.fromkeys(self._tails, b"")
        self._word, self._waiting = word, set(self._tails)

    def shown_at(self) -> float:
        """When the last of all read it; infinite if one did not."""
        return self._last if self._shown.wait(LONGEST) else float("inf")

    def close(self) -> None:
        """Goes away. Raises `BenchError` if a page was sent away or had no answer: then nothing was measured."""
        self._over.set()
        self._threads[0].join()
        for _ in self._threads[1:]:
            self._asked.put(None)
        for thread in self._threads[1:]:
            thread.join()
        for one in self._tails:
            one.close()
        if self.lost or self.refused:
            raise BenchError(f"{self.lost} dashboards were sent away, and {self.refused} renewals refused")


@contextmanager
def _dashboards(target: Target, cookie: str, count: int) -> Iterator[Dashboards]:
    dashboards = Dashboards(target, cookie, count)
    try:
        yield dashboards
    finally:
        dashboards.close()


@contextmanager
def _server(tocsin: Tocsin, work: Path) -> Iterator[tuple[Target, str]]:
    """A fresh server which has shown each page once, and the cookie of somebody who is logged in."""
    folder = work / "dashboards"
    tocsin.copy_to(folder)
    with tocsin.on(folder) as target:
        add_user(folder)
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
        cookie = log_in(connection, target)
        for page in PAGES:
            connection.request("GET", page, headers={"Cookie": cookie, "Accept": "text/html"})
            connection.getresponse().read()
        connection.close()
        yield target, cookie


def measure(tocsin: Tocsin, work: Path, options: Options) -> Part:
    """Fresh servers; the dashboards' reader is in this process, on the same cores."""
    count = round(DASHBOARDS * options.scale)
    open_pages = undisturbed(lambda: _one(tocsin, work, count), tries=options.tries)
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
                made = undisturbed(
                    partial(_intake, tocsin, work, dashboards, mode, batch, connections, options.seconds), tries=options.tries
                )
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


def _one(tocsin: Tocsin, work: Path, count: int) -> Run:
    with _server(tocsin, work) as (target, cookie), Watch() as watch:
        with _dashboards(target, cookie, 1) as first:
            _show(target, first, ALERTS)
            time.sleep(2)  # what the first one loads is not theirs
        before = target.child.rss_mib()
        with _dashboards(target, cookie, count) as dashboards:
            begun, worked = monotonic(), target.child.cpu_seconds()
            times = [_show(target, dashboards, number) for number in range(ALERTS)]
            took, worked = monotonic() - begun, target.child.cpu_seconds() - worked
            memory = target.child.rss_mib() - before
    values = {"memory_mib": memory, "middle_ms": statistics.median(times), "slowest_ms": max(times)}
    values |= {"renewals_s": dashboards.renewed / took, "cores": worked / took}
    print(f"  {count:,} dashboards: {', '.join(f'{name} {value:.2f}' for name, value in values.items())}", flush=True)
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


def _intake(tocsin: Tocsin, work: Path, dashboards: int, mode: str, batch: int, connections: int, seconds: float) -> Run:
    with _server(tocsin, work) as (target, cookie), _dashboards(target, cookie, dashboards) as pages:
        before = target.child.cpu_seconds()
        run = wrk(target, mode=mode, batch=batch, lines=False, connections=connections, seconds=seconds)
        events = run.values["events_s"] * max(1, round(seconds))
        run.values["cpu_us"] = 1e6 * (target.child.cpu_seconds() - before) / events if events else float("inf")
    cost = f"{run.values['cpu_us']:.1f} µs each"
    run.values["renewals_s"] = pages.renewed / max(1, round(seconds))
    asked = f"{run.values['renewals_s']:.1f} pages/s"
    print(f"  {mode}-{batch} beside {dashboards:,} dashboards: {run.values['events_s']:,.0f}/s, {cost}, {asked} ({run.noise})", flush=True)
    return run

"""A storm: 10,000 alerts of one cause in ten seconds. How soon another site's alert is pushed meanwhile, and what a phone is told."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from bench.figures import Bound, Options, Part, Row
from bench.noise import Run, Watch as Noise, in_words, median, undisturbed
from bench.servers import BenchError, Target, Tocsin
from tocsin.core.clock import monotonic

ALERTS, SECONDS, BATCH, OTHERS = 10_000, 10, 100, 3
AFTER = 15  # seconds: the last group leaves ten seconds after the first alert of its cause
PUSHED = Bound(1_000, at_least=False, unit="ms")
MESSAGES = Bound(6, at_least=False, unit="messages")  # below 6: at most five


@dataclass
class Phone:
    """What an ntfy server was handed, and when."""

    heard: list[tuple[float, bytes]] = field(default_factory=list)

    def about(self, text: bytes) -> list[float]:
        """When something was said in which *text* stands."""
        return [at for at, body in self.heard if text in body]


@contextmanager
def _phone() -> Iterator[tuple[Phone, int]]:
    phone = Phone()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            phone.heard.append((monotonic(), self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            self._say(b'{"id":"bench","time":1,"event":"message","topic":"bench"}')

        def do_GET(self) -> None:
            self._say(b'{"healthy":true}')

        def _say(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield phone, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def measure(tocsin: Tocsin, options: Options) -> Part:
    """The whole server with the limits that it comes with, over HTTP, in real time."""
    count = round(ALERTS * options.scale)
    runs = undisturbed(lambda: _one(tocsin, count), tries=options.tries)
    pushed, told = median(runs, "pushed_ms"), median(runs, "messages")
    rows = [
        Row(
            "the slowest first push about another site in the middle of it, ms",
            f"{pushed:.0f}",
            target=PUSHED.text,
            met=PUSHED.is_met(pushed),
        ),
        Row("messages to one contact, about the storm", f"{told:.0f}", target="at most 5", met=MESSAGES.is_met(told)),
    ]
    notes = [f"{count:,} alerts of one cause within {SECONDS} s; {OTHERS} other sites have one alert each meanwhile.", in_words(runs)]
    return Part("A storm", "", rows, notes, [run.values for run in runs])


def _one(tocsin: Tocsin, count: int) -> Run:
    with _phone() as (phone, port), tocsin.fresh(NTFY_SERVER_URL=f"http://127.0.0.1:{port}", NTFY_TOPIC="bench") as target:
        with Noise() as noise:
            asked = _storm(target, count)
            time.sleep(AFTER)
        waits = [min(phone.about(site.encode()), default=float("inf")) - at for site, at in asked.items()]
        about_others = sum(len(phone.about(site.encode())) for site in asked)
        return Run({"pushed_ms": max(waits) * 1000, "messages": float(len(phone.heard) - about_others)}, noise.noise)


def _storm(target: Target, count: int) -> dict[str, float]:
    """Posts the storm evenly; answers when the alert of each other site was posted."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    begun, batches, asked = monotonic(), count // BATCH, dict[str, float]()
    for batch in range(batches):
        wait = begun + batch * SECONDS / batches - monotonic()
        if wait > 0:
            time.sleep(wait)
        if batch and batch % (batches // (OTHERS + 1)) == 0 and len(asked) < OTHERS:
            site = f"quietsite{len(asked)}"
            asked[site] = monotonic()
            _post(connection, target, [{**_problem(batch), "site": site, "title": f"{site} is down"}])
        _post(connection, target, [_problem(batch * BATCH + n) for n in range(BATCH)])
    connection.close()
    return asked


def _problem(number: int) -> dict[str, object]:
    return {"type": "disk.full", "subject": f"disk:/{number}", "host": f"web-{number % 200}", "severity": 5, "title": f"Disk {number} full"}


def _post(connection: http.client.HTTPConnection, target: Target, events: list[dict[str, object]]) -> None:
    headers = {"Authorization": target.auth or "", "Content-Type": "application/json"}
    connection.request("POST", target.path, msgspec.json.encode(events), headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 202:
        raise BenchError(f"a batch of the storm was answered with {answer.status}")

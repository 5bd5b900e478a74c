"""How soon the list of alerts is there when much is wrong and much has happened."""

import http.client
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Bound, Options, Part, Row
from bench.load import HOSTS, be_dear
from bench.memory import fill
from bench.noise import Watch, percentile
from bench.servers import BenchError, Target, Tocsin
from tocsin.core.clock import monotonic

EVENTS, OPEN = 1_000_000, 10_000
TIMES = 100
P95 = Bound(30, at_least=False, unit="ms")
QUESTIONS = {
    "the first page, loudest first": "status=open&sort=-severity&limit=100",
    "the first page, newest first": "status=open&sort=-number&limit=100",
    "severity 4 and up, last seen first": "status=open&severity_min=4&sort=-last_seen_at&limit=100",
    "of one host": "status=open&host=web-17.example.com&sort=-last_seen_at&limit=100",
    "of one type, most often first": "status=open&type=disk.full_3&sort=-occurrences&limit=100",
    "the dearest first": "sort=-impact&limit=100",
    "with a word in the text": "status=open&q=987&sort=-severity&limit=100",
}


def measure(tocsin: Tocsin, work: Path, options: Options) -> Part:
    """One question after another on one connection."""
    events, problems = round(EVENTS * options.scale), round(OPEN * options.scale)
    folder = work / "alerts-list"
    tocsin.copy_to(folder)
    be_dear(folder)
    with tocsin.on(folder) as target:
        fill(target, events, problems)
        time.sleep(2)
        with Watch() as watch:
            times = _ask(target)
    rows = [_row(question, took) for question, took in times.items()]
    rows.append(_row("all of these together", [took for some in times.values() for took in some]))
    note = f"{events:,} events, {problems:,} open alerts with an impact each (something hangs on {HOSTS} hosts);"
    note += f" {TIMES} requests a question, one at a time over one connection."
    return Part("Alerts list over the API, p95 in ms", "", rows, [note], {"noise": watch.noise, "times_ms": times})


def _ask(target: Target) -> dict[str, list[float]]:
    """Milliseconds for each question, asked in turns."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    times: dict[str, list[float]] = {question: [] for question in QUESTIONS}
    for _ in range(TIMES):
        for question, query in QUESTIONS.items():
            begun = monotonic()
            _get(connection, target, f"/api/v1/alerts?{query}")
            times[question].append((monotonic() - begun) * 1000)
    connection.close()
    return times


def _get(connection: http.client.HTTPConnection, target: Target, path: str) -> None:
    connection.request("GET", path, headers={"Authorization": target.auth or ""})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or not _items(body):
        raise BenchError(f"GET {path} was answered with {answer.status} and {body[:200]!r}")


def _items(body: bytes) -> Any:
    return msgspec.json.decode(body)["items"]


def _row(question: str, times: list[float]) -> Row:
    p95 = percentile(times, 0.95)
    return Row(question, f"{p95:.1f}", target=P95.text, met=P95.is_met(p95))

"""How soon a page of the dashboard is made when much is wrong and much has happened."""

import http.client
import subprocess
import time
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from bench.figures import Bound, Options, Part, Row
from bench.memory import fill
from bench.noise import Watch, percentile
from bench.servers import TOCSIN, BenchError, Target, Tocsin, environment
from tocsin.core.clock import monotonic

EVENTS, OPEN = 1_000_000, 10_000
TIMES = 40
P95 = Bound(50, at_least=False, unit="ms")
PAGES = {
    "overview": "/",
    "alerts": "/alerts",
    "an alert": "/alerts/1",
    "events": "/events",
    "sources": "/events/sources",
    "analytics, 7 days": "/analytics",
    "on call": "/oncall",
    "policies": "/policies",
    "quiet": "/silences",
    "rules": "/rules",
    "checks": "/checks",
    "people": "/settings/people",
    "audit": "/settings/audit",
    "health": "/settings/health",
}
EMAIL, PASSWORD = "bench@example.com", "a long enough password"


def measure(tocsin: Tocsin, work: Path, options: Options) -> Part:
    """One page after another on one connection, as an administrator sees them."""
    events, problems = round(EVENTS * options.scale), round(OPEN * options.scale)
    folder = work / "pages"
    tocsin.copy_to(folder)
    with tocsin.on(folder) as target:
        fill(target, events, problems)
        _add_user(folder)
        time.sleep(15)  # what came in is counted for the charts
        with Watch() as watch:
            times = _look(target)
    rows = [_row(page, took) for page, took in times.items()]
    note = f"{events:,} events, {problems:,} open alerts, {TIMES} requests a page, one at a time over one connection."
    return Part("Pages of the dashboard, p95 in ms", "", rows, [note], {"noise": watch.noise, "times_ms": times})


def _add_user(folder: Path) -> None:
    command = [*TOCSIN, "user", "add", EMAIL, "--name", "Bench", "--role", "admin", "--password-stdin"]
    env = environment(TOCSIN_DATA_DIR=str(folder))
    made = subprocess.run(command, env=env, input=PASSWORD, capture_output=True, text=True, check=False, timeout=60)
    if made.returncode:
        raise BenchError(f"`tocsin user add` failed: {made.stderr.strip()}")


def _log_in(connection: http.client.HTTPConnection, target: Target) -> str:
    """The cookie of a new session."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{target.port}"}
    connection.request("POST", "/login", urlencode({"email": EMAIL, "password": PASSWORD}), headers)
    answer = connection.getresponse()
    answer.read()
    cookies = SimpleCookie(answer.headers.get("Set-Cookie", ""))
    if answer.status != 303 or not cookies:
        raise BenchError(f"the login was answered with {answer.status}")
    return "; ".join(f"{name}={one.value}" for name, one in cookies.items())


def _look(target: Target) -> dict[str, list[float]]:
    """Milliseconds for each page, asked in turns."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    cookie = _log_in(connection, target)
    times: dict[str, list[float]] = {page: [] for page in PAGES}
    for _ in range(TIMES):
        for page, path in PAGES.items():
            begun = monotonic()
            connection.request("GET", path, headers={"Cookie": cookie, "Accept": "text/html", "Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            times[page].append((monotonic() - begun) * 1000)
            if answer.status != 200:
                raise BenchError(f"GET {path} was answered with {answer.status}")
    connection.close()
    return times


def _row(page: str, times: list[float]) -> Row:
    p95 = percentile(times, 0.95)
    return Row(page, f"{p95:.1f}", target=P95.text, met=P95.is_met(p95))

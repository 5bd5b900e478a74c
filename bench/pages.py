"""How soon a page of the dashboard is made when much is wrong and much has happened."""

import http.client
import subprocess
import time
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import sqlalchemy as sa

from bench.figures import Bound, Options, Part, Row
from bench.load import HOSTS, be_dear
from bench.memory import fill
from bench.noise import Watch, percentile
from bench.servers import TOCSIN, BenchError, Target, Tocsin, environment
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core
from tocsin.checks.model import Definition, TcpTarget
from tocsin.core.clock import DAY, HOUR, MINUTE, SystemClock, monotonic
from tocsin.core.ids import new_ids
from tocsin.db.engine import Database
from tocsin.db.tables import check_spans, checks, events, heartbeats, hosts, users
from tocsin.db.writer import Tx
from tocsin.heartbeats import store as heartbeat_store
from tocsin.heartbeats.model import Heartbeat, Schedule
from tocsin.hosts import store as host_store
from tocsin.hosts.model import Host
from tocsin.settings import Settings

EVENTS, OPEN = 1_000_000, 10_000
WATCHED, OUTAGES = 200, 60
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
    "availability": "/availability",
    "hosts": "/hosts",
    "heartbeats": "/heartbeats",
    "events, a word in the text": "/events?q=987",
    "analytics, 30 days": "/analytics?days=30",
    "alerts, the dearest first": "/alerts?sort=-impact",
    "alerts, resolved": "/alerts?status=resolved",
    "an event": "/events/{event}",
    "quarantine": "/events/quarantine",
    "analytics, 90 days": "/analytics?days=90",
    "a check": "/checks/{check}",
    "a check's form": "/checks/new",
    "availability of sites, 90 days": "/availability?by=site&days=90",
    "a host": "/hosts/{host}",
    "a heartbeat": "/heartbeats/{job}",
    "explore": "/explore",
    "calendars": "/oncall/calendars",
    "teams": "/oncall/teams",
    "a schedule's form": "/oncall/new",
    "a policy's form": "/policies/new",
    "a rule's form": "/rules/new",
    "a silence's form": "/silences/new?host=web-1.example.com",
    "first run": "/welcome?step=whmcs",
    "a site": "/settings/sites/main",
    "a person": "/settings/people/{person}",
    **{
        name: f"/settings/{name}"
        for name in ("me", "people", "keys", "sites", "channels", "contacts", "exporters", "thresholds", "audit", "health")
    },
}
NAMED = {"event": events, "check": checks, "host": hosts, "job": heartbeats, "person": users}  # what addresses name
BENCH = Who("bench")
EMAIL, PASSWORD = "bench@example.com", "a long enough password"


def measure(tocsin: Tocsin, work: Path, options: Options) -> Part:
    """One page after another on one connection, as an administrator sees them."""
    events, problems = round(EVENTS * options.scale), round(OPEN * options.scale)
    folder = work / "pages"
    tocsin.copy_to(folder)
    be_dear(folder)
    _watch(folder)
    with tocsin.on(folder) as target:
        fill(target, events, problems)
        add_user(folder)
        time.sleep(15)  # what came in is counted for the charts
        with Watch() as watch:
            times = _look(target, _known(folder))
    rows = [_row(page, took) for page, took in times.items()]
    note = f"{events:,} events, {problems:,} open alerts, {WATCHED} checks with {OUTAGES} outages each, hosts and jobs;"
    note += f" something hangs on each of {HOSTS} hosts, so that every alert has an impact."
    note += f" {TIMES} requests a page, one at a time over one connection."
    return Part("Pages of the dashboard, p95 in ms", "", rows, [note], {"noise": watch.noise, "times_ms": times})


def _watch(folder: Path) -> None:
    """Checks with 90 days behind them, hosts and heartbeats; none of them is due while we measure."""
    core = build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
    try:
        core.writer.call(lambda tx: _fill(tx, core))
    finally:
        core.close()


def _fill(tx: Tx, core: Core) -> None:
    site, now = core.sites.get("main").id, SystemClock().now()
    for number, new in enumerate(new_ids(now, 2 * WATCHED)):
        name = f"web-{number % WATCHED}.example.com"
        if number < WATCHED:
            definition = Definition(name=f"Shop {number}", target=TcpTarget(host="192.0.2.1", port=443), host=name)
            check = core.checks.add(BENCH, site, definition)(tx)
            tx.driver.execute("UPDATE checks SET due_at = ? WHERE id = ?", (now + DAY, check.id))
            tx.sql.execute(check_spans.delete().where(check_spans.c.check_id == check.id))
            tx.sql.execute(check_spans.insert(), [_span(check.id, now, step) for step in range(2 * OUTAGES + 1)])
            host_store.add(tx, Host(new, site, name, new, "1.0.0", MINUTE, "{}", 0, now - 90 * DAY, now))
        else:
            job = Heartbeat(new, site, f"Backup of {name}", Schedule(period=DAY), HOUR, None, 4, now, now)
            heartbeat_store.add(tx, job, f"digest {number}")


def _span(check_id: str, now: int, step: int) -> dict[str, object]:
    """Up for a day and a half, down for ten minutes, and so on until now."""
    begins = now - (OUTAGES * 36 * HOUR) + step // 2 * 36 * HOUR
    down = step % 2 == 1
    starts = begins + (36 * HOUR - 10 * MINUTE) * down
    ends = None if step == 2 * OUTAGES else begins + 36 * HOUR - (0 if down else 10 * MINUTE)
    return {
        "check_id": check_id,
        "starts_at": starts,
        "ends_at": ends,
        "status": "down" if down else "up",
        "cause": "looked",
        "words": None,
    }


def add_user(folder: Path) -> None:
    """Makes an administrator. Raises `BenchError`."""
    command = [*TOCSIN, "user", "add", EMAIL, "--name", "Bench", "--role", "admin", "--password-stdin"]
    env = environment(TOCSIN_DATA_DIR=str(folder))
    made = subprocess.run(command, env=env, input=PASSWORD, capture_output=True, text=True, check=False, timeout=60)
    if made.returncode:
        raise BenchError(f"`tocsin user add` failed: {made.stderr.strip()}")


def log_in(connection: http.client.HTTPConnection, target: Target) -> str:
    """The cookie of a new session of theirs. Raises `BenchError`."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{target.port}"}
    connection.request("POST", "/login", urlencode({"email": EMAIL, "password": PASSWORD}), headers)
    answer = connection.getresponse()
    answer.read()
    cookies = SimpleCookie(answer.headers.get("Set-Cookie", ""))
    if answer.status != 303 or not cookies:
        raise BenchError(f"the login was answered with {answer.status}")
    return "; ".join(f"{name}={one.value}" for name, one in cookies.items())


def _known(folder: Path) -> dict[str, str]:
    """The ids that addresses name: the first of each table."""
    database = Database(f"sqlite:///{folder}/tocsin.db")
    try:
        with database.read() as connection:
            return {name: connection.execute(sa.select(table.c.id).limit(1)).scalar_one() for name, table in NAMED.items()}
    finally:
        database.close()


def _look(target: Target, known: dict[str, str]) -> dict[str, list[float]]:
    """Milliseconds for each page, asked in turns."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    cookie = log_in(connection, target)
    times: dict[str, list[float]] = {page: [] for page in PAGES}
    for _ in range(TIMES):
        for page, template in PAGES.items():
            path = template.format_map(known)
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

"""Load: wrk for rates, and a plain sender that fills a server with a known content."""

import http.client
import os
import queue
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench.noise import Run, Watch
from bench.servers import BenchError, Target
from tocsin.bootstrap import build_core
from tocsin.settings import Settings
from tocsin.whmcs import store as whmcs
from tocsin.whmcs.model import Impact

SCRIPT = Path(__file__).with_name("events.lua")
SENDERS = 4
HOSTS = 200
TEXT = "This file system has less than five percent of its space left; writes will soon fail. Clean old journals or grow it."


def wrk(target: Target, *, mode: str, batch: int, lines: bool, connections: int, seconds: float) -> Run:
    """Posts as fast as *target* answers over *connections*, for *seconds*. Values as `events.lua` names them."""
    settings = {"FMT": target.speaks, "MODE": mode, "BATCH": str(batch), "NDJSON": str(int(lines))}
    if target.auth:
        settings["AUTH"] = target.auth
    length = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{length}s", "--timeout", "10s", "-s", str(SCRIPT), target.url]
    with Watch() as watch:
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=length + 60)
    answer = next((line[5:] for line in done.stdout.splitlines() if line.startswith("JSON ")), None)
    if answer is None:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    return Run(msgspec.json.decode(answer, type=dict[str, float]), watch.noise)


def event(number: int, status: str) -> bytes:
    """One of many: five types on two hundred hosts, severities 2 to 5, about 350 bytes."""
    return msgspec.json.encode(
        {
            "type": f"disk.full_{number % 5}",
            "subject": f"disk:/{number}",
            "host": f"web-{number % HOSTS}.example.com",
            "severity": 2 + number % 4,
            "status": status,
            "title": f"Disk {number} almost full",
            "message": TEXT,
            "attributes": {"job": "node", "environment": "production"},
        }
    )


def be_dear(folder: Path) -> None:
    """As a survey of WHMCS would: says of each host of `event` what hangs on it, so that every alert weighs something."""
    core = build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
    try:
        core.writer.call(lambda tx: whmcs.replace(tx, core.sites.get("main").id, [_impact(number) for number in range(HOSTS)]))
    finally:
        core.close()


def _impact(number: int) -> Impact:
    names = (f"web-{number}.example.com", f"192.0.2.{number}")
    return Impact("server", f"{number}", names, f"web-{number}", 20 + number, 10 + number, money={"EUR": 90_000 + 317 * number})


def alert(number: int) -> bytes:
    """The same as Alertmanager takes it."""
    labels = {
        "alertname": f"DiskFull{number % 5}",
        "instance": f"web-{number % HOSTS}.example.com",
        "disk": f"{number}",
        "severity": "warning",
        "job": "node",
    }
    annotations = {"summary": f"Disk {number} almost full", "description": TEXT}
    return msgspec.json.encode({"labels": labels, "annotations": annotations})


def send_all(target: Target, bodies: Iterable[bytes], kind: str) -> None:
    """Posts *bodies* over a few connections. Raises `BenchError` on any answer that is not a success."""
    waiting: queue.Queue[bytes | None] = queue.Queue(maxsize=2 * SENDERS)
    failures: list[str] = []
    senders = [threading.Thread(target=_send, args=(target, waiting, kind, failures), daemon=True) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for body in bodies:
        waiting.put(body)
    for _ in senders:
        waiting.put(None)
    for sender in senders:
        sender.join()
    if failures:
        raise BenchError(f"{len(failures)} requests failed, the first with: {failures[0]}")


def _send(target: Target, waiting: "queue.Queue[bytes | None]", kind: str, failures: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    headers = {"Content-Type": kind} | ({"Authorization": target.auth} if target.auth else {})
    while (body := waiting.get()) is not None:
        try:
            connection.request("POST", target.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{type(error).__name__}: {error}")
            connection.close()
            continue
        if answer.status not in (200, 202):
            failures.append(f"{answer.status} {text[:200]!r}")
    connection.close()

"""What it adds to a request that its key or its session is checked."""

import asyncio
import time
from pathlib import Path
from typing import Any

from litestar.connection import ASGIConnection

from bench.figures import Bound, Options, Part, Row
from tocsin.api.access import Guard
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core
from tocsin.core.clock import SystemClock
from tocsin.db.writer import Tx
from tocsin.identity import service, sessions
from tocsin.identity.model import Role, Scope
from tocsin.identity.service import KeyRing
from tocsin.identity.sessions import SessionBook
from tocsin.settings import Settings

CALLS = 2_500  # below the calls a minute that one may make
CPU = Bound(60, at_least=False, unit="µs")
BENCH = Who("bench")
URL = "http://127.0.0.1"


def measure(work: Path, _options: Options) -> Part:
    """The guard that stands before every handler, in this process, in CPU time; it looks into the database every two seconds."""
    core = build_core(Settings(data_dir=work / "access", database_url=f"sqlite:///{work}/access/tocsin.db"))
    try:
        took = asyncio.run(_both(core))
    finally:
        core.close()
    rows = [Row(what, f"{each:.1f}", target=CPU.text, met=CPU.is_met(each)) for what, each in took.items()]
    note = f"{CALLS:,} requests each, with what the first of them reads from the database."
    return Part("Checking who asks, µs of CPU", "", rows, [note], took)


async def _both(core: Core) -> dict[str, float]:
    clock = SystemClock()
    book = SessionBook(core.database, clock, URL)
    guard = Guard(KeyRing(core.database, clock), book, clock.now, URL)
    key, token = await core.writer.run(_make)
    with_key = _scope("/api/v1/alerts", (b"authorization", f"Bearer {key}".encode()))
    with_session = _scope("/alerts", (b"cookie", f"{book.cookie}={token}".encode()))
    return {"a key": await _one(guard, with_key), "a session": await _one(guard, with_session)}


def _make(tx: Tx) -> tuple[str, str]:
    now = SystemClock().now()
    key = service.make_key(tx, BENCH, "bench", frozenset({Scope.READ}), None, None, now)
    user = service.add_user(tx, "bench@example.com", "Bench", Role.ADMIN, None, now)
    return key.secret, sessions.begin(tx, user.id, "127.0.0.1", "bench", now).token


def _scope(path: str, header: tuple[bytes, bytes]) -> Any:
    headers = [(b"host", b"127.0.0.1"), (b"accept", b"text/html"), (b"user-agent", b"bench"), header]
    return {"type": "http", "method": "GET", "path": path, "path_template": path, "headers": headers, "client": ("127.0.0.1", 1)}


async def _one(guard: Guard, scope: Any) -> float:
    """Microseconds for each call, without what it costs to make up the request."""
    scopes: list[Any] = [{**scope, "state": {}} for _ in range(CALLS)]
    connections = [ASGIConnection[Any, Any, Any, Any](one) for one in scopes]
    begun = time.process_time()
    for connection in connections:
        await guard(connection, None)  # type: ignore[arg-type]  # the handler is not looked at
    return (time.process_time() - begun) / CALLS * 1_000_000

"""A Tocsin that real browsers can open: the showcase behind a real socket, with everybody's login at hand.

``python -m tests.web.site [PORT]`` serves it for a look; it prints the cookie to come in with.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from tests import cluster, showcase
from tests.api.service import Service
from tests.fakes import FakeClock
from tests.world import World
from tocsin.core.clock import DAY, monotonic
from tocsin.db import schema
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.engine.steps import STEPS
from tocsin.identity import sessions, store


class RunningClock(FakeClock):
    """Set by hand while the stage is played; then it runs."""

    began: float | None = None

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.at if self.began is None else self.at + int((monotonic() - self.began) * 1000)

    def run(self) -> None:
        """From now on time passes by itself."""
        self.began = monotonic()  # called again: the same moment once more


BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

Stage = Callable[[World], Awaitable[None]]


@dataclass
class Site:
    """``url`` is where it listens; ``cookies`` has each person's session by address."""

    service: Service
    url: str
    cookies: dict[str, str]
    clock: RunningClock
    _http: uvicorn.Server
    _task: "asyncio.Task[None]"

    @classmethod
    async def open(cls, database_url: str, folder: Path, stage: Stage = showcase.stage, port: int = 0, **settings: Any) -> "Site":
        """Plays *stage* and opens the doors."""
        port = port or cluster.free_port()
        url = f"http://127.0.0.1:{port}"
        clock = RunningClock(showcase.NOW - 3 * DAY)
        world = World(database_url, folder, clock=clock, public_url=url, whmcs_env="development", **settings)
        service = await Service.start(world)
        await stage(world)
        await count_events(service)
        clock.run()
        for step in service.engine.health.values():
            step.ended_at = clock.now()
        cookies = await world.write(lambda tx: _log_everybody_in(tx, service))
        config = uvicorn.Config(service.app, port=port, log_config=None, access_log=False, lifespan="off", server_header=False)
        # The default shows all that every frame holds: seconds for a page's fault.
        structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
        http = uvicorn.Server(config)
        task = asyncio.create_task(http._serve())
        while not http.started:
            await asyncio.sleep(0.005)
        return cls(service, url, cookies, clock, http, task)

    async def close(self) -> None:
        """Ends everything."""
        self._http.should_exit = self._http.force_exit = True
        await self._task
        await self.service.close()

    def cookie(self, email: str) -> dict[str, Any]:
        """A person's login as browsers keep it."""
        return {"name": self.service.server.sessions.cookie, "value": self.cookies[email], "url": self.url}


async def count_events(service: Service) -> None:
    """What the engine's step does, for the events of before."""
    clock = service.world.clock
    clock.at += 5_000
    await next(step for step in STEPS if step.name == "count events").run(service.server)
    clock.at -= 5_000


def _log_everybody_in(tx: Tx, service: Service) -> dict[str, str]:
    now = service.world.clock.now()
    users = store.list_users(tx.sql)
    return {user.email: sessions.begin(tx, user.id, "127.0.0.1", BROWSER, now).token for user in users}


async def _serve(port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/tocsin.db"
        database = Database(url)
        schema.upgrade(database)
        database.close()
        site = await Site.open(url, Path(folder), port=port)
        cookie = site.cookie(showcase.MARTA)
        sys.stdout.write(f"{site.url} {cookie['name']}={cookie['value']}\n")
        sys.stdout.flush()
        try:
            await asyncio.Event().wait()
        finally:
            await site.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8460))

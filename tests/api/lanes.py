"""The service behind the real HTTP server, so that both ways of the intake can be taken (docs/adr/0005-intake.md)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from uvicorn.server import ServerState

from tests.api.service import Caller, Service
from tocsin.api.fast_lane import protocol_for
from tocsin.api.problems import Answer
from tocsin.identity.model import ApiKey

PLAIN = "application/json"  # exactly this may take the short way
ORDINARY = "application/json; charset=utf-8"  # this means the same, and takes the ordinary one


@dataclass
class Lanes:
    """See the module. ``short`` holds the bodies that took the short way."""

    service: Service
    client: httpx.AsyncClient
    short: list[bytes] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, service: Service, *, keep_alive: float = 5.0) -> AsyncIterator["Lanes"]:
        """Listens on loopback. *keep_alive*: after so many seconds without a request a connection is closed."""
        intake = service.app.intake
        config = uvicorn.Config(service.app, http=protocol_for(intake), ws="none", lifespan="off", log_config=None)
        config.load()
        config.timeout_keep_alive = keep_alive  # type: ignore[assignment]  # less than a second, too
        state, loop = ServerState(), asyncio.get_running_loop()
        make: Any = config.http_protocol_class
        listening = await loop.create_server(lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            lanes = cls(service, client)
            take_plain = intake.take_plain

            def counted(key: ApiKey, body: bytes, respond: Callable[[Answer], None]) -> None:
                lanes.short.append(body)
                take_plain(key, body, respond)

            intake.take_plain = counted  # type: ignore[method-assign]
            yield lanes
        listening.close()
        await listening.wait_closed()

    async def post(self, caller: Caller, body: bytes, kind: str = PLAIN, **headers: str) -> httpx.Response:
        """One post. A key that was seen lately, and a plain kind, take the short way."""
        return await self.client.post("/api/v1/events", content=body, headers={**caller.headers, "Content-Type": kind, **headers})

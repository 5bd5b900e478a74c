"""The short way for plain posts answers like the ordinary one (docs/adr/0005-intake.md)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.api.service import Caller, Service
from tocsin.api.fast_lane import protocol_for
from tocsin.api.problems import Answer
from tocsin.identity.model import ApiKey

PLAIN = "application/json"  # exactly this may take the short way
ORDINARY = "application/json; charset=utf-8"  # this means the same, and takes the ordinary one
BODIES: dict[str, bytes] = {
    "an event": b'{"type": "disk.full", "host": "web3"}',
    "an array": b'[{"type": "disk.full", "host": "web4"}, {"type": "Disk full"}]',
    "an empty array": b"[]",
    "an unknown field": b'{"type": "disk.full", "hots": "web3"}',
    "no JSON": b'{"type": "disk.full"',
    "no object": b"42",
    "nothing": b"",
    "no UTF-8": b'{"type": "disk.full", "title": "\xff"}',
    "a NUL": b'{"type": "disk.full", "title": "a\\u0000b"}',
    "many packets": json.dumps([{"type": "disk.full", "message": "x" * 4000}] * 12).encode(),
}


@dataclass
class Lanes:
    """The service behind uvicorn; ``short`` counts the posts that took the short way."""

    service: Service
    client: httpx.AsyncClient
    short: list[bytes] = field(default_factory=list)

    async def post(self, caller: Caller, kind: str, body: bytes) -> tuple[int, str, str]:
        """Status, content type and body of the answer, without what is new each time."""
        answer = await self.client.post("/api/v1/events", content=body, headers={**caller.headers, "Content-Type": kind})
        return answer.status_code, answer.headers["content-type"], re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", answer.text)


@pytest.fixture
async def lanes(sqlite_service: Service) -> AsyncIterator[Lanes]:
    intake = sqlite_service.app.intake
    config = uvicorn.Config(sqlite_service.app, http=protocol_for(intake), ws="none", lifespan="off", log_config=None)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    make: Any = config.http_protocol_class
    listening = await loop.create_server(lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        lanes = Lanes(sqlite_service, client)
        take_plain = intake.take_plain

        def counted(key: ApiKey, body: bytes, respond: Callable[[Answer], None]) -> None:
            lanes.short.append(body)
            take_plain(key, body, respond)

        intake.take_plain = counted  # type: ignore[method-assign]
        yield lanes
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_both_ways_give_the_same_answer(lanes: Lanes, body: bytes) -> None:
    sender = lanes.service.sender
    ordinary = await lanes.post(sender, ORDINARY, body)
    assert lanes.short == []
    assert await lanes.post(sender, PLAIN, body) == ordinary
    assert lanes.short == [body]


async def test_a_key_without_the_scope_hears_the_same_on_both_ways(lanes: Lanes) -> None:
    reader, body = lanes.service.reader, BODIES["an event"]
    ordinary = await lanes.post(reader, ORDINARY, body)
    assert ordinary[0] == 403
    assert await lanes.post(reader, PLAIN, body) == ordinary
    assert lanes.short == [body]


async def test_a_key_that_was_not_seen_lately_is_looked_up_on_the_ordinary_way(lanes: Lanes) -> None:
    sender, body = lanes.service.sender, BODIES["an event"]
    assert (await lanes.post(sender, PLAIN, body))[0] == 202
    assert lanes.short == []
    lanes.service.world.clock.advance(2_001)
    assert (await lanes.post(sender, PLAIN, body))[0] == 202
    assert lanes.short == []
    assert (await lanes.post(sender, PLAIN, body))[0] == 202
    assert lanes.short == [body]

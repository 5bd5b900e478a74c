"""The short way for plain posts answers like the ordinary one (docs/adr/0005-intake.md)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.api.lanes import ORDINARY, PLAIN, Lanes
from tests.api.service import Caller, Service
from tocsin.api.fast_lane import MAX_BODY
from tocsin.audit.model import Who
from tocsin.identity import service as identity

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


async def told(lanes: Lanes, caller: Caller, kind: str, body: bytes) -> tuple[int, str, str]:
    """Status, content type and body of the answer, without what is new each time."""
    answer = await lanes.post(caller, body, kind)
    return answer.status_code, answer.headers["content-type"], re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", answer.text)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_both_ways_give_the_same_answer(lanes: Lanes, body: bytes) -> None:
    sender = lanes.service.sender
    ordinary = await told(lanes, sender, ORDINARY, body)
    assert lanes.short == []
    assert await told(lanes, sender, PLAIN, body) == ordinary
    assert lanes.short == [body]


async def test_a_key_without_the_scope_hears_the_same_on_both_ways(lanes: Lanes) -> None:
    reader, body = lanes.service.reader, BODIES["an event"]
    ordinary = await told(lanes, reader, ORDINARY, body)
    assert ordinary[0] == 403
    assert await told(lanes, reader, PLAIN, body) == ordinary
    assert lanes.short == [body]


async def test_a_key_that_was_not_seen_lately_is_looked_up_on_the_ordinary_way(lanes: Lanes) -> None:
    sender, body = lanes.service.sender, BODIES["an event"]
    assert (await told(lanes, sender, PLAIN, body))[0] == 202
    assert lanes.short == []
    lanes.service.world.clock.advance(2_001)
    assert (await told(lanes, sender, PLAIN, body))[0] == 202
    assert lanes.short == []
    assert (await told(lanes, sender, PLAIN, body))[0] == 202
    assert lanes.short == [body]


class Wire:
    """A connection on which a test decides which bytes travel together."""

    def __init__(self, lanes: Lanes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._authorization = lanes.service.sender.headers["Authorization"]

    @classmethod
    @asynccontextmanager
    async def open(cls, lanes: Lanes) -> AsyncIterator["Wire"]:
        """A new connection."""
        reader, writer = await asyncio.open_connection(lanes.client.base_url.host, lanes.client.base_url.port)
        try:
            yield cls(lanes, reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    def post(self, body: bytes, length: int | None = None) -> bytes:
        """A whole request in the bytes that a program sends every time."""
        head = f"POST /api/v1/events HTTP/1.1\r\nHost: tocsin\r\nAuthorization: {self._authorization}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body

    async def send(self, *packets: bytes) -> None:
        """Sends *packets*, each on its own."""
        for packet in packets:
            self._writer.write(packet)
            await self._writer.drain()
            await asyncio.sleep(0.02)  # so that they do not arrive as one

    async def is_ended(self, within: float) -> bool:
        """Whether the server closes the connection, which has nothing more to say."""
        try:
            return await asyncio.wait_for(self._reader.read(), within) == b""
        except TimeoutError:
            return False

    async def hear(self) -> tuple[int, object]:
        """Status and content of the next answer."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        assert length is not None
        return int(head.split()[1]), json.loads(await self._reader.readexactly(int(length[1])))


@pytest.fixture
async def wire(lanes: Lanes) -> AsyncIterator[Wire]:
    """A connection on which the key is known, and so is the head of a post of as many bytes as `FIRST` has."""
    async with Wire.open(lanes) as opened:
        for _ in range(2):
            await opened.send(opened.post(FIRST))
            assert (await opened.hear())[0] == 202
        yield opened


FIRST, SECOND = b'{"type": "disk.full", "host": "web1"}', b'{"type": "disk.full", "host": "web2"}'


async def hosts(lanes: Lanes) -> list[str]:
    found = (await lanes.service.reader.get("/events"))["items"]
    return [event["host"] for event in reversed(found)]


async def test_a_head_that_is_known_is_not_parsed_again(lanes: Lanes, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: object) -> None:
        raise AssertionError("this head was to be known")

    with monkeypatch.context() as patch:
        patch.setattr("tocsin.api.fast_lane._Protocol.on_headers_complete", no_more)
        await wire.send(wire.post(SECOND))
        status, answer = await wire.hear()
    assert status == 202
    assert isinstance(answer, dict)
    assert answer["accepted"] == 1
    assert await hosts(lanes) == ["web1", "web1", "web2"]


@pytest.mark.parametrize("cut", [1, 60, -len(SECOND), -5])
async def test_a_known_head_may_arrive_in_pieces(lanes: Lanes, wire: Wire, cut: int) -> None:
    whole = wire.post(SECOND)
    await wire.send(whole[:cut], whole[cut:], wire.post(FIRST))
    assert [(await wire.hear())[0] for _ in range(2)] == [202, 202]
    assert await hosts(lanes) == ["web1", "web1", "web2", "web1"]


async def test_what_looks_like_a_known_head_within_a_body_is_none(lanes: Lanes, wire: Wire) -> None:
    inner = wire.post(SECOND)
    await wire.send(wire.post(b"", length=len(inner)), inner, wire.post(FIRST))
    assert [(await wire.hear())[0] for _ in range(2)] == [422, 202]
    assert await hosts(lanes) == ["web1", "web1", "web1"]


async def test_requests_that_arrive_as_one_are_answered_one_after_the_other(lanes: Lanes, wire: Wire) -> None:
    await wire.send(wire.post(SECOND) + wire.post(FIRST) + wire.post(SECOND))
    assert [(await wire.hear())[0] for _ in range(3)] == [202, 202, 202]
    assert await hosts(lanes) == ["web1", "web1", "web2", "web1", "web2"]


async def test_the_key_of_a_known_head_may_have_been_revoked_since(lanes: Lanes, wire: Wire) -> None:
    service = lanes.service
    key = next(one for one in (await service.admin.get("/keys"))["items"] if one["name"] == "sender")
    assert (await service.admin.ask("DELETE", f"/keys/{key['id']}")).status_code == 204
    service.world.clock.advance(2_001)
    await wire.send(wire.post(SECOND))
    assert (await wire.hear())[0] == 401
    assert await hosts(lanes) == ["web1", "web1"]


async def test_a_key_that_is_in_use_is_looked_up_again_beside_the_requests(lanes: Lanes, wire: Wire) -> None:
    before = len(lanes.short)
    for _ in range(4):
        lanes.service.world.clock.advance(1_001)
        await wire.send(wire.post(SECOND))
        assert (await wire.hear())[0] == 202
        while lanes.service.server.keys._renewing:
            await asyncio.sleep(0.001)
    assert len(lanes.short) - before == 4, "none of them had to wait for its key"


async def test_a_key_in_use_that_is_revoked_elsewhere_works_no_longer_than_two_seconds(lanes: Lanes, wire: Wire) -> None:
    world, keys = lanes.service.world, lanes.service.server.keys
    (found,) = [key for key, _ in keys._seen.values() if key.name == "sender"]
    await world.write(lambda tx: identity.revoke_key(tx, Who("another process"), found.id, world.clock.now()))
    heard = []
    for _ in range(4):
        world.clock.advance(501)
        await wire.send(wire.post(SECOND))
        heard.append((await wire.hear())[0])
        while keys._renewing:
            await asyncio.sleep(0.001)
    assert heard[0] == 202
    assert heard[-1] == 401


async def test_a_connection_is_kept_while_it_is_used_and_ended_when_it_has_been_idle(sqlite_service: Service) -> None:
    async with Lanes.open(sqlite_service, keep_alive=0.3) as lanes, Wire.open(lanes) as wire:
        for _ in range(8):
            await wire.send(wire.post(FIRST))
            assert (await wire.hear())[0] == 202
            await asyncio.sleep(0.08)
        assert len(lanes.short) == 7
        assert not await wire.is_ended(within=0.05)
        assert await wire.is_ended(within=5)


async def test_a_connection_that_went_the_ordinary_way_last_is_ended_when_it_has_been_idle_too(sqlite_service: Service) -> None:
    async with Lanes.open(sqlite_service, keep_alive=0.3) as lanes, Wire.open(lanes) as wire:
        for body in (FIRST, FIRST, b"x" * (MAX_BODY + 1)):
            await wire.send(wire.post(body))
            assert (await wire.hear())[0] == (202 if body is FIRST else 422)
        assert len(lanes.short) == 1
        assert await wire.is_ended(within=5)

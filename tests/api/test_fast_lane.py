"""The short way for plain posts answers like the ordinary one (docs/adr/0005-intake.md)."""

import json
import re

import pytest

from tests.api.lanes import ORDINARY, PLAIN, Lanes
from tests.api.service import Caller

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

"""The ntfy stand-in behaves as the documentation of the real server says; otherwise what is tested against it proves nothing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from tests.standins import ntfy as faults
from tests.standins.ntfy import NtfyStandIn

TOKEN = "tk_" + "a" * 29
READER = "tk_" + "b" * 29


@pytest.fixture
async def server() -> AsyncIterator[NtfyStandIn]:
    server = await NtfyStandIn().start()
    yield server
    await server.close()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def publish(http: ClientSession, server: NtfyStandIn, **fields: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {fields.pop('token')}"} if "token" in fields else {}
    data = json.dumps({"topic": "t"} | fields, ensure_ascii=False).encode()
    async with http.post(server.url + "/", data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def get(http: ClientSession, address: str, token: str | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.get(address, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_it_answers_with_the_message(http: ClientSession, server: NtfyStandIn) -> None:
    status, message = await publish(http, server, message="  hi  ", title="T", priority=4, tags=["bell", "a,b"], sequence_id="s1")
    assert status == 200
    assert len(message["id"]) == 12
    assert message["expires"] > message["time"]
    assert (message["event"], message["message"], message["priority"]) == ("message", "hi", 4)
    assert message["tags"] == ["bell", "a", "b"]
    assert message["sequence_id"] == "s1"


async def test_an_empty_message_becomes_triggered_and_the_default_priority_is_left_out(http: ClientSession, server: NtfyStandIn) -> None:
    _, message = await publish(http, server, priority=3)
    assert message["message"] == "triggered"
    assert "priority" not in message


async def test_json_sent_to_a_topic_becomes_the_text(http: ClientSession, server: NtfyStandIn) -> None:
    async with http.post(server.url + "/t", data=b'{"message":"hi"}') as answer:
        assert (answer.status, (await answer.json())["message"]) == (200, '{"message":"hi"}')
    assert "root only" in server.violations[0]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"topic": "a b"}, 400, 40009),
        ({"topic": "v1"}, 400, 40010),
        ({"priority": 6}, 400, 40007),
        ({"priority": "high"}, 400, 40024),
        ({"tags": "a,b"}, 400, 40024),
        ({"actions": [{"action": "http", "label": "x", "url": "https://x"}] * 4}, 400, 40018),
        ({"actions": [{"action": "http", "label": "x"}]}, 400, 40018),
        ({"message": "x" * 4096}, 400, 40014),
        ({"message": "x" * 8192}, 413, 41303),
        ({"sequence_id": "a b"}, 400, 40049),
    ],
)
async def test_wrong_requests_get_the_documented_code(
    http: ClientSession, server: NtfyStandIn, fields: dict[str, Any], status: int, code: int
) -> None:
    answered, error = await publish(http, server, **fields)
    assert (answered, error["code"], error["http"]) == (status, code, status)
    assert server.received == []


async def test_a_message_of_4095_bytes_passes(http: ClientSession, server: NtfyStandIn) -> None:
    assert (await publish(http, server, message="x" * 4095))[0] == 200


async def test_an_unknown_field_is_ignored_and_noted(http: ClientSession, server: NtfyStandIn) -> None:
    assert (await publish(http, server, prio=5))[0] == 200
    assert server.violations == ["an unknown field: prio"]


async def test_version_2_13_ignores_sequence_ids(http: ClientSession) -> None:
    server = await NtfyStandIn(sequence_ids=False).start()
    assert "sequence_id" not in (await publish(http, server, sequence_id="s1"))[1]
    await server.close()


class TestAccess:
    @pytest.fixture
    async def guarded(self) -> AsyncIterator[NtfyStandIn]:
        server = await NtfyStandIn(access={TOKEN: {"whmcs-*": "wo"}, READER: {"whmcs-*": "ro"}}).start()
        yield server
        await server.close()

    @pytest.mark.parametrize(
        ("token", "topic", "status", "code"),
        [
            (TOKEN, "whmcs-a", 200, None),
            (TOKEN, "other", 403, 40301),
            (READER, "whmcs-a", 403, 40301),
            (None, "whmcs-a", 403, 40301),
            ("tk_x", "whmcs-a", 401, 40101),
        ],
    )
    async def test_who_may_write(
        self, http: ClientSession, guarded: NtfyStandIn, token: str | None, topic: str, status: int, code: int | None
    ) -> None:
        fields = {"topic": topic} | ({"token": token} if token else {})
        answered, body = await publish(http, guarded, **fields)
        assert (answered, body.get("code")) == (status, code)

    async def test_the_access_address_asks_for_the_right_to_read(self, http: ClientSession, guarded: NtfyStandIn) -> None:
        assert await get(http, guarded.url + "/whmcs-a/auth", READER) == (200, '{"success":true}')
        assert (await get(http, guarded.url + "/whmcs-a/auth", TOKEN))[0] == 403
        assert (await get(http, guarded.url + "/whmcs-a/json?poll=1", TOKEN))[0] == 403

    async def test_thirty_failed_logins_lock_everybody_with_credentials_out(self, http: ClientSession, guarded: NtfyStandIn) -> None:
        for _ in range(30):
            assert (await publish(http, guarded, topic="whmcs-a", token="tk_x"))[0] == 401
        assert (await publish(http, guarded, topic="whmcs-a", token=TOKEN))[1]["code"] == 42909


async def test_the_bucket_of_requests_runs_dry_without_a_retry_after(http: ClientSession) -> None:
    server = await NtfyStandIn(burst=2).start()
    assert [(await publish(http, server))[0] for _ in range(3)] == [200, 200, 429]
    async with http.post(server.url + "/", data=b'{"topic":"t"}') as answer:
        assert "Retry-After" not in answer.headers
    await server.close()


class TestReading:
    async def test_a_poll_gives_what_is_kept_from_a_time_or_after_an_id(self, http: ClientSession, server: NtfyStandIn) -> None:
        ids = [(await publish(http, server, message=text))[1]["id"] for text in ("one", "two", "three")]
        now = server.messages[0]["time"]

        async def read(query: str) -> list[str]:
            _, text = await get(http, f"{server.url}/t/json?poll=1{query}")
            return [json.loads(line)["message"] for line in text.splitlines()]

        assert await read("") == ["one", "two", "three"]
        assert await read(f"&since={now}") == ["one", "two", "three"]
        assert await read(f"&since={now + 60}") == []
        assert await read(f"&since={ids[0]}") == ["two", "three"]
        assert await read(f"&id={ids[1]}") == ["two"]
        assert await read("&since=latest") == ["three"]

    async def test_a_stream_opens_and_carries_messages_at_once(self, http: ClientSession, server: NtfyStandIn) -> None:
        async with http.get(server.url + "/t/json") as stream:
            assert json.loads(await stream.content.readline())["event"] == "open"
            await publish(http, server, message="live")
            assert json.loads(await stream.content.readline())["message"] == "live"

    async def test_health_is_static(self, http: ClientSession, server: NtfyStandIn) -> None:
        assert await get(http, server.url + "/v1/health") == (200, '{"healthy":true}')


class TestFaults:
    async def test_a_dropped_request_may_or_may_not_have_been_taken(self, http: ClientSession, server: NtfyStandIn) -> None:
        server.fail_next(faults.DROP, faults.DROP_AFTER_STORING)
        for taken in (0, 1):
            with pytest.raises(ServerDisconnectedError):
                await publish(http, server)
            assert len(server.received) == taken

    async def test_it_can_go_away_and_come_back_at_the_same_address(self, http: ClientSession, server: NtfyStandIn) -> None:
        await server.close()
        with pytest.raises(OSError, match="Cannot connect"):
            await publish(http, server)
        await server.restart()
        assert (await publish(http, server))[0] == 200

    async def test_a_lasting_fault_lasts_until_it_is_taken_back(self, http: ClientSession, server: NtfyStandIn) -> None:
        server.fail_always(faults.BROKEN)
        assert [(await publish(http, server))[0] for _ in range(2)] == [500, 500]
        server.fail_always(None)
        assert (await publish(http, server))[0] == 200


async def test_as_a_program_it_prints_its_address_and_obeys_another_process(http: ClientSession) -> None:
    command = (sys.executable, "-m", "tests.standins.ntfy", "--port", "0", "--fast")
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert program.stdout is not None
    address = (await program.stdout.readline()).decode().strip()
    async with http.post(address + "/", data=b'{"topic":"t","message":"hi"}') as answer:
        assert answer.status == 200
    received = json.loads((await get(http, address + "/_standin/received"))[1])
    assert received[0]["message"]["message"] == "hi"
    program.terminate()
    assert await program.wait() == 0

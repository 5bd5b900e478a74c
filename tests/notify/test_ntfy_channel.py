"""The ntfy channel against the stand-in; the publishing tests also against a real server where one is installed."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from tests.notify.letters import LINKS, NOW, a_letter, an_alert
from tests.standins import ntfy as faults
from tests.standins.ntfy import Fault, NtfyStandIn
from tests.standins.tls import Authority
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.ntfy import DOCUMENT_BYTES, Ntfy, document, sequence_id
from tocsin.notify.model import Contact, Letter, Links, Outcome, Presence, Result
from tocsin.notify.render import push_text

TOKEN = "tk_" + "a" * 29
TOPIC = Contact("c", "ntfy", "whmcs-alerts")
TWENTY_PAST_TEN = 1_764_066_000_000  # 2025-11-25 10:20 UTC


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


@pytest.fixture
async def server() -> AsyncIterator[NtfyStandIn]:
    """Fails the test if anything was published that a real server would not take as meant."""
    server = await NtfyStandIn().start()
    yield server
    await server.close()
    assert server.violations == []


@pytest.fixture
def channel(server: NtfyStandIn, door: HttpDoor) -> Ntfy:
    return Ntfy(server.url, None, door)


def nothing() -> None:
    """Nobody asks when it leaves."""


async def send(channel: Ntfy, letter: Letter | None = None) -> Outcome:
    return await channel.send(letter or a_letter(), nothing)


@pytest.fixture(params=["stand-in", "ntfy"])
async def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a stand-in and, where the program is installed, of a real server."""
    if request.param == "stand-in":
        server = await NtfyStandIn().start()
        yield server.url
        await server.close()
        assert server.violations == []
        return
    program = shutil.which("ntfy")
    if program is None:
        pytest.skip("no ntfy server is installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server.yml").write_text(f"listen-http: 127.0.0.1:{port}\ncache-file: {tmp_path / 'cache.db'}\n")
    process = await asyncio.create_subprocess_exec(program, "serve", "--config", str(tmp_path / "server.yml"))
    await _until_it_listens(port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    await process.wait()


async def _until_it_listens(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)


async def read_back(url: str) -> list[dict[str, object]]:
    async with ClientSession() as session, session.get(f"{url}/whmcs-alerts/json?poll=1") as answer:
        return [msgspec.json.decode(line) for line in (await answer.read()).splitlines()]


@pytest.mark.claim("N1")
class TestWhatArrives:
    async def test_a_page_arrives_with_its_sign_loudness_link_and_buttons(self, any_server: str, door: HttpDoor) -> None:
        outcome = await send(Ntfy(any_server, None, door))
        (message,) = await read_back(any_server)
        assert outcome.result is Result.SENT
        assert outcome.receipt is not None
        assert str(message["id"]) == outcome.receipt.split()[0]
        assert (message["title"], message["priority"]) == ("Service 77: creation failed", 5)
        assert message["tags"] == ["rotating_light", "acme"]
        assert message["click"] == LINKS.open
        actions = msgspec.convert(message["actions"], list[dict[str, object]])
        assert [(a["action"], a["label"], a["url"], a["method"], a["clear"]) for a in actions] == [
            ("http", "Acknowledge", LINKS.acknowledge, "POST", True),
            ("http", "Resolve", LINKS.resolve, "POST", True),
        ]

    @pytest.mark.parametrize("text", ["ü" * 9000, '"\\\n' * 4000, "🔥" * 4000, ",", "   ", "\x00\u202e"])
    async def test_any_text_arrives_as_a_message_and_not_as_a_file(self, any_server: str, door: HttpDoor, text: str) -> None:
        alert = an_alert(title=text[:200], message=text)
        assert (await send(Ntfy(any_server, None, door), a_letter(alert=alert))).result is Result.SENT
        (message,) = await read_back(any_server)
        assert "attachment" not in message
        assert str(message["message"]).startswith("Critical: acme, on srv-12.")

    async def test_what_is_over_has_no_buttons_and_no_link(self, channel: Ntfy, server: NtfyStandIn) -> None:
        alert = an_alert(status="resolved", resolved_at=NOW)
        await send(channel, a_letter("resolved", alert, links=None))
        assert {"actions", "click"}.isdisjoint(server.messages[0])

    @pytest.mark.claim("B3")
    async def test_the_token_goes_along(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"whmcs-*": "wo"}}).start()
        assert (await send(Ntfy(server.url, TOKEN, door))).result is Result.SENT
        await server.close()

    async def test_it_works_over_tls_with_a_private_authority(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        server = await NtfyStandIn(tls=authority.server_context("127.0.0.1")).start()
        door = HttpDoor(allow_private=True, ca_file=authority.ca_file)
        assert (await send(Ntfy(server.url, None, door))).result is Result.SENT
        await door.close()
        await server.close()


@pytest.mark.claim("N1")
class TestUpdatesOfTheSameMessage:
    async def test_all_news_of_one_alert_share_one_sequence(self, channel: Ntfy, server: NtfyStandIn) -> None:
        await send(channel, a_letter("opened"))
        await send(channel, a_letter("repeated", message_id="019aa5b1-2222-7000-8000-000000000002"))
        assert len({message["sequence_id"] for message in server.messages}) == 1
        assert channel.replaces is True

    async def test_the_receipt_says_that_it_replaced_the_one_before(self, channel: Ntfy) -> None:
        assert str((await send(channel)).receipt).endswith("(replaces the one before)")

    async def test_a_server_that_cannot_is_noticed_and_gets_plain_messages(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(sequence_ids=False).start()
        channel = Ntfy(server.url, None, door)
        assert (await send(channel)).receipt == server.messages[0]["id"]
        assert channel.replaces is False
        await server.close()

    def test_another_life_of_the_alert_and_a_digest_have_their_own(self) -> None:
        ids = [sequence_id(a_letter()), sequence_id(a_letter(alert=an_alert(generation=2))), sequence_id(a_letter("digest"))]
        assert len(set(ids)) == 3
        assert all(i.isalnum() and len(i) <= 64 for i in ids)


class TestSize:
    @pytest.mark.parametrize("text", ['"' * 5000, "\\" * 5000, "\n\n" * 3000 + "x", "a" * 5000, "é" * 5000])
    def test_the_document_stays_below_the_limit_however_much_is_escaped(self, text: str) -> None:
        long_links = Links("https://a.example/" + "o" * 400, "https://a.example/" + "a" * 400, "https://a.example/" + "r" * 400)
        letter = a_letter(alert=an_alert(title='"' * 200, message=text), links=long_links)
        body = document(push_text(letter), letter)
        assert len(body) < DOCUMENT_BYTES
        assert msgspec.json.decode(body)["click"] == long_links.open

    def test_letters_beyond_ascii_are_sent_as_they_are(self) -> None:
        letter = a_letter(alert=an_alert(title="Störung"))
        assert "Störung".encode() in document(push_text(letter), letter)

    async def test_a_server_with_smaller_limits_gets_a_shorter_message_within_the_same_attempt(
        self, channel: Ntfy, server: NtfyStandIn
    ) -> None:
        server.message_bytes = 2048
        departures: list[int] = []
        outcome = await channel.send(a_letter(alert=an_alert(message="x" * 5000)), lambda: departures.append(1))
        assert outcome.result is Result.SENT
        assert len(server.messages[0]["message"].encode()) <= 1000
        assert departures == [1]

    async def test_a_message_that_is_too_large_even_then_cannot_be_sent(self, channel: Ntfy, server: NtfyStandIn) -> None:
        server.fail_next(faults.TOO_LARGE, faults.TOO_LARGE)
        assert (await send(channel)).result is Result.PERMANENT

    async def test_a_message_shown_as_a_file_is_noted_in_the_receipt(self, channel: Ntfy, server: NtfyStandIn) -> None:
        server.message_bytes, server.attachments = 512, True
        outcome = await send(channel, a_letter(alert=an_alert(message="x" * 2000)))
        assert "shown as a file" in str(outcome.receipt)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fault", "result", "retry_after"),
        [
            (Fault(400, 40009), Result.PERMANENT, None),
            (Fault(400, 40018), Result.PERMANENT, None),
            (Fault(401, 40101), Result.REFUSED, HOUR),
            (Fault(403, 40301), Result.REFUSED, HOUR),
            (Fault(404, 40401), Result.REFUSED, HOUR),
            (faults.BUSY, Result.TEMPORARY, 5 * SECOND),
            (Fault(429, 42902), Result.REFUSED, HOUR),
            (Fault(429, 42904), Result.REFUSED, HOUR),
            (faults.LOCKED_OUT, Result.REFUSED, 10 * MINUTE),
            (Fault(429, 42910), Result.REFUSED, HOUR),
            (faults.BROKEN, Result.TEMPORARY, None),
            (faults.NO_SUBSCRIBER, Result.REFUSED, HOUR),
            (Fault(507, body="Insufficient Storage"), Result.TEMPORARY, None),
            (Fault(502, body="<html>Bad Gateway</html>"), Result.TEMPORARY, None),
            (Fault(429, body="slow down", headers={"Retry-After": "30"}), Result.TEMPORARY, 30 * SECOND),
            (Fault(429, body="slow down"), Result.TEMPORARY, 5 * SECOND),
            (Fault(403, body="<html>Forbidden</html>"), Result.REFUSED, HOUR),
            (Fault(400, body="The plain HTTP request was sent to HTTPS port"), Result.REFUSED, HOUR),
            (Fault(408, body="late"), Result.TEMPORARY, None),
            (Fault(301, body="", headers={"Location": "https://elsewhere.example"}), Result.REFUSED, HOUR),
            (faults.NOT_NTFY, Result.REFUSED, HOUR),
            (Fault(200, body='{"id":"x","event":"keepalive"}'), Result.REFUSED, HOUR),
            (Fault(200, body=""), Result.REFUSED, HOUR),
        ],
    )
    async def test_each_answer_has_its_class(
        self, channel: Ntfy, server: NtfyStandIn, fault: Fault, result: Result, retry_after: int | None
    ) -> None:
        server.fail_next(fault)
        outcome = await send(channel)
        assert (outcome.result, outcome.retry_after) == (result, retry_after)
        assert outcome.error
        assert str(fault.code or "") in outcome.error

    async def test_a_used_up_daily_quota_waits_for_midnight_utc(self, channel: Ntfy, server: NtfyStandIn) -> None:
        server.fail_next(faults.QUOTA)
        outcome = await send(channel, a_letter(now=TWENTY_PAST_TEN))
        assert (outcome.result, outcome.retry_after) == (Result.REFUSED, 13 * HOUR + 40 * MINUTE)
        assert "comes back at 00:00 UTC, in 13 h 40 min" in str(outcome.error)

    async def test_a_wrong_token_is_refused_and_never_shown(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"*": "rw"}}).start()
        wrong = "tk_" + "b" * 29
        outcome = await send(Ntfy(server.url, wrong, door))
        assert outcome.result is Result.REFUSED
        assert wrong not in str(outcome.error)
        await server.close()

    @pytest.mark.claim("B3")
    async def test_no_token_where_one_is_demanded_is_refused(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"*": "rw"}}).start()
        assert (await send(Ntfy(server.url, None, door))).result is Result.REFUSED
        await server.close()

    @pytest.mark.parametrize("topic", ["", "a/b", "a b", "x" * 65, "ä", "t?since=all"])
    async def test_a_topic_that_cannot_be_one_is_never_asked_for(self, channel: Ntfy, server: NtfyStandIn, topic: str) -> None:
        assert (await send(channel, a_letter(target=topic))).result is Result.PERMANENT
        assert server.requests == 0


@pytest.mark.claim("N5")
class TestLostAnswers:
    @pytest.mark.parametrize("fault", [faults.DROP, faults.DROP_AFTER_STORING])
    async def test_a_connection_lost_after_sending_leaves_it_unknown(self, channel: Ntfy, server: NtfyStandIn, fault: Fault) -> None:
        server.fail_next(fault)
        assert (await send(channel)).result is Result.UNKNOWN

    async def test_no_answer_in_time_leaves_it_unknown(self, channel: Ntfy, server: NtfyStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tocsin.notify.channels.ntfy.SEND_SECONDS", 0.4)
        server.fail_next(faults.HANG)
        assert (await send(channel)).result is Result.UNKNOWN

    async def test_a_server_that_is_down_was_not_reached_and_departing_was_not_called(self, channel: Ntfy, server: NtfyStandIn) -> None:
        await server.close()
        departures: list[int] = []
        outcome = await channel.send(a_letter(), lambda: departures.append(1))
        assert outcome.result is Result.TEMPORARY
        assert departures == []

    async def test_departing_is_called_before_the_server_sees_the_request(self, channel: Ntfy, server: NtfyStandIn) -> None:
        seen: list[int] = []
        await channel.send(a_letter(), lambda: seen.append(server.requests))
        assert seen == [0]


@pytest.mark.claim("N5")
class TestLookingUp:
    async def test_a_message_whose_answer_was_lost_is_found(self, channel: Ntfy, server: NtfyStandIn) -> None:
        server.fail_next(faults.DROP_AFTER_STORING)
        await send(channel)
        assert await channel.look_up(a_letter(), _just_now(server)) is Presence.PRESENT

    async def test_a_message_that_never_came_is_absent(self, channel: Ntfy, server: NtfyStandIn) -> None:
        server.fail_next(faults.DROP)
        await send(channel)
        assert await channel.look_up(a_letter(), NOW) is Presence.ABSENT

    async def test_another_message_about_the_same_alert_is_not_taken_for_it(self, channel: Ntfy, server: NtfyStandIn) -> None:
        await send(channel, a_letter(links=Links("https://alarm.example.com/a/another", "https://a", "https://b")))
        assert await channel.look_up(a_letter(), _just_now(server)) is Presence.ABSENT

    async def test_a_token_that_may_only_write_cannot_tell(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"*": "wo"}}).start()
        channel = Ntfy(server.url, TOKEN, door)
        await send(channel)
        assert await channel.look_up(a_letter(), _just_now(server)) is Presence.CANNOT_TELL
        await server.close()

    async def test_a_message_without_a_link_cannot_be_told_from_others(self, channel: Ntfy) -> None:
        assert await channel.look_up(a_letter(links=None), NOW) is Presence.CANNOT_TELL

    async def test_a_server_known_to_keep_nothing_cannot_tell(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(cache=False).start()
        channel = Ntfy(server.url, None, door)
        await send(channel)
        assert await channel.look_up(a_letter(), NOW) is Presence.CANNOT_TELL
        await server.close()

    async def test_a_server_that_is_down_cannot_be_asked_now(self, channel: Ntfy, server: NtfyStandIn) -> None:
        await server.close()
        assert await channel.look_up(a_letter(), NOW) is Presence.NOT_NOW

    async def test_a_server_that_is_asked_too_often_cannot_be_asked_now(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(burst=0).start()
        assert await Ntfy(server.url, None, door).look_up(a_letter(), NOW) is Presence.NOT_NOW
        await server.close()

    async def test_an_answer_cut_short_cannot_prove_absence(
        self, channel: Ntfy, server: NtfyStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tocsin.notify.channels.ntfy.POLL_BYTES", 300)
        await send(channel, a_letter(links=Links("https://alarm.example.com/a/another", "https://a", "https://b")))
        await send(channel)
        assert await channel.look_up(a_letter(), _just_now(server)) is Presence.CANNOT_TELL


def _just_now(server: NtfyStandIn) -> int:
    return int(server.received[-1].at * 1000)


class TestCheck:
    async def test_a_good_server_has_no_fault_and_gets_no_message(self, channel: Ntfy, server: NtfyStandIn) -> None:
        assert await channel.check(TOPIC) is None
        assert server.messages == []

    async def test_a_write_only_token_is_good_enough(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"whmcs-*": "wo"}}).start()
        assert await Ntfy(server.url, TOKEN, door).check(TOPIC) is None
        assert server.violations == []
        await server.close()

    async def test_a_wrong_token_is_found(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"*": "rw"}}).start()
        assert "NTFY_TOKEN" in str(await Ntfy(server.url, "tk_wrong", door).check(TOPIC))
        await server.close()

    async def test_a_missing_token_is_found(self, door: HttpDoor) -> None:
        server = await NtfyStandIn(access={TOKEN: {"*": "rw"}}).start()
        assert str(await Ntfy(server.url, None, door).check(TOPIC)).endswith("set NTFY_TOKEN.")
        await server.close()

    async def test_a_server_that_is_down_is_found(self, channel: Ntfy, server: NtfyStandIn) -> None:
        await server.close()
        assert "connection refused" in str(await channel.check(TOPIC))

    async def test_an_impossible_topic_is_found(self, channel: Ntfy) -> None:
        assert "not valid" in str(await channel.check(Contact("c", "ntfy", "a b")))

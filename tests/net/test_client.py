"""The HTTP client behind the door: how it writes a request, what it makes of answers of every shape, which connections it keeps."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from tocsin.net import client
from tocsin.net.client import address, written
from tocsin.net.http import HttpDoor, MaybeSent, NotSent

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Script:
    """A server that answers each request with the next of *answers*; an answer that ends with None closes the connection."""

    def __init__(self, *answers: tuple[bytes, None] | bytes) -> None:
        self.answers = list(answers)
        self.heads: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> "Script":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                writer.write(answer if isinstance(answer, bytes) else answer[0])
                if not isinstance(answer, bytes):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


class Play(Protocol):
    """Starts a server with these answers."""

    async def __call__(self, *answers: tuple[bytes, None] | bytes) -> Script: ...


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    running: list[Script] = []

    async def start(*answers: tuple[bytes, None] | bytes) -> Script:
        running.append(await Script(*answers).start())
        return running[-1]

    yield start
    for script in running:
        await script.close()


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


class TestTheRequest:
    @pytest.mark.parametrize(
        ("url", "host", "path"),
        [
            ("http://example.com", "example.com", "/"),
            ("https://Example.com:443/a?b=c&d=%20#part", "example.com", "/a?b=c&d=%20"),
            ("https://example.com:8443/", "example.com:8443", "/"),
            ("http://[::1]:80/x", "[::1]", "/x"),
            ("http://bücher.example/bücher und mehr", "xn--bcher-kva.example", "/b%C3%BCcher%20und%20mehr"),
            ("http://example.com/bot1:AAA-x/send\r\nX: y", "example.com", "/bot1:AAA-x/sendX:%20y"),
        ],
    )
    def test_an_address_becomes_a_host_and_a_path(self, url: str, host: str, path: str) -> None:
        to = address(url)
        assert (to.host_header, to.path) == (host, path)

    @pytest.mark.parametrize("url", ["", "/x", "ftp://example.com/", "http://", "http://a:b/", "http://[::1", "http://a:99999/"])
    def test_what_is_no_address_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            address(url)

    def test_a_name_and_password_in_the_address_go_along_unless_the_caller_has_better(self) -> None:
        to = address("http://user:p%40ss@example.com/")
        assert b"\r\nAuthorization: Basic dXNlcjpwQHNz\r\n" in written("GET", to, {}, None)
        assert b"Basic" not in written("GET", to, {"Authorization": "Bearer x"}, None)

    def test_a_post_says_its_length_and_a_get_has_none(self) -> None:
        to = address("http://example.com/")
        assert written("POST", to, {"A": "b"}, b"xyz") == b"POST / HTTP/1.1\r\nHost: example.com\r\nA: b\r\nContent-Length: 3\r\n\r\nxyz"
        assert b"Content-Length: 0" in written("POST", to, {}, None)
        assert b"Content-Length" not in written("GET", to, {}, None)


class TestTheAnswer:
    @pytest.mark.parametrize(
        ("answer", "status", "body"),
        [
            (HELLO, 200, b"hello"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello"),
            ((b"HTTP/1.0 200 OK\r\n\r\nhello", None), 200, b"hello"),
            ((b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", None), 404, b""),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
            (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + HELLO, 200, b"hello"),
        ],
    )
    async def test_every_shape_of_answer_is_read(
        self, play: Play, door: HttpDoor, answer: bytes | tuple[bytes, None], status: int, body: bytes
    ) -> None:
        site = await play(answer)
        found = await door.request("GET", site.url)
        assert (found.status, found.body, found.headers.get("link")) == (status, body, None)

    async def test_a_head_request_waits_for_no_body(self, play: Play, door: HttpDoor) -> None:
        site = await play(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        assert (await door.request("HEAD", site.url)).status == 200

    async def test_names_of_headers_ignore_case_and_the_first_of_a_name_counts(self, play: Play, door: HttpDoor) -> None:
        site = await play(b"HTTP/1.1 200 OK\r\nRetry-AFTER: 7\r\nretry-after: 8\r\nContent-Length: 0\r\n\r\n")
        headers = (await door.request("GET", site.url)).headers
        assert (headers["Retry-After"], headers.get("retry-after"), "RETRY-AFTER" in headers) == ("7", "7", True)

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhel", None), "broke off in the middle of its answer"),
            ((b"", None), "closed the connection before it answered"),
            ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", None), "is not HTTP"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000, "is not HTTP"),
        ],
    )
    async def test_what_is_no_whole_answer_may_have_been_sent(
        self, play: Play, door: HttpDoor, answer: bytes | tuple[bytes, None], words: str
    ) -> None:
        site = await play(answer)
        with pytest.raises(MaybeSent, match=words):
            await door.request("POST", site.url, body=b"x")


class TestConnections:
    async def test_one_that_was_closed_while_idle_is_not_used_again(self, play: Play, door: HttpDoor) -> None:
        site = await play((HELLO, None), HELLO)
        await door.request("POST", site.url, body=b"")
        await asyncio.sleep(0.05)
        assert (await door.request("POST", site.url, body=b"")).body == b"hello"
        assert site.connections == 2

    async def test_whoever_only_asks_asks_again_when_the_connection_turns_out_dead(self, play: Play, door: HttpDoor) -> None:
        site = await play(HELLO, (b"", None), HELLO)
        departures: list[int] = []
        await door.request("GET", site.url)
        answer = await door.request("GET", site.url, departing=lambda: departures.append(1))
        assert (answer.body, site.connections, departures) == (b"hello", 2, [1])

    async def test_a_post_is_never_repeated(self, play: Play, door: HttpDoor) -> None:
        site = await play(HELLO, (b"", None), HELLO)
        await door.request("POST", site.url, body=b"")
        with pytest.raises(MaybeSent):
            await door.request("POST", site.url, body=b"")
        assert len(site.heads) == 2

    async def test_it_is_not_kept_beyond_its_time_nor_after_an_answer_that_ends_it(
        self, play: Play, door: HttpDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "IDLE_SECONDS", 0.05)
        site = await play(HELLO, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", HELLO)
        await door.request("GET", site.url)
        await asyncio.sleep(0.1)
        for _ in range(2):
            await door.request("GET", site.url)
        assert site.connections == 3

    async def test_an_answer_that_nobody_asked_for_ends_it(self, play: Play, door: HttpDoor) -> None:
        site = await play(HELLO + HELLO, HELLO)
        for _ in range(2):
            assert (await door.request("POST", site.url, body=b"")).body == b"hello"
        assert site.connections == 2

    async def test_no_more_than_allowed_are_open_to_one_host(self, play: Play, door: HttpDoor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "CONNECTIONS_PER_HOST", 2)
        site = await play(*[HELLO] * 20)
        answers = await asyncio.gather(*[door.request("POST", site.url, body=b"") for _ in range(20)])
        assert ({answer.body for answer in answers}, site.connections) == ({b"hello"}, 2)

    async def test_who_finds_no_place_in_time_has_not_sent(self, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "CONNECTIONS_PER_HOST", 1)
        site = await play(b"", b"")
        door = HttpDoor(allow_private=True, connect_timeout=0.1)
        hanging = asyncio.create_task(door.request("POST", site.url, body=b"", within=1))
        await asyncio.sleep(0.02)
        with pytest.raises(NotSent, match=r"within 0\.1 s"):
            await door.request("POST", site.url, body=b"")
        hanging.cancel()
        await door.close()


async def test_an_exchange_leaves_nothing_to_the_collector_of_garbage(play: Play, door: HttpDoor) -> None:
    server = await play(HELLO, HELLO)
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            await door.request("GET", server.url)
        left = [one for one in gc.get_objects() if type(one).__module__ == client.__name__ and type(one).__name__ == "_Reader"]
    finally:
        gc.enable()
    assert left == []

"""The one door for outgoing HTTP: what it lets through, what it refuses, and what its errors promise."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.standins.tls import Authority
from tocsin.net.http import BODY_LIMIT, HttpDoor, HttpFailure, MaybeSent, NotSent, is_public

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
SECRET = "tk_verysecret"


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


class Site:
    """A server whose handler the test sets."""

    def __init__(self) -> None:
        self.handler: Handler = _hello
        self.requests: list[web.BaseRequest] = []
        self.url = ""
        self._runner = web.ServerRunner(web.Server(self._serve, handler_cancellation=True), shutdown_timeout=0.05)

    async def start(self, tls: object = None) -> "Site":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()  # type: ignore[arg-type]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handler(request)

    async def close(self) -> None:
        await self._runner.cleanup()


async def _hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"{request.method} {await request.text()}")


async def _hang(request: web.BaseRequest) -> web.Response:
    await request.read()
    await asyncio.sleep(60)
    return web.Response()


async def _drop(request: web.BaseRequest) -> web.Response:
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = await Site().start()
    yield site
    await site.close()


async def the_failure(request: Awaitable[object]) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        await request
    return caught.value


async def test_it_brings_back_status_headers_and_body(door: HttpDoor, site: Site) -> None:
    answer = await door.request("POST", site.url + "/x", body=b"hello")
    assert (answer.status, answer.body, answer.cut) == (200, b"POST hello", False)
    assert answer.headers["content-type"].startswith("text/plain")


async def test_an_error_status_is_an_answer_and_not_a_failure(door: HttpDoor, site: Site) -> None:
    async def teapot(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=500, text="no")

    site.handler = teapot
    assert (await door.request("GET", site.url)).status == 500


async def test_it_follows_no_redirect(door: HttpDoor, site: Site) -> None:
    async def elsewhere(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": site.url + "/other"})

    site.handler = elsewhere
    assert (await door.request("GET", site.url)).status == 302
    assert len(site.requests) == 1


async def test_it_reads_no_more_of_a_body_than_the_limit(door: HttpDoor, site: Site) -> None:
    async def flood(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * 65_536)
        return response

    site.handler = flood
    answer = await door.request("GET", site.url)
    assert (len(answer.body), answer.cut) == (BODY_LIMIT, True)


async def test_a_packed_bomb_stays_packed(door: HttpDoor, site: Site) -> None:
    async def bomb(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"\x1f\x8b packed", headers={"Content-Encoding": "gzip"})

    site.handler = bomb
    assert (await door.request("GET", site.url)).body == b"\x1f\x8b packed"


async def test_it_keeps_connections_for_the_next_request(door: HttpDoor, site: Site) -> None:
    for _ in range(5):
        await door.request("POST", site.url, body=b"x")
    assert len({request.transport for request in site.requests}) == 1


async def test_it_sends_no_cookie_that_a_server_gave_it(door: HttpDoor, site: Site) -> None:
    async def cookie(_request: web.BaseRequest) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b"})

    site.handler = cookie
    await door.request("GET", site.url)
    await door.request("GET", site.url)
    assert "Cookie" not in site.requests[1].headers


class TestWhetherItMayHaveLeft:
    async def test_departing_is_called_once_and_before_the_server_sees_anything(self, door: HttpDoor, site: Site) -> None:
        seen: list[int] = []
        await door.request("POST", site.url, body=b"x", departing=lambda: seen.append(len(site.requests)))
        assert seen == [0]

    async def test_a_refused_connection_was_not_sent(self, door: HttpDoor) -> None:
        departures: list[int] = []
        port = _a_closed_port()
        failure = await the_failure(door.request("POST", f"http://127.0.0.1:{port}/", departing=lambda: departures.append(1)))
        assert isinstance(failure, NotSent)
        assert failure.reason == f"no connection to 127.0.0.1:{port}: connection refused"
        assert departures == []

    async def test_an_unknown_name_was_not_sent(self, door: HttpDoor) -> None:
        failure = await the_failure(door.request("POST", "http://no-such-host.invalid/"))
        assert isinstance(failure, NotSent)
        assert failure.reason == "the name of no-such-host.invalid could not be resolved"

    async def test_a_connection_that_does_not_come_about_in_time_was_not_sent(self) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [_knock(full.getsockname()) for _ in range(4)]
            impatient = HttpDoor(allow_private=True, connect_timeout=0.1)
            failure = await the_failure(impatient.request("POST", f"http://127.0.0.1:{full.getsockname()[1]}/"))
            await impatient.close()
            for knock in waiting:
                knock.close()
        assert isinstance(failure, NotSent)
        assert failure.reason.endswith("within 0.1 s")

    async def test_no_answer_in_time_may_have_been_sent(self, door: HttpDoor, site: Site) -> None:
        site.handler = _hang
        failure = await the_failure(door.request("POST", site.url, body=b"x", within=0.4))
        assert isinstance(failure, MaybeSent)
        assert failure.reason.startswith("no answer from 127.0.0.1:")
        assert failure.reason.endswith(" within 0.4 s")

    async def test_a_connection_lost_after_the_request_may_have_been_sent(self, door: HttpDoor, site: Site) -> None:
        site.handler = _drop
        failure = await the_failure(door.request("POST", site.url, body=b"x"))
        assert isinstance(failure, MaybeSent)
        assert failure.reason.endswith("closed the connection before it answered")

    async def test_a_kept_connection_that_turns_out_dead_may_have_carried_it(self, door: HttpDoor, site: Site) -> None:
        await door.request("POST", site.url, body=b"x")
        site.handler = _drop
        assert isinstance(await the_failure(door.request("POST", site.url, body=b"x")), MaybeSent)

    async def test_an_answer_that_breaks_off_may_have_been_sent(self, door: HttpDoor, site: Site) -> None:
        async def half(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"only this")
            assert request.transport is not None
            request.transport.close()
            return response

        site.handler = half
        failure = await the_failure(door.request("POST", site.url, body=b"x"))
        assert isinstance(failure, MaybeSent)
        assert failure.reason.endswith("broke off in the middle of its answer")

    async def test_an_answer_that_is_not_http_may_have_been_sent(self, door: HttpDoor) -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        failure = await the_failure(door.request("GET", f"http://127.0.0.1:{port}/"))
        server.close()
        assert isinstance(failure, MaybeSent)
        assert failure.reason.endswith("is not HTTP")

    async def test_a_header_with_a_line_end_is_not_sent(self, door: HttpDoor, site: Site) -> None:
        failure = await the_failure(door.request("POST", site.url, headers={"Authorization": f"Bearer {SECRET}\r\nX: y"}))
        assert isinstance(failure, NotSent)
        assert site.requests == []

    async def test_after_closing_nothing_is_sent(self, site: Site) -> None:
        door = HttpDoor(allow_private=True)
        await door.close()
        assert isinstance(await the_failure(door.request("GET", site.url)), NotSent)

    @pytest.mark.parametrize("address", ["http://", "no-scheme", "ftp://127.0.0.1/x", "http://[::1", "http://127.1/"])
    async def test_a_malformed_address_is_not_sent(self, door: HttpDoor, address: str) -> None:
        assert isinstance(await the_failure(door.request("GET", address)), NotSent)


class TestSecrets:
    @pytest.mark.parametrize("handler", [_hang, _drop])
    async def test_an_error_holds_no_path_query_credentials_or_header(self, door: HttpDoor, site: Site, handler: Handler) -> None:
        site.handler = handler
        address = site.url.replace("://", f"://user:{SECRET}@") + f"/{SECRET}?auth={SECRET}"
        failure = await the_failure(door.request("POST", address, headers={"X-Key": SECRET}, within=0.1))
        assert SECRET not in failure.reason
        assert failure.__cause__ is None
        assert failure.__suppress_context__

    async def test_nor_when_it_could_not_connect(self, door: HttpDoor) -> None:
        address = f"http://user:{SECRET}@127.0.0.1:{_a_closed_port()}/{SECRET}?q={SECRET}"
        assert SECRET not in (await the_failure(door.request("GET", address))).reason


@pytest.mark.claim("S7")
class TestPrivateAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]"])
    async def test_they_are_refused_without_the_switch(self, host: str) -> None:
        door = HttpDoor(allow_private=False)
        failure = await the_failure(door.request("GET", f"http://{host}:9/"))
        await door.close()
        assert isinstance(failure, NotSent)
        assert failure.reason.endswith("is a private address, and those are not allowed here")

    async def test_a_name_is_judged_by_the_address_it_has_at_the_moment_of_connecting(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = int(site.url.rpartition(":")[2])
        resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        async def rebound(*_args: object, **_kwargs: object) -> list[object]:
            return list(resolved)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
        door = HttpDoor(allow_private=False)
        failure = await the_failure(door.request("GET", f"http://public.example:{port}/"))
        await door.close()
        assert isinstance(failure, NotSent)
        assert site.requests == []

    @pytest.mark.parametrize(
        ("address", "public"),
        [
            ("93.184.215.14", True),
            ("2606:4700::1111", True),
            ("100.64.0.1", False),
            ("192.168.1.1", False),
            ("172.16.5.5", False),
            ("224.0.0.1", False),
            ("255.255.255.255", False),
            ("fe80::1%eth0", False),
            ("fd00::1", False),
            ("::", False),
            ("::ffff:10.0.0.1", False),
            ("64:ff9b::a00:1", False),
            ("64:ff9b::5db8:d70e", True),
            ("2002:7f00:1::", False),
        ],
    )
    def test_what_is_public(self, address: str, public: bool) -> None:
        assert is_public(address) is public


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.mark.claim("B1")
    async def test_a_private_authority_is_trusted_when_it_is_given(self, authority: Authority) -> None:
        site = await Site().start(authority.server_context("127.0.0.1"))
        door = HttpDoor(allow_private=True, ca_file=authority.ca_file)
        assert (await door.request("GET", site.url)).status == 200
        await door.close()
        await site.close()

    @pytest.mark.claim("B1")
    @pytest.mark.parametrize(
        ("names", "days", "words"),
        [(("127.0.0.1",), 1, "unable to get local issuer"), (("10.9.9.9",), 1, "mismatch"), (("127.0.0.1",), -1, "expired")],
    )
    async def test_a_certificate_that_does_not_hold_stops_before_anything_is_sent(
        self, authority: Authority, names: tuple[str, ...], days: int, words: str
    ) -> None:
        site = await Site().start(authority.server_context(*names, days=days))
        door = HttpDoor(allow_private=True, ca_file=None if "issuer" in words else authority.ca_file)
        failure = await the_failure(door.request("POST", site.url, body=b"x"))
        await door.close()
        await site.close()
        assert isinstance(failure, NotSent)
        assert failure.reason.startswith("the certificate of 127.0.0.1:")
        assert words in failure.reason
        assert site.requests == []

    async def test_a_server_without_tls_is_told_apart(self, site: Site, door: HttpDoor) -> None:
        failure = await the_failure(door.request("GET", site.url.replace("http:", "https:")))
        assert isinstance(failure, NotSent)
        assert "TLS" in failure.reason


async def test_a_host_that_hangs_does_not_delay_another(door: HttpDoor, site: Site) -> None:
    other = await Site().start()
    other.handler = _hang
    hanging = [asyncio.create_task(the_failure(door.request("POST", other.url, within=60))) for _ in range(100)]
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    assert (await door.request("POST", site.url)).status == 200
    assert time.monotonic() - begun < 20
    for task in hanging:
        task.cancel()
    await other.close()


def _a_closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _knock(address: tuple[str, int]) -> socket.socket:
    knock = socket.socket()
    knock.setblocking(False)
    knock.connect_ex(address)
    return knock

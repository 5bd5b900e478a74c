"""http: what real servers answer, the honest and the others."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.checks.servers import Authority, answering, asked, http, serving
from tocsin.checks.model import Cause, HttpTarget, Level
from tocsin.checks.probes import dns
from tocsin.checks.probes.http import _Hop
from tocsin.checks.probes.kit import Means

pytestmark = pytest.mark.claim("M2")


def page(port: int, path: str = "/", **more: Any) -> HttpTarget:
    return HttpTarget(url=f"http://127.0.0.1:{port}{path}", **more)


@pytest.mark.claim("M12")
async def test_a_good_answer_is_fine_and_each_phase_has_its_time() -> None:
    async with serving(http(200, b"hello")) as port:
        found = await asked(page(port, "/shop?a=1"))
    assert (found.level, found.cause, found.words) == (Level.OK, Cause.FINE, "HTTP 200")
    assert list(found.phases) == ["dns", "connect", "first byte", "body"]
    assert found.evidence["body"] == "hello"
    assert found.evidence["address"] == "127.0.0.1"
    assert [text for _, text in found.trace][-2:] == ["> GET /shop?a=1", "< 200, 5 bytes"]


async def test_the_wrong_status_is_a_failure_with_its_evidence_and_cookies_are_not_kept() -> None:
    async with serving(http(503, b"<h1>" + b"x" * 9_000, Set_Cookie="sid=secret", X_Served_By="web-3")) as port:
        found = await asked(page(port))
    assert (found.level, found.cause) == (Level.FAILED, Cause.STATUS)
    assert found.words == "it answered HTTP 503, and 200-399 would be right"
    assert len(found.evidence["body"]) == 4_096
    assert ["X-Served-By", "web-3"] in found.evidence["headers"]
    assert "secret" not in str(found.evidence)


async def test_method_headers_and_body_arrive_as_they_were_given() -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(7))
        writer.write(b"HTTP/1.1 201 Made\r\n\r\ndone")

    async with serving(listen) as port:
        found = await asked(page(port, method="POST", headers={"X-Token": "t", "Accept": "text/plain"}, body='{"a":1}', statuses="201"))
    assert found.level is Level.OK
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\nHost: 127.0.0.1")
    assert b"X-Token: t\r\n" in head
    assert head.count(b"Accept: ") == 1
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    ("body", "wanted", "cause", "words"),
    [
        (b"All systems go", {"keyword": "systems go"}, Cause.FINE, "HTTP 200"),
        (b"Database error", {"keyword": "systems go"}, Cause.KEYWORD, "its answer does not say 'systems go'"),
        (b"Database error", {"no_keyword": "error"}, Cause.KEYWORD, "its answer says 'error'"),
        (b'{"queue":[{"depth":7}]}', {"json_path": "$.queue[0].depth", "json_op": "<", "json_value": 10}, Cause.FINE, "HTTP 200"),
        (
            b'{"queue":[{"depth":17}]}',
            {"json_path": "$.queue[0].depth", "json_op": "<", "json_value": 10},
            Cause.VALUE,
            "$.queue[0].depth is 17, and should be < 10",
        ),
        (b'{"queue":[]}', {"json_path": "$.queue[0].depth"}, Cause.VALUE, "its answer has no $.queue[0].depth"),
        (
            b"<!doctype html><title>Wartung</title>",
            {"json_path": "status"},
            Cause.NOT_JSON,
            "its answer is not JSON; it begins with '<!doctype html><title>Wartung</title>'",
        ),
        (b"", {"json_path": "status"}, Cause.NOT_JSON, "its answer is empty, and not JSON"),
        (b"[" * 50_000, {"json_path": "status"}, Cause.NOT_JSON, None),
        (b"\xff\xfe\x00", {"keyword": "ok"}, Cause.KEYWORD, "its answer does not say 'ok'"),
    ],
)
async def test_what_the_body_must_say(body: bytes, wanted: dict[str, Any], cause: Cause, words: str | None) -> None:
    async with serving(http(200, body)) as port:
        found = await asked(page(port, **wanted))
    assert found.cause is cause
    assert words is None or found.words == words


async def test_a_packed_body_is_unpacked_up_to_the_limit_and_no_further() -> None:
    async with serving(http(200, gzip.compress(b"0" * 50_000_000 + b"end"), Content_Encoding="gzip")) as port:
        found = await asked(page(port, keyword="end"))
    assert found.cause is Cause.KEYWORD
    async with serving(http(200, gzip.compress(b"all is well"), Content_Encoding="gzip")) as port:
        assert (await asked(page(port, keyword="is well"))).level is Level.OK


@pytest.mark.parametrize("redirects", [0, 2, 5])
async def test_redirects_are_followed_as_far_as_is_wanted(redirects: int) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        number = int(path[1:] or 0)
        answer = "200 OK\r\n" if number == 3 else f"302 Found\r\nLocation: /{number + 1}\r\n"
        writer.write(f"HTTP/1.1 {answer}Content-Length: 0\r\n\r\n".encode())

    async with serving(speak) as port:
        found = await asked(page(port, redirects=redirects))
    expected = {0: (Cause.FINE, "HTTP 302"), 2: (Cause.REDIRECTS, "it redirects more than 2 times"), 5: (Cause.FINE, "HTTP 200")}
    assert (found.cause, found.words) == expected[redirects]


async def test_a_circle_of_redirects_is_named_and_left() -> None:
    async with serving(http(301, b"", Location="/")) as port:
        found = await asked(page(port))
    assert found.cause is Cause.REDIRECTS
    assert found.words.startswith("it redirects in a circle, back to http://127.0.0.1")


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://", "gopher://127.0.0.1:1/"])
async def test_a_redirect_to_what_is_no_web_address_is_not_followed(where: str) -> None:
    async with serving(http(302, b"", Location=where)) as port:
        found = await asked(page(port))
    assert found.cause is Cause.REDIRECTS


async def test_what_proves_who_we_are_goes_to_the_first_host_only() -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(listen) as other, serving(http(302, b"", Location=f"http://127.0.0.1:{other}/")) as port:
        found = await asked(page(port, headers={"Authorization": "Bearer abc", "X-Api-Key": "k3y", "X-Other": "1"}))
    assert found.level is Level.OK
    assert b"Bearer abc" not in heard[0]
    assert b"k3y" not in heard[0]
    assert b"X-Other: 1" in heard[0]


@pytest.mark.parametrize(
    ("first", "then", "goes_home"),
    [
        ("https://a.example.com/x", "https://a.example.com/y", True),
        ("http://a.example.com/", "https://a.example.com/", True),
        ("https://a.example.com/", "http://a.example.com/", False),
        ("https://a.example.com/", "https://b.example.com/", False),
        ("https://a.example.com/", "https://a.example.com:8443/", False),
        ("https://a.example.com:8443/", "https://a.example.com:8443/z", True),
    ],
)
def test_home_is_the_same_place_or_the_same_host_by_https(first: str, then: str, *, goes_home: bool) -> None:
    assert _Hop(then).is_at(_Hop(first)) is goes_home


async def test_a_server_that_drips_one_byte_at_a_time_is_left_when_the_time_is_over() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
            writer.write(bytes([letter]))
            await asyncio.sleep(0.02)

    async with serving(drip) as port:
        found = await asked(page(port), timeout=0.4)
    assert (found.level, found.cause, found.heard) == (Level.FAILED, Cause.SILENT, True)
    assert found.words == "the answer did not end within 0.4 s"
    assert found.ms is not None
    assert found.ms < 1_500


async def test_of_an_answer_that_does_not_end_what_came_is_evidence(tmp_path: Path) -> None:
    async def stop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 900\r\nX-Served-By: web-3\r\n\r\n<h1>Bad")
        await writer.drain()
        await asyncio.sleep(5)

    authority = Authority(tmp_path)
    async with serving(stop, authority.context("127.0.0.1")) as port:
        hung = await asked(HttpTarget(url=f"https://127.0.0.1:{port}/"), Means(authority.ca_file), timeout=0.8)
    assert (hung.cause, hung.words) == (Cause.SILENT, "the answer did not end within 0.8 s")
    assert (hung.evidence["status"], hung.evidence["body"]) == (502, "<h1>Bad")
    assert ["X-Served-By", "web-3"] in hung.evidence["headers"]
    assert hung.evidence["certificate"]["names"] == ["127.0.0.1"]
    async with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")) as port:
        broken = await asked(page(port))
    assert (broken.cause, broken.evidence["status"], broken.evidence["body"]) == (Cause.BROKE_OFF, 200, "abc")


async def test_where_a_redirect_leads_nowhere_the_redirect_is_evidence(unused_port: int) -> None:
    async with serving(http(302, b"", Location=f"http://127.0.0.1:{unused_port}/")) as port:
        found = await asked(page(port))
    assert (found.cause, found.evidence["status"]) == (Cause.REFUSED, 302)


async def test_a_name_that_leads_home_and_away_is_asked_away_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS that lies: of the addresses of a name, those of our own network are left out, and nothing is said about the target."""
    import socket

    async def lie(*_args: object, **_more: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254")]

    asked_for = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked_for
        asked_for += 1

    async with serving(count) as port:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lie, raising=False)
        found = await asked(HttpTarget(url=f"http://shop.example.com:{port}/"), private=False)
    assert (found.level, found.cause, asked_for) == (None, Cause.OUR_RULES, 0)
    assert len([text for _, text in found.trace if "private address" in text or "no address that a check" in text]) == 3


async def test_a_body_without_end_is_left_at_the_limit() -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    async with serving(pour) as port:
        found = await asked(page(port, keyword="y"))
    assert found.words == "its answer does not say 'y' in the first 1024 KiB of it"
    assert sent < 30_000_000


async def test_headers_without_end_are_no_answer() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Y: " + b"z" * 1_000 + b"\r\n")
            await writer.drain()

    async with serving(pour) as port:
        found = await asked(page(port))
    assert (found.cause, found.words) == (Cause.PROTOCOL, "its headers are longer than 64 KiB")


@pytest.mark.parametrize(
    ("raw", "cause", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", Cause.PROTOCOL, "what answers there does not speak HTTP: 'SSH-2.0-OpenSSH_9.2'"),
        (b"", Cause.PROTOCOL, "it closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Cause.BROKE_OFF, "it broke off after 3 bytes of its answer"),
    ],
)
async def test_what_is_no_answer_is_named(raw: bytes, cause: Cause, words: str) -> None:
    async with serving(answering(raw)) as port:
        found = await asked(page(port))
    assert (found.level, found.cause, found.words) == (Level.FAILED, cause, words)


@pytest.mark.claim("K3")
async def test_a_slow_answer_is_a_warning_and_a_slower_one_more() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.06)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(slow) as port:
        warned = await asked(page(port), warning_ms=50)
        worse = await asked(page(port), warning_ms=20, critical_ms=50)
    assert (warned.level, warned.cause) == (Level.WARNING, Cause.SLOW)
    assert worse.level is Level.CRITICAL
    assert worse.words.endswith("ms, and 50 ms is too long")
    assert worse.phases["first byte"] >= 55


async def test_nobody_there_refuses_and_a_private_address_is_not_asked_unless_it_may_be(unused_port: int) -> None:
    found = await asked(page(unused_port))
    assert (found.level, found.cause, found.heard) == (Level.FAILED, Cause.REFUSED, True)
    async with serving(http()) as port:
        found = await asked(page(port), private=False)
        assert (found.level, found.cause) == (None, Cause.OUR_RULES)
        assert found.words == "127.0.0.1 is a private address, and this check may not go there"
        assert (await asked(HttpTarget(url=f"http://localhost:{port}/"), private=False)).level is None


async def test_the_address_where_clouds_keep_secrets_is_never_asked() -> None:
    found = await asked(HttpTarget(url="http://169.254.169.254/latest/meta-data/"))
    assert (found.level, found.cause) == (None, Cause.OUR_RULES)


async def test_a_name_that_does_not_exist_is_evidence_and_a_resolver_that_fails_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    async def lookup(error: int, *, works: bool = False) -> tuple[Level | None, Cause]:
        async def own_works(_within: float) -> bool:
            return works

        monkeypatch.setattr(dns, "own_works", own_works)

        async def fail(*_args: object, **_more: object) -> None:
            raise socket.gaierror(error, "it says")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail, raising=False)
        found = await asked(HttpTarget(url="http://shop.example.com/"))
        return found.level, found.cause

    assert await lookup(socket.EAI_NONAME) == (Level.FAILED, Cause.NO_NAME)
    assert await lookup(socket.EAI_AGAIN) == (None, Cause.OUR_RESOLVER)
    # Our own name server answers for others: it is the servers of this name that fail.
    assert await lookup(socket.EAI_AGAIN, works=True) == (Level.FAILED, Cause.RESOLVING)


async def test_https_has_its_certificate_judged_unless_that_is_not_wanted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    means = Means(authority.ca_file)
    async with serving(http(), authority.context("127.0.0.1")) as port:
        target = HttpTarget(url=f"https://127.0.0.1:{port}/")
        found = await asked(target, means)
        assert (found.level, list(found.phases)) == (Level.OK, ["dns", "connect", "tls", "first byte", "body"])
        assert found.expiry is not None
        assert found.evidence["certificate"]["names"] == ["127.0.0.1"]
        untrusted = await asked(target)
        assert (untrusted.level, untrusted.cause) == (Level.FAILED, Cause.CHAIN)
        assert untrusted.evidence["certificate"]["subject"] == "CN=127.0.0.1"
        assert (await asked(HttpTarget(url=f"https://127.0.0.1:{port}/", trusted=False))).level is Level.OK


async def test_plain_http_on_the_port_of_https_is_named() -> None:
    async def say_400(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n")
        await writer.drain()

    async with serving(say_400) as port:
        found = await asked(HttpTarget(url=f"https://127.0.0.1:{port}/"))
    assert (found.level, found.cause, found.words) == (Level.FAILED, Cause.TLS, "what answers there does not speak TLS")

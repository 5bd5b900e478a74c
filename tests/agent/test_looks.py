"""What an agent finds when it looks at checks: the same as the server would, of servers honest and others; and only where it may."""

import asyncio
import gzip
import json
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import tocsin_agent as agent
from tests.checks.build import a_check
from tests.checks.servers import Authority, Speak, answering, asked, http, serving
from tests.checks.test_line_probes import Reply, answer, greeting, name_server, record
from tocsin.checks import votes
from tocsin.checks.model import (
    BannerTarget,
    Cause,
    Definition,
    DnsTarget,
    Finding,
    HttpTarget,
    Level,
    PingTarget,
    Report,
    Target,
    TcpTarget,
    TlsTarget,
    Vote,
)
from tocsin.checks.probes import ping, report

pytestmark = pytest.mark.claim("M2")


async def looked(target: Target, *, reach_all: bool = True, **more: Any) -> Finding:
    """What the server makes of a look of the agent."""
    one = a_check(target=target, locations=("web-1",), **{"private": True, "timeout": 5, **more})
    return report.judge(one, (await looked_raw(one, reach_all=reach_all))[0], 3_000, 5_000)


async def looked_raw(one: Definition, *, reach_all: bool = True) -> tuple[Report, dict[str, Any]]:
    errand = msgspec.json.decode(msgspec.json.encode(votes.errand("c", one, Vote(location="web-1"), 0)))
    look = agent.Look(errand, reach_all)
    await asyncio.to_thread(look.make)
    sent = json.dumps(dict(look.found, age_ms=0))
    return msgspec.json.decode(sent, type=Report), look.found


def page(port: int, path: str = "/", **more: Any) -> HttpTarget:
    return HttpTarget(url=f"http://127.0.0.1:{port}{path}", **more)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    for _ in range(900):
        writer.write(b"y")
        await asyncio.sleep(0.02)


async def pouring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100_000)
    await asyncio.sleep(5)


async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await reader.read(1_000)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7;x=y\r\nis well\r\n0\r\n\r\n"
TO_NEXT = answering(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("speak", "wanted", "cause"),
    [
        (http(200, b"all is well"), {"keyword": "is well"}, Cause.FINE),
        (http(503, b"<h1>oh"), {}, Cause.STATUS),
        (http(200, b"Database error"), {"no_keyword": "error"}, Cause.KEYWORD),
        (http(200, b'{"depth": 17}'), {"json_path": "depth", "json_op": "<", "json_value": 10}, Cause.VALUE),
        (http(200, b"<!doctype html>"), {"json_path": "depth"}, Cause.NOT_JSON),
        (answering(CHUNKED), {"keyword": "all is well"}, Cause.FINE),
        (http(200, gzip.compress(b"all is well"), Content_Encoding="gzip"), {"keyword": "is well"}, Cause.FINE),
        (http(200, gzip.compress(b"0" * 9_000_000), Content_Encoding="gzip"), {"keyword": "is well"}, Cause.KEYWORD),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), {}, Cause.FINE),
        (http(301, b"", Location="/"), {}, Cause.REDIRECTS),
        (TO_NEXT, {"redirects": 0}, Cause.FINE),
        (TO_NEXT, {"redirects": 1}, Cause.REDIRECTS),
        (http(302, b"", Location="file:///etc/passwd"), {}, Cause.REDIRECTS),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, Cause.PROTOCOL),
        (answering(b"HTTP/1.1 200 OK\r\n" + b"X-Y: " + b"z" * 100_000), {}, Cause.PROTOCOL),
        (answering(b""), {}, Cause.PROTOCOL),
        (pouring, {"keyword": "y"}, Cause.KEYWORD),
        (dripping, {}, Cause.SILENT),
        (silent, {}, Cause.SILENT),
    ],
)
async def test_it_finds_what_the_server_finds(speak: Speak, wanted: dict[str, Any], cause: Cause) -> None:
    limit: dict[str, Any] = {"timeout": 0.8} if cause is Cause.SILENT else {}
    async with serving(speak) as port:
        began = time.monotonic()
        theirs, ours = await asyncio.gather(looked(page(port, **wanted), **limit), asked(page(port, **wanted), **limit))
    assert time.monotonic() - began < 4
    assert (theirs.level, theirs.cause) == (ours.level, ours.cause)
    assert theirs.cause is cause
    assert theirs.heard


async def test_a_failure_brings_its_evidence_and_no_cookie() -> None:
    async with serving(http(503, b"<h1>" + b"x" * 9_000, Set_Cookie="sid=secret", X_Served_By="web-3")) as port:
        found = await looked(page(port))
    assert found.words == "it answered HTTP 503, and 200-399 would be right"
    assert found.evidence["status"] == 503
    assert len(found.evidence["body"]) == 4_096
    assert ["X-Served-By", "web-3"] in found.evidence["headers"]
    assert "secret" not in str(found)
    assert list(found.phases) == ["dns", "connect", "first byte", "body"]
    assert [text for _, text in found.trace][-2:] == ["> GET /", "< 503, 4096 bytes and more"]


async def test_what_dripped_in_time_is_evidence() -> None:
    async with serving(dripping) as port:
        found = await looked(page(port), timeout=0.8)
    assert found.words == "the answer did not end within 0.8 s"
    assert found.evidence["status"] == 200
    assert found.evidence["body"].startswith("yyy")


async def test_certificates_are_judged_and_their_end_is_brought_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    async with serving(http(), authority.context("127.0.0.1")) as port:
        untrusted = await looked(HttpTarget(url=f"https://127.0.0.1:{port}/"))
        assert (untrusted.level, untrusted.cause) == (Level.FAILED, Cause.CHAIN)
        assert (await looked(HttpTarget(url=f"https://127.0.0.1:{port}/", trusted=False))).level is Level.OK
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        good = await looked(TlsTarget(host="127.0.0.1", port=port))
        wrong = await looked(TlsTarget(host="127.0.0.1", port=port, name="shop.example.com"))
    assert (good.level, good.words, list(good.phases)) == (Level.OK, "its certificate is valid", ["dns", "connect", "tls"])
    assert good.expiry is not None
    assert good.evidence["certificate"]["names"] == ["127.0.0.1"]
    assert (wrong.level, wrong.cause) == (Level.FAILED, Cause.WRONG_NAME)


async def test_ports_that_take_connections_and_that_do_not(unused_port: int) -> None:
    async with serving(http()) as port:
        open_port = await looked(TcpTarget(host="127.0.0.1", port=port))
    async with serving(banner) as other:
        not_tls = await looked(TlsTarget(host="127.0.0.1", port=other))
    closed = await looked(TcpTarget(host="127.0.0.1", port=unused_port))
    assert (open_port.level, open_port.words) == (Level.OK, f"port {port} takes connections")
    assert (not_tls.level, not_tls.cause) == (Level.FAILED, Cause.TLS)
    assert (closed.level, closed.cause, closed.heard) == (Level.FAILED, Cause.REFUSED, True)


@pytest.mark.parametrize(
    ("host", "reach_all", "private"),
    [
        ("127.0.0.1", False, True),
        ("127.0.0.1", True, False),
        ("::1", False, True),
        ("169.254.169.254", True, True),
        ("::ffff:10.0.0.1", False, False),
        ("2002:a00:1::", False, False),
        ("64:ff9b::a00:1", False, False),
        ("0.0.0.0", True, True),
    ],
)
async def test_it_goes_only_where_its_own_settings_and_the_check_let_it(host: str, *, reach_all: bool, private: bool) -> None:
    found = await looked(TcpTarget(host=host, port=9), reach_all=reach_all, private=private)
    assert (found.level, found.cause) == (None, Cause.OUR_RULES)


async def test_a_name_server_that_fails_is_its_own_trouble_and_a_name_that_is_not_there_is_evidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(number: int) -> Any:
        def fail(*_: object) -> None:
            raise agent.socket.gaierror(number, "it says")

        return fail

    monkeypatch.setattr(agent.socket, "getaddrinfo", failing(agent.socket.EAI_AGAIN))
    assert (await looked(TcpTarget(host="a.example.com", port=9))).level is None
    monkeypatch.setattr(agent.socket, "getaddrinfo", failing(agent.socket.EAI_NONAME))
    found = await looked(TcpTarget(host="a.example.com", port=9))
    assert (found.level, found.cause) == (Level.FAILED, Cause.NO_NAME)


def greets(said: bytes) -> Speak:
    """Says it, and goes if nothing is said to that."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.1)

    return speak


@pytest.mark.parametrize(
    ("protocol", "said", "cause"),
    [
        ("smtp", b"220-mail.example.com\r\n220 ready\r\n", Cause.FINE),
        ("smtp", b"554 no\r\n", Cause.PROTOCOL),
        ("smtp", b"hello\r\n", Cause.PROTOCOL),
        ("smtp", b"220-mail.exam", Cause.PROTOCOL),
        ("ftp", b"", Cause.PROTOCOL),
        ("imap", b"* OK ready\r\n", Cause.FINE),
        ("pop3", b"-ERR busy\r\n", Cause.PROTOCOL),
        ("ssh", b"mind the step\r\nSSH-2.0-OpenSSH_9.2\r\n", Cause.FINE),
        ("ssh", b"HTTP/1.0 400 no\r\n", Cause.PROTOCOL),
        ("ssh", b"a\n" * 60, Cause.PROTOCOL),
    ],
)
async def test_greetings_are_heard_and_judged_as_the_server_would(protocol: Any, said: bytes, cause: Cause) -> None:
    async with serving(greets(said)) as port:
        target = BannerTarget(host="127.0.0.1", protocol=protocol, port=port)
        theirs, ours = await asyncio.gather(looked(target), asked(target))
    assert (theirs.level, theirs.cause, theirs.words) == (ours.level, ours.cause, ours.words)
    assert theirs.cause is cause


async def test_a_greeting_behind_tls_must_say_a_word_and_brings_the_end_of_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    async with serving(greeting(b"* OK ready\r\n"), authority.context("127.0.0.1")) as port:
        good = await looked(BannerTarget(host="127.0.0.1", protocol="imap", port=port, tls=True))
        other = await looked(BannerTarget(host="127.0.0.1", protocol="imap", port=port, tls=True, keyword="Dovecot"))
    assert (good.level, good.words, list(good.phases)) == (Level.OK, "* OK ready", ["dns", "connect", "tls", "greeting"])
    assert good.expiry is not None
    assert (other.level, other.cause) == (Level.FAILED, Cause.KEYWORD)


ADDRESS = answer(record(1, bytes([192, 0, 2, 1])))


@pytest.mark.parametrize(
    ("replies", "by_tcp", "values", "cause"),
    [
        ([ADDRESS], None, ["192.0.2.1"], Cause.FINE),
        ([ADDRESS], None, ["192.0.2.2"], Cause.RECORD),
        ([answer(code=3)], None, [], Cause.NO_NAME),
        ([answer(code=2)], None, [], Cause.RESOLVING),
        ([answer(cut=True)], ADDRESS, ["192.0.2.1"], Cause.FINE),
        ([answer(cut=True)], None, [], Cause.PROTOCOL),
        ([lambda asked: b"\0\0" + ADDRESS(asked)[2:], lambda _: b"?", ADDRESS], None, [], Cause.FINE),
    ],
)
async def test_records_are_asked_for_and_judged_as_the_server_would(
    replies: list[Reply], by_tcp: Reply | None, values: list[str], cause: Cause
) -> None:
    async with name_server(*replies, tcp=by_tcp) as port:
        found = await looked(DnsTarget(host="a.example.com", values=values, server="127.0.0.1", port=port), timeout=3)
    assert found.cause is cause, found.words
    assert found.evidence.get("server", "127.0.0.1") == "127.0.0.1"


async def test_a_name_server_that_is_silent_is_down_and_the_agents_own_is_its_own_trouble(
    monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    named = await looked(DnsTarget(host="a.example.com", server="127.0.0.1", port=unused_port), timeout=1)
    monkeypatch.setattr(agent, "DNS_PORT", unused_port)
    monkeypatch.setattr(agent, "own_name_server", lambda: "127.0.0.1")
    own = await looked(DnsTarget(host="a.example.com"), timeout=1)
    monkeypatch.setattr(agent, "own_name_server", lambda: None)
    none = await looked(DnsTarget(host="a.example.com"), timeout=1)
    assert (named.level, named.cause) == (Level.FAILED, Cause.SILENT)
    assert [(one.level, one.cause) for one in (own, none)] == [(None, Cause.OUR_RESOLVER)] * 2


@pytest.mark.parametrize(("root_fails", "cause"), [(True, Cause.OUR_RESOLVER), (False, Cause.RESOLVING)])
async def test_that_its_own_name_server_fails_counts_only_if_it_knows_the_root(
    monkeypatch: pytest.MonkeyPatch, *, root_fails: bool, cause: Cause
) -> None:
    def reply(asked: bytes) -> bytes:
        return answer(code=0 if asked[12] == 0 and not root_fails else 2)(asked)

    async with name_server(reply) as port:
        monkeypatch.setattr(agent, "DNS_PORT", port)
        monkeypatch.setattr(agent, "own_name_server", lambda: "127.0.0.1")
        assert (await looked(DnsTarget(host="a.example.com"))).cause is cause


def test_the_agents_own_name_server_is_the_first_of_its_machine(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert agent.own_name_server(str(file)) is None
    file.write_text("# nameserver 192.0.2.9\nnameserver\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    assert agent.own_name_server(str(file)) == "192.0.2.1"


async def test_echoes_are_counted_and_where_none_may_be_sent_it_connects(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """Whether this machine lets its users send echo requests or not: both ways end well on loopback."""
    by_echo = await looked(PingTarget(host="127.0.0.1", count=2, port=unused_port))
    monkeypatch.setattr(agent, "echo_socket", lambda _: None)
    refused = await looked(PingTarget(host="127.0.0.1", port=unused_port))
    assert (by_echo.level, by_echo.heard) == (Level.OK, True)
    assert (refused.level, refused.evidence) == (Level.OK, {"by": "tcp", "address": "127.0.0.1"})


def test_an_echo_request_is_the_servers_own() -> None:
    for family in (agent.socket.AF_INET, agent.socket.AF_INET6):
        assert agent.echo_request(family, 3, b"12345678") == ping._packet(family, 3, b"12345678")


async def test_what_comes_back_is_counted_once_and_what_is_lost_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = agent.socket.socketpair(agent.socket.AF_UNIX, agent.socket.SOCK_DGRAM)

    class Wire:
        """Stands where the ICMP socket would: answers the first of three, twice."""

        def connect(self, _address: object) -> None:
            """There is one place only."""

        def send(self, packet: bytes) -> None:
            if packet[6:8] == b"\0\0":
                for _ in range(2):
                    theirs.send(b"\0" + packet[1:])
                theirs.send(b"\0" + packet[1:8] + b"xxxxxxxx")

        def __getattr__(self, name: str) -> Any:
            return getattr(ours, name)

    monkeypatch.setattr(agent, "echo_socket", lambda _: Wire())
    found = await looked(PingTarget(host="127.0.0.1", count=3), timeout=1)
    theirs.close()
    assert (found.level, found.cause, found.words) == (Level.WARNING, Cause.LOSS, "2 of 3 packets were lost")


def test_all_looks_share_what_the_system_trusts_and_with_the_link_if_they_can(tmp_path: Path) -> None:
    link, beside = (agent.Link("https://alarm.example.com", "k") for _ in range(2))
    beside.trust_as(link)
    shared = agent.Authorities(beside)
    assert shared.context(ssl, True) is shared.context(ssl, True) is beside.context(ssl) is link.context(ssl)
    assert shared.context(ssl, False) is shared.context(ssl, False)
    assert (shared.context(ssl, False).verify_mode, shared.context(ssl, True).verify_mode) == (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    assert shared.context(ssl, True).cert_store_stats()["x509_ca"] >= ssl.create_default_context().cert_store_stats()["x509_ca"]
    strict = agent.Link("https://alarm.example.com", "k", str(Authority(tmp_path).ca_file))
    own = agent.Authorities(strict).context(ssl, True)
    assert own is not strict.context(ssl), "an authority of our own server's is nobody whom looks should trust"
    plain = agent.Link("http://alarm.example.com", "k")
    beside.trust_as(plain)
    assert agent.Authorities(plain).context(ssl, True).verify_mode is ssl.CERT_REQUIRED

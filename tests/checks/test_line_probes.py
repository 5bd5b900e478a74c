"""banner, dns, ping, domain and script, each against a server or a program that is really there."""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.checks import engines
from tests.checks.servers import Authority, Speak, asked, http, serving
from tocsin.checks import dns_wire
from tocsin.checks.model import BannerTarget, Cause, DnsTarget, DomainTarget, Level, PingTarget, ScriptTarget
from tocsin.checks.probes import dns, ping
from tocsin.checks.probes.dns import own_server
from tocsin.checks.probes.kit import Means

pytestmark = pytest.mark.claim("M2")


# --- Greetings --------------------------------------------------------------------------------------------------------


def greeting(said: bytes) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.readline()

    return speak


@pytest.mark.parametrize(
    ("protocol", "said", "cause", "words"),
    [
        ("smtp", b"220-mail.example.com\r\n220 ESMTP ready\r\n", Cause.FINE, "220 ESMTP ready"),
        ("imap", b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", Cause.FINE, "* OK [CAPABILITY IMAP4rev1] Dovecot ready."),
        ("pop3", b"+OK Dovecot ready.\r\n", Cause.FINE, "+OK Dovecot ready."),
        ("ftp", b"220 ProFTPD\r\n", Cause.FINE, "220 ProFTPD"),
        ("ssh", b"welcome\r\nSSH-2.0-OpenSSH_9.2p1\r\n", Cause.FINE, "SSH-2.0-OpenSSH_9.2p1"),
        ("smtp", b"554 no service\r\n", Cause.PROTOCOL, "it greets strangely: '554 no service'"),
        ("smtp", b"HTTP/1.0 400 what\r\n", Cause.PROTOCOL, "it says 'HTTP/1.0 400 what', which is no answer of its protocol"),
        ("imap", b"* BYE too many\r\n", Cause.PROTOCOL, "it greets strangely: '* BYE too many'"),
        ("ftp", b"220", Cause.SILENT, "no greeting within 0.5 s"),
        ("smtp", b"220-and on\r\n" * 60, Cause.PROTOCOL, "its answer does not end"),
        ("pop3", b"x" * 200_000, Cause.PROTOCOL, "its line does not end within 64 KiB"),
    ],
)
async def test_servers_are_known_by_their_greeting(protocol: Any, said: bytes, cause: Cause, words: str) -> None:
    async with serving(greeting(said)) as port:
        found = await asked(BannerTarget(host="127.0.0.1", port=port, protocol=protocol), timeout=0.5)
    assert (found.cause, found.words) == (cause, words)


async def test_a_greeting_behind_tls_and_with_a_word_that_must_stand_in_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    means = Means(authority.ca_file)
    async with serving(greeting(b"* OK Dovecot ready.\r\n"), authority.context("localhost")) as port:
        target = BannerTarget(host="localhost", port=port, protocol="imap", tls=True, keyword="Cyrus")
        found = await asked(target, means)
    assert (found.level, found.words) == (Level.FAILED, "its greeting does not say 'Cyrus'")
    assert found.expiry is not None


# --- DNS --------------------------------------------------------------------------------------------------------------

Reply = Callable[[bytes], bytes]


def record(kind: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 300, len(data)) + data


def answer(*records: bytes, code: int = 0, cut: bool = False) -> Reply:
    flags = 0x8180 | code | (0x0200 if cut else 0)
    return lambda asked: asked[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + asked[12:] + b"".join(records)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, replies: list[Reply]) -> None:
        self._replies = replies

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for reply in self._replies:
            self._transport.sendto(reply(data), addr)


@asynccontextmanager
async def name_server(*replies: Reply, tcp: Reply | None = None) -> AsyncIterator[int]:
    """A small name server that answers each question with all of *replies*."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        said = tcp(asked) if tcp else b""
        writer.write(len(said).to_bytes(2, "big") + said)
        await writer.drain()

    async with serving(speak) as port:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Udp(list(replies)), local_addr=("127.0.0.1", port)
        )
        yield port
        transport.close()


def ask_for(port: int, kind: str = "A", *values: str) -> DnsTarget:
    return DnsTarget(host="shop.example.com", record=kind, values=list(values), server="127.0.0.1", port=port)  # type: ignore[arg-type]  # one of them


A1, A2 = record(1, bytes([192, 0, 2, 1])), record(1, bytes([192, 0, 2, 2]))
MAIL = b"\x00\x0a\x04mail\xc0\x0c"


@pytest.mark.parametrize(
    ("kind", "records", "values", "cause", "words"),
    [
        ("A", [A1, A2], ["192.0.2.2"], Cause.FINE, "2 values: 192.0.2.1, 192.0.2.2"),
        ("A", [A1], ["192.0.2.9"], Cause.RECORD, "its A record is 192.0.2.1 and not 192.0.2.9"),
        ("A", [], [], Cause.RECORD, "shop.example.com has no A record"),
        ("AAAA", [record(28, bytes(15) + b"\x01")], ["0:0:0:0:0:0:0:1"], Cause.FINE, "1 value: ::1"),
        ("MX", [record(15, MAIL)], ["10 mail.shop.example.com."], Cause.FINE, "1 value: 10 mail.shop.example.com"),
        ("TXT", [record(16, b"\x06v=spf1\x05 -all")], ["v=spf1 -all"], Cause.FINE, "1 value: v=spf1 -all"),
        ("CAA", [record(257, b"\x00\x05issuele.org")], [], Cause.FINE, "1 value: 0 issue le.org"),
        ("SRV", [record(33, b"\x00\x01\x00\x02\x14\x66\x03sip\xc0\x0c")], [], Cause.FINE, "1 value: 1 2 5222 sip.shop.example.com"),
        ("SOA", [record(6, b"\x02ns\xc0\x0c\xc0\x0c" + struct.pack("!IIIII", 7, 1, 1, 1, 1))], [], Cause.FINE, None),
        ("A", [record(5, b"\xc0\x0c"), A1], [], Cause.FINE, "1 value: 192.0.2.1"),
    ],
)
async def test_records_are_read_and_compared(kind: str, records: list[bytes], values: list[str], cause: Cause, words: str | None) -> None:
    async with name_server(answer(*records)) as port:
        found = await asked(ask_for(port, kind, *values))
    assert found.cause is cause
    assert words is None or found.words == words


REAL = (
    "host-record=shop.example.com,192.0.2.1,2001:db8::1",
    "mx-host=shop.example.com,mail.example.com,10",
    "cname=www.example.com,shop.example.com",
    *(f'txt-record=shop.example.com,"{n:03} {"x" * 200}"' for n in range(10)),  # more than fits into a datagram
)


async def test_a_real_name_server_is_understood(tmp_path: Path) -> None:
    with engines.name_server(tmp_path, *REAL) as port:
        found = {kind: await asked(ask_for(port, kind)) for kind in ("A", "AAAA", "MX", "TXT", "CAA")}
        alias = await asked(DnsTarget(host="www.example.com", record="A", server="127.0.0.1", port=port))
        gone = await asked(DnsTarget(host="gone.example.com", record="A", server="127.0.0.1", port=port))
    words = {kind: one.words for kind, one in found.items()}
    assert words["A"] == alias.words == "1 value: 192.0.2.1"
    assert words["AAAA"] == "1 value: 2001:db8::1"
    assert words["MX"] == "1 value: 10 mail.example.com"
    assert words["TXT"].startswith("10 values: ")
    assert words["CAA"] == "shop.example.com has no CAA record"
    assert gone.words == "gone.example.com does not exist (NXDOMAIN)"


async def test_a_name_that_is_gone_and_servers_that_fail_are_told_apart() -> None:
    async with name_server(answer(code=3)) as port:
        assert (await asked(ask_for(port))).words == "shop.example.com does not exist (NXDOMAIN)"
    async with name_server(answer(code=2)) as port:
        assert (await asked(ask_for(port))).cause is Cause.RESOLVING


async def test_an_answer_that_was_cut_is_asked_for_by_tcp() -> None:
    async with name_server(answer(cut=True), tcp=answer(A1)) as port:
        assert (await asked(ask_for(port))).words == "1 value: 192.0.2.1"
    async with name_server(answer(cut=True)) as port:
        assert (await asked(ask_for(port))).cause is Cause.PROTOCOL


async def test_answers_to_another_question_are_not_listened_to() -> None:
    def forged(asked: bytes) -> bytes:
        return bytes([asked[0] ^ 1]) + answer(record(1, bytes([6, 6, 6, 6])))(asked)[1:]

    def elsewhere(asked: bytes) -> bytes:
        return answer(A2)(asked).replace(b"shop", b"evil")

    async with name_server(forged, elsewhere, lambda _: b"\x00", answer(A1)) as port:
        assert (await asked(ask_for(port))).words == "1 value: 192.0.2.1"
    async with name_server(elsewhere) as port:
        found = await asked(ask_for(port), timeout=0.6)
    assert (found.cause, found.words) == (Cause.PROTOCOL, "its answer is to another question")


async def test_a_name_server_that_is_silent_is_down_and_our_own_that_fails_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with name_server() as port:
        assert (await asked(ask_for(port), timeout=0.4)).cause is Cause.SILENT
    monkeypatch.setattr("tocsin.checks.probes.dns.own_server", lambda: None)
    assert (await asked(DnsTarget(host="example.com"))).level is None


async def test_whether_our_own_name_server_works_is_asked_at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "own_server", lambda: "127.0.0.1")
    for replies, works in (([answer()], True), ([answer(code=2)], False), ([], False)):
        async with name_server(*replies) as port:
            monkeypatch.setattr(dns, "PORT", port)
            assert await dns.own_works(0.2) is works


def test_our_own_name_server_is_the_first_of_the_machines(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# by hand\nsearch example.com\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n")
    assert own_server(path) == "192.0.2.53"
    assert own_server(tmp_path / "none") is None


QUESTION = dns_wire.question(7, "shop.example.com", "TXT")


@given(st.binary(max_size=300), st.integers(0, 40))
def test_whatever_a_name_server_says_reading_it_ends(noise: bytes, count: int) -> None:
    head = QUESTION[:2] + struct.pack("!HHHHH", 0x8180, 1, count, 0, 0) + QUESTION[12:]
    for packet in (noise, head + noise, head + record(16, noise), head + b"\xc0" + bytes([len(head)]) + noise):
        try:
            assert dns_wire.read(packet, QUESTION).rcode == 0
        except dns_wire.Garbled as error:
            assert str(error).startswith(("its answer", "a name of its answer"))


# --- Ping -------------------------------------------------------------------------------------------------------------


async def test_a_machine_that_answers_no_icmp_of_ours_is_asked_by_connecting(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    monkeypatch.setattr(ping, "_socket", lambda _: None)
    refused = await asked(PingTarget(host="127.0.0.1", port=unused_port))
    assert (refused.level, refused.words, refused.evidence["by"]) == (Level.OK, f"answers on port {unused_port}", "tcp")
    async with serving(greeting(b"")) as port:
        assert (await asked(PingTarget(host="127.0.0.1", port=port))).level is Level.OK


def own_network() -> socket.socket | None:
    """An ICMP socket in a network of its own, where the kernel's switch is on; None where that may not be made."""
    made: list[socket.socket] = []

    def make() -> None:  # in a thread, which leaves its network with all that it is
        with suppress(OSError):
            if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
                return
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS: up
            Path("/proc/sys/net/ipv4/ping_group_range").write_text(f"0 {os.getgid()}")
            found = ping._socket(socket.AF_INET)
            made.extend([found] if found is not None else [])

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0] if made else None


async def test_the_kernel_answers_our_echo_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ping._socket(socket.AF_INET) or await asyncio.to_thread(own_network)
    if first is None:
        pytest.skip("net.ipv4.ping_group_range allows this user no ICMP, and it may make no network of its own")
    monkeypatch.setattr(ping, "_socket", lambda _: first)
    found = await asked(PingTarget(host="127.0.0.1", count=3))
    assert (found.level, found.cause, found.evidence["by"], found.heard) == (Level.OK, Cause.FINE, "icmp", True)
    assert (found.evidence["sent"], found.evidence["lost"], len(found.evidence["ms"])) == (3, 0, 3)
    assert found.ms is not None
    assert 0 < found.ms < 1_000


class Echo(asyncio.DatagramProtocol):
    """Answers as a kernel does, but for the packets of these numbers; twice, and with what is none of ours before it."""

    def __init__(self, lost: tuple[int, ...]) -> None:
        self._lost = lost

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        assert data[0] == 8
        number = int.from_bytes(data[6:8], "big")
        for answer in (b"\x03" + data[1:], b"\x00" + data[1:8] + b"another!" + data[16:], b"\x00" + data[1:], b"\x00" + data[1:]):
            if number not in self._lost:
                self._transport.sendto(answer, addr)


@pytest.mark.parametrize(
    ("lost", "level", "words"),
    [
        ((), Level.OK, "answers in"),
        ((0,), Level.OK, "answers in"),
        ((0, 2), Level.WARNING, "2 of 3 packets were lost"),
        ((0, 1, 2), Level.FAILED, "none of 3 packets was answered"),
    ],
)
async def test_what_comes_back_is_counted_once_for_each_packet(
    monkeypatch: pytest.MonkeyPatch, lost: tuple[int, ...], level: Level, words: str
) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Echo(lost), local_addr=("127.0.0.1", 0))

    async def at_the_echo(*_: object) -> list[object]:
        return [(socket.AF_INET, transport.get_extra_info("sockname"))]

    def datagrams(_: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        return made

    monkeypatch.setattr(ping, "GAP", 0.01)
    monkeypatch.setattr(ping, "resolve", at_the_echo)
    monkeypatch.setattr(ping, "_socket", datagrams)
    found = await asked(PingTarget(host="web-1.example.com", count=3, loss_percent=50), timeout=0.6)
    transport.close()
    assert (found.level, found.evidence["lost"]) == (level, len(lost))
    assert found.words.startswith(words)
    assert found.heard is (len(lost) < 3)


@pytest.mark.parametrize(
    ("took", "level"), [([1.0, 2.0, 3.0], Level.OK), ([1.0, 2.0], Level.OK), ([1.0], Level.WARNING), ([], Level.FAILED)]
)
def test_lost_packets_are_a_warning_and_none_at_all_is_silence(took: list[float], level: Level) -> None:
    from tocsin.checks.probes.kit import Kit

    found = ping.judged(PingTarget(host="a", loss_percent=50), took, Kit(Means(), within=1, allow_private=True))
    assert found.level is level
    assert found.heard is bool(took)


def test_an_echo_is_known_by_its_mark() -> None:
    packet = ping._packet(socket.AF_INET, 5, b"12345678")
    assert ping._checksum(packet) == 0
    reply = b"\x00" + packet[1:]
    assert ping._number_of(reply, socket.AF_INET, b"12345678") == 5
    assert ping._number_of(reply, socket.AF_INET, b"another!") is None
    assert ping._number_of(b"\x00" * 8, socket.AF_INET, b"12345678") is None


# --- Domains ----------------------------------------------------------------------------------------------------------

REGISTERED = b"""{"status": ["active"], "events": [{"eventAction": "registration", "eventDate": "2001-01-01T00:00:00Z"},
 {"eventAction": "expiration", "eventDate": "2027-03-01T04:00:00Z"}]}"""


@pytest.mark.parametrize(
    ("status", "body", "level", "words"),
    [
        (200, REGISTERED, Level.OK, "example.com is registered until 2027-03-01"),
        (200, REGISTERED.replace(b"active", b"pending delete"), Level.CRITICAL, "the registration is being deleted: pending delete"),
        (200, b'{"events": "what"}', Level.OK, "example.com is registered; its registry does not say until when"),
        (404, b"", Level.FAILED, "the registry does not know example.com: it is not registered"),
        (429, b"slow down", None, "the registry answered 429"),
        (200, b"<html>", None, "the registry answered nothing that can be read"),
    ],
)
async def test_a_registration_is_asked_at_the_registry_that_iana_lists(status: int, body: bytes, level: Level | None, words: str) -> None:
    async with serving(http(status, body)) as port:
        listed = f'{{"services": [[["org"], ["https://other.example/"]], [["com", "net"], ["http://127.0.0.1:{port}/rdap/"]]]}}'
        async with serving(http(200, listed.encode())) as iana:
            means = Means(registries=f"http://127.0.0.1:{iana}/dns.json")
            found = await asked(DomainTarget(host="Example.com"), means)
            again = await asked(DomainTarget(host="example.com"), means)
    assert (found.level, found.words) == (level, words)
    assert again.level is level
    if b"2027" in body:
        assert found.expiry is not None
        assert found.expiry.what == "registration"


async def test_an_ending_that_nobody_lists_says_nothing_about_the_domain() -> None:
    async with serving(http(200, b'{"services": [["broken"], 5]}')) as iana:
        found = await asked(DomainTarget(host="example.zz"), Means(registries=f"http://127.0.0.1:{iana}/"))
    assert (found.level, found.cause) == (None, Cause.REGISTRY)


# --- Scripts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for name, body in {
        "say": 'echo "$1|perf=1"; echo more; exit "$2"',
        "hang": "sleep 60 & wait",
        "flood": "yes | head -c 5000000",
        "env": "env",
    }.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    (tmp_path / "data").write_text("no program")
    (tmp_path / "link").symlink_to("/bin/true")
    return tmp_path


@pytest.mark.parametrize(("code", "level"), [(0, Level.OK), (1, Level.WARNING), (2, Level.FAILED), (3, None), (77, None)])
async def test_a_script_says_it_by_how_it_ends_and_its_first_line(scripts: Path, code: int, level: Level | None) -> None:
    found = await asked(ScriptTarget(script="say", arguments=["RAID; rm -rf $HOME", str(code)]), Means(scripts=scripts))
    assert found.level is level
    assert found.words.endswith("RAID; rm -rf $HOME")
    assert found.evidence["exit_code"] == code


async def test_a_script_that_hangs_is_killed_with_its_children(scripts: Path) -> None:
    found = await asked(ScriptTarget(script="hang"), Means(scripts=scripts), timeout=0.4)
    assert (found.level, found.cause) == (Level.FAILED, Cause.SILENT)


async def test_a_script_that_floods_is_read_to_its_end_and_kept_to_a_limit_and_sees_nothing_of_ours(
    scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len((await asked(ScriptTarget(script="flood"), Means(scripts=scripts))).evidence["output"]) == 4_096
    monkeypatch.setenv("TOCSIN_SMTP_URL", "smtp://u:secret@mail")
    assert "secret" not in (await asked(ScriptTarget(script="env"), Means(scripts=scripts))).evidence["output"]


@pytest.mark.parametrize("name", ["data", "link", "nothing", ".."])
async def test_nothing_runs_but_programs_of_the_folder_itself(scripts: Path, name: str) -> None:
    assert (await asked(ScriptTarget(script=name), Means(scripts=scripts))).cause is Cause.OUR_RULES
    assert (await asked(ScriptTarget(script="say"))).words == "no folder of scripts is allowed: set TOCSIN_SCRIPTS_DIR"

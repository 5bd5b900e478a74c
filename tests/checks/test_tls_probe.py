"""tls: certificates of every kind, on real servers."""

import asyncio
import ssl
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from tests.checks import engines
from tests.checks.servers import Authority, Speak, asked, serving
from tests.cluster import free_port
from tocsin.checks.model import BannerTarget, Cause, Level, TcpTarget, TlsTarget
from tocsin.checks.probes import certificates
from tocsin.checks.probes.kit import Kit, Means
from tocsin.core.clock import DAY, SystemClock

pytestmark = pytest.mark.claim("M3", "M2")


async def quiet(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_good_certificate_is_fine_and_its_end_is_known(authority: Authority) -> None:
    async with serving(quiet, authority.context("localhost", days=20)) as port:
        found = await asked(TlsTarget(host="localhost", port=port), Means(authority.ca_file))
    assert (found.level, found.words) == (Level.OK, "its certificate is valid")
    assert found.expiry is not None
    assert found.expiry.ends_at - SystemClock().now() == pytest.approx(20 * DAY, abs=60_000)
    assert found.evidence["certificate"]["key"] == "EC 256"
    assert found.evidence["tls"].startswith("TLSv1.3")


@pytest.mark.claim("K4")
@pytest.mark.parametrize(
    ("made", "level", "cause", "words"),
    [
        ({"days": -3}, Level.FAILED, Cause.EXPIRED, "it has expired on "),
        ({"names": ("shop.example.com", "www.example.com")}, Level.FAILED, Cause.WRONG_NAME, "it is for shop.example.com, www.example.com"),
        ({"self_signed": True}, Level.FAILED, Cause.SELF_SIGNED, "it has signed itself, so that nobody vouches for it"),
        ({"bits": 1_024}, Level.WARNING, Cause.WEAK, "its key is too short"),
    ],
)
async def test_a_bad_certificate_is_named_with_its_facts(
    authority: Authority, made: dict[str, object], level: Level, cause: Cause, words: str
) -> None:
    names = made.pop("names", ("localhost",))
    context: ssl.SSLContext = authority.context(*names, **made)  # type: ignore[misc, arg-type]  # what a server's context takes
    async with serving(quiet, context) as port:
        found = await asked(TlsTarget(host="localhost", port=port), Means(authority.ca_file))
    assert (found.level, found.cause) == (level, cause)
    assert found.words.startswith(words)
    assert found.evidence["certificate"]["subject"].startswith("CN=")
    assert found.expiry is not None


@pytest.mark.claim("K4")
async def test_an_incomplete_chain_is_told_from_a_whole_one(authority: Authority, tmp_path: Path) -> None:
    between = Authority(tmp_path, "Between", authority)
    means = Means(authority.ca_file)
    async with serving(quiet, between.context("localhost")) as whole, serving(quiet, between.context("localhost", chain=False)) as part:
        assert (await asked(TlsTarget(host="localhost", port=whole), means)).level is Level.OK
        found = await asked(TlsTarget(host="localhost", port=part), means)
    assert (found.level, found.cause) == (Level.FAILED, Cause.CHAIN)
    assert found.evidence["certificate"]["issuer"] == "CN=Between"


async def test_another_name_may_be_wanted_than_the_host(authority: Authority) -> None:
    async with serving(quiet, authority.context("mail.example.com")) as port:
        found = await asked(TlsTarget(host="127.0.0.1", port=port, name="mail.example.com"), Means(authority.ca_file))
    assert found.level is Level.OK


def test_what_is_no_certificate_is_named() -> None:
    evidence, expiry, flaw = certificates.looked_at(Kit(Means(), within=1, allow_private=True), b"0\x82\x01 not at all")
    assert (evidence, expiry) == ({}, None)
    assert flaw is not None
    assert (flaw.level, flaw.cause) == (Level.FAILED, Cause.UNREADABLE)


@pytest.mark.parametrize(
    ("key", "signature", "weak"),
    [("RSA 2048", "sha256", None), ("RSA 1024", "sha256", "1024"), ("EC 192", "sha384", "192"), ("EC 256", "sha1", "SHA1")],
)
def test_weak_keys_and_digests_are_known(key: str, signature: str, weak: str | None) -> None:
    said = certificates.weakness({"key": key, "signature": signature, "subject": "CN=a", "issuer": "CN=b"})
    assert (said is None) is (weak is None)
    assert weak is None or weak in (said or "")


def dialogue(context: ssl.SSLContext, *lines: tuple[bytes, bytes]) -> Speak:
    """A mail server: what it waits for, and what it says then; TLS after the last."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for wanted, said in lines:
            if wanted:
                assert (await reader.readline()).strip().upper().startswith(wanted)
            writer.write(said)
        await writer.drain()
        await writer.start_tls(context)
        await reader.read()

    return speak


MAIL = {
    "smtp": (
        (b"", b"220-mail.example.com\r\n220 ready\r\n"),
        (b"EHLO", b"250-mail.example.com\r\n250 STARTTLS\r\n"),
        (b"STARTTLS", b"220 go\r\n"),
    ),
    "imap": ((b"", b"* OK ready\r\n"), (b"A1 STARTTLS", b"* 1 EXISTS\r\na1 OK begin\r\n")),
    "pop3": ((b"", b"+OK ready\r\n"), (b"STLS", b"+OK begin\r\n")),
}


@pytest.mark.parametrize("protocol", list(MAIL))
async def test_mail_servers_are_asked_for_tls_in_their_own_words(authority: Authority, protocol: str) -> None:
    context = authority.context("localhost", days=10)
    async with serving(dialogue(context, *MAIL[protocol])) as port:
        found = await asked(TlsTarget(host="localhost", port=port, starttls=protocol), Means(authority.ca_file))  # type: ignore[arg-type]  # one of them
    assert found.words == "its certificate is valid"
    assert {"greeting", "tls"} <= set(found.phases)


async def test_a_real_mail_server_greets_and_begins_tls(authority: Authority) -> None:
    mail = Controller(Sink(), hostname="127.0.0.1", port=free_port(), tls_context=authority.context("127.0.0.1", days=10))
    mail.start()
    try:
        found = await asked(TlsTarget(host="127.0.0.1", port=mail.port, starttls="smtp"), Means(authority.ca_file))
        greeting = await asked(BannerTarget(host="127.0.0.1", port=mail.port, protocol="smtp"))
    finally:
        mail.stop()
    assert (found.level, found.words) == (Level.OK, "its certificate is valid")
    assert found.expiry is not None
    assert (greeting.level, greeting.words[:4]) == (Level.OK, "220 ")


async def test_a_real_imap_server_greets_and_begins_tls(authority: Authority) -> None:
    with engines.imap(authority.signed("127.0.0.1", days=10)) as port:
        found = await asked(TlsTarget(host="127.0.0.1", port=port, starttls="imap"), Means(authority.ca_file), timeout=5)
        greeting = await asked(BannerTarget(host="127.0.0.1", port=port, protocol="imap", keyword="Dovecot"), timeout=5)
    assert (found.level, found.words) == (Level.OK, "its certificate is valid")
    assert (greeting.level, greeting.words[:20]) == (Level.OK, "* OK [CAPABILITY IMA")


async def test_a_mail_server_without_tls_is_named() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said in (b"220 ready\r\n", b"250 hello\r\n", b"502 what?\r\n"):
            writer.write(said)
            await reader.readline()

    async with serving(speak) as port:
        found = await asked(TlsTarget(host="localhost", port=port, starttls="smtp"))
    assert (found.level, found.cause) == (Level.FAILED, Cause.PROTOCOL)
    assert found.words == "it does not offer STARTTLS: '502 what?'"


async def test_a_server_that_hangs_in_the_handshake_is_left(authority: Authority) -> None:
    async with serving(quiet) as port:
        found = await asked(TlsTarget(host="localhost", port=port), timeout=0.3)
    assert (found.cause, found.words) == (Cause.SILENT, "the TLS handshake did not end within 0.3 s")


@pytest.mark.claim("M11")
async def test_a_port_is_open_or_it_is_not(unused_port: int) -> None:
    async with serving(quiet) as port:
        assert (await asked(TcpTarget(host="localhost", port=port))).words == f"port {port} takes connections"
    assert (await asked(TcpTarget(host="127.0.0.1", port=unused_port))).cause is Cause.REFUSED

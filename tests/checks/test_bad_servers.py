"""Servers that mean no good, against everything that asks them: each look ends in its time, is named, and takes no more than it may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from tests.checks.servers import Speak, asked, serving
from tocsin.checks.model import BannerTarget, Cause, DatabaseTarget, DnsTarget, DomainTarget, Finding, HttpTarget, Level, Target, TlsTarget
from tocsin.core.clock import MINUTE
from tocsin.net.http import HttpDoor
from tocsin.pipeline import scraping
from tocsin.pipeline.scraping import NoPage, look
from tocsin.prometheus.model import Target as Exporter
from tocsin.whmcs import client
from tocsin.whmcs.client import WhmcsApi
from tocsin.whmcs.reading import WhmcsFault

pytestmark = pytest.mark.claim("M2", "K3")
HERE = "127.0.0.1"
WITHIN, LATEST_MS = 1.0, 8_000  # seconds; what is counted on a busy machine
PIECE = 1 << 16
MOST_TAKEN = 24 << 20  # bytes: one page of an exporter may have 8 MiB, and the kernel holds some
ANSWERED = {Cause.SILENT, Cause.PROTOCOL, Cause.BROKE_OFF, Cause.TLS, Cause.RECORD}
TOOK_TOO_MUCH: list[object] = []
TALK = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte at a time, for ever: never a whole line of anything."""
    while True:
        writer.write(b"2")
        await asyncio.sleep(0.02)


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten gigabytes in one line, as fast as they are taken. Who takes too much of it gets its end, and is known by that."""
    writer.write(TALK)
    for _ in range(MOST_TAKEN // PIECE):
        writer.write(b"a" * PIECE)
        await writer.drain()
    TOOK_TOO_MUCH.append(writer.get_extra_info("peername"))


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Takes what comes, and says nothing."""
    while await reader.read(1_000):
        pass


async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Goes at once."""
    writer.close()


def targets(port: int) -> list[Target]:
    """One of everything that connects."""
    banners = [BannerTarget(host=HERE, port=port, protocol=one) for one in ("smtp", "imap", "pop3", "ftp", "ssh")]
    begun = [TlsTarget(host=HERE, port=port, starttls=one) for one in ("none", "smtp", "imap", "pop3")]
    databases = [DatabaseTarget(host=HERE, port=port, engine=one, user="u", password="p") for one in ("mysql", "postgresql", "redis")]
    registry = DomainTarget(host="example.com", server=f"http://{HERE}:{port}")
    return [HttpTarget(url=f"http://{HERE}:{port}/", keyword="Welcome"), registry, *banners, *begun, *databases]


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


async def all_asked(port: int) -> list[tuple[Target, Finding]]:
    wanted = targets(port)
    found = await asyncio.gather(*[asked(one, timeout=WITHIN) for one in wanted])
    return list(zip(wanted, found, strict=True))


@pytest.mark.parametrize("speak", [drip, flood, hang, leave], ids=lambda speak: str(speak.__name__))
async def test_every_kind_of_check_is_through_with_it_in_time_and_says_what_it_saw(speak: Speak) -> None:
    async with serving(speak) as port:
        found = await all_asked(port)
    assert TOOK_TOO_MUCH == []
    for target, one in found:
        if isinstance(target, DomainTarget):
            assert one.level in (Level.FAILED, None), (target, one)  # a registry that is ill says nothing of the domain
            continue
        if isinstance(target, HttpTarget) and speak is flood:
            assert one.cause in (Cause.KEYWORD, Cause.SILENT), one
            continue
        assert one.level is Level.FAILED, (target, one)
        assert one.cause in ANSWERED, (target, one)
        assert one.words, target
        assert one.ms is None or one.ms < LATEST_MS, (target, one)


@pytest.mark.parametrize("speak", [drip, flood, hang, leave], ids=lambda speak: str(speak.__name__))
async def test_exporters_and_whmcs_are_left_in_time_with_a_reason(speak: Speak, door: HttpDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (scraping, client):
        monkeypatch.setattr(module, "WITHIN", WITHIN)
    async with serving(speak) as port:
        exporter = Exporter("1", 1, "node_exporter", f"http://{HERE}:{port}/metrics", HERE, MINUTE, None, False, True, "x", 0, 0)
        api = WhmcsApi(door, f"http://{HERE}:{port}", "kX7", "hush")
        both = asyncio.gather(look(door, exporter, 0), api.version(), return_exceptions=True)
        shown, version = await asyncio.wait_for(both, WITHIN + LATEST_MS / 1_000)
    assert TOOK_TOO_MUCH == []
    assert isinstance(shown, NoPage), shown
    assert isinstance(version, WhmcsFault), version
    assert str(shown)
    assert version.cure
    assert "hush" not in f"{shown} {version.reason} {version.cure}"


async def test_a_name_server_that_drips_over_tcp_is_left_in_time() -> None:
    class Short(asyncio.DatagramProtocol):
        """Says that the answer is too long for a packet."""

        def connection_made(self, transport: Any) -> None:
            self._transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self._transport.sendto(data[:2] + b"\x83\x80" + data[4:], address)

    async with serving(drip) as port:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Short, local_addr=(HERE, port))
        with suppress(OSError):
            found = await asked(DnsTarget(host="shop.example.com", server=HERE, port=port), timeout=WITHIN)
        transport.close()
    assert found.level in (Level.FAILED, None)
    assert found.cause in {*ANSWERED, Cause.RESOLVING}

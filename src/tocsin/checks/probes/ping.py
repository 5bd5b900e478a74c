"""ping: a machine answers. By an ICMP socket that needs no privilege; where this machine has none, by connecting."""

import asyncio
import os
import socket
import struct

from tocsin.checks.model import Cause, Finding, Level, PingTarget
from tocsin.checks.probes.kit import Kit
from tocsin.core.clock import monotonic
from tocsin.core.text import counted
from tocsin.net.dial import DialFault, Fault, refuse_forbidden, resolve

GAP = 0.2  # seconds between two
SIZE = 32


async def probe(target: PingTarget, kit: Kit) -> Finding:
    """Sends some, and counts what comes back. Raises `DialFault`."""
    family, address = (await resolve(target.host, 0, kit.trace))[0]
    refuse_forbidden(str(address[0]), allow_private=kit.allow_private)
    kit.trace.address = str(address[0])
    sock = _socket(family)
    if sock is None:
        return await _connect(target, kit)
    with sock, kit.trace.phase("ping"):
        took = await _exchange(sock, family, address, target.count, kit)
    return judged(target, took, kit)


def judged(target: PingTarget, took: list[float], kit: Kit) -> Finding:
    """What came back, each after so many milliseconds."""
    lost = target.count - len(took)
    evidence = {"sent": target.count, "lost": lost, "ms": [round(one, 2) for one in took], "by": "icmp"}
    if not took:
        return kit.failed(Cause.SILENT, f"none of {counted(target.count, 'packet')} was answered", evidence)
    kit.trace.heard = True
    mean = sum(took) / len(took)
    if lost * 100 >= target.loss_percent * target.count:
        return kit.found(Level.WARNING, Cause.LOSS, f"{lost} of {counted(target.count, 'packet')} were lost", evidence, ms=mean)
    return kit.found(Level.OK, Cause.FINE, f"answers in {mean:.1f} ms", evidence, ms=mean)


def _socket(family: int) -> socket.socket | None:
    """An ICMP socket, if this machine allows one (``net.ipv4.ping_group_range``)."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM, protocol)
    except OSError:
        return None
    sock.setblocking(False)
    return sock


async def _exchange(sock: socket.socket, family: int, address: tuple[object, ...], count: int, kit: Kit) -> list[float]:
    """The milliseconds of each answer; all have the same time limit, which leaves room to say how many came."""
    try:
        sock.connect(address)
    except OSError as error:
        raise DialFault(Fault.OUR_NETWORK, f"no way to {address[0]}: {os.strerror(error.errno or 0).lower()}") from None
    until = monotonic() + max(0.2, kit.within - kit.trace.ms / 1000 - 0.3)
    mark = os.urandom(8)
    sent: dict[int, float] = {}
    took: dict[int, float] = {}
    for number in range(count):
        sent[number] = monotonic()
        try:
            sock.send(_packet(family, number, mark))
        except OSError as error:
            kit.trace.note(f"not sent: {os.strerror(error.errno or 0).lower()}")
        await _collect(sock, family, mark, sent, took, min(until, monotonic() + GAP), everything=number == count - 1)
    await _collect(sock, family, mark, sent, took, until, everything=True)
    return [took[number] for number in sorted(took)]


async def _collect(
    sock: socket.socket, family: int, mark: bytes, sent: dict[int, float], took: dict[int, float], until: float, *, everything: bool
) -> None:
    """Takes answers until *until*, or until all of what was sent has come back where *everything* is waited for."""
    loop = asyncio.get_running_loop()
    while (left := until - monotonic()) > 0 and not (everything and len(took) == len(sent)):
        try:
            async with asyncio.timeout(left):
                packet = await loop.sock_recv(sock, 2_048)
        except TimeoutError:
            return
        except OSError:
            await asyncio.sleep(0.01)  # what a router on the way says, one error for each packet
            continue
        number = _number_of(packet, family, mark)
        if number is not None and number in sent and number not in took:
            took[number] = (monotonic() - sent[number]) * 1000


def _packet(family: int, number: int, mark: bytes) -> bytes:
    """An echo request; the kernel fills in the identifier, and for IPv6 the checksum."""
    kind, payload = (128 if family == socket.AF_INET6 else 8), mark.ljust(SIZE, b"\0")
    packet = struct.pack("!BBHHH", kind, 0, 0, 0, number) + payload
    return struct.pack("!BBHHH", kind, 0, _checksum(packet), 0, number) + payload


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _number_of(packet: bytes, family: int, mark: bytes) -> int | None:
    """Which of ours an echo reply answers; None for anything else."""
    if len(packet) < 16 or packet[0] != (129 if family == socket.AF_INET6 else 0) or packet[8:16] != mark:
        return None
    return int.from_bytes(packet[6:8], "big")


async def _connect(target: PingTarget, kit: Kit) -> Finding:
    """Any answer will do, a refusal too: somebody is there."""
    try:
        line = await kit.connect(target.host, target.port)
    except DialFault as fault:
        if fault.fault is not Fault.REFUSED:
            raise
    else:
        line.close()
    return connected(target, kit)


def connected(target: PingTarget, kit: Kit) -> Finding:
    """It answered, if only to an attempt to connect."""
    return kit.fine(f"answers on port {target.port}", {"by": "tcp"})

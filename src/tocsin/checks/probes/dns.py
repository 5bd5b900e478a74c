"""dns: a record is there, and is what it should be."""

import asyncio
import secrets
import socket
from ipaddress import ip_address
from pathlib import Path

from tocsin.checks import dns_wire
from tocsin.checks.dns_wire import Answer, Garbled
from tocsin.checks.model import Cause, DnsTarget, Finding
from tocsin.checks.probes.kit import Kit
from tocsin.core.text import counted, cut
from tocsin.net.dial import DialFault, Fault, refuse_forbidden, resolve

PORT = 53
RESOLV_CONF = Path("/etc/resolv.conf")
TRIES = 3
MAX_SHOWN = 20


async def probe(target: DnsTarget, kit: Kit) -> Finding:
    """Asks, by UDP and where the answer was cut by TCP. Raises `DialFault`."""
    own = None if target.server else own_server()
    if target.server is None and own is None:
        return kit.found(None, Cause.OUR_RESOLVER, "this machine has no name server: name one for the check")
    with kit.trace.phase("query"):
        try:
            server = own or await _address(target, kit)
            answer = await _ask(server, target.port if own is None else PORT, target, kit)
            works = answer.rcode != 2 or own is None or await own_works(max(0.1, kit.within - kit.trace.ms / 1000 - 0.1))
        except Garbled as error:
            return kit.failed(Cause.PROTOCOL, str(error))
        except TimeoutError:
            if own is not None:
                return kit.found(None, Cause.OUR_RESOLVER, f"our name server {own} did not answer")
            return kit.failed(Cause.SILENT, f"the name server {target.server} did not answer")
    kit.trace.heard = True
    return judged(target, answer, kit, server) if works else kit.found(None, Cause.OUR_RESOLVER, f"our name server {own} fails")


def judged(target: DnsTarget, answer: Answer, kit: Kit, server: str) -> Finding:
    """What an answer of *server* comes to."""
    evidence = {"server": server, "code": answer.code, "values": [cut(one, 300) for one in answer.values[:MAX_SHOWN]]}
    if answer.rcode == 3:
        return kit.failed(Cause.NO_NAME, f"{target.host} does not exist (NXDOMAIN)", evidence)
    if answer.rcode != 0:
        return kit.failed(Cause.RESOLVING, f"its name servers answer {answer.code}", evidence)
    if not answer.values:
        return kit.failed(Cause.RECORD, f"{target.host} has no {target.record} record", evidence)
    there = {_plain(value) for value in answer.values}
    missing = [value for value in target.values if _plain(value) not in there]
    if missing:
        words = f"{', '.join(answer.values[:5])} and not {', '.join(missing[:5])}"
        return kit.failed(Cause.RECORD, f"its {target.record} record is {words}", evidence)
    return kit.fine(f"{counted(len(answer.values), 'value')}: {cut(', '.join(answer.values[:5]), 200)}", evidence)


def _plain(value: str) -> str:
    """Two ways to write the same: case, the last dot, a long IPv6 address."""
    text = value.strip().lower().rstrip(".")
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def own_server(path: Path = RESOLV_CONF) -> str | None:
    """The first name server of this machine."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    found = [parts[1] for line in lines if len(parts := line.split()) > 1 and parts[0] == "nameserver"]
    return found[0] if found else None


async def own_works(within: float) -> bool:
    """Whether this machine's name server answers for the root."""
    own = own_server()
    if own is None:
        return False
    asked = dns_wire.question(secrets.randbelow(65_536), ".", "NS")
    try:
        return (await _by_udp(own, PORT, asked, within / TRIES)).rcode == 0
    except (Garbled, TimeoutError, DialFault):
        return False


async def _address(target: DnsTarget, kit: Kit) -> str:
    address = str((await resolve(target.server or "", target.port, kit.trace))[0][1][0])
    refuse_forbidden(address, allow_private=kit.allow_private)
    kit.trace.address, kit.trace.port = address, target.port
    return address


async def _ask(server: str, port: int, target: DnsTarget, kit: Kit) -> Answer:
    """Raises `Garbled`, and `TimeoutError` where nothing comes back."""
    asked = dns_wire.question(secrets.randbelow(65_536), target.name, target.record)
    kit.trace.note(f"> {target.record} {target.name}, asked at {server}")
    answer = await _by_udp(server, port, asked, max(0.1, (kit.within - kit.trace.ms / 1000) * 0.8 / TRIES))
    if answer.is_cut:
        answer = await _by_tcp(server, port, asked, max(0.1, kit.within - kit.trace.ms / 1000 - 0.1))
    kit.trace.note(f"< {answer.code}, {counted(len(answer.values), 'value')}")
    return answer


async def _by_udp(server: str, port: int, asked: bytes, each: float) -> Answer:
    """Asks up to three times; what answers another question is not listened to."""
    loop, garbled = asyncio.get_running_loop(), None
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect((server, port))
        except OSError:
            raise DialFault(Fault.OUR_NETWORK, f"no way to the name server {server}") from None
        for _ in range(TRIES):
            try:
                sock.send(asked)
                async with asyncio.timeout(each):
                    while True:
                        try:
                            return dns_wire.read(await loop.sock_recv(sock, 65_535), asked)
                        except Garbled as error:
                            garbled = error
            except TimeoutError:
                continue
            except OSError:  # a port where nobody listens
                await asyncio.sleep(min(each, 0.2))
    raise garbled or TimeoutError


async def _by_tcp(server: str, port: int, asked: bytes, within: float) -> Answer:
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(server, port)
            try:
                writer.write(len(asked).to_bytes(2, "big") + asked)
                size = int.from_bytes(await reader.readexactly(2), "big")
                return dns_wire.read(await reader.readexactly(size), asked)
            finally:
                writer.transport.abort()
    except (OSError, asyncio.IncompleteReadError):
        raise Garbled("its answer is too long for UDP, and it does not give it by TCP") from None

"""Connecting as a check does: step by step, each with its time, and honest about whose trouble a failure is.

A failure says which step failed and whether anything came back from the other side: only then it is evidence against it.
Who is asked is decided by the address at the moment of connecting, so that a name which changes its address gets nowhere.
"""

import asyncio
import enum
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from tocsin.core.clock import monotonic
from tocsin.core.text import cut, one_line
from tocsin.net.http import is_public

MAX_ADDRESSES = 4  # of a name that has many
BUFFER = 64 * 1024
MAX_TRACE = 60


class Fault(enum.Enum):
    """Which step failed, and at whom."""

    NO_NAME = "no such name"
    OUR_RESOLVER = "our resolver"
    OUR_RULES = "not allowed"
    OUR_NETWORK = "our network"
    OUR_MACHINE = "our machine"
    REFUSED = "refused"
    SILENT = "silent"
    BROKE_OFF = "broke off"
    TLS = "tls"
    CERTIFICATE = "certificate"


class DialFault(Exception):
    """No connection. ``code`` is OpenSSL's number of what is wrong with a certificate."""

    def __init__(self, fault: Fault, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.fault, self.reason, self.code = fault, reason, code


class Trace:
    """What was done, with the milliseconds since the start, and how long each phase took."""

    def __init__(self) -> None:
        self._began = monotonic()
        self.lines: list[tuple[float, str]] = []
        self.phases: dict[str, float] = {}
        self.heard = False  # something came back from the other side
        self.address: str | None = None
        self.port: int | None = None
        self.at = ""  # the phase that is under way, or that was broken off

    @property
    def ms(self) -> float:
        """Since the start."""
        return round((monotonic() - self._began) * 1000, 2)

    def note(self, text: str) -> None:
        """One more line."""
        if len(self.lines) < MAX_TRACE:
            self.lines.append((self.ms, cut(one_line(text), 300)))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times what is done within; times of the same name add up (a request that is redirected connects twice)."""
        began, self.at = monotonic(), name
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0.0) + (monotonic() - began) * 1000, 2)
        self.at = ""


class Line:
    """An open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        self.reader, self.writer, self.address = reader, writer, address

    def close(self) -> None:
        """Ends it at once, whatever is still under way."""
        with suppress(Exception):
            self.writer.transport.abort()

    def certificate(self) -> bytes | None:
        """The other side's certificate (DER), once TLS is on."""
        tls = self.writer.get_extra_info("ssl_object")
        return None if tls is None else tls.getpeercert(binary_form=True)

    def protocol(self) -> str:
        """Which TLS, and which cipher."""
        tls = self.writer.get_extra_info("ssl_object")
        cipher = tls.cipher() if tls is not None else None
        return "" if tls is None else f"{tls.version()} {cipher[0] if cipher else ''}".strip()


async def dial(host: str, port: int, trace: Trace, *, allow_private: bool, within: float) -> Line:
    """A connection to the first address that takes one. Raises `DialFault`.

    *within*: the seconds that all of *trace* may take; each address is given its share of what is left of them.
    """
    addresses = await resolve(host, port, trace)
    faults: list[DialFault] = []
    with trace.phase("connect"):
        for place, (family, address) in enumerate(addresses):
            trace.address, trace.port = str(address[0]), port
            try:
                refuse_forbidden(address[0], allow_private=allow_private)
                line = await _connect(family, address, trace, (within - trace.ms / 1000) / (len(addresses) - place))
            except DialFault as fault:
                faults.append(fault)
                trace.note(f"{address[0]}: {fault.reason}")
                continue
            trace.heard = True
            trace.note(f"connected to {line.address} port {port}")
            return line
    worst = min(faults, key=lambda fault: _TELLING.index(fault.fault) if fault.fault in _TELLING else len(_TELLING))
    trace.heard = worst.fault is Fault.REFUSED
    raise worst


# What says most about the other side, first.
_TELLING = (Fault.REFUSED, Fault.SILENT, Fault.OUR_RULES, Fault.OUR_NETWORK, Fault.OUR_MACHINE)
_Address = tuple[str, int] | tuple[str, int, int, int]


async def resolve(host: str, port: int, trace: Trace) -> list[tuple[int, _Address]]:
    """The addresses of a name, each with its family. Raises `DialFault`."""
    with trace.phase("dns"):
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                raise DialFault(Fault.NO_NAME, f"the name {host} does not exist, or has no address") from None
            raise DialFault(Fault.OUR_RESOLVER, f"our name server could not say where {host} is: {error.strerror}") from None
        except (UnicodeError, ValueError):
            raise DialFault(Fault.NO_NAME, f"{host} cannot be a name") from None
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))[:MAX_ADDRESSES]
    if not addresses:
        raise DialFault(Fault.NO_NAME, f"the name {host} has no address")
    trace.note(f"{host} is at {', '.join(str(address[0]) for _, address in addresses)}")
    return addresses  # type: ignore[return-value]  # typeshed has every kind of socket in one type


def refuse_forbidden(address: str, *, allow_private: bool) -> None:
    """Raises `DialFault` for an address that a check may not go to: a private one, unless that was allowed; where clouds keep
    their machines' secrets, always.
    """
    ip = ip_address(address.partition("%")[0])
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise DialFault(Fault.OUR_RULES, f"{address} is no address that a check may go to")
    if not allow_private and not is_public(address):
        raise DialFault(Fault.OUR_RULES, f"{address} is a private address, and this check may not go there")


async def _connect(family: int, address: _Address, trace: Trace, within: float) -> Line:
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        async with asyncio.timeout(max(0.05, within)):
            await asyncio.get_running_loop().sock_connect(sock, address)
        reader, writer = await asyncio.open_connection(sock=sock, limit=BUFFER)
    except TimeoutError:
        _close(sock)
        raise DialFault(Fault.SILENT, f"no connection within {trace.ms / 1000:.1f} s") from None
    except OSError as error:
        _close(sock)
        raise _why(error) from None
    except BaseException:
        _close(sock)
        raise
    return Line(reader, writer, str(address[0]))


def _close(sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()


_OURS = {errno.ENETUNREACH: Fault.OUR_NETWORK, errno.ENETDOWN: Fault.OUR_NETWORK, errno.EADDRNOTAVAIL: Fault.OUR_NETWORK}
_MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EACCES, errno.EPERM})


def _why(error: OSError) -> DialFault:
    number = error.errno or 0
    words = os.strerror(number).lower() if number else "it failed"
    if number == errno.ECONNREFUSED or isinstance(error, ConnectionResetError):
        return DialFault(Fault.REFUSED, f"the connection was refused ({words})")
    if number in _MACHINE:
        return DialFault(Fault.OUR_MACHINE, f"this machine could not connect: {words}")
    return DialFault(_OURS.get(number, Fault.SILENT), f"no connection: {words}")


async def secure(line: Line, context: ssl.SSLContext, name: str, trace: Trace) -> None:
    """Begins TLS on *line*. Raises `DialFault`."""
    with trace.phase("tls"):
        try:
            await line.writer.start_tls(context, server_hostname=name, ssl_handshake_timeout=60)
        except ssl.SSLCertVerificationError as error:
            words = cut(one_line(error.verify_message or "it does not verify"), 160)
            raise DialFault(Fault.CERTIFICATE, words, error.verify_code) from None
        except ssl.SSLError as error:
            raise DialFault(Fault.TLS, _tls_words(error)) from None
        except (OSError, EOFError, RuntimeError, AttributeError):
            # RuntimeError and AttributeError are what event loops say of a connection that closes under their hands.
            raise DialFault(Fault.BROKE_OFF, "the connection was closed during the TLS handshake") from None
    trace.note(f"TLS is on: {line.protocol()}")


def _tls_words(error: ssl.SSLError) -> str:
    reason = (error.reason or "").replace("_", " ").lower()
    known = {
        "wrong version number": "what answers there does not speak TLS",
        "record layer failure": "what answers there does not speak TLS",
        "http request": "what answers there does not speak TLS",
        "unsupported protocol": "only a TLS older than 1.2 is offered",
        "tlsv1 alert protocol version": "only a TLS older than 1.2 is offered",
    }
    return known.get(reason) or f"the TLS handshake failed: {reason or 'no reason was given'}"

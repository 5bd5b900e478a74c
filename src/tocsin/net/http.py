"""The one door for outgoing HTTP: bounded, verified, never redirected, and honest about what may have left.

HttpFailure
├── NotSent    nothing left: name, connection or TLS failed, or the request could not be written
└── MaybeSent  the request went out and no whole answer came back

A failure carries one plain sentence with the host's name and nothing else of the address: no path, query, or secret.
"""

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path

import msgspec

from tocsin.core.text import cut, one_line
from tocsin.net.client import AddrInfo, Broken, Client, NoName, NotHttp, Request, address, written

BODY_LIMIT = 64 * 1024
CONNECT_TIMEOUT = 5.0
_ALWAYS = {"User-Agent": "tocsin", "Accept": "*/*", "Accept-Encoding": "identity"}  # a packed answer would hide its size
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAT64 = IPv6Network("64:ff9b::/96")


class HttpFailure(Exception):
    """No answer. ``reason`` is a sentence for people, without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(HttpFailure):
    """The request certainly did not leave: sending it again cannot double it."""


class MaybeSent(HttpFailure):
    """The request left and no whole answer came: the other side may have acted on it."""


class Response(msgspec.Struct, frozen=True):
    """An answer of any status. ``headers`` ignore case; ``cut`` says that the body was longer than the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


def _nothing() -> None:
    """For requests where nobody asks when they leave."""


class _Attempt:
    """One request on its way; knows whether its first byte has been handed over."""

    __slots__ = ("_departing", "departed")

    def __init__(self, departing: Callable[[], None]) -> None:
        self.departed = False
        self._departing = departing

    def depart(self) -> None:
        if not self.departed:  # a GET is repeated when its idle connection turns out to be dead
            self.departed = True
            self._departing()


class HttpDoor:
    """Sends requests over a pool of kept connections. Make one per process; its session starts inside the running loop.

    ``allow_private`` False refuses every address that is not public, at the moment of connecting, so that a name which
    changes its address between check and use (DNS rebinding) gets nowhere. ``ca_file`` holds further authorities (PEM).
    """

    def __init__(self, *, allow_private: bool, ca_file: Path | None = None, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self._allow_private = allow_private
        self._connect_timeout = connect_timeout
        self._ca_file = ca_file
        if ca_file is not None:
            _trust(ca_file)  # a wrong file is told at the start; otherwise they are read when TLS is first spoken
        self._client: Client | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        within: float = 10.0,
        limit: int = BODY_LIMIT,
        departing: Callable[[], None] = _nothing,
    ) -> Response:
        """One exchange within *within* seconds; at most *limit* bytes of the answer are read.

        *departing* is called right before the first byte leaves. Raises `NotSent` or `MaybeSent`; an answer of any
        status, redirects included, is a `Response`.
        """
        attempt = _Attempt(departing)
        try:
            _refuse_control_characters(headers or {})
            to = address(url)
            text = written(method, to, {**_ALWAYS, **(headers or {})}, body)
            async with asyncio.timeout(within):
                answer = await self._open().request(Request(method, text, limit, attempt.depart), to, self._connect_timeout)
                return Response(answer.status, answer.headers, answer.body, answer.cut)
        except (Broken, NoName, NotHttp, TimeoutError, OSError, ValueError, RuntimeError) as error:
            # RuntimeError is what uvloop says of a connection that is just closing.
            # "from None": the original may hold the whole address or a header, and ends up in logs.
            raise _failure(error, _where(url), within, self._connect_timeout, departed=attempt.departed) from None

    def _open(self) -> Client:
        if self._closed:
            raise NotSent("Tocsin is shutting down")
        if self._client is None:
            self._client = Client(partial(_trust, self._ca_file), None if self._allow_private else _public_socket)
        return self._client

    async def close(self) -> None:
        """Closes all connections; requests after this raise `NotSent`."""
        self._closed = True
        if self._client is not None:
            self._client.close()


@cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whom we believe. One for all doors: the authorities of the world take two megabytes."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _refuse_control_characters(headers: Mapping[str, str]) -> None:
    if _CONTROL.search("".join([*headers, *headers.values()])):
        raise ValueError


class _PrivateAddress(OSError):
    """Raised at connect time. The text is the same for all addresses of a name, so that the pool reports it as one."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "private address")


def _public_socket(info: AddrInfo) -> socket.socket:
    """The last step before connecting sees the very address that will be used, whatever the name resolved to before."""
    family, kind, protocol, _name, address = info
    if not is_public(str(address[0])):
        raise _PrivateAddress
    return socket.socket(family=family, type=kind, proto=protocol)


def is_public(address: str) -> bool:
    """Whether *address* (textual IPv4 or IPv6) is a public unicast one, also when an IPv4 address hides in an IPv6 one."""
    ip = ip_address(address.partition("%")[0])
    hidden = _embedded(ip) if isinstance(ip, IPv6Address) else None
    if hidden is not None:
        return is_public(str(hidden))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped, 6to4, Teredo or NAT64 address leads to."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _where(url: str) -> str:
    """``host`` or ``host:port`` of *url*, and nothing else of it."""
    try:
        return address(url).host_header
    except ValueError:
        return "the address"


def _failure(error: Exception, where: str, timeout: float, connect_timeout: float, *, departed: bool) -> HttpFailure:
    if departed:
        return MaybeSent(_reason_after(error, where, timeout))
    return NotSent(_reason_before(error, where, min(timeout, connect_timeout)))


def _reason_before(error: Exception, where: str, timeout: float) -> str:
    match error:
        case NoName():
            return f"the name of {where} could not be resolved"
        case ssl.SSLCertVerificationError():
            return f"the certificate of {where} is not trusted: {cut(one_line(error.verify_message), 120)}"
        case ssl.SSLError():
            return f"TLS with {where} failed"
        case _PrivateAddress():
            return f"{where} is a private address, and those are not allowed here"
        case TimeoutError():
            return f"no connection to {where} within {timeout:g} s"
        case OSError():
            return f"no connection to {where}: {os.strerror(error.errno).lower() if error.errno else 'it failed'}"
        case ValueError():
            return f"the request to {where} could not be written: its address or a header is malformed"
        case _:
            return f"no connection to {where}"


def _reason_after(error: Exception, where: str, timeout: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer from {where} within {timeout:g} s"
        case Broken(began=True):
            return f"{where} broke off in the middle of its answer"
        case NotHttp():
            return f"what {where} answered is not HTTP"
        case _:
            return f"{where} closed the connection before it answered"

"""The one door for outgoing HTTP: bounded, verified, never redirected, and honest about what may have left.

HttpFailure
├── NotSent    nothing left: name, connection or TLS failed, or the request could not be written
└── MaybeSent  the request went out and no whole answer came back

A failure carries one plain sentence with the host's name and nothing else of the address: no path, query, or secret.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import msgspec
from aiohttp.abc import AbstractCookieJar
from yarl import URL

from tocsin.core.text import cut, one_line

BODY_LIMIT = 64 * 1024
CONNECT_TIMEOUT = 5.0
CONNECTIONS = 256
CONNECTIONS_PER_HOST = 64
# Shorter than the idle timeout of any usual server (Apache: 5 s), so that a request is never written into a connection
# that the other side is just closing: such a request would count as perhaps sent.
IDLE_SECONDS = 4.0
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
        if not self.departed:  # aiohttp repeats a GET whose idle connection turns out to be dead
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
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._session: aiohttp.ClientSession | None = None
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
            limits = aiohttp.ClientTimeout(total=within, connect=self._connect_timeout, ceil_threshold=3600)
            async with self._open().request(
                method, URL(url), headers=headers, data=body, timeout=limits, allow_redirects=False, trace_request_ctx=attempt
            ) as answer:
                content, was_cut = await _read(answer, limit)
                return Response(answer.status, answer.headers, content, was_cut)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as error:
            # RuntimeError is what uvloop says of a connection that is just closing.
            # "from None": the original may hold the whole address or a header, and ends up in logs.
            raise _failure(error, _where(url), within, self._connect_timeout, departed=attempt.departed) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise NotSent("Tocsin is shutting down")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=_no_cookies(),
                headers={"User-Agent": "tocsin", "Accept-Encoding": "identity"},
                auto_decompress=False,  # the limit counts what is read, and a bomb stays packed
                trace_configs=[_tell_departure()],
            )
        return self._session

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=CONNECTIONS,
            limit_per_host=CONNECTIONS_PER_HOST,
            keepalive_timeout=IDLE_SECONDS,
            ssl=self._tls,
            socket_factory=None if self._allow_private else _public_socket,
        )

    async def close(self) -> None:
        """Closes all connections; requests after this raise `NotSent`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()


def _refuse_control_characters(headers: Mapping[str, str]) -> None:
    # aiohttp refuses them too, but only after it has announced the departure.
    if any(_CONTROL.search(name + value) for name, value in headers.items()):
        raise ValueError


def _no_cookies() -> AbstractCookieJar:
    return aiohttp.DummyCookieJar()


def _tell_departure() -> aiohttp.TraceConfig:
    # aiohttp calls this signal before it serialises the headers: the last moment at which nothing has left.
    async def departs(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestHeadersSentParams) -> None:
        context.trace_request_ctx.depart()

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(departs)
    return config


async def _read(answer: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """At most *limit* bytes of the body, and whether there was more (then the connection is not kept)."""
    content = b""
    while not answer.content.at_eof():
        content += await answer.content.read(limit + 1 - len(content))
        if len(content) > limit:
            answer.close()
            return content[:limit], True
    return content, False


class _PrivateAddress(OSError):
    """Raised at connect time. The text is the same for all addresses of a name, so that the pool reports it as one."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "private address")


_AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


def _public_socket(info: _AddrInfo) -> socket.socket:
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
        parts = URL(url)
        host = parts.host or "the address"
        return host if parts.is_default_port() or parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return "the address"


def _failure(error: Exception, where: str, timeout: float, connect_timeout: float, *, departed: bool) -> HttpFailure:
    if departed:
        return MaybeSent(_reason_after(error, where, timeout))
    return NotSent(_reason_before(error, where, min(timeout, connect_timeout)))


def _reason_before(error: Exception, where: str, timeout: float) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the name of {where} could not be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {where} is not trusted: {_certificate_fault(error.certificate_error)}"
        case aiohttp.ClientSSLError():
            return f"TLS with {where} failed"
        case aiohttp.ClientConnectorError(os_error=_PrivateAddress()):
            return f"{where} is a private address, and those are not allowed here"
        case aiohttp.ClientConnectorError(os_error=fault):
            return f"no connection to {where}: {os.strerror(fault.errno).lower() if fault.errno else 'it failed'}"
        case TimeoutError():
            return f"no connection to {where} within {timeout:g} s"
        case ValueError():
            return f"the request to {where} could not be written: its address or a header is malformed"
        case _:
            return f"no connection to {where}"


def _certificate_fault(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return cut(one_line(error.verify_message), 120)
    return "it does not match"


def _reason_after(error: Exception, where: str, timeout: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer from {where} within {timeout:g} s"
        case aiohttp.ClientPayloadError():
            return f"{where} broke off in the middle of its answer"
        case aiohttp.ClientResponseError():
            return f"what {where} answered is not HTTP"
        case _:
            return f"{where} closed the connection before it answered"

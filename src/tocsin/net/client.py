"""A small HTTP/1.1 client: kept connections, one request at a time on each, and no doubt about when its first byte leaves.

What the door promises (`net/http.py`) rests on that moment, and at a thousand messages a second it is a good part of their
price. So there is nothing here that the door does not need: no redirect, cookie, proxy, compression or streaming.
"""

import asyncio
import math
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from socket import SOCK_STREAM, AddressFamily, SocketKind, gaierror, socket
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

import aiohappyeyeballs
import httptools
import msgspec

CONNECTIONS = 256
CONNECTIONS_PER_HOST = 64
# Shorter than the idle timeout of any usual server (Apache: 5 s), so that a request is never written into a connection
# that the other side is just closing: such a request would count as perhaps sent.
IDLE_SECONDS = 4.0
NEXT_ADDRESS = 0.25  # seconds after which the next address of a name is tried beside the one that is silent (RFC 8305)
MAX_HEAD = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_IN_A_PATH = "/%:=&?~#+!$,;'@()*[]"
_REPEATABLE = frozenset({"GET", "HEAD"})

Departing = Callable[[], None]
Place = tuple[str, str, int]
AddrInfo = tuple[int | AddressFamily, int | SocketKind, int, str, tuple[object, ...]]
MakeSocket = Callable[[AddrInfo], socket]


class Broken(Exception):
    """The connection ended before the answer did. ``began``: a part of the answer had come."""

    def __init__(self, *, began: bool) -> None:
        super().__init__()
        self.began = began


class NotHttp(Exception):
    """What came back is not HTTP."""


class NoName(Exception):
    """The host's name could not be resolved."""


class Headers(dict[str, str]):
    """Headers of an answer, the first of each name; names ignore case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # values are text
        """The value of *name*."""
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class Address(msgspec.Struct, frozen=True):
    """A web address in its parts. ``host_header`` and ``authorization`` are as they go out."""

    scheme: str
    host: str
    port: int
    path: str
    host_header: str
    authorization: str | None

    @property
    def place(self) -> Place:
        """What a connection is made to."""
        return self.scheme, self.host, self.port


@lru_cache(maxsize=256)
def address(url: str) -> Address:
    """*url* in its parts. Raises `ValueError` if it is none."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    port = parts.port or _PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    query = f"?{parts.query}" if parts.query else ""
    return Address(
        parts.scheme,
        host,
        port,
        quote((parts.path or "/") + query, safe=_IN_A_PATH),
        name if port == _PORTS[parts.scheme] else f"{name}:{port}",
        None if parts.username is None else _basic(parts.username, parts.password or ""),
    )


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password)).decode()


class Request(msgspec.Struct, frozen=True):
    """What is asked. ``text`` is all of it, as it leaves; ``departing`` is called right before."""

    method: str
    text: bytes
    limit: int
    departing: Departing


def written(method: str, to: Address, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """A request as it leaves."""
    lines = [f"{method} {to.path} HTTP/1.1", f"Host: {to.host_header}", *(f"{name}: {value}" for name, value in headers.items())]
    if to.authorization is not None and "Authorization" not in headers:
        lines.append(f"Authorization: {to.authorization}")
    if body is not None or method not in _REPEATABLE:
        lines.append(f"Content-Length: {len(body or b'')}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Answer(msgspec.Struct, frozen=True):
    """What came back. ``cut``: the body was longer than the limit."""

    status: int
    headers: Headers
    body: bytes
    cut: bool


class Client:
    """Connections to any number of hosts, each kept for a few seconds for the next request."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], make_socket: MakeSocket | None) -> None:
        """*tls*: whom to believe, asked for when it is needed.

        *make_socket* sees the very address that will be connected to, and may refuse it by an `OSError`.
        """
        self._tls, self._make_socket = tls, make_socket
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._hosts: dict[Place, _Host] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def request(self, asked: Request, to: Address, connect_timeout: float) -> Answer:
        """One exchange. Raises `NoName`, `Broken`, `NotHttp`, `OSError` and `TimeoutError`."""
        host = self._hosts.get(to.place) or self._hosts.setdefault(to.place, _Host())
        host.guests += 1
        try:
            await _enter(host.room, connect_timeout)
            try:
                await _enter(self._room, connect_timeout)
                try:
                    return await self._exchange(asked, to, host, connect_timeout)
                finally:
                    self._room.release()
            finally:
                host.room.release()
        finally:
            host.guests -= 1
            self._see_to_the_idle()

    async def _exchange(self, asked: Request, to: Address, host: "_Host", connect_timeout: float) -> Answer:
        connection = host.idle_connection(self._loop.time())
        if connection is not None:
            try:
                return await self._ask(connection, asked, host)
            except Broken as broken:
                # The other side closed it just now: whoever only asks may ask again.
                if broken.began or asked.method not in _REPEATABLE:
                    raise
        async with asyncio.timeout(connect_timeout):
            connection = await self._connect(to)
        return await self._ask(connection, asked, host)

    async def _ask(self, connection: "_Connection", asked: Request, host: "_Host") -> Answer:
        answer = await connection.exchange(asked)
        if connection.is_open:
            connection.idle_since = self._loop.time()
            host.idle.append(connection)
        return answer

    async def _connect(self, to: Address) -> "_Connection":
        tls, name = (self._tls(), to.host) if to.scheme == "https" else (None, None)
        try:
            found = await self._loop.getaddrinfo(to.host, to.port, type=SOCK_STREAM)
        except gaierror:
            raise NoName from None
        sock = await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=NEXT_ADDRESS, interleave=1, socket_factory=self._make_socket
        )
        try:
            _, connection = await self._loop.create_connection(_Connection, sock=sock, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        return connection

    def _see_to_the_idle(self) -> None:
        """Has idle connections closed in time, for as long as there are any."""
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_SECONDS, self._close_the_idle)

    def _close_the_idle(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for place, host in list(self._hosts.items()):
            host.close_idle(now)
            if not (host.guests or host.idle):
                del self._hosts[place]
        if self._hosts:
            self._see_to_the_idle()

    def close(self) -> None:
        """Closes what is idle; what is under way ends by its own time limit."""
        if self._sweep is not None:
            self._sweep.cancel()
        for host in self._hosts.values():
            host.close_idle(math.inf)


async def _enter(room: asyncio.Semaphore, within: float) -> None:
    """Waits for a place in *room*, and no longer than *within*."""
    if not room.locked():
        await room.acquire()
        return
    async with asyncio.timeout(within):
        await room.acquire()


class _Host:
    """What is known of one place: ``idle`` connections, the last used at the end, and how many requests are there."""

    __slots__ = ("guests", "idle", "room")

    def __init__(self) -> None:
        self.idle: list[_Connection] = []
        self.room = asyncio.Semaphore(CONNECTIONS_PER_HOST)
        self.guests = 0

    def idle_connection(self, now: float) -> "_Connection | None":
        """The one that was used last, if it is still good."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_open and now < connection.idle_since + IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    def close_idle(self, now: float) -> None:
        """Closes those that have been idle for too long."""
        kept = [one for one in self.idle if one.is_open and now < one.idle_since + IDLE_SECONDS]
        for one in self.idle:
            if one not in kept:
                one.abort()
        self.idle = kept


class _Connection(asyncio.Protocol):
    """Carries one request after the other."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._reader: _Reader | None = None  # of the answer that is waited for

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, asked: Request) -> Answer:
        """Sends *asked* and waits for the answer. Raises `Broken`, `NotHttp`."""
        if self._transport is None or self._transport.is_closing():
            raise Broken(began=False)
        reader = self._reader = _Reader(asked, asyncio.get_running_loop().create_future())
        asked.departing()
        self._transport.write(asked.text)
        keeps = False
        try:
            answer = await reader.answer
            keeps = reader.keeps
        finally:
            self._reader = None
            reader.let_go()
            if not keeps:
                self.abort()
        return answer

    def abort(self) -> None:
        """Ends it at once."""
        if self._transport is not None:
            self._transport.abort()

    # The loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream it is one that can be written to

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._reader.answer.done():
            self.abort()  # nobody asked
        else:
            self._reader.feed(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if self._reader is not None:
            self._reader.end()


class _Reader:
    """Puts an answer together."""

    def __init__(self, asked: Request, answer: "asyncio.Future[Answer]") -> None:
        self.answer, self.keeps = answer, False
        self._limit, self._has_no_body = asked.limit, asked.method == "HEAD"
        self._parser: Any = httptools.HttpResponseParser(self)
        self._headers = Headers()
        self._body = bytearray()
        self._head_bytes = 0
        self._has_head = False

    def feed(self, data: bytes) -> None:
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(NotHttp())
        if not self._has_head and self._head_bytes > MAX_HEAD:
            self._fail(NotHttp())

    def end(self) -> None:
        """The connection is closed, which is how an answer without a length ends."""
        if self._has_head and "content-length" not in self._headers and "transfer-encoding" not in self._headers:
            self._complete(cut=False)
        else:
            self._fail(Broken(began=self._head_bytes > 0))

    def let_go(self) -> None:
        """Reader and parser hold each other: without this each answer would be left to the collector of garbage."""
        self._parser = None

    def _complete(self, *, cut: bool) -> None:
        if not self.answer.done():
            self.answer.set_result(Answer(self._parser.get_status_code(), self._headers, bytes(self._body), cut))

    def _fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    # The parser calls these.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers.clear()  # "go on": the answer itself is still to come
            return
        self._has_head = True
        if self._has_no_body:
            self._complete(cut=False)

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._limit:
            del self._body[self._limit :]
            self._complete(cut=True)

    def on_message_complete(self) -> None:
        if self._has_head and not self._has_no_body:
            self.keeps = not self.answer.done() and self._parser.should_keep_alive()
            self._complete(cut=False)

"""An open-loop sender and the sink that hears of each event, in one process with one clock."""

import asyncio
import gc
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httptools

from bench.servers import Target
from tocsin.core.clock import monotonic

CONNECTIONS = 8
SETTLE_SECONDS = 10
WARM_UP = 1_000_000  # its events are numbered from here
_ID = re.compile(rb"bench-[0-9]+-x")
_NTFY = b'{"id":"hwQ2YpKdmg","time":1700000000,"expires":1700043200,"event":"message","topic":"whmcs-alerts","message":"taken"}'
_HEALTH = b'{"healthy":true}'


@dataclass
class Times:
    """When each event was handed to a connection's queue, answered, and heard of by the sink; in seconds."""

    sent: dict[bytes, float] = field(default_factory=dict)
    answered: dict[bytes, float] = field(default_factory=dict)
    heard: dict[bytes, float] = field(default_factory=dict)

    def clear(self) -> None:
        """Forgets all of them."""
        for moments in (self.sent, self.answered, self.heard):
            moments.clear()

    def answers_ms(self) -> list[float]:
        """From sending to the server's answer, for every event; infinite where none came."""
        return self._since_sent(self.answered)

    def pushes_ms(self) -> list[float]:
        """From sending to the sink, for every event; infinite where nothing came."""
        return self._since_sent(self.heard)

    def _since_sent(self, moments: dict[bytes, float]) -> list[float]:
        return [(moments.get(name, float("inf")) - at) * 1000 for name, at in self.sent.items()]


class Sink(asyncio.Protocol):
    """Answers every POST as an ntfy server would, and notes which events it was about."""

    def __init__(self, times: Times) -> None:
        self._times, self._body = times, bytearray()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102 - asyncio's
        self._transport = transport  # type: ignore[assignment]  # a stream's transport

    def data_received(self, data: bytes) -> None:  # noqa: D102 - asyncio's
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body += data

    def on_message_complete(self) -> None:
        """The whole request is here."""
        now = monotonic()
        for name in _ID.findall(self._body):
            self._times.heard.setdefault(name, now)
        answer = _NTFY if self._body else _HEALTH
        self._body.clear()
        if self._transport is not None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            self._transport.write(head + answer)


class _Line(asyncio.Protocol):
    """One kept connection to the server; sends one event after another."""

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._name = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport

    def send(self, name: bytes, request: bytes) -> None:
        self._name = name
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() in (200, 202):
            self._sender.times.answered[self._name] = monotonic()
        self._sender.is_free(self)


class Sender:
    """Sends events at a fixed rate whatever the answers do: what cannot go out at once waits, and its time runs."""

    def __init__(self, target: Target, times: Times) -> None:
        self.times, self._target = times, target
        self._free: deque[_Line] = deque()
        self._waiting: deque[tuple[bytes, bytes]] = deque()

    async def open(self) -> None:
        """Makes the connections."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: _Line(self), "127.0.0.1", self._target.port)
            self._free.append(line)

    def is_free(self, line: _Line) -> None:
        """*line* has its answer."""
        if self._waiting:
            line.send(*self._waiting.popleft())
        else:
            self._free.append(line)

    async def send(self, first: int, count: int, rate: float) -> None:
        """Sends the events numbered from *first* on, *rate* a second."""
        begun = monotonic()
        for k in range(count):
            wait = begun + k / rate - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            name = b"bench-%d-x" % (first + k)
            request = self._request(name)
            self.times.sent[name] = monotonic()
            if self._free:
                self._free.popleft().send(name, request)
            else:
                self._waiting.append((name, request))

    def _request(self, name: bytes) -> bytes:
        body = _BODIES[self._target.speaks].replace(b"NAME", name)
        auth = f"Authorization: {self._target.auth}\r\n" if self._target.auth else ""
        head = (
            f"POST {self._target.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._target.port}\r\nContent-Type: application/json\r\n"
            f"{auth}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def settle(self) -> None:
        """Until the sink has heard of everything, within bounds."""
        end = monotonic() + SETTLE_SECONDS
        while len(self.times.heard) < len(self.times.sent) and monotonic() < end:  # noqa: ASYNC110 - an event would cost each arrival
            await asyncio.sleep(0.02)


_TEXT = b"x" * 150
_BODIES = {
    "tocsin": b'{"type":"disk.full","subject":"NAME","severity":4,"status":"problem","title":"disk almost full on NAME",'
    b'"message":"' + _TEXT + b'"}',
    "alertmanager": b'[{"labels":{"alertname":"DiskFull","instance":"NAME","severity":"warning"},'
    b'"annotations":{"summary":"disk almost full","description":"' + _TEXT + b'"}}]',
}


async def listen(times: Times, port: int) -> asyncio.Server:
    """The sink, on *port*."""
    return await asyncio.get_running_loop().create_server(lambda: Sink(times), "127.0.0.1", port)


async def exchange(target: Target, sink: asyncio.Server, times: Times, stages: Sequence[tuple[int, int]]) -> AsyncIterator[int]:
    """A short warm-up, then one stage after another: a rate, and how many events; yields the rate when *times* holds them."""
    sender = Sender(target, times)
    await sender.open()
    await sender.send(WARM_UP, 50, 50)
    await sender.settle()
    first = 0
    gc.disable()
    try:
        for rate, count in stages:
            times.clear()
            gc.collect()
            await sender.send(first, count, rate)
            await sender.settle()
            first += count
            yield rate
    finally:
        gc.enable()
        sink.close()

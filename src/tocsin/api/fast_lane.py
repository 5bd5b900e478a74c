"""The short way through the HTTP server for plain event posts: no task, no ASGI messages, one write (docs/adr/0005-intake.md).

A request takes it when it is ``POST /api/v1/events`` with a key seen in the last two seconds, a JSON body of known
length, no compression and no signature. Every other request, and every error on the way there, takes the ordinary one.

Programs send the same headers again and again. A head that has been parsed once and found fit is recognised by its bytes
the next time, and not parsed again; its key is looked up each time. Nor has each of their answers a timer of its own for
the connection that is idle after it: one goes on, and looks when it ends how long the connection has been idle by then.

What is sent to many that listen has a short way too: past the tasks of their answers.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tocsin.api.chunks import extension, framed
from tocsin.api.intake import PATH, Intake
from tocsin.api.problems import Answer
from tocsin.identity.model import ApiKey

MAX_BODY = HIGH_WATER_LIMIT  # larger bodies need the flow control of the ordinary way
MAX_HEAD = 2_048  # bytes of a head worth remembering
MAX_HEADS = 1_024  # heads remembered at once: one for each sender and length of its bodies

_REASONS = {202: b"202 Accepted", 401: b"401 Unauthorized", 403: b"403 Forbidden", 413: b"413 Content Too Large"}
_REASONS |= {422: b"422 Unprocessable Content", 500: b"500 Internal Server Error", 503: b"503 Service Unavailable"}


def protocol_for(intake: Intake) -> type[asyncio.Protocol]:
    """The protocol class to hand to uvicorn as ``http``."""
    return type("TocsinProtocol", (_Protocol,), {"intake": intake, "heads": {}})


class _Head(msgspec.Struct, frozen=True):
    """What a head says that was found fit for the fast lane; its connection stays open."""

    authorization: bytes
    length: int


class _Event:
    """Stands where uvicorn expects the event that wakes a waiting request; ours does not wait."""

    def set(self) -> None:
        """Nobody waits."""


class _Request:
    """One post on the fast lane, in the shape that uvicorn expects of a request in progress."""

    __slots__ = ("body", "disconnected", "keep_alive", "key", "message_event", "more_body", "response_complete")

    _EVENT: ClassVar[_Event] = _Event()

    def __init__(self, key: ApiKey, *, keep_alive: bool) -> None:
        self.key, self.keep_alive = key, keep_alive
        self.body = b""
        self.more_body = True
        self.response_complete = self.disconnected = False
        self.message_event = self._EVENT


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a fast lane beside it."""

    intake: ClassVar[Intake]
    heads: ClassVar[dict[bytes, _Head]]
    between = True  # nothing of the next request has been seen
    head: bytes | None = None  # of the request that is being parsed, where it may be worth remembering
    idle_since = 0.0  # by the loop's clock
    idle_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.between and (self.cycle is None or self.cycle.response_complete):  # type: ignore[redundant-expr]  # None before the first request
            end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
            self.head = data[:end] if end > 0 else None
            if self._take_known(data, end + 4):
                return
        super().data_received(data)

    def _take_known(self, data: bytes, body: int) -> bool:
        """Takes *data* if it is one whole request with a known head, whose body begins at *body*."""
        known = self.heads.get(self.head) if self.head else None
        if known is None or len(data) - body != known.length:
            return False
        key = self.intake.recall(known.authorization)
        if key is None:
            return False
        self._unset_keepalive_if_required()
        request = _Request(key, keep_alive=True)
        request.more_body = False
        self.cycle = request  # type: ignore[assignment]  # see _Request
        self.intake.take_plain(key, data[body:], self._responder(request))
        return True

    def on_message_begin(self) -> None:
        self.between = False
        super().on_message_begin()
        self.scope["extensions"] = extension(self._write_past)

    def _write_past(self, piece: bytes) -> bool:
        """Writes one piece of the answer under way, whose task waits for something to send. False: nothing was written."""
        cycle: Any = self.cycle
        if type(cycle) is not RequestResponseCycle or not cycle.chunked_encoding or cycle.response_complete or cycle.disconnected:
            return False  # it has not begun, has ended, or another request waits behind it
        if self.flow.write_paused or self.transport.is_closing():
            return False
        self.transport.write(framed(piece))
        return True

    def on_headers_complete(self) -> None:
        head, self.head = self.head, None
        found = self._plain_post()
        key = None if found is None else self.intake.recall(found.authorization)
        if found is None or key is None:
            super().on_headers_complete()
            return
        keep_alive = self.parser.should_keep_alive()
        self.cycle = _Request(key, keep_alive=keep_alive)  # type: ignore[assignment]  # see _Request
        # Bare line feeds may end a head too, elsewhere than where we looked for its end.
        if keep_alive and head is not None and head.count(b"\n") == head.count(b"\r\n"):
            if len(self.heads) >= MAX_HEADS:
                self.heads.clear()
            self.heads[head] = found

    def _plain_post(self) -> _Head | None:
        if self.url != PATH.encode() or self.parser.get_method() != b"POST" or self.expect_100_continue:
            return None
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]  # None before the first request
            return None  # pipelined behind another request
        if self.parser.get_http_version() != "1.1" or self.limit_concurrency is not None:
            return None
        authorization = kind = None
        length = -1
        for name, value in self.headers:
            if name == b"authorization":
                authorization = value
            elif name == b"content-type":
                kind = value
            elif name == b"content-length" and value.isdigit():
                length = int(value)
            elif name in _NEEDS_MORE:
                return None
        if authorization is None or kind != b"application/json" or not 0 <= length <= MAX_BODY:
            return None
        return _Head(authorization, length)

    def on_body(self, body: bytes) -> None:
        request: Any = self.cycle
        if type(request) is _Request:
            request.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self.between = True
        request: Any = self.cycle
        if type(request) is _Request:
            request.more_body = False
            self.intake.take_plain(request.key, request.body, self._responder(request))
        else:
            super().on_message_complete()

    def _responder(self, request: _Request) -> Callable[[Answer], None]:
        def respond(answer: Answer) -> None:
            request.response_complete = True
            if request.disconnected or self.transport.is_closing():
                return
            head = [b"HTTP/1.1 ", _REASONS[answer.status], b"\r\n"]
            for name, value in answer.headers:
                head += [name, b": ", value, b"\r\n"]
            if not request.keep_alive:
                head.append(b"connection: close\r\n")
            self.transport.write(b"".join([*head, b"content-length: %d\r\n\r\n" % len(answer.body), answer.body]))
            if not request.keep_alive:
                self.transport.close()
            self._rest()

        return respond

    def _rest(self) -> None:
        """An answer has left. What uvicorn does then, but that a timer which runs is let run."""
        if self.pipeline or self.transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self.idle_since = self.loop.time()
        if self.idle_timer is None:
            self.idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self.idle_timer = None
        cycle: Any = self.cycle
        if type(cycle) is not _Request or not cycle.response_complete or not self.between:
            return  # another request is under way, or was the last: whoever answers it sets a timer
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.idle_timer = self.loop.call_later(left, self._end_if_idle)
        else:
            self.timeout_keep_alive_handler()


_NEEDS_MORE = frozenset({b"content-encoding", b"transfer-encoding", b"x-tocsin-signature", b"upgrade"})

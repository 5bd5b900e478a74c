"""The short way through the HTTP server for plain event posts: no task, no ASGI messages, one write (docs/adr/0005-intake.md).

A request takes it when it is ``POST /api/v1/events`` with a key seen in the last two seconds, a JSON body of known
length, no compression and no signature. Every other request, and every error on the way there, takes the ordinary one.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tocsin.api.intake import PATH, Intake
from tocsin.api.problems import Answer
from tocsin.identity.model import ApiKey

MAX_BODY = HIGH_WATER_LIMIT  # larger bodies need the flow control of the ordinary way

_REASONS = {202: b"202 Accepted", 401: b"401 Unauthorized", 403: b"403 Forbidden", 413: b"413 Content Too Large"}
_REASONS |= {422: b"422 Unprocessable Content", 500: b"500 Internal Server Error", 503: b"503 Service Unavailable"}


def protocol_for(intake: Intake) -> type[asyncio.Protocol]:
    """The protocol class to hand to uvicorn as ``http``."""
    return type("TocsinProtocol", (_Protocol,), {"intake": intake})


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

    def on_headers_complete(self) -> None:
        key = self._key_of_a_plain_post()
        if key is None:
            super().on_headers_complete()
        else:
            self.cycle = _Request(key, keep_alive=self.parser.should_keep_alive())  # type: ignore[assignment]  # see _Request

    def _key_of_a_plain_post(self) -> ApiKey | None:
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
        return self.intake.recall(authorization)

    def on_body(self, body: bytes) -> None:
        request: Any = self.cycle
        if type(request) is _Request:
            request.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
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
            self.on_response_complete()

        return respond


_NEEDS_MORE = frozenset({b"content-encoding", b"transfer-encoding", b"x-tocsin-signature", b"upgrade"})

"""What all stand-ins for a web service share: they listen on loopback, keep what came, and can be made to fail.

Each subclass holds every request against the provider's documented contract. Whatever does not fit is answered as the
provider would, and noted in ``violations``; a fixture fails the test that leaves any.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from aiohttp import web

Shape = TypeVar("Shape", bound=msgspec.Struct)


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one request. ``taken``: the provider acts on it all the same."""

    status: int = 0
    body: str = ""
    headers: dict[str, str] = {}
    drop: bool = False
    hang: bool = False
    taken: bool = False


DROP = Fault(drop=True)
HANG = Fault(hang=True)
BROKEN = Fault(500, "internal error")
BUSY = Fault(429, "slow down", {"Retry-After": "30"})
NOT_IT = Fault(200, "<html><body>Welcome to nginx!</body></html>", {"Content-Type": "text/html"})


class Seen(msgspec.Struct, frozen=True):
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


class Provider:
    """See the module. ``requests`` are those that could become a message, ``taken`` those that the provider acted on."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.taken: list[Any] = []
        self.violations: list[str] = []
        self._faults: deque[Fault] = deque()
        self._runner: web.ServerRunner | None = None

    async def answer(self, seen: Seen) -> Answer:
        """What the provider makes of a request; subclasses say it."""
        raise NotImplementedError

    def is_sending(self, seen: Seen) -> bool:
        """Whether this request asks for a message to be sent."""
        return seen.method == "POST"

    # --- For the test ----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Listens."""
        server = web.Server(self._serve, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stops; a test that sent what the provider would not understand fails."""
        await self.stop()
        if error is None:
            assert self.violations == []

    async def stop(self) -> None:
        """Breaks all connections: from now on they are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def fail_next(self, *faults: Fault) -> None:
        """The next sending requests meet these faults, one each."""
        self._faults.extend(faults)

    # --- Requests --------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(request.method, request.path, dict(request.query), dict(request.headers), await request.read())
        is_sending = self.is_sending(seen)
        if is_sending:
            self.requests.append(seen)
        fault = self._faults.popleft() if is_sending and self._faults else None
        before = list(self.taken)
        answer = await self.answer(seen)
        if fault is not None:
            if not fault.taken:
                self.taken = before
            answer = await self._suffer(fault, request)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _suffer(self, fault: Fault, request: web.BaseRequest) -> Answer:
        if fault.hang:
            await asyncio.sleep(3600)
        if fault.drop and request.transport is not None:
            request.transport.abort()
        return Answer(fault.status or 200, fault.body.encode(), fault.headers)

    def violation(self, what: str) -> None:
        """Notes what the provider would not understand."""
        self.violations.append(what)

    def read(self, seen: Seen, shape: type[Shape]) -> Shape | None:
        """The JSON body as *shape*, which forbids unknown fields; None (and a violation) if it does not fit."""
        kind = seen.headers.get("Content-Type", "").partition(";")[0]
        if kind != "application/json":
            self.violation(f"{seen.path}: the content type is {kind!r}")
        try:
            return msgspec.json.decode(seen.body, type=shape)
        except msgspec.DecodeError as error:
            self.violation(f"{seen.path}: {error}")
            return None

    def want(self, holds: bool, what: str) -> None:
        """A violation unless *holds*."""
        if not holds:
            self.violation(what)


def json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    return Answer(status, msgspec.json.encode(body), {"Content-Type": "application/json", **(headers or {})})


def text(status: int, body: str) -> Answer:
    """A plain answer."""
    return Answer(status, body.encode(), {"Content-Type": "text/plain"})


def is_web_address(address: str) -> bool:
    """Whether a button may open it."""
    return address.startswith(("https://", "http://")) and len(address) <= 2_000 and " " not in address

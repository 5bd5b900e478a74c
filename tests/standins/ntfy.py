"""An ntfy server for tests: the documented behaviour of version 2.13 (or 2.16 with sequence ids), on loopback, in memory.

Everything that a publisher should not do is answered as the real server would and also noted in ``violations``; the
fixture fails a test that leaves any. As a program it prints its address and serves until it is stopped::

    python -m tests.standins.ntfy --port 0 [--fast] [--token tk_...] [--without-sequence-ids]

A test in another process reads ``GET /_standin/received`` and arms faults with ``POST /_standin/fault``.
"""

import argparse
import asyncio
import contextlib
import fnmatch
import random
import re
import secrets
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_RESERVED = _words("docs static file app metrics account settings signup login v1")
_SEQUENCE_ID = re.compile(r"[-_A-Za-z0-9]{1,64}")
_SHORT_CODES = _words(
    "warning rotating_light skull fire bell x white_check_mark heavy_check_mark no_entry zzz lock key shield yellow_circle "
    "globe_with_meridians desktop_computer floppy_disk credit_card moneybag receipt package ticket bust_in_silhouette "
    "hourglass_flowing_sand alarm_clock chart_with_upwards_trend arrows_counterclockwise loudspeaker red_circle green_circle"
)
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "topic": str,
    "message": str,
    "title": str,
    "priority": int,
    "tags": list,
    "click": str,
    "actions": list,
    "sequence_id": str,
}
_OTHER_FIELDS = _words("attach filename icon markdown delay email call cache firebase")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LOGIN_FAILURES = 30
MESSAGE_BYTES = 4096
DOCUMENT_BYTES = 8192


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one publish. ``stored``: the message is taken all the same. ``body`` replaces the JSON answer."""

    status: int = 0
    code: int = 0
    error: str = "made to fail by the test"
    body: str | None = None
    headers: dict[str, str] = {}
    delay: float = 0.0
    drop: bool = False
    hang: bool = False
    stored: bool = False


BUSY = Fault(429, 42901, "limit reached: too many requests")
QUOTA = Fault(429, 42908, "limit reached: daily message quota reached")
LOCKED_OUT = Fault(429, 42909, "limit reached: too many auth failures")
BROKEN = Fault(500, 50001, "internal server error")
NO_SUBSCRIBER = Fault(507, 50701, "cannot publish to UnifiedPush topic without previously active subscriber")
TOO_LARGE = Fault(413, 41303, "JSON payload too large")
NOT_NTFY = Fault(200, body="<html><body>Welcome to nginx!</body></html>")
DROP = Fault(drop=True)
DROP_AFTER_STORING = Fault(drop=True, stored=True)
HANG = Fault(hang=True)
HANG_AFTER_STORING = Fault(hang=True, stored=True)


class Received(msgspec.Struct, frozen=True):
    """One accepted message: ``at`` in seconds since 1970, ``message`` as subscribers see it."""

    at: float
    message: dict[str, Any]


class _Refused(Exception):
    def __init__(self, status: int, code: int, error: str) -> None:
        super().__init__(error)
        self.answer = (status, code, error)


class NtfyStandIn:
    """See the module. ``access`` maps a token (None: everyone) to topic patterns and ``rw``, ``ro``, ``wo`` or ``deny``."""

    def __init__(
        self,
        *,
        access: Mapping[Any, Mapping[str, str]] | None = None,
        sequence_ids: bool = True,
        cache: bool = True,
        fast: bool = False,
        burst: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.access: Mapping[Any, Mapping[str, str]] = {None: {"*": "rw"}} if access is None else access
        self.sequence_ids = sequence_ids
        self.cache = cache
        self.fast = fast
        self.burst = burst
        self.message_bytes = MESSAGE_BYTES
        self.attachments = False
        self.received: list[Received] = []
        self.requests = 0
        self.violations: list[str] = []
        self.url = ""
        self._tls = tls
        self._faults: deque[Fault] = deque()
        self._always: Fault | None = None
        self._failed_logins = 0
        self._subscribers: set[asyncio.Queue[dict[str, Any]]] = set()
        self._runner: web.ServerRunner | None = None

    # --- For the test ----------------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> "NtfyStandIn":
        """Listens on loopback; ``url`` is the address."""
        server = web.Server(self._serve, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def close(self) -> None:
        """Stops listening and breaks all connections: from now on they are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def restart(self) -> None:
        """Listens again on the same port."""
        await self.start(int(self.url.rpartition(":")[2]))

    def fail_next(self, *faults: Fault) -> None:
        """The next publishes meet these faults, one each."""
        self._faults.extend(faults)

    def fail_always(self, fault: Fault | None) -> None:
        """Every publish meets *fault*; None ends it."""
        self._always = fault

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What subscribers got, oldest first."""
        return [received.message for received in self.received]

    # --- Requests --------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        if self.fast and request.method == "POST" and request.path == "/":
            return _json(200, self._store(msgspec.json.decode(await request.read())))
        try:
            return await self._route(request)
        except _Refused as refused:
            status, code, error = refused.answer
            return _json(status, {"code": code, "http": status, "error": error, "link": "https://ntfy.sh/docs/"})

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/_standin/"):
            return await self._control(request)
        token = self._identify(request)
        if request.path == "/v1/health":
            if "Authorization" in request.headers:
                self._violation("health was asked for with credentials, which count as failed logins when wrong")
            return _json(200, {"healthy": True})
        self._take_request()
        if request.method in ("POST", "PUT"):
            return await self._publish(request, token)
        topic, _, what = request.path.strip("/").partition("/")
        if request.method == "GET" and _TOPIC.fullmatch(topic) and what in ("json", "auth"):
            self._authorize(token, topic, "r")
            return _json(200, {"success": True}) if what == "auth" else await self._read(request, topic)
        self._violation(f"{request.method} {request.path} is no address of ntfy")
        raise _Refused(404, 40401, "page not found")

    def _identify(self, request: web.BaseRequest) -> str | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        if self._failed_logins >= LOGIN_FAILURES:
            raise _Refused(429, 42909, "limit reached: too many auth failures")
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or token not in self.access:
            self._failed_logins += 1
            raise _Refused(401, 40101, "unauthorized")
        return token

    def _take_request(self) -> None:
        if self.burst is not None:
            if self.burst <= 0:
                raise _Refused(429, 42901, "limit reached: too many requests")
            self.burst -= 1

    def _authorize(self, token: str | None, topic: str, wish: str) -> None:
        """The user's own entries before everyone's, longer patterns before shorter ones, and deny when nothing fits."""
        for who in dict.fromkeys((token, None)):
            entries = sorted(self.access.get(who, {}).items(), key=lambda entry: -len(entry[0]))
            for pattern, permission in entries:
                if fnmatch.fnmatchcase(topic, pattern):
                    if wish in permission.replace("deny", ""):
                        return
                    raise _Refused(403, 40301, "forbidden")
        raise _Refused(403, 40301, "forbidden")

    def _violation(self, what: str) -> None:
        self.violations.append(what)

    # --- Publishing ------------------------------------------------------------------------------------------------

    async def _publish(self, request: web.BaseRequest, token: str | None) -> web.StreamResponse:
        body = await request.read()
        fields = self._raw_text(request, body) if request.path != "/" else self._document(body)
        self._authorize(token, fields["topic"], "w")
        fault = self._faults.popleft() if self._faults else self._always
        if fault is None:
            return _json(200, self._store(fields))
        return await self._suffer(fault, fields, request)

    async def _suffer(self, fault: Fault, fields: dict[str, Any], request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(fault.delay)
        answer = self._store(fields) if fault.stored or not (fault.status or fault.drop or fault.hang) else {}
        if fault.hang:
            await asyncio.sleep(3600)
        if fault.drop and request.transport is not None:
            request.transport.abort()
        if fault.body is not None:
            return web.Response(status=fault.status, text=fault.body, content_type="text/html", headers=fault.headers)
        if fault.status:
            answer = {"code": fault.code, "http": fault.status, "error": fault.error}
        return _json(fault.status or 200, answer, fault.headers)

    def _raw_text(self, request: web.BaseRequest, body: bytes) -> dict[str, Any]:
        # What the real server does with JSON sent to a topic: the text of the JSON becomes the message.
        self._violation(f"published to {request.path}: JSON is understood at the root only")
        return {"topic": request.path.strip("/"), "message": body.decode(errors="replace")}

    def _document(self, body: bytes) -> dict[str, Any]:
        if len(body) >= DOCUMENT_BYTES:
            self._violation(f"a document of {len(body)} bytes")
            raise _Refused(413, 41303, "JSON payload too large")
        try:
            fields = msgspec.json.decode(body)
        except msgspec.DecodeError:
            self._violation("no JSON")
            raise _Refused(400, 40024, "invalid request: request body must be message JSON") from None
        self._check_types(fields)
        self._check_topic(fields["topic"])
        self._check_loudness(fields)
        self._check_tags(fields.get("tags", []))
        self._check_actions(fields.get("actions", []))
        self._check_sequence(fields.get("sequence_id"))
        self._check_size(fields)
        return dict(fields)

    def _check_types(self, fields: Any) -> None:
        if not isinstance(fields, dict) or any(not isinstance(fields[k], t) for k, t in _FIELDS.items() if k in fields):
            self._violation("a field of the wrong type")
            raise _Refused(400, 40024, "invalid request: request body must be message JSON")
        for name in fields.keys() - _FIELDS.keys() - _OTHER_FIELDS:
            self._violation(f"an unknown field: {name}")  # ignored by the server, so it can only be a mistake
        if "topic" not in fields:
            raise _Refused(400, 40009, "invalid request: topic invalid")

    def _check_topic(self, topic: str) -> None:
        if not _TOPIC.fullmatch(topic):
            self._violation(f"a bad topic: {topic}")
            raise _Refused(400, 40009, "invalid request: topic invalid")
        if topic in _RESERVED:
            raise _Refused(400, 40010, "invalid request: topic name is not allowed")

    def _check_loudness(self, fields: dict[str, Any]) -> None:
        if not 0 <= fields.get("priority", 0) <= 5:
            self._violation(f"priority {fields['priority']}")
            raise _Refused(400, 40007, "invalid request: priority invalid")

    def _check_tags(self, tags: list[Any]) -> None:
        if tags and tags[0] not in _SHORT_CODES:
            self._violation(f"the first tag is no known emoji short code: {tags[0]}")
        for tag in tags:
            if "," in tag or tag != tag.strip() or not tag:
                self._violation(f"a tag that would not arrive as it is: {tag!r}")

    def _check_actions(self, actions: list[Any]) -> None:
        if len(actions) > 3:
            self._violation(f"{len(actions)} actions")
            raise _Refused(400, 40018, "invalid request: actions invalid, too many actions (max is 3)")
        for action in actions:
            proper = action.get("action") == "http" and action.get("label") and re.match(r"https?://", action.get("url", ""))
            if not proper or (action.get("method") in ("GET", "HEAD") and "body" in action):
                self._violation(f"a bad action: {action}")
                raise _Refused(400, 40018, "invalid request: actions invalid")

    def _check_sequence(self, sequence_id: str | None) -> None:
        if sequence_id is not None and not _SEQUENCE_ID.fullmatch(sequence_id):
            self._violation(f"a bad sequence_id: {sequence_id}")
            if self.sequence_ids:
                raise _Refused(400, 40049, "invalid request: sequence ID invalid")

    def _check_size(self, fields: dict[str, Any]) -> None:
        if len(fields.get("message", "").encode()) < self.message_bytes:
            return
        if self.message_bytes == MESSAGE_BYTES:
            self._violation("a message of 4,096 bytes or more")
        if not self.attachments:
            raise _Refused(400, 40014, "invalid request: attachments not allowed")
        fields["attachment"] = {
            "name": "attachment.txt",
            "type": "text/plain",
            "size": len(fields["message"].encode()),
            "url": "https://ntfy",
        }
        fields["message"] = "You received a file: attachment.txt"

    def _store(self, fields: dict[str, Any]) -> dict[str, Any]:
        now = time.time()
        message: dict[str, Any] = {"id": "".join(random.choices(_ALPHABET, k=12)), "time": int(now)}
        if self.cache:
            message["expires"] = int(now) + 43_200
        message |= {"event": "message", "topic": fields["topic"], "message": fields.get("message", "").strip() or "triggered"}
        for name in ("title", "click", "attachment"):
            if fields.get(name):
                message[name] = fields[name]
        if fields.get("priority", 3) not in (0, 3):
            message["priority"] = fields["priority"]
        if fields.get("tags"):
            message["tags"] = [part.strip() for part in ",".join(fields["tags"]).split(",")]
        if fields.get("actions"):
            message["actions"] = [{"id": secrets.token_hex(5), "clear": False, **action} for action in fields["actions"]]
        if self.sequence_ids and fields.get("sequence_id"):
            message["sequence_id"] = fields["sequence_id"]
        self.received.append(Received(now, message))
        for subscriber in self._subscribers:
            subscriber.put_nowait(message)
        return message

    # --- Reading ---------------------------------------------------------------------------------------------------

    async def _read(self, request: web.BaseRequest, topics: str) -> web.StreamResponse:
        query = request.query
        since = query.get("since", "all" if query.get("poll") == "1" else "none")
        found = [m for m in self._since(since) if m["topic"] in topics.split(",") and query.get("id") in (None, m["id"])]
        if query.get("poll") == "1":
            return web.Response(body=b"".join(msgspec.json.encode(m) + b"\n" for m in found), content_type="application/x-ndjson")
        return await self._stream(request, topics, found)

    def _since(self, since: str) -> list[dict[str, Any]]:
        if not self.cache or since == "none":
            return []
        if since == "all":
            return self.messages
        if since == "latest":
            return self.messages[-1:]
        if since.isdecimal():
            return [m for m in self.messages if m["time"] >= int(since)]
        ids = [m["id"] for m in self.messages]
        return self.messages[ids.index(since) + 1 :] if since in ids else self.messages

    async def _stream(self, request: web.BaseRequest, topics: str, found: list[dict[str, Any]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._subscribers.add(queue)
        opened = {"id": secrets.token_hex(6), "time": int(time.time()), "event": "open", "topic": topics}
        try:
            for message in [opened, *found]:
                await response.write(msgspec.json.encode(message) + b"\n")
            while True:
                await response.write(msgspec.json.encode(await self._next(queue, topics)) + b"\n")
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self._subscribers.discard(queue)

    async def _next(self, queue: asyncio.Queue[dict[str, Any]], topics: str) -> dict[str, Any]:
        while True:
            try:
                message = await asyncio.wait_for(queue.get(), 45)
            except TimeoutError:
                return {"id": secrets.token_hex(6), "time": int(time.time()), "event": "keepalive", "topic": topics}
            if message["topic"] in topics.split(","):
                return message

    # --- For tests in another process ------------------------------------------------------------------------------

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/_standin/received":
            return web.Response(body=msgspec.json.encode(self.received), content_type="application/json")
        if request.path == "/_standin/violations":
            return web.Response(body=msgspec.json.encode(self.violations), content_type="application/json")
        fault = msgspec.json.decode(await request.read(), type=Fault | None)
        if request.path == "/_standin/always":
            self.fail_always(fault)
        elif fault is not None:
            self.fail_next(fault)
        return _json(200, {})


def _json(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", help="demand this token; anonymous access is refused")
    parser.add_argument("--fast", action="store_true", help="check nothing: for benches")
    parser.add_argument("--without-sequence-ids", action="store_true", help="version 2.13")
    options = parser.parse_args()
    access = {options.token: {"*": "rw"}} if options.token else None
    server = NtfyStandIn(access=access, fast=options.fast, sequence_ids=not options.without_sequence_ids)
    await server.start(options.port)
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    await stopped.wait()
    await server.close()


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_main())

"""A Tocsin server for the bridge to talk to: as strict as the real intake, and told how to misbehave."""

import hashlib
import hmac
import json
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tocsin.core.clock import SystemClock

Event = dict[str, Any]
Reply = tuple[int, dict[str, str], dict[str, Any] | str]
Answer = Callable[[list[Event]], Reply]

KEY = "tocsin_test_key"
FIELDS = {"id", "type", "occurred_at", "severity", "status", "title", "message", "attributes", "source", "sequence"}
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


class TocsinStandIn:
    """`answers` holds functions `events -> (status, headers, body)` for the next requests; without one, all is taken."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.certificate: Path | None = None
        self.bodies: list[bytes] = []
        self.taken: dict[str, Event] = {}
        self.faults: list[str] = []
        self.posts = 0
        self.arrived = threading.Event()
        self.release = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def use_tls(self, certificate: Path, key: Path) -> None:
        self.certificate = certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {"server_url": self.url, "api_key": KEY}

    def stop(self) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()

    def events(self) -> list[Event]:
        """In the order in which they were taken, repeats left out."""
        return list(self.taken.values())

    def numbers(self) -> list[int]:
        return [event["attributes"]["invoiceid"] for event in self.events()]

    def receive(self, path: str, headers: Message, body: bytes) -> Reply:
        self.posts += 1
        self.bodies.append(body)
        self.faults += faults(path, headers, body)
        events = [json.loads(line) for line in body.splitlines()]
        answer = self.answers.popleft() if self.answers else self.accept
        return answer(events)

    def accept(self, events: list[Event]) -> tuple[int, dict[str, str], dict[str, Any]]:
        fresh = [event for event in events if event["id"] not in self.taken]
        self.taken.update((event["id"], event) for event in fresh)
        answer = {
            "accepted": len(fresh),
            "duplicates": len(events) - len(fresh),
            "rejected": [],
            "ids": [event["id"] for event in events],
        }
        return 202, {}, answer

    def hang(self, events: list[Event]) -> Reply:
        self.arrived.set()
        self.release.wait(20)
        return 503, {}, ""

    def accept_late(self, events: list[Event]) -> Reply:
        self.arrived.set()
        self.release.wait(20)
        return self.accept(events)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # header and body in one packet

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = standin.receive(self.path, self.headers, body)
                content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(content))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the bridge has given up on us, as some tests want

            def log_message(self, *args: object) -> None:
                pass  # the tests' output is for failures

        return Handler


def faults(path: str, headers: Message, body: bytes) -> list[str]:
    """What a strict server would find wrong with a request."""
    found = []
    if path != "/api/v1/events":
        found.append(f"path {path}")
    if headers["Authorization"] != f"Bearer {KEY}" or headers["Content-Type"] != "application/x-ndjson":
        found.append(f"headers {headers.items()}")
    signed = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["X-Tocsin-Signature"] or "")
    if not signed or abs(int(signed[1]) - SystemClock().now() / 1000) > 300:
        found.append(f"signature {headers['X-Tocsin-Signature']}")
    elif not hmac.compare_digest(signature(body, signed[1]), signed[2]):
        found.append("the signature does not fit the body")
    if not body.endswith(b"\n") or body.count(b"\n") > 500 or len(body) > 1_000_000:
        found.append(f"{len(body.splitlines())} lines, {len(body)} bytes")
    for line in body.splitlines():
        found += event_faults(json.loads(line))
    return found


def signature(body: bytes, seconds: str) -> str:
    return hmac.new(KEY.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()


def event_faults(event: Event) -> list[str]:
    checks = {
        "unknown field": event.keys() <= FIELDS,
        "id": UUID.match(event["id"]),
        "type": re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", event["type"]),
        "occurred_at": TIME.match(event["occurred_at"]),
        "attributes": len(json.dumps(event.get("attributes", {}))) <= 16384,
        "message": len(event.get("message", "")) <= 4000,
        "sequence": event["type"] == "bridge.connection_test" or (event["sequence"] > 0 and event["source"]),
    }
    return [f"{name}: {event}" for name, is_fine in checks.items() if not is_fine]


def problem(status: int, title: str = "Unprocessable", **headers: str) -> Answer:
    """An answer that only refuses, in the shape of the real server's errors."""
    return lambda events: (status, headers, {"type": "about:blank", "title": title, "status": status, "detail": title})

"""Every route of the whole HTTP application, and those who may come: for the tests that walk them all."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar.routes import HTTPRoute

from tests.api.service import OTHER_SITE, THE_TEST, Service
from tocsin import asgi
from tocsin.db.writer import Tx
from tocsin.identity import people, sessions
from tocsin.identity.model import Role, Scope

ORIGIN = "https://alarm.example.com"
PATIENCE = 10  # seconds for an answer to begin
MADE_UP = "00000000-0000-7000-8000-00000000dead"


@dataclass(frozen=True)
class Answer:
    """How an answer begins, and its body as far as it was waited for."""

    status: int
    location: str
    body: bytes


@dataclass(frozen=True)
class Comer:
    """Somebody who asks: with a key, with a session, or with nothing."""

    name: str
    key: str = ""
    session: str = ""
    csrf: str = ""
    scopes: frozenset[Scope] = frozenset()
    role: Role | None = None
    whole: bool = True

    def headers(self, cookie: str, kind: str) -> list[tuple[bytes, bytes]]:
        """What this one sends along."""
        found = {"host": "alarm.example.com", "accept": "text/html" if kind == "form" else "application/json"}
        if self.key:
            found["authorization"] = f"Bearer {self.key}"
        if self.session:
            found |= {"cookie": f"{cookie}={self.session}", "x-csrf-token": self.csrf, "origin": ORIGIN, "sec-fetch-site": "same-origin"}
        return [(name.encode(), value.encode()) for name, value in found.items()]


def routes(service: Service) -> Iterator[tuple[str, str]]:
    """Method and template of each; the intake is one of its own, before the framework."""
    for route in (route for wing in asgi.Wing for route in service.app.wing(wing).routes):
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(str(method) for method in handler.http_methods):
                    if method != "OPTIONS":
                        yield method, route.path_format
    yield "POST", "/api/v1/events"


def filled(template: str, **ids: str) -> str:
    """The address of a route, with *ids* in place of its parameters; what is not given is made up."""
    return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], MADE_UP), template)


async def ask(
    service: Service,
    comer: Comer,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    query: dict[str, str] | None = None,
    *,
    whole: bool = False,
) -> Answer:
    """One request, until the answer begins (*whole*: until it ends, or for a while): a stream is left again."""
    kind = "json" if path.startswith("/api/") else "form"
    content = b""
    headers = comer.headers(service.server.sessions.cookie, kind)
    if method not in ("GET", "DELETE"):
        content = msgspec.json.encode(body or {}) if kind == "json" else urlencode(body or {}, doseq=True).encode()
        mime = b"application/json" if kind == "json" else b"application/x-www-form-urlencoded"
        headers += [(b"content-type", mime), (b"content-length", b"%d" % len(content))]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(query or {}).encode(),
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.77", 1234),
        "server": ("alarm.example.com", 443),
        "state": {},
    }
    return await _Exchange(content, whole=whole).run(service.app, scope)


class _Exchange:
    def __init__(self, content: bytes, *, whole: bool) -> None:
        self._content, self._whole = content, whole
        self._sent = False
        self._begun: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._body = b""

    async def run(self, app: Any, scope: dict[str, Any]) -> Answer:
        task = asyncio.ensure_future(app(scope, self._receive, self._send))
        done, _ = await asyncio.wait([task, self._begun], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert done, f"no answer to {scope['method']} {scope['path']}"
        if self._whole:
            await asyncio.wait([task], timeout=0.5)
        else:
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        start = self._begun.result()
        headers = dict(start["headers"])
        return Answer(start["status"], headers.get(b"location", b"").decode(), self._body)

    async def _receive(self) -> dict[str, Any]:
        if self._sent:
            await asyncio.Event().wait()
        self._sent = True
        return {"type": "http.request", "body": self._content, "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and not self._begun.done():
            self._begun.set_result(message)
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")


async def comers(service: Service) -> list[Comer]:
    """The cast: nobody, a key of each scope, one of another site, and a person of each role, with all sites and with one."""
    found = [Comer("nobody")]
    for scope in Scope:
        caller = await service.key(f"only {scope}", scope)
        found.append(Comer(f"key {scope}", key=caller.headers["Authorization"][7:], scopes=frozenset({scope})))
    tenant = service.tenant.headers["Authorization"][7:]
    found.append(Comer("key of one site", key=tenant, scopes=frozenset({Scope.ADMIN}), whole=False))
    site = frozenset({service.world.core.sites.get(OTHER_SITE).id})
    for role in Role:
        found.append(await a_person(service, role, None))
        found.append(await a_person(service, role, site))
    return found


async def a_person(service: Service, role: Role, site_ids: frozenset[int] | None) -> Comer:
    """Somebody who is logged in."""
    name, now = f"{role} of {'all' if site_ids is None else 'one'}", service.world.clock.now()

    def work(tx: Tx) -> str:
        email = f"{name.replace(' ', '-')}@example.com"
        user = people.add(tx, THE_TEST, email, name, role, now, site_ids=site_ids, password_hash="x")
        return sessions.begin(tx, user.id, "192.0.2.77", "a browser", now).token

    token = await service.world.write(work)
    viewer = await asyncio.to_thread(service.server.sessions.look_up, token)
    return Comer(name, session=token, csrf=viewer.csrf, role=role, whole=site_ids is None)

"""The HTTP application on top of a `World`, and whoever calls it."""

from dataclasses import dataclass
from typing import Any, cast

import httpx
from argon2 import PasswordHasher

from tests.world import World
from tocsin import asgi
from tocsin.audit.model import Who
from tocsin.audit.refusals import Refusals
from tocsin.bootstrap import Server, rounds_of
from tocsin.db.writer import Tx
from tocsin.engine.loop import StepHealth
from tocsin.engine.steps import STEPS
from tocsin.events import sites
from tocsin.identity import service as identity
from tocsin.identity.login import Porter
from tocsin.identity.model import Role, Scope
from tocsin.identity.passwords import Passwords
from tocsin.identity.service import KeyRing
from tocsin.identity.sessions import SessionBook
from tocsin.notify.accounts import Courier
from tocsin.notify.vapid import Vapid

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET = b"s" * 32
OTHER_SITE = "kiezhost"
THE_TEST = Who("the test")


class FakeEngine:
    """An engine of which only the health is looked at."""

    def __init__(self, now: int) -> None:
        self.health = {step.name: StepHealth(ended_at=now) for step in STEPS}


class Caller:
    """Somebody with a key (or without), calling the API."""

    def __init__(self, client: httpx.AsyncClient, secret: str | None) -> None:
        self._client = client
        self.headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; *path* is below ``/api/v1`` unless it says otherwise."""
        address = path if path.startswith(("/api/", "/a/", "//")) else f"/api/v1{path}"
        headers = {**self.headers, **more.pop("headers", {})}
        return await self._client.request(
            method, address.replace("//", "/", 1) if address.startswith("//") else address, headers=headers, **more
        )

    async def get(self, path: str, **params: Any) -> Any:
        """What a good GET answers."""
        answer = await self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """What a POST answers that is expected to end with *status*."""
        answer = await self.ask("POST", path, json={} if body is None else body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, status: int, **more: Any) -> Any:
        """The problem document of a request that must end with *status*."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        return problem


@dataclass
class Service:
    """See the module. ``admin`` may do all, ``reader``, ``writer``, ``sender`` one thing each, ``tenant`` all on the other site."""

    world: World
    server: Server
    app: asgi.Front
    engine: FakeEngine
    client: httpx.AsyncClient
    nobody: Caller
    admin: Caller
    reader: Caller
    writer: Caller
    sender: Caller
    tenant: Caller

    @classmethod
    async def start(cls, world: World) -> "Service":
        """Builds it, with a second site and the cast's contacts."""
        core = world.core
        keys = KeyRing(core.database, world.clock)
        unused: Any = None
        passwords, refusals = Passwords(QUICK), Refusals(core.writer, world.clock)
        server = Server(
            core=core,
            keys=keys,
            sessions=SessionBook(core.database, world.clock, world.settings.public_url),
            passwords=passwords,
            refusals=refusals,
            courier=Courier(core.writer, world.clock, world.email, world.settings.public_url),
            porter=Porter(core.database, core.writer, world.clock, passwords, refusals, SECRET),
            delivery=world.delivery,
            channels=dict(world.channels),
            door=unused,
            checkpointer=unused,
            departures=world.departures,
            secret=SECRET,
            lock=unused,
            vapid=Vapid(core.writer, "mailto:ops@example.com"),
            rounds=rounds_of(core),
        )
        engine = FakeEngine(world.clock.now())
        app = asgi.build(server, cast("Any", engine))
        transport = httpx.ASGITransport(app=cast("Any", app), raise_app_exceptions=True)
        client = httpx.AsyncClient(transport=transport, base_url="https://alarm.example.com")
        await world.write(lambda tx: sites.ensure(tx, OTHER_SITE, world.clock.now()))
        await world.people()
        secrets = await world.write(lambda tx: _make_keys(tx, world))
        callers = {name: Caller(client, secret) for name, secret in secrets.items()}
        return cls(world, server, app, engine, client, Caller(client, None), **callers)

    async def close(self) -> None:
        """Ends everything."""
        await self.client.aclose()
        await self.world.close()

    async def key(self, name: str, *scopes: Scope, site: str | None = None, expires_in: int | None = None) -> Caller:
        """A caller with a key of its own."""
        place = None if site is None else (self.world.core.sites.get(site).id, site)
        now = self.world.clock.now()
        made = await self.world.write(lambda tx: identity.make_key(tx, THE_TEST, name, frozenset(scopes), place, expires_in, now))
        return Caller(self.client, made.secret)

    async def user(self, email: str, name: str) -> None:
        """A person with an account."""
        now = self.world.clock.now()
        await self.world.write(lambda tx: identity.add_user(tx, email, name, Role.RESPONDER, None, now))

    async def send(self, *events: dict[str, Any]) -> Any:
        """Events in, through the front door; what follows at once has happened when this returns."""
        answer = await self.sender.ask("POST", "/events", json=list(events))
        assert answer.status_code == 202, answer.text
        await self.world.settle()
        return answer.json()


def _make_keys(tx: Tx, world: World) -> dict[str, str]:
    wanted: dict[str, tuple[frozenset[Scope], tuple[int, str] | None]] = {
        "admin": (frozenset({Scope.ADMIN}), None),
        "reader": (frozenset({Scope.READ}), None),
        "writer": (frozenset({Scope.WRITE}), None),
        "sender": (frozenset({Scope.INGEST}), None),
        "tenant": (frozenset({Scope.ADMIN}), (world.core.sites.get(OTHER_SITE).id, OTHER_SITE)),
    }
    now = world.clock.now()
    return {name: identity.make_key(tx, THE_TEST, name, scopes, site, None, now).secret for name, (scopes, site) in wanted.items()}

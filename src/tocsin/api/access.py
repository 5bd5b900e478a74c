"""Who may call what: one table, looked at before anything else. A route without a row is closed to everybody."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from tocsin.core.errors import NotAllowed, TocsinError
from tocsin.identity import rules
from tocsin.identity.model import ApiKey, Scope
from tocsin.identity.service import KeyRing, bearer


class Access(msgspec.Struct, frozen=True):
    """Who may call a route. ``scope`` None: anybody. ``whole``: what it shows is not one site's, so that a site's key may not."""

    scope: Scope | None
    whole: bool = False


OPEN = Access(None)
READ = Access(Scope.READ)
READ_ALL = Access(Scope.READ, whole=True)
WRITE = Access(Scope.WRITE)
ADMIN = Access(Scope.ADMIN, whole=True)

ACCESS: Mapping[str, Access] = {
    # Events in go past this table: POST /api/v1/events asks for the scope `ingest` itself (intake.py).
    "GET /api/v1/events": READ,
    "GET /api/v1/events.csv": READ,
    "GET /api/v1/events/{event_id}": READ,
    "GET /api/v1/sources": READ,
    "GET /api/v1/quarantine": READ,
    "GET /api/v1/alerts": READ,
    "GET /api/v1/alerts/{ref}": READ,
    "POST /api/v1/alerts/{ref}/acknowledge": WRITE,
    "POST /api/v1/alerts/{ref}/unacknowledge": WRITE,
    "POST /api/v1/alerts/{ref}/resolve": WRITE,
    "POST /api/v1/alerts/{ref}/snooze": WRITE,
    "POST /api/v1/alerts/{ref}/assign": WRITE,
    "POST /api/v1/alerts/{ref}/comment": WRITE,
    "POST /api/v1/alerts/bulk": WRITE,
    "POST /api/v1/alerts/test": WRITE,
    "GET /api/v1/notifications": READ,
    "GET /api/v1/notifications/{message_id}": READ,
    "POST /api/v1/notifications/{message_id}/revoke-links": WRITE,
    "GET /api/v1/contacts": READ_ALL,
    "GET /api/v1/sites": READ,
    "POST /api/v1/sites": ADMIN,
    "GET /api/v1/catalogue": READ,
    "PUT /api/v1/sites/{slug}/catalogue/{event_type}": ADMIN,
    "DELETE /api/v1/sites/{slug}/catalogue/{event_type}": ADMIN,
    "GET /api/v1/sites/{slug}/patterns": READ,
    "GET /api/v1/sites/{slug}/patterns/{name}": READ,
    "PUT /api/v1/sites/{slug}/patterns/{name}": ADMIN,
    "DELETE /api/v1/sites/{slug}/patterns/{name}": ADMIN,
    "GET /api/v1/keys": ADMIN,
    "POST /api/v1/keys": ADMIN,
    "DELETE /api/v1/keys/{key_id}": ADMIN,
    "GET /api/v1/metrics": READ_ALL,
    "GET /metrics": READ_ALL,
    # Open: they say whether Tocsin works, and how to talk to it, and nothing about anybody.
    "GET /api/v1/health": OPEN,
    "GET /api/v1/live": OPEN,
    "GET /api/v1/ready": OPEN,
    "GET /health": OPEN,
    "GET /live": OPEN,
    "GET /ready": OPEN,
    "GET /api/openapi.json": OPEN,
    "GET /api/docs": OPEN,
    "GET /": OPEN,
    "GET /static/{name}": OPEN,
    "GET /favicon.ico": OPEN,
    "GET /robots.txt": OPEN,
    "GET /design": READ_ALL,
    # Open to whoever holds the link: its token is the key.
    "GET /a/{token}": OPEN,
    "POST /a/{token}": OPEN,
}


def row(method: str, template: str) -> Access | None:
    """The table's row for a route."""
    return ACCESS.get(f"{method} {template}")


class Guard:
    """Stands before every handler: finds the row of the route, then the key, and checks the one against the other."""

    def __init__(self, keys: KeyRing, now: Any) -> None:
        self._keys, self._now = keys, now

    async def __call__(self, connection: "ASGIConnection[Any, Any, Any, Any]", _handler: BaseRouteHandler) -> None:
        """Lets the request pass, with its key in the state, or raises `NotAuthenticated` or `NotAllowed`."""
        method = connection.scope.get("method", "")
        if method == "OPTIONS":
            return  # says which methods there are, nothing else
        access = row(str(method), connection.scope["path_template"])
        if access is None:
            raise NotAllowed("this route has no row in the access table: a fault of ours")
        if access.scope is not None:
            connection.state.key = check(access, await self._find(authorization(connection)), self._now())

    async def _find(self, header: bytes) -> ApiKey:
        bearer(header)
        key = self._keys.recall(header)
        return key if key is not None else await asyncio.to_thread(self._keys.look_up, header)

    async def reader(self, connection: "ASGIConnection[Any, Any, Any, Any]") -> bool:
        """For open routes that say more to some: whether a key came along that may read everything. Raises nothing of ours."""
        header = authorization(connection)
        if not header:
            return False
        try:
            check(READ_ALL, await self._find(header), self._now())
        except TocsinError:
            return False
        return True


def check(access: Access, key: ApiKey, now: int) -> ApiKey:
    """The key, if it is good now and may do what *access* asks for. Raises `NotAuthenticated` or `NotAllowed`."""
    if access.scope is not None:
        rules.check(key, access.scope, now)
    if access.whole and key.site is not None:
        raise NotAllowed(f"this key is for the site {key.site} only; this is about the whole installation")
    return key


def authorization(connection: "ASGIConnection[Any, Any, Any, Any]") -> bytes:
    """The ``Authorization`` header as it came, empty if there is none."""
    for name, value in connection.scope["headers"]:
        if name == b"authorization":
            return value
    return b""

"""Stands before every handler, pages included: who asks, and may they? The table itself is identity/permissions.py."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from tocsin.api import pace
from tocsin.audit.refusals import network_of
from tocsin.core.errors import NotAllowed, NotAuthenticated, NotFound, TocsinError, UnknownFields
from tocsin.identity import permissions, rules
from tocsin.identity.model import ApiKey, Caller, Permission, Scope, Viewer
from tocsin.identity.permissions import Row
from tocsin.identity.service import KeyRing, bearer
from tocsin.identity.sessions import SessionBook

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"

AnyConnection = ASGIConnection[Any, Any, Any, Any]
AnyRequest = Request[Any, Any, Any]
Credential = TypeVar("Credential")
Found = TypeVar("Found")


class Guard:
    """Finds the row of the route, then the key or the person, and checks the one against the other."""

    def __init__(self, keys: KeyRing, sessions: SessionBook, now: Callable[[], int], public_url: str) -> None:
        self._keys, self._sessions, self._now, self._public_url = keys, sessions, now, public_url
        self.cookie = sessions.cookie
        self.calls = pace.Pace(pace.CALLS, "too many calls", now)
        self.strangers = pace.Pace(pace.STRANGERS, "too many calls with a key or login that is not known", now)

    async def __call__(self, connection: AnyConnection, _handler: BaseRouteHandler) -> None:
        """Lets the request pass, with its caller (and, on pages, viewer) in the state, or raises `NotAuthenticated` or `NotAllowed`."""
        method = str(connection.scope.get("method", ""))
        if method == "OPTIONS":
            return  # says which methods there are, nothing else
        route = f"{method} {connection.scope['path_template']}"
        row = permissions.row(route)
        if row is None:
            raise NotAllowed("this route has no row in the table of permissions: a fault of ours")
        if row.permission is Permission.OPEN:
            return
        address = connection.client.host if connection.client else ""
        header = authorization(connection)
        # Who it is stands in the state before it is known whether they may: a refusal is noted under their name.
        if route in row.pages or (not header and self._sessions.cookie in connection.cookies):
            viewer = await self._person(connection, address)
            self.calls.take(f"user:{viewer.user_id}")
            connection.state.viewer, connection.state.caller = viewer, viewer.calling(address)
            if method not in SAFE_METHODS:
                await self._from_own_page(connection, viewer)  # type: ignore[arg-type]  # there are no others than HTTP requests
            await self._may(row, viewer)
        else:
            key = await self.key(header, address)
            if row.permission is not Permission.SEND:  # what comes in is bounded by what can be stored
                self.calls.take(f"key:{key.id}")
            connection.state.caller = caller_of(key, address)
            check(row, key, self._now())

    async def key(self, header: bytes, address: str) -> ApiKey:
        """The key in an ``Authorization`` header. Raises `NotAuthenticated`, `TooMany` for an address that tries ever more of them."""
        bearer(header)
        key = self._keys.recall(header)
        return key if key is not None else await self._known(self._keys.look_up, header, address)

    async def _known(self, look_up: Callable[[Credential], Found], credential: Credential, address: str) -> Found:
        network = network_of(address)
        self.strangers.check(network)
        try:
            return await asyncio.to_thread(look_up, credential)
        except NotAuthenticated:
            self.strangers.take(network)
            raise

    async def _person(self, connection: AnyConnection, address: str) -> Viewer:
        token = connection.cookies.get(self._sessions.cookie, "")
        if not token:
            raise NotAuthenticated("log in first")
        viewer = self._sessions.recall(token)
        if viewer is None:
            viewer = await self._known(self._sessions.look_up, token, address)
        return viewer

    async def _may(self, row: Row, viewer: Viewer) -> None:
        try:
            check_person(row, viewer)
        except NotAllowed as error:
            names = await asyncio.to_thread(self._sessions.who_has, row.roles)
            raise NotAllowed(f"{error.message}. {' or '.join(names) or 'Nobody yet'} can do it") from None

    async def _from_own_page(self, request: AnyRequest, viewer: Viewer) -> None:
        """Another site can have a browser send a form with our cookie; it cannot know what our forms carry."""
        if not rules.is_own_page(request.headers, self._public_url):
            raise NotAllowed("this was not sent from a page of this Tocsin, so nothing was done")
        given = request.headers.get(CSRF_HEADER) or _field(await request.body())
        if not rules.same(given, viewer.csrf):
            raise NotAllowed("this form is of an earlier login, or none of ours: load the page again and send it once more")

    async def reader(self, connection: AnyConnection) -> bool:
        """For open routes that say more to some: whether a key came along that may read everything. Raises nothing of ours."""
        header, address = authorization(connection), connection.client.host if connection.client else ""
        if not header:
            return False
        try:
            rules.check(await self.key(header, address), Scope.READ, self._now(), whole=True)
        except TocsinError:
            return False
        return True


def check(row: Row, key: ApiKey, now: int) -> ApiKey:
    """The key, if it is good now and may do what *row* is about. Raises `NotAuthenticated` or `NotAllowed`."""
    return rules.check(key, row.scope, now, whole=row.whole)


def caller_of(key: ApiKey, address: str) -> Caller:
    """A key as a caller, from *address*."""
    site_ids = None if key.site_id is None else frozenset({key.site_id})
    return Caller(f"key:{key.name}", address, permissions.of_scopes(key.scopes, whole=site_ids is None), site_ids)


def check_person(row: Row, viewer: Viewer) -> None:
    """Raises `NotAllowed` if the person may not do what *row* is about."""
    if viewer.may(row.permission):
        return
    if viewer.role in row.roles:
        raise NotAllowed("you see some sites only; this is about the whole installation")
    raise NotAllowed(f"your role is {viewer.role}; this needs {' or '.join(sorted(row.roles)) or 'an API key'}")


def is_refusal(error: TocsinError, caller: Caller | None, *, has_credential: bool) -> bool:
    """Whether the audit log hears of *error*. Who comes without key or login is only shown the way in; who may see some
    sites only and asks for what is not there may have asked for what is another's.
    """
    match error:
        case NotAuthenticated():
            return has_credential
        case NotAllowed():
            return True
        case UnknownFields():
            return caller is not None
        case NotFound():
            return caller is not None and caller.site_ids is not None
    return False


def _field(body: bytes) -> str:
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=200)).get(CSRF_FIELD, "")
    except ValueError:
        return ""


def authorization(connection: AnyConnection) -> bytes:
    """The ``Authorization`` header as it came, empty if there is none."""
    for name, value in connection.scope["headers"]:
        if name == b"authorization":
            return value
    return b""

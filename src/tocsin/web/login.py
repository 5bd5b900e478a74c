"""``/login`` and ``/logout``."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.bootstrap import Server
from tocsin.core.errors import NotAllowed, NotAuthenticated
from tocsin.identity import sessions, store
from tocsin.identity.rules import is_own_page
from tocsin.web.access import AnyRequest, address_of, drop, form, go, keep, local_path
from tocsin.web.pages import page
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

WRONG = "That email and password do not fit together."


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What the login form sends."""

    email: Annotated[str, Meta(max_length=254)] = ""
    password: Annotated[str, Meta(max_length=1024)] = ""
    next: Annotated[str, Meta(max_length=2_000)] = "/"


class LoginPages(Controller):
    """Coming and going."""

    include_in_schema = False

    @get("/login")
    async def show(self, request: AnyRequest, server: TheServer) -> Response[bytes]:
        """The login form; whoever is logged in goes on at once."""
        then = local_path(request.query_params.get("next", ""))
        if await _is_logged_in(request, server):
            return go(then)
        return page("login.html", then=then, email="", error="")

    @post("/login", status_code=200)
    async def log_in(self, request: AnyRequest, server: TheServer) -> Response[bytes]:
        """Checks email and password, and makes a session."""
        if not is_own_page(request.headers, server.core.settings.public_url):
            raise NotAllowed("a login can only be sent from the login page of this Tocsin")
        sent = await form(request, Login)
        then = local_path(sent.next)
        user_id, stored = await asyncio.to_thread(_find, server, sent.email)
        if not await server.passwords.fits(sent.password, stored) or user_id is None:
            return page("login.html", 401, then=then, email=sent.email, error=WRONG)
        now, address, agent = server.core.clock.now(), address_of(request), request.headers.get("user-agent", "")
        made = await server.core.writer.run(lambda tx: sessions.begin(tx, user_id, address, agent, now))
        return keep(go(then), server.sessions.cookie, made.token)

    @post("/logout", status_code=200)
    async def log_out(self, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Ends the session, here and in the browser."""
        await server.core.writer.run(lambda tx: store.end_session(tx, viewer.session_id))
        server.sessions.forget()
        return drop(go("/login"), server.sessions.cookie)


async def _is_logged_in(request: AnyRequest, server: Server) -> bool:
    token = request.cookies.get(server.sessions.cookie)
    if not token:
        return False
    try:
        return server.sessions.recall(token) is not None or bool(await asyncio.to_thread(server.sessions.look_up, token))
    except NotAuthenticated:
        return False


def _find(server: Server, email: str) -> tuple[str | None, str | None]:
    with server.core.database.read() as connection:
        return store.find_login(connection, email.strip().lower())

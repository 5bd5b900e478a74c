"""``/login`` and ``/logout``."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import Cookie
from msgspec import Meta

from tocsin.bootstrap import Server
from tocsin.core.clock import MINUTE
from tocsin.core.errors import NotAllowed, NotAuthenticated
from tocsin.identity import people, store
from tocsin.identity.login import TICKET_LASTS, HalfIn, Knocker, NotIn, Refused
from tocsin.identity.rules import is_own_page
from tocsin.identity.sessions import NewSession
from tocsin.web.access import AnyRequest, address_of, drop, form, go, keep, local_path
from tocsin.web.pages import page
from tocsin.web.start import TheServer
from tocsin.web.times import in_words
from tocsin.web.viewer import TheViewer

NUMBERS = ("no", "one", "two", "three", "four")
DONE = {
    "password": "Your new password works now. Sign in with it.",
    "out": "You are signed out.",
    "ended": "Your account was changed. Sign in again.",
}


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What the login form sends: address and password, then the code where a second factor is set (or all at once)."""

    email: Annotated[str, Meta(max_length=254)] = ""
    password: Annotated[str, Meta(max_length=1024)] = ""
    code: Annotated[str, Meta(max_length=64)] = ""
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
        nobody = not await asyncio.to_thread(_has_user, server)
        return page(
            "login.html",
            then=then,
            email="",
            error="",
            done=DONE.get(request.query_params.get("done", ""), ""),
            nobody=nobody,
        )

    @post("/login", status_code=200)
    async def log_in(self, request: AnyRequest, server: TheServer) -> Response[bytes]:
        """Checks what was sent, and makes a session."""
        refuse_foreign(request, server)
        sent = await form(request, Login)
        then, ticket = local_path(sent.next), request.cookies.get(_ticket_cookie(server), "")
        answer: NewSession | HalfIn | NotIn
        if sent.code and not sent.password:
            answer = await server.porter.prove(ticket, sent.code, knocker(request, server))
            if isinstance(answer, NotIn) and answer.reason is not Refused.TICKET:
                return _again("login-code.html", answer, then=then)
        else:
            answer = await server.porter.knock(sent.email, sent.password, sent.code, knocker(request, server))
        if isinstance(answer, HalfIn):
            response = page("login-code.html", then=then, error="")
            response.set_cookie(_ticket(server, answer.ticket, TICKET_LASTS // 1000))
            return response
        if isinstance(answer, NotIn):
            return _again("login.html", answer, then=then, email=sent.email, done="", nobody=False)
        response = keep(go(then), server.sessions.cookie, answer.token)
        if ticket:
            response.set_cookie(_ticket(server, "", 0))
        return response

    @post("/logout", status_code=200)
    async def log_out(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Ends the session, here and in the browser."""
        who, now = viewer.calling(address_of(request)).who, server.core.clock.now()
        await server.core.writer.run(lambda tx: people.end_session(tx, who, viewer.user_id, viewer.session_id, now, "logout"))
        server.sessions.forget()
        return drop(go("/login?done=out"), server.sessions.cookie)


def refuse_foreign(request: AnyRequest, server: Server) -> None:
    """For forms that nobody is logged in for. Raises `NotAllowed` if the browser says that another site sends them."""
    if not is_own_page(request.headers, server.core.settings.public_url):
        raise NotAllowed("this was not sent from a page of this Tocsin, so nothing was done")


def knocker(request: AnyRequest, server: Server) -> Knocker:
    """Who asks to be let in."""
    agent, old_token = request.headers.get("user-agent", ""), request.cookies.get(server.sessions.cookie, "")
    return Knocker(address_of(request), agent, old_token)


def _again(template: str, answer: NotIn, **values: Any) -> Response[bytes]:
    paused = answer.reason in (Refused.PAUSED, Refused.ADDRESS_PAUSED)
    response = page(template, 429 if paused else 401, error=why_not(answer), **values)
    if paused:
        response.set_header("Retry-After", str(-(-answer.wait // 1000)))
    return response


def why_not(answer: NotIn) -> str:
    """What a person reads; the same whether there is such an account or not."""
    match answer.reason:
        case Refused.PAUSED | Refused.ADDRESS_PAUSED:
            return f"Too many tries failed. The next one is possible in {_rounded(answer.wait)}."
        case Refused.TICKET:
            return "That took too long. Type your password again."
        case Refused.WRONG:
            said = "That email and password do not fit together."
        case Refused.CODE_USED:
            said = "That code was used already. Wait for the next one."
        case Refused.CODE_WRONG:
            said = "That is not the code of this moment. Is the phone's clock right?"
    if answer.wait:
        return f"{said} The next try is possible in {_rounded(answer.wait)}."
    return f"{said} {NUMBERS[answer.left].capitalize()} {'try' if answer.left == 1 else 'tries'} left before a pause of one minute."


def _rounded(ms: int) -> str:
    return in_words(ms if ms < MINUTE else -(-ms // MINUTE) * MINUTE)


def _ticket_cookie(server: Server) -> str:
    return f"{server.sessions.cookie}-code"


def _ticket(server: Server, value: str, seconds: int) -> Cookie:
    name = _ticket_cookie(server)
    return Cookie(key=name, value=value, path="/", max_age=seconds, httponly=True, secure=name.startswith("__Host-"), samesite="strict")


async def _is_logged_in(request: AnyRequest, server: Server) -> bool:
    token = request.cookies.get(server.sessions.cookie)
    if not token:
        return False
    try:
        return server.sessions.recall(token) is not None or bool(await asyncio.to_thread(server.sessions.look_up, token))
    except NotAuthenticated:
        return False


def _has_user(server: Server) -> bool:
    with server.core.database.read() as connection:
        return store.has_user(connection)

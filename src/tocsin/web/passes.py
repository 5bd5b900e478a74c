"""Links that work once: ``/invite/{token}``, ``/reset/{token}``, ``/setup/{token}``; and ``/reset``, which has one mailed.

GET shows a form and changes nothing, since mail scanners open every link; POST uses the link up.
"""

import asyncio
from typing import Annotated, TypeVar

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.text import sentence
from tocsin.db.writer import Tx
from tocsin.identity import logins, people, rules, store
from tocsin.identity.model import PassKind, User
from tocsin.identity.sessions import NewSession
from tocsin.web.access import AnyRequest, Problems, address_of, form, go, keep, problems
from tocsin.web.login import knocker, refuse_foreign
from tocsin.web.pages import notice, page
from tocsin.web.start import InPath, TheServer

Password = Annotated[str, Meta(max_length=rules.MAX_PASSWORD, extra={"must": f"have at most {rules.MAX_PASSWORD:,} characters"})]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A new password, twice."""

    password: Password = ""
    again: Password = ""
    email: Annotated[str, Meta(max_length=254)] = ""  # for password managers: whose it is; not read


class Setup(Choice, frozen=True, kw_only=True):
    """The first administrator."""

    name: Annotated[str, Meta(max_length=100)] = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whose password it is."""

    email: Annotated[str, Meta(max_length=254)] = ""


Chosen = TypeVar("Chosen", bound=Choice)


class PassPages(Controller):
    """Links that work once."""

    include_in_schema = False

    @get("/invite/{token:str}")
    async def show_invitation(self, server: TheServer, token: InPath) -> Response[bytes]:
        """The form in which a new person chooses a password."""
        return await _show(server, PassKind.INVITE, token, Problems())

    @post("/invite/{token:str}", status_code=200)
    async def accept_invitation(self, request: AnyRequest, server: TheServer, token: InPath) -> Response[bytes]:
        """Sets the password, and lets the person in."""
        refuse_foreign(request, server)
        try:
            user, password = await _chosen(request, server, PassKind.INVITE, token)
        except InvalidInput as error:
            return await _show(server, PassKind.INVITE, token, problems(error))
        except NotFound as error:
            return _dead(error)
        hashed, now, at = await server.passwords.hash(password), server.core.clock.now(), knocker(request, server)

        def work(tx: Tx) -> NewSession:
            people.accept(tx, PassKind.INVITE, token, hashed, at.address, now)
            return people.log_in(tx, user.id, user.email, at.old_token, at.address, at.agent, "invitation", now)

        try:
            made = await server.core.writer.run(work)
        except NotFound as error:
            return _dead(error)
        return keep(go("/settings/me?welcome=1", depth=1), server.sessions.cookie, made.token)

    @get("/reset/{token:str}")
    async def show_reset(self, server: TheServer, token: InPath) -> Response[bytes]:
        """The form for a new password."""
        return await _show(server, PassKind.RESET, token, Problems())

    @post("/reset/{token:str}", status_code=200)
    async def accept_reset(self, request: AnyRequest, server: TheServer, token: InPath) -> Response[bytes]:
        """Sets the password; who has a second factor proves it at the login."""
        refuse_foreign(request, server)
        try:
            _, password = await _chosen(request, server, PassKind.RESET, token)
            hashed, now, address = await server.passwords.hash(password), server.core.clock.now(), address_of(request)
            await server.core.writer.run(lambda tx: people.accept(tx, PassKind.RESET, token, hashed, address, now))
        except InvalidInput as error:
            return await _show(server, PassKind.RESET, token, problems(error))
        except NotFound as error:
            return _dead(error)
        server.sessions.forget()
        return go("/login?done=password", depth=1)

    @get("/setup/{token:str}")
    async def show_setup(self, server: TheServer, token: InPath) -> Response[bytes]:
        """The form for the first administrator."""
        try:
            await asyncio.to_thread(_first, server, token)
        except NotFound as error:
            return _dead(error)
        return _setup_page(Problems(), Setup())

    @post("/setup/{token:str}", status_code=200)
    async def accept_setup(self, request: AnyRequest, server: TheServer, token: InPath) -> Response[bytes]:
        """Makes the first administrator, and lets them in."""
        refuse_foreign(request, server)
        sent = Setup()
        try:
            await asyncio.to_thread(_first, server, token)
            sent = await form(request, Setup)
            password = _checked(sent, sent.email)
            rules.check_email(sent.email)
            hashed, now, at = await server.passwords.hash(password), server.core.clock.now(), knocker(request, server)

            def work(tx: Tx) -> NewSession:
                user = people.set_up(tx, token, sent.email, sent.name, hashed, "UTC", at.address, now)
                return people.log_in(tx, user.id, user.email, at.old_token, at.address, at.agent, "set-up link", now)

            made = await server.core.writer.run(work)
        except InvalidInput as error:
            return _setup_page(problems(error), sent)
        except (NotFound, Conflict) as error:
            return _dead(error)
        return keep(go("/welcome", depth=1), server.sessions.cookie, made.token)

    @get("/reset", sync_to_thread=False)
    def show_request(self, server: TheServer) -> Response[bytes]:
        """The form that has a link mailed."""
        return page("reset-request.html", has_mail=server.mail is not None, sent=False)

    @post("/reset", status_code=200)
    async def request_link(self, request: AnyRequest, server: TheServer) -> Response[bytes]:
        """Has a link mailed, if there is such an account. The answer is the same, and as quick, if there is none."""
        refuse_foreign(request, server)
        sent = await form(request, Asked)
        server.courier.reset(sent.email, address_of(request))
        return page("reset-request.html", has_mail=server.mail is not None, sent=True)


async def _show(server: Server, kind: PassKind, token: str, wrong: Problems) -> Response[bytes]:
    try:
        user = await asyncio.to_thread(_owner, server, kind, token)
    except NotFound as error:
        return _dead(error)
    status = 422 if wrong else 200
    return page("choose-password.html", status, depth=1, user=user, invited=kind is PassKind.INVITE, wrong=wrong, least=rules.MIN_PASSWORD)


def _setup_page(wrong: Problems, sent: Setup) -> Response[bytes]:
    return page("setup.html", 422 if wrong else 200, depth=1, wrong=wrong, email=sent.email, name=sent.name, least=rules.MIN_PASSWORD)


def _dead(error: NotFound | Conflict) -> Response[bytes]:
    advice = f"{sentence(error.message)} Nothing was changed. A new one comes from whoever runs Tocsin, or from the"
    return notice(404, "This link does not work.", f"{advice} sign-in page.", depth=1)


def _owner(server: Server, kind: PassKind, token: str) -> User:
    """Whose link it is. Raises `NotFound`."""
    with server.core.database.read() as connection:
        found = rules.check_pass(logins.find_pass(connection, rules.digest(token)), kind, server.core.clock.now())
        return store.get_user(connection, found.user_id or "")


def _first(server: Server, token: str) -> None:
    """Raises `NotFound` if this link makes no first administrator (any more)."""
    with server.core.database.read() as connection:
        rules.check_pass(logins.find_pass(connection, rules.digest(token)), PassKind.SETUP, server.core.clock.now())
        if store.has_user(connection):
            raise NotFound("there is an administrator already; ask them for an invitation")


async def _chosen(request: AnyRequest, server: Server, kind: PassKind, token: str) -> tuple[User, str]:
    """Whose link it is, and the password that they chose. Raises `NotFound`, `InvalidInput`."""
    user = await asyncio.to_thread(_owner, server, kind, token)
    return user, _checked(await form(request, Choice), user.email)


def _checked(sent: Choice, email: str) -> str:
    password = rules.check_password(sent.password, email)
    if sent.again != password:
        raise InvalidInput.of("again", "is not the same")
    return password

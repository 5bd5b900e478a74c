"""``/settings/people``: who has an account, what they may do, and the links that let them in."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.audit.model import Who
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.db.writer import Tx
from tocsin.identity import logins, people, rules, store
from tocsin.identity.model import PassKind, Role, User, Viewer
from tocsin.notify import accounts
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.pages import screen
from tocsin.web.settings.zones import zones
from tocsin.web.start import InPath, TheServer
from tocsin.web.times import in_words
from tocsin.web.viewer import TheViewer

DONE = {
    "saved": "Saved.",
    "disabled": "Shut out, and signed out everywhere. History keeps the name.",
    "enabled": "Let in again.",
    "second-factor": "The second factor is off, and they are signed out everywhere.",
    "sessions": "Signed out everywhere.",
}
ROLES = (
    ("viewer", "Viewer: sees, changes nothing"),
    ("responder", "Responder: acts on alerts"),
    ("admin", "Administrator: may do everything"),
)


class PersonForm(msgspec.Struct, frozen=True, kw_only=True):
    """A person, as an administrator writes them down."""

    email: Annotated[str, Meta(max_length=254)] = ""
    name: Annotated[str, Meta(max_length=100)] = ""
    role: Role = Role.VIEWER
    time_zone: Annotated[str, Meta(max_length=60)] = "UTC"
    every_site: Annotated[str, Meta(pattern="^(yes|no)$")] = "yes"
    site: tuple[Annotated[str, Meta(max_length=63)], ...] = ()


class LinkForm(msgspec.Struct, frozen=True, kw_only=True):
    """Which link is wanted."""

    kind: PassKind = PassKind.INVITE


class PeoplePages(Controller):
    """People."""

    path = "/settings/people"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Everybody with an account."""
        with server.core.database.read() as connection:
            users = store.list_users(connection)
            invited = logins.invited(connection, server.core.clock.now())
        users.sort(key=lambda user: (user.disabled_at is not None, user.name.casefold()))
        slug_of = server.core.sites.slug_of
        return screen(
            request,
            viewer,
            "settings/people.html",
            here="settings",
            tab="people",
            users=users,
            invited=invited,
            sites_of=lambda user: None if user.site_ids is None else sorted(map(slug_of, user.site_ids)),
            done="Removed: nothing had their name yet." if request.query_params.get("done") == "removed" else "",
        )

    @get("/new", sync_to_thread=True)
    def show_form(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The form for an invitation."""
        return _form_page(request, server, viewer, None, PersonForm(time_zone=viewer.time_zone), Problems())

    @post("/new", status_code=200)
    async def invite(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes the account and sends the invitation, or shows its link, this once."""
        now, who, sent = server.core.clock.now(), _who(request, viewer), PersonForm()

        def work(tx: Tx) -> tuple[User, people.NewPass]:
            user = people.add(tx, who, sent.email, sent.name, sent.role, now, time_zone=sent.time_zone, site_ids=_site_ids(server, sent))
            return user, people.make_pass(tx, who, PassKind.INVITE, user.id, now)

        try:
            sent = await form(request, PersonForm)
            user, made = await server.core.writer.run(work)
        except (InvalidInput, Conflict) as error:
            wrong = problems(error) if isinstance(error, InvalidInput) else Problems({"email": f"{error.message.capitalize()}."})
            return await asyncio.to_thread(_form_page, request, server, viewer, None, sent, wrong)
        return await _hand_over(request, server, viewer, user, made)

    @get("/{user_id:str}", sync_to_thread=True)
    def show_person(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """One person."""
        with server.core.database.read() as connection:
            user = store.get_user(connection, user_id.lower())
        done = DONE.get(request.query_params.get("done", ""), "")
        return _form_page(request, server, viewer, user, _filled(server, user), Problems(), done)

    @post("/{user_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Changes a person."""
        now, who, sent = server.core.clock.now(), _who(request, viewer), PersonForm()

        def work(tx: Tx) -> None:
            fields = {name: getattr(sent, name) for name in ("email", "name", "role", "time_zone")}
            people.change(tx, who, user_id.lower(), now, site_ids=_site_ids(server, sent), **fields)

        try:
            sent = await form(request, PersonForm)
            await server.core.writer.run(work)
        except (InvalidInput, Conflict) as error:
            wrong = problems(error) if isinstance(error, InvalidInput) else Problems({"": f"{error.message}."})
            return await asyncio.to_thread(_again, request, server, viewer, user_id.lower(), sent, wrong)
        server.sessions.forget()
        return go(f"/settings/people/{user_id}?done=saved", depth=2)

    @post("/{user_id:str}/link", status_code=200)
    async def send_link(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """A new invitation, or a link for a new password."""
        now, who, sent = server.core.clock.now(), _who(request, viewer), await form(request, LinkForm)

        def work(tx: Tx) -> tuple[User, people.NewPass]:
            made = people.make_pass(tx, who, sent.kind, user_id.lower(), now)
            return store.get_user(tx.sql, user_id.lower()), made

        return await _hand_over(request, server, viewer, *await server.core.writer.run(work))

    @post("/{user_id:str}/disable", status_code=200)
    async def disable(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Shuts a person out."""
        return await self._press(request, server, viewer, user_id, people.disable, "disabled")

    @post("/{user_id:str}/enable", status_code=200)
    async def enable(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Lets a person in again."""
        return await self._press(request, server, viewer, user_id, people.enable, "enabled")

    @post("/{user_id:str}/second-factor", status_code=200)
    async def remove_second_factor(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Takes a second factor away, for who has lost the phone."""

        def remove(tx: Tx, who: Who, user: str, now: int) -> None:
            people.remove_totp(tx, who, store.get_user(tx.sql, user).id, None, now)

        return await self._press(request, server, viewer, user_id, remove, "second-factor")

    @post("/{user_id:str}/sessions", status_code=200)
    async def end_sessions(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Signs a person out everywhere."""

        def end(tx: Tx, who: Who, user: str, now: int) -> None:
            people.end_sessions(tx, who, store.get_user(tx.sql, user).id, now)

        return await self._press(request, server, viewer, user_id, end, "sessions")

    @post("/{user_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Removes a person whom nothing names, or shuts them out."""
        await self._press(request, server, viewer, user_id, people.remove, "")
        with_name = await asyncio.to_thread(_is_there, server, user_id.lower())
        return go(f"/settings/people/{user_id}?done=disabled" if with_name else "/settings/people?done=removed", depth=3)

    async def _press(self, request: AnyRequest, server: Server, viewer: Viewer, user_id: str, act: Any, done: str) -> Response[bytes]:
        await form(request, NoFields)
        now, who = server.core.clock.now(), _who(request, viewer)
        await server.core.writer.run(lambda tx: act(tx, who, user_id.lower(), now))
        server.sessions.forget()
        return go(f"/settings/people/{user_id}?done={done}", depth=3)


def _who(request: AnyRequest, viewer: Viewer) -> Who:
    return viewer.calling(address_of(request)).who


def _is_there(server: Server, user_id: str) -> bool:
    with server.core.database.read() as connection:
        return store.find_user(connection, user_id) is not None


def _site_ids(server: Server, sent: PersonForm) -> frozenset[int] | None:
    if sent.every_site == "yes":
        return None
    found = [server.core.sites.find(slug) for slug in sent.site]
    if None in found:
        raise InvalidInput.of("site", "is not there any more: load the page again")
    return frozenset(site.id for site in found if site is not None)


def _filled(server: Server, user: User) -> PersonForm:
    slugs = tuple(map(server.core.sites.slug_of, user.site_ids or ()))
    every_site = "yes" if user.site_ids is None else "no"
    return PersonForm(email=user.email, name=user.name, role=user.role, time_zone=user.time_zone, every_site=every_site, site=slugs)


def _again(request: AnyRequest, server: Server, viewer: Viewer, user_id: str, sent: PersonForm, wrong: Problems) -> Response[bytes]:
    with server.core.database.read() as connection:
        user = store.get_user(connection, user_id)
    return _form_page(request, server, viewer, user, sent, wrong)


def _form_page(
    request: AnyRequest, server: Server, viewer: Viewer, user: User | None, sent: PersonForm, wrong: Problems, done: str = ""
) -> Response[bytes]:
    sessions = []
    if user is not None:
        with server.core.database.read() as connection:
            sessions = logins.sessions_of(connection, user.id)
    return screen(
        request,
        viewer,
        "settings/person.html",
        status=422 if wrong else 200,
        here="settings",
        tab="people",
        user=user,
        sent=sent,
        wrong=wrong,
        done=done,
        roles=ROLES,
        zones=zones(),
        sites=server.core.sites.all(),
        sessions=[(one, server.sessions.last_seen(one)) for one in sessions],
        has_mail=server.mail is not None,
    )


async def _hand_over(request: AnyRequest, server: Server, viewer: Viewer, user: User, made: people.NewPass) -> Response[bytes]:
    """Mails the link, and says so; or shows it, this once."""
    now, public_url = server.core.clock.now(), server.core.settings.public_url
    reason = await accounts.send_link(server.mail, user, made, public_url, viewer.name, now)
    return await asyncio.to_thread(
        screen,
        request,
        viewer,
        "settings/link.html",
        here="settings",
        tab="people",
        user=user,
        kind=made.made.kind,
        reason=reason,
        address=people.address(public_url, made) if reason else "",
        lasts=in_words(rules.LASTS[made.made.kind]),
    )

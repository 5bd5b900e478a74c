"""``/users``: people with an account, and one's own."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Cursor, Id, Limit, Name, Page, Slug, Time
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.times import to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.identity import logins, people, rules, store
from tocsin.identity.model import Caller, Contrast, PassKind, Permission, Role, Session, Theme, User
from tocsin.notify import accounts

Result = TypeVar("Result")

Email = Annotated[str, Meta(min_length=3, max_length=254, extra={"must": "be a mail address such as marta@example.com"})]
RoleWord = Annotated[
    Literal["admin", "responder", "viewer"],
    Meta(description="What the person may do.", extra={"must": "be admin, responder or viewer"}),
]
Zone = Annotated[
    str,
    Meta(min_length=1, max_length=60, examples=["Europe/Berlin"], extra={"must": "be a time zone such as Europe/Berlin"}),
]
Sites = Annotated[
    list[Slug] | Literal["all"],
    Meta(
        description="The short names of the sites that the person may see; `all`: every site, those to come included.",
        extra={"must": 'be a list of short names of sites, or "all"'},
    ),
]
Password = Annotated[str, Meta(min_length=1, max_length=rules.MAX_PASSWORD, extra={"must": "be text"})]


class UserQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A person to be given an account. They can log in once they have used an invitation."""

    email: Email
    name: Name
    role: RoleWord
    time_zone: Zone = "UTC"
    sites: Sites = "all"


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays."""

    email: Email | None = None
    name: Name | None = None
    role: RoleWord | None = None
    time_zone: Zone | None = None
    sites: Sites | None = None
    disabled: Annotated[bool, Meta(description="Shut out, or let in again.")] | None = None


class OwnChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one may change of oneself; what is left out stays."""

    name: Name | None = None
    time_zone: Zone | None = None
    theme: Theme | None = None
    contrast: Contrast | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """The old password, as a proof, and the new one."""

    current: Password
    new: Password


class LinkWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which link: ``invite`` for who has no password yet, ``reset`` for who has forgotten it."""

    kind: Annotated[Literal["invite", "reset"], Meta(extra={"must": "be invite or reset"})]


class UserOut(msgspec.Struct, frozen=True):
    """A person. The last four are shown to administrators and to the person."""

    id: Id
    email: str
    name: str
    role: RoleWord
    time_zone: str
    disabled_at: Time | None
    created_at: Time
    sites: Sites | None
    second_factor: bool | None
    has_password: bool | None
    last_login_at: Time | None


class UserPage(Page, frozen=True):
    """People, by mail address."""

    items: list[UserOut]


class SelfOut(msgspec.Struct, frozen=True):
    """Oneself."""

    user: UserOut
    theme: Theme
    contrast: Contrast
    permissions: list[str]


class SessionOut(msgspec.Struct, frozen=True):
    """One login on one device."""

    id: Id
    created_at: Time
    last_seen_at: Time
    ends_at: Annotated[Time, Meta(description="However much it is used; 12 hours without use end it too.")]
    address: str
    agent: str
    current: Annotated[bool, Meta(description="Whether it is the one that asks.")]


class SessionPage(Page, frozen=True):
    """A person's sessions, the one used last first."""

    items: list[SessionOut]


class LinkOut(msgspec.Struct, frozen=True):
    """Whether the link was mailed. If not, ``link`` is it: shown this once, for you to hand over; ``reason`` says why."""

    sent: bool
    expires_at: Time
    link: str | None = None
    reason: str | None = None


class UsersApi(Controller):
    """People."""

    path = "/users"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def list_users(self, server: TheServer, caller: TheCaller, asked: Given[UserQuery]) -> UserPage:
        """Lists people by mail address, disabled ones too."""
        after = read_cursor(asked.cursor, "users", (str,))
        with server.core.database.read() as connection:
            found = [user for user in store.list_users(connection) if after is None or user.email > after[0]]
        items, cursor = cut_page(found, asked.limit, "users", lambda user: (user.email,))
        return UserPage(cursor, [_out(server, user, caller) for user in items])

    @post(status_code=201, opt={"conflict": True})
    async def add_user(self, server: TheServer, caller: TheCaller, sent: Given[NewUser]) -> UserOut:
        """Makes an account. Nothing is mailed: see `/users/{user_id}/link`."""
        now, site_ids = server.core.clock.now(), _site_ids(server, sent.sites)

        def work(tx: Tx) -> User:
            return people.add(tx, caller.who, sent.email, sent.name, Role(sent.role), now, time_zone=sent.time_zone, site_ids=site_ids)

        return _out(server, await _changed(server, work), caller)

    @get("/me", sync_to_thread=True)
    def show_me(self, server: TheServer, caller: TheCaller) -> SelfOut:
        """Shows who you are and what you may do."""
        with server.core.database.read() as connection:
            return _self(server, store.get_user(connection, own_id(caller)), caller)

    @patch("/me")
    async def change_me(self, server: TheServer, caller: TheCaller, sent: Given[OwnChange]) -> SelfOut:
        """Changes your own name, time zone and looks."""
        now, fields = server.core.clock.now(), _given(sent)
        user = await _changed(server, lambda tx: people.change(tx, caller.who, own_id(caller), now, **fields))
        return _self(server, user, caller)

    @post("/me/password", status_code=204)
    async def change_password(self, server: TheServer, caller: TheCaller, sent: Given[NewPassword]) -> None:
        """Changes your own password. Your other sessions end."""
        user_id = own_id(caller)
        new = rules.check_password(sent.new, caller.name, "new")
        if not await server.porter.knows(user_id, sent.current):
            raise InvalidInput.of("current", "is not your password")
        hashed, now = await server.passwords.hash(new), server.core.clock.now()
        await _changed(server, lambda tx: people.change_password(tx, caller.who, user_id, hashed, caller.session_id, now))

    @get("/me/sessions", sync_to_thread=True)
    def list_my_sessions(self, server: TheServer, caller: TheCaller) -> SessionPage:
        """Lists where you are logged in."""
        return _sessions(server, own_id(caller), caller)

    @delete("/me/sessions/{session_id:str}", status_code=204)
    async def end_my_session(self, server: TheServer, caller: TheCaller, session_id: InPath) -> None:
        """Logs you out there."""
        await _end_session(server, caller, own_id(caller), session_id)

    @get("/{user_id:str}", sync_to_thread=True)
    def show_user(self, server: TheServer, caller: TheCaller, user_id: InPath) -> UserOut:
        """Shows one person."""
        with server.core.database.read() as connection:
            return _out(server, store.get_user(connection, user_id.lower()), caller)

    @patch("/{user_id:str}", opt={"conflict": True})
    async def change_user(self, server: TheServer, caller: TheCaller, user_id: InPath, sent: Given[UserChange]) -> UserOut:
        """Changes a person. With another role, other sites or shut out, they are logged out everywhere.

        The last administrator who can log in stays one.
        """
        now, fields = server.core.clock.now(), _given(sent)
        disabled = fields.pop("disabled", None)
        if "role" in fields:
            fields["role"] = Role(fields["role"])
        if "sites" in fields:
            fields["site_ids"] = _site_ids(server, fields.pop("sites"))

        def work(tx: Tx) -> User:
            user = people.change(tx, caller.who, user_id.lower(), now, **fields)
            if disabled is None:
                return user
            return (people.disable if disabled else people.enable)(tx, caller.who, user.id, now)

        return _out(server, await _changed(server, work), caller)

    @delete("/{user_id:str}", status_code=204, opt={"conflict": True})
    async def remove_user(self, server: TheServer, caller: TheCaller, user_id: InPath) -> None:
        """Removes a person who never logged in and whom nothing names. Any other is disabled: history keeps their name."""
        now = server.core.clock.now()
        await _changed(server, lambda tx: people.remove(tx, caller.who, user_id.lower(), now))

    @post("/{user_id:str}/link", status_code=200, opt={"conflict": True})
    async def send_link(self, server: TheServer, caller: TheCaller, user_id: InPath, sent: Given[LinkWanted]) -> LinkOut:
        """Mails an invitation or a link for a new password; where that cannot be mailed, shows it to you, this once."""
        return await send_link(server, caller, user_id.lower(), PassKind(sent.kind))

    @delete("/{user_id:str}/second-factor", status_code=204)
    async def remove_second_factor(self, server: TheServer, caller: TheCaller, user_id: InPath) -> None:
        """Takes a person's second factor away, for who has lost the phone. They are logged out everywhere."""
        now = server.core.clock.now()

        def work(tx: Tx) -> None:
            user = store.get_user(tx.sql, user_id.lower())
            people.remove_totp(tx, caller.who, user.id, None, now)

        await _changed(server, work)

    @get("/{user_id:str}/sessions", sync_to_thread=True)
    def list_sessions(self, server: TheServer, caller: TheCaller, user_id: InPath) -> SessionPage:
        """Lists where a person is logged in."""
        with server.core.database.read() as connection:
            store.get_user(connection, user_id.lower())
        return _sessions(server, user_id.lower(), caller)

    @delete("/{user_id:str}/sessions/{session_id:str}", status_code=204)
    async def end_session(self, server: TheServer, caller: TheCaller, user_id: InPath, session_id: InPath) -> None:
        """Logs a person out there."""
        await _end_session(server, caller, user_id.lower(), session_id)


async def send_link(server: Server, caller: Caller, user_id: str, kind: PassKind) -> LinkOut:
    """Makes a link and mails it, or hands it to the caller."""
    now, public_url = server.core.clock.now(), server.core.settings.public_url

    def work(tx: Tx) -> tuple[User, people.NewPass]:
        made = people.make_pass(tx, caller.who, kind, user_id, now)
        return store.get_user(tx.sql, user_id), made

    user, made = await server.core.writer.run(work)
    inviter = await asyncio.to_thread(_name_of, server, caller)
    reason = await accounts.send_link(server.mail, user, made, public_url, inviter, now)
    if reason is None:
        return LinkOut(True, to_text(made.made.expires_at))
    return LinkOut(False, to_text(made.made.expires_at), people.address(public_url, made), reason)


def _name_of(server: Server, caller: Caller) -> str | None:
    if caller.user_id is None:
        return None
    with server.core.database.read() as connection:
        return store.get_user(connection, caller.user_id).name


async def _changed(server: Server, work: Callable[[Tx], Result]) -> Result:
    """Does *work*; rights that it changes hold on this node at once, on others within two seconds."""
    done = await server.core.writer.run(work)
    server.sessions.forget()
    return done


async def _end_session(server: Server, caller: Caller, user_id: str, session_id: str) -> None:
    if not is_uuid(session_id.lower()):
        raise NotFound(f"there is no session {session_id[:40]}")
    now = server.core.clock.now()
    await _changed(server, lambda tx: people.end_session(tx, caller.who, user_id, session_id.lower(), now))


def own_id(caller: Caller) -> str:
    """The caller's own id: the table of permissions lets people only in here."""
    if caller.user_id is None:
        raise NotFound("a key is nobody: this is for people who are logged in")
    return caller.user_id


def _given(sent: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(sent).items() if value is not None}


def _site_ids(server: Server, sites: list[str] | str) -> frozenset[int] | None:
    if isinstance(sites, str):
        return None
    known = {slug: server.core.sites.find(slug) for slug in sites}
    missing = [slug for slug, site in known.items() if site is None]
    if missing:
        raise InvalidInput.of("sites", f"there is no site {', '.join(missing)}")
    return frozenset(site.id for site in known.values() if site is not None)


def _out(server: Server, user: User, caller: Caller) -> UserOut:
    whole = caller.may(Permission.PEOPLE) or caller.user_id == user.id
    sites = "all" if user.site_ids is None else sorted(map(server.core.sites.slug_of, user.site_ids))
    return UserOut(
        user.id,
        user.email,
        user.name,
        user.role.value,
        user.time_zone,
        to_text_or_none(user.disabled_at),
        to_text(user.created_at),
        sites if whole else None,  # type: ignore[arg-type]  # a list, or the one word
        user.totp_since is not None if whole else None,
        user.has_password if whole else None,
        to_text_or_none(user.last_login_at) if whole else None,
    )


def _self(server: Server, user: User, caller: Caller) -> SelfOut:
    return SelfOut(_out(server, user, caller), user.theme, user.contrast, sorted(caller.permissions))


def _sessions(server: Server, user_id: str, caller: Caller) -> SessionPage:
    with server.core.database.read() as connection:
        found = logins.sessions_of(connection, user_id)
    return SessionPage(None, [_session_out(one, server.sessions.last_seen(one), caller) for one in found])


def _session_out(one: Session, seen_at: int, caller: Caller) -> SessionOut:
    current = one.id == caller.session_id
    return SessionOut(one.id, to_text(one.created_at), to_text(seen_at), to_text(one.ends_at), one.address, one.agent, current)

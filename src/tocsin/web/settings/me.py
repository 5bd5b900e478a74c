"""``/settings/me``: one's own account. Whoever changes the password or the second factor shows that they know the password."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.db.writer import Tx
from tocsin.identity import logins, people, rules, store, totp
from tocsin.identity.logins import Secrets
from tocsin.identity.model import Contrast, Theme, Viewer
from tocsin.web import qr
from tocsin.web.access import AnyRequest, Problems, address_of, form, go, problems
from tocsin.web.nav import SETTINGS
from tocsin.web.pages import screen
from tocsin.web.settings.zones import zones
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

WRONG_PASSWORD = "Is not your password, or too many tries failed: then wait a minute."  # noqa: S105 - words
DONE = {
    "profile": "Saved.",
    "password": "The new password holds. You are signed out everywhere else.",
    "removed": "The second factor is off. You are signed out everywhere else.",
    "ended": "That session is over.",
    "welcome": "Welcome. A second factor keeps others out even if they learn your password: set it up below.",
}

Password = Annotated[str, Meta(max_length=rules.MAX_PASSWORD, extra={"must": f"have at most {rules.MAX_PASSWORD:,} characters"})]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Name, time zone and looks."""

    name: Annotated[str, Meta(max_length=100)] = ""
    time_zone: Annotated[str, Meta(max_length=60)] = "UTC"
    theme: Theme = Theme.SYSTEM
    contrast: Contrast = Contrast.SYSTEM


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """The old password, and the new one twice."""

    current: Password = ""
    password: Password = ""
    again: Password = ""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The password, before something that weakens or strengthens the login."""

    current: Password = ""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A code of the app."""

    code: Annotated[str, Meta(max_length=64)] = ""


class SettingsPage(Controller):
    """Where the settings begin."""

    include_in_schema = False

    @get("/settings", sync_to_thread=False)
    def show(self, viewer: TheViewer) -> Response[bytes]:
        """The first page of the settings that the viewer may open."""
        return go(next(place.path for place in SETTINGS if viewer.may(place.permission)))


class MePages(Controller):
    """One's own account."""

    path = "/settings/me"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Profile, password, second factor, sessions."""
        done = "welcome" if "welcome" in request.query_params else request.query_params.get("done", "")
        return _page(request, server, viewer, done=DONE.get(done, ""))

    @post(status_code=200)
    async def save_profile(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Name, time zone and looks."""
        try:
            sent = await form(request, Profile)
            fields, now = msgspec.structs.asdict(sent), server.core.clock.now()
            await server.core.writer.run(lambda tx: people.change(tx, _who(request, viewer), viewer.user_id, now, **fields))
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, wrong=problems(error))
        server.sessions.forget()
        return go("/settings/me?done=profile", depth=1)

    @post("/password", status_code=200)
    async def change_password(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """A new password; all other sessions end."""
        try:
            sent = await form(request, NewPassword)
            new = rules.check_password(sent.password, viewer.email)
            if sent.again != new:
                raise InvalidInput.of("again", "is not the same")
            await _proved(server, viewer, sent.current)
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, wrong=problems(error))
        hashed, now, who = await server.passwords.hash(new), server.core.clock.now(), _who(request, viewer)
        await server.core.writer.run(lambda tx: people.change_password(tx, who, viewer.user_id, hashed, viewer.session_id, now))
        server.sessions.forget()
        return go("/settings/me?done=password", depth=2)

    @post("/sessions/end", status_code=200)
    async def end_others(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Ends all sessions but this one."""
        now, who = server.core.clock.now(), _who(request, viewer)
        await server.core.writer.run(lambda tx: people.end_sessions(tx, who, viewer.user_id, now, viewer.session_id))
        server.sessions.forget()
        return go("/settings/me?done=ended#sessions", depth=3)

    @post("/sessions/{session_id:str}/end", status_code=200)
    async def end_session(self, request: AnyRequest, server: TheServer, viewer: TheViewer, session_id: InPath) -> Response[bytes]:
        """Ends one of one's sessions."""
        now, who = server.core.clock.now(), _who(request, viewer)
        await server.core.writer.run(lambda tx: people.end_session(tx, who, viewer.user_id, session_id[:36], now))
        server.sessions.forget()
        return go("/settings/me?done=ended#sessions", depth=4)

    # The second factor.

    @post("/second-factor/begin", status_code=200)
    async def begin(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a secret for the app. It counts only once a code has shown that the app has it."""
        try:
            await _proved(server, viewer, (await form(request, Proof)).current)
        except InvalidInput as error:
            wrong = Problems({"begin": problems(error)["current"]})
            return await asyncio.to_thread(_page, request, server, viewer, wrong=wrong)
        secret = totp.make_secret()

        def work(tx: Tx) -> None:
            found = logins.find_secrets(tx.sql, user_id=viewer.user_id)
            if found is not None and found.totp_since is None:
                logins.set_totp(tx, viewer.user_id, secret, None)

        await server.core.writer.run(work)
        return go("/settings/me/second-factor", depth=3)

    @get("/second-factor", sync_to_thread=True)
    def show_secret(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The picture that the app reads, until a code has proved it; never again after that."""
        return _secret_page(request, server, viewer, "")

    @post("/second-factor", status_code=200)
    async def confirm(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Turns the second factor on, and shows the recovery codes, this once."""
        sent = await form(request, Code)
        found = await asyncio.to_thread(_begun, server, viewer)
        if found is None:
            return go("/settings/me", depth=2)
        now, secret = server.core.clock.now(), found.totp_secret or ""
        step = await asyncio.to_thread(totp.step_of, secret, rules.clean_code(sent.code), now)
        if step is None:
            wrong = "That is not the code of this moment. Is the phone's clock right?"
            return await asyncio.to_thread(_secret_page, request, server, viewer, wrong)
        who = _who(request, viewer)
        codes = await server.core.writer.run(lambda tx: people.confirm_totp(tx, who, viewer.user_id, secret, step, viewer.session_id, now))
        server.sessions.forget()
        return await asyncio.to_thread(
            screen, request, viewer, "settings/recovery-codes.html", here="settings", tab="me", codes=codes, fresh=True
        )

    @post("/second-factor/codes", status_code=200)
    async def renew_codes(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """New recovery codes, shown this once; the old ones are void."""
        try:
            await _proved(server, viewer, (await form(request, Proof)).current)
        except InvalidInput as error:
            wrong = Problems({"codes": problems(error)["current"]})
            return await asyncio.to_thread(_page, request, server, viewer, wrong=wrong)
        now, who = server.core.clock.now(), _who(request, viewer)
        codes = await server.core.writer.run(lambda tx: people.renew_codes(tx, who, viewer.user_id, now))
        return await asyncio.to_thread(
            screen, request, viewer, "settings/recovery-codes.html", here="settings", tab="me", codes=codes, fresh=False
        )

    @post("/second-factor/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Turns the second factor off."""
        try:
            await _proved(server, viewer, (await form(request, Proof)).current)
        except InvalidInput as error:
            wrong = Problems({"remove": problems(error)["current"]})
            return await asyncio.to_thread(_page, request, server, viewer, wrong=wrong)
        now, who = server.core.clock.now(), _who(request, viewer)
        await server.core.writer.run(lambda tx: people.remove_totp(tx, who, viewer.user_id, viewer.session_id, now))
        server.sessions.forget()
        return go("/settings/me?done=removed#second-factor", depth=3)


def _who(request: AnyRequest, viewer: Viewer) -> Any:
    return viewer.calling(address_of(request)).who


async def _proved(server: Server, viewer: Viewer, password: str) -> None:
    if not await server.porter.knows(viewer.user_id, password):
        raise InvalidInput.of("current", WRONG_PASSWORD)


def _begun(server: Server, viewer: Viewer) -> Secrets | None:
    """The second factor that was begun and not confirmed, if there is one."""
    with server.core.database.read() as connection:
        found = logins.find_secrets(connection, user_id=viewer.user_id)
    return found if found is not None and found.totp_since is None and found.totp_secret else None


def _page(request: AnyRequest, server: Server, viewer: Viewer, *, done: str = "", wrong: Problems | None = None) -> Response[bytes]:
    with server.core.database.read() as connection:
        user = store.get_user(connection, viewer.user_id)
        sessions = logins.sessions_of(connection, viewer.user_id)
        codes_left = logins.count_codes(connection, viewer.user_id)
    return screen(
        request,
        viewer,
        "settings/me.html",
        status=422 if wrong else 200,
        here="settings",
        tab="me",
        user=user,
        sessions=[(one, server.sessions.last_seen(one)) for one in sessions],
        codes_left=codes_left,
        zones=zones(),
        done=done,
        wrong=wrong or Problems(),
        least=rules.MIN_PASSWORD,
    )


def _secret_page(request: AnyRequest, server: Server, viewer: Viewer, error: str) -> Response[bytes]:
    found = _begun(server, viewer)
    if found is None or found.totp_secret is None:
        raise NotFound("no second factor is being set up: begin on the page of your account")
    address = totp.address(found.totp_secret, viewer.email)
    return screen(
        request,
        viewer,
        "settings/second-factor.html",
        status=422 if error else 200,
        here="settings",
        tab="me",
        picture=qr.picture(address),
        typed=totp.spaced(found.totp_secret),
        error=error,
    )

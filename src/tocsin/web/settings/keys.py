"""``/settings/keys``: what bridges, agents and programs show at the door."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.identity import rules, service, store
from tocsin.identity.model import ApiKey, Scope, Viewer
from tocsin.web.access import AnyRequest, Problems, address_of, form, go, problems
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

SCOPES = (
    ("ingest", "Send events"),
    ("read", "Read"),
    ("write", "Act on alerts"),
    ("admin", "Everything"),
)
LENGTHS = (("", "Never"), ("30d", "In 30 days"), ("90d", "In 90 days"), ("52w", "In a year"))


class KeyForm(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be made."""

    name: Annotated[str, Meta(max_length=100)] = ""
    scope: tuple[Scope, ...] = ()
    site: Annotated[str, Meta(max_length=63)] = ""
    expires: Annotated[str, Meta(max_length=8)] = ""


class KeyPages(Controller):
    """API keys."""

    path = "/settings/keys"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """All keys, and the form for a new one."""
        done = "Revoked. Nothing that uses it gets in any more." if request.query_params.get("done") == "revoked" else ""
        return _page(request, server, viewer, KeyForm(scope=(Scope.INGEST,)), Problems(), done)

    @post(status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a key and shows it, this once."""
        now, who, sent = server.core.clock.now(), viewer.calling(address_of(request)).who, KeyForm()
        try:
            sent = await form(request, KeyForm)
            site = server.core.sites.find(sent.site) if sent.site else None
            if sent.site and site is None:
                raise InvalidInput.of("site", "is not there any more: load the page again")
            if not sent.scope:
                raise InvalidInput.of("scope", "tick at least one thing that it may do")
            place, lasts = (None if site is None else (site.id, site.slug)), rules.read_length(sent.expires) if sent.expires else None
            made = await server.core.writer.run(lambda tx: service.make_key(tx, who, sent.name, frozenset(sent.scope), place, lasts, now))
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error), "")
        return await asyncio.to_thread(
            screen, request, viewer, "settings/key.html", here="settings", tab="keys", key=made.key, secret=made.secret, site=site
        )

    @post("/{key_id:str}/revoke", status_code=200)
    async def revoke(self, request: AnyRequest, server: TheServer, viewer: TheViewer, key_id: InPath) -> Response[bytes]:
        """Ends a key."""
        if not is_uuid(key_id.lower()):
            raise NotFound(f"there is no key {key_id[:40]}")
        now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
        await server.core.writer.run(lambda tx: service.revoke_key(tx, who, key_id.lower(), now))
        server.keys.forget()
        return go("/settings/keys?done=revoked", depth=3)


def _page(request: AnyRequest, server: Server, viewer: Viewer, sent: KeyForm, wrong: Problems, done: str) -> Response[bytes]:
    now = server.core.clock.now()
    with server.core.database.read() as connection:
        keys = store.list_keys(connection)
    keys.sort(key=lambda key: (state(key, now) != "good", key.name.casefold()))
    return screen(
        request,
        viewer,
        "settings/keys.html",
        status=422 if wrong else 200,
        here="settings",
        tab="keys",
        keys=keys,
        state_of=lambda key: state(key, now),
        used_at=lambda key: max(key.last_used_at or 0, server.keys.used.get(key.id, 0)) or None,
        sent=sent,
        wrong=wrong,
        done=done,
        scopes=SCOPES,
        lengths=LENGTHS,
        sites=server.core.sites.all(),
    )


def state(key: ApiKey, now: int) -> str:
    """Whether a key is ``good``, ``revoked`` or ``expired``."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "good"

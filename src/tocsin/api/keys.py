"""``/keys``: who may use this API."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, post
from msgspec import Meta

from tocsin.api import shapes
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Name, Slug
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.identity import rules, service, store
from tocsin.identity.model import Scope


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be made: what it may do, for which site (default: all), until when (default: for ever)."""

    name: Name
    scopes: Annotated[list[Literal["ingest", "read", "write", "admin"]], Meta(min_length=1, max_length=4)]
    site: Slug | None = None
    expires: (
        Annotated[
            str,
            Meta(
                pattern=r"^[1-9][0-9]{0,4}[mhdw]$",
                description="A length of time.",
                examples=["90d"],
                extra={"must": "be a length of time such as 90d (m, h, d or w)"},
            ),
        ]
        | None
    ) = None


class KeysApi(Controller):
    """API keys."""

    path = "/keys"
    tags = ("Keys",)

    @get(sync_to_thread=True)
    def list_keys(self, server: TheServer) -> shapes.KeyPage:
        """Lists the keys, the newest first; their secrets are not stored and cannot be shown."""
        with server.core.database.read() as connection:
            return shapes.KeyPage(None, [shapes.KeyOut(**shapes.key_fields(key)) for key in store.list_keys(connection)])

    @post(status_code=201)
    async def add_key(self, server: TheServer, caller: TheCaller, sent: Given[NewKey]) -> Response[shapes.NewKeyOut]:
        """Makes a key. The answer is the only place where its secret is ever shown."""
        core = server.core
        site = None if sent.site is None else core.sites.find(sent.site)
        if sent.site is not None and site is None:
            raise InvalidInput.of("site", f"there is no site {sent.site}")
        place = None if site is None else (site.id, site.slug)
        lasts = None if sent.expires is None else rules.read_length(sent.expires)
        scopes = frozenset(Scope(word) for word in sent.scopes)
        made = await core.writer.run(lambda tx: service.make_key(tx, caller.who, sent.name, scopes, place, lasts, core.clock.now()))
        return Response(shapes.NewKeyOut(**shapes.key_fields(made.key), key=made.secret))

    @delete("/{key_id:str}", status_code=204)
    async def revoke_key(self, server: TheServer, caller: TheCaller, key_id: InPath) -> None:
        """Revokes a key: here at once, on other nodes within two seconds."""
        if not is_uuid(key_id.lower()):
            raise NotFound(f"there is no key {key_id[:40]}")
        now = server.core.clock.now()
        await server.core.writer.run(lambda tx: service.revoke_key(tx, caller.who, key_id.lower(), now))
        server.keys.forget()

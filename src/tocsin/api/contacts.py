"""``/users/{user_id}/contacts``: on which ways a person is told."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from msgspec import Meta

from tocsin.api import shapes
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.shapes import ContactOut, ContactPage
from tocsin.audit import service as audit
from tocsin.core.errors import NotFound
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import store
from tocsin.notify import queries
from tocsin.notify.queries import Person
from tocsin.notify.targets import MAX_TARGET, read_target

_TABLE = tables.contacts


class NewContact(msgspec.Struct, frozen=True, kw_only=True):
    """A way to reach a person. It is written to once it is verified; an administrator may say that it is."""

    kind: Annotated[str, Meta(min_length=1, max_length=20)]
    target: Annotated[str, Meta(min_length=1, max_length=MAX_TARGET)]
    label: Annotated[str, Meta(max_length=100)] = ""
    verified: bool = False


class ContactsApi(Controller):
    """Contacts of people."""

    path = "/users/{user_id:str}/contacts"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def list_contacts_of_user(self, server: TheServer, user_id: InPath) -> ContactPage:
        """Lists a person's contacts, the oldest first."""
        with server.core.database.read() as connection:
            user = store.get_user(connection, user_id.lower())
            found = [person for person in queries.people(connection) if person.user_id == user.id]
        return ContactPage(None, [shapes.contact_out(person) for person in found])

    @post(status_code=201)
    async def add_contact(self, server: TheServer, caller: TheCaller, user_id: InPath, sent: Given[NewContact]) -> ContactOut:
        """Makes a contact of a person."""
        target = read_target(sent.kind, sent.target, private=server.core.settings.private_targets)
        now = server.core.clock.now()

        def work(tx: Tx) -> Person:
            user, contact_id = store.get_user(tx.sql, user_id.lower()), new_id(now)
            values = {"target": target.shown, "secret": target.secret, "label": sent.label, "origin": "user"}
            verified_at = now if sent.verified else None
            tx.sql.execute(
                _TABLE.insert().values(id=contact_id, user_id=user.id, kind=sent.kind, created_at=now, verified_at=verified_at, **values)
            )
            after = {"user": user.email, "kind": sent.kind, "target": target.shown, "verified": sent.verified}
            audit.record(tx, caller.who, "contact.made", f"contact:{contact_id}", now, after=after)
            return next(person for person in queries.people(tx.sql) if person.id == contact_id)

        made = await server.core.writer.run(work)
        await asyncio.to_thread(server.core.refresh)
        return shapes.contact_out(made)

    @delete("/{contact_id:str}", status_code=204)
    async def remove_contact(self, server: TheServer, caller: TheCaller, user_id: InPath, contact_id: InPath) -> None:
        """Has a contact written to no more; what waits for it goes to the others."""
        now, where = server.core.clock.now(), contact_id.lower()

        def work(tx: Tx) -> None:
            user = store.get_user(tx.sql, user_id.lower())
            mine = (_TABLE.c.id == where, _TABLE.c.user_id == user.id, _TABLE.c.disabled_at.is_(None))
            if tx.sql.execute(_TABLE.update().where(*mine).values(disabled_at=now)).rowcount == 0:
                raise NotFound(f"{user.email} has no contact {contact_id[:40]}")
            audit.record(tx, caller.who, "contact.removed", f"contact:{where}", now)

        await server.core.writer.run(work)
        await asyncio.to_thread(server.core.refresh)

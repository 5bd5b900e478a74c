"""``/notifications`` and ``/contacts``: who was told what, and who can be told."""

import msgspec
import sqlalchemy as sa
from litestar import Controller, get, post

from tocsin.alerts import queries as alert_queries
from tocsin.api import shapes
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import AlertRef, Cursor, DeliveryStatuses, Limit
from tocsin.api.paging import cut_page, read_cursor
from tocsin.audit import service as audit
from tocsin.core.errors import NotFound
from tocsin.core.ids import is_uuid
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller
from tocsin.notify import queries


class NotificationQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which notifications, and how many."""

    alert: AlertRef | None = None
    status: DeliveryStatuses | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class NotificationsApi(Controller):
    """Notifications."""

    tags = ("Notifications",)

    @get("/notifications", sync_to_thread=True)
    def list_notifications(self, server: TheServer, caller: TheCaller, asked: Given[NotificationQuery]) -> shapes.NotificationPage:
        """Lists what people were told or are about to be told, the newest first."""
        after = read_cursor(asked.cursor, "notifications", (str,))
        statuses = tuple(dict.fromkeys(asked.status.split(","))) if asked.status else ()
        with server.core.database.read() as connection:
            number = None if asked.alert is None else _number(connection, asked.alert, caller)
            wanted = queries.Filter(alert_number=number, site_ids=caller.site_ids, statuses=statuses)
            found = queries.page(connection, wanted, after[0] if after else None, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "notifications", lambda one: (one.id,))
        return shapes.NotificationPage(cursor, [shapes.notification_out(one) for one in items])

    @get("/notifications/{message_id:str}", sync_to_thread=True)
    def show_notification(self, server: TheServer, caller: TheCaller, message_id: InPath) -> shapes.NotificationOut:
        """Shows one notification."""
        with server.core.database.read() as connection:
            return shapes.notification_out(_find(connection, message_id, caller))

    @post("/notifications/{message_id:str}/revoke-links", status_code=200)
    async def revoke_links(self, server: TheServer, caller: TheCaller, message_id: InPath) -> shapes.NotificationOut:
        """Ends the links that this message carried, for a mail that went astray; other messages' links go on working."""
        now = server.core.clock.now()

        def work(tx: Tx) -> shapes.NotificationOut:
            found = _find(tx.sql, message_id, caller)
            table = tables.outbox
            audit.record(tx, caller.who, "links.revoked", f"notification:{found.id}", now, site_id=found.site_id)
            first = sa.func.coalesce(table.c.links_revoked_at, now)
            tx.sql.execute(table.update().where(table.c.id == message_id.lower()).values(links_revoked_at=first))
            return shapes.notification_out(_find(tx.sql, message_id, caller))

        return await server.core.writer.run(work)

    @get("/contacts", sync_to_thread=True, tags=("Contacts",))
    def list_contacts(self, server: TheServer) -> shapes.ContactPage:
        """Lists everybody who can be told, the oldest first; those that are disabled or not verified are not written to."""
        with server.core.database.read() as connection:
            return shapes.ContactPage(None, [shapes.contact_out(one) for one in queries.people(connection)])


def _number(connection: sa.Connection, ref: str, caller: Caller) -> int:
    alert = alert_queries.find(connection, ref, caller.site_ids)
    if alert is None:
        raise NotFound(f"there is no alert {ref}")
    return alert.number


def _find(connection: sa.Connection, message_id: str, caller: Caller) -> queries.Notification:
    found = queries.find(connection, message_id.lower(), caller.site_ids) if is_uuid(message_id.lower()) else None
    if found is None:
        raise NotFound(f"there is no notification {message_id[:40]}")
    return found

"""Who can be told: the contacts, kept in memory, refilled when something changed."""

from collections.abc import Sequence

import sqlalchemy as sa

from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.notify.model import Contact


class ContactBook:
    """The contacts that may be written to: verified and not disabled. Readers see one consistent state."""

    def __init__(self) -> None:
        self.all: tuple[Contact, ...] = ()
        self._by_id: dict[str, Contact] = {}

    def load(self, connection: sa.Connection) -> None:
        """Reads them, the oldest first."""
        table = tables.contacts
        query = sa.select(table).where(table.c.disabled_at.is_(None), table.c.verified_at.is_not(None))
        rows = connection.execute(query.order_by(table.c.created_at, table.c.id)).all()
        self.all = tuple(Contact(r.id, r.kind, r.target, r.label, r.user_id, r.secret) for r in rows)
        self._by_id = {contact.id: contact for contact in self.all}

    def find(self, contact_id: str) -> Contact | None:
        """The contact with this id, unless it is gone or disabled."""
        return self._by_id.get(contact_id)


def follow_settings(tx: Tx, wanted: Sequence[tuple[str, str]], now: int) -> None:
    """Makes the contacts that come from the settings equal to *wanted* (kind, target): adds, enables, disables."""
    table = tables.contacts
    known = {(r.kind, r.target): r for r in tx.sql.execute(sa.select(table).where(table.c.origin == "settings"))}
    for kind, target in wanted:
        row = known.pop((kind, target), None)
        if row is None:
            tx.sql.execute(
                table.insert().values(
                    id=new_id(now), kind=kind, target=target, label="from the settings", origin="settings", created_at=now, verified_at=now
                )
            )
        elif row.disabled_at is not None:
            tx.sql.execute(table.update().where(table.c.id == row.id).values(disabled_at=None))
    for row in known.values():
        if row.disabled_at is None:
            tx.sql.execute(table.update().where(table.c.id == row.id).values(disabled_at=now))

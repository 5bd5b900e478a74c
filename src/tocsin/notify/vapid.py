"""The pair of keys by which push services know this installation: made at first use, kept in the database, the same on all nodes."""

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx, Writer
from tocsin.notify import sealing
from tocsin.notify.sealing import Keys

NAME = "web_push_keys"


class Vapid:
    """Hands out the keys. ``subject`` is whom a push service may ask about us."""

    def __init__(self, writer: Writer, subject: str) -> None:
        self._writer, self.subject = writer, subject
        self._keys: Keys | None = None

    async def keys(self) -> Keys:
        """The keys, made if there are none yet. Raises `Unavailable`."""
        if self._keys is None:
            self._keys = await self._writer.run(_keys)
        return self._keys

    def public(self) -> str:
        """The half that browsers are given. Waits for the writer: not for the event loop. Raises `Unavailable`."""
        if self._keys is None:
            self._keys = self._writer.call(_keys)
        return self._keys.public


def _keys(tx: Tx) -> Keys:
    table = tables.settings
    query = sa.select(table.c.value).where(table.c.name == NAME)
    text = tx.sql.execute(query).scalar_one_or_none()
    if text is None:
        made = msgspec.json.encode(sealing.make_keys()).decode()
        insert = f"INSERT INTO settings(name, value) VALUES ('{NAME}', {{}}) ON CONFLICT DO NOTHING"  # noqa: S608 - a constant
        tx.driver.execute(insert.format("?" if tx.is_sqlite else "%s"), (made,))
        text = tx.sql.execute(query).scalar_one()
    return msgspec.json.decode(text, type=Keys)

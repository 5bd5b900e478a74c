"""What each person keeps for themselves: saved views and the like. One row for each name, JSON inside."""

from typing import TypeVar

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx

_TABLE = tables.preferences
Value = TypeVar("Value")


def load(connection: sa.Connection, user_id: str, name: str, kind: type[Value], default: Value) -> Value:
    """The value kept under *name*; *default* if there is none, or none that can be read."""
    query = sa.select(_TABLE.c.value).where(_TABLE.c.user_id == user_id, _TABLE.c.name == name)
    stored = connection.execute(query).scalar_one_or_none()
    if stored is None:
        return default
    try:
        return msgspec.json.decode(stored, type=kind)
    except msgspec.MsgspecError:
        return default


def save(tx: Tx, user_id: str, name: str, value: object) -> None:
    """Keeps *value* under *name* in place of what was there."""
    text = msgspec.json.encode(value).decode()
    mark = "?" if tx.is_sqlite else "%s"
    tx.driver.execute(
        f"INSERT INTO preferences(user_id, name, value) VALUES ({mark}, {mark}, {mark}) "  # noqa: S608 - marks only
        "ON CONFLICT(user_id, name) DO UPDATE SET value = excluded.value",
        (user_id, name, text),
    )

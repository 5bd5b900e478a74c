"""Contacts that belong to nobody: a team's chat channel, a paging service, a webhook. Policies name them by id."""

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.notify import store
from tocsin.notify.targets import Target

ORIGIN = "channel"
_TABLE = tables.contacts
_OURS = (_TABLE.c.origin == ORIGIN, _TABLE.c.user_id.is_(None))


class SharedContact(msgspec.Struct, frozen=True):
    """One of them, without its secret. ``target`` is its name where the address is secret."""

    id: str
    name: str
    kind: str
    target: str
    created_at: int
    disabled_at: int | None


class Change(msgspec.Struct, frozen=True):
    """What shall be different; None leaves a thing as it is."""

    name: str | None = None
    target: Target | None = None
    enabled: bool | None = None


def every(connection: sa.Connection) -> list[SharedContact]:
    """All of them, the oldest first."""
    rows = connection.execute(sa.select(_TABLE).where(*_OURS).order_by(_TABLE.c.created_at, _TABLE.c.id))
    return [_shared(row) for row in rows]


def find(connection: sa.Connection, contact_id: str) -> SharedContact:
    """The one with this id. Raises `NotFound`."""
    row = connection.execute(sa.select(_TABLE).where(_TABLE.c.id == contact_id, *_OURS)).first()
    if row is None:
        raise NotFound(f"there is no channel {contact_id[:40]}")
    return _shared(row)


def add(tx: Tx, who: Who, name: str, kind: str, target: Target, now: int) -> SharedContact:
    """Makes one. Raises `Conflict` if there is one of this name."""
    _refuse_name(tx, name)
    made = SharedContact(new_id(now), name, kind, _shown(name, target), now, None)
    values = {"target": made.target, "secret": target.secret, "label": name, "origin": ORIGIN, "verified_at": now}
    tx.sql.execute(_TABLE.insert().values(id=made.id, kind=kind, created_at=now, **values))
    audit.record(tx, who, "channel.made", f"channel:{made.id}", now, after=_seen(made))
    return made


def change(tx: Tx, who: Who, contact_id: str, wanted: Change, now: int) -> SharedContact:
    """Changes one and answers it as it then is. Raises `NotFound`, `Conflict`."""
    old = find(tx.sql, contact_id)
    name = old.name if wanted.name is None else wanted.name
    if name != old.name:
        _refuse_name(tx, name)
    values: dict[str, object] = {"label": name}
    if wanted.target is not None:
        values.update(target=_shown(name, wanted.target), secret=wanted.target.secret)
        store.retry_contact(tx, contact_id, now)
    elif old.target == old.name:
        values["target"] = name
    if wanted.enabled is not None:
        values["disabled_at"] = None if wanted.enabled else old.disabled_at or now
    tx.sql.execute(_TABLE.update().where(_TABLE.c.id == contact_id).values(values))
    new = find(tx.sql, contact_id)
    after = {**_seen(new), **({"address": "a new one"} if wanted.target is not None else {})}
    audit.record_change(tx, who, "channel.changed", f"channel:{contact_id}", now, before=_seen(old), after=after)
    return new


def remove(tx: Tx, who: Who, contact_id: str, now: int) -> None:
    """Forgets one, its secret included. What waits for it is cancelled when its turn comes. Raises `NotFound`."""
    old = find(tx.sql, contact_id)
    tx.sql.execute(_TABLE.delete().where(_TABLE.c.id == contact_id))
    audit.record(tx, who, "channel.removed", f"channel:{contact_id}", now, before=_seen(old))


def _refuse_name(tx: Tx, name: str) -> None:
    if tx.sql.execute(sa.select(_TABLE.c.id).where(_TABLE.c.label == name, *_OURS)).first() is not None:
        raise Conflict(f"there is already a channel {name}")


def _shown(name: str, target: Target) -> str:
    """Where the address is a secret, the name that people gave says more than the provider's host."""
    return target.shown if target.secret is None else name


def _shared(row: sa.Row[tuple[object, ...]]) -> SharedContact:
    return SharedContact(row.id, row.label, row.kind, row.target, row.created_at, row.disabled_at)


def _seen(one: SharedContact) -> dict[str, object]:
    return {"name": one.name, "kind": one.kind, "target": one.target, "enabled": one.disabled_at is None}

"""Contacts of people: made, proved by a code, changed, removed; and how each person wants to be told."""

import secrets
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import store as identity_store
from tocsin.notify import codes, queries, wishes
from tocsin.notify.codes import Code, Judged
from tocsin.notify.contacts import read_quiet_hours, read_rules
from tocsin.notify.model import Contact
from tocsin.notify.queries import Person
from tocsin.notify.targets import Target
from tocsin.notify.wishes import Wishes

MAX_CONTACTS = 20
ORIGIN = "user"
# A person reads a code on these; on the others only programs would.
PERSONAL = ("ntfy", "email", "sms", "voice", "webpush", "apprise", "telegram", "slack", "teams", "discord")
_TABLE, _CODES, _RULES = tables.contacts, tables.contact_codes, tables.person_rules


class Change(msgspec.Struct, frozen=True):
    """What shall be different; None leaves a thing as it is."""

    label: str | None = None
    place: int | None = None


class Checked(msgspec.Struct, frozen=True):
    """What typing a code came to, and how many tries are left."""

    judged: Judged
    tries_left: int


def of_person(connection: sa.Connection, user_id: str) -> list[Person]:
    """A person's contacts in their order, removed ones too. Raises `NotFound`."""
    user = identity_store.get_user(connection, user_id)
    found = [one for one in queries.people(connection) if one.user_id == user.id]
    return sorted(found, key=lambda one: (one.place, one.created_at, one.id))


def find(connection: sa.Connection, user_id: str, contact_id: str) -> Person:
    """One that is not removed. Raises `NotFound`."""
    user = identity_store.get_user(connection, user_id)
    for one in queries.people(connection):
        if one.id == contact_id and one.user_id == user.id and one.disabled_at is None:
            return one
    raise NotFound(f"{user.email} has no contact {contact_id[:40]}")


def address_of(connection: sa.Connection, contact_id: str) -> Contact:
    """What it takes to write to a contact, verified or not. Raises `NotFound`."""
    row = connection.execute(sa.select(_TABLE).where(_TABLE.c.id == contact_id, _TABLE.c.disabled_at.is_(None))).first()
    if row is None:
        raise NotFound(f"there is no contact {contact_id[:40]}")
    return Contact(row.id, row.kind, row.target, row.label, row.user_id, row.secret)


def add(tx: Tx, who: Who, user_id: str, kind: str, target: Target, label: str, now: int, *, verified: bool) -> Person:
    """Makes one. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    _one_at_a_time(tx, user_id)
    user = identity_store.get_user(tx.sql, user_id)
    if kind not in PERSONAL:
        raise InvalidInput.of("kind", f"must be one of {', '.join(PERSONAL)}: {kind} tells a program, and belongs to a channel")
    theirs = sa.select(_TABLE.c.kind, _TABLE.c.target, _TABLE.c.secret).where(_TABLE.c.user_id == user.id, _TABLE.c.disabled_at.is_(None))
    known = list(tx.sql.execute(theirs))
    if len(known) >= MAX_CONTACTS:
        raise Conflict(f"{user.email} has {MAX_CONTACTS} contacts already: remove one first")
    if (kind, target.secret or target.shown) in {(row.kind, row.secret or row.target) for row in known}:
        raise Conflict(f"{user.email} has this {kind} contact already")
    contact_id = new_id(now)
    values = {"user_id": user.id, "kind": kind, "target": target.shown, "secret": target.secret, "label": label, "origin": ORIGIN}
    tx.sql.execute(_TABLE.insert().values(id=contact_id, created_at=now, verified_at=now if verified else None, **values))
    after = {"user": user.email, "kind": kind, "target": target.shown, "verified": verified}
    audit.record(tx, who, "contact.made", f"contact:{contact_id}", now, after=after)
    return find(tx.sql, user_id, contact_id)


def change(tx: Tx, who: Who, user_id: str, contact_id: str, wanted: Change, now: int) -> Person:
    """Changes one and answers it as it then is. Raises `NotFound`."""
    old = find(tx.sql, user_id, contact_id)
    values = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    if values:
        tx.sql.execute(_TABLE.update().where(_TABLE.c.id == contact_id).values(values))
    new = find(tx.sql, user_id, contact_id)
    audit.record_change(tx, who, "contact.changed", f"contact:{contact_id}", now, before=_seen(old), after=_seen(new))
    return new


def put_at(tx: Tx, who: Who, user_id: str, contact_id: str, position: int, now: int) -> None:
    """Gives one this position among those that are not removed (1 is first); the others keep their order. Raises `NotFound`."""
    moved = find(tx.sql, user_id, contact_id)
    others = [one for one in of_person(tx.sql, user_id) if one.disabled_at is None and one.id != moved.id]
    for place, one in enumerate([*others[: position - 1], moved, *others[position - 1 :]]):
        if one.place != place:
            change(tx, who, user_id, one.id, Change(place=place), now)


def remove(tx: Tx, who: Who, user_id: str, contact_id: str, now: int) -> None:
    """Has one written to no more, and forgets its secret and its code. Raises `NotFound`."""
    old = find(tx.sql, user_id, contact_id)
    tx.sql.execute(_TABLE.update().where(_TABLE.c.id == contact_id).values(disabled_at=now, secret=None))
    tx.sql.execute(_CODES.update().where(_CODES.c.contact_id == contact_id).values(digest=""))
    audit.record(tx, who, "contact.removed", f"contact:{contact_id}", now, before=_seen(old))


def retire(tx: Tx, contact: Contact, why: str, now: int) -> bool:
    """Removes a contact whose address is no more; whether it was still there."""
    mine = (_TABLE.c.id == contact.id, _TABLE.c.disabled_at.is_(None))
    if tx.sql.execute(_TABLE.update().where(*mine).values(disabled_at=now, secret=None)).rowcount == 0:
        return False
    audit.record(tx, Who("tocsin"), "contact.removed", f"contact:{contact.id}", now, after={**_which(contact), "why": why})
    return True


def retired_words(contact: Contact, why: str) -> tuple[str, str]:
    """What the owner of a contact that was removed is told."""
    name = f"{contact.label} ({contact.target})" if contact.label else contact.target
    return (
        f"You are not told on {name} any more",
        f"The contact was removed: {why}. Subscribe again on the device, under Settings, How you are told.",
    )


def _one_at_a_time(tx: Tx, user_id: str) -> None:
    """Two that change one person's contacts in the same moment come one after the other; on SQLite they do anyhow."""
    if not tx.is_sqlite:
        tx.sql.execute(sa.select(tables.users.c.id).where(tables.users.c.id == user_id).with_for_update())


def _which(one: Person | Contact) -> dict[str, object]:
    return {"kind": one.kind, "target": one.target}


def _seen(one: Person) -> dict[str, object]:
    return {"kind": one.kind, "target": one.target, "label": one.label, "place": one.place}


# Proving.


def issue_code(tx: Tx, who: Who, user_id: str, contact_id: str, secret: bytes, now: int) -> str:
    """Makes a code for a contact, in the place of any before it. Raises `NotFound`, `Conflict`."""
    _one_at_a_time(tx, user_id)
    contact = find(tx.sql, user_id, contact_id)
    if contact.verified_at is not None:
        raise Conflict("the contact is verified already")
    before = _code(tx, contact_id)
    reason = codes.why_not_now(before, _sent_to(tx, contact.user_id or "", now), now)
    if reason is not None:
        raise Conflict(reason)
    code = f"{secrets.randbelow(10**codes.DIGITS):0{codes.DIGITS}d}"
    _keep(tx, codes.issued(contact_id, codes.digest(secret, contact_id, code), before, now))
    audit.record(tx, who, "contact.code_sent", f"contact:{contact_id}", now, after=_which(contact))
    return code


def check_code(tx: Tx, who: Who, user_id: str, contact_id: str, typed: str, secret: bytes, now: int) -> Checked:
    """Verifies a contact if *typed* is its code; a wrong one takes a try away. Raises `NotFound`."""
    _one_at_a_time(tx, user_id)
    contact = find(tx.sql, user_id, contact_id)
    if contact.verified_at is not None:
        return Checked(Judged.RIGHT, codes.TRIES)
    code = _code(tx, contact_id)
    judged = codes.judge(code, codes.digest(secret, contact_id, codes.tidy(typed)), now)
    if judged is Judged.RIGHT:
        tx.sql.execute(_TABLE.update().where(_TABLE.c.id == contact_id).values(verified_at=now))
        tx.sql.execute(_CODES.update().where(_CODES.c.contact_id == contact_id).values(digest=""))
        audit.record(tx, who, "contact.verified", f"contact:{contact_id}", now, after=_which(contact))
        return Checked(judged, codes.TRIES)
    left = 0 if code is None else code.tries_left
    if judged is Judged.WRONG:
        left -= 1
        tx.sql.execute(_CODES.update().where(_CODES.c.contact_id == contact_id).values(tries_left=left))
        audit.record(tx, who, "contact.code_wrong", f"contact:{contact_id}", now, after={**_which(contact), "tries_left": left})
    return Checked(judged, left)


def _code(tx: Tx, contact_id: str) -> Code | None:
    row = tx.sql.execute(sa.select(_CODES).where(_CODES.c.contact_id == contact_id)).first()
    return None if row is None else Code(*row)


def _keep(tx: Tx, code: Code) -> None:
    tx.sql.execute(_CODES.delete().where(_CODES.c.contact_id == code.contact_id))
    tx.sql.execute(_CODES.insert().values(msgspec.structs.asdict(code)))


def _sent_to(tx: Tx, user_id: str, now: int) -> int:
    """How many codes went to a person's contacts within the hour."""
    joined = _CODES.join(_TABLE, _CODES.c.contact_id == _TABLE.c.id)
    query = sa.select(sa.func.coalesce(sa.func.sum(_CODES.c.sends), 0)).select_from(joined)
    return int(tx.sql.execute(query.where(_TABLE.c.user_id == user_id, _CODES.c.counted_from > now - HOUR)).scalar_one())


# How somebody wants to be told.


def wishes_of(connection: sa.Connection, user_id: str) -> Wishes:
    """A person's rules and quiet hours; nothing if they have set none. Rules for contacts that were removed are over.

    Raises `NotFound`.
    """
    user = identity_store.get_user(connection, user_id)
    row = connection.execute(sa.select(_RULES).where(_RULES.c.user_id == user.id)).first()
    if row is None:
        return Wishes()
    there = set(connection.execute(sa.select(_TABLE.c.id).where(_TABLE.c.user_id == user.id, _TABLE.c.disabled_at.is_(None))).scalars())
    rules = tuple(rule for rule in read_rules(row.rules) if rule.contact in there)
    return Wishes(rules, read_quiet_hours(row.quiet_hours))


def set_wishes(tx: Tx, who: Who, user_id: str, wanted: Wishes, now: int) -> Wishes:
    """Puts *wanted* in the place of what was. Raises `NotFound`, `InvalidInput`."""
    _one_at_a_time(tx, user_id)
    before = wishes_of(tx.sql, user_id)
    usable: Sequence[Person] = [one for one in of_person(tx.sql, user_id) if one.disabled_at is None]
    wishes.check(wanted, {one.id: one.verified_at is not None for one in usable})
    quiet = None if wanted.quiet is None else msgspec.json.encode(wanted.quiet).decode()
    values = {"rules": msgspec.json.encode(wanted.rules).decode(), "quiet_hours": quiet, "updated_at": now}
    if tx.sql.execute(_RULES.update().where(_RULES.c.user_id == user_id).values(values)).rowcount == 0:
        tx.sql.execute(_RULES.insert().values(user_id=user_id, **values))
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(wanted)
    audit.record_change(tx, who, "user.rules_changed", f"user:{user_id}", now, before=old, after=new)
    return wanted

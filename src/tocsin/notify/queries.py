"""Reading messages and contacts. On read connections only."""

from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.events.matching import of_sites
from tocsin.notify.model import State

_OUTBOX, _CONTACTS, _USERS, _ALERTS = tables.outbox, tables.contacts, tables.users, tables.alerts


class Notification(msgspec.Struct, frozen=True):
    """One message as people see it. Times in milliseconds. Field order is the column order of the statement."""

    id: str
    alert_number: int
    alert_id: str | None  # of a notice: none
    site_id: int
    channel: str | None
    target: str | None
    kind: str
    status: str
    attempts: int
    last_error: str | None
    created_at: int
    sent_at: int | None
    next_attempt_at: int | None
    maybe_repeated: bool
    digest_id: str | None
    links_revoked_at: int | None


class Person(msgspec.Struct, frozen=True):
    """A contact with all that decides whether it may be written to, and whose it is."""

    id: str
    kind: str
    target: str
    label: str
    user_id: str | None
    user_name: str | None
    time_zone: str | None
    origin: str
    created_at: int
    verified_at: int | None
    disabled_at: int | None
    place: int = 0

    @property
    def actor(self) -> str:
        """The name under which this contact acts: the person's, or ``email ops@example.com``."""
        return self.user_name or f"{self.kind} {self.target}"


class Carried(msgspec.Struct, frozen=True):
    """A message as its links see it: which alert, whose contact, whether the links still act."""

    id: str
    alert_id: str
    created_at: int
    links_revoked_at: int | None
    contact: Person | None


class Enclosed(msgspec.Struct, frozen=True):
    """One alert that a digest spoke of, with the message that it stood for."""

    message_id: str
    title: str
    severity: int
    status: str


def _notifications() -> sa.Select[Any]:
    o, a, c = _OUTBOX.c, _ALERTS.c, _CONTACTS.c
    joined = _OUTBOX.outerjoin(_ALERTS, o.alert_number == a.number).outerjoin(_CONTACTS, o.contact_id == c.id)
    columns = (
        *(
            o.id,
            o.alert_number,
            a.id.label("alert_id"),
            o.site_id,
            c.kind.label("channel"),
            c.target,
            o.kind,
            o.status,
            o.attempts,
        ),
        *(o.last_error, o.created_at, o.sent_at, o.next_attempt_at, o.maybe_repeated, o.digest_id, o.links_revoked_at),
    )
    return sa.select(*columns).select_from(joined)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages; None and empty leave a condition out."""

    alert_number: int | None = None
    site_ids: frozenset[int] | None = None
    statuses: tuple[str, ...] = ()


def page(connection: sa.Connection, wanted: Filter, after: str | None, limit: int) -> list[Notification]:
    """One page of messages, the newest first."""
    query = _notifications().where(*of_sites(_OUTBOX.c.site_id, wanted.site_ids))
    if wanted.alert_number is not None:
        query = query.where(_OUTBOX.c.alert_number == wanted.alert_number)
    if wanted.statuses:
        query = query.where(_OUTBOX.c.status.in_(wanted.statuses))
    if after is not None:
        query = query.where(_OUTBOX.c.id < after)
    return [Notification(*row) for row in connection.execute(query.order_by(_OUTBOX.c.id.desc()).limit(limit))]


def find(connection: sa.Connection, message_id: str, site_ids: frozenset[int] | None) -> Notification | None:
    """One message by its id, if it is of one of the sites."""
    row = connection.execute(_notifications().where(_OUTBOX.c.id == message_id, *of_sites(_OUTBOX.c.site_id, site_ids))).first()
    return None if row is None else Notification(*row)


_PERSON = (
    *(_CONTACTS.c.id, _CONTACTS.c.kind, _CONTACTS.c.target, _CONTACTS.c.label, _CONTACTS.c.user_id),
    *(_USERS.c.name.label("user_name"), _USERS.c.time_zone),
    *(_CONTACTS.c.origin, _CONTACTS.c.created_at, _CONTACTS.c.verified_at, _CONTACTS.c.disabled_at, _CONTACTS.c.place),
)


def people(connection: sa.Connection) -> list[Person]:
    """All contacts, the oldest first, disabled ones too."""
    joined = _CONTACTS.outerjoin(_USERS, _CONTACTS.c.user_id == _USERS.c.id)
    query = sa.select(*_PERSON).select_from(joined).order_by(_CONTACTS.c.created_at, _CONTACTS.c.id)
    return [Person(*list(row)) for row in connection.execute(query)]


def carried(connection: sa.Connection, message_id: str) -> Carried | None:
    """The message that a link came with."""
    o = _OUTBOX.c
    joined = (
        _OUTBOX.join(_ALERTS, o.alert_number == _ALERTS.c.number)
        .outerjoin(_CONTACTS, o.contact_id == _CONTACTS.c.id)
        .outerjoin(_USERS, _CONTACTS.c.user_id == _USERS.c.id)
    )
    query = sa.select(o.id, _ALERTS.c.id, o.created_at, o.links_revoked_at, *_PERSON).select_from(joined).where(o.id == message_id)
    row = connection.execute(query).first()
    if row is None:
        return None
    message_id, alert_id, created_at, revoked_at, *person = row
    return Carried(message_id, alert_id, created_at, revoked_at, None if person[0] is None else Person(*person))


def enclosed(connection: sa.Connection, digest_id: str, limit: int) -> list[Enclosed]:
    """The alerts that a digest spoke of, the loudest first; empty for any other message."""
    o = _OUTBOX.c
    joined = _OUTBOX.join(_ALERTS, o.alert_number == _ALERTS.c.number)
    query = sa.select(o.id, _ALERTS.c.title, _ALERTS.c.severity, _ALERTS.c.status).select_from(joined).where(o.digest_id == digest_id)
    rows = connection.execute(query.order_by(o.severity.desc(), o.created_at, o.id).limit(limit))
    return [Enclosed(*row) for row in rows]


def counts(connection: sa.Connection) -> dict[str, int]:
    """How many messages are in each state."""
    found = {state.value: 0 for state in State}
    query = sa.select(_OUTBOX.c.status, sa.func.count()).group_by(_OUTBOX.c.status)
    found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def overdue_since(connection: sa.Connection, now: int) -> int | None:
    """When the oldest message that is due and not under way was decided (ms); None if there is none."""
    o = _OUTBOX.c
    query = sa.select(sa.func.min(o.created_at)).where(o.next_attempt_at <= now, o.status == State.PENDING.value)
    found: int | None = connection.execute(query).scalar_one()
    return found


def waiting(connection: sa.Connection) -> int:
    """How many messages wait for their moment or are under way."""
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(_OUTBOX).where(_OUTBOX.c.next_attempt_at.is_not(None))).scalar_one()
    )


def counts_since(connection: sa.Connection, since: int) -> dict[str, int]:
    """How many messages decided from *since* (ms) on are in each state. Ids are in the order of time."""
    found = {state.value: 0 for state in State}
    query = sa.select(_OUTBOX.c.status, sa.func.count()).where(_OUTBOX.c.id >= _first_id(since)).group_by(_OUTBOX.c.status)
    found.update((row[0], row[1]) for row in connection.execute(query))
    return found


class Ended(msgspec.Struct, frozen=True):
    """How the last message to a contact ended, of those that have. Times in ms."""

    contact_id: str
    status: str
    decided_at: int
    sent_at: int | None
    error: str | None


def last_ended(connection: sa.Connection, since: int) -> list[Ended]:
    """For each contact its last message that ended well or badly, of those decided from *since* (ms) on."""
    o = _OUTBOX.c
    ended = (State.SENT.value, State.DELIVERED.value, State.FAILED.value, State.UNKNOWN.value)
    last = sa.select(sa.func.max(o.id)).where(o.id >= _first_id(since), o.status.in_(ended)).group_by(o.contact_id)
    query = sa.select(o.contact_id, o.status, o.created_at, o.sent_at, o.last_error).where(o.id.in_(last))
    return [Ended(*row) for row in connection.execute(query)]


def _first_id(since: int) -> str:
    """What the ids of messages decided from *since* (ms) on are not below."""
    text = f"{since:012x}"
    return f"{text[:8]}-{text[8:]}"

"""Who can be told, and how: people and contacts, kept in memory, refilled when something changed."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.notify.model import Contact
from tocsin.notify.reach import Directory, Person, PersonRule, QuietHours, Roster
from tocsin.oncall import rules as oncall_rules, store as oncall_store

BEFORE, AHEAD = DAY, 60 * DAY  # overrides that are kept at hand


class ContactBook:
    """The contacts that may be written to (verified, not disabled, of nobody who is disabled) and whose they are.

    Readers see one consistent state.
    """

    def __init__(self) -> None:
        self.all: tuple[Contact, ...] = ()
        self.directory = Directory()
        self._by_id: dict[str, Contact] = {}

    def load(self, connection: sa.Connection, now: int) -> None:
        """Reads everybody."""
        directory = read_directory(connection, now)
        found = [*directory.shared, *(contact for person in directory.people.values() for contact in person.contacts)]
        self.directory, self.all = directory, tuple(found)
        self._by_id = {contact.id: contact for contact in found}

    def find(self, contact_id: str) -> Contact | None:
        """The contact with this id, unless it is gone or disabled."""
        return self._by_id.get(contact_id)


def read_directory(connection: sa.Connection, at: int) -> Directory:
    """Everybody and everything that can be told about the moment *at*."""
    people = _people(connection)
    own: dict[str | None, list[Contact]] = {}
    for contact in _contacts(connection):
        own.setdefault(contact.user_id, []).append(contact)
    return Directory(
        people={
            user_id: msgspec.structs.replace(person, contacts=tuple(own.get(user_id, ()) if person.active else ()))
            for user_id, person in people.items()
        },
        shared=tuple(own.get(None, ())),
        teams={team.id: team for team in oncall_store.teams(connection)},
        rosters=_rosters(connection, people, at),
    )


def _rosters(connection: sa.Connection, people: Mapping[str, Person], at: int) -> dict[str, Roster]:
    schedules = oncall_store.schedules(connection)
    overrides = oncall_store.overrides(connection, [schedule.id for schedule in schedules], at - BEFORE, at + AHEAD)
    found = {}
    for schedule in schedules:
        made = overrides.get(schedule.id, [])
        named = {user for layer in schedule.layers for user in layer.rotation.users} | {one.user for one in made if one.user}
        gone = [user for user in named if user not in people or not people[user].active]
        left, kept = oncall_rules.without(schedule, made, gone)
        found[schedule.id] = Roster(left, tuple(kept))
    return found


def _contacts(connection: sa.Connection) -> list[Contact]:
    """All that are verified and not disabled, each person's in their order."""
    table = tables.contacts
    query = sa.select(table).where(table.c.disabled_at.is_(None), table.c.verified_at.is_not(None))
    rows = connection.execute(query.order_by(table.c.place, table.c.created_at, table.c.id))
    return [Contact(r.id, r.kind, r.target, r.label, r.user_id, r.secret) for r in rows]


def _people(connection: sa.Connection) -> dict[str, Person]:
    """All users without their contacts, disabled ones too: a policy may still name them."""
    rules = {row.user_id: row for row in connection.execute(sa.select(tables.person_rules))}
    sites: dict[str, set[int]] = {}
    for user_id, site_id in connection.execute(sa.select(tables.user_sites)):
        sites.setdefault(user_id, set()).add(site_id)
    found = {}
    for row in connection.execute(sa.select(tables.users).order_by(tables.users.c.created_at, tables.users.c.id)):
        own = rules.get(row.id)
        found[row.id] = Person(
            row.id,
            row.name,
            row.email,
            row.role,
            row.time_zone,
            active=row.disabled_at is None,
            rules=() if own is None else read_rules(own.rules),
            quiet=None if own is None else read_quiet_hours(own.quiet_hours),
            sites=None if row.every_site else frozenset(sites.get(row.id, ())),
        )
    return found


def read_rules(text: str) -> tuple[PersonRule, ...]:
    """A person's rules as they are stored."""
    return msgspec.json.decode(text, type=tuple[PersonRule, ...])


def read_quiet_hours(text: str | None) -> QuietHours | None:
    """A person's quiet hours as they are stored."""
    return None if text is None else msgspec.json.decode(text, type=QuietHours)


def follow_settings(tx: Tx, wanted: Sequence[tuple[str, str]], now: int) -> None:
    """Makes the contacts that come from the settings equal to *wanted* (kind, target): adds, enables, disables."""
    table = tables.contacts
    # Earlier releases called them so, and said "Push to from the settings"; what they send to is a better name.
    tx.sql.execute(table.update().where(table.c.origin == "settings", table.c.label == "from the settings").values(label=""))
    known = {(r.kind, r.target): r for r in tx.sql.execute(sa.select(table).where(table.c.origin == "settings"))}
    for kind, target in wanted:
        row = known.pop((kind, target), None)
        if row is None:
            tx.sql.execute(
                table.insert().values(
                    id=new_id(now), kind=kind, target=target, label="", origin="settings", created_at=now, verified_at=now
                )
            )
        elif row.disabled_at is not None:
            tx.sql.execute(table.update().where(table.c.id == row.id).values(disabled_at=None))
    for row in known.values():
        if row.disabled_at is None:
            tx.sql.execute(table.update().where(table.c.id == row.id).values(disabled_at=now))

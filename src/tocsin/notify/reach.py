"""Whom a step of a policy reaches, on which of their contacts, and when: pure functions of what is known about people."""

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import SECOND
from tocsin.core.severity import Severity
from tocsin.core.wall import moment, wall_clock
from tocsin.escalation.model import Step, Target, TargetKind
from tocsin.escalation.rules import Known, KnownGroup, KnownUser
from tocsin.notify.model import Contact
from tocsin.notify.rules import fall_back_to, recipients
from tocsin.oncall.model import Override, Schedule, Team
from tocsin.oncall.rules import users_on_call


class Urgency(enum.StrEnum):
    """The two kinds of alerts that a person can make rules for."""

    HIGH = "high"  # severity 4 and 5
    LOW = "low"  # the others


class PersonRule(msgspec.Struct, frozen=True):
    """One person's wish: of alerts of this urgency tell me on this contact, so many seconds after the others hear of them."""

    urgency: Urgency
    contact: str
    delay_seconds: int = 0


class QuietHours(msgspec.Struct, frozen=True):
    """When a person wants to hear of nothing less than severity 5: wall-clock times in the person's zone. They may reach over midnight."""

    begins: time
    ends: time


class Person(msgspec.Struct, frozen=True):
    """A user as the plan of messages sees one. ``sites`` None: all. ``contacts``: those that may be written to."""

    id: str
    name: str
    email: str
    role: str
    time_zone: str
    active: bool = True
    contacts: tuple[Contact, ...] = ()
    rules: tuple[PersonRule, ...] = ()
    quiet: QuietHours | None = None
    sites: frozenset[int] | None = None


class Roster(msgspec.Struct, frozen=True):
    """A schedule with its overrides, in the order in which they were made. The turns of who is gone are empty in it."""

    schedule: Schedule
    overrides: tuple[Override, ...] = ()


class Directory(msgspec.Struct, frozen=True):
    """Everybody and everything that can be told. ``shared``: contacts that belong to nobody, the oldest first."""

    people: Mapping[str, Person] = {}
    shared: tuple[Contact, ...] = ()
    teams: Mapping[str, Team] = {}
    rosters: Mapping[str, Roster] = {}


def known(directory: Directory) -> Known:
    """Everything that a policy can name."""
    return Known(
        users={p.id: KnownUser(p.name, active=p.active, reachable=bool(p.contacts)) for p in directory.people.values()},
        schedules={schedule_id: KnownGroup(roster.schedule.name, _turns(roster)) for schedule_id, roster in directory.rosters.items()},
        teams={team.id: KnownGroup(team.name, team.users) for team in directory.teams.values()},
        channels={contact.id: contact.kind for contact in directory.shared},
        kinds=CONTACT_KINDS,
    )


def _turns(roster: Roster) -> tuple[str, ...]:
    """Everybody who has a turn in it, or stands in for somebody."""
    users = [user for layer in roster.schedule.layers for user in layer.rotation.users]
    return tuple(dict.fromkeys(user for user in [*users, *(one.user for one in roster.overrides)] if user))


def without(directory: Directory, contact_id: str) -> Directory:
    """The same without one contact."""
    people = {
        person.id: msgspec.structs.replace(person, contacts=tuple(c for c in person.contacts if c.id != contact_id))
        for person in directory.people.values()
    }
    shared = tuple(contact for contact in directory.shared if contact.id != contact_id)
    return msgspec.structs.replace(directory, people=people, shared=shared)


class Promise(msgspec.Struct, frozen=True):
    """One message to come: on this contact, at this moment. ``held``: it waits for the end of the person's quiet hours.

    ``wished``: the person's own rules say so, and that many seconds after the others hear of it.
    """

    contact: Contact
    at: int
    held: bool = False
    wished: int | None = None


class Reached(msgspec.Struct, frozen=True):
    """What a step comes to: the messages, and in words who was meant and is not reached, and who is on call where it names schedules."""

    promises: tuple[Promise, ...] = ()
    missed: tuple[str, ...] = ()
    on_call: tuple[str, ...] = ()


CONTACT_KINDS = ("ntfy", "email", "sms", "voice", "webpush", "apprise")  # of people; a step may ask for some of them
ACTING = ("admin", "responder")  # the roles of those who may act on alerts


def urgency(severity: int) -> Urgency:
    """Which of a person's rules hold."""
    return Urgency.HIGH if severity >= Severity.HIGH else Urgency.LOW


def reach(step: Step, severity: int, directory: Directory, site_id: int, now: int) -> Reached:
    """Whom *step* reaches at *now* for an alert of a site. Two contacts with the same address are told once, the person's own first."""
    search = _Search(directory, site_id, now)
    for target in step.targets:
        search.add(target)
    promises: list[Promise] = []
    for person in search.people.values():
        told = person_promises(person, severity, step.channels, now)
        if not told:
            search.missed.append(f"{person.name}: has no contact that can be written to")
        promises += told
    promises += [Promise(contact, now) for contact in _shared(search, step.channels, severity, stand_in=not promises)]
    return Reached(tuple(_each_address_once(promises)), tuple(dict.fromkeys(search.missed)), tuple(dict.fromkeys(search.on_call)))


def anybody(severity: int, directory: Directory, now: int, asked: Collection[str] = ()) -> Reached:
    """Whom to tell when a policy has reached nobody at all: the shared contacts, else the administrators, else whoever there is.

    Those who were *asked* already, in vain, are left out.
    """
    active = [person for person in directory.people.values() if person.active]
    groups = (
        [Promise(contact, now) for contact in recipients(severity, directory.shared)],
        [promise for person in active if person.role == "admin" for promise in person_promises(person, severity, (), now)],
        [promise for person in active for promise in person_promises(person, severity, (), now)],
    )
    for promises in groups:
        left = [promise for promise in _each_address_once(promises) if promise.contact.id not in asked]
        if left:
            return Reached(tuple(left))
    return Reached()


def stand_ins(directory: Directory, owner: str | None, asked: Collection[str]) -> tuple[Contact, ...]:
    """Who is asked when one contact cannot be reached: the other contacts of the same person; for a shared one the other shared ones."""
    if owner is None:
        return fall_back_to(asked, directory.shared)
    person = directory.people.get(owner)
    return fall_back_to(asked, person.contacts) if person is not None else ()


class _Search:
    """Works out the targets of a step one by one."""

    def __init__(self, directory: Directory, site_id: int, now: int) -> None:
        self._directory, self._site_id, self._now = directory, site_id, now
        self.people: dict[str, Person] = {}
        self.named: list[Contact] = []
        self.everything_shared = False
        self.missed: list[str] = []
        self.on_call: list[str] = []

    def add(self, target: Target) -> None:
        """Adds whom *target* means at this moment."""
        match target.kind:
            case TargetKind.USER:
                self._user(target.id)
            case TargetKind.SCHEDULE:
                self._schedule(target.id)
            case TargetKind.TEAM:
                self._team(target.id)
            case TargetKind.CHANNEL | TargetKind.WEBHOOK:
                self._channel(target)
            case TargetKind.ON_CALL:
                self._on_call()
            case TargetKind.ADMINS:
                self._all(person for person in self._directory.people.values() if person.role == "admin")
            case TargetKind.SHARED:
                self.everything_shared = True

    def _user(self, user_id: str, *, of: str = "") -> None:
        person = self._directory.people.get(user_id)
        if person is None:
            self.missed.append(f"user {user_id}{of}: was removed")
        elif not person.active:
            self.missed.append(f"{person.name}{of}: is disabled")
        else:
            self.people[user_id] = person

    def _schedule(self, schedule_id: str) -> None:
        roster = self._directory.rosters.get(schedule_id)
        if roster is None:
            self.missed.append(f"schedule {schedule_id}: was removed")
            return
        on = users_on_call(roster.schedule, roster.overrides, self._now)
        if not on:
            self.missed.append(f"schedule {roster.schedule.name}: nobody is on call")
        for user_id in on:
            self._user(user_id, of=f" (on call in {roster.schedule.name})")
            if user_id in self.people:
                self.on_call.append(f"{self.people[user_id].name} in {roster.schedule.name}")

    def _team(self, team_id: str) -> None:
        team = self._directory.teams.get(team_id)
        if team is None:
            self.missed.append(f"team {team_id}: was removed")
            return
        if not team.users:
            self.missed.append(f"team {team.name}: has no members")
        for user_id in team.users:
            self._user(user_id, of=f" (of {team.name})")

    def _channel(self, target: Target) -> None:
        found = next((contact for contact in self._directory.shared if contact.id == target.id), None)
        if found is None:
            self.missed.append(f"{target.kind.value} {target.id}: was removed or switched off")
        else:
            self.named.append(found)

    def _on_call(self) -> None:
        if not self._directory.rosters:
            self._all(person for person in self._directory.people.values() if person.role in ACTING)
            return
        before = len(self.people)
        for schedule_id in self._directory.rosters:
            self._schedule(schedule_id)
        if len(self.people) > before:  # one schedule is enough: the others may cover other hours
            self.missed = [line for line in self.missed if not line.endswith("nobody is on call")]

    def _all(self, people: Iterable[Person]) -> None:
        for person in people:
            if person.active and (person.sites is None or self._site_id in person.sites) and person.contacts:
                self.people[person.id] = person

    def shared(self) -> tuple[Contact, ...]:
        """The group of all shared contacts, if the step means it."""
        return self._directory.shared if self.everything_shared else ()


def _shared(search: _Search, kinds: Sequence[str], severity: int, *, stand_in: bool) -> list[Contact]:
    """Those named, whatever the severity; of the group those of the wanted kinds, or as the severity says.

    If the group has none of the wanted kinds, all the others stand in, unless people are reached.
    """
    group = search.shared()
    wanted = _of_kinds(group, kinds)
    if not wanted and (stand_in or not kinds):
        wanted = recipients(severity, group)
    return [*search.named, *(contact for contact in wanted if contact not in search.named)]


def _of_kinds(contacts: Sequence[Contact], kinds: Sequence[str]) -> tuple[Contact, ...]:
    return tuple(contact for contact in contacts if contact.kind in kinds)


def person_promises(person: Person, severity: int, kinds: Sequence[str], now: int) -> list[Promise]:
    """On which contacts *person* is told, and when: the kinds that the step names, else the person's rules, else as the severity says."""
    named = _of_kinds(person.contacts, kinds)
    if named:
        return [_promise(person, contact, severity, now) for contact in named]
    wished = _by_rules(person, urgency(severity))
    if wished:
        return [_promise(person, contact, severity, now + delay * SECOND, delay) for contact, delay in wished]
    return [_promise(person, contact, severity, now) for contact in recipients(severity, person.contacts)]


def _by_rules(person: Person, wanted: Urgency) -> list[tuple[Contact, int]]:
    by_id = {contact.id: contact for contact in person.contacts}
    rules = [rule for rule in person.rules if rule.urgency is wanted and rule.contact in by_id]
    return [(by_id[rule.contact], rule.delay_seconds) for rule in rules]


def _promise(person: Person, contact: Contact, severity: int, at: int, wished: int | None = None) -> Promise:
    free = at if severity >= Severity.CRITICAL else quiet_until(person.quiet, person.time_zone, at)
    return Promise(contact, free, free > at, wished)


def news_promise(directory: Directory, contact: Contact, severity: int, actor: str | None, now: int) -> Promise:
    """Good news for somebody who heard the bad. It waits for the end of quiet hours, but for who is plainly awake."""
    person = directory.people.get(contact.user_id or "")
    if person is None or person.name == actor:
        return Promise(contact, now)
    return _promise(person, contact, severity, now)


def quiet_until(quiet: QuietHours | None, time_zone: str, at: int) -> int:
    """The end of the quiet hours that hold at *at*; *at* itself if none do."""
    if quiet is None or quiet.begins == quiet.ends:
        return at
    zone = ZoneInfo(time_zone)
    today = wall_clock(at, zone).date()
    for day in (today - timedelta(days=1), today):
        last = day if quiet.ends > quiet.begins else day + timedelta(days=1)
        begins = moment(datetime.combine(day, quiet.begins), zone)
        ends = moment(datetime.combine(last, quiet.ends), zone)
        if begins <= at < ends:
            return ends
    return at


def _each_address_once(promises: Iterable[Promise]) -> Iterator[Promise]:
    """The first promise of each address: people come before shared contacts, and so their own links are in it."""
    seen: set[tuple[str, str]] = set()
    for promise in promises:
        place = (promise.contact.kind, promise.contact.address)
        if place not in seen:
            seen.add(place)
            yield promise

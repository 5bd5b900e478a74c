"""A small hosting company for stories: people with telephones and mailboxes, a rota, and all that reaches them, in order.

Olga is the administrator (mail), Anna and Ben are engineers (push, SMS), Vera looks on. A story compares everything that was
sent: what is not expected fails it as what is missing.
"""

import asyncio
from collections.abc import Sequence
from datetime import time
from typing import Any

import msgspec
import sqlalchemy as sa

from tests.oncall.build import utc
from tests.world import World
from tocsin.alerts.model import Alert
from tocsin.audit.model import Who
from tocsin.core.clock import MINUTE
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.escalation import service as policies
from tocsin.escalation.model import EscalationPolicy, Progress, Step, Target, TargetKind
from tocsin.escalation.service import PolicyChange
from tocsin.identity.model import Role
from tocsin.notify.contacts import read_directory
from tocsin.notify.model import Letter
from tocsin.notify.reach import QuietHours, known
from tocsin.oncall import service as oncall
from tocsin.oncall.definition import LayerText
from tocsin.oncall.model import Schedule
from tocsin.oncall.service import ScheduleChange
from tocsin.pipeline import promises

BOSS = Who("olga@example.com")


def user(user_id: str) -> Target:
    return Target(TargetKind.USER, user_id)


def step(minutes: int, *targets: Target, **more: Any) -> Step:
    """A step so many minutes after the one before it."""
    return Step(minutes * 60, targets, **more)


class Crew:
    """See the module. Times in `told` count from `begin`, minutes and seconds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.begun_at = world.clock.now()
        self.ids: dict[str, str] = {}
        self.contacts: dict[str, str] = {}

    async def start(self, at: str | None = None) -> "Crew":
        """Everybody has an account and their contacts; nobody else can be written to."""
        if at is not None:
            self.world.clock.at = utc(at)
        self.begun_at = self.world.clock.now()
        await self.world.write(lambda tx: tx.sql.execute(sa.delete(tables.contacts)))
        await self.person("olga", Role.ADMIN, email="olga@example.com")
        await self.person("anna", Role.RESPONDER, ntfy="anna", sms="+4915100000001")
        await self.person("ben", Role.RESPONDER, ntfy="ben", sms="+4915100000002")
        await self.person("vera", Role.VIEWER, email="vera@example.com")
        return self

    async def person(self, name: str, role: Role, **contacts: str) -> str:
        """An account with these contacts, by kind; all verified."""
        now = self.world.clock.now()
        user_id = self.ids[name] = new_id(now)

        def work(tx: Tx) -> None:
            values = {"id": user_id, "email": f"{name}@example.com", "name": name.title(), "role": role.value, "time_zone": "Europe/Berlin"}
            tx.sql.execute(tables.users.insert().values(**values, created_at=now))
            for kind, target in contacts.items():
                self._contact(tx, user_id, kind, target)

        await self.world.write(work)
        await self.refresh()
        return user_id

    def _contact(self, tx: Tx, user_id: str | None, kind: str, target: str) -> None:
        now = self.world.clock.now()
        contact_id = self.contacts[f"{kind} {target}"] = new_id(now)
        values = {"id": contact_id, "user_id": user_id, "kind": kind, "target": target, "origin": "user" if user_id else "settings"}
        tx.sql.execute(tables.contacts.insert().values(**values, created_at=now, verified_at=now))

    async def contact(self, name: str, kind: str, target: str) -> None:
        """One more contact of a person."""
        await self.world.write(lambda tx: self._contact(tx, self.ids[name], kind, target))
        await self.refresh()

    async def shared(self, kind: str, target: str) -> str:
        """A contact that belongs to nobody."""
        await self.world.write(lambda tx: self._contact(tx, None, kind, target))
        await self.refresh()
        return self.contacts[f"{kind} {target}"]

    async def disable(self, name: str) -> None:
        """The person has left."""
        table, now = tables.users, self.world.clock.now()
        await self.world.write(lambda tx: tx.sql.execute(table.update().where(table.c.id == self.ids[name]).values(disabled_at=now)))
        await self.refresh()

    async def rules(self, name: str, rules: Sequence[dict[str, Any]] = (), quiet: tuple[str, str] | None = None) -> None:
        """How the person wants to be told; *rules* name contacts by ``kind target``."""
        text = msgspec.json.encode([{**rule, "contact": self.contacts[rule["contact"]]} for rule in rules]).decode()
        hours = None if quiet is None else msgspec.json.encode(QuietHours(*map(time.fromisoformat, quiet))).decode()
        table = tables.person_rules

        def work(tx: Tx) -> None:
            tx.sql.execute(table.delete().where(table.c.user_id == self.ids[name]))
            tx.sql.execute(table.insert().values(user_id=self.ids[name], rules=text, quiet_hours=hours, updated_at=0))

        await self.world.write(work)
        await self.refresh()

    async def rota(self, *names: str, unit: str = "day", starts_at: str = "2026-01-05T09:00") -> Schedule:
        """A schedule in Berlin: these people take turns."""
        rotation = {"unit": unit, "length": 1, "starts_at": starts_at, "users": [self.ids[name] for name in names]}
        layers = msgspec.convert([{"name": "Turns", "rotation": rotation}], tuple[LayerText, ...])
        wanted = ScheduleChange("First line", "Europe/Berlin", layers, announce_gaps=False, announce_hand_offs=False)
        now = self.world.clock.now()
        made = await self.world.write(lambda tx: oncall.add_schedule(tx, BOSS, wanted, now))
        await self.refresh()
        return made

    async def policy(self, *steps: Step, site: str = "main", **more: Any) -> EscalationPolicy:
        """A policy with these steps, which becomes the default of the site."""
        now = self.world.clock.now()

        def work(tx: Tx) -> EscalationPolicy:
            wanted = PolicyChange(
                f"Policy {len(self.world.core.policies.definitions)}", steps, more.get("repeat", 0), more.get("entry", {})
            )
            made = policies.make(tx, BOSS, wanted, known(read_directory(tx.sql, now)), now)
            policies.use_at_site(tx, BOSS, self.world.core.sites.get(site).id, site, made.id, now)
            return made

        made = await self.world.write(work)
        await self.refresh()
        return made

    async def refresh(self) -> None:
        """The server reads again what others have changed."""
        await asyncio.to_thread(self.world.core.refresh)

    async def escalate(self, alert: Alert, who: str = "anna@example.com", from_level: int | None = None) -> Alert:
        """Somebody asks for the next level."""
        changed = await self.world.write(self.world.core.actions.escalate(alert.id, Who(who), from_level))
        await self.world.settle()
        return changed

    def nothing_is_forgotten(self) -> None:
        """At the end of a story the auditor finds nothing that has come to a standstill."""
        with self.world.core.database.read() as connection:
            assert promises.look(connection, self.world.clock.now()) == []

    # What is to be seen.

    @property
    def letters(self) -> list[Letter]:
        """Everything that left, in the order in which it left."""
        found = [letter for channel in self.world.channels.values() for letter in channel.letters]
        return sorted(found, key=lambda letter: (letter.now, letter.contact.kind, letter.contact.target))

    @property
    def told(self) -> list[str]:
        """``00:15 email olga@example.com: escalated``, for all alerts alike."""
        return [f"{self._since(one.now)} {one.contact.kind} {one.contact.target}: {one.message.kind}" for one in self.letters]

    def _since(self, at: int) -> str:
        minutes, ms = divmod(at - self.begun_at, MINUTE)
        seconds = ms // 1000
        return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")

    def progress(self, number: int = 1) -> Progress:
        """Where an alert stands in its policy."""
        columns = [tables.escalations.c[name] for name in Progress.__struct_fields__]
        ((*row,),) = self.world.rows(sa.select(*columns).where(tables.escalations.c.alert_number == number))
        return Progress(*row)

    def outbox(self, number: int = 1) -> list[tuple[str, int, str, str]]:
        """Kind, step, contact and status of an alert's messages."""
        names = {contact_id: name for name, contact_id in self.contacts.items()}
        return [(m.kind, m.step, names[m.contact_id], m.status) for m in self.world.messages(alert_number=number)]

    def why(self, number: int = 1) -> list[str]:
        """The reasons of an alert's steps, in order: ``1: nobody acknowledged it in time``."""
        table = tables.alert_history
        query = sa.select(table.c.reason, table.c.details).where(table.c.alert_number == number, table.c.action == "escalated")
        rows = self.world.rows(query.order_by(table.c.number))
        return [f"{msgspec.json.decode(row.details)['level']}: {row.reason}" for row in rows]

    def missed(self, number: int = 1) -> list[str]:
        """Who was meant and not reached, as the history says."""
        details = [*self.world.details(number, "opened"), *self.world.details(number, "escalated")]
        return [line for one in details for line in one.get("missed", ())]

"""A whole Tocsin for stories: the real database, rules, writer and delivery; a fake clock, and fake channels at the doors.

Days pass in milliseconds: `World.pass_time` jumps from one due moment to the next, as the engine would reach them.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from tests.build import EVERYONE
from tests.fakes import FakeChannel, FakeClock
from tocsin import bootstrap
from tocsin.alerts import rules as alert_rules
from tocsin.alerts.model import Alert, AlertChange
from tocsin.core.clock import MINUTE, SECOND
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.events.model import Incoming, Rejected
from tocsin.heartbeats.store import note_look
from tocsin.notify.delivery import Delivery
from tocsin.notify.departures import Departures
from tocsin.notify.limits import Limits
from tocsin.notify.model import Contact, Message
from tocsin.pipeline.ingest import Batch, Taken
from tocsin.pipeline.trouble import ChannelTrouble
from tocsin.settings import Settings

Result = TypeVar("Result")
STEP = 2 * SECOND  # how far time moves while something waits for the rate
# When something is due; and what waits in the outbox.
MOMENTS = sa.union_all(
    *[
        sa.select(table.c[name]).where(table.c[name].is_not(None))
        for table, name in (
            (tables.alerts, "due_at"),
            (tables.alerts, "noise_at"),
            (tables.escalations, "next_at"),
            (tables.heartbeats, "due_at"),
            (tables.hosts, "due_at"),
        )
    ]
)
WAITING = sa.select(tables.outbox.c.next_attempt_at, tables.outbox.c.status, tables.outbox.c.contact_id).where(
    tables.outbox.c.next_attempt_at.is_not(None)
)
HAS_JOBS = sa.select(sa.exists().select_from(tables.heartbeats))


class World:
    """See the module. ``ntfy``, ``email``, ``sms`` and ``voice`` are the channels; contacts are added by `people`."""

    def __init__(self, url: str, folder: Path, *, clock: FakeClock | None = None, node: str = "node-1", **settings: Any) -> None:
        self.clock = clock or FakeClock()
        given = {"public_url": "https://alarm.example.com", "group_wait_seconds": 0, **settings}  # grouping has stories of its own
        self.settings = Settings(data_dir=folder / "data", database_url=url, **given)
        self.core = bootstrap.build_core(self.settings, self.clock)
        self.ntfy = FakeChannel("ntfy", self.clock)
        self.email = FakeChannel("email", self.clock)
        self.sms = FakeChannel("sms", self.clock)
        self.voice = FakeChannel("voice", self.clock)
        self.channels = {channel.kind: channel for channel in (self.ntfy, self.email, self.sms, self.voice)}
        self.node = node
        self._journal = self.settings.data_dir / f"departures-{node}"
        self.delivery = self._deliver()
        self.core.writer.call(self.delivery.settle_past)

    def _deliver(self) -> Delivery:
        self.departures = Departures(self._journal)
        limits = Limits(self.settings.message_burst, self.settings.messages_per_minute, self.settings.group_wait_seconds * SECOND)
        delivery = Delivery(
            clock=self.clock,
            writer=self.core.writer,
            announcer=self.core.announcer,
            contacts=self.core.contacts,
            site_slug=self.core.sites.slug_of,
            channels=self.channels,
            limits=limits,
            departures=self.departures,
            secret=b"s" * 32,
            public_url=self.settings.public_url,
            node=self.node,
            trouble=ChannelTrouble(self.core.ingest, self.clock),
        )
        self.core.announcer.use(delivery)
        return delivery

    async def close(self) -> None:
        """Ends everything; what still hangs is let go."""
        for channel in self.channels.values():
            await channel.close()
        await self.delivery.drain(5)
        await asyncio.to_thread(self.core.close)
        self.departures.close()

    # What happens.

    async def people(self, *contacts: Contact) -> None:
        """These contacts (default: the cast), and nobody else, may be written to."""

        def work(tx: Tx) -> None:
            tx.sql.execute(sa.delete(tables.contacts))
            for place, c in enumerate(contacts or EVERYONE):
                values = {"id": c.id, "kind": c.kind, "target": c.target, "label": c.label, "origin": "user", "verified_at": 1}
                whose = {"user_id": c.user_id, "secret": c.secret}
                tx.sql.execute(tables.contacts.insert().values(**values, **whose, created_at=place))

        await self.write(work)
        await asyncio.to_thread(self.core.refresh)

    async def report(self, *members: Incoming | Rejected, key_site: str | None = None, skew: int | None = None) -> Taken:
        """One request with these events; what follows from it at once is done when this returns."""
        batch = Batch(list(members), key_site, "key-1", skew)
        taken = await self.core.writer.submit(self.core.ingest.take, batch, len(members) or 1)
        await self.settle()
        return taken

    async def act(self, alert: Alert, decide: Callable[[Alert, int], AlertChange]) -> Alert:
        """A person's decision about an alert."""
        changed = await self.write(self.core.actions.act(alert.id, decide))
        await self.settle()
        return changed

    async def acknowledge(self, alert: Alert, actor: str = "marta@example.com") -> Alert:
        """Somebody has it."""
        return await self.act(alert, self.core.actions.acknowledge(actor))

    async def resolve(self, alert: Alert, actor: str = "marta@example.com") -> Alert:
        """Somebody says that it is over."""
        return await self.act(alert, lambda a, now: alert_rules.resolve(a, actor, None, now))

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        """Any work in a transaction."""
        return await self.core.writer.run(work)

    async def restart(self, *, killed: bool = True, recovers: bool = True) -> None:
        """The sender's process ends (*killed*: in the middle of whatever it does) and starts again on the same data.

        Without *recovers* it has not come to settle its past yet.
        """
        if killed:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if getattr(task.get_coro(), "__qualname__", "") == "Delivery._carry":
                    task.cancel()
            await asyncio.sleep(0)
        await self.delivery.drain(5)
        self.departures.close()
        self.delivery = self._deliver()
        if recovers:
            await self.delivery.recover()

    # Time.

    async def settle(self) -> None:
        """Until all that was started has ended, but for what hangs."""
        hanging = any(channel.hangs_for for channel in self.channels.values())
        await self.delivery.drain(0.05 if hanging else 10)

    async def turn(self) -> None:
        """What the engine does at this moment."""
        core = self.core
        actions = core.actions
        steps = (
            actions.come_due,
            actions.calm,
            core.sweep.step,
            actions.escalate_due,
            core.pulse.expire,
            core.roll.expire,
            actions.find_company,
        )
        while await self.write(lambda tx: sum(step(tx) for step in steps)):  # one transaction, as the writer groups what is at hand
            pass
        await self.delivery.look_up_unknown()
        await asyncio.gather(*self.delivery.asking.values())
        for _ in range(100):
            started = await self.delivery.cycle()
            await self.settle()  # what was leased when it was born, too
            if not started:
                break

    async def pass_time(self, ms: int) -> None:
        """Lives through the next *ms* milliseconds, stopping wherever something is due."""
        end = self.clock.at + ms
        await self.turn()
        while self.clock.at < end:
            moment, has_jobs = self._look_ahead()
            self.clock.at = min(end, moment)
            await self._have_looked(has_jobs=has_jobs)
            await self.turn()

    async def _have_looked(self, *, has_jobs: bool) -> None:
        """The engine would have looked for late jobs and silent hosts all the while, each second: nobody was away."""
        self.core.roll.note_look(self.clock.at)
        if has_jobs:
            await self.write(lambda tx: note_look(tx, self.clock.at))

    async def pass_until_quiet(self, at_most: int) -> None:
        """Lives on until nothing waits any more, at most so long."""
        end = self.clock.at + at_most
        while self.clock.at < end and any(m.status in ("pending", "sending", "unknown") and m.next_attempt_at for m in self.messages()):
            await self.pass_time(MINUTE)

    def _look_ahead(self) -> tuple[int, bool]:
        """The next moment at which the engine has something to do, and whether it looks for late jobs.

        What is overdue and must wait (for the rate) has a look in a while.
        """
        now, faults = self.clock.at, self.delivery.faults
        with self.core.database.read() as connection:
            moments: list[int] = [self.core.mutes.at(now).until, *connection.execute(MOMENTS).scalars()]
            waiting = connection.execute(WAITING).all()
            has_jobs = bool(connection.execute(HAS_JOBS).scalar())
        for moment, status, contact_id in waiting:
            blocked = status == "pending" and contact_id in faults
            moments.append(max(moment, faults[contact_id].until) if blocked else moment)
        later = [moment for moment in moments if moment > now]
        overdue = len(later) < len(moments)
        return min([*later, now + STEP if overdue else now + 10 * MINUTE]), has_jobs

    # What is to be seen.

    def alerts(self) -> list[Alert]:
        """All alerts by number."""
        return [Alert(*row) for row in self.rows(sa.select(tables.alerts).order_by(tables.alerts.c.number))]

    def alert(self, number: int | None = None) -> Alert:
        """The alert with this number, or the only one."""
        found = [alert for alert in self.alerts() if number in (None, alert.number)]
        assert len(found) == 1, found
        return found[0]

    def messages(self, **only: Any) -> list[Message]:
        """The outbox in the order of its birth, limited to rows with these values."""
        names = Message.__struct_fields__
        rows = self.rows(sa.select(*[tables.outbox.c[name] for name in names]).order_by(tables.outbox.c.created_at, tables.outbox.c.id))
        messages = [Message(*row) for row in rows]
        return [m for m in messages if all(getattr(m, name) == value for name, value in only.items())]

    def history(self, number: int) -> list[str]:
        """What happened to an alert: ``opened: first event of this problem``."""
        table = tables.alert_history
        query = sa.select(table.c.action, table.c.reason).where(table.c.alert_number == number).order_by(table.c.number)
        return [f"{action}: {reason}" for action, reason in self.rows(query)]

    def details(self, number: int, action: str) -> list[dict[str, Any]]:
        """The details of an alert's history lines of one kind."""
        table = tables.alert_history
        query = sa.select(table.c.details).where(table.c.alert_number == number, table.c.action == action).order_by(table.c.number)
        return [msgspec.json.decode(row[0]) if row[0] else {} for row in self.rows(query)]

    def rows(self, query: Any) -> Sequence[Any]:
        """The rows of any query."""
        with self.core.database.read() as connection:
            return connection.execute(query).all()

    def count(self, table: sa.Table) -> int:
        """How many rows *table* has."""
        return int(self.rows(sa.select(sa.func.count()).select_from(table))[0][0])

"""Tells, a day ahead, of whoever goes on call and could hardly be reached: an alert for those who can mend it, a notice to the person.

Looked for beside the writer, looked at again and written within it. Who was told of is a row of the same transaction.
"""

import sqlalchemy as sa

from tocsin.core.clock import Clock
from tocsin.db import tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.events.sites import SiteBook
from tocsin.notify import notices, readiness
from tocsin.notify.announce import Announcer
from tocsin.notify.contacts import ContactBook, read_directory
from tocsin.notify.readiness import OnDuty, Why
from tocsin.notify.rules import notice_readers
from tocsin.oncall import store
from tocsin.pipeline.ingest import Batch, Ingest

SITE = "main"
UNREADY = "tocsin.oncall_unready"
_TABLE = tables.oncall_unready


class ReadinessWatch:
    """A step of the engine: `tell` if it `has_news`."""

    def __init__(self, clock: Clock, ingest: Ingest, announcer: Announcer, contacts: ContactBook, sites: SiteBook) -> None:
        self._clock, self._ingest, self._announcer, self._contacts, self._sites = clock, ingest, announcer, contacts, sites

    def has_news(self, database: Database) -> bool:
        """Whether somebody has become unready, or ready again, since the last look."""
        now = self._clock.now()
        with database.read() as connection:
            return bool(readiness.news(_known(connection), readiness.on_duty_soon(self._contacts.directory, now)))

    def tell(self, tx: Tx) -> int:
        """Opens, changes and resolves the alerts, one for each person; returns about how many."""
        now = self._clock.now()
        store.lock_schedules(tx)
        directory = read_directory(tx.sql, now)
        found = readiness.news(_known(tx.sql), readiness.on_duty_soon(directory, now))
        for one in found.unready:
            is_new = tx.sql.execute(_TABLE.update().where(_TABLE.c.user_id == one.user_id).values(contacts=one.contacts)).rowcount == 0
            if is_new:
                tx.sql.execute(_TABLE.insert().values(user_id=one.user_id, since=now, contacts=one.contacts))
                self._tell_person(tx, one, now)
            self._report(tx, one, now)
        for user_id, why in found.over:
            tx.sql.execute(_TABLE.delete().where(_TABLE.c.user_id == user_id))
            self._resolve(tx, user_id, why, now)
        return len(found.unready) + len(found.over)

    def _tell_person(self, tx: Tx, one: OnDuty, now: int) -> None:
        readers = notice_readers(one.user_id, self._contacts.all)
        if readers:
            title, text = readiness.own_words(one, now)
            notice = notices.add(tx, self._sites.get(SITE).id, title, text, now + readiness.AHEAD, now)
            self._announcer.tell(tx, notice, readers, now)

    def _report(self, tx: Tx, one: OnDuty, now: int) -> None:
        title, text = readiness.words(one, now)
        self._take(tx, _event(one.user_id, title, status="problem", severity=readiness.severity(one), message=text), now)

    def _resolve(self, tx: Tx, user_id: str, why: Why, now: int) -> None:
        self._take(tx, _event(user_id, f"Ready for duty: {why.value}", status="recovery"), now)

    def _take(self, tx: Tx, event: EventInput, now: int) -> None:
        self._ingest.take(tx, [Batch([Incoming(event, SITE, now)], None, None)])


def _known(connection: sa.Connection) -> dict[str, int]:
    return {row.user_id: row.contacts for row in connection.execute(sa.select(_TABLE))}


def _event(user_id: str, title: str, **more: object) -> EventInput:
    return EventInput(type=UNREADY, title=title, subject=f"user:{user_id}", dedup_key=f"{UNREADY}|{user_id}", **more)  # type: ignore[arg-type]  # fields of it

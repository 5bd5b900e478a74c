"""Tells who has come on duty, and announces gaps in schedules. Looked for beside the writer, looked at again and written within it.

What was told is a row of the transaction that tells it: a step that dies at any line, or runs twice, or on two nodes, tells once.
"""

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, Clock
from tocsin.core.ids import new_id
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.events.sites import SiteBook
from tocsin.notify import notices
from tocsin.notify.announce import Announcer
from tocsin.notify.contacts import ContactBook
from tocsin.notify.rules import notice_readers
from tocsin.oncall import rules, service, store, watch
from tocsin.oncall.model import Schedule
from tocsin.oncall.watch import Change, GapNews, KnownGap, Why
from tocsin.pipeline.ingest import Batch, Ingest

SITE = "main"
GAP = "tocsin.oncall_gap"
BEFORE_IT, WITHIN_IT = 3, 4  # severities
OVERRIDES_AHEAD = 366 * DAY


class DutyWatch:
    """Looks at all schedules. Two steps of the engine: `hand_over` if it `has_changed`, `tell_of_gaps` if it `has_news_of_gaps`."""

    def __init__(self, clock: Clock, ingest: Ingest, announcer: Announcer, contacts: ContactBook, sites: SiteBook) -> None:
        self._clock, self._ingest, self._announcer, self._contacts, self._sites = clock, ingest, announcer, contacts, sites

    # Hand-offs.

    def has_changed(self, database: Database) -> bool:
        """Whether somebody has come on duty or gone since the last look."""
        with database.read() as connection:
            return any(True for _ in _changes(connection, self._clock.now()))

    def hand_over(self, tx: Tx) -> int:
        """Tells those who have come on duty; returns in how many schedules somebody came or went."""
        now = self._clock.now()
        store.lock_schedules(tx)
        changes = list(_changes(tx.sql, now))
        for schedule_id, schedule, change in changes:
            for user in change.went:
                store.went_off_duty(tx, schedule_id, user)
            for user in change.came:
                store.came_on_duty(tx, schedule_id, user, now)
                if schedule is not None and schedule.announce_hand_offs:
                    self._tell(tx, schedule, user, now)
        return len(changes)

    def _tell(self, tx: Tx, schedule: Schedule, user: str, now: int) -> None:
        readers = notice_readers(user, self._contacts.all)
        if readers:
            ((present, overrides),) = service.present(tx.sql, [schedule], now, now + OVERRIDES_AHEAD)
            until = rules.on_until(present, overrides, user, now)
            words = watch.hand_off_words(schedule, until)
            notice = notices.add(tx, self._sites.get(SITE).id, words.title, words.text, until, now)
            self._announcer.tell(tx, notice, readers, now)

    # Gaps.

    def has_news_of_gaps(self, database: Database) -> bool:
        """Whether a gap has come near, has changed or has ended since the last look."""
        with database.read() as connection:
            return any(True for _ in _gap_news(connection, self._clock.now()))

    def tell_of_gaps(self, tx: Tx) -> int:
        """Opens, changes and resolves the alerts about gaps, one for each; returns in how many schedules."""
        now = self._clock.now()
        store.lock_schedules(tx)
        found = list(_gap_news(tx.sql, now))
        for schedule, news in found:
            if schedule is not None:
                self._announce(tx, schedule, news, now)
            for ended in news.ended:
                store.remove_gap(tx, ended.gap.id)
                self._resolve(tx, ended.gap, ended.why, now)
        return len(found)

    def _announce(self, tx: Tx, schedule: Schedule, news: GapNews, now: int) -> None:
        for near in news.opened:
            gap = KnownGap(new_id(now), schedule.id, near.starts_at, near.ends_at, began=near.starts_at <= now)
            store.add_gap(tx, gap)
            self._report(tx, gap, schedule, now)
        for gap in news.changed:
            store.save_gap(tx, gap)
            self._report(tx, gap, schedule, now)

    def _report(self, tx: Tx, gap: KnownGap, schedule: Schedule, now: int) -> None:
        words = watch.gap_words(schedule, gap)
        event = _event(gap, words.title)
        severity = WITHIN_IT if gap.began else BEFORE_IT
        self._take(tx, msgspec.structs.replace(event, status="problem", severity=severity, message=words.text), now)

    def _resolve(self, tx: Tx, gap: KnownGap, why: Why, now: int) -> None:
        self._take(tx, msgspec.structs.replace(_event(gap, f"No gap any more: {why}"), status="recovery"), now)

    def _take(self, tx: Tx, event: EventInput, now: int) -> None:
        self._ingest.take(tx, [Batch([Incoming(event, SITE, now)], None, None)])


def _changes(connection: sa.Connection, now: int) -> Iterator[tuple[str, Schedule | None, Change]]:
    """The schedules in which somebody came or went; None: one that was removed."""
    schedules = store.schedules(connection)
    known = store.on_duty(connection)
    for present, overrides in service.present(connection, schedules, now, now + 1):
        change = watch.change_of_duty(known.pop(present.id, set()), rules.users_on_call(present, overrides, now))
        if change:
            yield present.id, present, change
    for schedule_id, users in known.items():
        yield schedule_id, None, Change((), tuple(sorted(users)))


def _gap_news(connection: sa.Connection, now: int) -> Iterator[tuple[Schedule | None, GapNews]]:
    """The schedules of whose gaps there is something to say; None: one that was removed."""
    schedules = store.schedules(connection)
    known = store.known_gaps(connection)
    for present, overrides in service.present(connection, schedules, now, now + watch.IN_SIGHT):
        near = watch.near_gaps(present, overrides, now) if present.announce_gaps else ()
        why_none = None if present.announce_gaps else Why.NOT_ANNOUNCED
        news = watch.gap_news(known.pop(present.id, []), near, now, why_none)
        if news:
            yield present, news
    for gaps in known.values():
        yield None, watch.gap_news(gaps, (), now, Why.GONE)


def _event(gap: KnownGap, title: str) -> EventInput:
    return EventInput(type=GAP, title=title, subject=f"schedule:{gap.schedule_id}", dedup_key=f"{GAP}|{gap.id}")

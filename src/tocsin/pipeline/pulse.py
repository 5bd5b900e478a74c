"""Takes the pings of jobs, and tells of those that stay away (M5). State, ping, event and what it leads to are one transaction."""

import base64
import hashlib
import secrets
from collections.abc import Callable

import msgspec

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core import editions
from tocsin.core.clock import MINUTE, SECOND, Clock
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.ids import new_id
from tocsin.core.text import cut, one_line
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.heartbeats import rules, store
from tocsin.heartbeats.model import MOST, Away, Decision, Heartbeat, Kind, News, Ping, Schedule
from tocsin.metrics.model import Sample, labels_of
from tocsin.metrics.service import History
from tocsin.pipeline.ingest import Batch, Ingest

RECOVERED = "heartbeat.recovered"
RUN_TIME = "heartbeat_run_ms"  # a series for each job, by its name
AT_ONCE = 100  # decided in one transaction
NOTED_EVERY = 20 * SECOND
ABSENT = MINUTE  # nobody looked for so long: then pings may have been lost
Changes = dict[str, object]


class Wanted(msgspec.Struct, frozen=True):
    """What somebody wants of a heartbeat that is made."""

    name: str
    schedule: Schedule
    grace: int
    longest_run: int | None
    severity: int


class Made(msgspec.Struct, frozen=True):
    """A heartbeat, and the token of the address that its job calls: this is the only moment at which it is known."""

    heartbeat: Heartbeat
    token: str


class Pulse:
    """All that can happen to heartbeats. Its methods run within a transaction of the writer."""

    def __init__(self, clock: Clock, ingest: Ingest, history: History, slug_of: Callable[[int], str]) -> None:
        self._clock, self._ingest, self._history, self._slug_of = clock, ingest, history, slug_of
        self._noted_at = 0

    # A job reports.

    def ping(self, tx: Tx, token: str, kind: Kind, exit_code: int | None, address: str, log: str) -> Heartbeat:
        """What a job says. Raises `NotFound` if no heartbeat has this token."""
        now = self._clock.now()
        heartbeat = store.find_token(tx, digest(token))
        if heartbeat is None:
            raise no_such_token()
        decision, took = rules.on_ping(heartbeat, kind, now)
        ping = Ping(now, kind, took, exit_code, address, log)
        store.add_ping(tx, heartbeat, ping)
        if took is not None:
            labels = labels_of({"heartbeat": one_line(heartbeat.name)})
            self._history.record(tx, [Sample(heartbeat.site_id, RUN_TIME, now, float(took), labels=labels)], now)
        return self._carry_out(tx, decision, now, ping)

    # Time passes.

    def asks(self, now: int) -> Question:
        """What tells whether there is something to decide, or to note."""
        return store.is_any_due(now) if 0 <= now - self._noted_at < NOTED_EVERY else store.is_any()

    def expire(self, tx: Tx) -> int:
        """Tells of jobs that are late or do not end; how many were looked at. Called again until it is none."""
        now = self._clock.now()
        self._note_look(tx, now)
        found = store.due(tx.sql, now, AT_ONCE)
        for heartbeat_id in found:
            heartbeat = store.lock(tx, heartbeat_id)
            if heartbeat is not None:
                self._carry_out(tx, rules.on_time(heartbeat, now), now)
        return len(found)

    def _note_look(self, tx: Tx, now: int) -> None:
        """Also finds that nobody has looked for a while: what was expected meanwhile is waited for anew."""
        last = store.looked_at(tx)
        if last is not None and now - last > ABSENT:
            away = Away(last, now)
            for heartbeat_id in store.expected(tx.sql, away.since):
                heartbeat = store.lock(tx, heartbeat_id)
                if heartbeat is not None:
                    store.save(tx, rules.after_absence(heartbeat, away))
        if last is None or not 0 <= now - last < NOTED_EVERY:
            store.note_look(tx, now)
            self._noted_at = now

    # Somebody changes something.

    def make(self, tx: Tx, who: Who, site_id: int, wanted: Wanted) -> Made:
        """A new heartbeat; from now on its job is expected. Raises `InvalidInput`, and `Conflict` if there are too many."""
        now = self._clock.now()
        if store.count(tx.sql) >= MOST:
            raise Conflict(f"there are {MOST:,} heartbeats already; remove some that are no longer needed")
        values = msgspec.structs.asdict(wanted)
        new = rules.begin(rules.check(Heartbeat(id=new_id(now), site_id=site_id, created_at=now, updated_at=now, **values), now), now)
        token = new_token()
        store.add(tx, new, digest(token))
        audit.record(tx, who, "heartbeat.made", thing(new), now, after=rules.asked(new), site_id=site_id)
        return Made(new, token)

    def change(
        self, tx: Tx, who: Who, heartbeat_id: str, wanted: Changes, *, paused: bool | None = None, seen: str | None = None
    ) -> Heartbeat:
        """Changes the fields that *wanted* names, and pauses or resumes. *seen*: the edition that it was made from, if that matters.

        Raises `NotFound`, `InvalidInput`, `Overtaken`.
        """
        now = self._clock.now()
        old = self._locked(tx, heartbeat_id)
        editions.expect(seen, rules.edition(old), "heartbeat")
        new = rules.check(msgspec.structs.replace(old, **wanted, updated_at=now), now)
        decision = Decision(new)
        if (new.schedule, new.grace, new.longest_run) != (old.schedule, old.grace, old.longest_run):
            decision = rules.rescheduled(new, now)
        if paused is not None:
            then = (rules.pause if paused else rules.resume)(decision.heartbeat, now)
            decision = Decision(then.heartbeat, (*decision.news, *then.news))
        audit.record_change(tx, who, "heartbeat.changed", thing(old), now, before=rules.asked(old), after=rules.asked(decision.heartbeat))
        return self._carry_out(tx, decision, now)

    def new_token(self, tx: Tx, who: Who, heartbeat_id: str) -> Made:
        """Another address for the job; the present one is no longer known. Raises `NotFound`."""
        old, token = self._locked(tx, heartbeat_id), new_token()
        store.new_token(tx, old.id, digest(token))
        audit.record(tx, who, "heartbeat.token_changed", thing(old), self._clock.now(), site_id=old.site_id)
        return Made(old, token)

    def remove(self, tx: Tx, who: Who, heartbeat_id: str) -> None:
        """Takes one away; what is told of it is over. Raises `NotFound`."""
        now = self._clock.now()
        old = self._locked(tx, heartbeat_id)
        self._tell(tx, rules.removed(old), now, None)
        store.remove(tx, old.id)
        audit.record(tx, who, "heartbeat.removed", thing(old), now, before=rules.asked(old), site_id=old.site_id)

    def _locked(self, tx: Tx, heartbeat_id: str) -> Heartbeat:
        found = store.lock(tx, heartbeat_id)
        if found is None:
            raise NotFound(f"there is no heartbeat {heartbeat_id[:40]}")
        return found

    # In the transaction of what was decided.

    def _carry_out(self, tx: Tx, decision: Decision, now: int, ping: Ping | None = None) -> Heartbeat:
        store.save(tx, decision.heartbeat)
        self._tell(tx, decision, now, ping)
        return decision.heartbeat

    def _tell(self, tx: Tx, decision: Decision, now: int, ping: Ping | None) -> None:
        if decision.news:
            site = self._slug_of(decision.heartbeat.site_id)
            events = [Incoming(_event(decision.heartbeat, news, ping), site, now) for news in decision.news]
            self._ingest.take(tx, [Batch(list(events), None, None)])


def _event(heartbeat: Heartbeat, news: News, ping: Ping | None) -> EventInput:
    subject = f"heartbeat:{heartbeat.id}"
    key = f"{news.trouble.value}|{subject}"
    if news.over:
        title = cut(f"{heartbeat.name}: {news.why.value}", 200)
        return EventInput(type=RECOVERED, status="recovery", title=title, subject=subject, dedup_key=key)
    attributes = {"heartbeat": heartbeat.name, "why": news.why.value, "exit_code": None if ping is None else ping.exit_code}
    return EventInput(
        type=news.trouble.value,
        status="problem",
        severity=heartbeat.severity,
        title=cut(rules.title(heartbeat, news, ping), 200),
        message=cut(rules.message(heartbeat, news, ping), 4000),
        subject=subject,
        attributes=msgspec.Raw(msgspec.json.encode({name: value for name, value in attributes.items() if value is not None})),
        dedup_key=key,
    )


def new_token() -> str:
    """160 random bits in small letters and digits: also an address of mail, whose case nobody has to keep."""
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


def digest(token: str) -> str:
    """What is stored of a token. Plain SHA-256 is enough: 160 random bits cannot be tried through."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def no_such_token() -> NotFound:
    """What a job is told that calls an address of no heartbeat."""
    return NotFound("there is no heartbeat with this address: it was removed, has a new address, or this one is cut or mistyped")


def thing(heartbeat: Heartbeat) -> str:
    """How the audit log names it."""
    return f"heartbeat:{heartbeat.id}"

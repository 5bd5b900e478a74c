"""What must come to something by itself, as one visible list: what each promise is, and how the database tells that one is broken.

Everything here only reads. A transaction that is just being written may look broken for an instant: who mends looks twice.
"""

import enum
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import MINUTE, SECOND

GRACE = 20 * SECOND  # what is overdue by less is just being done
MESSAGE_GRACE = 10 * MINUTE  # a message may wait so long for the rate of its contact
AT_ONCE = 200  # of each kind
FEW = 5
BROKEN = "tocsin.promise_broken"


class Promise(enum.StrEnum):
    """What is not as it should be, in words that the things themselves follow."""

    STANDS_STILL = "open alerts whose escalation stands still"
    LEVEL_OVERDUE = "escalations with a level that is overdue"
    WAKING_OVERDUE = "alerts whose snooze or acknowledgement should have ended"
    HOLD_OVERDUE = "alerts that a rule should have let go"
    HEARD_BY_NOBODY = "alerts of which every page failed"
    MESSAGE_OVERDUE = "contacts whose messages wait though nothing holds them"
    MESSAGE_LOST = "messages that are under way and in nobody's hands"
    STEP_HANGS = "steps of the engine that do not end"

    @property
    def key(self) -> str:
        """For labels and dedup keys."""
        return self.name.lower()


class Broken(msgspec.Struct, frozen=True):
    """One promise that is not kept: of which thing (the alert's number, the message's or contact's id, the step's name), since when."""

    promise: Promise
    thing: str
    since: int


_OPEN = "a.status <> 'resolved' AND a.status = 'open' AND a.muted_by IS NULL AND a.severity > 1"  # the first for the partial index

# Each answers with the thing and since when.
_SQL: dict[Promise, str] = {
    Promise.STANDS_STILL: (
        "SELECT a.number AS thing, a.last_seen_at AS since"  # noqa: S608 - text from the code
        " FROM alerts a LEFT JOIN escalations e ON e.alert_number = a.number"
        " WHERE " + _OPEN + " AND (e.alert_number IS NULL OR e.generation <> a.generation OR e.state IN ('stopped', 'muted')"
        " OR (e.state = 'running' AND e.next_at IS NULL))"
    ),
    Promise.LEVEL_OVERDUE: "SELECT e.alert_number AS thing, e.next_at AS since FROM escalations e WHERE e.next_at < :before",
    Promise.WAKING_OVERDUE: (
        "SELECT a.number AS thing, a.due_at AS since FROM alerts a WHERE a.due_at < :before"
        " UNION ALL SELECT a.number AS thing, a.last_seen_at AS since FROM alerts a"
        " WHERE a.status <> 'resolved' AND a.status = 'snoozed' AND a.due_at IS NULL"
    ),
    Promise.HOLD_OVERDUE: "SELECT a.number AS thing, a.noise_at AS since FROM alerts a WHERE a.noise_at < :before",
    Promise.HEARD_BY_NOBODY: (
        "SELECT a.number AS thing, e.started_at AS since"  # noqa: S608 - text from the code
        " FROM alerts a JOIN escalations e ON e.alert_number = a.number"
        " WHERE " + _OPEN + " AND e.generation = a.generation AND e.state = 'ended' AND e.reached > 0"
        # The outbox is asked by the escalation: of one that still has a level to come it is not asked at all.
        " AND EXISTS (SELECT 1 FROM outbox o"
        " WHERE o.alert_number = e.alert_number AND o.generation = e.generation AND o.status = 'failed')"
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_number = e.alert_number AND o.generation = e.generation"
        " AND o.status NOT IN ('failed', 'cancelled'))"
    ),
    Promise.MESSAGE_OVERDUE: (
        "SELECT o.contact_id AS thing, min(o.next_attempt_at) AS since FROM outbox o"
        " WHERE o.next_attempt_at < :long_before AND o.status = 'pending' GROUP BY o.contact_id"
    ),
    Promise.MESSAGE_LOST: (
        "SELECT o.id AS thing, o.lease_until AS since FROM outbox o WHERE o.status = 'sending' AND o.lease_until < :before"
        " UNION ALL SELECT o.id AS thing, o.created_at AS since FROM outbox o WHERE o.status = 'sending' AND o.lease_until IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM outbox d WHERE d.id = o.digest_id AND d.status IN ('pending', 'sending', 'unknown'))"
    ),
}


def look(connection: sa.Connection, now: int) -> list[Broken]:
    """What looks broken at *now*, at most so many of each kind."""
    return [one for promise in _SQL for one in _look(connection, promise, now, f"LIMIT {AT_ONCE}")]


def is_broken(connection: sa.Connection, one: Broken, now: int) -> bool:
    """Whether it is still so of an alert, in the transaction that is about to mend it."""
    return bool(_look(connection, one.promise, now, "WHERE thing = :only", only=int(one.thing)))


def _look(connection: sa.Connection, promise: Promise, now: int, which: str, **more: int) -> list[Broken]:
    values = {"before": now - GRACE, "long_before": now - MESSAGE_GRACE}
    used = {name: value for name, value in values.items() if f":{name}" in _SQL[promise]}
    found = connection.execute(sa.text(f"SELECT thing, since FROM ({_SQL[promise]}) AS t {which}"), {**used, **more})  # noqa: S608
    return [Broken(promise, str(thing), since) for thing, since in found]


def told_of(connection: sa.Connection) -> list[Promise]:
    """The promises about whose breaking there is an alert that is not resolved."""
    sql = sa.text("SELECT subject FROM alerts WHERE status <> 'resolved' AND type = :type")
    subjects = set(connection.execute(sql, {"type": BROKEN}).scalars())
    return [promise for promise in Promise if subject(promise) in subjects]


def alone(connection: sa.Connection) -> int:
    """Of how many open alerts nobody could be told."""
    return int(connection.execute(sa.text("SELECT count(*) FROM escalations WHERE state = 'alone'")).scalar_one())


def subject(promise: Promise) -> str:
    """What the alert about a promise is about."""
    return f"promise:{promise.key}"


def in_words(broken: Sequence[Broken]) -> list[str]:
    """``open alerts whose escalation stands still: 12, 14, 15``, by kind."""
    lines = []
    for promise in Promise:
        things = [one.thing for one in broken if one.promise is promise]
        if things:
            more = f" and {len(things) - FEW} more" if len(things) > FEW else ""
            lines.append(f"{promise}: {', '.join(things[:FEW])}{more}")
    return lines

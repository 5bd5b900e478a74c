"""The outbox's SQL. All of it runs in the writer's transactions."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from tocsin.core.ids import first_id
from tocsin.db import bulk, tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.escalation.model import LEVELS
from tocsin.notify.model import Message, Outcome
from tocsin.notify.rules import Beside, Departure, Pointless, Said, Verdict, Waiting

COLUMNS: tuple[str, ...] = Message.__struct_fields__
_CLAIM = ("outbox_id", "fence", "node", "contact_id", "claimed_at")
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM outbox"  # noqa: S608 - names from the code


def _sql(tx: Tx, text: str) -> str:
    return text if tx.is_sqlite else text.replace("?", "%s")


def _rows(tx: Tx, text: str, parameters: Sequence[object] = ()) -> list[Message]:
    return [_message(row) for row in tx.driver.execute(_sql(tx, text), parameters).fetchall()]


def _message(row: Sequence[object]) -> Message:
    message = Message(*row)  # type: ignore[arg-type]  # the columns are the fields, in order
    return msgspec.structs.replace(message, maybe_repeated=bool(message.maybe_repeated))


def add(tx: Tx, messages: Sequence[Message], *, if_new: bool = False) -> None:
    """Puts *messages* into the outbox, with the attempt of each that is born leased. *if_new*: keeps one that is there already."""
    rows = [msgspec.structs.astuple(message) for message in messages]
    (bulk.insert_new if if_new else bulk.insert)(tx, tables.outbox, COLUMNS, rows)
    add_attempts(tx, [m for m in messages if m.lease_node is not None], messages[0].created_at if messages else 0)


def add_attempts(tx: Tx, leased: Sequence[Message], now: int) -> None:
    """One row for each attempt that begins at *now*."""
    bulk.insert(tx, tables.attempts, _CLAIM, [(m.id, m.fence, m.lease_node, m.contact_id, now) for m in leased])


LEASE = 60_000  # longer than the longest send


def told(tx: Tx, alert_number: int, since_generation: int = 0) -> set[str]:
    """The contacts that have heard, or may have heard, of this alert's trouble, in this generation of it or later."""
    sql = (
        "SELECT DISTINCT contact_id FROM outbox WHERE alert_number = ? AND generation >= ? AND kind IN ('opened', 'escalated', 'repeated')"
        " AND status IN ('sending', 'sent', 'delivered', 'unknown')"
        # Not what waits in a digest that has never left.
        " AND NOT EXISTS (SELECT 1 FROM outbox AS d WHERE d.id = outbox.digest_id AND d.status = 'pending' AND NOT d.maybe_repeated)"
    )
    return {row[0] for row in tx.driver.execute(_sql(tx, sql), (alert_number, since_generation)).fetchall()}


def next_step(tx: Tx, alert_number: int, generation: int, kind: str) -> int:
    """A step under which no message of this kind was kept in this generation: who takes an alert twice is announced twice."""
    sql = "SELECT coalesce(max(step) + 1, 0) FROM outbox WHERE alert_number = ? AND generation = ? AND kind = ?"
    return int(tx.driver.execute(_sql(tx, sql), (alert_number, generation, kind)).fetchone()[0])


class Asked(msgspec.Struct, frozen=True):
    """One contact that was asked on a step, and whether that has come to something or still may (a refusal of ours mends slowly)."""

    contact_id: str
    hopeful: bool


def asked(tx: Tx, message: Message) -> list[Asked]:
    """The contacts that have a message of the same generation, kind and step as *message*."""
    sql = (
        "SELECT contact_id, status NOT IN ('failed', 'cancelled') AND NOT (status = 'pending' AND EXISTS"
        " (SELECT 1 FROM attempts WHERE attempts.outbox_id = outbox.id AND attempts.outcome = 'refused'))"
        " FROM outbox WHERE alert_number = ? AND generation = ? AND kind = ? AND step = ?"
    )
    rows = tx.driver.execute(_sql(tx, sql), (message.alert_number, message.generation, message.kind, message.step)).fetchall()
    return [Asked(row[0], bool(row[1])) for row in rows]


def asked_at_all(tx: Tx, alert_number: int, generation: int) -> set[str]:
    """The contacts that have any page of this generation of the alert."""
    sql = "SELECT contact_id FROM outbox WHERE alert_number = ? AND generation = ? AND kind IN ('opened', 'escalated', 'repeated')"
    return {row[0] for row in tx.driver.execute(_sql(tx, sql), (alert_number, generation)).fetchall()}


def owner_of(tx: Tx, contact_id: str) -> str | None:
    """Whose contact this is or was; None if nobody's, or not known any more."""
    row = tx.driver.execute(_sql(tx, "SELECT user_id FROM contacts WHERE id = ?"), (contact_id,)).fetchone()
    return None if row is None else row[0]


def cancel_pending(tx: Tx, alert_number: int, reason: str) -> int:
    """Cancels what waits for this alert (hard rule 7); returns how many."""
    sql = (
        "UPDATE outbox SET status = 'cancelled', last_error = ?, next_attempt_at = NULL"
        " WHERE alert_number = ? AND status = 'pending' AND kind <> 'digest'"
    )
    return int(tx.driver.execute(_sql(tx, sql), (reason, alert_number)).rowcount)


class Unsent(msgspec.Struct, frozen=True):
    """A page that has not left yet: when it is to be tried (again), and when it was to be sent."""

    id: str
    at: int
    due_at: int


def unsent_pages(tx: Tx, numbers: Iterable[int]) -> dict[int, dict[str, list[Unsent]]]:
    """The pages of these alerts that wait to be sent, by alert and contact."""
    columns = ("alert_number", "contact_id", "id", "next_attempt_at", "created_at", "due_at")
    where = "status = 'pending' AND kind IN ('opened', 'escalated', 'repeated') AND next_attempt_at IS NOT NULL AND alert_number"
    found: dict[int, dict[str, list[Unsent]]] = {}
    for number, contact_id, message_id, at, created_at, due_at in bulk.fetch(tx, tables.outbox, columns, where, numbers):
        found.setdefault(number, {}).setdefault(contact_id, []).append(Unsent(message_id, at, due_at or created_at))
    return found


def overtake(tx: Tx, ids: Iterable[str]) -> None:
    """These pages have been overtaken by later ones of the same alert to the same contact; what is under way already goes on."""
    sql = "UPDATE outbox SET status = 'cancelled', last_error = ?, next_attempt_at = NULL WHERE id = ? AND status = 'pending'"
    for message_id in ids:
        tx.driver.execute(_sql(tx, sql), (Pointless.SUPERSEDED.value, message_id))


def waiting(tx: Tx, now: int, blocked: Iterable[str]) -> list[Waiting]:
    """What is due, by contact and site, without the contacts that are *blocked*."""
    sql = (
        "SELECT contact_id, site_id, count(*), max(severity) FROM outbox"
        " WHERE next_attempt_at <= ? AND status = 'pending' GROUP BY contact_id, site_id"
    )
    skip = set(blocked)
    return [Waiting(*row) for row in tx.driver.execute(_sql(tx, sql), (now,)).fetchall() if row[0] not in skip]


# What one contact (the parameters: moment, contact, site) is to carry at once and for the first time.
_FRESH = (
    "m.next_attempt_at <= ? AND m.status = 'pending' AND m.contact_id = ? AND m.site_id = ?"
    " AND m.attempts = 0 AND m.due_at IS NULL AND m.kind <> 'digest'"
)
_SAME = "o.alert_number = m.alert_number AND o.generation = m.generation AND o.kind = m.kind AND o.step = m.step AND o.contact_id"


def beside(tx: Tx, waiting: Waiting, others: Sequence[str], well: Collection[str], quicker: Collection[str], now: int) -> Beside:
    """What the *others* do with what this contact is to carry. Those that are *well* bring it; what waits they do if they are *quicker*."""
    sql = (
        "SELECT o.contact_id, o.status, count(*), min(m.next_attempt_at)"  # noqa: S608 - text from the code
        f" FROM outbox m JOIN outbox o ON {_SAME} IN ({', '.join('?' * len(others))}) WHERE {_FRESH} GROUP BY o.contact_id, o.status"
    )
    rows = tx.driver.execute(_sql(tx, sql), (*others, now, waiting.contact_id, waiting.site_id)).fetchall()
    told = sum(count for _, status, count, _ in rows if status in ("sent", "delivered"))
    under_way = sum(
        count for other, status, count, _ in rows if (status == "sending" and other in well) or (status == "pending" and other in quicker)
    )
    return Beside(told, under_way, min((since for *_, since in rows), default=now))


def spare(tx: Tx, waiting: Waiting, others: Sequence[str], now: int) -> int:
    """Cancels what this contact is to carry and one of the *others* has carried; returns how many."""
    sql = (
        "UPDATE outbox SET status = 'cancelled', last_error = ?, next_attempt_at = NULL WHERE id IN (SELECT m.id"  # noqa: S608
        f" FROM outbox m JOIN outbox o ON {_SAME} IN ({', '.join('?' * len(others))}) AND o.status IN ('sent', 'delivered') WHERE {_FRESH})"
    )
    values = (Pointless.TOLD_BESIDE.value, *others, now, waiting.contact_id, waiting.site_id)
    return int(tx.driver.execute(_sql(tx, sql), values).rowcount)


def call_back(tx: Tx, failed: Message, owner: str, now: int) -> int:
    """Has the contacts of *owner* carry what they were spared because *failed* was on its way; returns how many there are."""
    sql = (
        "UPDATE outbox SET status = 'pending', last_error = NULL, next_attempt_at = ?"
        " WHERE alert_number = ? AND generation = ? AND kind = ? AND step = ? AND status = 'cancelled' AND last_error = ?"
        " AND contact_id <> ? AND contact_id IN (SELECT id FROM contacts WHERE user_id = ?)"
    )
    same = (failed.alert_number, failed.generation, failed.kind, failed.step)
    return int(tx.driver.execute(_sql(tx, sql), (now, *same, Pointless.TOLD_BESIDE.value, failed.contact_id, owner)).rowcount)


def due(tx: Tx, contact_id: str, site_id: int, now: int, limit: int) -> list[Message]:
    """The due messages of one contact for one site, the loudest and oldest first; rows that another node holds are left to it."""
    return _rows(
        tx,
        f"{_SELECT} WHERE next_attempt_at <= ? AND status = 'pending' AND contact_id = ? AND site_id = ?"
        " ORDER BY severity DESC, created_at, id LIMIT ?" + ("" if tx.is_sqlite else " FOR UPDATE SKIP LOCKED"),
        (now, contact_id, site_id, limit),
    )


def lease(tx: Tx, messages: Sequence[Message], node: str, now: int) -> list[Message]:
    """Claims *messages* for *node*: a lease, the next fencing token, and an attempt row."""
    leased = [
        msgspec.structs.replace(
            m, status="sending", attempts=m.attempts + 1, fence=m.fence + 1, lease_node=node, lease_until=now + LEASE, next_attempt_at=None
        )
        for m in messages
    ]
    columns = ("status", "attempts", "fence", "lease_node", "lease_until", "next_attempt_at")
    bulk.update(tx, tables.outbox, columns, [(*[getattr(m, c) for c in columns], m.id) for m in leased])
    add_attempts(tx, leased, now)
    return leased


def cancel(tx: Tx, message: Message, reason: str) -> None:
    """Takes back one message that has lost its point."""
    bulk.update(tx, tables.outbox, ("status", "last_error", "next_attempt_at"), [("cancelled", reason, None, message.id)])


def bundle(tx: Tx, members: Sequence[Message], digest: Message) -> None:
    """Has *digest* carry *members*."""
    bulk.update(tx, tables.outbox, ("status", "digest_id", "next_attempt_at"), [("sending", digest.id, None, m.id) for m in members])


def members(tx: Tx, digest_id: str) -> list[Message]:
    """The messages that a digest carries, without those that were taken back while it waited."""
    return _rows(tx, f"{_SELECT} WHERE digest_id = ? AND status <> 'cancelled' ORDER BY severity DESC, created_at, id", (digest_id,))


def take_from_digest(tx: Tx, message: Message, now: int) -> None:
    """A message whose digest has ended without it is sent by itself; it may have been in the digest."""
    sql = (
        "UPDATE outbox SET status = 'pending', digest_id = NULL, next_attempt_at = ?, maybe_repeated = ?"
        " WHERE id = ? AND status = 'sending' AND lease_until IS NULL"
    )
    tx.driver.execute(_sql(tx, sql), (now, True, message.id))


class Ending(msgspec.Struct, frozen=True):
    """How an attempt ended, and what follows for its message."""

    message: Message
    outcome: Outcome
    verdict: Verdict


def finish(tx: Tx, endings: Sequence[Ending], now: int) -> list[Ending]:
    """Writes how attempts ended, and answers those whose lease had not passed to another: of the rest nothing is changed."""
    ours = set(bulk.change(tx, tables.outbox, _ENDED, [_ended(one, now) for one in endings], _END, _OURS, ("id", "fence")))
    over = [one for one in endings if (one.message.id, one.message.fence) in ours]
    rows = [(now, str(one.outcome.result), one.outcome.error, one.message.id, one.message.fence) for one in over]
    sets = "finished_at = v.finished_at, outcome = v.outcome, error = v.error"
    where = "attempts.outbox_id = v.outbox_id AND attempts.fence = v.fence"
    bulk.change(tx, tables.attempts, ("finished_at", "outcome", "error", "outbox_id", "fence"), rows, sets, where, ("outbox_id",))
    for one in over:
        if one.message.kind == "digest":
            _finish_members(tx, one.message, one.verdict, one.outcome, now)
    return over


_ENDED = ("status", "next_attempt_at", "maybe_repeated", "sent_at", "receipt", "last_error", "id", "fence")
_END = (
    "status = v.status, next_attempt_at = v.next_attempt_at, maybe_repeated = v.maybe_repeated, sent_at = v.sent_at,"
    " receipt = COALESCE(v.receipt, outbox.receipt), last_error = v.last_error, lease_node = NULL, lease_until = NULL"
)
_OURS = "outbox.id = v.id AND outbox.fence = v.fence AND outbox.status = 'sending'"


def _ended(one: Ending, now: int) -> tuple[object, ...]:
    verdict, outcome = one.verdict, one.outcome
    is_sent = verdict.status == "sent"
    return (
        str(verdict.status),
        verdict.next_attempt_at,
        verdict.maybe_repeated,
        now if is_sent else None,
        outcome.receipt,
        None if is_sent else outcome.error,
        one.message.id,
        one.message.fence,
    )


def _finish_members(tx: Tx, digest: Message, verdict: Verdict, outcome: Outcome, now: int) -> None:
    """The members share the digest's end; while it is tried again they stay with it."""
    if verdict.status == "pending":
        return
    is_sent = verdict.status == "sent"
    tx.driver.execute(
        _sql(tx, "UPDATE outbox SET status = ?, sent_at = ?, last_error = ? WHERE digest_id = ? AND status = 'sending'"),
        (str(verdict.status), now if is_sent else None, None if is_sent else outcome.error, digest.id),
    )


def level_told(tx: Tx, alert_number: int, contact_id: str) -> int | None:
    """The level of the escalation of which a contact heard last; None if it heard of none."""
    sql = (
        "SELECT step FROM outbox WHERE alert_number = ? AND contact_id = ? AND kind IN ('opened', 'escalated', 'repeated')"
        " ORDER BY created_at DESC, id DESC LIMIT 1"
    )
    row = tx.driver.execute(_sql(tx, sql), (alert_number, contact_id)).fetchone()
    return None if row is None else int(row[0]) % LEVELS


def find(tx: Tx, message_id: str) -> Message | None:
    """The message with this id."""
    return next(iter(_rows(tx, f"{_SELECT} WHERE id = ?", (message_id,))), None)


def arrived(tx: Tx, message: Message) -> None:
    """The provider says that it arrived; what a digest carried arrived with it. A second copy is not sent any more."""
    sql = (
        "UPDATE outbox SET status = 'delivered', next_attempt_at = NULL, last_error = NULL"
        " WHERE (id = ? OR digest_id = ?) AND status IN ('pending', 'sent', 'unknown', 'failed')"
    )
    tx.driver.execute(_sql(tx, sql), (message.id, message.id))


def accepted(tx: Tx, message: Message, now: int) -> None:
    """The provider says that it has what was thought to be lost. A second copy is not sent any more."""
    sql = (
        "UPDATE outbox SET status = 'sent', next_attempt_at = NULL, last_error = NULL, sent_at = ?"
        " WHERE id = ? AND status IN ('pending', 'unknown')"
    )
    tx.driver.execute(_sql(tx, sql), (now, message.id))
    _share(tx, message, "sent", now)


def did_not_arrive(tx: Tx, message: Message, error: str | None) -> None:
    """The provider had it and says that it did not arrive."""
    sql = (
        "UPDATE outbox SET status = 'failed', next_attempt_at = NULL, last_error = ?"
        " WHERE (id = ? OR digest_id = ?) AND status IN ('sent', 'unknown')"
    )
    tx.driver.execute(_sql(tx, sql), (error, message.id, message.id))


def send_again(tx: Tx, message: Message, error: str | None, now: int) -> None:
    """One more attempt, marked as perhaps a repeat."""
    sql = (
        "UPDATE outbox SET status = 'pending', next_attempt_at = ?, maybe_repeated = ?, last_error = ?"
        " WHERE id = ? AND status IN ('sent', 'unknown')"
    )
    tx.driver.execute(_sql(tx, sql), (now, True, error, message.id))
    _share(tx, message, "pending", now)


def settle_unknown(tx: Tx, message: Message, status: str, next_attempt_at: int | None, now: int) -> None:
    """What asking the provider about an unknown outcome came to: ``sent``, ``pending`` (send again) or ``unknown``."""
    sql = "UPDATE outbox SET status = ?, next_attempt_at = ?, sent_at = ? WHERE id = ? AND status = 'unknown'"
    tx.driver.execute(_sql(tx, sql), (status, next_attempt_at, now if status == "sent" else None, message.id))
    _share(tx, message, status, now)


def _share(tx: Tx, digest: Message, status: str, now: int) -> None:
    """What was unknown of a digest was unknown of all that it carries: they arrived with it, or go again with it."""
    if digest.kind != "digest" or status == "unknown":
        return
    is_sent = status == "sent"
    sql = "UPDATE outbox SET status = ?, sent_at = ?, last_error = NULL WHERE digest_id = ? AND status IN ('sending', 'sent', 'unknown')"
    tx.driver.execute(_sql(tx, sql), ("sent" if is_sent else "sending", now if is_sent else None, digest.id))


def is_any_unknown(now: int) -> Question:
    """Whether a provider is to be asked about a message of unknown outcome."""
    return Question("SELECT 1 FROM outbox WHERE next_attempt_at <= ? AND status = 'unknown'", (now,))


def unknown_due(tx: Tx, now: int, limit: int) -> list[Message]:
    """Messages of unknown outcome whose provider is to be asked now."""
    return _rows(tx, f"{_SELECT} WHERE next_attempt_at <= ? AND status = 'unknown' ORDER BY next_attempt_at LIMIT ?", (now, limit))


def left_by(tx: Tx, node: str) -> list[Message]:
    """Messages that an earlier life of *node* had under way, whatever the clock says."""
    return _rows(tx, f"{_SELECT} WHERE status = 'sending' AND lease_node = ?", (node,))


def orphans(tx: Tx, node: str, now: int) -> list[Message]:
    """Messages that another node than *node* had under way and whose lease ran out: it is gone."""
    return _rows(
        tx,
        f"{_SELECT} WHERE status = 'sending' AND lease_until IS NOT NULL AND lease_until < ? AND lease_node <> ?"
        + ("" if tx.is_sqlite else " FOR UPDATE SKIP LOCKED"),
        (now, node),
    )


def digests_of(tx: Tx, message: Message) -> int:
    """How many digests *message*'s contact has had that were led by the same generation of its alert."""
    sql = "SELECT count(*) FROM outbox WHERE alert_number = ? AND generation = ? AND kind = 'digest' AND contact_id = ?"
    return int(tx.driver.execute(_sql(tx, sql), (message.alert_number, message.generation, message.contact_id)).fetchone()[0])


def retry_contact(tx: Tx, contact_id: str, now: int) -> None:
    """After a contact got a new address: what was tried in vain is due now."""
    sql = "UPDATE outbox SET next_attempt_at = ? WHERE contact_id = ? AND status = 'pending' AND attempts > 0 AND next_attempt_at > ?"
    tx.driver.execute(_sql(tx, sql), (now, contact_id, now))


def retry_at_once(tx: Tx, now: int) -> None:
    """After a start: whatever was tried in vain is due now, since the fault may have been mended. What has its moment to come keeps it."""
    sql = "UPDATE outbox SET next_attempt_at = ? WHERE next_attempt_at > ? AND status = 'pending' AND attempts > 0"
    tx.driver.execute(_sql(tx, sql), (now, now))


# What a node has said of late, for the one that takes its place.


def departures(tx: Tx, node: str, since: int) -> list[Departure]:
    """The attempts that *node* began of messages that were made after *since*, in order."""
    sql = (
        "SELECT a.contact_id, o.site_id, o.severity, a.claimed_at FROM attempts a JOIN outbox o ON o.id = a.outbox_id"
        " WHERE a.outbox_id >= ? AND a.node = ? ORDER BY a.claimed_at"
    )
    return [Departure(*row) for row in tx.driver.execute(_sql(tx, sql), (first_id(since), node)).fetchall()]


def said(tx: Tx, since: int) -> list[Said]:
    """What waits for its group, however long, and what was made after *since* and has left; without what a person wants later."""
    waits = "o.status = 'pending' AND o.attempts = 0 AND o.next_attempt_at > o.created_at"
    sql = (
        f"SELECT o.contact_id, o.site_id, o.kind, a.type, o.digest_id, CASE WHEN {waits} THEN 1 ELSE 0 END AS waits, count(*),"  # noqa: S608 - words of ours
        " min(o.created_at), max(coalesce(o.next_attempt_at, o.sent_at, o.created_at)) AS at"
        " FROM outbox o JOIN alerts a ON a.number = o.alert_number"
        f" WHERE o.kind <> 'digest' AND o.due_at IS NULL AND (o.next_attempt_at IS NOT NULL AND {waits}"
        " OR o.id >= ? AND o.status IN ('sending', 'sent', 'delivered', 'unknown'))"
        " GROUP BY o.contact_id, o.site_id, o.kind, a.type, o.digest_id, waits ORDER BY at"
    )
    rows = tx.driver.execute(_sql(tx, sql), (first_id(since),)).fetchall()
    return [msgspec.structs.replace(found, waits=bool(found.waits)) for found in (Said(*row) for row in rows)]

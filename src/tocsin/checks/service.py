"""Checks as a whole: made, changed, taken away; and what a look leaves behind, in the transaction of its events."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.checks import rules, store, votes
from tocsin.checks.model import (
    SERVER,
    Cause,
    Check,
    DatabaseTarget,
    Definition,
    Finding,
    HttpTarget,
    Level,
    Reason,
    Result,
    State,
    Status,
    Tell,
    Verdict,
    Vote,
    is_secret,
)
from tocsin.core.clock import HOUR, SECOND
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.ids import is_uuid, new_id
from tocsin.core.redact import MASK
from tocsin.core.text import cut, one_line
from tocsin.db.writer import Tx

MAX_CHECKS = 5_000
MAX_EVIDENCE = 24_000  # characters of JSON
MAX_WORDS = 500
_JUDGED = frozenset({Status.UP, Status.DEGRADED, Status.DOWN})
Sites = Collection[int] | None


class Looked(msgspec.Struct, frozen=True):
    """A look that has ended, at a check as it was when it was claimed."""

    check: Check
    found: Finding
    in_maintenance: bool = False


class Recorded(msgspec.Struct, frozen=True):
    """What a look came to. ``found``: of all locations together."""

    check: Check
    verdict: Verdict
    found: Finding


# --- People -----------------------------------------------------------------------------------------------------------


def find(connection: sa.Connection, check_id: str, sites: Sites = None, *, lock: bool = False) -> Check:
    """One by its id. Raises `NotFound` also for one of a site that the caller may not see."""
    check_id = check_id.lower()
    check = store.get(connection, check_id, lock=lock) if is_uuid(check_id) else None
    if check is None or (sites is not None and check.site_id not in sites):
        raise NotFound(f"there is no check {check_id[:40]}")
    return check


def add(tx: Tx, who: Who, site_id: int, definition: Definition, now: int, *, is_paused: bool = False) -> Check:
    """A new check, looked at at once. Raises `InvalidInput`, and `Conflict` if there are too many."""
    rules.check_definition(definition)
    if store.count(tx.sql) >= MAX_CHECKS:
        raise Conflict(f"there are {MAX_CHECKS} checks already; remove some that are no longer needed")
    check = Check(
        id=new_id(now),
        site_id=site_id,
        definition=definition,
        version=1,
        is_paused=is_paused,
        status=Status.PAUSED if is_paused else Status.UNKNOWN,
        status_since=now,
        state=State(),
        created_at=now,
        created_by=who.name,
        updated_at=now,
        due_at=None if is_paused else now,
        changed_at=now,
    )
    store.add(tx, check)
    store.set_locations(tx, check, now, anew=True)
    store.turn(tx, check.id, now, check.status, check.status.value, None)
    audit.record(tx, who, "check.made", thing(check), now, after=shown(check), site_id=site_id)
    return check


def change(tx: Tx, who: Who, check: Check, definition: Definition, now: int, *, is_paused: bool) -> tuple[Check, tuple[Tell, ...]]:
    """Another definition, or a pause; what is told of a check that is not looked at any more is over.

    Another target begins anew: what was found at the old one says nothing about it. Raises `InvalidInput`.
    """
    rules.check_definition(definition)
    is_other = definition.target != check.definition.target
    starts, stops = check.is_paused and not is_paused, is_paused and not check.is_paused
    tells = rules.let_go(check.definition, check.state) if is_other or stops else ()
    status = Status.PAUSED if is_paused else Status.UNKNOWN if is_other or starts else check.status
    new = msgspec.structs.replace(
        check,
        definition=definition,
        version=check.version + 1,
        is_paused=is_paused,
        state=State() if is_other or stops or starts else check.state,
        status=status,
        status_since=now if status is not check.status else check.status_since,
        due_at=None if is_paused else now,
        expires_at=None if is_other else check.expires_at,
        fence=check.fence + 1,  # a look under way was at the old one
        updated_at=now,
        changed_at=now,
    )
    store.replace(
        tx,
        new,
        (
            "definition",
            "version",
            "is_paused",
            "state",
            "status",
            "status_since",
            "due_at",
            "expires_at",
            "fence",
            "updated_at",
            "changed_at",
        ),
    )
    store.release(tx, {new.id: new.fence})
    store.set_locations(tx, new, now, anew=votes.mark_of(definition) != votes.mark_of(check.definition))
    if status is not check.status:
        store.turn(tx, check.id, now, status, status.value, None)
    audit.record_change(tx, who, "check.changed", thing(new), now, before=shown(check), after=shown(new), site_id=check.site_id)
    return new, tells


def remove(tx: Tx, who: Who, check: Check, now: int) -> tuple[Tell, ...]:
    """Takes a check away with its history; what it told is over."""
    store.remove(tx, check.id)
    audit.record(tx, who, "check.removed", thing(check), now, before=shown(check), site_id=check.site_id)
    return rules.let_go(check.definition, check.state)


def thing(check: Check) -> str:
    """How the audit log names it."""
    return f"check:{check.id}"


def shown(check: Check) -> dict[str, Any]:
    """A check as people may see it."""
    return {**msgspec.to_builtins(masked(check.definition)), "is_paused": check.is_paused}


def masked(definition: Definition) -> Definition:
    """The same without what proves who we are."""
    target = definition.target
    if isinstance(target, DatabaseTarget) and target.password:
        return msgspec.structs.replace(definition, target=msgspec.structs.replace(target, password=MASK))
    if not isinstance(target, HttpTarget):
        return definition
    headers = {name: MASK if is_secret(name) else value for name, value in target.headers.items()}
    return msgspec.structs.replace(definition, target=msgspec.structs.replace(target, headers=headers))


def unmasked(new: Definition, old: Definition | None) -> Definition:
    """A definition that came back from a person: what was hidden from them stays as it was."""
    if old is None:
        return new
    if isinstance(new.target, DatabaseTarget) and isinstance(old.target, DatabaseTarget) and new.target.password == MASK:
        return msgspec.structs.replace(new, target=msgspec.structs.replace(new.target, password=old.target.password))
    if not isinstance(new.target, HttpTarget) or not isinstance(old.target, HttpTarget):
        return new
    known: Mapping[str, str] = old.target.headers
    headers = {name: known.get(name, value) if value == MASK else value for name, value in new.target.headers.items()}
    return msgspec.structs.replace(new, target=msgspec.structs.replace(new.target, headers=headers))


# --- Looks ------------------------------------------------------------------------------------------------------------


def record(tx: Tx, looked: Looked, now: int, first_warning_days: int) -> Recorded | None:
    """Writes down a look: the state that follows, the result, and the stretch of time that it ends. None: somebody was faster,
    or the check has changed meanwhile; then it counts for nothing.
    """
    check = store.get(tx.sql, looked.check.id, lock=True)
    if check is None or check.fence != looked.check.fence or check.is_paused:
        return None
    definition = check.definition
    found = msgspec.structs.replace(looked.found, words=cut(one_line(looked.found.words), MAX_WORDS))
    found, verdict = _judge(tx, check, found, now, first_warning_days)
    status = Status.MAINTENANCE if looked.in_maintenance else verdict.status
    interval = definition.interval * SECOND
    since = _turned(tx, check, status, verdict, found, interval, now)
    at = now if check.last_at is None else max(now, check.last_at + 1)
    new = msgspec.structs.replace(
        check,
        status=status,
        status_since=since,
        state=verdict.state,
        due_at=rules.next_due(check.id, interval, verdict.again_in, check.due_at or now, now),
        last_at=at,
        last_ms=found.ms,
        last_words=found.words,
        last_cause=found.cause.value,
        expires_at=found.expiry.ends_at if found.expiry is not None else check.expires_at,
        changed_at=check.changed_at if status is check.status else now,
    )
    store.save_look(tx, new)
    store.keep(tx, check.id, _result(found, status, at, with_evidence=_is_evident(tx, check, found, verdict, now)))
    return Recorded(new, verdict, found)


def _judge(tx: Tx, check: Check, found: Finding, now: int, first_warning_days: int) -> tuple[Finding, Verdict]:
    """What follows from a look; where several locations look, from what all of them have found."""
    definition, state = check.definition, check.state
    if not definition.hosts:
        return found, rules.judge(definition, state, found, now, first_warning_days)
    if definition.is_asked_here:
        cast_vote(tx, check, SERVER, votes.mark_of(definition), found, now)
    every = store.votes(tx.sql, check.id)
    common = votes.combine(definition, every, state.level, now)
    if votes.is_settled(definition, every, common, state.level, check.last_at, now):
        verdict = rules.judge(definition, state, common, now, first_warning_days)
    else:
        verdict = rules.waiting(definition, state, now)
    if votes.hurries(definition, every, now, is_wavering=verdict.state.streak > 0 or verdict.reason is Reason.WAITS):
        store.hurry(tx, check.id, now + definition.retry_after * SECOND // 2)
    return common, verdict


def cast_vote(tx: Tx, check: Check, location: str, mark: str, found: Finding, at: int) -> bool:
    """Keeps what a location found at a moment, if it is asked for and not older than what is known; whether it was."""
    known = store.vote(tx, check.id, location)
    if known is None or mark != votes.mark_of(check.definition) or (known.mark == mark and known.at is not None and at < known.at):
        return False
    before = known.finding.level if known.finding is not None and known.mark == mark else None
    vote = Vote(
        location=location,
        at=at,
        since=known.since if before is not None and before == found.level else at,
        mark=mark,
        due_at=votes.next_look(check.definition, found.level, at, check.state.level),
        finding=found,
    )
    store.save_vote(tx, check.id, vote)
    return True


def _turned(tx: Tx, check: Check, status: Status, verdict: Verdict, found: Finding, interval: int, now: int) -> int:
    """Since when the check has its status; a stretch in which nobody looked is unknown, not what was seen before it."""
    before, since = check.status, check.status_since
    if check.last_at is not None and rules.is_gap(check.last_at, interval, now) and before is not Status.UNKNOWN:
        since = max(since, check.last_at + interval)
        store.turn(tx, check.id, since, Status.UNKNOWN, Cause.OUR_FAULT.value, "Tocsin did not look")
        before = Status.UNKNOWN
    if status is before:
        return since
    began = max(verdict.began, since) if before in _JUDGED and status in _JUDGED else now
    store.turn(tx, check.id, began, status, found.cause.value, found.words)
    return began


def _is_evident(tx: Tx, check: Check, found: Finding, verdict: Verdict, now: int) -> bool:
    """Evidence is kept of what changed, of the first failures, and once an hour while it lasts."""
    if verdict.reason in (Reason.FIRST, Reason.CONFIRMED, Reason.RECOVERED, Reason.ASKED_AGAIN, Reason.WAITS):
        return True
    return found.level is not Level.OK and not store.evident_since(tx.sql, check.id, now - HOUR)


def _result(found: Finding, status: Status, at: int, *, with_evidence: bool) -> Result:
    evidence = None
    if with_evidence:
        evidence = msgspec.json.encode({**found.evidence, "trace": found.trace}).decode()
        if len(evidence) > MAX_EVIDENCE * (3 if "locations" in found.evidence else 1):
            evidence = msgspec.json.encode({"trace": found.trace, "body": str(found.evidence.get("body", ""))[:4_096]}).decode()
    return Result(
        at=at,
        level=None if found.level is None else int(found.level),
        status=status,
        cause=found.cause.value,
        words=found.words,
        ms=found.ms,
        phases=msgspec.json.encode(found.phases).decode(),
        evidence=evidence,
    )

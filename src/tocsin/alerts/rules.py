"""Every decision about an alert, as pure functions: state + what happened + now -> `AlertChange`.

    no alert --problem--> open --acknowledge--> acknowledged --expiry, unacknowledge, severity rises--> open
                           |  --snooze-------> snoozed ------ends, severity rises--------------------> open
                           +-- resolve, recovery (from any of the three) --> resolved --problem in the flap window--> open

A person's action that already holds changes nothing; one that the state forbids raises `Conflict`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from tocsin.alerts.model import UNDOABLE, Action, Alert, AlertChange, Before, HistoryLine, Notice, Policy, Reason, Status
from tocsin.core.clock import DAY
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.times import to_text
from tocsin.events.model import Event

MAX_SNOOZE = 30 * DAY
SYSTEM = "tocsin"

replace = msgspec.structs.replace


def open_alert(event: Event, previous: Alert | None, new_identity: Callable[[], tuple[int, str]], policy: Policy, now: int) -> AlertChange:
    """A problem without an unresolved alert. *previous*: the last resolved alert of the same key, if there was one.

    *new_identity* gives the number and id of a new alert; it is not asked when the old alert is reopened.
    """
    if previous is not None and policy.flap_window and previous.resolved_at is not None and now - previous.resolved_at < policy.flap_window:
        return _reopen(previous, event, now)
    number, alert_id = new_identity()
    alert = Alert(
        number,
        alert_id,
        event.site_id,
        event.dedup_key or "",
        event.type,
        event.title,
        event.message,
        event.subject,
        event.host,
        event.severity,
        "open",
        1,
        1,
        event.occurred_at,
        event.occurred_at,
        event.attributes,
        previous_alert_id=None if previous is None else previous.id,
    )
    line = _opened(event.severity, None if previous is None else previous.number, now)
    return AlertChange(alert, (), (line,), Notice.OPENED, False, True)


@lru_cache(maxsize=8)
def _opened(severity: int, previous: int | None, now: int) -> HistoryLine:
    """Alerts that open at the same moment share their line, if it says the same."""
    details = {"severity": severity} if previous is None else {"severity": severity, "previous_alert": previous}
    return HistoryLine(now, SYSTEM, "opened", Reason.FIRST_EVENT.value, details)


def _reopen(alert: Alert, event: Event, now: int) -> AlertChange:
    reopened = replace(
        _with_occurrences(alert, (event,)),
        status=Status.OPEN.value,
        severity=event.severity,
        generation=alert.generation + 1,
        attributes=event.attributes,
        acknowledged_at=None,
        acknowledged_by=None,
        snoozed_until=None,
        resolved_at=None,
        resolved_by=None,
        resolution=None,
        due_at=None,
    )
    line = HistoryLine(now, SYSTEM, Action.REOPENED, Reason.SAME_PROBLEM_RETURNED, {"severity": event.severity})
    changed = (
        *_OCCURRENCE,
        "status",
        "severity",
        "generation",
        "attributes",
        "acknowledged_at",
        "acknowledged_by",
        "snoozed_until",
        "resolved_at",
        "resolved_by",
        "resolution",
        "due_at",
    )
    return AlertChange(reopened, changed, (line,), Notice.OPENED, silence_pending=True)


def apply_problem(alert: Alert, event: Event, now: int) -> AlertChange:
    """A problem whose alert is not resolved: it is counted; people hear of it again only if it has become worse."""
    if event.severity <= alert.severity:
        return repeat(alert, (event,))
    counted = _with_occurrences(alert, (event,))
    raised = replace(
        counted,
        severity=event.severity,
        status=Status.OPEN.value,
        generation=alert.generation + 1,
        acknowledged_at=None,
        acknowledged_by=None,
        snoozed_until=None,
        due_at=None,
    )
    line = HistoryLine(now, SYSTEM, Action.SEVERITY_RAISED, Reason.SEVERITY_ROSE, {"from": alert.severity, "to": event.severity})
    changed = (*_OCCURRENCE, "severity", "status", "generation", "acknowledged_at", "acknowledged_by", "snoozed_until", "due_at")
    return AlertChange(raised, changed, (line,), Notice.ESCALATED, silence_pending=True)


def repeat(alert: Alert, events: Sequence[Event]) -> AlertChange:
    """Problems, none of them worse than their *alert* already is: they are counted, and nobody hears of them."""
    return AlertChange(_with_occurrences(alert, events), _OCCURRENCE)


_OCCURRENCE = ("occurrences", "first_seen_at", "last_seen_at", "title", "message")


def _with_occurrences(alert: Alert, events: Sequence[Event]) -> Alert:
    """The newest occurrence gives the text; one that arrives late (a spool) only stretches the time."""
    first, last, title, message = alert.first_seen_at, alert.last_seen_at, alert.title, alert.message
    for event in events:
        at = event.occurred_at
        if at >= last:
            last, title, message = at, event.title, event.message
        elif at < first:
            first = at
    return Alert(
        alert.number,
        alert.id,
        alert.site_id,
        alert.dedup_key,
        alert.type,
        title,
        message,
        alert.subject,
        alert.host,
        alert.severity,
        alert.status,
        alert.occurrences + len(events),
        alert.generation,
        first,
        last,
        alert.attributes,
        alert.acknowledged_at,
        alert.acknowledged_by,
        alert.snoozed_until,
        alert.resolved_at,
        alert.resolved_by,
        alert.resolution,
        alert.assignee,
        alert.previous_alert_id,
        alert.due_at,
        alert.muted_by,
        alert.is_parent,
        alert.hold,
        alert.flap,
        alert.noise_at,
    )


def apply_recovery(alert: Alert, event: Event, now: int) -> AlertChange:
    """The problem's sender says that it is over."""
    details: dict[str, object] = {"event": event.id, "title": event.title}
    return _resolved(alert, SYSTEM, Reason.RECOVERY_EVENT.value, details, event.title, now)


def acknowledge(alert: Alert, actor: str, note: str | None, for_ms: int | None, policy: Policy, now: int) -> AlertChange:
    """*actor* has it. It opens again after *for_ms* (default: the policy's expiry; 0: never). Raises `Conflict` if resolved."""
    _must_not_be_resolved(alert, "acknowledge")
    if alert.status == Status.ACKNOWLEDGED:
        return AlertChange(alert)
    lasts = policy.ack_expiry if for_ms is None else for_ms
    expires = now + lasts if lasts else None
    acknowledged = replace(
        alert, status=Status.ACKNOWLEDGED.value, acknowledged_at=now, acknowledged_by=actor, snoozed_until=None, due_at=expires
    )
    details = _noted(note, {"until": to_text(expires)} if expires else {})
    return AlertChange(
        acknowledged,
        ("status", "acknowledged_at", "acknowledged_by", "snoozed_until", "due_at"),
        (HistoryLine(now, actor, Action.ACKNOWLEDGED, Reason.ASKED, details),),
        Notice.ACKNOWLEDGED,
        silence_pending=True,
    )


def unacknowledge(alert: Alert, actor: str, note: str | None, now: int) -> AlertChange:
    """*actor* gives it back: it is open, and people are told again. Raises `Conflict` if resolved."""
    _must_not_be_resolved(alert, "un-acknowledge")
    if alert.status != Status.ACKNOWLEDGED:
        return AlertChange(alert)
    return _open_again(alert, HistoryLine(now, actor, Action.UNACKNOWLEDGED, Reason.ASKED, _noted(note, {})))


def snooze(alert: Alert, actor: str, until: int, note: str | None, now: int) -> AlertChange:
    """Quiet until the moment *until*. Raises `InvalidInput` for a moment that is past or too far, `Conflict` if resolved."""
    _must_not_be_resolved(alert, "snooze")
    if until <= now:
        raise InvalidInput.of("until", f"{to_text(until)} is past; it is {to_text(now)}")
    if until > now + MAX_SNOOZE:
        raise InvalidInput.of("until", "is more than 30 days away; silence the alert by a rule, or resolve it")
    if alert.status == Status.SNOOZED and alert.snoozed_until == until:
        return AlertChange(alert)
    snoozed = replace(
        alert,
        status=Status.SNOOZED.value,
        # That somebody had it is over: if somebody takes it again, people have to be told of that anew.
        generation=alert.generation + (alert.status == Status.ACKNOWLEDGED),
        snoozed_until=until,
        due_at=until,
        acknowledged_at=None,
        acknowledged_by=None,
    )
    line = HistoryLine(now, actor, Action.SNOOZED, Reason.ASKED, _noted(note, {"until": to_text(until)}))
    changed = ("status", "generation", "snoozed_until", "due_at", "acknowledged_at", "acknowledged_by")
    return AlertChange(snoozed, changed, (line,), None, silence_pending=True)


def wake(alert: Alert, actor: str, note: str | None, now: int) -> AlertChange:
    """*actor* ends its snooze: it is open, and people are told again. Raises `Conflict` if resolved."""
    _must_not_be_resolved(alert, "wake")
    if alert.status != Status.SNOOZED:
        return AlertChange(alert)
    return _open_again(alert, HistoryLine(now, actor, Action.SNOOZE_ENDED, Reason.ASKED, _noted(note, {})))


def escalate(alert: Alert, actor: str, now: int) -> AlertChange:
    """*actor* wants more people to hear of it: who had taken it, or put it off, has it no longer. Raises `Conflict` if resolved.

    Whom that means is the escalation's to decide.
    """
    _must_not_be_resolved(alert, "escalate")
    if alert.status == Status.OPEN:
        return AlertChange(alert)
    action = Action.UNACKNOWLEDGED if alert.status == Status.ACKNOWLEDGED else Action.SNOOZE_ENDED
    return replace(_open_again(alert, HistoryLine(now, actor, action, Reason.ESCALATED)), notice=None)


def resolve(alert: Alert, actor: str, note: str | None, now: int) -> AlertChange:
    """*actor* says that it is over. Repeating it changes nothing."""
    if alert.status == Status.RESOLVED:
        return AlertChange(alert)
    return _resolved(alert, actor, Reason.ASKED.value, _noted(note, {}), note, now)


def assign(alert: Alert, actor: str, assignee: str, now: int) -> AlertChange:
    """*assignee* (a user's address) shall look after it. Raises `Conflict` if resolved."""
    _must_not_be_resolved(alert, "assign")
    if alert.assignee == assignee:
        return AlertChange(alert)
    line = HistoryLine(now, actor, Action.ASSIGNED, Reason.ASKED, {"to": assignee})
    return AlertChange(replace(alert, assignee=assignee), ("assignee",), (line,))


def comment(alert: Alert, actor: str, text: str, now: int) -> AlertChange:
    """A note in the history; allowed in every state."""
    return AlertChange(alert, (), (HistoryLine(now, actor, Action.COMMENTED, Reason.ASKED, {"note": text}),))


def undo(alert: Alert, actor: str, before: Before, now: int) -> AlertChange:
    """*actor* takes the last action back. An alert that is open by it is told of again: what waited to be sent was cancelled.

    Raises `Conflict` if something else has happened to it since. Doing it twice changes nothing.
    """
    restored = replace(alert, **{name: getattr(before, name) for name in UNDOABLE})
    if restored == alert:
        return AlertChange(alert)
    if (alert.status, alert.generation, alert.assignee) != (before.status_after, before.generation_after, before.assignee_after):
        raise Conflict(f"alert {alert.number} is {alert.status} now: something else has happened to it since")
    line = HistoryLine(now, actor, Action.UNDONE, Reason.ASKED, {"was": alert.status})
    if restored.status != Status.OPEN or alert.status == Status.OPEN:
        return AlertChange(restored, UNDOABLE, (line,), None, silence_pending=restored.status != alert.status)
    told_again = replace(restored, generation=alert.generation + 1)
    return AlertChange(told_again, (*UNDOABLE, "generation"), (line,), Notice.REPEATED, silence_pending=True)


def come_due(alert: Alert, now: int) -> AlertChange:
    """What time does to an alert: an acknowledgement expires, a snooze ends. Doing it twice, or too early, changes nothing.

    A snooze without an end, which only a hand in the database can make, has ended.
    """
    if alert.due_at > now if alert.due_at is not None else alert.status != Status.SNOOZED:
        return AlertChange(alert)
    if alert.status == Status.ACKNOWLEDGED:
        return _open_again(alert, HistoryLine(now, SYSTEM, Action.ACKNOWLEDGEMENT_EXPIRED, Reason.ACKNOWLEDGEMENT_EXPIRED))
    if alert.status == Status.SNOOZED:
        return _open_again(alert, HistoryLine(now, SYSTEM, Action.SNOOZE_ENDED, Reason.SNOOZE_ENDED))
    return AlertChange(replace(alert, due_at=None), ("due_at",))


def _open_again(alert: Alert, line: HistoryLine) -> AlertChange:
    opened = replace(
        alert,
        status=Status.OPEN.value,
        generation=alert.generation + 1,
        acknowledged_at=None,
        acknowledged_by=None,
        snoozed_until=None,
        due_at=None,
    )
    changed = ("status", "generation", "acknowledged_at", "acknowledged_by", "snoozed_until", "due_at")
    return AlertChange(opened, changed, (line,), Notice.REPEATED, silence_pending=True)


def restart(alert: Alert, why: Reason, now: int) -> AlertChange:
    """People have to be told of an open alert from the beginning, because until now they could not be. Of another nothing is told."""
    if alert.status != Status.OPEN:
        return AlertChange(alert)
    told_again = replace(alert, generation=alert.generation + 1)
    line = HistoryLine(now, SYSTEM, Action.RESTARTED, why)
    return AlertChange(told_again, ("generation",), (line,), Notice.REPEATED, silence_pending=True)


def _resolved(alert: Alert, actor: str, reason: str, details: dict[str, object] | None, resolution: str | None, now: int) -> AlertChange:
    resolved = replace(
        alert,
        status=Status.RESOLVED.value,
        resolved_at=now,
        resolved_by=actor,
        resolution=resolution,
        snoozed_until=None,
        due_at=None,
    )
    line = HistoryLine(now, actor, Action.RESOLVED, reason, details)
    changed = ("status", "resolved_at", "resolved_by", "resolution", "snoozed_until", "due_at")
    return AlertChange(resolved, changed, (line,), Notice.RESOLVED, silence_pending=True)


def mute(alert: Alert, why: str | None, now: int) -> AlertChange:
    """*why* (None: nothing) keeps it quiet from now on. When nothing does any more, people are told of what is still open.

    Doing it twice changes nothing; a resolved alert needs no quiet.
    """
    if why == alert.muted_by or alert.status == Status.RESOLVED:
        return AlertChange(alert)
    if why is not None:
        reason = Reason.MUTE_BEGAN if alert.muted_by is None else Reason.MUTE_CHANGED
        line = HistoryLine(now, SYSTEM, Action.MUTED, reason, {"by": why})
        return AlertChange(replace(alert, muted_by=why), ("muted_by",), (line,), silence_pending=alert.status == Status.OPEN)
    line = HistoryLine(now, SYSTEM, Action.UNMUTED, Reason.MUTE_ENDED, {"was": alert.muted_by})
    if alert.status != Status.OPEN:  # somebody has it, or wanted it quiet anyway
        return AlertChange(replace(alert, muted_by=None), ("muted_by",), (line,))
    heard = replace(alert, muted_by=None, generation=alert.generation + 1)
    return AlertChange(heard, ("muted_by", "generation"), (line,), Notice.REPEATED, silence_pending=True)


def _must_not_be_resolved(alert: Alert, verb: str) -> None:
    if alert.status == Status.RESOLVED:
        raise Conflict(f"alert {alert.number} is resolved since {to_text(alert.resolved_at or 0)}; there is nothing to {verb}")


def _noted(note: str | None, details: dict[str, object]) -> dict[str, object] | None:
    if note:
        return {**details, "note": note}
    return details or None


def merge(first: AlertChange, then: AlertChange) -> AlertChange:
    """Two steps of one alert in one transaction as one change. Who has not heard that it opened need not hear that it rose."""
    if not then.history and first.changed == then.changed:
        return replace(first, alert=then.alert)
    notice = then.notice or first.notice
    if first.notice == Notice.OPENED and then.notice in (Notice.ESCALATED, Notice.REPEATED):
        notice = Notice.OPENED
    return AlertChange(
        then.alert,
        tuple(dict.fromkeys((*first.changed, *then.changed))),
        first.history + then.history,
        notice,
        first.silence_pending or then.silence_pending,
        first.is_new,
        policy=first.policy,
    )

"""What people do to alerts, and what time does: decision, history and messages in one transaction."""

from collections.abc import Callable, Sequence

from tocsin.alerts import flaps, holds, rules, store as alert_store
from tocsin.alerts.model import Alert, AlertChange, Before, Policy, Reason, Status
from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import Clock
from tocsin.core.errors import Conflict, NotFound, TocsinError
from tocsin.core.ids import new_id
from tocsin.core.severity import Severity
from tocsin.db.writer import Tx
from tocsin.escalation import store as escalation_store
from tocsin.escalation.model import Standing, StepReason
from tocsin.events.model import EventInput, Incoming
from tocsin.notify.announce import Announcer
from tocsin.notify.quiet import Look
from tocsin.pipeline.ingest import Batch, Ingest

Decide = Callable[[Alert, int], AlertChange]
TEST_TYPE = "tocsin.test"
DUE_AT_ONCE = 500
ESCALATED_AT_ONCE = 200
ALONE_AT_ONCE = 1_000


class Actions:
    """Applies decisions to stored alerts. Each method returns work for `Writer.run` or `Writer.call`."""

    def __init__(self, clock: Clock, ingest: Ingest, announcer: Announcer, policy: Policy) -> None:
        self._clock, self._ingest, self._announcer, self._policy = clock, ingest, announcer, policy

    def acknowledge(self, actor: str, note: str | None = None, for_ms: int | None = None) -> Decide:
        """The decision to acknowledge, with this installation's expiry."""
        return lambda alert, now: rules.acknowledge(alert, actor, note, for_ms, self._policy, now)

    def act(
        self, alert_id: str, decide: Decide, site_ids: frozenset[int] | None = None, address: str | None = None
    ) -> Callable[[Tx], Alert]:
        """Applies *decide* to one alert and answers the alert as it then is.

        *site_ids*: the sites whose alerts the caller may see; None: all. *address*: where the caller is, for the audit log.
        The work raises `NotFound`, `Conflict`, `InvalidInput`.
        """

        def work(tx: Tx) -> Alert:
            alert = alert_store.by_id(tx, alert_id)
            if site_ids is not None and alert.site_id not in site_ids:
                raise NotFound(f"there is no alert {alert_id}")
            now = self._clock.now()
            change = decide(alert, now)
            self._save(tx, [change], now)
            _audit(tx, alert, change, address, now)
            return change.alert

        return work

    def undo(self, befores: Sequence[Before], who: Who, site_ids: frozenset[int] | None = None) -> Callable[[Tx], list[str]]:
        """*who* takes the last action on each alert back; answers why not, for each of which it cannot be."""

        def work(tx: Tx) -> list[str]:
            now = self._clock.now()
            changes, refused = [], []
            for before in befores:
                try:
                    changes.append(self._undone(tx, before, who, site_ids, now))
                except TocsinError as error:
                    refused.append(error.message)
            self._save(tx, changes, now)
            return refused

        return work

    def _undone(self, tx: Tx, before: Before, who: Who, site_ids: frozenset[int] | None, now: int) -> AlertChange:
        alert = alert_store.by_number(tx, before.number)
        if site_ids is not None and alert.site_id not in site_ids:
            raise NotFound(f"there is no alert {before.number}")
        change = rules.undo(alert, who.name, before, now)
        if alert.status == Status.RESOLVED != change.alert.status:
            for newer in alert_store.unresolved(tx, alert.site_id, [alert.dedup_key]):
                raise Conflict(f"alert {alert.number} has come back as alert {newer.number}")
        _audit(tx, alert, change, who.address, now)
        return change

    def come_due(self, tx: Tx, only: int | None = None) -> int:
        """Expired acknowledgements and ended snoozes; returns how many there were (at most 500 at a time). *only*: this alert."""
        now = self._clock.now()
        alerts = alert_store.due(tx, now, DUE_AT_ONCE) if only is None else alert_store.locked(tx, [only])
        self._save(tx, [rules.come_due(alert, now) for alert in alerts], now)
        return len(alerts)

    def calm(self, tx: Tx, only: int | None = None) -> int:
        """What event rules held back for a while, and what comes and goes; returns how many there were (at most 500 at a time).

        *only*: this alert.
        """
        now = self._clock.now()
        alerts = alert_store.noisy(tx, now, DUE_AT_ONCE) if only is None else alert_store.locked(tx, [only])
        look = self._announcer.quiet.look(tx, now)
        self._save(tx, [_calmed(alert, look, now) for alert in alerts], now)
        return len(alerts)

    def escalate(
        self,
        alert_id: str,
        who: Who,
        from_level: int | None = None,
        site_ids: frozenset[int] | None = None,
        how: str = StepReason.ASKED,
    ) -> Callable[[Tx], Alert]:
        """Has the next level of the alert's policy told at once, and answers the alert as it then is.

        *from_level*: the level that *who* saw; if it has changed since, nothing is done. *how* it was asked for stands in the history.
        The work raises as that of `act`.
        """

        def work(tx: Tx) -> Alert:
            alert = alert_store.by_id(tx, alert_id)
            if site_ids is not None and alert.site_id not in site_ids:
                raise NotFound(f"there is no alert {alert_id}")
            now = self._clock.now()
            change = rules.escalate(alert, who.name, now)
            asked = self._announcer.next_level(tx, alert, from_level, now)
            if asked is None:
                return alert
            if change.changed:
                self._save(tx, [change], now)
            self._announcer.carry_out(tx, change.alert, asked, who.name, now, how)
            level = asked.policy.count(asked.plan.progress)
            audit.record(tx, who, "alert.escalated", f"alert:{alert.number}", now, after={"level": level}, site_id=alert.site_id)
            return change.alert

        return work

    def escalate_due(self, tx: Tx, only: int | None = None) -> int:
        """The steps of policies that are due; returns how many alerts were concerned (at most 200 at a time). *only*: this alert."""
        now = self._clock.now()
        due = escalation_store.due(tx, now, ESCALATED_AT_ONCE, only)
        alerts = alert_store.by_numbers(tx, [progress.alert_number for progress in due])
        look = self._announcer.quiet.look(tx, now)
        running, muted, over = [], [], []
        for progress in due:
            alert = alerts[progress.alert_number]
            reason = look.why(alert)
            if alert.status != Status.OPEN or alert.generation != progress.generation:
                over.append(alert.number)  # only a hand in the database can bring this about
            elif reason is not None or alert.muted_by is not None:
                muted.append(rules.mute(alert, reason.words if reason else alert.muted_by, now))
            else:
                running.append((progress, alert))
        self._announcer.carry_on(tx, running, now)
        self._save(tx, [change for change in muted if change.changed], now)
        escalation_store.stop(tx, [change.alert.number for change in muted], Standing.MUTED)
        escalation_store.stop(tx, over, Standing.STOPPED)
        return len(due)

    def find_company(self, tx: Tx) -> int:
        """Begins the escalation of alerts of which nobody could be told, and now somebody can; returns how many there were."""
        now = self._clock.now()
        waiting = escalation_store.alone(tx, ALONE_AT_ONCE)
        alerts = alert_store.by_numbers(tx, [progress.alert_number for progress in waiting])
        found = [alert for alert in alerts.values() if alert.status == Status.OPEN and self._announcer.is_company_there(tx, alert, now)]
        self._save(tx, [rules.restart(alert, Reason.SOMEBODY_FOUND, now) for alert in found], now)
        return len(found)

    def test_alert(self, severity: Severity, site: str, who: Who) -> Callable[[Tx], Alert]:
        """A test alert through the real pipeline; a new one each time."""

        def work(tx: Tx) -> Alert:
            now = self._clock.now()
            event_id = new_id(now)
            event = EventInput(
                type=TEST_TYPE,
                id=event_id,
                severity=int(severity),
                status="problem",
                title="Test alert: if you can read this, Tocsin reaches you",
                message=f"Asked for by {who.name}. Acknowledge it to see that the button works, then resolve it.",
                subject=f"test:{event_id}",
            )
            self._ingest.take(tx, [Batch([Incoming(event, site, now)], None, None)])
            alert = alert_store.of_event(tx, event_id)
            audit.record(tx, who, "alert.tested", f"alert:{alert.number}", now, after={"severity": alert.severity}, site_id=alert.site_id)
            return alert

        return work

    def _save(self, tx: Tx, changes: Sequence[AlertChange], now: int) -> None:
        alert_store.save(tx, self._announcer.announce(tx, changes, now))


def _calmed(alert: Alert, look: Look, now: int) -> AlertChange:
    change = holds.come_due(alert, now)
    if alert.muted_by is not None:
        reason = look.why(change.alert)
        change = rules.merge(change, rules.mute(change.alert, None if reason is None else reason.words, now))
    return flaps.scheduled(rules.merge(change, flaps.come_due(change.alert, now)))


def _audit(tx: Tx, before: Alert, change: AlertChange, address: str | None, now: int) -> None:
    """What somebody did to an alert, with the columns that it changed and the words that they left."""
    for line in change.history:
        old = {name: getattr(before, name) for name in change.changed}
        new = {name: getattr(change.alert, name) for name in change.changed}
        who, thing = Who(line.actor, address), f"alert:{before.number}"
        audit.record(tx, who, f"alert.{line.action}", thing, now, before=old, after=new | (line.details or {}), site_id=before.site_id)

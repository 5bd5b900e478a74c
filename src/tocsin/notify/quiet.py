"""Whether an alert is quiet: asked before messages are made, before each step of an escalation, and just before sending."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tocsin.alerts.holds import StillMutes, why_held
from tocsin.alerts.model import Alert, AlertChange, Notice, Status
from tocsin.db.writer import Tx
from tocsin.muting import store
from tocsin.muting.book import MuteBook, State
from tocsin.muting.model import Labels, MuteReason
from tocsin.muting.rules import Parent, why_quiet_by_parent
from tocsin.ruling.book import RuleBook

PROBLEMS = (Notice.OPENED, Notice.ESCALATED, Notice.REPEATED)


class Quiet:
    """Answers from the mute book, from what event rules hold back, and, where dependencies count, from the alerts that are stored."""

    def __init__(self, book: MuteBook, slug_of: Callable[[int], str], rules: RuleBook) -> None:
        self._book, self._slug_of, self._rules = book, slug_of, rules

    def why(self, tx: Tx, alert: Alert, now: int) -> MuteReason | None:
        """What keeps *alert* quiet at *now*; None: people may be told.

        Whoever keeps a message or a step back because of it saves `alerts.rules.mute` with the reason's words in the
        same transaction: only an alert that is marked so is told of when the quiet ends.
        """
        return self.look(tx, now).why(alert)

    def look(self, tx: Tx, now: int, unsaved: Sequence[Alert] = ()) -> "Look":
        """For many alerts in one transaction, of which *unsaved* are as they shall be and not as they are stored."""
        rules = self._rules.current
        return Look(self._book.at(now), tx, self._slug_of, {a.number: a for a in unsaved}, lambda rule: rules.mutes(rule, now), now)

    def judge(self, tx: Tx, changes: Sequence[AlertChange], now: int) -> list[AlertChange]:
        """The changes with what mutes them: news of trouble is asked about; good news follows what its alert is marked with."""
        state = self._book.at(now)
        concerned = [c.alert.muted_by is not None or c.alert.hold is not None or state.concerns(c.alert.type) for c in changes]
        if not any(concerned):
            return list(changes)
        marked = [self._marked(change, state) if hit else change for change, hit in zip(changes, concerned, strict=True)]
        look = self.look(tx, now, [change.alert for change in marked] if state.chains else ())
        return [_judged(change, look) if hit else change for change, hit in zip(marked, concerned, strict=True)]

    def _marked(self, change: AlertChange, state: State) -> AlertChange:
        """The change with whether others may be quiet because of its alert."""
        alert = change.alert
        if change.notice not in PROBLEMS or not state.chains:
            return change
        is_parent = state.is_parent(labels_of(alert, self._slug_of)) or None
        return change if is_parent == (alert.is_parent or None) else _with(change, is_parent=is_parent)


class Look:
    """One look at one moment in one transaction: the alerts that mute others are read once, if at all."""

    def __init__(
        self, state: State, tx: Tx, slug_of: Callable[[int], str], unsaved: Mapping[int, Alert], still_mutes: StillMutes, now: int
    ) -> None:
        self._state, self._tx, self._slug_of, self._unsaved = state, tx, slug_of, unsaved
        self._still_mutes, self._now = still_mutes, now
        self._parents: list[Parent] | None = None

    def why(self, alert: Alert) -> MuteReason | None:
        """What keeps *alert* quiet: a window, else a parent that is down, else an event rule."""
        reason = self._from_outside(alert)
        return why_held(alert, self._still_mutes, self._now) if reason is None and alert.hold is not None else reason

    def _from_outside(self, alert: Alert) -> MuteReason | None:
        state = self._state
        if not state.concerns(alert.type):
            return None
        labels = labels_of(alert, self._slug_of)
        reason = state.why(labels)
        if reason is None and state.chains and (chains := state.chains_of(labels)):
            reason = why_quiet_by_parent(labels, chains, self._down(alert.number))
        return reason

    def is_parent(self, alert: Alert) -> bool:
        """Whether others may be quiet because of *alert*."""
        return self._state.concerns(alert.type) and self._state.is_parent(labels_of(alert, self._slug_of))

    def _down(self, but: int) -> list[Parent]:
        if self._parents is None:
            stored = [p for p in store.parents_down(self._tx, self._slug_of) if p.number not in self._unsaved]
            fresh = [
                Parent(a.number, labels_of(a, self._slug_of)) for a in self._unsaved.values() if a.is_parent and a.status != Status.RESOLVED
            ]
            self._parents = sorted([*stored, *fresh], key=lambda parent: parent.number)
        return [parent for parent in self._parents if parent.number != but]


def labels_of(alert: Alert, slug_of: Callable[[int], str]) -> Labels:
    """What matchers see of *alert*."""
    return Labels(slug_of(alert.site_id), alert.type, alert.severity, alert.host, alert.subject, alert.attributes)


def _judged(change: AlertChange, look: Look) -> AlertChange:
    alert = change.alert
    if change.notice in PROBLEMS:
        reason = look.why(alert)
        words = None if reason is None else reason.words
        judged = change if words == alert.muted_by else _with(change, muted_by=words)
        return judged if words is None else msgspec.structs.replace(judged, muted_by=words)
    if alert.muted_by is None:
        return change
    if alert.status == Status.RESOLVED:  # nothing is quiet about what is over
        return msgspec.structs.replace(_with(change, muted_by=None), muted_by=alert.muted_by)
    return msgspec.structs.replace(change, muted_by=alert.muted_by)


def _with(change: AlertChange, **columns: object) -> AlertChange:
    """The change with these columns changed as well."""
    alert = msgspec.structs.replace(change.alert, **columns)
    changed = change.changed if change.is_new else tuple(dict.fromkeys((*change.changed, *columns)))
    return msgspec.structs.replace(change, alert=alert, changed=changed)

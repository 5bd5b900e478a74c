"""What begins and ends to be quiet while it is open: the mark on the alert, the history, and the messages when quiet ends."""

import msgspec

from tocsin.alerts import rules, store as alert_store
from tocsin.alerts.model import Alert, AlertChange
from tocsin.core.clock import MINUTE, Clock
from tocsin.db.writer import Tx
from tocsin.muting import store
from tocsin.muting.book import MuteBook, State
from tocsin.notify.announce import Announcer
from tocsin.notify.quiet import Look
from tocsin.ruling.book import RuleBook
from tocsin.ruling.rules import RuleSet

AT_ONCE = 250  # alerts in one transaction, so that others are not kept waiting
SWEEP_EVERY = 5 * MINUTE  # also without a cause: mends what a node with an older book may have left
_START = (-1, "")


class _Seen(msgspec.Struct, frozen=True):
    """What quiet depends on: if it is the same as before, no alert has to be looked at."""

    state: State
    rules: RuleSet
    parents: tuple[int, ...]

    def is_same(self, other: "_Seen | None") -> bool:
        return other is not None and self.state is other.state and self.rules is other.rules and self.parents == other.parents


class Sweep:
    """Goes through the unresolved alerts, a few at a time, whenever a window opened or closed, an event rule was changed, or an alert
    that mutes others came or went.

    Only what is committed counts as done; after a start everything is looked at once.
    """

    def __init__(self, clock: Clock, book: MuteBook, rules: RuleBook, announcer: Announcer) -> None:
        self._clock, self._book, self._rules, self._announcer = clock, book, rules, announcer
        self._done: _Seen | None = None
        self._done_at = 0
        self._going: _Seen | None = None
        self._place = _START

    def step(self, tx: Tx) -> int:
        """Looks at the next alerts; how many there were (0: there is nothing to do for now)."""
        now = self._clock.now()
        seen = _Seen(self._book.at(now), self._rules.current, tuple(parent.number for parent in store.parents_down(tx, str)))
        if self._going is None:
            if seen.is_same(self._done) and now - self._done_at < SWEEP_EVERY:
                return 0
            going, place = seen, _START
        else:
            going, place = self._going, self._place
        # With no window open and no dependency, what is quiet can only end to be so.
        alerts = alert_store.unresolved_after(tx, place, AT_ONCE, muted=not seen.state)
        look = self._announcer.quiet.look(tx, now)
        # Only what changes is locked, and looked at once more: to lock all would be to write all (PostgreSQL).
        changing = [alert.number for alert in alerts if _change(alert, look, now).changed]
        changes = [_change(alert, look, now) for alert in alert_store.locked(tx, changing)]
        alert_store.save(tx, self._announcer.announce(tx, changes, now))
        tx.after_commit(lambda: self._go_on(going, alerts, now))
        return len(alerts)

    def _go_on(self, going: _Seen, alerts: list[Alert], now: int) -> None:
        if len(alerts) < AT_ONCE:
            self._going, self._done, self._done_at = None, going, now
        else:
            self._going, self._place = going, (alerts[-1].site_id, alerts[-1].dedup_key)


def _change(alert: Alert, look: Look, now: int) -> AlertChange:
    reason = look.why(alert)
    change = rules.mute(alert, None if reason is None else reason.words, now)
    is_parent = look.is_parent(alert) or None
    if is_parent == (alert.is_parent or None):
        return change
    alert = msgspec.structs.replace(change.alert, is_parent=is_parent)
    return msgspec.structs.replace(change, alert=alert, changed=(*change.changed, "is_parent"))

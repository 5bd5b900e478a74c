"""Mends what the auditor has found, each thing in a transaction of its own, and has it told: one alert for each kind of fault."""

from collections.abc import Sequence

from tocsin.alerts import rules, store as alert_store
from tocsin.alerts.model import Reason
from tocsin.core.clock import Clock
from tocsin.core.text import cut
from tocsin.db.writer import Tx
from tocsin.escalation import store as progress_store
from tocsin.escalation.model import Standing
from tocsin.events.model import EventInput, Incoming
from tocsin.notify.announce import Announcer
from tocsin.pipeline import promises
from tocsin.pipeline.actions import Actions
from tocsin.pipeline.ingest import Batch, Ingest
from tocsin.pipeline.promises import BROKEN, Broken, Promise

SITE = "main"
MENDED_SEVERITY, BROKEN_SEVERITY = 3, 5


class Mender:
    """The work of the auditor within the writer. What concerns messages is mended by the delivery."""

    def __init__(self, clock: Clock, ingest: Ingest, actions: Actions, announcer: Announcer) -> None:
        self._clock, self._ingest, self._actions, self._announcer = clock, ingest, actions, announcer

    def mend(self, tx: Tx, one: Broken) -> None:
        """Does what should have been done about one alert, unless it was done meanwhile."""
        number = int(one.thing)
        alert = alert_store.by_number(tx, number)
        now = self._clock.now()
        if not promises.is_broken(tx.sql, one, now):
            return
        match one.promise:
            case Promise.STANDS_STILL:
                change = rules.restart(alert, Reason.LOST_SIGHT, now)
                alert_store.save(tx, self._announcer.announce(tx, [change], now))
            case Promise.LEVEL_OVERDUE:
                self._actions.escalate_due(tx, number)
            case Promise.WAKING_OVERDUE:
                self._actions.come_due(tx, number)
            case Promise.HOLD_OVERDUE:
                self._actions.calm(tx, number)
            case Promise.HEARD_BY_NOBODY:
                progress_store.stop(tx, [number], Standing.ALONE)  # whoever was not asked in vain is found by the next look for company
            case _:
                raise ValueError(f"{one.promise.name} is not about an alert")

    def report(self, tx: Tx, promise: Promise, mended: Sequence[Broken], left: Sequence[Broken]) -> None:
        """Opens, or changes, the alert about this kind of fault."""
        (words,) = promises.in_words(left or mended)
        title = f"Tocsin cannot mend by itself: {words}" if left else f"Mended by Tocsin: {words}"
        text = "That should not happen. The log says what went before; please report it."
        if left:
            text = f"Look at `tocsin doctor` and the log, and restart `tocsin serve`. {text}"
        severity = BROKEN_SEVERITY if left else MENDED_SEVERITY
        self._take(tx, _event(promise, cut(title, 200), status="problem", severity=severity, message=text))

    def over(self, tx: Tx, promise: Promise) -> None:
        """Resolves it."""
        self._take(tx, _event(promise, "Everything comes to something again", status="recovery"))

    def _take(self, tx: Tx, event: EventInput) -> None:
        self._ingest.take(tx, [Batch([Incoming(event, SITE, self._clock.now())], None, None)])


def _event(promise: Promise, title: str, **more: object) -> EventInput:
    return EventInput(type=BROKEN, title=title, subject=promises.subject(promise), **more)  # type: ignore[arg-type]  # fields of it

"""What the bridge counts inside WHMCS becomes series, in the transaction of the event that brings it."""

from collections.abc import Sequence

import msgspec

from tocsin.db.writer import Tx
from tocsin.events.model import Event
from tocsin.metrics import rules
from tocsin.metrics.model import Sample
from tocsin.metrics.service import History
from tocsin.whmcs import figures

BRIDGE_METRICS = "whmcs.metrics"


class BridgeFigures:
    """See the module."""

    def __init__(self, history: History) -> None:
        self._history = history

    def heard(self, tx: Tx, events: Sequence[Event], now: int) -> None:
        """These events were just stored for the first time."""
        samples = []
        for event in events:
            counted = msgspec.json.decode(event.attributes or "{}")
            for one in figures.of_counters(counted):
                sample = Sample(event.site_id, one.name, event.occurred_at, one.value)
                if not rules.check(sample, now):
                    samples.append(sample)
        if samples:
            self._history.record(tx, samples, now)

"""What Prometheus sends, and what exporters show, becomes samples (M8).

What an exporter showed, how it is, and the events that follow are one transaction.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.audit.model import Who
from tocsin.core.clock import Clock
from tocsin.core.errors import NotFound
from tocsin.core.text import cut
from tocsin.db.writer import Tx, Writer
from tocsin.events.model import EventInput, Incoming
from tocsin.events.sites import SiteBook
from tocsin.metrics.model import Recorded, Sample
from tocsin.metrics.service import History
from tocsin.pipeline.ingest import Batch, Ingest
from tocsin.prometheus import rules, service, store
from tocsin.prometheus.model import Point, Target
from tocsin.prometheus.nodes import Memory
from tocsin.prometheus.rules import Sorted

DOWN_AFTER = 3  # failures in a row
DOWN = "exporter.down"


class Written(msgspec.Struct, frozen=True):
    """What became of a request of remote write."""

    accepted: int
    refused: int
    reasons: tuple[str, ...]


class Receiver:
    """Takes what Prometheus sends by remote write."""

    def __init__(self, writer: Writer, clock: Clock, history: History) -> None:
        self._writer, self._clock, self._history = writer, clock, history
        self._memory = Memory()

    async def take(self, points: Sequence[Point], site_id: int, *, keep_all: bool) -> Written:
        """Stores *points*, and what they say in our words. Returns after they are durable."""
        now = self._clock.now()
        found = await asyncio.to_thread(rules.sort, points, site_id, now, keep_all=keep_all)
        samples = list(found.samples)
        for host, look in found.looks:
            at, derived = self._memory.add(site_id, host, look)
            samples += rules.ours(derived, site_id, host, at)
        recorded = await self._writer.submit(self._record, samples, len(samples) or 1)
        full = len(recorded.refused)
        reasons = (*found.reasons, "the site has as many series as it may have") if full else found.reasons
        return Written(len(points) - found.refused - full, found.refused + full, reasons)

    def _record(self, tx: Tx, batches: Sequence[list[Sample]]) -> list[Recorded]:
        return self._history.record_all(tx, batches, self._clock.now())


class ExporterDesk:
    """What becomes of what exporters show, and of exporters that show nothing. In the transaction of whoever asks."""

    def __init__(self, clock: Clock, sites: SiteBook, history: History, ingest: Ingest) -> None:
        self._clock, self._sites, self._history, self._ingest = clock, sites, history, ingest
        self._memory = Memory()

    def keep(self, tx: Tx, target: Target, found: Sorted | None, fault: str | None) -> None:
        """What *target* has just shown, or why it has not."""
        try:
            held = store.find(tx.sql, target.id, lock=True)
        except NotFound:
            return  # removed while it was asked
        now = self._clock.now()
        up = Sample(target.site_id, "service_up", now, 0.0 if found is None else 1.0, target.host, (("service", target.name),))
        samples = [up, *(() if found is None else self._words(target, found))]
        self._history.record(tx, samples, now)
        failures = 0 if found is not None else held.failures + 1
        is_told = held.enabled and (failures >= DOWN_AFTER or (held.is_told and found is None))
        if is_told != held.is_told:
            self._tell(tx, held, fault, now)
        changed: dict[str, Any] = {"failures": failures, "fault": fault, "is_told": is_told}
        if found is not None:
            changed |= {"answered_at": now, "samples": len(samples)}
        store.replace(tx, msgspec.structs.replace(held, **changed), tuple(changed))

    def change(self, tx: Tx, who: Who, target_id: str, wanted: dict[str, Any]) -> Target:
        """Changes an exporter; one that is switched off is not down any more. Raises what `service.change` raises."""
        now = self._clock.now()
        changed = service.change(tx, who, target_id, wanted, now)
        if changed.enabled or not changed.is_told:
            return changed
        self._tell(tx, changed, None, now)
        changed = msgspec.structs.replace(changed, is_told=False)
        store.replace(tx, changed, ("is_told",))
        return changed

    def remove(self, tx: Tx, who: Who, target_id: str) -> None:
        """Removes an exporter; nothing is down any more. Raises `NotFound`."""
        now = self._clock.now()
        removed = service.remove(tx, who, target_id, now)
        if removed.is_told:
            self._tell(tx, removed, None, now)

    def _words(self, target: Target, found: Sorted) -> list[Sample]:
        samples = list(found.samples)
        for host, look in found.looks:
            samples += rules.ours(self._memory.complete(target.site_id, host, look), target.site_id, host, look.at)
        return samples

    def _tell(self, tx: Tx, target: Target, fault: str | None, now: int) -> None:
        event = EventInput(
            type=DOWN,
            severity=3,
            status="recovery" if fault is None else "problem",
            title=cut(f"{target.name} of {target.host} {'answers again' if fault is None else 'does not answer'}", 200),
            message=fault,
            subject=f"exporter:{target.id}",
            host=target.host,
        )
        self._ingest.take(tx, [Batch([Incoming(event, self._sites.slug_of(target.site_id), now)], None, None)])

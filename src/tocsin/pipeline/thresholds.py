"""Samples against thresholds: what was recorded, what fell silent and what is watched no more becomes events like any other.

State, event, alert and messages are written with the samples that caused them, in one transaction.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tocsin.core.clock import Clock
from tocsin.core.text import cut
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.events.rules import dedup_key, fit_key
from tocsin.events.sites import SiteBook
from tocsin.metrics import model as metrics
from tocsin.metrics.service import Stored
from tocsin.pipeline.ingest import Batch, Ingest
from tocsin.thresholds import rules, store
from tocsin.thresholds.book import ThresholdBook
from tocsin.thresholds.model import Direction, Outcome, Reason, Sample, Threshold, Watched
from tocsin.thresholds.store import Kept

TYPES = {Direction.ABOVE: "metric.above", Direction.BELOW: "metric.below"}
NO_DATA = "metric.no_data"
AT_ONCE = 200  # silences told in one transaction
_SEVERITY = {Reason.WARNED: 3, Reason.CRITICAL: 4, Reason.SILENT: 3}


class Judge:
    """See the module. One instance serves all writer threads; it holds no state of its own."""

    def __init__(self, clock: Clock, sites: SiteBook, book: ThresholdBook, ingest: Ingest) -> None:
        self._clock, self._sites, self._book, self._ingest = clock, sites, book, ingest

    def wants(self, name: str) -> bool:
        """Whether a series of this name can have a threshold."""
        return self._book.watches(name)

    def stored(self, tx: Tx, samples: Stored, now: int) -> None:
        """What `History` has just stored."""
        watched, stirred = [], set()
        thresholds: dict[int, tuple[Threshold, ...]] = {}
        for series_id, one in samples:
            chosen = self._book.remembered(series_id) or self._book.look_up(_watched(series_id, one))
            if chosen.thresholds:
                watched.append((series_id, one))
                thresholds[series_id] = chosen.thresholds
                if not chosen.low < one.value < chosen.high:
                    stirred.add(series_id)
        if not watched:
            return
        known = store.states(tx, {series_id for series_id, _ in watched})
        stirred |= {series_id for series_id, _ in known}  # all others are at rest, and nothing that came changes that
        moved = {
            series_id
            for series_id, one in watched
            if series_id in stirred and not _stays(thresholds[series_id], known, series_id, one.value)
        }
        came: dict[int, tuple[Watched, list[Sample]]] = {}
        for series_id, one in watched:
            if series_id in moved:
                found = came.get(series_id)
                if found is None:
                    found = came[series_id] = (_watched(series_id, one), [])
                found[1].append(Sample(one.at, one.value))
        if came:
            self._judge(tx, list(came.values()), known, now)

    def recorded(self, tx: Tx, came: Sequence[tuple[Watched, Sequence[Sample]]], now: int) -> None:
        """These samples were recorded in this transaction, each series once."""
        self._judge(tx, came, store.states(tx, {series.id for series, _ in came}), now)

    def _judge(self, tx: Tx, came: Sequence[tuple[Watched, Sequence[Sample]]], known: dict[store.Place, Kept], now: int) -> None:
        held = [(series, samples, found) for series, samples in came if (found := self._book.of(series))]
        events, changed = [], []
        for series, samples, thresholds in held:
            for threshold in thresholds:
                before = known.get((series.id, threshold.direction))
                judged = rules.judge(threshold, None if before is None else before.state, samples, now)
                kept = Kept(series, threshold.direction, threshold.id, judged.state)
                if _is_news(before, kept):
                    changed.append(kept)
                events += [self._event(threshold, series, outcome, now) for outcome in judged.outcomes]
        store.save(tx, changed)
        self._tell(tx, events)

    def fall_silent(self, tx: Tx) -> bool:
        """Series of which nothing came for too long. True: there may be more."""
        now = self._clock.now()
        found = store.due(tx, now, AT_ONCE)
        events, changed = [], []
        for kept in found:
            threshold = next((one for one in self._book.of(kept.series) if one.direction is kept.direction), None)
            judged = rules.fall_silent(threshold, kept.state, now)
            changed.append(msgspec.structs.replace(kept, state=judged.state))
            if threshold is not None:
                events += [self._event(threshold, kept.series, outcome, now) for outcome in judged.outcomes]
        store.save(tx, changed)
        self._tell(tx, events)
        return len(found) == AT_ONCE

    def release(self, tx: Tx, threshold: Threshold) -> None:
        """*threshold* holds no more: what it told is over. The next sample is judged by what holds instead."""
        now = self._clock.now()
        held = store.of_threshold(tx, threshold.id)
        events = [self._event(threshold, kept.series, outcome, now) for kept in held for outcome in rules.let_go(kept.state)]
        store.forget(tx, [kept.place for kept in held])
        self._tell(tx, events)

    def removed(self, tx: Tx, series_ids: Sequence[int], now: int) -> None:
        """These series are there no more: what was told of them is over."""
        held = store.states(tx, series_ids).values()
        known = {one.id: one for one in self._book.all()}
        told = [(known[kept.threshold_id], kept) for kept in held if kept.threshold_id in known]
        events = [self._event(threshold, kept.series, outcome, now) for threshold, kept in told for outcome in rules.let_go(kept.state)]
        store.forget(tx, [kept.place for kept in held])
        self._tell(tx, events)

    def _event(self, threshold: Threshold, series: Watched, outcome: Outcome, now: int) -> Incoming:
        kind = NO_DATA if outcome.is_about_silence else TYPES[threshold.direction]
        labels = msgspec.json.encode(series.labels, order="sorted").decode()
        event = EventInput(
            type=kind,
            severity=_SEVERITY.get(outcome.reason, 3),
            status="problem" if outcome.is_problem else "recovery",
            title=rules.title(threshold, series, outcome),
            message=rules.explain(threshold, series.name),
            subject=cut(f"metric:{series.name}", 200),
            host=series.host,
            attributes=msgspec.Raw(msgspec.json.encode(_facts(threshold, series, outcome))),
            dedup_key=fit_key(f"{dedup_key(kind, series.name, series.host)}|{labels}"),
        )
        return Incoming(event, self._sites.slug_of(series.site_id), now if outcome.sample is None else outcome.sample.at)

    def _tell(self, tx: Tx, events: list[Incoming]) -> None:
        if events:
            self._ingest.take(tx, [Batch([*events], None, None)])


def _stays(thresholds: Sequence[Threshold], known: Mapping[store.Place, Kept], series_id: int, value: float) -> bool:
    """Whether a value changes nothing about how a series stands to its thresholds."""
    for threshold in thresholds:
        kept = known.get((series_id, threshold.direction))
        if kept is None or kept.threshold_id != threshold.id or not rules.stays(threshold, kept.state, value):
            return False
    return True


def _watched(series_id: int, one: metrics.Sample) -> Watched:
    return Watched(series_id, one.site_id, one.name, one.host or None, dict(one.labels))


def _is_news(before: Kept | None, after: Kept) -> bool:
    """Whether it is worth a write. That a newer sample changed nothing is not: judged again, the older ones would change nothing either."""
    if before is None:
        return not after.state.is_at_rest
    same = msgspec.structs.replace(before.state, last_at=after.state.last_at) == after.state
    return not same or before.threshold_id != after.threshold_id


def _facts(threshold: Threshold, series: Watched, outcome: Outcome) -> dict[str, object]:
    """What matchers and rules may look at."""
    facts: dict[str, object] = {"metric": series.name, **{f"label_{name}": value for name, value in series.labels.items()}}
    facts |= {"threshold": threshold.id, "warning": threshold.warning, "critical": threshold.critical, "reason": outcome.reason.value}
    return facts if outcome.sample is None else facts | {"value": outcome.sample.value}

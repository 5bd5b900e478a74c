"""Taking samples in, and finding what was measured."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import isfinite
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.db.writer import Tx
from tocsin.metrics import packing, queries, removing, rolling, settling, store, trimming
from tocsin.metrics.model import Curve, Question, Reading, Recorded, Removed, Sample, Series, SeriesFilter
from tocsin.metrics.store import HistoryStore, Key, Point, Row

if TYPE_CHECKING:
    from tocsin.metrics.packs import Columns


MOST_REMOVED = 1_000  # series in one transaction


class LimitReport(Protocol):
    """Who is told that a site has as many series as it may have, and that it has room again."""

    def is_full(self, tx: Tx, site_id: int, limit: int, now: int) -> None:
        """Series could not be made. Called each time: it is the hearer's to say it once."""
        ...

    def has_room(self, tx: Tx, site_id: int, limit: int, now: int) -> None:
        """Series were made, and there is room for more."""
        ...


Stored = list[tuple[int, Sample]]  # each with the id of its series


class Follower(Protocol):
    """Who looks at samples as they are stored."""

    def wants(self, name: str) -> bool:
        """Whether samples of this name are of interest."""
        ...

    def stored(self, tx: Tx, samples: Stored, now: int) -> None:
        """These were just stored, or were there before: in the same transaction."""
        ...

    def removed(self, tx: Tx, series_ids: Sequence[int], now: int) -> None:
        """These are there no more: in the same transaction."""
        ...


class Piece(Protocol):
    """A piece of work that was looked at and is to be written."""

    def write(self, tx: Tx) -> bool:
        """Writes it; False, and nothing is done: something has changed since it was looked at."""
        ...


class History:
    """All that was measured. One instance serves all threads; it remembers which series there are."""

    def __init__(self, keeper: HistoryStore, limit: int, report: LimitReport) -> None:
        """*limit*: how many series a site may have."""
        self._keeper, self._limit, self._report = keeper, limit, report
        self._known: dict[Key, int] = {}
        self._removal = 0  # the newest that is known: what is remembered is right up to there
        self._lock = Lock()
        self._followers: list[Follower] = []

    def follow(self, follower: Follower) -> None:
        """Has *follower* look at all samples from now on."""
        self._followers.append(follower)

    def record(self, tx: Tx, samples: Sequence[Sample], now: int) -> Recorded:
        """Keeps *samples*, which must have been checked (rules.py), and makes the series that are missing."""
        return self.record_all(tx, [samples], now)[0]

    def record_all(self, tx: Tx, batches: Sequence[Sequence[Sample]], now: int) -> list[Recorded]:
        """Like `record`, for what several have sent: the samples of a series lie side by side, and are written together."""
        self._forget_removed(tx)
        ids = [self._ids_for(tx, samples, now) for samples in batches]
        stored = [
            [(one, sample) for one, sample in zip(known, samples, strict=True) if one is not None and isfinite(sample.value)]
            for known, samples in zip(ids, batches, strict=True)
        ]
        added = self._add(tx, [[(series_id, sample.at, sample.value) for series_id, sample in some] for some in stored], now)
        for follower in self._followers:
            names = frozenset(filter(follower.wants, {sample.name for some in stored for _, sample in some}))
            for some in stored:
                wanted = [pair for pair in some if pair[1].name in names]
                if wanted:
                    follower.stored(tx, wanted, now)
        return [
            Recorded(new, len(some) - new, _refused(known, samples) if len(some) < len(known) else ())
            for new, some, known, samples in zip(added, stored, ids, batches, strict=True)
        ]

    def _ids_for(self, tx: Tx, samples: Sequence[Sample], now: int) -> list[int | None]:
        keys = [(sample.site_id, sample.name, sample.host, sample.labels) for sample in samples]
        ids = [*map(self._known.get, keys)]
        if None in ids:
            learned = self._learn(tx, _firsts(keys, ids, samples), now)
            return [learned.get(key) if series_id is None else series_id for key, series_id in zip(keys, ids, strict=True)]
        return ids

    def _add(self, tx: Tx, batches: Sequence[Sequence[Row]], now: int) -> list[int]:
        """How many of each batch were new. If any was there before, they are added one by one: else it is not known whose it was."""
        if len(batches) == 1:
            return [self._keeper.add(tx, batches[0], now)]
        together = [row for rows in batches for row in rows]
        tx.driver.execute("SAVEPOINT adding")
        if self._keeper.add(tx, together, now) == len(together):
            added = [len(rows) for rows in batches]
        else:
            tx.driver.execute("ROLLBACK TO SAVEPOINT adding")
            added = [self._keeper.add(tx, rows, now) for rows in batches]
        tx.driver.execute("RELEASE SAVEPOINT adding")
        return added

    def fill(self, tx: Tx, columns: "Mapping[Key, Columns]", until: int) -> None:
        """Takes whole days of many series at once, up to the midnight *until*; nobody follows (filling.py). Raises `Conflict`."""
        from tocsin.metrics import filling  # noqa: PLC0415 - numpy, which an idle server does not need

        self._forget_removed(tx)
        firsts = {key: int(times[0]) for key, (times, _) in columns.items() if len(times) and key not in self._known}
        ids = {**self._known, **(self._learn(tx, firsts, until) if firsts else {})}
        filling.fill(tx, {ids[key]: found for key, found in columns.items() if key in ids}, until)

    def _learn(self, tx: Tx, firsts: Mapping[Key, int], now: int) -> dict[Key, int]:
        """The ids of series that this process does not know yet; those that are missing are made while the site has room."""
        learned = store.ids_of(tx, [*firsts])
        # By site and host: what one host sends lies in one pack, and has its times in common (packing.py).
        missing = sorted((key for key in firsts if key not in learned), key=lambda key: (key[0], key[2], key[1], key[3]))
        made: list[Key] = []
        for site_id, keys in groupby(missing, key=lambda key: key[0]):
            made += self._within_limit(tx, site_id, [*keys], now)
        if made:
            store.make(tx, {key: firsts[key] for key in made})
            learned |= store.ids_of(tx, made)
        seen = removing.last(tx)
        tx.after_commit(lambda: self._remember(learned, seen))
        return learned

    def _remember(self, learned: Mapping[Key, int], removal: int) -> None:
        """Unless something was removed since it was looked up."""
        with self._lock:
            if removal == self._removal:
                self._known.update(learned)

    def _forget_removed(self, tx: Tx) -> None:
        """What was removed, by whichever process, is not known any more: what comes of it makes it anew."""
        seen = removing.last(tx)
        if seen == self._removal:
            return
        gone = removing.since(tx, self._removal)

        def forget() -> None:
            with self._lock:
                for key in [key for key, series_id in self._known.items() if series_id in gone]:
                    del self._known[key]

        def settle() -> None:
            forget()
            self._removal = max(self._removal, seen)

        forget()
        tx.after_commit(settle)

    def _within_limit(self, tx: Tx, site_id: int, wanted: list[Key], now: int) -> list[Key]:
        room = max(0, self._limit - store.count(tx, site_id))
        if len(wanted) > room:
            self._report.is_full(tx, site_id, self._limit, now)
        elif len(wanted) < room:
            self._report.has_room(tx, site_id, self._limit, now)
        return wanted[:room]

    def remove(self, tx: Tx, who: Who, wanted: SeriesFilter, now: int) -> Removed:
        """Takes series with all that was measured of them away, at most `MOST_REMOVED` at once; what comes of one makes it anew."""
        removing.hold(tx)
        found = store.find(tx.sql, wanted, limit=MOST_REMOVED + 1)
        gone = found[:MOST_REMOVED]
        if not gone:
            return Removed(0, is_all=True)
        removing.remove(tx, gone, now)
        for follower in self._followers:
            follower.removed(tx, [one.id for one in gone], now)
        for site_id, some in groupby(gone, key=lambda one: one.site_id):
            if store.count(tx, site_id) < self._limit:
                self._report.has_room(tx, site_id, self._limit, now)
            what = {"series": sum(1 for _ in some), "name": wanted.name, "host": wanted.host, "labels": dict(wanted.labels)}
            audit.record(tx, who, "history.removed", "history", now, before=what, site_id=site_id)
        return Removed(len(gone), is_all=len(gone) == len(found))

    # Keeping it small.

    def next_piece(self, connection: sa.Connection, days: int, now: int) -> Piece | None:
        """The next little piece of settling, taking out what was removed, rolling up, sealing, and taking out what is older than *days*.

        None: all is done.
        """
        return (
            settling.look(connection, now)
            or removing.look(connection, now)
            or rolling.look(connection, self._keeper, now)
            or packing.look(connection, now)
            or trimming.look(connection, days, now)
        )

    # Reading.

    def find(
        self, connection: sa.Connection, wanted: SeriesFilter, after: store.Place | None = None, limit: int | None = None
    ) -> list[Series]:
        """The series that fit, by site, host, name and labels; *after* goes on behind one of them."""
        return store.find(connection, wanted, after, limit)

    def newest(self, connection: sa.Connection, wanted: SeriesFilter, since: int) -> list[Reading]:
        """The newest value of each series that fits and has one since *since*."""
        return self.newest_of(connection, store.find(connection, wanted), since)

    def newest_of(self, connection: sa.Connection, series: Sequence[Series], since: int) -> list[Reading]:
        """The same, of series that were found before."""
        points = self._keeper.newest(connection, [one.id for one in series], since)
        return [Reading(one, *points[one.id]) for one in series if one.id in points]

    def curves(self, connection: sa.Connection, series: Sequence[Series], question: Question) -> list[Curve]:
        """What *series* were like over a time; one without anything in it is left out."""
        return queries.curves(connection, self._keeper, series, question)

    def columns(self, connection: sa.Connection, series: Sequence[Series], start: int, end: int) -> "dict[int, Columns]":
        """All moments and values of these series from *start* to before *end*, as arrays, by the id of the series."""
        return self._keeper.columns(connection, [one.id for one in series], start, end)

    def oldest(self, connection: sa.Connection) -> int | None:
        """From when on there may be samples; None: there are none."""
        return store.oldest(connection)

    def points(self, connection: sa.Connection, series_id: int, start: int, end: int) -> list[Point]:
        """All moments and values of one series from *start* to before *end*, by time."""
        return self._keeper.points(connection, [series_id], start, end).get(series_id, [])


def _refused(ids: Sequence[int | None], samples: Sequence[Sample]) -> tuple[int, ...]:
    return tuple(place for place, series_id in enumerate(ids) if series_id is None or not isfinite(samples[place].value))


def _firsts(keys: Sequence[Key], ids: Sequence[int | None], samples: Iterable[Sample]) -> dict[Key, int]:
    """The first moment of each series that is not known."""
    firsts: dict[Key, int] = {}
    for key, series_id, sample in zip(keys, ids, samples, strict=True):
        if series_id is None:
            firsts[key] = min(sample.at, firsts.get(key, sample.at))
    return firsts

"""Taking samples in, and finding what was measured."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol

import sqlalchemy as sa

from tocsin.db.writer import Tx
from tocsin.metrics import store
from tocsin.metrics.model import Reading, Recorded, Sample, Series, SeriesFilter
from tocsin.metrics.store import HistoryStore, Key, Point


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


class History:
    """All that was measured. One instance serves all threads; it remembers which series there are."""

    def __init__(self, keeper: HistoryStore, limit: int, report: LimitReport) -> None:
        """*limit*: how many series a site may have."""
        self._keeper, self._limit, self._report = keeper, limit, report
        self._known: dict[Key, int] = {}
        self._followers: list[Follower] = []

    def follow(self, follower: Follower) -> None:
        """Has *follower* look at all samples from now on."""
        self._followers.append(follower)

    def record(self, tx: Tx, samples: Sequence[Sample], now: int) -> Recorded:
        """Keeps *samples*, which must have been checked (rules.py), and makes the series that are missing."""
        keys = [(sample.site_id, sample.name, sample.host, sample.labels) for sample in samples]
        ids = [*map(self._known.get, keys)]
        if None in ids:
            learned = self._learn(tx, _firsts(keys, ids, samples), now)
            ids = [learned.get(key) if series_id is None else series_id for key, series_id in zip(keys, ids, strict=True)]
        rows = [(series_id, sample.at, sample.value) for series_id, sample in zip(ids, samples, strict=True) if series_id is not None]
        added = self._keeper.add(tx, rows)
        for follower in self._followers:
            wanted = [pair for pair in zip(ids, samples, strict=True) if pair[0] is not None and follower.wants(pair[1].name)]
            if wanted:
                follower.stored(tx, wanted, now)  # type: ignore[arg-type]  # none of these ids is None
        refused = [place for place, series_id in enumerate(ids) if series_id is None] if len(rows) < len(ids) else []
        return Recorded(added, len(rows) - added, tuple(refused))

    def _learn(self, tx: Tx, firsts: Mapping[Key, int], now: int) -> dict[Key, int]:
        """The ids of series that this process does not know yet; those that are missing are made while the site has room."""
        learned = store.ids_of(tx, [*firsts])
        missing = sorted(key for key in firsts if key not in learned)
        made: list[Key] = []
        for site_id, keys in groupby(missing, key=lambda key: key[0]):
            made += self._within_limit(tx, site_id, [*keys], now)
        if made:
            store.make(tx, {key: firsts[key] for key in made})
            learned |= store.ids_of(tx, made)
        tx.after_commit(lambda: self._known.update(learned))
        return learned

    def _within_limit(self, tx: Tx, site_id: int, wanted: list[Key], now: int) -> list[Key]:
        room = max(0, self._limit - store.count(tx, site_id))
        if len(wanted) > room:
            self._report.is_full(tx, site_id, self._limit, now)
        elif len(wanted) < room:
            self._report.has_room(tx, site_id, self._limit, now)
        return wanted[:room]

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

    def points(self, connection: sa.Connection, series_id: int, start: int, end: int) -> list[Point]:
        """All moments and values of one series from *start* to before *end*, by time."""
        return self._keeper.points(connection, series_id, start, end)


def _firsts(keys: Sequence[Key], ids: Sequence[int | None], samples: Iterable[Sample]) -> dict[Key, int]:
    """The first moment of each series that is not known."""
    firsts: dict[Key, int] = {}
    for key, series_id, sample in zip(keys, ids, samples, strict=True):
        if series_id is None:
            firsts[key] = min(sample.at, firsts.get(key, sample.at))
    return firsts

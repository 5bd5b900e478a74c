"""The thresholds in memory, and which of them hold for a series."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.thresholds import rules, store
from tocsin.thresholds.model import Threshold, Watched

_NOTHING: tuple[Threshold, ...] = ()
_MOST_REMEMBERED = 200_000  # series


class Chosen(msgspec.Struct, frozen=True):
    """The thresholds that hold for a series; a value between ``low`` and ``high`` begins nothing at any of them."""

    thresholds: tuple[Threshold, ...]
    low: float
    high: float


class _Known:
    """The thresholds at one moment, with what has been looked up in them."""

    def __init__(self, thresholds: Sequence[Threshold]) -> None:
        self.all = thresholds
        self.by_id: Mapping[str, Threshold] = {one.id: one for one in thresholds}
        self.by_metric: dict[str, list[Threshold]] = {}
        self.chosen: dict[int, Chosen] = {}
        for one in thresholds:
            self.by_metric.setdefault(one.metric, []).append(one)


class ThresholdBook:
    """All thresholds: those of the settings, and those that people have made. Any thread may ask; each sees one consistent set."""

    def __init__(self, defaults: Sequence[Threshold]) -> None:
        self._defaults = tuple(defaults)
        self._known = _Known(self._defaults)

    def load(self, connection: sa.Connection) -> None:
        """Reads what people have made. Nothing happens if that is known already."""
        found = (*store.every(connection), *self._defaults)
        if found != self._known.all:
            self._known = _Known(found)

    def all(self) -> Sequence[Threshold]:
        """What people have made, the newest first; then what the settings make."""
        return self._known.all

    def watches(self, metric: str) -> bool:
        """Whether any series of this name can have a threshold: a quick no for most."""
        return metric in self._known.by_metric

    def of(self, series: Watched) -> tuple[Threshold, ...]:
        """The thresholds that hold for *series*; of each direction the most specific one."""
        known = self._known
        if series.name not in known.by_metric:
            return _NOTHING
        found = known.chosen.get(series.id)
        return (self.look_up(series) if found is None else found).thresholds

    def remembered(self, series_id: int) -> Chosen | None:
        """What holds for a series, if it has been looked up before: then nothing else of it need be known."""
        return self._known.chosen.get(series_id)

    def look_up(self, series: Watched) -> Chosen:
        """What holds for *series*, and is remembered."""
        known = self._known
        thresholds = rules.chosen(known.by_metric.get(series.name, ()), series)
        if len(known.chosen) >= _MOST_REMEMBERED:
            known.chosen.clear()
        found = known.chosen[series.id] = Chosen(thresholds, *rules.harmless(thresholds))
        return found

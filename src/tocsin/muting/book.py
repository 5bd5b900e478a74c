"""What may keep an alert quiet, in memory: refilled when it has changed, sorted anew when a window opens or closes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
import structlog

from tocsin.core.errors import TocsinError
from tocsin.muting import store
from tocsin.muting.matching import Conditions
from tocsin.muting.model import Dependency, Labels, Maintenance, MuteReason, Silence, Window
from tocsin.muting.rules import Active, Chain, Index, Planned, coming, kinds_of, reason_of

log = structlog.get_logger()

Made = TypeVar("Made")

FAR = 1 << 62


class State:
    """What holds from one moment (ms) up to another: the windows that are open, and the dependencies.

    A new state is made whenever something opens, closes or is changed, so that the same state means that nothing has.
    """

    __slots__ = ("_kinds", "chains", "index", "known", "since", "until")

    def __init__(self, since: int, until: int, index: Index, known: "Known") -> None:
        self.since, self.until, self.index, self.known = since, until, index, known
        self.chains = known.chains
        self._kinds = kinds_of(known.chains)

    def __bool__(self) -> bool:
        """Whether anything could be quiet."""
        return len(self.index) > 0 or bool(self.chains)

    def concerns(self, kind: str) -> bool:
        """Whether alerts of a type could be quiet, or be the reason for it: most need no further look."""
        return len(self.index) > 0 or self._kinds(kind)

    def is_parent(self, labels: Labels) -> bool:
        """Whether others may depend on such an alert."""
        return any(chain.is_parent(labels) for chain in self.chains)

    def chains_of(self, labels: Labels) -> list[Chain]:
        """The dependencies that such an alert may be a child of."""
        return [chain for chain in self.chains if chain.is_child(labels)]

    def why(self, labels: Labels) -> MuteReason | None:
        """Which open window keeps such an alert quiet."""
        return self.index.why(labels)


class _Planned:
    """A silence or maintenance with what was worked out about it: its conditions, and the window that is open or comes next."""

    __slots__ = ("conditions", "planned", "window", "worked_out_at")

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.conditions = Conditions(planned.matchers)
        self.window: Window | None = None
        self.worked_out_at = FAR

    def window_at(self, now: int) -> Window | None:
        """The window that is open at *now*, or the next; None if there is none for years."""
        known = self.window
        if known is None or not self.worked_out_at <= now < known.ends_at:
            found = coming(self.planned, now, 1)
            self.window, self.worked_out_at = (found[0] if found else None), now
        return self.window


class Known:
    """All that may mute, ready to be asked: put in the place of what was known before as a whole."""

    __slots__ = ("chains", "planned")

    def __init__(self, planned: tuple[_Planned, ...] = (), chains: tuple[Chain, ...] = ()) -> None:
        self.planned, self.chains = planned, chains


class MuteBook:
    """All silences, maintenance windows and dependencies. Any thread may ask; each sees one consistent state."""

    def __init__(self) -> None:
        self._rows: list[list[tuple[Any, ...]]] = []
        self._known = Known()
        self._state = State(0, FAR, Index(()), self._known)

    def load(self, connection: sa.Connection, now: int) -> None:
        """Reads what may still mute. Nothing happens if it is what is known already."""
        rows = store.unended(connection, now)
        if rows == self._rows:
            return
        silences, maintenance, dependencies = rows
        planned = (*_made(silences, Silence, _Planned), *_made(maintenance, Maintenance, _Planned))
        self._rows, self._known = rows, Known(planned, _made(dependencies, Dependency, Chain))

    def at(self, now: int) -> State:
        """What holds at *now*."""
        state = self._state
        # Another thread may have put back a state that it worked out from what was known before.
        if state.known is not self._known or not state.since <= now < state.until:
            state = self._state = _worked_out(self._known, now)
        return state


def _worked_out(known: Known, now: int) -> State:
    active, until = [], FAR
    for one in known.planned:
        window = one.window_at(now)
        if window is None:
            continue
        if window.starts_at <= now:
            active.append(Active(one.conditions, reason_of(one.planned, window.ends_at)))
            until = min(until, window.ends_at)
        else:
            until = min(until, window.starts_at)
    return State(now, until, Index(active), known)


def _made(rows: Sequence[Sequence[Any]], kind: type[Any], ready: Callable[[Any], Made]) -> tuple[Made, ...]:
    """The rows, made ready. One that this release cannot use mutes nothing, and is named in the log: rather a page too many."""
    made = []
    for row in rows:
        try:
            made.append(ready(store.read(kind, row)))
        except (TocsinError, msgspec.DecodeError) as error:
            log.error("cannot be used and mutes nothing", what=kind.__name__.lower(), id=row[0], reason=str(error))
    return tuple(made)

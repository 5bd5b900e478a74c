"""A threshold, how a series stands to it, and what becomes of that. Times and lengths in milliseconds."""

import enum
from collections.abc import Mapping

import msgspec

DEFAULT = "default:"  # begins the ids of the thresholds that the settings make
SELF_JUDGED = "check"  # a label of series that a check records: it has limits of its own, so those of the settings leave them alone


class Direction(enum.StrEnum):
    """On which side of its limits a value is a problem."""

    ABOVE = "above"
    BELOW = "below"


class Level(enum.StrEnum):
    """How a series stands to a threshold."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class Reason(enum.StrEnum):
    """Why an event is made."""

    WARNED = "the value has reached the warning limit"
    CRITICAL = "the value has reached the critical limit"
    CLEARED = "the value is back behind the clear limit"
    SILENT = "no sample came for longer than the threshold allows"
    TALKING = "samples come again"
    UNWATCHED = "no threshold watches the series any more"


class Threshold(msgspec.Struct, frozen=True):
    """``site_id``, ``host`` None and no ``labels``: any. A series must have all ``labels``; it may have more.

    ``clear`` is where a warning ends (None: a twentieth of the limit behind it); a critical value ends as far behind its own.
    ``lasts``: how long values must stay beyond a limit. ``missing``: after how long without a sample that is told (None: never).
    Field order is the column order of the store.
    """

    id: str
    site_id: int | None
    host: str | None
    metric: str
    labels: Mapping[str, str]
    direction: Direction
    warning: float | None
    critical: float | None
    clear: float | None = None
    lasts: int = 0
    missing: int | None = None
    enabled: bool = True
    created_by: str = ""
    created_at: int = 0
    updated_at: int = 0

    @property
    def is_default(self) -> bool:
        """Whether the settings make it."""
        return self.id.startswith(DEFAULT)


class Watched(msgspec.Struct, frozen=True):
    """A series as thresholds see it."""

    id: int
    site_id: int
    name: str
    host: str | None
    labels: Mapping[str, str]


class Sample(msgspec.Struct, frozen=True):
    """One measured value."""

    at: int
    value: float


class State(msgspec.Struct, frozen=True):
    """How a series stands to its threshold. ``warning_since`` and ``critical_since``: since when values are beyond that
    limit without a break. ``last_at``: of the newest sample that was judged. ``due_at``: when its silence is told; None: never,
    or it has been (``is_silent``).
    """

    level: Level = Level.OK
    since: int = 0
    warning_since: int | None = None
    critical_since: int | None = None
    last_at: int = 0
    due_at: int | None = None
    is_silent: bool = False

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is wrong or about to be, so that it need not be remembered."""
        return self.level is Level.OK and self.warning_since is None and self.critical_since is None and self.due_at is None


class Outcome(msgspec.Struct, frozen=True):
    """Something to be told: why, and the sample that showed it (None: there was none). Of the value, or of its absence."""

    reason: Reason
    sample: Sample | None = None
    is_about_silence: bool = False

    @property
    def is_problem(self) -> bool:
        """Whether something begins, or gets worse."""
        return self.reason in (Reason.WARNED, Reason.CRITICAL, Reason.SILENT)


class Judgement(msgspec.Struct, frozen=True):
    """How the series stands now, and what is to be told of it."""

    state: State
    outcomes: tuple[Outcome, ...] = ()

"""A heartbeat: what is expected of a job, and how it stands. A dead man's switch: silence is the alarm."""

import enum

import msgspec

from tocsin.core.clock import DAY, MINUTE, SECOND

SHORTEST_PERIOD, LONGEST_PERIOD = MINUTE, 366 * DAY
LONGEST_GRACE = 30 * DAY
SHORTEST_RUN, LONGEST_RUN = SECOND, 30 * DAY
MAX_CRON = 200
MAX_LOG = 10_000  # bytes that are kept of what a job has to say: the end of it
KEPT_PINGS = 100
MOST = 10_000  # heartbeats of an installation


class Kind(enum.StrEnum):
    """What a ping says."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


class Trouble(enum.StrEnum):
    """What can be wrong; the type of its event."""

    MISSED = "heartbeat.missed"
    FAILED = "heartbeat.failed"
    OVERRUNNING = "heartbeat.overrunning"


class Status(enum.StrEnum):
    """How a heartbeat stands, the worst first."""

    PAUSED = "paused"
    FAILED = "failed"
    MISSED = "missed"
    OVERRUNNING = "overrunning"
    RUNNING = "running"
    WAITING = "waiting"  # nothing has come yet, and it is not late
    UP = "up"


class Why(enum.StrEnum):
    """Why something is told."""

    LATE = "it has not reported in time"
    NEVER = "it has never reported"
    SAID_SO = "it reported that it failed"
    STILL_RUNNING = "it reported that it began, and not that it ended"
    REPORTED = "it has reported"
    SUCCEEDED = "it has succeeded"
    ENDED = "it has ended"
    PAUSED = "it was paused"
    CHANGED = "what is expected of it was changed"
    REMOVED = "it was removed"


class Schedule(msgspec.Struct, frozen=True):
    """When a job should run: every ``period`` (ms), or by a cron expression on the clock of a time zone."""

    period: int | None = None
    cron: str | None = None
    time_zone: str = "UTC"


class Heartbeat(msgspec.Struct, frozen=True):
    """One job. Times in milliseconds. ``grace``: how late it may be. ``longest_run`` None: however long it takes.

    ``expected_at`` is when it should report next, ``due_at`` when there is something to decide (None: never).
    """

    id: str
    site_id: int
    name: str
    schedule: Schedule
    grace: int
    longest_run: int | None
    severity: int
    created_at: int
    updated_at: int
    paused_at: int | None = None
    expected_at: int | None = None
    due_at: int | None = None
    started_at: int | None = None  # of a run that has not ended
    last_ping_at: int | None = None
    last_kind: Kind | None = None
    last_took: int | None = None  # of the last run that said when it began
    missed_at: int | None = None  # since when that is told
    failed_at: int | None = None
    overrunning_at: int | None = None

    @property
    def status(self) -> Status:
        """How it stands now."""
        if self.paused_at is not None:
            return Status.PAUSED
        if self.failed_at is not None:
            return Status.FAILED
        if self.missed_at is not None:
            return Status.MISSED
        if self.overrunning_at is not None:
            return Status.OVERRUNNING
        if self.started_at is not None:
            return Status.RUNNING
        return Status.WAITING if self.last_ping_at is None else Status.UP


class Ping(msgspec.Struct, frozen=True):
    """One report of a job. ``took``: since its start, if it said so. ``log``: the end of what it had to say."""

    at: int
    kind: Kind
    took: int | None = None
    exit_code: int | None = None
    address: str = ""
    log: str = ""


class News(msgspec.Struct, frozen=True):
    """A trouble that has begun, or is over."""

    trouble: Trouble
    over: bool
    why: Why


class Decision(msgspec.Struct, frozen=True):
    """The heartbeat as it now is, and what is told."""

    heartbeat: Heartbeat
    news: tuple[News, ...] = ()


class Away(msgspec.Struct, frozen=True):
    """A time in which Tocsin itself could take no ping: what was expected within it is not judged."""

    since: int
    until: int

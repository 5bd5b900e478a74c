"""Alerts and what may happen to them."""

import enum
from typing import Any

import msgspec

MAX_NOTE = 2_000  # characters of what a person writes to an action


class Status(enum.StrEnum):
    """Where an alert stands. At most one alert per site and dedup key is not resolved."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # somebody has it; quiet until severity rises or the acknowledgement expires
    SNOOZED = "snoozed"  # quiet until a moment
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, gc=False):
    """One problem, from its first event to its end. Times in milliseconds. Field order is the column order of the store."""

    number: int
    id: str
    site_id: int
    dedup_key: str
    type: str
    title: str
    message: str | None
    subject: str | None
    host: str | None
    severity: int
    status: str
    occurrences: int
    generation: int
    first_seen_at: int
    last_seen_at: int
    attributes: str | None = None  # JSON, of the event that opened it
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    snoozed_until: int | None = None
    resolved_at: int | None = None
    resolved_by: str | None = None
    resolution: str | None = None
    assignee: str | None = None
    previous_alert_id: str | None = None
    due_at: int | None = None
    muted_by: str | None = None
    is_parent: bool | None = None
    hold: str | None = None  # JSON: what event rules hold back, see holds.py
    flap: str | None = None  # JSON: how it comes and goes, see flaps.py
    noise_at: int | None = None  # when one of the two has to be looked at


class Reason(enum.StrEnum):
    """Why a step was taken: the same words in the history, the log and the tests."""

    FIRST_EVENT = "first event of this problem"
    SAME_PROBLEM_RETURNED = "the same problem returned within the flap window"
    SEVERITY_ROSE = "severity rose"
    RECOVERY_EVENT = "a recovery event arrived"
    ASKED = "asked for"
    ACKNOWLEDGEMENT_EXPIRED = "nobody resolved it before the acknowledgement expired"
    SNOOZE_ENDED = "the snooze ended with the problem still there"
    MUTE_BEGAN = "a silence, maintenance or dependency began to keep it quiet"
    MUTE_CHANGED = "something else keeps it quiet now"
    MUTE_ENDED = "what kept it quiet ended with the problem still there"
    ESCALATED = "somebody asked for more people to be told"
    SOMEBODY_FOUND = "there is somebody to tell now"
    LOST_SIGHT = "it was open and nothing was to happen any more"
    THRESHOLD_REACHED = "as many events came as the rule asks for"
    CAME_AND_WENT = "it came back too often in a short time"
    STILL_FLAPPING = "it still comes and goes"
    STAYED_AWAY = "it has stayed away for long enough"
    STAYED = "it has stayed for long enough without going away"


class Action(enum.StrEnum):
    """What happened, as the history names it."""

    OPENED = "opened"
    REOPENED = "reopened"
    SEVERITY_RAISED = "severity_raised"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    SNOOZED = "snoozed"
    SNOOZE_ENDED = "snooze_ended"
    RESOLVED = "resolved"
    MUTED = "muted"
    UNMUTED = "unmuted"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    FLAPPING = "flapping"  # it comes and goes: from now on summaries only
    CALMED = "calmed"  # it does so no longer
    UNDONE = "undone"  # somebody took their last action back
    RESTARTED = "restarted"  # people are told of it from the beginning, because they could not be before
    ESCALATED = "escalated"  # a level of the policy was told: the details say which, and whom
    NOTIFIED = "notified"  # a message reached its provider, or did not: the details say which


class HistoryLine(msgspec.Struct, frozen=True, gc=False):
    """One step in an alert's life: who, what, why. ``details`` is small JSON."""

    at: int
    actor: str
    action: str
    reason: str
    details: dict[str, Any] | None = None


class Notice(enum.StrEnum):
    """What people are to be told; the ``kind`` of the messages that follow."""

    OPENED = "opened"
    ESCALATED = "escalated"  # louder than before
    REPEATED = "repeated"  # still there
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Policy(msgspec.Struct, frozen=True):
    """The numbers that the rules need, in milliseconds; 0 switches the rule off."""

    flap_window: int
    ack_expiry: int


class Before(msgspec.Struct, frozen=True, array_like=True):
    """How an alert stood before an action, so that it can be taken back; and how right after it, to see whether it still does."""

    number: int
    status: str
    acknowledged_at: int | None
    acknowledged_by: str | None
    snoozed_until: int | None
    resolved_at: int | None
    resolved_by: str | None
    resolution: str | None
    assignee: str | None
    due_at: int | None
    status_after: str
    generation_after: int
    assignee_after: str | None

    @classmethod
    def of(cls, before: Alert, after: Alert) -> "Before":
        """What is to be remembered of a step."""
        kept: list[Any] = [getattr(before, name) for name in UNDOABLE]
        return cls(*[before.number, *kept, after.status, after.generation, after.assignee])


UNDOABLE = (
    *("status", "acknowledged_at", "acknowledged_by", "snoozed_until", "resolved_at", "resolved_by", "resolution"),
    *("assignee", "due_at"),
)


class AlertChange(msgspec.Struct, frozen=True, gc=False):
    """A decision: the alert as it shall be, which of its columns that changes, what to write down and what to tell.

    ``changed`` is empty for an alert that does not exist yet (``is_new``). ``silence_pending``: messages that are
    still waiting have lost their point. ``muted_by``: why nobody is to be told of this change. ``policy``: the id of the
    policy by which people are told, if that is not the site's own.
    """

    alert: Alert
    changed: tuple[str, ...] = ()
    history: tuple[HistoryLine, ...] = ()
    notice: Notice | None = None
    silence_pending: bool = False
    is_new: bool = False
    muted_by: str | None = None
    policy: str | None = None

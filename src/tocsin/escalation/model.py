"""Escalation policies, and where an alert stands in one."""

import enum

import msgspec

from tocsin.core.clock import SECOND

LEVELS = 100  # levels that a cycle can have, at most; a message's `step` is cycle x LEVELS + level


class TargetKind(enum.StrEnum):
    """Whom a step can name. The first five are named by an id; the others are groups, worked out when the step is due."""

    USER = "user"
    SCHEDULE = "schedule"  # whoever is on call there
    TEAM = "team"  # all its members
    CHANNEL = "channel"  # a contact that belongs to nobody: a chat room, a topic that all read
    WEBHOOK = "webhook"  # the same, for programs
    ON_CALL = "on_call"  # whoever is on call in any schedule; without schedules everybody who may act on alerts
    ADMINS = "admins"  # the administrators
    SHARED = "shared"  # all contacts that belong to nobody, those of the settings among them


NAMED = (TargetKind.USER, TargetKind.SCHEDULE, TargetKind.TEAM, TargetKind.CHANNEL, TargetKind.WEBHOOK)


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a step tells. ``id`` is empty for a group."""

    kind: TargetKind
    id: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One level of a policy: so long after the level before it (the first: after the alert opened) these are told.

    ``delay_by_severity`` overrides the delay for some severities. ``severity_min``: quieter alerts pass the step over.
    ``channels``: the kinds of contacts to use; who has none of them is told on all others. Empty: as each person's rules say.
    """

    delay_seconds: int
    targets: tuple[Target, ...]
    delay_by_severity: dict[int, int] = {}
    severity_min: int = 1
    channels: tuple[str, ...] = ()

    def delay(self, severity: int) -> int:
        """Milliseconds to wait before this step."""
        return self.delay_by_severity.get(severity, self.delay_seconds) * SECOND


class EscalationPolicy(msgspec.Struct, frozen=True):
    """Steps in order; after the last, all of them again ``repeat`` times.

    ``entry`` says for some severities at which level they begin. A version never changes: an alert keeps to the one with
    which it was opened.
    """

    id: str
    name: str
    steps: tuple[Step, ...]
    repeat: int = 0
    entry: dict[int, int] = {}
    version: int = 1

    def count(self, progress: "Progress") -> int:
        """The level that people see: counted on when the list repeats, so that no two moments of an escalation look alike; -1: none yet."""
        return progress.level if progress.level < 0 else progress.cycle * len(self.steps) + progress.level


class Standing(enum.StrEnum):
    """How an alert's escalation is."""

    RUNNING = "running"  # the next step has its moment
    ENDED = "ended"  # all steps are done
    STOPPED = "stopped"  # the alert was acknowledged, snoozed or resolved
    MUTED = "muted"  # kept quiet by a silence, maintenance or a dependency; starts when that ends
    ALONE = "alone"  # there was nobody at all to tell; begins anew as soon as there is somebody


class Progress(msgspec.Struct, frozen=True, gc=False):
    """How far one alert has come. ``level`` is the last level that was done, -1 before the first. Field order is the column order.

    ``reached`` counts the messages promised in this generation.
    """

    alert_number: int
    generation: int
    policy_id: str
    policy_version: int
    severity: int
    level: int
    cycle: int
    state: str
    next_at: int | None
    started_at: int
    reached: int = 0

    @property
    def step(self) -> int:
        """The number under which messages of the last level are kept."""
        return self.cycle * LEVELS + max(self.level, 0)


class StepReason(enum.StrEnum):
    """Why a step was taken, or none: the same words in the history, the log and the tests."""

    OPENED = "the alert opened"
    NOT_TAKEN = "nobody acknowledged it in time"
    AGAIN = "nobody acknowledged it, so the policy starts again"
    NOBODY_REACHED = "nobody could be reached on the level before"
    ASKED = "asked for"
    OVERDUE = "it was due while Tocsin did not run"
    NOT_DUE = "the next level has its time still to come"
    NOT_RUNNING = "the escalation does not run"
    ALREADY = "somebody else has escalated it already"
    AT_THE_END = "the last level has been reached"


class EscalationDecision(msgspec.Struct, frozen=True):
    """What follows now: the progress as it shall be, and the step to carry out, if any, with the moment at which it was due."""

    progress: Progress
    reason: StepReason
    step: Step | None = None
    due_at: int = 0

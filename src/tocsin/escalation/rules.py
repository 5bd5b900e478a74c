"""The decisions of escalation, as pure functions: progress + policy + now -> `EscalationDecision`; and what a policy may be.

    begin -> level 0 -> level 1 -> ... -> last level -> (again, `repeat` times) -> ended
               acknowledge, snooze, resolve: stopped.   muted: waits for quiet to end.   nobody at all: alone.

The timetable of a generation follows from its beginning alone: a level is due its delay after the level before it *was
due*, however late that was done. What nobody hears, and what somebody asks for, is done at once and moves all that follows.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from tocsin.core.clock import DAY, MINUTE, SECOND
from tocsin.core.errors import FieldError
from tocsin.core.severity import Severity
from tocsin.core.times import in_words
from tocsin.escalation.model import (
    EscalationDecision,
    EscalationPolicy,
    Progress,
    Standing,
    Step,
    StepReason,
    Target,
    TargetKind,
)

replace = msgspec.structs.replace

MAX_STEPS = 20
MAX_TARGETS = 20
MAX_REPEAT = 20
MAX_DELAY = 7 * DAY
MIN_CYCLE = MINUTE  # of a list that repeats: what comes round faster is a loop
MAX_CHAIN = 30 * DAY
LATE = MINUTE  # a level that is done so much after its time was kept from it
BUILT_IN = "default"


# --- The policy that holds where nothing else is said ----------------------------------------------------------------

_WAIT = {5: 900, 4: 1_800, 3: 3_600}
_BUILT_IN = EscalationPolicy(
    id=BUILT_IN,
    name="Built-in policy",
    steps=(
        Step(0, (Target(TargetKind.ON_CALL), Target(TargetKind.SHARED)), severity_min=2),
        Step(3_600, (Target(TargetKind.ADMINS), Target(TargetKind.SHARED)), _WAIT, severity_min=3, channels=("email",)),
        Step(3_600, (Target(TargetKind.ON_CALL), Target(TargetKind.SHARED)), _WAIT, severity_min=3, channels=("sms", "voice")),
    ),
)
# Every version that was ever shipped stays here: alerts that were opened with it keep to it.
BUILT_IN_VERSIONS: Mapping[int, EscalationPolicy] = {1: _BUILT_IN}
_NEWEST = BUILT_IN_VERSIONS[max(BUILT_IN_VERSIONS)]


def built_in() -> EscalationPolicy:
    """The policy of an installation that has made none (A3, A4)."""
    return _NEWEST


# --- Going on --------------------------------------------------------------------------------------------------------


def begin(alert_number: int, generation: int, severity: int, policy: EscalationPolicy, now: int) -> Progress:
    """The progress of an alert of which people have to hear from *now* on. Nothing is done yet; the first step may be due."""
    first = _first(policy, severity)
    state, next_at = (Standing.ENDED, None) if first is None else (Standing.RUNNING, now + policy.steps[first].delay(severity))
    return Progress(alert_number, generation, policy.id, policy.version, severity, -1, 0, state.value, next_at, now)


def next_step(progress: Progress, policy: EscalationPolicy, now: int, because: StepReason | None = None) -> EscalationDecision:
    """The step that is due, if one is. Asking again with the progress that comes back gives the one after it, if that is due too.

    *because* is the reason when the step was brought forward (`hurry`, `escalate`).
    """
    if progress.state != Standing.RUNNING or progress.next_at is None:
        return EscalationDecision(progress, StepReason.NOT_RUNNING)
    if progress.next_at > now:
        return EscalationDecision(progress, StepReason.NOT_DUE)
    place = _following(policy, progress)
    if place is None:
        return EscalationDecision(_ended(progress), StepReason.AT_THE_END)
    level, cycle = place
    due_at = progress.next_at
    reason = because or _why(progress, cycle, now - due_at)
    done = replace(progress, level=level, cycle=cycle)
    after = _following(policy, done)
    done = _ended(done) if after is None else replace(done, next_at=due_at + policy.steps[after[0]].delay(progress.severity))
    return EscalationDecision(done, reason, policy.steps[level], due_at)


def _why(progress: Progress, cycle: int, late: int) -> StepReason:
    if late >= LATE:
        return StepReason.OVERDUE
    if progress.level < 0:
        return StepReason.OPENED
    return StepReason.AGAIN if cycle > progress.cycle else StepReason.NOT_TAKEN


def hurry(progress: Progress, now: int) -> Progress:
    """Nobody was reached: the next level, if there is one, is due now (hard rule 8)."""
    return replace(progress, next_at=now) if progress.state == Standing.RUNNING else progress


def escalate(progress: Progress, policy: EscalationPolicy, from_level: int | None, now: int) -> EscalationDecision:
    """Somebody asks for the next level. *from_level* is the level that they saw (`count`): if it has changed since, nothing is done."""
    if from_level is not None and policy.count(progress) != from_level:
        return EscalationDecision(progress, StepReason.ALREADY)
    if _following(policy, progress) is None:
        return EscalationDecision(progress, StepReason.AT_THE_END)
    return next_step(replace(progress, state=Standing.RUNNING.value, next_at=now), policy, now, StepReason.ASKED)


def rest(progress: Progress, standing: Standing) -> Progress:
    """The escalation stands still: the alert was taken, muted, or there is nobody."""
    return replace(progress, state=standing.value, next_at=None)


def _ended(progress: Progress) -> Progress:
    return rest(progress, Standing.ENDED)


def _first(policy: EscalationPolicy, severity: int) -> int | None:
    entry = policy.entry.get(severity, 0)
    return next((level for level in range(entry, len(policy.steps)) if policy.steps[level].severity_min <= severity), None)


def _following(policy: EscalationPolicy, progress: Progress) -> tuple[int, int] | None:
    """Level and cycle after those of *progress*; None at the end."""
    if progress.level < 0:
        first = _first(policy, progress.severity)
        return None if first is None else (first, progress.cycle)
    for level in range(progress.level + 1, len(policy.steps)):
        if policy.steps[level].severity_min <= progress.severity:
            return level, progress.cycle
    first = _first(policy, progress.severity)
    return None if first is None or progress.cycle >= policy.repeat else (first, progress.cycle + 1)


# --- What a policy may be --------------------------------------------------------------------------------------------


class KnownUser(msgspec.Struct, frozen=True):
    """A user as the check of a policy sees one."""

    name: str
    active: bool
    reachable: bool  # has a verified contact


class KnownGroup(msgspec.Struct, frozen=True):
    """A schedule or a team: its name and the ids of its people."""

    name: str
    users: tuple[str, ...]


class Known(msgspec.Struct, frozen=True):
    """Everything that a policy can name, by id. ``channels``: the kind of each. ``kinds``: of contacts that can be set up."""

    users: Mapping[str, KnownUser]
    schedules: Mapping[str, KnownGroup]
    teams: Mapping[str, KnownGroup]
    channels: Mapping[str, str]
    kinds: tuple[str, ...]


def faults(policy: EscalationPolicy, known: Known) -> tuple[FieldError, ...]:
    """All that is wrong with *policy*: what cannot be, and whom it could not reach."""
    return (*_shape_faults(policy, known.kinds), *_reach_faults(policy, known))


def _shape_faults(policy: EscalationPolicy, kinds: Collection[str]) -> Iterator[FieldError]:
    if not 1 <= len(policy.steps) <= MAX_STEPS:
        yield FieldError("steps", f"must have 1 to {MAX_STEPS} steps; it has {len(policy.steps)}")
    if not 0 <= policy.repeat <= MAX_REPEAT:
        yield FieldError("repeat", f"must be a whole number from 0 to {MAX_REPEAT}")
    for place, step in enumerate(policy.steps):
        yield from _step_faults(f"steps[{place}]", step, kinds)
    yield from _entry_faults(policy)
    yield from _chain_faults(policy)


def _step_faults(field: str, step: Step, kinds: Collection[str]) -> Iterator[FieldError]:
    yield from _delay_faults(field, step)
    if not 1 <= step.severity_min <= Severity.CRITICAL:
        yield FieldError(f"{field}.severity_min", "must be a severity from 1 to 5")
    if not 1 <= len(step.targets) <= MAX_TARGETS:
        yield FieldError(f"{field}.targets", f"must name 1 to {MAX_TARGETS}; it names {len(step.targets)}")
    for place, target in enumerate(step.targets):
        if target in step.targets[:place]:
            yield FieldError(f"{field}.targets[{place}]", "is named twice")
    for place, kind in enumerate(step.channels):
        if kind not in kinds:
            yield FieldError(f"{field}.channels[{place}]", f"is none of {', '.join(sorted(kinds))}")


def _delay_faults(field: str, step: Step) -> Iterator[FieldError]:
    delays = {f"{field}.delay_seconds": step.delay_seconds}
    delays |= {f"{field}.delay_by_severity.{severity}": seconds for severity, seconds in step.delay_by_severity.items()}
    for name, seconds in delays.items():
        if not 0 <= seconds * SECOND <= MAX_DELAY:
            yield FieldError(name, f"must be a whole number of seconds from 0 to {MAX_DELAY // SECOND} (7 days)")
    for severity in step.delay_by_severity:
        if not 1 <= severity <= Severity.CRITICAL:
            yield FieldError(f"{field}.delay_by_severity.{severity}", "must be a severity from 1 to 5")


def _entry_faults(policy: EscalationPolicy) -> Iterator[FieldError]:
    for severity, level in policy.entry.items():
        field = f"entry.{severity}"
        if not 1 <= severity <= Severity.CRITICAL:
            yield FieldError(field, "must be a severity from 1 to 5")
        elif not 0 <= level < len(policy.steps):
            yield FieldError(field, f"is no level of this policy; its levels are 0 to {len(policy.steps) - 1}")
        elif policy.steps[level].severity_min > severity:
            yield FieldError(field, f"begins at a level that is for severity {policy.steps[level].severity_min} and louder only")


def _chain_faults(policy: EscalationPolicy) -> Iterator[FieldError]:
    for severity in range(Severity.LOW, Severity.CRITICAL + 1):
        cycle = _cycle(policy, severity)
        if policy.repeat > 0 and cycle == 0 and _first(policy, severity) is not None:
            yield FieldError(
                "repeat",
                f"would tell the same people {policy.repeat + 1} times in the same moment at severity {severity}: give a step a delay",
            )
            return
        if policy.repeat > 0 and 0 < cycle < MIN_CYCLE:
            yield FieldError(
                "repeat", f"would tell the same people again after {in_words(cycle)} at severity {severity}; at least 1 min must pass"
            )
            return
        if cycle * (policy.repeat + 1) > MAX_CHAIN:
            yield FieldError("repeat", f"takes {in_words(cycle * (policy.repeat + 1))} at severity {severity}; at most 30 d are allowed")
            return
    for level in range(len(policy.steps)):
        if not any(level in _levels(policy, severity) for severity in range(Severity.LOW, Severity.CRITICAL + 1)):
            yield FieldError(f"steps[{level}]", "is never reached: at every severity the policy begins behind it")


def _levels(policy: EscalationPolicy, severity: int) -> list[int]:
    first = _first(policy, severity)
    return [] if first is None else [n for n in range(first, len(policy.steps)) if policy.steps[n].severity_min <= severity]


def _cycle(policy: EscalationPolicy, severity: int) -> int:
    """How long all levels take at this severity, in milliseconds."""
    return sum(policy.steps[level].delay(severity) for level in _levels(policy, severity))


def _reach_faults(policy: EscalationPolicy, known: Known) -> Iterator[FieldError]:
    for level, step in enumerate(policy.steps):
        for place, target in enumerate(step.targets):
            complaint = _unreachable(target, known)
            if complaint:
                yield FieldError(f"steps[{level}].targets[{place}].id", complaint)


def _unreachable(target: Target, known: Known) -> str | None:
    """Why nobody would hear of a step that names *target*, or None."""
    match target.kind:
        case TargetKind.USER:
            return f"there is no user {target.id[:40]}" if target.id not in known.users else _deaf((target.id,), known)
        case TargetKind.SCHEDULE:
            return _group_fault("schedule", "nobody in its rotations", known.schedules.get(target.id), target, known)
        case TargetKind.TEAM:
            return _group_fault("team", "no members", known.teams.get(target.id), target, known)
        case TargetKind.CHANNEL:
            return None if target.id in known.channels else f"there is no channel {target.id[:40]}"
        case TargetKind.WEBHOOK:
            return None if known.channels.get(target.id) == "webhook" else f"there is no webhook {target.id[:40]}"
        case _:
            return f"must be left out: {target.kind.value} is a group" if target.id else None


def _group_fault(word: str, empty: str, group: KnownGroup | None, target: Target, known: Known) -> str | None:
    if group is None:
        return f"there is no {word} {target.id[:40]}"
    if not group.users:
        return f"the {word} {group.name} has {empty}"
    return _deaf(group.users, known)


def _deaf(users: Collection[str], known: Known) -> str | None:
    """Who of *users* could not be told, by name."""
    gone = [user for user in users if user not in known.users or not known.users[user].active]
    if gone:
        return f"{_names(gone, known)} {'is' if len(gone) == 1 else 'are'} disabled or gone: put somebody else there"
    silent = [user for user in users if not known.users[user].reachable]
    return f"{_names(silent, known)} {'has' if len(silent) == 1 else 'have'} no verified contact" if silent else None


def _names(users: Collection[str], known: Known) -> str:
    return ", ".join(known.users[user].name if user in known.users else user for user in users)

"""What an escalation comes to at one moment: the steps that are due and whom each of them reaches. Pure."""

from collections.abc import Collection

import msgspec

from tocsin.escalation import rules
from tocsin.escalation.model import EscalationPolicy, Progress, Standing, StepReason
from tocsin.notify.reach import Directory, Reached, anybody, reach

replace = msgspec.structs.replace


class Done(msgspec.Struct, frozen=True):
    """One step that is carried out: its level and cycle (in ``progress``), why, when it was due, and whom it reaches.

    ``first``: of its generation.
    """

    progress: Progress
    reason: StepReason
    due_at: int
    reached: Reached
    first: bool


class Plan(msgspec.Struct, frozen=True):
    """The progress as it shall be, and the steps that led there, in order."""

    progress: Progress
    steps: tuple[Done, ...] = ()

    @property
    def missed(self) -> list[str]:
        """Who was meant and not reached, in words."""
        return list(dict.fromkeys(line for step in self.steps for line in step.reached.missed))


def carry_on(
    progress: Progress,
    policy: EscalationPolicy,
    directory: Directory,
    site_id: int,
    now: int,
    because: StepReason | None = None,
    asked: Collection[str] = (),
) -> Plan:
    """Every step that is due. One that reaches nobody brings the next forward; if none reached anybody ever, somebody else is found.

    Contacts that were *asked* already, in vain, count as nobody.
    """
    done: list[Done] = []
    while True:
        decision = rules.next_step(progress, policy, now, because)
        first, progress = progress.level < 0, decision.progress
        if decision.step is None:
            break
        reached = reach(decision.step, _loudness(progress), directory, site_id, now)
        progress = replace(progress, reached=progress.reached + len(reached.promises))
        done.append(Done(progress, decision.reason, decision.due_at, reached, first))
        because = None if is_heard(reached, asked) else StepReason.NOBODY_REACHED
        if because:
            progress = rules.hurry(progress, now)
    if done and progress.state == Standing.ENDED and progress.reached == 0:
        return _last_resort(progress, done, directory, now)
    return Plan(progress, tuple(done))


def preview(policy: EscalationPolicy, severity: int, directory: Directory, site_id: int, at: int) -> tuple[Done, ...]:
    """Whom an alert of this severity that opens at *at* would reach, if nobody ever took it: every step, at its moment."""
    progress, done = rules.begin(0, 1, severity, policy, at), list[Done]()
    while progress.next_at is not None:
        plan = carry_on(progress, policy, directory, site_id, progress.next_at)
        done += plan.steps
        progress = plan.progress
    return tuple(done)


def is_heard(reached: Reached, asked: Collection[str]) -> bool:
    """Whether a step reaches somebody who was not asked in vain."""
    return any(promise.contact.id not in asked for promise in reached.promises)


def _loudness(progress: Progress) -> int:
    """An alert that is for the log only is escalated when somebody asks for it; then it is told like a low one."""
    return max(progress.severity, 2)


def _last_resort(progress: Progress, done: list[Done], directory: Directory, now: int) -> Plan:
    found = anybody(_loudness(progress), directory, now)
    if not found.promises:
        return Plan(rules.rest(progress, Standing.ALONE), tuple(done))
    progress = replace(progress, reached=len(found.promises))
    last = done[-1]
    reached = Reached(found.promises, last.reached.missed, last.reached.on_call)
    return Plan(progress, (*done[:-1], Done(progress, StepReason.NOBODY_REACHED, last.due_at, reached, last.first)))

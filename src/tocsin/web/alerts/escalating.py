"""What escalation will do next, in words."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from tocsin.alerts.model import Alert, Status
from tocsin.escalation import rules as escalation_rules, store
from tocsin.escalation.model import EscalationPolicy, Progress, Standing, TargetKind
from tocsin.escalation.service import PolicyBook
from tocsin.notify import queries as notify_queries
from tocsin.oncall import service as oncall, store as oncall_store
from tocsin.web.alerts.rules import NextStep
from tocsin.web.overview.rules import first_name

Names = Mapping[str, str]

_GROUPS = {
    TargetKind.ON_CALL: "whoever is on call",
    TargetKind.ADMINS: "the administrators",
    TargetKind.SHARED: "all shared contacts",
}


def target_names(connection: sa.Connection, people: Names) -> dict[str, str]:
    """What the targets of policies are called, by id: people, schedules, teams, shared contacts."""
    names = {ref: first_name(name) for ref, name in people.items()}
    names |= {schedule.id: f"whoever is on {schedule.name}" for schedule in oncall_store.schedules(connection)}
    names |= {team.id: f"the team {team.name}" for team in oncall_store.teams(connection)}
    names |= {contact.id: contact.label or contact.target for contact in notify_queries.people(connection)}
    return names


def upcoming(progress: Progress, policy: EscalationPolicy, names: Names, on_call: Sequence[str] = ()) -> NextStep | None:
    """The step that comes if nobody acts; None if none does. *on_call*: who is on call then."""
    if progress.state != Standing.RUNNING or progress.next_at is None:
        return None
    due = escalation_rules.next_step(progress, policy, progress.next_at)
    if due.step is None:
        return None
    whom: list[str] = []
    for target in due.step.targets:
        if target.kind == TargetKind.ON_CALL and on_call:
            whom += on_call
        else:
            whom.append(_GROUPS.get(target.kind) or names.get(target.id, f"a {target.kind.value}"))
    return NextStep(
        progress.next_at - max(1, due.step.delay(progress.severity)), progress.next_at, f"tells {_listed(list(dict.fromkeys(whom)))}"
    )


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words) or "nobody"
    return f"{', '.join(words[:-1])} and {words[-1]}"


def planned(connection: sa.Connection, alerts: Sequence[Alert], policies: PolicyBook, people: Names) -> dict[int, NextStep]:
    """For each open alert that escalates: what comes next."""
    progress = store.read(connection, [alert.number for alert in alerts if alert.status == Status.OPEN])
    running = {number: one for number, one in progress.items() if one.next_at is not None}
    if not running:
        return {}
    names = target_names(connection, people)
    moments = [one.next_at or 0 for one in running.values()]
    shifts = [
        shift
        for schedule in oncall_store.schedules(connection)
        for shift in oncall.shifts(connection, schedule, min(moments), max(moments) + 1).shifts
    ]
    found = {}
    for number, one in running.items():
        at = one.next_at or 0
        on_call = list(dict.fromkeys(names.get(shift.user, "somebody") for shift in shifts if shift.starts_at <= at < shift.ends_at))
        step = upcoming(one, policies.version(connection, one.policy_id, one.policy_version), names, on_call)
        if step is not None:
            found[number] = step
    return found


def standing_says(progress: Progress | None, policy: EscalationPolicy | None) -> str:
    """Where an alert stands in its policy, for the panel "Why"."""
    if progress is None or policy is None:
        return ""
    steps = len(policy.steps)
    at = f"level {progress.level + 1} of {steps}" if progress.level >= 0 else f"before level 1 of {steps}"
    rounds = f", round {progress.cycle + 1}" if progress.cycle else ""
    return {
        Standing.RUNNING: f"{policy.name}: {at}{rounds}",
        Standing.ENDED: f"{policy.name}: all levels are done",
        Standing.STOPPED: f"{policy.name}: stopped at {at}, since somebody has it",
        Standing.MUTED: f"{policy.name}: waits until it is no longer kept quiet",
        Standing.ALONE: f"{policy.name}: there was nobody to tell",
    }[Standing(progress.state)]

"""A policy as a line of steps, and as a form. Pure functions."""

from collections.abc import Mapping, Sequence

import msgspec

from tocsin.core.clock import SECOND
from tocsin.core.errors import FieldError, InvalidInput
from tocsin.escalation.model import NAMED, EscalationPolicy, Step, Target, TargetKind
from tocsin.escalation.rules import MAX_STEPS, MAX_TARGETS
from tocsin.notify.plan import Done
from tocsin.notify.reach import Directory, Promise
from tocsin.web.alerts.timeline import WAYS
from tocsin.web.groups import Fields, count, several, single, small
from tocsin.web.times import in_words

GROUPS = {
    TargetKind.ON_CALL: "Everybody on call",
    TargetKind.ADMINS: "The administrators",
    TargetKind.SHARED: "All shared channels",
}


class Rung(msgspec.Struct, frozen=True):
    """One step on the line: when, how long after the opening, who hears of it on which way, and who would not."""

    at: int
    after: str
    told: tuple[str, ...]
    missed: tuple[str, ...]
    round: int


def ladder(done: Sequence[Done], directory: Directory, opened: int) -> tuple[Rung, ...]:
    """What would happen to an alert that opens at *opened* and that nobody takes."""
    return tuple(
        Rung(
            step.due_at,
            "at once" if step.due_at <= opened else f"after {in_words(step.due_at - opened)}",
            told(step.reached.promises, directory, step.due_at),
            step.reached.missed,
            step.progress.cycle,
        )
        for step in done
    )


def told(promises: Sequence[Promise], directory: Directory, due_at: int) -> tuple[str, ...]:
    """``Push to Marta and Jonas``, ``Email to Marta, 5 min later``: the messages of one step, those of one way together."""
    by_way: dict[tuple[str, int, bool], list[str]] = {}
    for promise in promises:
        way = WAYS.get(promise.contact.kind, ("", promise.contact.kind.capitalize()))[1]
        names = by_way.setdefault((way, max(0, promise.at - due_at), promise.held), [])
        names.append(_name(promise, directory))
    return tuple(_line(way, list(dict.fromkeys(names)), late, held=held) for (way, late, held), names in by_way.items())


def _name(promise: Promise, directory: Directory) -> str:
    person = directory.people.get(promise.contact.user_id or "")
    return person.name if person is not None else promise.contact.label or promise.contact.target


def _line(way: str, names: Sequence[str], late: int, *, held: bool) -> str:
    whom = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    if held:
        return f"{way} to {whom}, after quiet hours"
    return f"{way} to {whom}" + (f", {in_words(late)} later" if late >= SECOND else "")


# The form.


class StepForm(msgspec.Struct, frozen=True):
    """One step as the page has it. ``delays``: the delays by severity, ``5:300,4:900``."""

    minutes: str = "0"
    severity_min: str = "1"
    targets: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    delays: str = ""
    places: int = 1


class PolicyForm(msgspec.Struct, frozen=True):
    """All of it: whatever was typed."""

    name: str = ""
    repeat: str = "0"
    steps: tuple[StepForm, ...] = ()
    sites: tuple[str, ...] = ()
    version: str = ""
    do: str = "save"


def form_of(fields: Fields) -> PolicyForm:
    """The fields ``name``, ``s0.minutes``, ``s0.target`` ... put together."""
    steps = tuple(_step(fields, f"s{place}.") for place in range(min(count(fields, "s"), MAX_STEPS)))
    name, repeat, version, do = (single(fields, field) for field in ("name", "repeat", "version", "do"))
    return PolicyForm(name, repeat, steps, several(fields, "site"), version, do or "save")


def _step(fields: Fields, at: str) -> StepForm:
    return StepForm(
        single(fields, f"{at}minutes"),
        single(fields, f"{at}severity_min") or "1",
        several(fields, f"{at}target")[:MAX_TARGETS],
        several(fields, f"{at}channel"),
        single(fields, f"{at}delays"),
    )


def pressed(sent: PolicyForm) -> PolicyForm:
    """The form after one of its buttons: ``step`` (one more), ``drop 1``, ``places 1``."""
    deed, _, which = sent.do.partition(" ")
    steps, place = list(sent.steps), small(which)
    if deed == "step" and len(steps) < MAX_STEPS:
        steps.append(StepForm("15"))
    elif place is not None and place < len(steps):
        if deed == "drop":
            del steps[place]
        elif deed == "places":
            steps[place] = msgspec.structs.replace(steps[place], places=3)
    return msgspec.structs.replace(sent, steps=tuple(steps))


def steps_of(sent: PolicyForm) -> tuple[Step, ...]:
    """The steps that the form says. Raises `InvalidInput` that names each field of the page that cannot be read."""
    errors: list[FieldError] = []
    steps = [_read_step(f"s{place}.", step, errors) for place, step in enumerate(sent.steps)]
    if errors:
        raise InvalidInput(tuple(errors))
    return tuple(steps)


def _read_step(at: str, sent: StepForm, errors: list[FieldError]) -> Step:
    seconds = seconds_of(sent.minutes)
    if seconds is None:
        errors.append(FieldError(f"{at}minutes", "must be a number of minutes, such as 15"))
    if not sent.targets:
        errors.append(FieldError(f"{at}target", "choose whom this step tells"))
    targets = tuple(target for text in sent.targets if (target := target_of(text)) is not None)
    if len(targets) < len(sent.targets):
        errors.append(FieldError(f"{at}target", "choose from the list"))
    return Step(seconds or 0, targets, _delays(sent.delays), small(sent.severity_min) or 0, tuple(dict.fromkeys(sent.channels)))


def seconds_of(minutes: str) -> int | None:
    """``15`` and ``1.5`` minutes in seconds."""
    whole, _, part = minutes.replace(",", ".").partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) < 6 and (not part or (part.isascii() and part.isdigit()))):
        return None
    return round(float(f"{whole}.{part[:4] or 0}") * 60)


def minutes_of(seconds: int) -> str:
    """The same the other way round."""
    return f"{seconds / 60:.4f}".rstrip("0").rstrip(".")


def target_of(text: str) -> Target | None:
    """``user:0190...``, ``on_call:``; None for what is none."""
    kind, _, target_id = text.partition(":")
    if kind not in {one.value for one in TargetKind} or (TargetKind(kind) in NAMED) is not bool(target_id):
        return None
    return Target(TargetKind(kind), target_id)


def _delays(text: str) -> dict[int, int]:
    pairs = (part.partition(":") for part in text.split(",") if part)
    return {int(severity): int(seconds) for severity, _, seconds in pairs if severity in "12345" and small(severity) and _number(seconds)}


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 8


def written(policy: EscalationPolicy, sites: Sequence[str]) -> PolicyForm:
    """A policy as the page has it."""
    steps = tuple(
        StepForm(
            minutes_of(step.delay_seconds),
            str(step.severity_min),
            tuple(f"{target.kind.value}:{target.id}" for target in step.targets),
            step.channels,
            ",".join(f"{severity}:{seconds}" for severity, seconds in sorted(step.delay_by_severity.items())),
        )
        for step in policy.steps
    )
    return PolicyForm(policy.name, str(policy.repeat), steps, tuple(sites), str(policy.version))


def on_page(field: str) -> str:
    """The field of the page that a fault belongs to: ``steps[0].targets[1].id`` is ``s0.target``."""
    if not field.startswith("steps["):
        return field.partition(".")[0] if field.startswith("entry.") else field
    number, _, rest = field.removeprefix("steps[").partition("]")
    name = rest.removeprefix(".").partition("[")[0].partition(".")[0]
    return f"s{number}." + {"targets": "target", "channels": "channel", "severity_min": "severity_min"}.get(name, "minutes")


def offered(directory: Directory) -> tuple[tuple[str, str], ...]:
    """Everybody whom a step can name, as pairs of value and words: groups, schedules, teams, people, shared channels."""
    groups = [(f"{kind.value}:", words) for kind, words in GROUPS.items()]
    schedules = [(f"schedule:{key}", f"On call: {roster.schedule.name}") for key, roster in directory.rosters.items()]
    teams = [(f"team:{team.id}", f"Team: {team.name}") for team in directory.teams.values()]
    people = sorted(((f"user:{person.id}", person.name) for person in directory.people.values() if person.active), key=lambda pair: pair[1])
    channels = [(f"channel:{contact.id}", f"Channel: {contact.label or contact.target}") for contact in directory.shared]
    return (*groups, *schedules, *teams, *people, *channels)


def words_of(targets: Sequence[Target], names: Mapping[str, str]) -> str:
    """``On call: Night watch; Marta Weiss``."""
    return "; ".join(names.get(f"{target.kind.value}:{target.id}", f"a {target.kind.value} that is gone") for target in targets)

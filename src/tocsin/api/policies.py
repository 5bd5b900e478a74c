"""``/policies``: who is told of an alert, in which order, and when; and what a policy would do at a moment."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer, own_site, visible_site
from tocsin.api.fields import Cursor, Id, Level, Limit, Moment, Name, Page, Slug, Time
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.severity import Severity
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.escalation import rules, service, store
from tocsin.escalation.model import EscalationPolicy, Step, Target, TargetKind
from tocsin.escalation.rules import BUILT_IN
from tocsin.escalation.service import PolicyChange
from tocsin.escalation.store import Definition
from tocsin.notify.contacts import read_directory
from tocsin.notify.plan import Done, preview
from tocsin.notify.reach import Directory, Promise, known

Result = TypeVar("Result")

MAX_SECONDS = 604_800
Seconds = Annotated[int, Meta(ge=0, le=MAX_SECONDS, extra={"must": f"be a whole number of seconds from 0 to {MAX_SECONDS} (7 days)"})]
BySeverity = Annotated[dict[int, Seconds], Meta(max_length=5, description="For some severities (1 to 5), instead.")]
Repeat = Annotated[int, Meta(ge=0, le=rules.MAX_REPEAT, description="How often all steps come again after the last.")]
Entry = Annotated[
    dict[int, Annotated[int, Meta(ge=0, le=rules.MAX_STEPS)]],
    Meta(max_length=5, description="For some severities (1 to 5), the level at which they begin; the others begin at 0."),
]
Version = Annotated[int, Meta(ge=1, description="The version that you read; if it is no longer the present one, nothing is changed (409).")]
Kind = Literal["user", "schedule", "team", "channel", "webhook", "on_call", "admins", "shared"]


class TargetIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a step tells: a user (by id or mail address), whoever is on call in a schedule, a team, a channel of the team, a webhook.

    Without an id: `on_call` is whoever is on call in any schedule (without schedules everybody who may act on alerts),
    `admins` the administrators, `shared` all contacts that belong to nobody.
    """

    kind: Kind
    id: Annotated[str, Meta(max_length=254)] = ""


class StepIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level: `delay_seconds` after the one before it (the first: after the alert opens) its targets are told.

    Alerts quieter than `severity_min` pass it over. `channels` names the kinds of contacts to use; people who have none of
    them are told on all others. Without it each person is told as their own rules say.
    """

    delay_seconds: Seconds
    targets: Annotated[tuple[TargetIn, ...], Meta(min_length=1, max_length=rules.MAX_TARGETS)]
    delay_by_severity: BySeverity = {}
    severity_min: Level = 1
    channels: Annotated[tuple[Annotated[str, Meta(max_length=20)], ...], Meta(max_length=20)] = ()


StepsIn = Annotated[
    tuple[StepIn, ...], Meta(min_length=1, max_length=rules.MAX_STEPS, extra={"must": f"be a list of 1 to {rules.MAX_STEPS} steps"})
]


class NewPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy to be made. It must reach somebody on every level."""

    name: Name
    steps: StepsIn
    repeat: Repeat = 0
    entry: Entry = {}


class PolicyPatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. ``steps`` are replaced as a whole."""

    name: Name | None = None
    steps: StepsIn | None = None
    repeat: Repeat | None = None
    entry: Entry | None = None
    version: Version | None = None


class PolicyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class PreviewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What for: an alert that opens at a moment (default: now), of a severity, at a site (default: your only one, or ``main``)."""

    at: Annotated[Moment, Meta(description="When the alert opens.")] | None = None
    severity: Level = 4
    site: Slug | None = None


class TargetOut(msgspec.Struct, frozen=True):
    """Whom a step tells."""

    kind: Kind
    id: Annotated[str, Meta(description="Empty for a group.")]


class StepOut(msgspec.Struct, frozen=True):
    """One level."""

    delay_seconds: int
    delay_by_severity: dict[int, int]
    severity_min: int
    channels: list[str]
    targets: list[TargetOut]


class PolicyOut(msgspec.Struct, frozen=True):
    """A policy. The built-in one (`default`) cannot be changed and has no times."""

    id: Annotated[str, Meta(description="A UUID, or `default`.")]
    name: str
    version: Annotated[int, Meta(description="Counts the changes. An alert keeps to the version with which it was opened.")]
    steps: list[StepOut]
    repeat: int
    entry: dict[int, int]
    created_at: Time | None
    updated_at: Time | None


class PolicyPage(Page, frozen=True):
    """A page of policies by name, the built-in one first."""

    items: list[PolicyOut]


class ToldOut(msgspec.Struct, frozen=True):
    """One message that would be sent."""

    user: Annotated[Id | None, Meta(description="Whose contact it is; null: nobody's.")]
    name: Annotated[str, Meta(description="The person's name, or what the contact is called.")]
    contact: Id
    kind: str
    target: str
    at: Time
    held: Annotated[bool, Meta(description="It would wait for the end of the person's quiet hours.")]


class LevelOut(msgspec.Struct, frozen=True):
    """One level of the preview: when it would be due, whom it would reach, and who is meant and would not be reached."""

    level: int
    cycle: int
    due_at: Time
    reason: str
    told: list[ToldOut]
    missed: list[str]


class PolicyPreviewOut(msgspec.Struct, frozen=True):
    """What would happen to an alert that nobody takes."""

    policy: str
    version: int
    severity: int
    site: str
    at: Time
    levels: list[LevelOut]


class PoliciesApi(Controller):
    """Escalation policies."""

    path = "/policies"
    tags = ("Policies",)

    @get(sync_to_thread=True)
    def list_policies(self, server: TheServer, asked: Given[PolicyQuery]) -> PolicyPage:
        """Lists the policies by name, the built-in one first."""
        after = read_cursor(asked.cursor, "policies", (str, str))
        with server.core.database.read() as connection:
            found = [_BUILT_IN, *sorted(store.all_policies(connection), key=_place)]
        later = [one for one in found if after is None or _place(one) > after]
        items, cursor = cut_page(later[: asked.limit + 1], asked.limit, "policies", _place)
        return PolicyPage(cursor, [_out(one) for one in items])

    @post(status_code=201, opt={"conflict": True})
    async def add_policy(self, server: TheServer, caller: TheCaller, sent: Given[NewPolicy]) -> PolicyOut:
        """Makes a policy. A step that would reach nobody is refused, and the answer says why."""
        now = server.core.clock.now()

        def work(tx: Tx) -> EscalationPolicy:
            directory = read_directory(tx.sql, now)
            wanted = PolicyChange(sent.name, _steps(sent.steps, directory), sent.repeat, sent.entry)
            return service.make(tx, caller.who, wanted, known(directory), now)

        made = await _write(server, work)
        return _out(Definition(made, now, now))

    @get("/{policy_id:str}", sync_to_thread=True)
    def show_policy(self, server: TheServer, policy_id: InPath) -> PolicyOut:
        """Shows one policy; `policy_id` is its id, or `default` for the built-in one."""
        with server.core.database.read() as connection:
            return _out(_BUILT_IN if policy_id == BUILT_IN else store.definition(connection, _id(policy_id)))

    @patch("/{policy_id:str}", opt={"conflict": True})
    async def change_policy(self, server: TheServer, caller: TheCaller, policy_id: InPath, sent: Given[PolicyPatch]) -> PolicyOut:
        """Changes a policy, for alerts that open from now on. With `version`, only if nobody else has changed it since."""
        now, where = server.core.clock.now(), _changeable(policy_id)

        def work(tx: Tx) -> Definition:
            directory = read_directory(tx.sql, now)
            steps = None if sent.steps is None else _steps(sent.steps, directory)
            wanted = PolicyChange(sent.name, steps, sent.repeat, sent.entry, sent.version)
            service.change(tx, caller.who, where, wanted, known(directory), now)
            return store.definition(tx.sql, where)

        return _out(await _write(server, work))

    @delete("/{policy_id:str}", status_code=204, opt={"conflict": True})
    async def remove_policy(self, server: TheServer, caller: TheCaller, policy_id: InPath) -> None:
        """Takes a policy away. Alerts that were opened with it keep to it. While a site or an event rule uses it, it is refused (409)."""
        now, where = server.core.clock.now(), _changeable(policy_id)
        users = [rule.name for rule in server.core.rules.current.rules if rule.actions.policy == where]
        if users:
            raise Conflict(f"the policy is used by the rule {', '.join(users[:5])}: change {'it' if len(users) == 1 else 'them'} first")
        await _write(server, lambda tx: service.delete(tx, caller.who, where, now))

    @get("/{policy_id:str}/preview", sync_to_thread=True)
    def preview_policy(self, server: TheServer, caller: TheCaller, policy_id: InPath, asked: Given[PreviewQuery]) -> PolicyPreviewOut:
        """Shows who would be told, and when, of an alert that nobody takes. Changes nothing."""
        sites = server.core.sites
        site = visible_site(sites, caller, asked.site or own_site(sites, caller))
        at = server.core.clock.now() if asked.at is None else from_datetime(asked.at)
        with server.core.database.read() as connection:
            policy = rules.built_in() if policy_id == BUILT_IN else store.definition(connection, _id(policy_id)).policy
            directory = read_directory(connection, at)
            done = preview(policy, asked.severity, directory, site.id, at) if asked.severity > Severity.INFO else ()
        return PolicyPreviewOut(
            policy.name, policy.version, asked.severity, site.slug, to_text(at), [level_out(one, directory) for one in done]
        )


def _steps(sent: Sequence[StepIn], directory: Directory) -> tuple[Step, ...]:
    by_email = {person.email: person.id for person in directory.people.values()}
    return tuple(
        Step(
            step.delay_seconds,
            tuple(Target(TargetKind(target.kind), _target_id(target, by_email)) for target in step.targets),
            step.delay_by_severity,
            step.severity_min,
            tuple(dict.fromkeys(step.channels)),
        )
        for step in sent
    )


def _target_id(target: TargetIn, by_email: Mapping[str, str]) -> str:
    wanted = target.id.strip().lower()
    return by_email.get(wanted, wanted) if target.kind == "user" else wanted


_BUILT_IN = Definition(rules.built_in(), 0, 0)


def _place(one: Definition) -> tuple[str, str]:
    return ("" if one.policy.id == BUILT_IN else one.policy.name, one.policy.id)


def _id(policy_id: str) -> str:
    if not is_uuid(policy_id.lower()):
        raise NotFound(f"there is no policy {policy_id[:40]}")
    return policy_id.lower()


def _changeable(policy_id: str) -> str:
    if policy_id == BUILT_IN:
        raise Conflict("the built-in policy cannot be changed: make one of your own, and make it the default of your sites")
    return _id(policy_id)


async def _write(server: Server, work: Callable[[Tx], Result]) -> Result:
    """Does *work*, then has this node know it at once; others know it within five seconds."""
    done = await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)
    return done


def _out(one: Definition) -> PolicyOut:
    policy, times = one.policy, (one.created_at or None, one.updated_at or None)
    steps = [_step_out(step) for step in policy.steps]
    return PolicyOut(policy.id, policy.name, policy.version, steps, policy.repeat, policy.entry, *map(to_text_or_none, times))


def _step_out(step: Step) -> StepOut:
    targets = [TargetOut(target.kind.value, target.id) for target in step.targets]
    return StepOut(step.delay_seconds, step.delay_by_severity, step.severity_min, list(step.channels), targets)


def level_out(done: Done, directory: Directory) -> LevelOut:
    """One step of a policy for the wire."""
    told = [_told_out(promise, directory) for promise in done.reached.promises]
    return LevelOut(done.progress.level, done.progress.cycle, to_text(done.due_at), done.reason.value, told, list(done.reached.missed))


def _told_out(promise: Promise, directory: Directory) -> ToldOut:
    contact = promise.contact
    person = directory.people.get(contact.user_id or "")
    name = person.name if person is not None else contact.label or f"{contact.kind} {contact.target}"
    return ToldOut(contact.user_id, name, contact.id, contact.kind, contact.target, to_text(promise.at), promise.held)

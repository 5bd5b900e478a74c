"""``/rules``: what is decided about events before they become alerts; trying that on one event, and on the last month."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer, chosen_site
from tocsin.api.fields import Cursor, Id, Level, Limit, Moment, Name, Page, Slug, Time
from tocsin.api.muting import MatcherIn, MatcherOut, matchers_out, read_matchers
from tocsin.api.paging import cut_page, read_cursor
from tocsin.api.policies import LevelOut, level_out
from tocsin.bootstrap import Core, Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import is_uuid, new_id
from tocsin.core.severity import Severity
from tocsin.core.text import counted
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.escalation.rules import BUILT_IN
from tocsin.events import rules as event_rules
from tocsin.events.model import MAX_DEDUP_KEY, Event, EventInput, Incoming
from tocsin.identity.model import Caller
from tocsin.muting.matching import MAX_MATCHERS
from tocsin.notify.contacts import read_directory
from tocsin.notify.plan import Done, preview
from tocsin.notify.reach import Directory
from tocsin.oncall.definition import RestrictionText
from tocsin.oncall.model import Restriction
from tocsin.pipeline.ingest import describe
from tocsin.ruling import backtest, rules, service, store
from tocsin.ruling.backtest import MAX_DAYS, BackTest
from tocsin.ruling.model import DRAFT, MATCH_FIELDS, RULE_FIELDS, Actions, Decision, EventLabels, EventRule, Ruling, Threshold
from tocsin.ruling.replay import Outcome
from tocsin.ruling.rules import RuleSet
from tocsin.ruling.store import Kept, Version
from tocsin.ruling.templates import MAX_TEMPLATE

Result = TypeVar("Result")

Seconds = Annotated[
    int, Meta(ge=0, le=rules.MAX_DELAY, extra={"must": f"be a whole number of seconds from 0 to {rules.MAX_DELAY} (a day)"})
]
Template = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEMPLATE,
        description=f"Words and fields in braces: {', '.join(RULE_FIELDS)}, attributes.NAME.",
        examples=["{host}: {attributes.gateway} refuses payments"],
        extra={"must": f"have 1 to {MAX_TEMPLATE} characters"},
    ),
]
Position = Annotated[int, Meta(ge=1, le=rules.MAX_RULES, description="1 is asked first.", extra={"must": "be a whole number from 1"})]
VersionNumber = Annotated[int, Meta(ge=1, extra={"must": "be the number of a version"})]
Matching = Annotated[
    tuple[MatcherIn, ...],
    Meta(
        max_length=MAX_MATCHERS,
        description=(
            f"All must match; fields: {', '.join(MATCH_FIELDS)}, attributes.NAME. None: every problem. A rule that mutes needs one."
        ),
        extra={"must": f'be a list of at most {MAX_MATCHERS} objects such as {{"field": "host", "op": "=", "value": "web-1"}}'},
    ),
]
Times = Annotated[
    tuple[RestrictionText, ...],
    Meta(max_length=rules.MAX_TIMES, description="Parts of the week in which the rule holds, any of them. None: always."),
]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="Whose clocks `times` go by.", examples=["Europe/Berlin"])]


class ThresholdIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many events of one problem within so many seconds, before anybody is told."""

    count: Annotated[int, Meta(ge=2, le=rules.MAX_COUNT)]
    within_seconds: Annotated[int, Meta(ge=1, le=rules.MAX_WITHIN)]


class ActionsIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rule decides; what is left out is left to later rules. `policy` is a policy's id, or `default`.

    `delay_seconds`: nobody is told for so long, and never if it is over by then. `mute`: nobody is told at all.
    """

    severity: Level | None = None
    policy: Annotated[str, Meta(min_length=1, max_length=36)] | None = None
    dedup_key: Template | None = None
    title: Template | None = None
    delay_seconds: Seconds | None = None
    threshold: ThresholdIn | None = None
    mute: bool = False


class NewRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule to be made; without `position` it is asked last."""

    name: Name
    actions: ActionsIn
    matchers: Matching = ()
    times: Times = ()
    time_zone: Zone = "UTC"
    stop: Annotated[bool, Meta(description="After it has matched, no later rule is asked.")] = False
    enabled: bool = True
    position: Position | None = None


class RulePatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. `matchers`, `times` and `actions` are replaced as a whole."""

    name: Name | None = None
    actions: ActionsIn | None = None
    matchers: Matching | None = None
    times: Times | None = None
    time_zone: Zone | None = None
    stop: bool | None = None
    enabled: bool | None = None
    position: Position | None = None
    version: Annotated[VersionNumber, Meta(description="The version that you read; if it is no longer the present one: 409.")] | None = None


class Restore(msgspec.Struct, frozen=True, kw_only=True):
    """Which version shall hold again."""

    version: VersionNumber


class RuleQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class DraftRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as it might be: in the place of the one that has this `id`, or as a new one at `position` (default: last)."""

    name: Name
    actions: ActionsIn
    id: Annotated[str, Meta(max_length=36)] | None = None
    matchers: Matching = ()
    times: Times = ()
    time_zone: Zone = "UTC"
    stop: bool = False
    enabled: bool = True
    position: Position | None = None


class TriedEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event as it might come in."""

    type: Annotated[str, Meta(min_length=1, max_length=100)]
    site: Slug | None = None
    severity: Level | None = None
    status: Literal["problem", "recovery", "info"] | None = None
    title: Annotated[str, Meta(max_length=200)] | None = None
    message: Annotated[str, Meta(max_length=4000)] | None = None
    subject: Annotated[str, Meta(max_length=200)] | None = None
    host: Annotated[str, Meta(max_length=253)] | None = None
    attributes: dict[str, Any] = {}
    dedup_key: Annotated[str, Meta(max_length=MAX_DEDUP_KEY)] | None = None
    source: Annotated[str, Meta(max_length=100)] | None = None


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One event, and the rules to try on it: those that hold now, with a draft among them, or without one of them."""

    event: TriedEvent
    rule: DraftRule | None = None
    without: Annotated[str, Meta(max_length=36, description="The id of a rule to leave out.")] | None = None
    at: Annotated[Moment, Meta(description="When it arrives. Default: now.")] | None = None


class BackTestIn(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules to try on the last days: those that hold now, with a draft among them, or without one of them.

    They are compared with those that hold now. With neither, those that hold now are compared with none at all.
    """

    rule: DraftRule | None = None
    without: Annotated[str, Meta(max_length=36, description="The id of a rule to leave out.")] | None = None
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS, extra={"must": f"be a whole number of days from 1 to {MAX_DAYS}"})] = MAX_DAYS


class ActionsOut(msgspec.Struct, frozen=True):
    """What the rule decides; null: nothing about it."""

    severity: int | None
    policy: str | None
    dedup_key: str | None
    title: str | None
    delay_seconds: int | None
    threshold: Threshold | None
    mute: bool


class TimesOut(msgspec.Struct, frozen=True):
    """A part of the week; no weekdays: every day."""

    weekdays: list[int]
    begins: str = msgspec.field(name="from")
    ends: str = msgspec.field(name="to")


class RuleBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says."""

    id: Id
    name: str
    version: Annotated[int, Meta(description="Counts the changes.")]
    enabled: bool
    matchers: list[MatcherOut]
    times: list[TimesOut]
    time_zone: str
    actions: ActionsOut
    stop: bool


class RuleOut(RuleBody, frozen=True, kw_only=True):
    """A rule. Rules are asked in the order of their positions; of each thing, the first that decides it wins."""

    position: int
    created_at: Time
    updated_at: Time
    updated_by: str


class RulePage(Page, frozen=True):
    """A page of rules, in the order in which they are asked."""

    items: list[RuleOut]


class VersionOut(RuleBody, frozen=True, kw_only=True):
    """What a rule once said, since when, and who made it so."""

    created_at: Time
    created_by: str


class VersionPage(Page, frozen=True):
    """A page of a rule's versions, the newest first."""

    items: list[VersionOut]


class VerdictOut(msgspec.Struct, frozen=True):
    """What one rule says to the event: it matched and decided these things, or did not match, and why."""

    rule: Annotated[str, Meta(description="Its id, or `draft`.")]
    name: str
    matched: bool
    decided: list[str]
    why: str | None


class TriedOut(msgspec.Struct, frozen=True):
    """What would become of the event: each rule's verdict, the alert, and who would be told if nobody took it."""

    verdicts: list[VerdictOut]
    status: Literal["problem", "recovery", "info"]
    site: str
    type: str
    severity: int
    title: str
    dedup_key: str | None
    resolves: Annotated[list[str], Meta(description="The dedup keys of the alerts that it would resolve.")]
    policy: str
    held: Annotated[str | None, Meta(description="Why nobody would be told at once, or at all.")]
    told_from: Annotated[Time | None, Meta(description="When the first are told; null: nobody is, or not before more events came.")]
    levels: list[LevelOut]


class OutcomeOut(msgspec.Struct, frozen=True):
    """What one list of rules would have come to: a page is one time that people are told of one alert anew."""

    alerts: int
    pages: int
    by_severity: dict[int, int]


class TypePagesOut(msgspec.Struct, frozen=True):
    """A type of which people would have been told more or less often."""

    type: str
    before: int
    after: int


class BackTestOut(msgspec.Struct, frozen=True):
    """The last days again. Silences, maintenance, dependencies and bundling of messages are left out of both figures."""

    summary: Annotated[str, Meta(examples=["This would have sent 14 pages instead of 63."])]
    since: Time
    until: Time
    events: Annotated[int, Meta(description="How many were looked at; what is only recorded is not.")]
    complete: Annotated[bool, Meta(description="False: there was more than could be looked at in half a minute; it ends at `until`.")]
    before: OutcomeOut
    after: OutcomeOut
    by_type: Annotated[list[TypePagesOut], Meta(description="Where they differ, the most first, at most 20.")]


class RulesApi(Controller):
    """Event rules."""

    path = "/rules"
    tags = ("Rules",)

    @get(sync_to_thread=True)
    def list_rules(self, server: TheServer, asked: Given[RuleQuery]) -> RulePage:
        """Lists the rules in the order in which they are asked."""
        after = read_cursor(asked.cursor, "rules", (int,))
        with server.core.database.read() as connection:
            found = list(enumerate(store.every(connection), 1))
        later = [one for one in found if after is None or one[0] > after[0]]
        items, cursor = cut_page(later[: asked.limit + 1], asked.limit, "rules", lambda one: (one[0],))
        return RulePage(cursor, [rule_out(kept, position) for position, kept in items])

    @post(status_code=201, opt={"conflict": True})
    async def add_rule(self, server: TheServer, caller: TheCaller, sent: Given[NewRule]) -> RuleOut:
        """Makes a rule, for events that arrive from now on."""
        now, policies = server.core.clock.now(), policies_of(server)
        return await _write(server, lambda tx: service.make(tx, caller.who, rule_of(sent), sent.position, policies, now))

    @get("/{rule_id:str}", sync_to_thread=True)
    def show_rule(self, server: TheServer, rule_id: InPath) -> RuleOut:
        """Shows one rule."""
        return _shown(server, rule_id_of(rule_id))

    @patch("/{rule_id:str}", opt={"conflict": True})
    async def change_rule(self, server: TheServer, caller: TheCaller, rule_id: InPath, sent: Given[RulePatch]) -> RuleOut:
        """Changes a rule, or its position, for events that arrive from now on. With `version`, only if nobody has changed it since."""
        now, policies, where = server.core.clock.now(), policies_of(server), rule_id_of(rule_id)
        wanted = _changes(sent)
        if not wanted and sent.position is None:
            raise InvalidInput.of("body", f"names nothing to change; known are {', '.join(RulePatch.__struct_fields__)}")
        return await _write(
            server, lambda tx: service.change(tx, caller.who, where, wanted, sent.position, policies, now, version=sent.version)
        )

    @delete("/{rule_id:str}", status_code=204)
    async def remove_rule(self, server: TheServer, caller: TheCaller, rule_id: InPath) -> None:
        """Takes a rule away. What it kept quiet, and is still open, pages. Its versions are kept: it can be restored."""
        now, where = server.core.clock.now(), rule_id_of(rule_id)
        await server.core.writer.run(lambda tx: service.remove(tx, caller.who, where, now))
        await asyncio.to_thread(server.core.refresh)

    @get("/{rule_id:str}/versions", sync_to_thread=True)
    def list_rule_versions(self, server: TheServer, rule_id: InPath, asked: Given[RuleQuery]) -> VersionPage:
        """Lists all that a rule ever said, the newest first, also of one that was removed."""
        after = read_cursor(asked.cursor, "rule versions", (int,))
        with server.core.database.read() as connection:
            found = store.versions(connection, rule_id_of(rule_id))
        if not found:
            raise NotFound(f"there is no rule {rule_id[:40]}")
        later = [one for one in found if after is None or one.rule.version < after[0]]
        items, cursor = cut_page(later[: asked.limit + 1], asked.limit, "rule versions", lambda one: (one.rule.version,))
        return VersionPage(cursor, [_version_out(one) for one in items])

    @post("/{rule_id:str}/restore", status_code=200, opt={"conflict": True})
    async def restore_rule(self, server: TheServer, caller: TheCaller, rule_id: InPath, sent: Given[Restore]) -> RuleOut:
        """Has an older version hold again, as the next one. A rule that was removed is there again."""
        now, policies, where = server.core.clock.now(), policies_of(server), rule_id_of(rule_id)
        return await _write(server, lambda tx: service.restore(tx, caller.who, where, sent.version, policies, now))

    @post("/try", status_code=200, sync_to_thread=True)
    def try_rules(self, server: TheServer, caller: TheCaller, sent: Given[Try]) -> TriedOut:
        """Shows what would become of one event, and what each rule says to it. Changes nothing."""
        now = server.core.clock.now()
        at = now if sent.at is None else from_datetime(sent.at)
        with server.core.database.read() as connection:
            there = [one.rule for one in store.every(connection)]
        tried = proposed(there, _draft(sent.rule), sent.without, policies_of(server))
        return tried_out(attempt(server, caller, tried, sent.event, at, now))

    @post("/backtest", status_code=200, sync_to_thread=True, opt={"conflict": True})
    def backtest_rules(self, server: TheServer, sent: Given[BackTestIn]) -> BackTestOut:
        """Shows how often people would have been told in the last days, under these rules and as it is. One at a time (409)."""

        def chosen(there: list[EventRule]) -> tuple[Sequence[EventRule], Sequence[EventRule]]:
            tried = proposed(there, _draft(sent.rule), sent.without, policies_of(server))
            return [] if sent.rule is None and sent.without is None else there, tried

        return backtest_out(compare(server, chosen, sent.days))


_one_at_a_time = threading.Lock()


class Draft(msgspec.Struct, frozen=True):
    """A rule as it might be: in the place of the rule ``instead_of``, or as a new one at ``position`` (None: last)."""

    rule: EventRule
    instead_of: str | None = None
    position: int | None = None


class Attempt(msgspec.Struct, frozen=True):
    """What became of one event that was only tried. ``told_from`` None: nobody is told, or not before more events came."""

    event: Event
    site: str
    verdicts: list[VerdictOut]
    policy: str
    held: str | None
    told_from: int | None
    levels: tuple[Done, ...]
    directory: Directory


def attempt(server: Server, caller: Caller, tried: Sequence[EventRule], sent: TriedEvent, at: int, now: int) -> Attempt:
    """What these rules would make of one event that arrives at *at*. Raises `InvalidInput` for what is no event."""
    site = chosen_site(server.core.sites, caller, sent.site, "event.site")
    return attempt_at(server.core, site, tried, sent, at, now)


def attempt_at(core: Core, site: str, tried: Sequence[EventRule], sent: TriedEvent, at: int, now: int) -> Attempt:
    """The same for an event of a *site*."""
    ruleset, event = RuleSet(tried), _event(core, sent, site, now)
    figures_of = core.impacts.figures
    ruled = ruleset.rule(event, site, at, figures_of)
    ruling = ruled.ruling or Ruling(())
    policy = (core.policies.find(ruling.policy) if ruling.policy else None) or core.policies.of_site(event.site_id)
    silence = core.mutes.at(at).why(EventLabels(site, ruled.event))
    held, told_from = (f"muted by {silence.words}", None) if silence is not None else _held(ruled.event, ruling, at)
    with core.database.read() as connection:
        directory = read_directory(connection, at)
    levels = () if told_from is None else preview(policy, ruled.event.severity, directory, event.site_id, told_from)
    verdicts = _verdicts(ruleset, event, ruleset.figures(event, figures_of), at, ruling.decisions, site)
    return Attempt(ruled.event, site, verdicts, policy.name, held, told_from, tuple(levels), directory)


def tried_out(done: Attempt) -> TriedOut:
    """What was tried, for the wire."""
    event = done.event
    return TriedOut(
        verdicts=done.verdicts,
        status=event.status,  # type: ignore[arg-type]  # one of the three
        site=done.site,
        type=event.type,
        severity=event.severity,
        title=event.title,
        dedup_key=event.dedup_key,
        resolves=list(event.ends),
        policy=done.policy,
        held=done.held,
        told_from=to_text_or_none(done.told_from),
        levels=[level_out(one, done.directory) for one in done.levels],
    )


Choose = Callable[[list[EventRule]], tuple[Sequence[EventRule], Sequence[EventRule]]]


def compare(server: Server, choose: Choose, days: int) -> BackTest:
    """The last *days* under two lists of rules, chosen from those that hold. One at a time: raises `Conflict`."""
    if not _one_at_a_time.acquire(blocking=False):
        raise Conflict("another back-test runs just now; ask again when it has ended")
    try:
        with server.core.database.read() as connection:
            before, after = choose([one.rule for one in store.every(connection)])
            now, figures_of = server.core.clock.now(), server.core.impacts.figures
            return backtest.run(connection, before, after, server.core.sites, now, days, figures_of=figures_of)
    finally:
        _one_at_a_time.release()


def policies_of(server: Server) -> frozenset[str]:
    """The ids of the policies that there are."""
    return known_policies(server.core)


def known_policies(core: Core) -> frozenset[str]:
    """The same, without a server."""
    return frozenset([BUILT_IN, *(one.policy.id for one in core.policies.definitions)])


def rule_id_of(rule_id: str) -> str:
    """An id from an address. Raises `NotFound` for what can be none."""
    if not is_uuid(rule_id.lower()):
        raise NotFound(f"there is no rule {rule_id[:40]}")
    return rule_id.lower()


# In.


def rule_of(sent: NewRule | DraftRule) -> EventRule:
    """The rule that somebody asks for."""
    return EventRule(
        DRAFT,
        sent.name,
        read_matchers(list(sent.matchers)),
        _actions(sent.actions),
        _times(sent.times),
        sent.time_zone,
        sent.stop,
        sent.enabled,
    )


def _actions(sent: ActionsIn) -> Actions:
    threshold = None if sent.threshold is None else Threshold(sent.threshold.count, sent.threshold.within_seconds)
    policy = None if sent.policy is None else sent.policy.lower()
    return Actions(sent.severity, policy, sent.dedup_key, sent.title, sent.delay_seconds, threshold, sent.mute)


def _times(sent: Sequence[RestrictionText]) -> tuple[Restriction, ...]:
    return tuple(
        Restriction(time.fromisoformat(one.begins), time.fromisoformat(one.ends), tuple(sorted(set(one.weekdays or ())))) for one in sent
    )


_READ: dict[str, Callable[[Any], Any]] = {
    "actions": _actions,
    "matchers": lambda sent: read_matchers(list(sent)),
    "times": _times,
}


def _changes(sent: RulePatch) -> dict[str, Any]:
    given = {name: getattr(sent, name) for name in RulePatch.__struct_fields__ if name not in ("position", "version")}
    return {name: _READ[name](value) if name in _READ else value for name, value in given.items() if value is not None}


def _draft(sent: DraftRule | None) -> Draft | None:
    return None if sent is None else Draft(rule_of(sent), None if sent.id is None else sent.id.lower(), sent.position)


def proposed(there: Sequence[EventRule], draft: Draft | None, without: str | None, policies: frozenset[str]) -> list[EventRule]:
    """The rules that hold, with a draft among them, or without one of them. Raises `InvalidInput`."""
    left = [rule for rule in there if without is None or rule.id != without.lower()]
    if without is not None and len(left) == len(there):
        raise InvalidInput.of("without", f"there is no rule {without[:40]}")
    if draft is None:
        return left
    found = rules.faults(draft.rule, policies)
    if found:
        raise InvalidInput(tuple(msgspec.structs.replace(one, field=f"rule.{one.field}") for one in found))
    place = len(left) if draft.position is None else draft.position - 1
    if draft.instead_of is not None:
        old = next((n for n, rule in enumerate(left) if rule.id == draft.instead_of), None)
        if old is None:
            raise InvalidInput.of("rule.id", f"there is no rule {draft.instead_of[:40]}")
        del left[old]
        place = old if draft.position is None else place
    return [*left[:place], draft.rule, *left[place:]]


def _event(core: Core, sent: TriedEvent, site: str, now: int) -> Event:
    values = {name: getattr(sent, name) for name in TriedEvent.__struct_fields__ if name not in ("attributes", "site")}
    raw = msgspec.Raw(msgspec.json.encode(sent.attributes)) if sent.attributes else msgspec.Raw()
    checked = event_rules.check(EventInput(**values, site=site, attributes=raw), None, now, escapes=True)
    if not isinstance(checked, Incoming):
        raise InvalidInput(tuple(msgspec.structs.replace(one, field=f"event.{one.field}") for one in checked))
    return describe(checked, new_id(now), core.sites.get(site))


async def _write(server: Server, work: Callable[[Tx], Kept]) -> RuleOut:
    """Does *work*, then has this node know it at once; others know it within five seconds."""
    made = await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)
    return await asyncio.to_thread(_shown, server, made.rule.id)


# Out.


def _shown(server: Server, rule_id: str) -> RuleOut:
    with server.core.database.read() as connection:
        for position, kept in enumerate(store.every(connection), 1):
            if kept.rule.id == rule_id:
                return rule_out(kept, position)
    raise NotFound(f"there is no rule {rule_id[:40]}")


def rule_out(kept: Kept, position: int) -> RuleOut:
    """A rule for the wire."""
    created_at, updated_at = to_text(kept.created_at), to_text(kept.updated_at)
    return RuleOut(**_body(kept.rule), position=position, created_at=created_at, updated_at=updated_at, updated_by=kept.updated_by)


def _version_out(one: Version) -> VersionOut:
    return VersionOut(**_body(one.rule), created_at=to_text(one.created_at), created_by=one.created_by)


def _body(rule: EventRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "version": rule.version,
        "enabled": rule.enabled,
        "matchers": matchers_out(rule.matchers),
        "times": [TimesOut(list(one.weekdays), f"{one.begins:%H:%M}", f"{one.ends:%H:%M}") for one in rule.times],
        "time_zone": rule.time_zone,
        "actions": ActionsOut(**msgspec.structs.asdict(rule.actions)),
        "stop": rule.stop,
    }


def summary(found: BackTest) -> str:
    """What a back-test came to, in one sentence."""
    return f"This would have sent {counted(found.after.pages, 'page')} instead of {found.before.pages}."


def backtest_out(found: BackTest) -> BackTestOut:
    """A back-test for the wire."""
    before, after = found.before, found.after
    return BackTestOut(
        summary=summary(found),
        since=to_text(found.since),
        until=to_text(found.until),
        events=found.events,
        complete=found.complete,
        before=_outcome_out(before),
        after=_outcome_out(after),
        by_type=differing(before, after),
    )


def differing(before: Outcome, after: Outcome) -> list[TypePagesOut]:
    """The types of which people would have been told more or less often, the most first."""
    types = sorted({*before.by_type, *after.by_type})
    pairs = [TypePagesOut(kind, before.by_type.get(kind, 0), after.by_type.get(kind, 0)) for kind in types]
    apart = [one for one in pairs if one.before != one.after]
    return sorted(apart, key=lambda one: -abs(one.before - one.after))[:LISTED_TYPES]


def _outcome_out(one: Outcome) -> OutcomeOut:
    return OutcomeOut(one.alerts, one.pages, {level: one.by_severity.get(level, 0) for level in range(1, 6)})


LISTED_TYPES = 20


def _verdicts(
    tried: RuleSet, event: Event, figures: Mapping[str, str], at: int, decisions: Sequence[Decision], site: str
) -> list[VerdictOut]:
    labels, decided = EventLabels(site, event, figures), {decision.rule_id: decision for decision in decisions}
    ready = {one.rule.id: one for one in tried.ready}
    found, stopped = [], None
    for rule in tried.rules:
        decision = decided.get(rule.id)
        if decision is not None:
            why = None if decision.set else "an earlier rule has decided all that it would"
            stopped = rule.name if rule.stop else None
        elif rule.id not in ready:
            why = "it is switched off"
        elif event.status == "info":
            why = "the event is only recorded, and tells nobody"
        else:
            why = ready[rule.id].why_not(labels, at) or f'it is not asked, since rule "{stopped}" is the last'
        found.append(VerdictOut(rule.id, rule.name, decision is not None, list(decision.set) if decision else [], why))
    return found


def _held(event: Event, ruling: Ruling, at: int) -> tuple[str | None, int | None]:
    """Why nobody would be told at once, and from when on somebody is."""
    if event.status != "problem":
        return "it opens no alert", None
    if event.severity <= Severity.INFO:
        return "info is only recorded, and nobody is told", None
    if ruling.muted_by is not None:
        return f'rule "{ruling.muted_by.name}" mutes it', None
    if ruling.threshold is not None and ruling.counted_by is not None:
        asked = f"{ruling.threshold.count} events within {ruling.threshold.within_seconds} seconds"
        return f'rule "{ruling.counted_by.name}" waits until there are {asked}', None
    if ruling.delay and ruling.delayed_by is not None:
        return f'rule "{ruling.delayed_by.name}" waits for {ruling.delay // SECOND} seconds', at + ruling.delay
    return None, at

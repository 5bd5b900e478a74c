"""The promise of escalation: each step that was due and not suppressed has exactly one message for each contact that it reaches.

Policies, people, actions and crashes are made up at random. What must come of them is worked out by plain means, from the
alerts and the clock alone: no row of an escalation is looked at.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings, strategies as st

from tests.build import a_recovery, a_report
from tests.conftest import Databases
from tests.escalation.crew import BOSS, Crew
from tests.muting.build import a_silence
from tests.oncall.build import utc
from tests.world import Result, World
from tocsin.alerts import rules as alert_rules
from tocsin.alerts.model import Alert
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict, InvalidInput, Unavailable
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.escalation import rules, service
from tocsin.escalation.model import LEVELS, EscalationPolicy, Step, Target, TargetKind
from tocsin.escalation.rules import Known, KnownGroup, KnownUser
from tocsin.events.model import Incoming
from tocsin.identity.model import Role
from tocsin.muting import store as mute_store
from tocsin.oncall import service as oncall
from tocsin.oncall.model import Override, OverrideKind
from tocsin.pipeline import promises
from tocsin.pipeline.ingest import Batch

replace = msgspec.structs.replace
BEGIN = "2026-01-07T01:12"  # a Wednesday in winter, so that a day of the rota has 24 hours
CONTACTS = {
    "anna": ("ntfy anna", "sms +4915100000001"),
    "ben": ("ntfy ben", "sms +4915100000002"),
    "olga": ("email olga@example.com",),
    "carl": ("ntfy carl",),
}
ROOM = "ntfy room"
TURNS = ("anna", "ben")
TURN_LASTS = {"hour": HOUR, "day": DAY}
TURNS_SINCE = utc("2026-01-05T08:00")
TEAM = ("carl", "ben")
KNOWN = Known(
    users={name: KnownUser(name, active=True, reachable=True) for name in CONTACTS},
    schedules={"rota": KnownGroup("rota", TURNS)},
    teams={"team": KnownGroup("team", TEAM)},
    channels={"room": "ntfy"},
    kinds=("ntfy", "email", "sms"),
)


# What is made up.

NAMED = [*[Target(TargetKind.USER, name) for name in CONTACTS], Target(TargetKind.SCHEDULE, "rota"), Target(TargetKind.TEAM, "team")]
GROUPS = [Target(TargetKind.CHANNEL, "room"), *map(Target, (TargetKind.ON_CALL, TargetKind.ADMINS, TargetKind.SHARED))]
STEPS = st.builds(
    Step,
    st.sampled_from([0, 0, 60, 300, 900, 3600]),
    st.lists(st.sampled_from([*NAMED, *GROUPS]), min_size=1, max_size=2, unique=True).map(tuple),
    st.sampled_from([{}, {}, {5: 60}, {3: 1800, 4: 0}]),
    st.sampled_from([1, 1, 3, 4]),
    st.sampled_from([(), (), ("ntfy",), ("sms", "email")]),
)
POLICIES = st.builds(
    EscalationPolicy,
    st.just("p"),
    st.just("Made up"),
    st.lists(STEPS, min_size=2, max_size=4).map(tuple),
    st.integers(0, 2),
    st.sampled_from([{}, {}, {5: 1}]),
).filter(lambda policy: not rules.faults(policy, KNOWN))
MINUTES, SUBJECTS, WHICH = st.integers(1, 50), st.sampled_from(["web-1", "web-2"]), st.integers(0, 3)
Action = tuple[str, Any]
REPORTS: st.SearchStrategy[Action] = st.tuples(st.just("report"), st.tuples(SUBJECTS, st.integers(2, 5)))
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    REPORTS,
    REPORTS,
    st.tuples(st.just("recover"), SUBJECTS),
    st.tuples(st.sampled_from(["acknowledge", "give_back", "resolve"]), WHICH),
    st.tuples(st.just("escalate"), WHICH),
    st.tuples(st.just("escalate"), WHICH),
    st.tuples(st.just("snooze"), st.tuples(WHICH, MINUTES)),
    st.tuples(st.just("silence"), st.tuples(SUBJECTS, MINUTES)),
    st.tuples(st.sampled_from(["leave", "leave", "come_back"]), st.sampled_from([*CONTACTS])),
    st.tuples(st.just("cover"), st.tuples(st.sampled_from(OverrideKind), st.sampled_from([*CONTACTS]), MINUTES)),
    st.tuples(st.just("use_policy"), st.integers(0, 1)),
    st.tuples(st.just("tear"), st.integers(1, 9)),
    st.tuples(st.just("restart"), st.none()),
)
# After each action some time goes by, in which Tocsin runs or does not.
TIMES: st.SearchStrategy[Action] = st.tuples(st.sampled_from(["wait", "wait", "stand_still"]), st.sampled_from([0, 1, 6, 20, 65]))


class Torn(Unavailable):
    """The process died in the middle of a transaction."""


class TornWorld(World):
    """A `World` in which a transaction can be torn to pieces, and which lets somebody look after each turn of the engine."""

    torn_in = 0  # 0: none is
    look: Callable[[], None] = staticmethod(lambda: None)

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        """Any work in a transaction; the one whose turn it is to be torn leaves nothing behind."""
        self.torn_in = max(0, self.torn_in - 1)
        if self.torn_in != 1:
            return await super().write(work)

        def torn(tx: Tx) -> Result:
            work(tx)
            raise Torn("the process has died")

        self.torn_in = 0
        return await super().write(torn)

    async def turn(self) -> None:
        """What the engine does at this moment."""
        await super().turn()
        self.look()

    async def take_in(self, member: Incoming) -> None:
        """One event, as `report` takes it, but so that it can be torn."""
        await self.write(lambda tx: self.core.ingest.take(tx, [Batch([member], None, None)]))
        await self.settle()


# What must come of it.


@dataclass
class Course:
    """One alert's way through its policy, by plain counting: all places in order, and the moment of the next."""

    alert: Alert
    policy: EscalationPolicy
    is_running: bool
    now: int
    place: int = 0
    reached: int = 0
    is_closed: bool = False
    places: list[tuple[int, int]] = field(init=False)
    next_at: int = field(init=False)

    def __post_init__(self) -> None:
        severity = self.alert.severity
        first = self.policy.entry.get(severity, 0)
        levels = [n for n, one in enumerate(self.policy.steps) if n >= first and one.severity_min <= severity]
        self.places = [(cycle, level) for cycle in range(self.policy.repeat + 1) for level in levels]
        self.next_at = self.now + self.delay()

    def delay(self) -> int:
        """How long the step at `place` waits for its turn."""
        if self.is_over:
            return 0
        one = self.policy.steps[self.places[self.place][1]]
        return one.delay_by_severity.get(self.alert.severity, one.delay_seconds) * SECOND

    @property
    def is_over(self) -> bool:
        return self.place >= len(self.places)


class Life:
    """Acts on a world, and keeps its own account of whom each step must tell."""

    def __init__(self, world: TornWorld, crew: Crew, policies: Sequence[EscalationPolicy], rota: str, turn: int) -> None:
        self.world, self.crew, self.policies = world, crew, policies
        self.rota, self.turn = rota, turn
        self.covers: list[Override] = []
        self.default = policies[0]
        self.gone: set[str] = set()
        self.silences = 0
        self.courses: dict[int, Course] = {}
        self.expected: dict[tuple[int, int, int], set[str]] = {}  # by alert, generation and step
        world.look = self.look

    async def do(self, name: str, given_: Any) -> None:
        """One action; whoever is torn away in the middle of it tries again."""
        self.world.clock.advance(1)
        action: Callable[[Any], Coroutine[Any, Any, None]] = getattr(self, name)
        await self.again(lambda: action(given_))
        self.look()
        await self.again(self.world.turn)
        self.check()

    async def again(self, do: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await do()
            except Torn:
                continue
            return

    # Actions.

    async def report(self, problem: tuple[str, int]) -> None:
        subject, severity = problem
        await self.world.take_in(a_report(subject, host=subject, severity=severity, at=self.world.clock.at))

    async def recover(self, subject: str) -> None:
        await self.world.take_in(a_recovery(subject, host=subject, at=self.world.clock.at))

    async def acknowledge(self, which: int) -> None:
        await self._act(which, self.world.core.actions.acknowledge("marta@example.com"))

    async def give_back(self, which: int) -> None:
        await self._act(which, lambda alert, now: alert_rules.unacknowledge(alert, "marta@example.com", None, now))

    async def resolve(self, which: int) -> None:
        await self._act(which, lambda alert, now: alert_rules.resolve(alert, "marta@example.com", None, now))

    async def snooze(self, wanted: tuple[int, int]) -> None:
        which, minutes = wanted
        until = self.world.clock.at + minutes * MINUTE
        await self._act(which, lambda alert, now: alert_rules.snooze(alert, "marta@example.com", until, None, now))

    async def _act(self, which: int, decide: Any) -> None:
        alerts = [alert for alert in self.world.alerts() if alert.status != "resolved"]
        if which < len(alerts):
            await self.world.act(alerts[which], decide)

    async def escalate(self, which: int) -> None:
        alerts = self.world.alerts()
        if which >= len(alerts):
            return
        alert = alerts[which]
        course = self.courses[alert.number]
        may = alert.status != "resolved" and alert.muted_by is None and not course.is_over
        try:
            changed = await self.crew.escalate(alert)
        except Conflict:
            assert not may, (alert, course)
            return
        assert may, (alert, course)
        course.alert = replace(course.alert, generation=changed.generation)
        course.is_running, course.next_at = True, self.world.clock.at

    async def silence(self, wanted: tuple[str, int]) -> None:
        subject, minutes = wanted
        now = self.world.clock.at
        made = a_silence(f"host={subject}", number=self.silences, starts_at=now, ends_at=now + minutes * MINUTE, created_at=now)
        await self.world.write(lambda tx: mute_store.add(tx, made))
        self.silences += 1
        await self.crew.refresh()

    async def cover(self, wanted: tuple[OverrideKind, str, int]) -> None:
        """Somebody is on call for a while too, or not, or alone; who has left cannot be."""
        kind, name, minutes = wanted
        now = self.world.clock.at
        made = Override("", self.rota, kind, self.crew.ids[name], None, now, now + minutes * MINUTE)
        try:
            await self.world.write(lambda tx: oncall.add_override(tx, BOSS, made, now))
        except InvalidInput:
            assert name in self.gone
            return
        assert name not in self.gone
        self.covers.append(replace(made, user=name))
        await self.crew.refresh()

    async def leave(self, name: str) -> None:
        await self._set(name, self.world.clock.at)
        self.gone.add(name)

    async def come_back(self, name: str) -> None:
        await self._set(name, None)
        self.gone.discard(name)

    async def _set(self, name: str, disabled_at: int | None) -> None:
        users = tables.users
        await self.world.write(
            lambda tx: tx.sql.execute(sa.update(users).where(users.c.id == self.crew.ids[name]).values(disabled_at=disabled_at))
        )
        await self.crew.refresh()

    async def use_policy(self, which: int) -> None:
        chosen, site, now = self.policies[which], self.world.core.sites.get("main").id, self.world.clock.at
        await self.world.write(lambda tx: service.use_at_site(tx, BOSS, site, "main", chosen.id, now))
        await self.crew.refresh()
        self.default = chosen

    async def wait(self, minutes: int) -> None:
        end = self.world.clock.at + minutes * MINUTE
        await self.again(lambda: self.world.pass_time(end - self.world.clock.at))

    async def stand_still(self, minutes: int) -> None:
        """Time goes by, and Tocsin does not run."""
        self.world.clock.advance(minutes * MINUTE)
        await self.again(self.world.turn)

    async def tear(self, nth: int) -> None:
        self.world.torn_in = nth + 1

    async def restart(self, _: None) -> None:
        await self.world.restart()

    # The account.

    def look(self) -> None:
        """What has to have been told by this moment."""
        for alert in self.world.alerts():
            self._follow(alert)
            course = self.courses[alert.number]
            course.is_running = course.is_running and alert.status == "open" and alert.muted_by is None
            course.is_closed = alert.status == "resolved"  # one that comes back has the policy of that moment
            while course.is_running and not course.is_over and course.next_at <= self.world.clock.at:
                self._take(course)

    def _follow(self, alert: Alert) -> None:
        """People have to be told anew: the policy begins anew, unless somebody keeps it quiet."""
        course = self.courses.get(alert.number)
        if course is not None and course.alert.generation == alert.generation:
            return
        if course is not None and alert.status != "open":
            course.alert = replace(course.alert, generation=alert.generation)
            course.is_running = False
            return
        policy = self.default if course is None or course.is_closed else course.policy
        self.courses[alert.number] = Course(alert, policy, alert.muted_by is None, self.world.clock.at)

    def _take(self, course: Course) -> None:
        now, due_at = self.world.clock.at, course.next_at
        cycle, level = course.places[course.place]
        told = self.whom(course.policy.steps[level], course.alert.severity, now)
        course.place += 1
        course.reached += len(told)
        course.next_at = (due_at if told else now) + (course.delay() if told else 0)
        if course.is_over and course.reached == 0:
            told = {ROOM}
        self.expected[course.alert.number, course.alert.generation, cycle * LEVELS + level] = told

    def whom(self, step: Step, severity: int, now: int) -> set[str]:
        """The contacts that a step reaches."""
        people = {name for target in step.targets for name in self._people(target, now)} - self.gone
        told = {contact for name in people for contact in _ways(CONTACTS[name], severity, step.channels)}
        named = any(target.kind is TargetKind.CHANNEL for target in step.targets)
        everything = any(target.kind is TargetKind.SHARED for target in step.targets)
        if named or (everything and (not step.channels or "ntfy" in step.channels or not told)):
            told.add(ROOM)
        return told

    def _people(self, target: Target, now: int) -> Sequence[str]:
        if target.kind is TargetKind.USER:
            return (next(name for name, user_id in self.crew.ids.items() if target.id == user_id),)
        if target.kind in (TargetKind.SCHEDULE, TargetKind.ON_CALL):
            return self._on_call(now)
        return {TargetKind.TEAM: TEAM, TargetKind.ADMINS: ("olga",)}.get(target.kind, ())

    def _on_call(self, now: int) -> Sequence[str]:
        on: set[str | None] = {TURNS[(now - TURNS_SINCE) // self.turn % len(TURNS)]}
        for cover in self.covers:
            if not cover.starts_at <= now < cover.ends_at:
                continue
            if cover.kind is OverrideKind.REMOVE:
                on -= {cover.user}
            elif cover.user not in self.gone:  # who is gone keeps nobody from duty
                on = {cover.user} | (on if cover.kind is OverrideKind.ADD else set())
        return [name for name in on if name]

    def check(self) -> None:
        """Exactly what was to be told stands in the outbox, once for each contact; nothing that could leave is still there; and the
        auditor agrees.
        """
        with self.world.core.database.read() as connection:
            assert promises.look(connection, self.world.clock.at) == []
        found: dict[tuple[int, int, int], list[str]] = defaultdict(list)
        names = {contact_id: name for name, contact_id in self.crew.contacts.items()}
        for message in self.world.messages():
            if message.kind in ("opened", "escalated", "repeated"):
                found[message.alert_number, message.generation, message.step].append(names[message.contact_id])
                assert message.status in ("sent", "cancelled"), message
        assert {place: sorted(told) for place, told in found.items()} == {
            place: sorted(told) for place, told in self.expected.items() if told
        }


def _ways(contacts: Sequence[str], severity: int, kinds: Sequence[str]) -> Sequence[str]:
    named = [contact for contact in contacts if contact.split()[0] in kinds]
    if named:
        return named
    loud = {2: ("ntfy",), 3: ("ntfy", "email")}.get(severity, ("ntfy", "email", "sms"))
    return [contact for contact in contacts if contact.split()[0] in loud] or contacts


# The test.

# Rare, and therefore not left to chance: a level that reaches nobody, in front of one that would have waited.
ANNA_THEN_BEN = EscalationPolicy(
    "p", "Anna, then Ben", (Step(0, (Target(TargetKind.USER, "anna"),)), Step(900, (Target(TargetKind.USER, "ben"),))), repeat=1
)


@pytest.mark.claim("A4", "K6", "P3", "A17", "T1")
@settings(max_examples=20)
@example(
    policies=[ANNA_THEN_BEN, ANNA_THEN_BEN],
    unit="day",
    actions=[(("leave", "anna"), ("wait", 0)), (("report", ("web-2", 4)), ("wait", 20)), (("escalate", 1), ("stand_still", 65))],
)
@given(
    policies=st.lists(POLICIES, min_size=2, max_size=2),
    unit=st.sampled_from([*TURN_LASTS]),
    actions=st.lists(st.tuples(ACTIONS, TIMES), min_size=4, max_size=10),
)
def test_each_step_that_is_due_and_not_suppressed_has_one_message_for_each_contact(
    databases: Databases, policies: list[EscalationPolicy], unit: str, actions: list[tuple[Action, Action]]
) -> None:
    lived = [one for both in actions for one in both]
    asyncio.run(_live(databases, policies, unit, [("report", ("web-1", 4)), *lived, ("wait", 300)]))


async def _live(databases: Databases, policies: list[EscalationPolicy], unit: str, actions: list[Action]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = databases.sqlite(Path(folder) / "tocsin.db")
        world = TornWorld(url, Path(folder), message_burst=100_000, messages_per_minute=100_000)
        try:
            crew = await Crew(world).start(BEGIN)
            await crew.person("carl", Role.RESPONDER, ntfy="carl")
            ids = await _ids(crew, unit)
            made = [
                await crew.policy(*[_with_ids(one, ids) for one in p.steps], repeat=p.repeat, entry=p.entry) for p in reversed(policies)
            ]
            life = Life(world, crew, made[::-1], ids["rota"], TURN_LASTS[unit])
            for name, given_ in actions:
                await life.do(name, given_)
        finally:
            await world.close()


async def _ids(crew: Crew, unit: str) -> dict[str, str]:
    """The names that policies are made up with, and the ids of those who bear them."""
    now, team = crew.world.clock.now(), [crew.ids[name] for name in TEAM]
    rota, room = await crew.rota(*TURNS, unit=unit), await crew.shared("ntfy", "room")
    made = await crew.world.write(lambda tx: oncall.add_team(tx, BOSS, "Day", team, now))
    await crew.refresh()
    return {**crew.ids, "rota": rota.id, "team": made.id, "room": room, "": ""}


def _with_ids(step: Step, ids: dict[str, str]) -> Step:
    return replace(step, targets=tuple(Target(target.kind, ids[target.id]) for target in step.targets))

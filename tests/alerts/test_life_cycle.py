"""The life of an alert as a machine: whatever happens in whatever order, what is promised holds.

Once on the pure rules, once through the whole pipeline on each database.
"""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.build import a_recovery, a_report, an_event, an_id
from tests.conftest import Databases
from tests.fakes import NOW
from tests.world import World
from tocsin.alerts import rules
from tocsin.alerts.model import Alert, AlertChange, Policy
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict

POLICY = Policy(flap_window=10 * MINUTE, ack_expiry=4 * HOUR)
DELAYS = st.sampled_from([0, 1, SECOND, MINUTE, 9 * MINUTE, 10 * MINUTE, 11 * MINUTE, HOUR, 4 * HOUR, 5 * HOUR, DAY])
SEVERITIES = st.integers(1, 5)


def check_step(before: Alert | None, change: AlertChange, now: int) -> None:
    """What every single decision keeps."""
    after = change.alert
    for line in change.history:
        assert line.at == now
        assert line.actor
    if before is None:
        assert change.is_new
        assert change.history
        return
    assert (after.number, after.id, after.dedup_key, after.site_id) == (before.number, before.id, before.dedup_key, before.site_id)
    assert after.occurrences >= before.occurrences
    assert after.generation >= before.generation
    assert after.last_seen_at >= before.last_seen_at
    assert after.first_seen_at <= before.first_seen_at
    if before.status != "resolved":
        assert after.severity >= before.severity
    if before.status != after.status:
        assert change.history, "a change of state without a line in the history"
    if before.status == "resolved" != after.status:
        assert before.resolved_at is not None
        assert now - before.resolved_at < POLICY.flap_window
        assert after.generation == before.generation + 1
    differing = {name for name in Alert.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert differing <= set(change.changed)


def check_alert(alert: Alert) -> None:
    """What every alert looks like, at any time."""
    assert (alert.status == "acknowledged") <= (alert.acknowledged_at is not None and alert.acknowledged_by is not None)
    assert (alert.snoozed_until is not None) == (alert.status == "snoozed")
    assert (alert.resolved_at is not None) == (alert.status == "resolved")
    assert (alert.due_at is not None) <= (alert.status in ("acknowledged", "snoozed"))
    assert alert.first_seen_at <= alert.last_seen_at
    assert alert.occurrences >= 1


class Rules(RuleBasedStateMachine):
    """One dedup key, the pure rules."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.alerts: list[Alert] = []
        self.events = 0

    @property
    def current(self) -> Alert | None:
        return self.alerts[-1] if self.alerts and self.alerts[-1].status != "resolved" else None

    def take(self, change: AlertChange) -> None:
        before = None if change.is_new else self.alerts[-1]
        check_step(before, change, self.now)
        if change.is_new:
            self.alerts.append(change.alert)
        else:
            self.alerts[-1] = change.alert

    def act(self, decide: Callable[[Alert], AlertChange]) -> None:
        if self.alerts and self.alerts[-1].status == "resolved":
            with pytest.raises(Conflict):
                decide(self.alerts[-1])
        elif self.alerts:
            self.take(decide(self.alerts[-1]))

    @rule(severity=SEVERITIES, late=DELAYS)
    def problem(self, severity: int, late: int) -> None:
        self.events += 1
        event = an_event(self.events, severity=severity, occurred_at=self.now - late)
        if self.current is not None:
            self.take(rules.apply_problem(self.current, event, self.now))
        else:
            number = len(self.alerts) + 1
            previous = self.alerts[-1] if self.alerts else None
            self.take(rules.open_alert(event, previous, lambda: (number, an_id(number)), POLICY, self.now))

    @precondition(lambda self: self.current is not None)
    @rule()
    def recovery(self) -> None:
        assert self.current is not None
        self.take(rules.apply_recovery(self.current, an_event(999), self.now))

    @rule()
    def acknowledge(self) -> None:
        self.act(lambda alert: rules.acknowledge(alert, "marta", None, None, POLICY, self.now))

    @rule()
    def unacknowledge(self) -> None:
        self.act(lambda alert: rules.unacknowledge(alert, "marta", None, self.now))

    @rule(length=st.sampled_from([SECOND, HOUR, DAY]))
    def snooze(self, length: int) -> None:
        self.act(lambda alert: rules.snooze(alert, "marta", self.now + length, None, self.now))

    @precondition(lambda self: self.alerts)
    @rule()
    def resolve(self) -> None:
        self.take(rules.resolve(self.alerts[-1], "marta", None, self.now))

    @rule(length=DELAYS)
    def time_passes(self, length: int) -> None:
        self.now += length
        if self.alerts:
            self.take(rules.come_due(self.alerts[-1], self.now))

    @invariant()
    def all_is_well(self) -> None:
        for alert in self.alerts:
            check_alert(alert)
        assert all(alert.status == "resolved" for alert in self.alerts[:-1]), "two unresolved alerts of one key"
        assert sum(alert.occurrences for alert in self.alerts) == self.events


TestRules = pytest.mark.claim("A1", "A2", "L2", "P9")(Rules.TestCase)
TestRules.settings = settings(max_examples=150, stateful_step_count=40)


class Store(RuleBasedStateMachine):
    """A few dedup keys on two sites, through ingest, actions and the engine's steps, on a real database."""

    url: ClassVar[Callable[[], str]]
    drop: ClassVar[Callable[[str], None]]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="tocsin-store-")
        self.address = type(self).url()
        self.world = self.loop.run_until_complete(self._begin())
        self.before: dict[int, Alert] = {}
        self.told = 0
        self.problems: dict[tuple[str, str], int] = {}

    async def _begin(self) -> World:
        world = World(self.address, Path(self.folder.name))
        await world.people()
        return world

    def teardown(self) -> None:
        self.loop.run_until_complete(self.world.close())
        self.loop.close()
        self.folder.cleanup()
        type(self).drop(self.address)

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule(
        members=st.lists(
            st.tuples(
                st.sampled_from(["main", "acme"]),
                st.sampled_from(["disk:/", "disk:/var"]),
                st.one_of(st.none(), SEVERITIES),
                st.sampled_from([0, SECOND, HOUR]),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def a_batch_arrives(self, members: list[tuple[str, str, int | None, int]]) -> None:
        """Severity None: a recovery."""
        reports = []
        for site, subject, severity, late in members:
            at = self.world.clock.at - late
            if severity is None:
                reports.append(a_recovery(subject, site=site, at=at))
            else:
                reports.append(a_report(subject, site=site, at=at, severity=severity))
                self.problems[site, subject] = self.problems.get((site, subject), 0) + 1
        taken = self.do(self.world.report(*reports))
        assert taken.accepted == len(members)

    @precondition(lambda self: self.before)
    @rule(data=st.data(), act=st.sampled_from(["acknowledge", "unacknowledge", "snooze", "escalate", "resolve", "comment"]))
    def a_person_acts(self, data: st.DataObject, act: str) -> None:
        alert = self.before[data.draw(st.sampled_from(sorted(self.before)))]
        decisions: dict[str, Callable[[Alert, int], AlertChange]] = {
            "acknowledge": self.world.core.actions.acknowledge("marta"),
            "unacknowledge": lambda a, now: rules.unacknowledge(a, "marta", None, now),
            "snooze": lambda a, now: rules.snooze(a, "marta", now + HOUR, None, now),
            "resolve": lambda a, now: rules.resolve(a, "marta", None, now),
            "comment": lambda a, now: rules.comment(a, "marta", "hm", now),
        }
        with suppress(Conflict):
            if act == "escalate":
                self.do(self.world.write(self.world.core.actions.escalate(alert.id, Who("marta"))))
            else:
                self.do(self.world.act(alert, decisions[act]))

    @rule(length=DELAYS)
    def time_passes(self, length: int) -> None:
        self.world.clock.advance(length)
        self.do(self.world.turn())

    @invariant()
    def all_is_well(self) -> None:
        alerts = {alert.number: alert for alert in self.world.alerts()}
        unresolved = [(alert.site_id, alert.dedup_key) for alert in alerts.values() if alert.status != "resolved"]
        assert len(unresolved) == len(set(unresolved)), "two unresolved alerts of one key"
        for number, alert in alerts.items():
            check_alert(alert)
            self._check_against(self.before.get(number), alert)
            self._check_history(alert)
        assert set(self.before) <= set(alerts)
        assert sum(alert.occurrences for alert in alerts.values()) == sum(self.problems.values())
        self.before = alerts

    def _check_against(self, before: Alert | None, after: Alert) -> None:
        if before is None:
            return
        assert after.occurrences >= before.occurrences
        assert after.generation >= before.generation
        if before.generation == after.generation:
            assert after.severity >= before.severity
        if before.status == "resolved" != after.status:
            assert after.generation > before.generation
            assert before.resolved_at is not None
            assert self.world.clock.at - before.resolved_at < POLICY.flap_window

    def _check_history(self, alert: Alert) -> None:
        """Replaying the history gives the state: nothing happened that is not written down."""
        states = {
            "opened": "open",
            "reopened": "open",
            "severity_raised": "open",
            "acknowledged": "acknowledged",
            "unacknowledged": "open",
            "acknowledgement_expired": "open",
            "snoozed": "snoozed",
            "snooze_ended": "open",
            "resolved": "resolved",
        }
        steps = [line.partition(":")[0] for line in self.world.history(alert.number)]
        # That it comes and goes may be known of the alerts before it: then that stands before its opening, of the same moment.
        assert next(step for step in steps if step != "flapping") == "opened"
        assert [states[step] for step in steps if step in states][-1] == alert.status


@pytest.mark.claim("A1", "A2", "A9", "L2")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_store_keeps_its_promises_whatever_happens(kind: str, databases: Databases, tmp_path: Path) -> None:
    made = iter(range(100_000))
    machine: type[Store] = type("Machine", (Store,), {})
    if kind == "sqlite":
        machine.url = staticmethod(lambda: databases.sqlite(tmp_path / f"{next(made)}.db"))
        machine.drop = staticmethod(lambda url: Path(url.removeprefix("sqlite:///")).unlink())
    else:
        machine.url, machine.drop = staticmethod(databases.postgresql), staticmethod(databases.give_back)
    examples = 25 if kind == "sqlite" else 8
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25))

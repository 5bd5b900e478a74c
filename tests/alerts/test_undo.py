"""Taking the last action back: it is as it was, and people hear again of what is open again."""

from collections.abc import Callable

import msgspec
import pytest

from tests.build import a_report, an_alert
from tests.fakes import NOW
from tests.world import World
from tocsin.alerts import rules
from tocsin.alerts.model import Alert, AlertChange, Before, Policy, Status
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.errors import Conflict

POLICY = Policy(flap_window=10 * MINUTE, ack_expiry=4 * HOUR)
ACTIONS: dict[str, Callable[[Alert], AlertChange]] = {
    "acknowledge": lambda alert: rules.acknowledge(alert, "marta", None, None, POLICY, NOW),
    "snooze": lambda alert: rules.snooze(alert, "marta", NOW + HOUR, None, NOW),
    "resolve": lambda alert: rules.resolve(alert, "marta", "done", NOW),
    "assign": lambda alert: rules.assign(alert, "marta", "jonas", NOW),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_open_alert_is_as_it_was_before(action: str) -> None:
    before = an_alert()
    after = ACTIONS[action](before).alert
    undone = rules.undo(after, "marta", Before.of(before, after), NOW)
    assert msgspec.structs.replace(undone.alert, generation=before.generation) == before
    assert undone.history[0].action == "undone"


@pytest.mark.parametrize(("action", "told"), [("acknowledge", True), ("snooze", True), ("resolve", True), ("assign", False)])
def test_people_hear_again_of_what_is_open_again(action: str, told: bool) -> None:
    before = an_alert()
    after = ACTIONS[action](before).alert
    assert (rules.undo(after, "marta", Before.of(before, after), NOW).notice == "repeated") is told


def test_an_acknowledged_alert_that_was_resolved_by_mistake_is_its_owners_again() -> None:
    before = rules.acknowledge(an_alert(), "jonas", None, None, POLICY, NOW).alert
    after = rules.resolve(before, "marta", None, NOW).alert
    undone = rules.undo(after, "marta", Before.of(before, after), NOW)
    assert undone.alert == before
    assert undone.notice is None


def test_what_has_changed_since_stays() -> None:
    before = an_alert()
    after = rules.acknowledge(before, "marta", None, None, POLICY, NOW).alert
    resolved = rules.resolve(after, "jonas", None, NOW).alert
    with pytest.raises(Conflict, match="something else has happened"):
        rules.undo(resolved, "marta", Before.of(before, after), NOW)


def test_doing_it_twice_changes_nothing() -> None:
    before = an_alert(status=Status.ACKNOWLEDGED.value, acknowledged_by="jonas", acknowledged_at=NOW)
    after = rules.resolve(before, "marta", None, NOW).alert
    taken_back = rules.undo(after, "marta", Before.of(before, after), NOW).alert
    assert rules.undo(taken_back, "marta", Before.of(before, after), NOW).changed == ()


async def test_a_problem_that_came_back_under_a_new_number_cannot_be_opened_twice(world: World) -> None:
    await world.report(a_report())
    before = world.alert()
    after = await world.resolve(before)
    world.clock.advance(HOUR)
    await world.report(a_report(at=world.clock.at))
    refused = await world.write(world.core.actions.undo([Before.of(before, after)], Who("marta")))
    assert refused == ["alert 1 has come back as alert 2"]
    assert [alert.status for alert in world.alerts()] == ["resolved", "open"]


async def test_another_sites_alert_is_not_there(world: World) -> None:
    await world.report(a_report())
    before = world.alert()
    after = await world.resolve(before)
    refused = await world.write(world.core.actions.undo([Before.of(before, after)], Who("marta"), frozenset({77})))
    assert refused == ["there is no alert 1"]


def test_waking_ends_a_snooze_and_tells_again() -> None:
    asleep = rules.snooze(an_alert(), "marta", NOW + HOUR, None, NOW).alert
    woken = rules.wake(asleep, "jonas", None, NOW)
    assert woken.alert.status == "open"
    assert woken.notice == "repeated"
    assert rules.wake(woken.alert, "jonas", None, NOW).changed == ()

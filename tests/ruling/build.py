"""Examples of event rules, of which a test changes what it is about."""

from datetime import time
from functools import partial
from typing import Any

from tests.build import an_id
from tests.muting.build import matchers
from tests.world import World
from tocsin.audit.model import Who
from tocsin.escalation.rules import BUILT_IN
from tocsin.oncall.model import Restriction
from tocsin.ruling import service
from tocsin.ruling.model import Actions, EventRule
from tocsin.ruling.rules import RuleSet

OLGA = Who("olga@example.com")


def a_rule(*texts: str, number: int = 1, name: str | None = None, **more: Any) -> EventRule:
    """What matches has severity 2. *more* that is no field of a rule is an action."""
    fields = {key: more.pop(key) for key in tuple(more) if key in EventRule.__struct_fields__}
    actions = Actions(**more) if more else Actions(severity=2)
    values: dict[str, Any] = {
        "id": an_id(0x7000 + number),
        "name": name or f"Rule {number}",
        "actions": actions,
        "matchers": matchers(*texts),
    }
    return EventRule(**(values | fields))


def at_night(zone: str = "Europe/Berlin") -> dict[str, Any]:
    """From ten in the evening until six in the morning."""
    return {"times": (Restriction(time(22), time(6)),), "time_zone": zone}


def rule_set(*rules: EventRule) -> RuleSet:
    return RuleSet(rules)


async def make(world: World, *rules: EventRule) -> list[EventRule]:
    """Stores them in this order, as the API would, and has this node know of them."""
    policies = {BUILT_IN, *(one.policy.id for one in world.core.policies.definitions)}
    made = []
    for one in rules:
        work = partial(service.make, who=OLGA, wanted=one, position=None, policies=policies, now=world.clock.at)
        made.append(await world.write(work))
    await refresh(world)
    return [kept.rule for kept in made]


async def refresh(world: World) -> None:
    """What the node does every five seconds, and after a change of its own."""
    world.core.refresh()
    await world.turn()
    await world.settle()

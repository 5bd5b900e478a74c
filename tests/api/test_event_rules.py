"""``/rules`` as its reference promises: making, ordering, versions, trying on one event and on the last month."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.service import OTHER_SITE, Service
from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.identity.model import Scope

pytestmark = pytest.mark.claim("A10")

DISKS = [{"field": "type", "op": "^", "value": "disk."}]
NIGHT = {"times": [{"from": "22:00", "to": "06:00"}], "time_zone": "Europe/Berlin"}
EVENT = {"type": "disk.full", "severity": 4, "status": "problem", "title": "Disk full", "subject": "disk:/", "host": "web-1"}


def a_rule(name: str = "Disks", /, matchers: Any = DISKS, **more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {key: more.pop(key) for key in ("times", "time_zone", "stop", "enabled", "position", "id") if key in more}
    return {"name": name, "matchers": matchers, "actions": more or {"severity": 2}, **fields}


async def make(service: Service, *args: Any, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await service.admin.post("/rules", a_rule(*args, **more), 201)
    return made


async def change(service: Service, rule: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    answer = await service.admin.ask("PATCH", f"/rules/{rule['id']}", json=wanted)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def test_a_rule_is_made_shown_changed_restored_and_removed(service: Service) -> None:
    threshold = {"count": 3, "within_seconds": 600}
    made = await make(service, severity=2, title="{host}: {title}", delay_seconds=60, threshold=threshold, policy="default", **NIGHT)
    assert made["actions"]["threshold"] == threshold
    assert made["times"] == [{"weekdays": [], "from": "22:00", "to": "06:00"}]
    assert (made["version"], made["position"], made["updated_by"], made["enabled"]) == (1, 1, "key:admin", True)
    assert await service.reader.get(f"/rules/{made['id']}") == made
    changed = await change(service, made, actions={"mute": True}, version=1)
    assert (changed["version"], changed["actions"]["mute"], changed["actions"]["severity"]) == (2, True, None)
    versions = (await service.reader.get(f"/rules/{made['id']}/versions"))["items"]
    assert [(one["version"], one["actions"]["severity"], one["created_by"]) for one in versions] == [
        (2, None, "key:admin"),
        (1, 2, "key:admin"),
    ]
    back = await service.admin.post(f"/rules/{made['id']}/restore", {"version": 1})
    assert (back["version"], back["actions"]) == (3, made["actions"])
    assert (await service.admin.ask("DELETE", f"/rules/{made['id']}")).status_code == 204
    await service.reader.refused("GET", f"/rules/{made['id']}", 404)
    again = await service.admin.post(f"/rules/{made['id']}/restore", {"version": 2})
    assert (again["version"], again["actions"]["mute"]) == (4, True)
    audit = tables.audit.c
    rows = service.world.rows(sa.select(audit.action).where(audit.object == f"rule:{made['id']}").order_by(audit.number))
    assert [row.action for row in rows] == ["rule.made", "rule.changed", "rule.changed", "rule.removed", "rule.restored"]


async def test_rules_are_listed_in_the_order_in_which_they_are_asked(sqlite_service: Service) -> None:
    for name in ("one", "two", "three"):
        await make(sqlite_service, name)
    await make(sqlite_service, "zero", position=1)
    listed = (await sqlite_service.reader.get("/rules"))["items"]
    assert [(one["position"], one["name"]) for one in listed] == [(1, "zero"), (2, "one"), (3, "two"), (4, "three")]
    moved = await change(sqlite_service, listed[3], position=2)
    assert (moved["position"], moved["version"]) == (2, 1)
    names, cursor = [], None
    while True:
        page = await sqlite_service.reader.get("/rules", limit=3, **({"cursor": cursor} if cursor else {}))
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["zero", "three", "one", "two"]


async def test_a_change_from_an_old_version_is_a_conflict(sqlite_service: Service) -> None:
    made = await make(sqlite_service)
    await change(sqlite_service, made, stop=True)
    problem = await sqlite_service.admin.refused("PATCH", f"/rules/{made['id']}", 409, json={"stop": False, "version": 1})
    assert "its version is 2, not 1" in problem["detail"]
    same = await change(sqlite_service, made, stop=True)
    assert same["version"] == 2, "what changes nothing makes no version"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "actions"),
        (a_rule("x", [{"field": "colour", "op": "=", "value": "red"}]), "matchers[0].field"),
        (a_rule("x", [{"field": "host", "op": "~", "value": "("}]), "matchers[0].value"),
        (a_rule("x", [], mute=True), "matchers"),
        (a_rule("x", severity=6), "actions.severity"),
        (a_rule("x", policy="nowhere"), "actions.policy"),
        (a_rule("x", title="{colour}"), "actions.title"),
        (a_rule("x", threshold={"count": 1, "within_seconds": 60}), "actions.threshold.count"),
        (a_rule("x", colour="red"), "actions"),
        (a_rule("x", time_zone="Mars/Base"), "time_zone"),
        (a_rule("x", times=[{"from": "25:00", "to": "06:00"}]), "times[0].from"),
        (a_rule("x", times=[{"weekdays": [8], "from": "22:00", "to": "06:00"}]), "times[0].weekdays[0]"),
        ({"name": "x", "matchers": DISKS, "actions": {}}, "actions"),
        (a_rule(" "), "name"),
        (a_rule("x", position=0), "position"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(sqlite_service: Service, body: dict[str, Any], field: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/rules", 422, json=body)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_who_may_see_and_who_may_change_rules(sqlite_service: Service) -> None:
    made = await make(sqlite_service)
    await sqlite_service.writer.refused("POST", "/rules", 403, json=a_rule("other"))
    await sqlite_service.reader.refused("POST", "/rules/try", 403, json={"event": EVENT})
    await sqlite_service.tenant.refused("GET", "/rules", 403)
    tenant = await sqlite_service.key("all of one site", Scope.ADMIN, site=OTHER_SITE)
    await tenant.refused("DELETE", f"/rules/{made['id']}", 403)
    for rule_id in ("no-id", made["id"][:-1] + "x", "00000000-0000-7000-8000-00000000dead"):
        await sqlite_service.admin.refused("PATCH", f"/rules/{rule_id}", 404, json={"stop": True})
        await sqlite_service.admin.refused("GET", f"/rules/{rule_id}/versions", 404)
        await sqlite_service.admin.refused("POST", f"/rules/{rule_id}/restore", 404, json={"version": 1})


async def test_a_policy_that_a_rule_uses_stays(sqlite_service: Service) -> None:
    step = {"delay_seconds": 0, "targets": [{"kind": "shared"}]}
    policy = await sqlite_service.admin.post("/policies", {"name": "Nights", "steps": [step]}, 201)
    made = await make(sqlite_service, "Night rule", policy=policy["id"])
    problem = await sqlite_service.admin.refused("DELETE", f"/policies/{policy['id']}", 409)
    assert "used by the rule Night rule" in problem["detail"]
    await change(sqlite_service, made, actions={"severity": 2})
    assert (await sqlite_service.admin.ask("DELETE", f"/policies/{policy['id']}")).status_code == 204


# Trying on one event.


async def test_a_dry_run_shows_each_verdict_and_who_would_be_told(service: Service) -> None:
    await make(service, "Other hosts", [{"field": "host", "op": "=", "value": "web-2"}])
    await make(service, "Wait", delay_seconds=300)
    await make(service, "Off", enabled=False)
    tried = await service.admin.post("/rules/try", {"event": EVENT, "rule": a_rule("Draft", severity=5, title="{host}!")})
    assert [(one["name"], one["matched"], one["decided"], one["why"]) for one in tried["verdicts"]] == [
        ("Other hosts", False, [], "host is 'web-1', not = 'web-2'"),
        ("Wait", True, ["nobody is told for the first 300 seconds"], None),
        ("Off", False, [], "it is switched off"),
        ("Draft", True, ["severity 5", "title {host}!"], None),
    ]
    assert (tried["severity"], tried["title"], tried["policy"]) == (5, "web-1!", "Built-in policy")
    assert tried["held"] == 'rule "Wait" waits for 300 seconds'
    assert tried["told_from"] == tried["levels"][0]["due_at"] == to_text(NOW + 5 * MINUTE)
    assert [told["target"] for told in tried["levels"][0]["told"]] == ["oncall-phone", "oncall@example.com", "owner-phone"]
    assert service.world.alerts() == []
    assert len((await service.admin.get("/rules"))["items"]) == 3, "nothing was changed"


@pytest.mark.parametrize(
    ("rule", "event", "held"),
    [
        (a_rule("R", mute=True), {}, 'rule "R" mutes it'),
        (a_rule("R", severity=1), {}, "info is only recorded, and nobody is told"),
        (
            a_rule("R", threshold={"count": 2, "within_seconds": 60}),
            {},
            'rule "R" waits until there are 2 events within 60 seconds',
        ),
        (a_rule("R"), {"status": "recovery"}, "it opens no alert"),
        (a_rule("R"), {"status": "info"}, "it opens no alert"),
    ],
)
async def test_a_dry_run_says_why_nobody_would_be_told(
    sqlite_service: Service, rule: dict[str, Any], event: dict[str, Any], held: str
) -> None:
    tried = await sqlite_service.admin.post("/rules/try", {"event": EVENT | event, "rule": rule})
    assert (tried["held"], tried["told_from"], tried["levels"]) == (held, None, [])


async def test_a_dry_run_heeds_silences_times_and_stops(sqlite_service: Service) -> None:
    made = await make(sqlite_service, "Nights", severity=5, stop=True, **NIGHT)
    await make(sqlite_service, "Later", severity=1)
    at_night, at_noon = to_text(NOW), to_text(NOW + 11 * HOUR)
    night = await sqlite_service.admin.post("/rules/try", {"event": EVENT, "at": at_night})
    assert (night["severity"], night["verdicts"][1]["why"]) == (5, 'it is not asked, since rule "Nights" is the last')
    noon = await sqlite_service.admin.post("/rules/try", {"event": EVENT, "at": at_noon})
    assert (noon["severity"], noon["verdicts"][0]["why"]) == (1, "it holds at other times of the week (Europe/Berlin)")
    without = await sqlite_service.admin.post("/rules/try", {"event": EVENT, "at": at_night, "without": made["id"]})
    assert without["severity"] == 1
    await sqlite_service.writer.post("/silences", {"matchers": DISKS, "ends_at": to_text(NOW + HOUR), "comment": "work"}, 201)
    quiet = await sqlite_service.admin.post("/rules/try", {"event": EVENT, "at": at_night})
    assert quiet["held"].startswith("muted by silence")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "event"),
        ({"event": {"type": "No Type"}}, "event.type"),
        ({"event": {**EVENT, "attributes": {"a": "\0"}}}, "event.attributes"),
        ({"event": {**EVENT, "site": "nowhere"}}, "event.site"),
        ({"event": EVENT, "without": "gone"}, "without"),
        ({"event": EVENT, "rule": a_rule(id="gone")}, "rule.id"),
        ({"event": EVENT, "rule": a_rule(title="{")}, "rule.actions.title"),
    ],
)
async def test_a_dry_run_of_what_cannot_be_is_refused(sqlite_service: Service, body: dict[str, Any], field: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/rules/try", 422, json=body)
    assert [error["field"] for error in problem["errors"]] == [field]


# Trying on the last month.


@pytest.mark.claim("B6")
async def test_a_back_test_tells_how_often_people_would_have_been_told(service: Service) -> None:
    world = service.world
    for _ in range(3):  # it comes, repeats, and is over after four minutes
        await service.send({**EVENT, "occurred_at": to_text(world.clock.at)}, {**EVENT, "occurred_at": to_text(world.clock.at)})
        world.clock.advance(4 * MINUTE)
        await service.send({**EVENT, "status": "recovery", "occurred_at": to_text(world.clock.at)})
        world.clock.advance(HOUR)
    await service.send({**EVENT, "type": "cpu.high", "occurred_at": to_text(world.clock.at)})
    world.clock.advance(HOUR)
    found = await service.admin.post("/rules/backtest", {"rule": a_rule("Wait", delay_seconds=300)})
    assert found["summary"] == "This would have sent 1 page instead of 4."
    assert (found["events"], found["complete"]) == (10, True)
    assert (found["before"]["alerts"], found["after"]["alerts"]) == (4, 4)
    assert found["before"]["by_severity"] == {"1": 0, "2": 0, "3": 0, "4": 4, "5": 0}
    assert found["by_type"] == [{"type": "disk.full", "before": 3, "after": 0}]
    made = await make(service, "Wait", delay_seconds=300)
    assert (await service.admin.post("/rules/backtest", {}))["summary"] == "This would have sent 1 page instead of 4."
    back = await service.admin.post("/rules/backtest", {"without": made["id"]})
    assert back["summary"] == "This would have sent 4 pages instead of 1."
    world.clock.advance(2 * DAY)
    assert (await service.admin.post("/rules/backtest", {"days": 1}))["events"] == 0


async def test_a_back_test_knows_what_people_resolved(service: Service) -> None:
    world = service.world
    for _ in range(2):
        await service.send({**EVENT, "occurred_at": to_text(world.clock.at)})
        world.clock.advance(HOUR)
        number = world.alerts()[-1].number
        await service.writer.post(f"/alerts/{number}/resolve")
        world.clock.advance(HOUR)
    found = await service.admin.post("/rules/backtest", {"rule": a_rule("Mute", mute=True)})
    assert found["summary"] == "This would have sent 0 pages instead of 2."

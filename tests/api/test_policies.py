"""Policies and escalation over the API, as its reference promises them."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.service import OTHER_SITE, Service
from tests.escalation.crew import Crew
from tocsin.core.clock import MINUTE
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.identity.model import Role

pytestmark = pytest.mark.claim("A4", "K6")

EVENT = {"type": "disk.full", "severity": 4, "status": "problem", "title": "Disk full", "subject": "disk:/"}


@pytest.fixture
async def crew(service: Service) -> Crew:
    return await Crew(service.world).start()


@pytest.fixture
async def small_crew(sqlite_service: Service) -> Crew:
    return await Crew(sqlite_service.world).start()


def a_policy(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"name": "Nights", "steps": list(steps), **changes}


def a_step(delay: int, *targets: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"delay_seconds": delay, "targets": [{"kind": kind, "id": id_} for kind, id_ in targets], **more}


def for_two(crew: Crew) -> dict[str, Any]:
    return a_policy(
        a_step(0, ("user", crew.ids["anna"]), channels=["ntfy"]), a_step(600, ("user", "BEN@example.com"), channels=["ntfy"]), repeat=1
    )


async def test_a_policy_is_made_shown_changed_and_removed(service: Service, crew: Crew) -> None:
    made = await service.admin.post("/policies", for_two(crew), 201)
    assert made["steps"][1]["targets"] == [{"kind": "user", "id": crew.ids["ben"]}], "a mail address becomes the id"
    assert (made["version"], made["repeat"], made["entry"]) == (1, 1, {})
    assert await service.reader.get(f"/policies/{made['id']}") == made
    listed = (await service.reader.get("/policies"))["items"]
    assert [one["id"] for one in listed] == ["default", made["id"]]
    changed = (await service.admin.ask("PATCH", f"/policies/{made['id']}", json={"name": "Days", "version": 1})).json()
    assert (changed["name"], changed["version"], changed["steps"]) == ("Days", 2, made["steps"])
    assert (await service.admin.ask("DELETE", f"/policies/{made['id']}")).status_code == 204
    await service.reader.refused("GET", f"/policies/{made['id']}", 404)
    entries = sa.select(tables.audit.c.action).where(tables.audit.c.object == f"policy:{made['id']}").order_by(tables.audit.c.number)
    actions = service.world.rows(entries.order_by(tables.audit.c.number))
    assert [row.action for row in actions] == ["policy.made", "policy.changed", "policy.removed"]


async def test_policies_are_listed_in_pages(sqlite_service: Service, small_crew: Crew) -> None:
    for name in ("b", "a", "c"):
        await sqlite_service.admin.post("/policies", {**for_two(small_crew), "name": name}, 201)
    names, cursor = [], None
    while True:
        page = await sqlite_service.reader.get("/policies", limit=2, **({"cursor": cursor} if cursor else {}))
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["Built-in policy", "a", "b", "c"]


async def test_a_change_from_an_old_version_is_a_conflict(sqlite_service: Service, small_crew: Crew) -> None:
    made = await sqlite_service.admin.post("/policies", for_two(small_crew), 201)
    await sqlite_service.admin.ask("PATCH", f"/policies/{made['id']}", json={"repeat": 2})
    problem = await sqlite_service.admin.refused("PATCH", f"/policies/{made['id']}", 409, json={"repeat": 3, "version": 1})
    assert "its version is 2, not 1" in problem["detail"]


async def test_a_change_that_changes_nothing_makes_no_version(sqlite_service: Service, small_crew: Crew) -> None:
    made = await sqlite_service.admin.post("/policies", for_two(small_crew), 201)
    same = (await sqlite_service.admin.ask("PATCH", f"/policies/{made['id']}", json={"name": "Nights"})).json()
    assert same["version"] == 1


async def test_the_built_in_policy_can_be_read_and_not_changed(sqlite_service: Service) -> None:
    shown = await sqlite_service.reader.get("/policies/default")
    assert [step["targets"][0]["kind"] for step in shown["steps"]] == ["on_call", "admins", "on_call"]
    assert shown["created_at"] is None
    await sqlite_service.admin.refused("PATCH", "/policies/default", 409, json={"name": "Mine"})
    await sqlite_service.admin.refused("DELETE", "/policies/default", 409)


async def test_two_policies_cannot_have_one_name(sqlite_service: Service, small_crew: Crew) -> None:
    await sqlite_service.admin.post("/policies", for_two(small_crew), 201)
    await sqlite_service.admin.refused("POST", "/policies", 409, json=for_two(small_crew))
    other = await sqlite_service.admin.post("/policies", {**for_two(small_crew), "name": "Days"}, 201)
    await sqlite_service.admin.refused("PATCH", f"/policies/{other['id']}", 409, json={"name": "Nights"})


NOWHERE = "00000000-0000-7000-8000-00000000dead"


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"steps": []}, "steps", "must be a list of 1 to 20 steps"),
        ({"steps": [a_step(0)]}, "steps[0].targets", ""),
        ({"steps": [a_step(-1, ("shared", ""))]}, "steps[0].delay_seconds", ""),
        ({"steps": [a_step(10**9, ("shared", ""))]}, "steps[0].delay_seconds", ""),
        ({"steps": [a_step(0, ("user", NOWHERE))]}, "steps[0].targets[0].id", f"there is no user {NOWHERE}"),
        ({"steps": [a_step(0, ("schedule", NOWHERE))]}, "steps[0].targets[0].id", f"there is no schedule {NOWHERE}"),
        ({"steps": [a_step(0, ("team", NOWHERE))]}, "steps[0].targets[0].id", f"there is no team {NOWHERE}"),
        ({"steps": [a_step(0, ("channel", NOWHERE))]}, "steps[0].targets[0].id", f"there is no channel {NOWHERE}"),
        ({"steps": [a_step(0, ("webhook", NOWHERE))]}, "steps[0].targets[0].id", f"there is no webhook {NOWHERE}"),
        ({"steps": [a_step(0, ("user", "silent@example.com"))]}, "steps[0].targets[0].id", "Silent has no verified contact"),
        ({"steps": [a_step(0, ("policy", NOWHERE))]}, "steps[0].targets[0].kind", ""),
        ({"steps": [a_step(0, ("shared", ""), colour="red")]}, "steps[0]", ""),
        ({"steps": [a_step(0, ("shared", ""))], "repeat": 3}, "repeat", "would tell the same people 4 times"),
        ({"steps": [a_step(0, ("shared", ""))], "repeat": 21}, "repeat", "20"),
        ({"steps": [a_step(60, ("shared", ""))], "repeat": -1}, "repeat", "0"),
        ({"steps": [a_step(60, ("shared", ""))], "repeat": "often"}, "repeat", ""),
        ({"steps": [a_step(60, ("shared", ""))], "repeat": 1.5}, "repeat", ""),
        ({"steps": [a_step(59, ("shared", ""))], "repeat": 1}, "repeat", "again after 59 s at severity 2; at least 1 min must pass"),
        (
            {"steps": [a_step(3_600, ("shared", ""), delay_by_severity={"5": 1})], "repeat": 1},
            "repeat",
            "again after 1 s at severity 5; at least 1 min must pass",
        ),
        ({"steps": [a_step(604_800, ("shared", ""))], "repeat": 4}, "repeat", "takes 35 d at severity 2; at most 30 d are allowed"),
        ({"steps": [a_step(0, ("shared", ""))], "entry": {"5": 3}}, "entry.5", "is no level of this policy"),
        ({"steps": [a_step(0, ("shared", ""), delay_by_severity={"7": 1})]}, "steps[0].delay_by_severity.7", "must be a severity"),
        ({"name": "  "}, "name", ""),
        ({"name": "x" * 101}, "name", ""),
        ({"name": "a\0b"}, "name", ""),
    ],
)
async def test_what_cannot_work_is_refused_with_the_field(
    sqlite_service: Service, small_crew: Crew, change: dict[str, Any], field: str, message: str
) -> None:
    await small_crew.person("silent", Role.RESPONDER)
    sent = {**for_two(small_crew), "name": "Nights", "repeat": 0, **change}
    problem = await sqlite_service.admin.refused("POST", "/policies", 422, json=sent)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]


@pytest.mark.parametrize(("delay", "repeat"), [(60, 20), (604_800, 3), (0, 0)])
async def test_repeats_within_their_bounds_are_taken(sqlite_service: Service, small_crew: Crew, delay: int, repeat: int) -> None:
    made = await sqlite_service.admin.post("/policies", a_policy(a_step(delay, ("user", small_crew.ids["anna"])), repeat=repeat), 201)
    assert made["repeat"] == repeat


async def test_a_policy_is_used_by_the_sites_that_name_it(service: Service, crew: Crew) -> None:
    made = await service.admin.post("/policies", for_two(crew), 201)
    changed = await service.admin.ask("PATCH", "/sites/main", json={"default_policy": made["id"]})
    assert changed.json() == {"slug": "main", "name": "main", "default_policy": made["id"]}
    await service.send(EVENT, {**EVENT, "site": OTHER_SITE})
    ours, other = [await service.reader.get(f"/alerts/{number}") for number in (1, 2)]
    assert ours["escalation"] == {"policy": "Nights", "level": 0, "next_at": to_text(service.world.clock.at + 10 * MINUTE)}
    assert other["escalation"]["policy"] == "Built-in policy"
    problem = await service.admin.refused("DELETE", f"/policies/{made['id']}", 409)
    assert "default of main" in problem["detail"]
    back = await service.admin.ask("PATCH", "/sites/main", json={"default_policy": None, "name": "Main shop"})
    assert back.json() == {"slug": "main", "name": "Main shop", "default_policy": None}
    assert (await service.admin.ask("DELETE", f"/policies/{made['id']}")).status_code == 204
    assert (await service.reader.get("/alerts/1"))["escalation"]["policy"] == "Nights", "an open alert keeps to it"


async def test_a_site_cannot_use_a_policy_that_is_not_there(sqlite_service: Service) -> None:
    problem = await sqlite_service.admin.refused("PATCH", "/sites/main", 422, json={"default_policy": NOWHERE})
    assert problem["errors"] == [{"field": "default_policy", "message": f"there is no policy {NOWHERE}"}]
    await sqlite_service.admin.refused("PATCH", "/sites/nowhere", 404, json={"name": "x"})


@pytest.mark.claim("A6")
async def test_an_alert_is_escalated_once_however_many_press(service: Service, crew: Crew) -> None:
    made = await service.admin.post("/policies", {**for_two(crew), "repeat": 0}, 201)
    await service.admin.ask("PATCH", "/sites/main", json={"default_policy": made["id"]})
    await service.send(EVENT)
    first = await service.writer.post("/alerts/1/escalate", {"from_level": 0})
    second = await service.writer.post("/alerts/1/escalate", {"from_level": 0})
    await service.world.settle()
    assert first["escalation"]["level"] == second["escalation"]["level"] == 1
    assert crew.told == ["00:00 ntfy anna: opened", "00:00 ntfy ben: escalated"]
    shown = await service.reader.get("/alerts/1")
    (line,) = [line for line in shown["history"] if line["action"] == "escalated"]
    assert (line["actor"], line["reason"], line["details"]["told"]) == ("key:writer", "asked for", ["ntfy ben"])
    assert (await service.reader.get("/alerts"))["items"][0]["escalation"]["level"] == 1


async def test_what_is_acknowledged_stands_still_and_what_is_resolved_has_no_escalation(sqlite_service: Service, small_crew: Crew) -> None:
    service = sqlite_service
    await service.send(EVENT)
    held = await service.writer.post("/alerts/1/acknowledge")
    assert held["escalation"] == {"policy": "Built-in policy", "level": 0, "next_at": None}
    over = await service.writer.post("/alerts/1/resolve")
    assert over["escalation"] is None
    await service.writer.refused("POST", "/alerts/1/escalate", 409)


@pytest.mark.parametrize("body", [{"from_level": "0"}, {"from_level": -2}, {"from_level": 1001}, {"level": 1}, {"from_level": 1.5}])
async def test_a_level_that_is_none_is_refused(sqlite_service: Service, small_crew: Crew, body: dict[str, Any]) -> None:
    await sqlite_service.send(EVENT)
    await sqlite_service.writer.refused("POST", "/alerts/1/escalate", 422, json=body)


@pytest.mark.claim("S3")
async def test_another_sites_alert_cannot_be_escalated(sqlite_service: Service, small_crew: Crew) -> None:
    await sqlite_service.send(EVENT)
    await sqlite_service.tenant.refused("POST", "/alerts/1/escalate", 404)
    await sqlite_service.reader.refused("POST", "/alerts/1/escalate", 403)


@pytest.mark.claim("B10")
async def test_the_preview_says_who_would_be_told_and_when(service: Service, crew: Crew) -> None:
    await crew.rules("ben", quiet=("22:00", "07:00"))
    made = await service.admin.post("/policies", for_two(crew), 201)
    shown = await service.reader.get(f"/policies/{made['id']}/preview", at="2026-01-07T01:00:00Z")
    assert (shown["policy"], shown["severity"], shown["site"], shown["at"]) == ("Nights", 4, "main", "2026-01-07T01:00:00.000Z")
    levels = [(one["level"], one["cycle"], one["due_at"][11:16], [told["name"] for told in one["told"]]) for one in shown["levels"]]
    assert levels == [(0, 0, "01:00", ["Anna"]), (1, 0, "01:10", ["Ben"]), (0, 1, "01:10", ["Anna"]), (1, 1, "01:20", ["Ben"])]
    ben = shown["levels"][1]["told"][0]
    assert (ben["held"], ben["at"], ben["kind"], ben["user"]) == (True, "2026-01-07T06:00:00.000Z", "ntfy", crew.ids["ben"])
    assert service.world.messages() == []
    loud = await service.reader.get(f"/policies/{made['id']}/preview", severity=5)
    assert loud["levels"][1]["told"][0]["held"] is False


async def test_the_preview_names_who_would_not_be_reached(sqlite_service: Service, small_crew: Crew) -> None:
    made = await sqlite_service.admin.post("/policies", for_two(small_crew), 201)
    await small_crew.disable("ben")
    shown = await sqlite_service.reader.get(f"/policies/{made['id']}/preview")
    assert [one["missed"] for one in shown["levels"]][:2] == [[], ["Ben: is disabled"]]
    quiet = await sqlite_service.reader.get("/policies/default/preview", severity=1)
    assert quiet["levels"] == []
    await sqlite_service.reader.refused("GET", "/policies/default/preview", 422, params={"severity": 9})
    await sqlite_service.reader.refused("GET", "/policies/nonsense/preview", 404)


@pytest.mark.claim("N7")
async def test_a_contact_that_an_administrator_verifies_is_told_and_one_that_is_removed_is_not(
    sqlite_service: Service, small_crew: Crew
) -> None:
    service, anna = sqlite_service, small_crew.ids["anna"]
    made = await service.admin.post(f"/users/{anna}/contacts", {"kind": "email", "target": "anna@example.com", "verified": True}, 201)
    waiting = await service.admin.post(f"/users/{anna}/contacts", {"kind": "email", "target": "other@example.com"}, 201)
    assert (made["verified_at"] is not None, waiting["verified_at"]) == (True, None)
    await service.send({**EVENT, "severity": 5})
    assert "00:00 email anna@example.com: opened" in small_crew.told
    assert [line for line in small_crew.told if "other@" in line] == ["00:00 email other@example.com: notice"], "its code, and no alert"
    assert (await service.admin.ask("DELETE", f"/users/{anna}/contacts/{made['id']}")).status_code == 204
    await service.admin.refused("DELETE", f"/users/{anna}/contacts/{made['id']}", 404)
    await service.admin.refused("POST", f"/users/{anna}/contacts", 422, json={"kind": "email", "target": "nobody"})
    await service.admin.refused("POST", f"/users/{NOWHERE}/contacts", 404, json={"kind": "email", "target": "a@example.com"})
    assert len((await service.admin.get(f"/users/{anna}/contacts"))["items"]) == 4

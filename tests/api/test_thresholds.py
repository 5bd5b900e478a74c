"""``/thresholds``, asked as a client asks."""

from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tocsin.identity.model import Scope

VAR = {"metric": "disk_percent", "host": "Web01", "labels": {"mount": "/var"}, "warning": 90, "critical": 97, "clear": 88}


@pytest.mark.claim("M6")
async def test_a_threshold_made_over_the_api_holds_at_once(service: Service) -> None:
    made = await service.admin.post("/thresholds", VAR, 201)
    now = "2025-11-25T00:00:00.000Z"
    assert made == {
        "id": made["id"],
        "metric": "disk_percent",
        "site": None,
        "host": "web01",
        "labels": {"mount": "/var"},
        "direction": "above",
        "warning": 90.0,
        "critical": 97.0,
        "clear": 88.0,
        "for_seconds": 0,
        "missing_seconds": None,
        "enabled": True,
        "origin": "user",
        "created_by": "key:admin",
        "created_at": now,
        "updated_at": now,
    }
    for value, expected in ((89.0, []), (91.0, ["open"]), (89.0, ["open"]), (87.0, ["resolved"])):
        service.world.clock.advance(1000)
        sample = {"name": "disk_percent", "host": "web01", "labels": {"mount": "/var"}, "value": value}
        for _ in range(2):
            await service.sender.post("/metrics", {"samples": [sample]}, 202)
        assert [alert["status"] for alert in (await service.reader.get("/alerts"))["items"]] == expected


async def test_limits_change_and_what_a_threshold_is_about_does_not(service: Service) -> None:
    made = await service.admin.post("/thresholds", VAR, 201)
    path = f"/thresholds/{made['id']}"
    changes = {"warning": None, "critical": 99, "clear": None, "for_seconds": 60, "missing_seconds": 600}
    changed = await service.admin.ask("PATCH", path, json=changes)
    assert changed.json() == made | changes
    assert await service.reader.get(path) == made | changes
    await service.admin.refused("PATCH", path, 422, json={"host": "web02"})
    await service.admin.refused("PATCH", path, 422, json={})
    assert (await service.admin.ask("DELETE", path)).status_code == 204
    await service.reader.refused("GET", path, 404)


async def test_the_settings_own_thresholds_are_shown_and_cannot_be_changed(service: Service) -> None:
    listed = (await service.reader.get("/thresholds"))["items"]
    assert {one["metric"]: one["warning"] for one in listed} == {
        "cpu_percent": 80,
        "disk_percent": 85,
        "memory_percent": 90,
        "response_ms": 3000,
    }
    shown = await service.reader.get("/thresholds/default:cpu_percent")
    assert (shown["origin"], shown["created_by"], shown["created_at"]) == ("settings", None, None)
    for method in ("PATCH", "DELETE"):
        problem = await service.admin.refused(method, "/thresholds/default:cpu_percent", 409, json={"warning": 1})
        assert "change the setting" in problem["detail"]


async def test_a_list_comes_in_pages_and_by_metric(service: Service) -> None:
    for host in ("a", "b", "c"):
        service.world.clock.advance(1)
        await service.admin.post("/thresholds", VAR | {"host": host}, 201)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await service.reader.get("/thresholds", limit="2", **cursor)
        seen += [one["host"] or one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["c", "b", "a", "default:cpu_percent", "default:disk_percent", "default:memory_percent", "default:response_ms"]
    of_cpu = await service.reader.get("/thresholds", metric="cpu_percent")
    assert [one["id"] for one in of_cpu["items"]] == ["default:cpu_percent"]


@pytest.mark.claim("S5")
async def test_another_site_s_thresholds_are_not_there(service: Service) -> None:
    foreign = await service.admin.post("/thresholds", VAR | {"site": "main"}, 201)
    own = await service.admin.post("/thresholds", VAR | {"site": OTHER_SITE}, 201)
    of_all = await service.admin.post("/thresholds", VAR, 201)
    ids = [one["id"] for one in (await service.tenant.get("/thresholds"))["items"]]
    assert own["id"] in ids
    assert of_all["id"] in ids
    assert foreign["id"] not in ids
    await service.tenant.refused("GET", f"/thresholds/{foreign['id']}", 404)
    await service.tenant.refused("GET", "/thresholds?site=main", 404)
    for caller in (service.tenant, service.writer, service.reader, await service.key("site-admin", Scope.ADMIN, site=OTHER_SITE)):
        await caller.refused("POST", "/thresholds", 403, json=VAR)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metric": "disk percent"}, "metric"),
        ({"metric": "x" * 201}, "metric"),
        ({"site": "nowhere"}, "site"),
        ({"host": ""}, "host"),
        ({"labels": {"mount": "\0"}}, "labels"),
        ({"labels": {"mount": 5}}, "labels"),
        ({"warning": "90"}, "warning"),
        ({"critical": 89}, "critical"),
        ({"clear": 91}, "clear"),
        ({"warning": None, "critical": None, "clear": None}, "warning"),
        ({"for_seconds": -1}, "for_seconds"),
        ({"missing_seconds": 5}, "missing_seconds"),
        ({"direction": "beside"}, "direction"),
    ],
)
async def test_a_threshold_that_cannot_be_is_refused_by_field(service: Service, changes: dict[str, Any], field: str) -> None:
    problem = await service.admin.refused("POST", "/thresholds", 422, json=VAR | changes)
    assert [error["field"].split("[")[0] for error in problem["errors"]] == [field]


async def test_the_very_same_twice_is_a_conflict(service: Service) -> None:
    made = await service.admin.post("/thresholds", VAR, 201)
    problem = await service.admin.refused("POST", "/thresholds", 409, json=VAR | {"warning": 50, "clear": None})
    assert made["id"] in problem["detail"]

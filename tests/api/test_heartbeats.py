"""Heartbeats and pings over HTTP."""

from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.api.walk import MADE_UP
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.heartbeats.model import MAX_LOG

pytestmark = pytest.mark.claim("M5")
HOURLY = {"name": "Backup of db-1", "period_seconds": 3600, "longest_run_seconds": 600}


async def make(service: Service, **more: Any) -> tuple[dict[str, Any], str]:
    """A heartbeat, and the path that its job calls."""
    made = await service.admin.post("/heartbeats", {**HOURLY, **more}, 201)
    return made, made["url"].removeprefix("https://alarm.example.com")


async def test_a_job_reports_start_and_end_without_a_key(service: Service) -> None:
    made, path = await make(service)
    assert (made["status"], made["severity"], made["grace_seconds"], made["time_zone"]) == ("waiting", 3, 300, "UTC")
    began = await service.nobody.ask("GET", f"{path}/start")
    assert (began.status_code, began.json()["status"], began.headers["cache-control"]) == (200, "running", "no-store")
    service.world.clock.advance(90 * SECOND)
    ended = await service.nobody.ask("POST", path, content=b"all is well\n")
    assert ended.json() == {"kind": "success", "status": "up", "expected_at": "2025-11-25T01:01:30.000Z"}
    shown = await service.reader.get(f"/heartbeats/{made['id']}")
    assert shown["last_run_ms"] == 90_000
    assert [(one["kind"], one["took_ms"], one["log"]) for one in shown["pings"]] == [
        ("success", 90_000, "all is well"),
        ("start", None, ""),
    ]
    assert "url" not in shown


async def test_an_exit_code_in_the_address_says_how_it_went(sqlite_service: Service) -> None:
    service = sqlite_service
    made, path = await make(service)
    assert (await service.nobody.ask("POST", f"{path}/17", content="disk full")).json()["status"] == "failed"
    (alert,) = (await service.reader.get("/alerts"))["items"]
    assert (alert["type"], alert["title"]) == ("heartbeat.failed", "Backup of db-1: failed with exit code 17")
    assert "disk full" in alert["message"]
    assert (await service.nobody.ask("GET", f"{path}/0")).json()["status"] == "up"
    assert (await service.reader.get(f"/heartbeats/{made['id']}"))["pings"][0]["exit_code"] == 0
    assert (await service.nobody.ask("GET", f"{path}/fail")).json()["kind"] == "fail"


async def test_head_counts_as_a_ping(sqlite_service: Service) -> None:
    made, path = await make(sqlite_service)
    answer = await sqlite_service.nobody.ask("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await sqlite_service.reader.get(f"/heartbeats/{made['id']}"))["status"] == "up"


async def test_of_a_long_log_the_end_is_kept(sqlite_service: Service) -> None:
    made, path = await make(sqlite_service)
    log = b"\x00x" * 1_500_000 + "the last line: ä".encode()
    assert (await sqlite_service.nobody.ask("POST", path, content=log)).status_code == 200
    kept = (await sqlite_service.reader.get(f"/heartbeats/{made['id']}"))["pings"][0]["log"]
    assert kept.endswith("the last line: ä")
    assert len(kept.encode()) <= 3 * MAX_LOG
    assert "\x00" not in kept


async def test_an_address_of_nobody_is_404_and_trying_many_is_slowed(sqlite_service: Service) -> None:
    service = sqlite_service
    _, path = await make(service)
    await service.nobody.refused("GET", "/ping/nonsense", 404)
    await service.nobody.refused("POST", f"/ping/{'x' * 3000}", 404)
    problem = await service.nobody.refused("GET", f"{path}/finished", 404)
    assert "start, fail, and exit codes" in problem["detail"]
    service.app.state.guard.strangers.most = 1
    await service.nobody.ask("GET", "/ping/nonsense")
    await service.nobody.refused("GET", "/ping/nonsense", 429)


async def test_a_job_that_calls_without_end_is_slowed(sqlite_service: Service) -> None:
    _, path = await make(sqlite_service)
    sqlite_service.app.state.guard.calls.most = 2
    assert [(await sqlite_service.nobody.ask("GET", path)).status_code for _ in range(3)] == [200, 200, 429]


async def test_a_new_address_ends_the_old_one(sqlite_service: Service) -> None:
    service = sqlite_service
    made, path = await make(service)
    again = await service.admin.post(f"/heartbeats/{made['id']}/token")
    assert again["url"] != made["url"]
    await service.nobody.refused("GET", path, 404)
    assert (await service.nobody.ask("GET", again["url"].removeprefix("https://alarm.example.com"))).status_code == 200
    assert made["url"].rpartition("/")[2] not in str(await service.admin.get("/audit"))


async def test_a_heartbeat_can_be_changed_paused_and_removed(service: Service) -> None:
    made, path = await make(service)
    place = f"/heartbeats/{made['id']}"
    service.world.clock.advance(2 * HOUR)
    await service.world.turn()
    assert (await service.reader.get(place))["status"] == "missed"
    change = {"name": "Nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "longest_run_seconds": None, "severity": 5}
    changed = (await service.admin.ask("PATCH", place, json=change)).json()
    wanted = {**change, "period_seconds": None, "grace_seconds": 300, "status": "waiting", "expected_at": "2025-11-26T01:30:00.000Z"}
    assert {name: changed[name] for name in wanted} == wanted
    assert (await service.admin.ask("PATCH", place, json={"paused": True})).json()["status"] == "paused"
    assert (await service.nobody.ask("GET", path)).json() == {"kind": "success", "status": "paused", "expected_at": None}
    assert (await service.admin.ask("PATCH", place, json={"paused": False})).json()["status"] == "up"
    assert (await service.admin.ask("DELETE", place)).status_code == 204
    await service.reader.refused("GET", place, 404)
    assert [alert["status"] for alert in (await service.reader.get("/alerts"))["items"]] == ["resolved"]


async def test_the_list_is_paged_in_the_order_of_making(sqlite_service: Service) -> None:
    names = [(await make(sqlite_service, name=f"h{n}"))[0]["name"] for n in range(5)]
    first = await sqlite_service.reader.get("/heartbeats", limit=3)
    second = await sqlite_service.reader.get("/heartbeats", limit=3, cursor=first["next_cursor"])
    assert [one["name"] for one in [*first["items"], *second["items"]]] == names


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "name"),
        ({"name": "x"}, "period_seconds"),
        ({"name": "x", "period_seconds": 60, "cron": "* * * * *"}, "period_seconds"),
        ({"name": "x", "period_seconds": 59}, "period_seconds"),
        ({"name": "x", "period_seconds": True}, "period_seconds"),
        ({"name": "x", "cron": "0 0 30 2 *"}, "cron"),
        ({"name": "x", "cron": "@daily......"}, "cron"),
        ({"name": "x", "cron": "* * * * *", "time_zone": "Berlin"}, "time_zone"),
        ({"name": "x", "period_seconds": 60, "grace_seconds": -1}, "grace_seconds"),
        ({"name": "x", "period_seconds": 60, "longest_run_seconds": 0}, "longest_run_seconds"),
        ({"name": "x", "period_seconds": 60, "severity": 6}, "severity"),
        ({"name": "x", "period_seconds": 60, "site": "nowhere"}, "site"),
        ({"name": "x\x00", "period_seconds": 60}, "name"),
        ({"name": "x", "period_seconds": 60, "graze": 1}, "graze"),
    ],
)
async def test_bad_input_is_named(sqlite_service: Service, sent: dict[str, Any], field: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/heartbeats", 422, json=sent)
    assert field in [error["field"] for error in problem["errors"]]


async def test_of_another_site_there_is_nothing(sqlite_service: Service) -> None:
    service = sqlite_service
    made, _ = await make(service)
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/token")):
        await service.tenant.refused(method, f"/heartbeats/{made['id']}{path}", 404, **({"json": {}} if method == "PATCH" else {}))
    assert (await service.tenant.get("/heartbeats"))["items"] == []
    own = await service.tenant.post("/heartbeats", HOURLY, 201)
    assert own["site"] == OTHER_SITE
    await service.reader.refused("GET", f"/heartbeats/{MADE_UP}", 404)
    await service.writer.refused("POST", "/heartbeats", 403, json=HOURLY)


async def test_the_grace_time_is_waited_for(sqlite_service: Service) -> None:
    service = sqlite_service
    await make(service, grace_seconds=60)
    await service.world.pass_time(HOUR + MINUTE - SECOND)
    assert (await service.reader.get("/alerts"))["items"] == []
    await service.world.pass_time(SECOND)
    assert [alert["type"] for alert in (await service.reader.get("/alerts"))["items"]] == ["heartbeat.missed"]

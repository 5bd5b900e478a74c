"""``/checks`` over HTTP: made, tried, run, changed, removed; and what bad input gets."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.service import OTHER_SITE, Service
from tests.checks.servers import http, serving
from tocsin.db import tables
from tocsin.identity.model import Scope

pytestmark = pytest.mark.claim("M2")

CERTAIN = {"kind": "tcp", "host": "shop.example.com", "port": 443}


async def make(service: Service, **more: Any) -> Any:
    return await service.admin.post("/checks", {"name": "Shop", "target": CERTAIN, **more}, 201)


async def test_a_check_is_made_found_changed_and_removed(service: Service) -> None:
    made = await make(service, group="shop", sla_percent=99.9, host="web-1")
    assert (made["status"], made["kind"], made["interval_seconds"], made["host"]) == ("unknown", "tcp", 60, "web-1")
    assert made["next_at"] == made["created_at"]
    assert await service.reader.get(f"/checks/{made['id']}") == made
    changed = await service.admin.ask("PATCH", f"/checks/{made['id']}", json={"interval_seconds": 300, "group": None, "paused": True})
    assert changed.status_code == 200, changed.text
    assert {**made, "interval_seconds": 300, "group": None, "paused": True, "status": "paused", "next_at": None} == changed.json()
    assert (await service.reader.get("/checks", status="paused"))["items"] == [changed.json()]
    assert (await service.reader.get("/checks", status="up,down"))["items"] == []
    assert (await service.admin.ask("DELETE", f"/checks/{made['id']}")).status_code == 204
    await service.reader.refused("GET", f"/checks/{made['id']}", 404)


async def test_the_list_is_paged_the_newest_first(sqlite_service: Service) -> None:
    names = [(await make(sqlite_service, name=f"c{n}"))["name"] for n in range(5)]
    first = await sqlite_service.reader.get("/checks", limit=3)
    second = await sqlite_service.reader.get("/checks", limit=3, cursor=first["next_cursor"])
    assert [one["name"] for one in [*first["items"], *second["items"]]] == names[::-1]


async def test_run_now_looks_with_a_full_trace_and_counts(sqlite_service: Service) -> None:
    service = sqlite_service
    async with serving(http(500, b"oh no")) as port:
        made = await make(service, target={"kind": "http", "url": f"http://127.0.0.1:{port}/"}, private=True, retries=0)
        ran = await service.admin.post(f"/checks/{made['id']}/run")
    assert (ran["finding"]["result"], ran["finding"]["cause"]) == ("failed", "answers with the wrong status")
    assert ran["finding"]["evidence"]["body"] == "oh no"
    assert ran["finding"]["trace"][-1]["text"] == "< 500, 5 bytes"
    assert ran["check"]["status"] == "down"
    assert [alert["type"] for alert in (await service.reader.get("/alerts"))["items"]] == ["check.down"]
    (result,) = (await service.reader.get(f"/checks/{made['id']}/results"))["items"]
    assert result["evidence"]["status"] == 500
    assert result["status"] == "down"


async def test_a_paused_check_can_be_run_and_stays_paused(sqlite_service: Service) -> None:
    made = await make(sqlite_service, target={"kind": "tcp", "host": "127.0.0.1", "port": 9}, paused=True)
    ran = await sqlite_service.admin.post(f"/checks/{made['id']}/run")
    assert (ran["finding"]["result"], ran["check"]["status"]) == ("unknown", "paused")
    assert (await sqlite_service.reader.get(f"/checks/{made['id']}/results"))["items"] == []


async def test_a_check_can_be_tried_before_it_is_saved(sqlite_service: Service) -> None:
    async with serving(http(200, b"fine")) as port:
        target = {"kind": "http", "url": f"http://127.0.0.1:{port}/", "keyword": "bad"}
        found = await sqlite_service.admin.post("/checks/try", {"name": "x", "target": target, "private": True})
    assert (found["result"], found["words"]) == ("failed", "its answer does not say 'bad'")
    assert set(found["phases"]) == {"dns", "connect", "first byte", "body"}
    assert (await sqlite_service.reader.get("/checks"))["items"] == []


async def test_what_proves_who_we_are_is_not_shown_and_stays_when_it_comes_back_hidden(sqlite_service: Service) -> None:
    service = sqlite_service
    target = {
        "kind": "http",
        "url": "https://example.com/",
        "headers": {"Authorization": "Bearer s3cret", "X-Api-Key": "k3y", "Accept": "a/b"},
    }
    made = await make(service, target=target)
    assert made["target"]["headers"] == {"Authorization": "(hidden)", "X-Api-Key": "(hidden)", "Accept": "a/b"}
    other = {**made["target"], "headers": {**made["target"]["headers"], "Accept": "c/d"}}
    changed = await service.admin.ask("PATCH", f"/checks/{made['id']}", json={"target": other})
    assert changed.json()["target"]["headers"] == other["headers"]
    with service.world.core.database.read() as connection:
        from tocsin.checks import store

        kept = store.get(connection, made["id"])
    assert kept is not None
    assert kept.definition.target.headers == {**target["headers"], "Accept": "c/d"}  # type: ignore[union-attr, dict-item]  # it is http
    assert "s3cret" not in str(await service.admin.get("/audit"))
    assert "k3y" not in str(await service.admin.get("/audit"))


async def test_a_databases_password_is_not_shown_and_stays_when_it_comes_back_hidden(sqlite_service: Service) -> None:
    target = {"kind": "database", "engine": "mysql", "host": "db.example.com", "user": "watch", "password": "s3cret"}
    made = await make(sqlite_service, target=target)
    assert made["target"]["password"] == "(hidden)"
    changed = await sqlite_service.admin.ask("PATCH", f"/checks/{made['id']}", json={"target": {**made["target"], "user": "other"}})
    assert changed.json()["target"]["user"] == "other"
    (kept,) = sqlite_service.world.rows(sa.select(tables.checks.c.definition))
    assert '"password":"s3cret"' in kept[0]
    assert "s3cret" not in str(await sqlite_service.admin.get("/audit"))


async def test_a_script_is_for_those_who_may_see_every_site(sqlite_service: Service) -> None:
    target = {"kind": "script", "script": "check_raid"}
    await sqlite_service.tenant.refused("POST", "/checks", 403, json={"name": "x", "target": target})
    found = await sqlite_service.admin.post("/checks/try", {"name": "x", "target": target})
    assert (found["result"], found["words"]) == ("unknown", "no folder of scripts is allowed: set TOCSIN_SCRIPTS_DIR")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "name"),
        ({"name": "x"}, "target"),
        ({"name": "x", "target": {"kind": "nonsense"}}, "target.kind"),
        ({"name": "x", "target": {"kind": "tcp", "host": "a", "port": 0}}, "target.port"),
        ({"name": "x", "target": {"kind": "tcp", "host": "a b", "port": 1}}, "target.host"),
        ({"name": "x", "target": {"kind": "tcp", "host": "a", "port": 1, "x": 1}}, "target"),
        ({"name": "x", "target": {"kind": "http", "url": "http://u:p@example.com/"}}, "target.url"),
        ({"name": "x", "target": {"kind": "http", "url": "https://example.com/\x00"}}, "target.url"),
        ({"name": "x\x00", "target": CERTAIN}, "name"),
        ({"name": "x", "target": {"kind": "domain", "host": "example.com"}}, "interval_seconds"),
        ({"name": "x", "target": {"kind": "script", "script": "../sh"}}, "target.script"),
        ({"name": "x", "target": CERTAIN, "interval_seconds": 5}, "interval_seconds"),
        ({"name": "x", "target": CERTAIN, "timeout_seconds": 60}, "timeout_seconds"),
        ({"name": "x", "target": CERTAIN, "retries": 11}, "retries"),
        ({"name": "x", "target": CERTAIN, "sla_percent": 101}, "sla_percent"),
        ({"name": "x", "target": CERTAIN, "site": "nowhere"}, "site"),
        ({"name": "x", "target": CERTAIN, "intervall": 60}, "intervall"),
    ],
)
async def test_bad_input_is_named(sqlite_service: Service, sent: dict[str, Any], field: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/checks", 422, json=sent)
    assert field in [error["field"] for error in problem["errors"]]


@pytest.mark.claim("A23")
async def test_only_who_may_see_every_site_may_send_a_check_behind_the_wall(sqlite_service: Service) -> None:
    service = sqlite_service
    own = await service.tenant.post("/checks", {"name": "Own", "target": CERTAIN}, 201)
    assert own["site"] == OTHER_SITE
    await service.tenant.refused("POST", "/checks", 403, json={"name": "x", "target": CERTAIN, "private": True})
    await service.tenant.refused("POST", "/checks/try", 403, json={"name": "x", "target": CERTAIN, "private": True})
    await service.tenant.refused("PATCH", f"/checks/{own['id']}", 403, json={"private": True})
    allowed = await service.admin.ask("PATCH", f"/checks/{own['id']}", json={"private": True})
    assert allowed.status_code == 200
    other = {"kind": "tcp", "host": "127.0.0.1", "port": 22}
    await service.tenant.refused("PATCH", f"/checks/{own['id']}", 403, json={"target": other})
    assert (await service.tenant.ask("PATCH", f"/checks/{own['id']}", json={"paused": True})).status_code == 200


async def test_of_another_site_there_is_nothing(sqlite_service: Service) -> None:
    service = sqlite_service
    made = await make(service)
    for method, path in (("GET", ""), ("GET", "/results"), ("PATCH", ""), ("DELETE", ""), ("POST", "/run")):
        body = {"json": {"name": "y"}} if method == "PATCH" else {"json": {}} if method == "POST" else {}
        await service.tenant.refused(method, f"/checks/{made['id']}{path}", 404, **body)
    assert (await service.tenant.get("/checks"))["items"] == []
    writer = await service.key("writer", Scope.WRITE)
    await writer.refused("POST", "/checks", 403, json={"name": "x", "target": CERTAIN})

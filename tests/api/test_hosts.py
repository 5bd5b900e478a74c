"""Hosts over HTTP: an agent's word, its silence, and how new ones are let in."""

import gzip
import json
from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Caller, Service
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.times import to_text
from tocsin.identity.model import Scope

pytestmark = pytest.mark.claim("M1")


async def report(service: Service, caller: Caller, host: str = "web-1", agent: str = "a-1", **more: Any) -> Any:
    """One round of an agent."""
    now = service.world.clock.now()
    card = {"id": agent, "host": host, "version": "1.0", "interval_seconds": 60, "at": now, "facts": {"os": "Debian 12"}, **more}
    sample = {"name": "load_1m", "host": host, "value": 0.5, "at": to_text(now)}
    body = gzip.compress(json.dumps({"samples": [sample]}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json", "X-Tocsin-Agent": json.dumps(card)}
    answer = await caller.ask("POST", "/metrics", content=body, headers=headers)
    await service.world.settle()
    return answer


def types(service: Service) -> list[tuple[str, str]]:
    return [(alert.type, alert.status) for alert in service.world.alerts()]


async def test_an_agent_that_sends_makes_a_host_and_one_that_stops_is_told(service: Service) -> None:
    assert (await report(service, service.sender)).status_code == 202
    (host,) = (await service.reader.get("/hosts"))["items"]
    wanted = {
        "name": "web-1",
        "site": "main",
        "status": "up",
        "agent_version": "1.0",
        "interval_seconds": 60.0,
        "facts": {"os": "Debian 12"},
    }
    assert {name: host[name] for name in wanted} == wanted
    await service.world.pass_time(5 * MINUTE + 50 * SECOND)  # after a start, agents have five minutes to come back
    await report(service, service.sender)
    await service.world.pass_time(MINUTE + 59 * SECOND)
    assert types(service) == []
    await service.world.pass_time(SECOND)
    assert types(service) == [("host.silent", "open")]
    alert = service.world.alert()
    assert (alert.title, alert.host, alert.severity) == ("web-1 is silent", "web-1", 4)
    assert (await service.reader.get(f"/hosts/{host['id']}"))["status"] == "silent"
    await report(service, service.sender)
    assert types(service) == [("host.silent", "resolved")]


async def test_a_sender_without_a_card_makes_no_host(sqlite_service: Service) -> None:
    await sqlite_service.sender.post("/metrics", {"samples": [{"name": "load_1m", "value": 1, "host": "web-1"}]}, 202)
    assert (await sqlite_service.reader.get("/hosts"))["items"] == []


async def test_a_server_that_changes_its_name_is_the_same_and_a_copy_is_another(service: Service) -> None:
    await report(service, service.sender, "web-1")
    await service.world.pass_time(6 * MINUTE)
    await report(service, service.sender, "web-1")
    await report(service, service.sender, "web-01")
    for _ in range(4):
        await service.world.pass_time(MINUTE)
        await report(service, service.sender, "web-01")
    assert [one["name"] for one in (await service.reader.get("/hosts"))["items"]] == ["web-01"]
    assert [alert for alert in types(service) if alert[1] == "open"] == []
    assert "host.renamed" in [event["type"] for event in (await service.reader.get("/events"))["items"]]
    for _ in range(4):  # a copy of the disk, with the agent's id in it
        await report(service, service.sender, "web-01")
        await report(service, service.sender, "web-02")
        await service.world.pass_time(MINUTE)
    assert [one["name"] for one in (await service.reader.get("/hosts"))["items"]] == ["web-01", "web-02"]


async def test_a_clock_that_is_hours_off_is_named(sqlite_service: Service) -> None:
    service = sqlite_service
    await report(service, service.sender, at=service.world.clock.now() + 5 * HOUR)
    assert service.world.alert().title == "The clock of web-1 is 5 h ahead"
    assert (await service.reader.get("/hosts"))["items"][0]["clock_off_seconds"] == 18000
    await report(service, service.sender)
    assert types(service) == [("host.clock_off", "resolved")]


async def test_a_host_can_be_paused_and_removed(sqlite_service: Service) -> None:
    service = sqlite_service
    await report(service, service.sender)
    host = (await service.reader.get("/hosts"))["items"][0]["id"]
    paused = await service.admin.ask("PATCH", f"/hosts/{host}", json={"paused": True})
    assert paused.json()["status"] == "paused"
    await service.world.pass_time(HOUR)
    assert types(service) == []
    assert (await service.admin.ask("PATCH", f"/hosts/{host}", json={"paused": False})).json()["status"] == "up"
    assert (await service.admin.ask("PATCH", f"/hosts/{host}", json={})).json()["status"] == "up"
    await service.world.pass_time(HOUR)
    assert (await service.admin.ask("DELETE", f"/hosts/{host}")).status_code == 204
    assert types(service) == [("host.silent", "resolved")]
    await service.reader.refused("GET", f"/hosts/{host}", 404)
    await report(service, service.sender)
    assert len((await service.reader.get("/hosts"))["items"]) == 1


async def test_after_a_restart_of_ours_nobody_is_silent_before_agents_can_be_back(sqlite_service: Service) -> None:
    service = sqlite_service
    await report(service, service.sender)
    await service.world.pass_time(10 * SECOND)
    service.world.clock.advance(3 * MINUTE)  # nothing looks, nothing listens
    await service.world.pass_time(4 * MINUTE)
    assert types(service) == []
    await service.world.pass_time(2 * MINUTE)
    assert types(service) == [("host.silent", "open")]


async def test_a_card_that_cannot_be_read_is_named(sqlite_service: Service) -> None:
    answer = await report(sqlite_service, sqlite_service.sender, interval_seconds=-1)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["X-Tocsin-Agent"]


async def test_of_another_site_there_is_nothing(sqlite_service: Service) -> None:
    service = sqlite_service
    await report(service, service.sender)
    host = (await service.reader.get("/hosts"))["items"][0]["id"]
    for method in ("GET", "PATCH", "DELETE"):
        await service.tenant.refused(method, f"/hosts/{host}", 404, **({"json": {}} if method == "PATCH" else {}))
    own = await service.key("theirs", Scope.INGEST, site=OTHER_SITE)
    await report(service, own, "web-1")
    assert [one["site"] for one in (await service.tenant.get("/hosts"))["items"]] == [OTHER_SITE]
    assert len((await service.reader.get("/hosts", limit=1))["items"]) == 1


async def test_a_new_server_fetches_a_key_of_its_own_once(service: Service) -> None:
    made = await service.admin.post("/agents/tokens", {"site": OTHER_SITE}, 201)
    body = {"token": made["token"], "host": "web-9"}
    given = await service.nobody.post("/agents/register", body, 201)
    assert (given["host"], given["site"]) == ("web-9", OTHER_SITE)
    agent = Caller(service.client, given["key"])
    assert (await report(service, agent, "web-9")).status_code == 202
    assert [one["site"] for one in (await service.reader.get("/hosts"))["items"]] == [OTHER_SITE]
    await agent.refused("GET", "/alerts", 403)
    problem = await service.nobody.refused("POST", "/agents/register", 403, json=body)
    assert "by web-9; each works once" in problem["detail"]
    audit = str(await service.admin.get("/audit"))
    assert "agent:web-9" in audit
    assert made["token"] not in audit
    assert given["key"] not in audit


async def test_a_token_runs_out_and_nonsense_is_none(sqlite_service: Service) -> None:
    service = sqlite_service
    made = await service.admin.post("/agents/tokens", {}, 201)
    service.world.clock.advance(HOUR)
    await service.nobody.refused("POST", "/agents/register", 403, json={"token": made["token"], "host": "web-9"})
    await service.nobody.refused("POST", "/agents/register", 403, json={"token": "new_nonsense", "host": "web-9"})
    bad: list[Any] = [{}, {"token": "x"}, {"token": "x", "host": ""}, {"token": "x\x00", "host": "a"}, {"token": "x", "host": "\x00"}, []]
    for wrong in bad:
        await service.nobody.refused("POST", "/agents/register", 422, json=wrong)
    await service.tenant.refused("POST", "/agents/tokens", 403, json={})
    service.app.state.guard.strangers.most = 1
    await service.nobody.ask("POST", "/agents/register", json={"token": "new_x", "host": "web-9"})
    await service.nobody.refused("POST", "/agents/register", 429, json={"token": "new_x", "host": "web-9"})

"""``/agents/checks``: locations that agree, that fall silent, and reports that nobody asked for."""

import asyncio
import json
from typing import Any

import pytest

from agent import tocsin_agent as agent
from tests.api.service import Service
from tests.checks.servers import http, serving

pytestmark = pytest.mark.claim("M2")
AT = 1_764_028_800_000


class Bridge:
    """The agent's link, leading into the service of a test."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service, self._loop, self.is_cut = service, loop, False

    def ask(self, method: str, path: str, body: bytes, extra: dict[str, str]) -> Any:
        """One request, from a thread of the agent."""
        if self.is_cut:
            raise OSError("no route")
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json", **extra}
        asking = self._service.sender.ask(method, path, content=body, headers=headers)
        answer = asyncio.run_coroutine_threadsafe(asking, self._loop).result(10)
        return agent.Answer(answer.status_code, {}, answer.content)


def card(host: str = "web-1") -> str:
    return json.dumps({"id": "a", "host": host, "version": "1", "interval_seconds": 10, "at": AT})


async def reports(service: Service, host: str = "web-1") -> None:
    """Its agent is known."""
    sample = {"name": "load_1m", "host": host, "value": 1}
    answer = await service.sender.ask("POST", "/metrics", json={"samples": [sample]}, headers={"X-Tocsin-Agent": card(host)})
    assert answer.status_code == 202, answer.text


async def turn(looks: Any) -> None:
    """One turn of the agent, and the looks that it begins."""
    looks._ask_at = 0.0
    await asyncio.to_thread(looks.turn)
    while looks._under_way:
        await asyncio.sleep(0.005)


@pytest.mark.claim("K2")
async def test_two_locations_agree_that_a_shop_is_down(service: Service) -> None:
    await reports(service)
    looks = agent.Looks(Bridge(service, asyncio.get_running_loop()), card, True)
    async with serving(http(200, b"hello")) as port:
        target = {"kind": "http", "url": f"http://127.0.0.1:{port}/"}
        wanted = {"name": "Shop", "target": target, "private": True, "retries": 0, "locations": ["server", "web-1"], "agree": 2}
        made = await service.admin.post("/checks", wanted, 201)
        first = await service.admin.post(f"/checks/{made['id']}/run")
        assert (first["check"]["status"], first["finding"]["words"][:7]) == ("up", "HTTP 20")  # one of two cannot be two
        await turn(looks)
        await turn(looks)
        second = await service.admin.post(f"/checks/{made['id']}/run")
        assert second["finding"]["words"] == "HTTP 200 (from 2 of 2 locations: server, web-1)"
    service.world.clock.advance(60_000)
    await turn(looks)
    await turn(looks)
    down = await service.admin.post(f"/checks/{made['id']}/run")
    assert down["check"]["status"] == "down"
    assert down["check"]["words"].endswith("(from 2 of 2 locations: server, web-1)")
    places = (await service.reader.get(f"/checks/{made['id']}/locations"))["items"]
    assert [(one["location"], one["counts"], one["finding"]["cause"]) for one in places] == [
        ("server", True, "refuses the connection"),
        ("web-1", True, "refuses the connection"),
    ]
    (alert,) = (await service.reader.get("/alerts"))["items"]
    assert alert["type"] == "check.down"
    (result, *_) = (await service.reader.get(f"/checks/{made['id']}/results", evidence="yes"))["items"]
    assert [one["location"] for one in result["evidence"]["locations"]] == ["server", "web-1"]


async def test_an_agent_that_falls_silent_makes_a_check_unknown_and_never_down(sqlite_service: Service) -> None:
    service = sqlite_service
    await reports(service)
    bridge = Bridge(service, asyncio.get_running_loop())
    looks = agent.Looks(bridge, card, True)
    async with serving(http(200, b"hello")) as port:
        target = {"kind": "tcp", "host": "127.0.0.1", "port": port}
        made = await service.admin.post("/checks", {"name": "Shop", "target": target, "private": True, "locations": ["web-1"]}, 201)
        unasked = await service.admin.post(f"/checks/{made['id']}/run")
        assert (unasked["check"]["status"], unasked["check"]["cause"]) == ("unknown", "too few locations have looked")
        await turn(looks)
        await turn(looks)
        assert (await service.admin.post(f"/checks/{made['id']}/run"))["check"]["status"] == "up"
        service.world.clock.advance(300_000)
        bridge.is_cut = True
        await turn(looks)
        lost = await service.admin.post(f"/checks/{made['id']}/run")
    assert lost["check"]["status"] == "unknown"
    assert lost["finding"]["words"] == "1 of 1 location must agree, and 0 can say: web-1 has not reported for 5 min"
    assert (await service.reader.get("/alerts"))["items"] == []


async def test_a_report_counts_only_from_a_host_that_is_asked_and_for_what_is_asked(sqlite_service: Service) -> None:
    service = sqlite_service
    await reports(service)
    target = {"kind": "tcp", "host": "shop.example.com", "port": 443}
    made = await service.admin.post("/checks", {"name": "Shop", "target": target, "locations": ["web-1"]}, 201)
    looked = {"check": made["id"], "mark": "0" * 16, "age_ms": 0, "ms": 1.0}

    async def exchange(host: str, *reports: Any) -> Any:
        answer = await service.sender.ask("POST", "/agents/checks", json={"looks": reports}, headers={"X-Tocsin-Agent": card(host)})
        assert answer.status_code == 200, answer.text
        return answer.json()["checks"]

    (errand,) = await exchange("web-1", looked)
    assert await exchange("web-2", {**looked, "mark": errand["mark"]}) == []
    assert (await service.reader.get(f"/checks/{made['id']}/locations"))["items"][0]["at"] is None
    await exchange("web-1", {**looked, "mark": errand["mark"]}, {**looked, "check": "nonsense"})
    assert (await service.reader.get(f"/checks/{made['id']}/locations"))["items"][0]["at"] is not None
    await service.admin.ask("PATCH", f"/checks/{made['id']}", json={"target": {**target, "port": 444}})
    assert (await service.reader.get(f"/checks/{made['id']}/locations"))["items"][0]["at"] is None
    await service.admin.ask("PATCH", f"/checks/{made['id']}", json={"paused": True})
    assert await exchange("web-1") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"looks": [{}]}, "looks[0]"),
        ({"looks": [{"check": "c", "mark": "m", "age_ms": -1, "ms": 1}]}, "looks[0].age_ms"),
        ({"looks": [{"check": "c", "mark": "m", "age_ms": 0, "ms": 1, "fault": "down"}]}, "looks[0].fault"),
        ({"looks": [{"check": "c", "mark": "m", "age_ms": 0, "ms": 1, "body": "no base 64!"}]}, "looks[0].body"),
        ({"looks": 1}, "looks"),
    ],
)
async def test_reports_that_cannot_be_read_are_refused_by_name(sqlite_service: Service, body: Any, field: str) -> None:
    headers = {"X-Tocsin-Agent": card()}
    problem = await sqlite_service.sender.refused("POST", "/agents/checks", 422, json=body, headers=headers)
    assert problem["errors"][0]["field"].startswith(field)
    await sqlite_service.sender.refused("POST", "/agents/checks", 422, json={})
    await sqlite_service.reader.refused("POST", "/agents/checks", 403, json={}, headers=headers)


async def test_a_location_must_be_a_host_of_the_site(sqlite_service: Service) -> None:
    wanted = {"name": "Shop", "target": {"kind": "tcp", "host": "a.example.com", "port": 1}, "locations": ["server", "web-9"]}
    problem = await sqlite_service.admin.refused("POST", "/checks", 422, json=wanted)
    assert problem["errors"][0]["field"] == "locations[1]"
    await reports(sqlite_service)
    await sqlite_service.tenant.refused("POST", "/checks", 422, json={**wanted, "locations": ["web-1"]})

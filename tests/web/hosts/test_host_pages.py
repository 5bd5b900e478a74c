"""Servers on pages: let in, listed, looked at, compared, paused, removed."""

import json
import re
from typing import Any

import msgspec
import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.hosts import store
from tocsin.hosts.model import Card
from tocsin.identity.model import Role, Scope
from tocsin.metrics.model import Curve, Sample, Series
from tocsin.web.hosts import rules

pytestmark = pytest.mark.claim("U5", "U3")


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, only: str | None = None) -> Browser:
    person = await a_person(service, email, role, "Marta Weiss")
    if only is not None:
        await sees_only(service, person, only)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


async def report(service: Service, site: str = "main", host: str = "srv-1", **more: float) -> str:
    """What an agent sends; the id of its host."""
    now = service.world.clock.now()
    agent = await service.key("agent", Scope.INGEST, site=site)
    figures = {"cpu_percent": 31.0, "memory_percent": 64.0, "load_1m": 1.5, **more}
    samples: list[dict[str, Any]] = [
        {"name": name, "host": host, "site": site, "value": value, "at": to_text(now)} for name, value in figures.items()
    ]
    samples.append({"name": "disk_percent", "host": host, "site": site, "value": 88.0, "labels": {"mount": "/var"}, "at": to_text(now)})
    samples.append({"name": "service_up", "host": host, "site": site, "value": 0, "labels": {"unit": "exim"}, "at": to_text(now)})
    card = Card(f"agent of {host}", host, "1.0", 60, now, {"system": "Debian 12"})
    headers = {"X-Tocsin-Agent": msgspec.json.encode(card).decode()}
    answer = await agent.ask("POST", "/metrics", json={"samples": samples}, headers=headers)
    assert answer.status_code == 202, answer.text
    with service.world.core.database.read() as connection:
        return next(one.id for one in store.hosts(connection) if one.name == host)


async def test_a_server_is_let_in_with_a_token_that_is_shown_once(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/hosts")
    assert "No server reports yet" in marta.text
    await marta.post("/hosts/token", csrf=marta.csrf)
    found = re.search(r"--register ([\w-]+)", marta.text)
    assert found
    joined = await sqlite_service.nobody.post("/agents/register", {"token": found[1], "host": "srv-1"}, 201)
    assert joined["key"]


@pytest.mark.claim("K17", "K2")
async def test_a_server_is_seen_with_its_figures_disks_and_services(sqlite_service: Service) -> None:
    host_id = await report(sqlite_service)
    marta = await log_in(sqlite_service)
    await marta.get("/hosts")
    for words in ("srv-1 reports", "31%", "64%", "88% /var", "1.50"):
        assert words in marta.text, words
    await marta.get(f"/hosts/{host_id}")
    for words in ("Processor", "/var", "0 of 1 run", "exim", "Debian 12", "every 1 min"):
        assert words in marta.text, words


@pytest.mark.claim("K18", "R1", "R6")
async def test_a_chart_has_the_points_of_the_time_and_of_the_week_before(sqlite_service: Service) -> None:
    service = sqlite_service
    now = service.world.clock.now()
    host_id = await report(service, cpu_percent=41.0)
    site_id = service.world.core.sites.get("main").id
    old = Sample(site_id, "cpu_percent", now - rules.WEEK - HOUR, 11.0, "srv-1")
    await service.world.write(lambda tx: service.world.core.history.record(tx, [old], now))
    service.world.clock.advance(MINUTE)
    marta = await log_in(service)
    drawn = json.loads((await marta.get(f"/hosts/{host_id}/charts/cpu?range=24h&compare=week")).text)
    by_name = {one["name"]: [value for value in one["values"] if value is not None] for one in drawn["series"]}
    assert by_name == {"Processor": [41.0], "Processor a week before": [11.0]}
    assert drawn["unit"] == "%"
    assert (await marta.get(f"/hosts/{host_id}/charts/nothing")).status_code == 404
    assert (await marta.get(f"/hosts/{host_id}?from=2025-11-25T00:00:00Z&to=2025-11-24T00:00:00Z")).status_code == 422


async def test_planned_work_on_it_is_on_its_time_axis_and_that_on_others_is_not(sqlite_service: Service) -> None:
    service = sqlite_service
    host_id, now = await report(service), service.world.clock.now()
    for name, host in (("New kernel", "srv-1"), ("New disks", "srv-2")):
        matchers = [{"field": "host", "op": "=", "value": host}]
        work = {"name": name, "matchers": matchers, "starts_at": to_text(now + MINUTE), "ends_at": to_text(now + HOUR)}
        await service.writer.post("/maintenance", work, 201)
    service.world.clock.advance(2 * HOUR)
    marta = await log_in(service)
    drawn = json.loads((await marta.get(f"/hosts/{host_id}/charts/cpu?range=6h")).text)
    assert drawn["spans"] == [{"from": (now + MINUTE) // 1000, "to": (now + HOUR) // 1000, "text": "New kernel"}]
    await marta.get(f"/hosts/{host_id}?range=6h")
    assert "New kernel" in marta.text
    assert "New disks" not in marta.text


async def test_it_is_paused_resumed_and_removed(sqlite_service: Service) -> None:
    host_id = await report(sqlite_service)
    marta, at = await log_in(sqlite_service), f"/hosts/{host_id}"
    await marta.get(at)
    csrf = marta.csrf
    await marta.post(f"{at}/pause", csrf=csrf)
    assert (await sqlite_service.reader.get(at))["status"] == "paused"
    await marta.post(f"{at}/resume", csrf=csrf)
    assert (await sqlite_service.reader.get(at))["status"] == "up"
    await marta.post(f"{at}/remove", csrf=csrf)
    await sqlite_service.reader.refused("GET", at, 404)


async def test_who_sees_one_site_sees_no_server_of_another(sqlite_service: Service) -> None:
    theirs = await report(sqlite_service, OTHER_SITE, "their-1")
    jonas = await log_in(sqlite_service, "jonas@example.com", Role.RESPONDER, "main")
    await jonas.get("/hosts")
    assert "their-1" not in jonas.text
    assert (await jonas.get(f"/hosts/{theirs}")).status_code == 404
    assert (await jonas.get(f"/hosts/{theirs}/charts/cpu")).status_code == 404


def curve(*points: tuple[int, float], name: str = "cpu_percent") -> Curve:
    return Curve(Series(1, 1, name, "srv-1", (), 0), None, list(points), None)


@pytest.mark.claim("K18")
def test_a_line_is_broken_where_nothing_came() -> None:
    pictured = rules.PICTURES[0]
    drawn = rules.chart(pictured, [curve((0, 1.0), (60_000, 2.0), (120_000, 3.0), (3_600_000, 4.0))], [], 60, rules.Beside())
    assert drawn["times"] == [0, 60, 120, 180, 3600]
    assert drawn["series"][0]["values"] == [1.0, 2.0, 3.0, None, 4.0]
    assert drawn["says"] == "Processor: 2.5 % on average, 4.0 % at most."


def test_a_chart_without_anything_says_so() -> None:
    assert rules.chart(rules.PICTURES[0], [], [], 60, rules.Beside())["says"] == "Processor: nothing was measured in this time."

"""What is known of WHMCS, as the API and the site's page show it (M4)."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person
from tests.world import World
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.whmcs import store
from tocsin.whmcs.model import Admin, Admins, Automation, Capacities, Capacity, Counts, Health, HealthCheck, Look, Queue, Version

ROBIN = Admin(1, "admin", 1, two_factor=False, disabled=False, failed_logins=2)
DANA = Admin(3, "dana", 2, two_factor=True, disabled=False, failed_logins=0)
GONE = Admin(4, "gone", 2, two_factor=False, disabled=True, failed_logins=0)
THEIRS = 1_773_481_200_000  # the wall clock of the WHMCS server


async def look_at_it(service: Service, fault: str | None = None) -> int:
    world = service.world
    site, now = world.core.sites.get("main").id, world.clock.now()
    facts = {
        "WhmcsDetails": Version("8.13.1"),
        "GetAutomationLog": Automation(THEIRS, THEIRS - 6 * HOUR),
        "GetHealthStatus": Health(True, 3, (HealthCheck("displayErrors", "On."),), ()),
        "GetModuleQueue": Queue(2, THEIRS - 40 * MINUTE, ("cpanel CreateAccount of service 771: timed out",)),
        "GetServers": Capacities((Capacity(1, "Web 1", "web1.hosting.example", True, 182, 200),)),
        "GetAdminUsers": Admins((ROBIN, DANA, GONE)),
        "GetTicketCounts": Counts({"awaitingReply": 12}),
        "GetStats": Counts({"orders_today_total": 14}, {"income_today": "$412.80 USD"}),
    }

    def work(tx: Tx) -> None:
        for name, found in facts.items():
            wrong = fault if name == "GetStats" else None
            cure = "Allow GetStats" if wrong else None
            store.keep_look(tx, site, Look(name, now, now, 120, wrong, cure, msgspec.json.encode(found).decode()))

    await world.write(work)
    return now


@pytest.mark.claim("M4")
async def test_a_site_shows_what_whmcs_says_of_itself(service: Service) -> None:
    now = await look_at_it(service)
    found = await service.reader.get("/sites/main/whmcs")
    assert {name: found[name] for name in ("version", "daily_cron_at", "queue_waiting", "queue_since", "admins")} == {
        "version": "8.13.1",
        "daily_cron_at": to_text(now - 6 * HOUR),
        "queue_waiting": 2,
        "queue_since": to_text(now - 40 * MINUTE),
        "admins": 2,
    }
    assert (found["admins_without_second_factor"], found["counts"], found["income"]["income_today"]) == (
        1,
        {"awaitingReply": 12, "orders_today_total": 14},
        "$412.80 USD",
    )
    assert [server["percent"] for server in found["servers"]] == [91]
    assert [action["took_ms"] for action in found["actions"]] == [120] * 8
    assert "dana" not in str(found)


async def test_of_a_site_that_is_not_connected_nothing_is_known(service: Service) -> None:
    found = await service.reader.get("/sites/main/whmcs")
    assert (found["connected"], found["version"], found["actions"]) == (False, None, [])


async def test_the_page_of_the_site_shows_it_and_what_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    reached: dict[str, Any] = {"whmcs_url": "https://billing.example.com", "whmcs_api_id": "id", "whmcs_api_secret": "SECRET-OF-WHMCS"}
    service = await Service.start(World(sqlite_url, tmp_path, **reached))
    try:
        await a_person(service)
        browser = Browser(service)
        await browser.log_in("marta@example.com")
        await browser.get("/settings/sites/main")
        assert "It has not been asked yet" in browser.text
        await look_at_it(service, fault="WHMCS refuses GetStats: Invalid Permissions")
        await browser.get("/settings/sites/main")
        for words in ("8.13.1", "6 h ago", "3 well, 1 warned of", "2, 1 without a second factor", "182 of 200 services", "Allow GetStats."):
            assert words in browser.text, words
        assert "SECRET-OF-WHMCS" not in browser.page.text
        assert (await service.reader.get("/sites/main/whmcs"))["connected"] is True
    finally:
        await service.close()


REACHED = {"url": "https://billing.kiez.example/", "identifier": "kX7", "secret": "hush-hush"}


@pytest.mark.claim("M4", "S5")
async def test_a_site_is_connected_over_the_api_and_its_secret_is_never_shown(service: Service) -> None:
    path = f"/sites/{OTHER_SITE}/whmcs"
    answer = await service.admin.ask("PUT", path, json=REACHED)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["connected"], found["url"], found["origin"]) == (True, "https://billing.kiez.example", "user")
    assert "hush-hush" not in answer.text + (await service.admin.ask("GET", "/audit")).text
    assert (await service.reader.get("/sites/main/whmcs"))["connected"] is False
    for caller in (service.tenant, service.writer):
        await caller.refused("PUT", path, 403, json=REACHED)
    assert (await service.admin.ask("DELETE", path)).status_code == 204
    assert (await service.reader.get(path))["connected"] is False
    await service.admin.refused("DELETE", path, 404)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://billing.example.com"}, "url"),
        ({"url": "https://billing.example.com/?a=b"}, "url"),
        ({"url": "https://me:you@billing.example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"identifier": "a b"}, "identifier"),
        ({"secret": "a\0b"}, "secret"),
        ({"secret": ""}, "secret"),
    ],
)
async def test_a_connection_that_cannot_be_is_refused_by_field(sqlite_service: Service, changes: dict[str, str], field: str) -> None:
    problem = await sqlite_service.admin.refused("PUT", "/sites/main/whmcs", 422, json=REACHED | changes)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_what_a_person_says_takes_the_place_of_the_settings(sqlite_url: str, tmp_path: Path) -> None:
    reached: dict[str, Any] = {"whmcs_url": "https://billing.example.com", "whmcs_api_id": "id", "whmcs_api_secret": "SECRET-OF-WHMCS"}
    service = await Service.start(World(sqlite_url, tmp_path, **reached))
    try:
        assert (await service.reader.get("/sites/main/whmcs"))["origin"] == "settings"
        await service.admin.ask("PUT", "/sites/main/whmcs", json=REACHED)
        assert (await service.reader.get("/sites/main/whmcs"))["url"] == "https://billing.kiez.example"
        await service.admin.ask("DELETE", "/sites/main/whmcs")
        found = await service.reader.get("/sites/main/whmcs")
        assert (found["url"], found["origin"]) == ("https://billing.example.com", "settings")
    finally:
        await service.close()


@pytest.mark.claim("M4")
async def test_servers_that_whmcs_knows_become_hosts_with_checks_once(service: Service) -> None:
    world = service.world
    site, now = world.core.sites.get("main").id, world.clock.now()
    servers = Capacities(
        (
            Capacity(1, "Web 1", "web1.hosting.example", True, 182, 200, "cpanel"),
            Capacity(2, "Old", "old.hosting.example", False, 0, 50, "plesk"),
            Capacity(3, "No host", "", True, 1, 0),
        )
    )
    facts = msgspec.json.encode(servers).decode()
    await world.write(lambda tx: store.keep_look(tx, site, Look("GetServers", now, now, 120, None, None, facts)))
    offered = (await service.reader.get("/sites/main/whmcs/servers"))["items"]
    assert [(one["name"], one["ticked"], len(one["checks"])) for one in offered] == [
        ("Web 1", True, 4),
        ("Old", False, 4),
        ("No host", False, 0),
    ]

    names = ["Web 1: ping", "Web 1: web server", "Web 1: certificate", "Web 1: cpanel"]
    assert await service.admin.post("/sites/main/whmcs/servers") == {"made": names, "present": 0}
    assert await service.admin.post("/sites/main/whmcs/servers") == {"made": [], "present": 4}
    assert (await service.admin.post("/sites/main/whmcs/servers", {"servers": [2]}))["made"][0] == "Old: ping"
    made = (await service.reader.get("/checks"))["items"]
    assert {(one["name"], one["host"], one["site"]) for one in made} >= {(name, "web1.hosting.example", "main") for name in names}
    assert all(check["present"] for one in (await service.reader.get("/sites/main/whmcs/servers"))["items"] for check in one["checks"])
    problem = await service.admin.refused("POST", "/sites/main/whmcs/servers", 422, json={"servers": [9]})
    assert problem["errors"] == [{"field": "servers", "message": "WHMCS of main knows no server 9"}]
    await service.tenant.refused("POST", "/sites/main/whmcs/servers", 404, json={})
    await service.reader.refused("POST", "/sites/main/whmcs/servers", 403, json={})

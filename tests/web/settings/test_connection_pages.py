"""Exporters and WHMCS connections by forms alone: tried before they are kept, and their secrets never shown again."""

from typing import Any

import pytest

from tests.api.service import Service
from tests.api.test_whmcs import look_at_it
from tests.prometheus.test_scraper import FakeDoor, good
from tests.standins.whmcs import IDENTIFIER, SECRET, WhmcsStandIn
from tests.web.browser import Browser, a_person
from tocsin.identity.model import Role
from tocsin.net.http import HttpDoor, NotSent

EXPORTERS, SITE = "/settings/exporters", "/settings/sites/main"
TOKEN = "token-that-is-hushed"


@pytest.fixture
def door(sqlite_service: Service) -> FakeDoor:
    fake = FakeDoor()
    object.__setattr__(sqlite_service.server, "door", fake)
    return fake


async def log_in(service: Service, role: Role = Role.ADMIN, at: str = EXPORTERS) -> Browser:
    await a_person(service, "marta@example.com", role, "Marta Weiss")
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    await browser.get(at)
    return browser


async def exporters(service: Service) -> Any:
    return (await service.reader.get("/prometheus/exporters"))["items"]


@pytest.mark.claim("M8", "S5")
async def test_an_exporter_is_tried_kept_changed_and_removed(sqlite_service: Service, door: FakeDoor) -> None:
    service, marta = sqlite_service, await log_in(sqlite_service)
    assert "No exporter is asked" in marta.text
    csrf = marta.csrf
    typed = {
        "csrf": csrf,
        "url": "http://web01:9100/metrics",
        "name": "node_exporter",
        "interval_seconds": "60",
        "token": TOKEN,
        "site": "main",
    }
    await marta.fill(EXPORTERS, {**typed, "do": "test"})
    assert "It answers, and shows how its server is, in our own metrics and 1 value under names of their own." in marta.text
    assert door.asked[0][1]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in marta.page.text
    assert await exporters(service) == []
    assert (await marta.fill(EXPORTERS, typed)).status_code == 303
    (made,) = await exporters(service)
    assert (made["host"], made["with_token"], made["enabled"]) == ("web01", True, True)
    at = f"{EXPORTERS}/{made['id']}"
    await marta.get(f"{EXPORTERS}?done=made")
    assert "Not asked yet" in marta.text
    assert TOKEN not in marta.page.text
    stays = {**typed, "token": "", "name": "web", "interval_seconds": "120"}
    await marta.fill(at, {**stays, "enabled": "yes", "do": "test"})
    assert door.asked[1][1]["Authorization"] == f"Bearer {TOKEN}"
    await marta.fill(at, stays)
    (kept,) = await exporters(service)
    assert (kept["name"], kept["interval_seconds"], kept["with_token"], kept["enabled"]) == ("web", 120, True, False)
    await marta.post(f"{at}/remove", csrf=csrf)
    assert await exporters(service) == []
    told = (await service.admin.ask("GET", "/audit")).text
    assert "exporter.made" in told
    assert TOKEN not in told


async def test_what_an_exporter_cannot_be_stands_below_its_field(sqlite_service: Service, door: FakeDoor) -> None:
    service, marta = sqlite_service, await log_in(sqlite_service)
    csrf = marta.csrf
    wrong = {"csrf": csrf, "url": "web01:9100", "name": "node_exporter", "interval_seconds": "5", "site": "main"}
    for changes, field in (({}, "new-interval"), ({"interval_seconds": "60"}, "new-url")):
        assert (await marta.fill(EXPORTERS, wrong | changes)).status_code == 422
        assert f'id="{field}-says"' in marta.page.text, field
    assert 'value="web01:9100"' in marta.page.text
    door.page = lambda: good("<html>", 404)
    await marta.fill(EXPORTERS, {**wrong, "url": "http://web01/metrics", "interval_seconds": "60", "do": "test"})
    assert "It shows nothing: it answered with status 404, not 200." in marta.text
    right = {**wrong, "url": "http://web01/metrics", "interval_seconds": "60", "token": TOKEN}
    await marta.fill(EXPORTERS, right)
    await marta.fill(EXPORTERS, right)
    assert "This address is asked already" in marta.text
    (kept,) = await exporters(service)
    asked = len(door.asked)
    for do in ("test", "save"):  # a token goes nowhere but where it was meant for
        await marta.fill(f"{EXPORTERS}/{kept['id']}", {**right, "url": "http://elsewhere/metrics", "token": "", "do": do})
        assert "Must be given anew for another address" in marta.text
    assert len(door.asked) == asked


async def test_who_may_not_configure_reads_only(sqlite_service: Service) -> None:
    jonas = await log_in(sqlite_service, Role.RESPONDER)
    assert jonas.page.status_code == 200
    assert "Ask another" not in jonas.text
    await jonas.get(SITE)
    assert "Connect it" not in jonas.text


async def test_a_test_over_the_api_keeps_nothing(sqlite_service: Service, door: FakeDoor) -> None:
    admin = sqlite_service.admin
    body = {"url": "http://web01:9100/metrics", "token": TOKEN}
    found = (await admin.ask("POST", "/prometheus/exporters/test", json=body)).json()
    assert (found["samples"], found["of_hosts"], found["fault"]) == (1, 1, None)

    def away() -> Any:
        raise NotSent("the connection was refused")

    door.page = away
    assert (await admin.ask("POST", "/prometheus/exporters/test", json=body)).json()["fault"] == "the connection was refused"
    assert await exporters(sqlite_service) == []
    await sqlite_service.reader.refused("POST", "/prometheus/exporters/test", 403, json=body)


@pytest.mark.claim("M4", "S5")
async def test_whmcs_is_tried_connected_and_forgotten_on_the_page_of_its_site(sqlite_service: Service) -> None:
    service, marta = sqlite_service, await log_in(sqlite_service, at=SITE)
    door = HttpDoor(allow_private=True)
    object.__setattr__(service.server, "door", door)
    async with WhmcsStandIn() as whmcs:
        typed = {"csrf": marta.csrf, "url": f"{whmcs.url}/whmcs/", "identifier": IDENTIFIER, "secret": "wrong"}
        await marta.fill(f"{SITE}/whmcs", {**typed, "do": "test"})
        assert "System Settings > API Credentials" in marta.text
        whmcs.forbidden = {"GetStats"}
        typed["secret"] = SECRET
        await marta.fill(f"{SITE}/whmcs", {**typed, "do": "test"})
        assert "GetStats" in marta.text
        whmcs.forbidden = set()
        await marta.fill(f"{SITE}/whmcs", {**typed, "do": "test"})
        assert "answers all of our questions" in marta.text
        assert SECRET not in marta.page.text
        assert (await service.reader.get("/sites/main/whmcs"))["connected"] is False
        assert (await marta.fill(f"{SITE}/whmcs", typed)).status_code == 303
        assert (await service.reader.get("/sites/main/whmcs"))["url"] == f"{whmcs.url}/whmcs"
        await marta.get(f"{SITE}?done=connected")
        assert SECRET not in marta.page.text
        await marta.fill(f"{SITE}/whmcs", {**typed, "secret": "", "do": "test"})  # the one that is kept
        assert "answers all of our questions" in marta.text
        asked = len(whmcs.taken)
        for changes in ({"url": f"{whmcs.url}/other"}, {"identifier": "another"}):
            await marta.fill(f"{SITE}/whmcs", {**typed, "secret": "", "do": "test", **changes})
            assert 'id="secret-says"' in marta.page.text
        assert len(whmcs.taken) == asked
        tried = await service.admin.ask("POST", "/sites/main/whmcs/test", json={k: typed[k] for k in ("url", "identifier", "secret")})
        assert tried.json()["fault"] is None
        assert tried.json()["version"]
        assert (await marta.fill(f"{SITE}/whmcs", {**typed, "do": "forget"})).status_code == 303
        assert (await service.reader.get("/sites/main/whmcs"))["connected"] is False
    await door.close()


@pytest.mark.claim("M4")
async def test_servers_that_whmcs_knows_are_offered_with_ticks_and_become_checks(sqlite_service: Service) -> None:
    service, marta = sqlite_service, await log_in(sqlite_service, at=SITE)
    connection = {"url": "https://billing.example.com", "identifier": IDENTIFIER, "secret": SECRET}
    await service.admin.ask("PUT", "/sites/main/whmcs", json=connection)
    await look_at_it(service)
    (known,) = (await service.reader.get("/sites/main/whmcs/servers"))["items"]
    await marta.get(SITE)
    assert f'name="servers" type="checkbox" value="{known["id"]}" checked' in marta.page.text
    await marta.fill(f"{SITE}/whmcs/servers", {"csrf": marta.csrf, "servers": "999"})
    assert marta.page.status_code == 422
    await marta.get(SITE)
    taken = await marta.fill(f"{SITE}/whmcs/servers", {"csrf": marta.csrf, "servers": str(known["id"])})
    assert taken.status_code == 303
    made = {check["name"] for check in (await service.reader.get("/checks"))["items"]}
    assert made == {check["name"] for check in known["checks"]}
    await marta.get(SITE)
    assert f"{known['name']} is watched." in marta.text

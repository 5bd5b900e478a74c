"""Checks by forms and links alone: tried, kept, looked at, paused, changed, removed."""

from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.checks.servers import http, serving
from tests.web.browser import Browser, a_person, sees_only
from tocsin.checks import store
from tocsin.core.clock import MINUTE
from tocsin.identity.model import Role

pytestmark = pytest.mark.claim("U5")


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN) -> Browser:
    await a_person(service, email, role, "Marta Weiss")
    browser = Browser(service)
    await browser.log_in(email)
    return browser


def typed(csrf: str, url: str = "https://shop.example.com/", do: str = "save", **more: str) -> dict[str, str]:
    sent = {"csrf": csrf, "kind": "http", "name": "Client area", "target.url": url, "target.statuses": "200", "target.trusted": "true"}
    return {**sent, "interval_seconds": "60", "severity": "4", "do": do, **more}


async def make(service: Service, **more: Any) -> Any:
    target = {"kind": "tcp", "host": "shop.example.com", "port": 443}
    return await service.admin.post("/checks", {"name": "Shop", "target": target, **more}, 201)


async def test_from_an_empty_page_a_website_is_tried_and_watched(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/checks")
    assert "Nothing is watched from outside yet" in marta.text
    await marta.get("/checks/new")
    csrf = marta.csrf
    async with serving(http(500, b"oh no")) as port:
        url = f"http://127.0.0.1:{port}/"
        assert (await marta.fill("/checks/new", typed(csrf, url, "try", private="1"))).status_code == 200
        assert "It fails: answers with the wrong status." in marta.text
        assert "< 500, 5 bytes" in marta.text
        assert f'value="{url}"' in marta.page.text
        await marta.get("/checks")
        assert "Nothing is watched from outside yet" in marta.text
        await marta.fill("/checks/new", typed(csrf, url, private="1"))
        assert marta.page.status_code == 303
        place = marta.place.split("/")[-1].partition("?")[0]
        await marta.get(f"/checks/{place}?done=made")
        assert "Client area" in marta.text
        await marta.post(f"/checks/{place}/run", csrf=marta.csrf)
    assert "It fails: answers with the wrong status." in marta.text
    assert "oh no" in marta.text
    await marta.get("/checks")
    assert "1 of 1 are down" not in marta.text  # one failure is no outage


async def test_a_mistake_stands_below_its_field_and_nothing_typed_is_lost(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/checks/new")
    wrong = typed(marta.csrf, "ftp://shop.example.com/", interval_seconds="5", sla_percent="lots")
    assert (await marta.fill("/checks/new", wrong)).status_code == 422
    assert "Must be a whole number of seconds from 10" in marta.text
    assert "Must be a percentage from 1 to 100" in marta.text
    assert 'value="Client area"' in marta.page.text
    await marta.get("/checks")
    assert "Nothing is watched from outside yet" in marta.text


@pytest.mark.claim("K17", "R6")
async def test_the_list_says_how_all_are_and_is_filtered_by_state_and_words(sqlite_service: Service) -> None:
    await make(sqlite_service, name="Shop door", group="Shop")
    await make(sqlite_service, name="Mail", host="mx-1", paused=True)
    marta = await log_in(sqlite_service)
    await marta.get("/checks")
    assert "1 not known, 1 paused" in marta.text
    assert "Shop door" in marta.text
    await marta.get("/checks?status=paused")
    assert "Shop door" not in marta.text
    await marta.get("/checks?q=door&range=90d")
    assert "Mail" not in marta.text
    await marta.get("/checks?q=nothing+like+it")
    assert "No check fits" in marta.text


async def test_a_check_is_paused_resumed_changed_and_removed(sqlite_service: Service) -> None:
    made = await make(sqlite_service)
    marta, at = await log_in(sqlite_service), f"/checks/{made['id']}"
    await marta.get(at)
    csrf = marta.csrf
    await marta.post(f"{at}/pause", csrf=csrf)
    await marta.get(f"{at}?done=paused")
    assert "Paused. Nobody looks" in marta.text
    await marta.post(f"{at}/resume", csrf=csrf)
    await marta.get(f"{at}/edit")
    assert 'value="shop.example.com"' in marta.page.text
    fields = {"csrf": csrf, "kind": "tcp", "name": "Shop port", "target.host": "shop.example.com", "target.port": "8443", "do": "save"}
    assert (await marta.fill(f"{at}/edit", fields)).status_code == 303
    kept = await sqlite_service.reader.get(at)
    assert (kept["name"], kept["target"]["port"], kept["paused"]) == ("Shop port", 8443, False)
    await marta.post(f"{at}/remove", csrf=csrf)
    await sqlite_service.reader.refused("GET", at, 404)


async def test_a_secret_header_is_never_shown_and_stays_when_the_form_is_saved(sqlite_service: Service) -> None:
    target = {"kind": "http", "url": "https://shop.example.com/", "headers": {"Authorization": "Bearer s3cret"}}
    made = await make(sqlite_service, target=target)
    marta, at = await log_in(sqlite_service), f"/checks/{made['id']}"
    await marta.get(f"{at}/edit")
    assert "s3cret" not in marta.page.text
    assert "Authorization: (hidden)" in marta.text
    sent = typed(marta.csrf, **{"target.headers": "Authorization: (hidden)"})
    assert (await marta.fill(f"{at}/edit", sent)).status_code == 303
    with sqlite_service.world.core.database.read() as connection:
        found = store.get(connection, made["id"])
    assert found
    assert found.definition.target.headers == {"Authorization": "Bearer s3cret"}  # type: ignore[union-attr]  # it is an HttpTarget


@pytest.mark.claim("K17", "R6")
async def test_the_chart_has_the_response_times(sqlite_service: Service) -> None:
    async with serving(http(200, b"fine")) as port:
        made = await make(sqlite_service, target={"kind": "http", "url": f"http://127.0.0.1:{port}/"}, private=True)
        await sqlite_service.admin.post(f"/checks/{made['id']}/run")
        sqlite_service.world.clock.at += MINUTE
        await sqlite_service.admin.post(f"/checks/{made['id']}/run")
    marta = await log_in(sqlite_service)
    drawn = (await marta.get(f"/checks/{made['id']}/times")).json()
    assert len(drawn["times"]) == 2
    assert drawn["unit"] == "ms"


async def test_who_may_not_change_sees_no_button_and_who_sees_one_site_sees_no_other(sqlite_service: Service) -> None:
    mine, other = await make(sqlite_service, name="Mine"), await make(sqlite_service, name="Theirs", site=OTHER_SITE)
    jonas = await a_person(sqlite_service, "jonas@example.com", Role.RESPONDER, "Jonas")
    await sees_only(sqlite_service, jonas, "main")
    viewer = Browser(sqlite_service)
    await viewer.log_in("jonas@example.com")
    await viewer.get(f"/checks/{mine['id']}")
    assert "Look now" not in viewer.text
    assert (await viewer.get("/checks/new")).status_code == 403
    await viewer.get("/checks")
    assert "Mine" in viewer.text
    assert "Theirs" not in viewer.text
    assert (await viewer.get(f"/checks/{other['id']}")).status_code == 404
    assert (await viewer.get(f"/checks/{other['id']}/times")).status_code == 404


async def test_locations_are_chosen_in_the_form_and_each_says_what_it_found(sqlite_service: Service) -> None:
    service = sqlite_service
    marta = await log_in(service)
    await marta.get("/checks/new")
    assert "Asked from" not in marta.text
    card = '{"id":"a","host":"web-1","version":"1","interval_seconds":10,"at":0}'
    sample = {"samples": [{"name": "load_1m", "host": "web-1", "value": 1}]}
    await service.sender.ask("POST", "/metrics", json=sample, headers={"X-Tocsin-Agent": card})
    await marta.get("/checks/new")
    assert "Asked from" in marta.text
    await marta.get("/checks/new?kind=domain")
    assert "Asked from" not in marta.text
    async with serving(http(200, b"hello")) as port:
        url = f"http://127.0.0.1:{port}/"
        secret = typed(marta.csrf, url, private="1", asks_from="1", locations="web-1", **{"target.headers": "Authorization: Bearer x"})
        assert (await marta.fill("/checks/new", secret)).status_code == 422
        assert "would be told to the servers whose agents look" in marta.text
        await marta.fill("/checks/new", typed(marta.csrf, url, private="1", asks_from="1", locations="web-1", agree="1"))
        place = marta.place.split("/")[-1].partition("?")[0]
        await marta.get(f"/checks/{place}")
        assert "1 of 1 must find that it fails" in marta.text
        assert "web-1, no vote. has not looked yet (does its agent run with --checks?)" in marta.text
        errand = (await service.sender.ask("POST", "/agents/checks", json={}, headers={"X-Tocsin-Agent": card})).json()["checks"][0]
        look = {"check": place, "mark": errand["mark"], "age_ms": 0, "ms": 12.0, "status": 503, "body": "b2ggbm8="}
        await service.sender.ask("POST", "/agents/checks", json={"looks": [look]}, headers={"X-Tocsin-Agent": card})
        await marta.get(f"/checks/{place}")
        assert "web-1. answers with the wrong status: it answered HTTP 503, and 200 would be right" in marta.text
        assert "oh no" in marta.text
        await marta.get(f"/checks/{place}/edit")
        assert 'value="web-1" checked' in marta.page.text
        assert 'value="server" checked' not in marta.page.text


async def test_an_address_alone_is_enough_and_where_it_may_not_go_the_way_out_stands_beside_it(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/checks/new")
    async with serving(http(200, b"hello")) as port:
        sent = {"csrf": marta.csrf, "kind": "http", "target.url": f"http://127.0.0.1:{port}/", "do": "try"}
        await marta.fill("/checks/new", sent)
        assert "is a private address, and this check may not go there" in marta.text
        after = marta.page.text.partition('id="found"')[2]
        assert 'name="private"' in after
        await marta.fill("/checks/new", {**sent, "private": "1", "do": "save"})
        await marta.get(f"/checks/{marta.place.split('/')[-1].partition('?')[0]}")
        assert f"127.0.0.1:{port}" in marta.text
        assert 'hx-trigger="tocsin:changed from:body, tocsin:renew from:body, every 1s"' in marta.page.text
    await marta.fill("/checks/new", {**sent, "target.url": "shop.example.com", "do": "save"})
    await marta.get("/checks")
    assert "shop.example.com" in marta.text
    (made, _) = (await sqlite_service.admin.get("/checks"))["items"]
    assert (made["name"], made["target"]["url"]) == ("shop.example.com", "https://shop.example.com")

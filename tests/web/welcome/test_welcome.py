"""The first run, from an account to an acknowledged alert."""

import io
import re
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin import shipped
from tocsin.db import tables
from tocsin.identity.model import Role
from tocsin.web import bridge


@pytest.mark.claim("U7")
async def test_the_downloaded_bridge_has_the_address_and_a_key_that_works(service: Service) -> None:
    marta = await log_in(service)
    await marta.get("/welcome?step=whmcs")
    await marta.post("/welcome/bridge", csrf=marta.csrf, site="main")
    assert marta.page.headers["content-disposition"] == 'attachment; filename="tocsin-bridge.zip"'
    assert marta.page.headers["cache-control"] == "no-store"
    with ZipFile(io.BytesIO(marta.page.content)) as file:
        names = file.namelist()
        brought = file.read("modules/addons/tocsin/brought.php").decode()
    assert {"modules/addons/tocsin/tocsin.php", "modules/addons/tocsin/lib/Bridge.php"} < set(names)
    assert all(name.startswith("modules/addons/tocsin/") for name in names)
    found = re.fullmatch(r"<\?php return \['server_url' => '([^']+)', 'api_key' => '([^']+)'\];\n", brought)
    assert found
    assert found[1] == service.world.core.settings.public_url
    event = {"type": "order.paid", "title": "Order 4711 paid"}
    sent = await service.client.post("/api/v1/events", json=event, headers={"Authorization": f"Bearer {found[2]}"})
    assert sent.status_code == 202


async def test_an_installation_without_the_bridge_says_so_and_makes_no_key(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "src/tocsin")
    marta = await log_in(service)
    await marta.get("/welcome?step=whmcs")
    before = service.world.count(tables.api_keys)
    await marta.post("/welcome/bridge", csrf=marta.csrf, site="main")
    assert marta.page.status_code == 404
    assert "lacks the bridge" in marta.page.text
    assert service.world.count(tables.api_keys) == before


def test_a_quote_in_an_address_stays_in_its_text() -> None:
    with ZipFile(io.BytesIO(bridge.archive(bridge.find(), "https://o'neill.example/\\", "key"))) as file:
        brought = file.read("modules/addons/tocsin/brought.php").decode()
    assert "'https://o\\'neill.example/\\\\'" in brought


async def log_in(service: Service, role: Role = Role.ADMIN) -> Browser:
    await a_person(service, role=role)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


@pytest.mark.claim("U7", "Q7")
async def test_every_step_ticks_itself_when_it_is_really_done(service: Service) -> None:
    marta = await log_in(service)
    await marta.get("/welcome")
    csrf = marta.csrf
    assert "Connect your WHMCS Step 2 of 4." in marta.text
    assert "Listening for the first event" in marta.text

    await marta.post("/welcome/key", csrf=csrf, site="main")
    found = re.search(r'aria-label="The key of the bridge"><code>([^<]+)</code>', marta.page.text)
    assert found
    event = {"type": "order.paid", "title": "Order 4711 paid"}
    sent = await service.client.post("/api/v1/events", json=event, headers={"Authorization": f"Bearer {found[1]}"})
    assert sent.status_code == 202
    await marta.get("/welcome?step=whmcs")
    assert "It arrives Order 4711 paid" in marta.text
    assert found[1] not in marta.page.text

    await marta.get("/welcome")
    assert "Put it on your phone" in marta.text
    assert "Nothing reaches you yet." in marta.text
    people = (await service.admin.ask("GET", "/users")).json()["items"]
    contacts = f"/users/{people[0]['id']}/contacts"
    await service.admin.ask("POST", contacts, json={"kind": "email", "target": "marta@example.com", "verified": True})
    await marta.get("/welcome?step=phone")
    assert "There is mail so far, and nothing that rings." in marta.text
    await service.admin.ask("POST", contacts, json={"kind": "ntfy", "target": "alerts-7f3k9q", "verified": True})

    await marta.get("/welcome")
    assert "Ring the bell once" in marta.text
    await marta.post("/welcome/test", csrf=csrf)
    await marta.get("/welcome?step=test")
    assert "It rings" in marta.text
    alerts = (await service.admin.ask("GET", "/alerts?type=tocsin.test")).json()["items"]
    await marta.post("/alerts/act", csrf=csrf, id=alerts[0]["id"], do="acknowledge", back="/")
    await marta.get("/welcome?step=test")
    assert "Heard, and taken" in marta.text
    await marta.get("/welcome")
    assert "You are on watch." in marta.text
    assert "Everything else can wait until the morning." in marta.text


async def test_a_step_can_be_skipped(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    for step, following in (("whmcs", "phone"), ("phone", "test"), ("test", "done")):
        await marta.get(f"/welcome?step={step}")
        assert re.search(rf'href="[^"]*welcome\?step={following}"[^>]*>Skip for now', marta.page.text)
    await marta.get("/welcome?step=done")
    assert "Not everything is done yet" in marta.text
    assert (await marta.get("/welcome?step=nonsense")).status_code == 422


async def test_what_tocsin_reports_itself_is_no_first_event(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/welcome")
    await marta.post("/welcome/test", csrf=marta.csrf)
    await marta.get("/welcome?step=whmcs")
    assert "Listening for the first event" in marta.text


async def test_the_guide_is_for_administrators_of_the_whole(sqlite_service: Service) -> None:
    user_id = await a_person(sqlite_service, "lena@example.com", Role.ADMIN, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    lena = Browser(sqlite_service)
    await lena.log_in("lena@example.com")
    assert (await lena.get("/welcome")).status_code == 403
    await lena.get("/alerts")
    assert "welcome" not in lena.page.text

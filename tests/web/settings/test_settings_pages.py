"""Health and sites, by forms and links alone."""

import re

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.identity.model import Role


async def marta(service: Service, role: Role = Role.ADMIN) -> Browser:
    await a_person(service, role=role)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


@pytest.mark.claim("B13")
async def test_tocsin_says_how_it_is(service: Service) -> None:
    browser = await marta(service)
    await browser.get("/settings/health")
    assert "Tocsin is well." in browser.text
    for words in ("come due", "On time", "messages wait", "SQLite" if service.server.core.database.is_sqlite else "PostgreSQL"):
        assert words in browser.text, words
    assert re.search(r"Intake 0 waiting to be stored .* Size [1-9][\d.,]* [kM]B ", browser.text), browser.text


async def test_a_step_that_fails_is_named(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    sqlite_service.engine.health["deliver"].error = "the disk is full"
    await browser.get("/settings/health")
    assert "The engine needs a look." in browser.text
    assert "the disk is full" in browser.text


async def test_the_whole_is_not_for_who_sees_one_site(sqlite_service: Service) -> None:
    user_id = await a_person(sqlite_service, "lena@example.com", Role.ADMIN, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    browser = Browser(sqlite_service)
    await browser.log_in("lena@example.com")
    assert (await browser.get("/settings/health")).status_code == 403
    await browser.get("/settings/sites")
    assert "kiezhost" in browser.text
    assert 'href="../settings/health"' not in browser.page.text
    assert (await browser.get("/settings/sites/main")).status_code == 404
    assert (await browser.get("/settings/sites/main/invoice.paid")).status_code == 404


async def test_a_site_is_made_and_renamed(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    await browser.get("/settings/sites")
    csrf = browser.csrf
    await browser.post("/settings/sites", csrf=csrf, slug="nordlicht", name="Nordlicht")
    await browser.post("/settings/sites/nordlicht", csrf=csrf, name="Nordlicht Hosting")
    await browser.get("/settings/sites")
    assert "Nordlicht Hosting nordlicht" in browser.text
    assert (await browser.post("/settings/sites", csrf=csrf, slug="nordlicht")).status_code == 409
    assert (await browser.post("/settings/sites", csrf=csrf, slug="Bad Slug")).status_code == 422


@pytest.mark.claim("B8")
async def test_a_row_of_the_catalogue_is_changed_and_put_back(service: Service) -> None:
    browser = await marta(service)
    await browser.get("/settings/sites/main/invoice.payment_failed")
    assert "High, always told." in browser.text
    csrf = browser.csrf
    await browser.post(
        "/settings/sites/main/invoice.payment_failed", csrf=csrf, severity="5", loud="default", title="No money: {id}|No money"
    )
    await service.send({"type": "invoice.payment_failed", "subject": "invoice:7"})
    alert = service.world.alert()
    assert (alert.severity, alert.title) == (5, "No money: 7")
    await browser.get("/settings/sites/main?changed=yes")
    assert "changed here" in browser.text
    await browser.post("/settings/sites/main/invoice.payment_failed", csrf=csrf, severity="5", reset="1")
    row = service.server.core.sites.get("main").catalogue.get("invoice.payment_failed")
    assert row is not None
    assert row.severity == 4


async def test_a_title_that_cannot_be_filled_is_explained_and_kept(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    await browser.get("/settings/sites/main/invoice.paid")
    answer = await browser.post("/settings/sites/main/invoice.paid", csrf=browser.csrf, severity="2", title="Paid [by {gateway")
    assert answer.status_code == 422
    assert "Paid [by {gateway" in browser.page.text
    assert 'aria-invalid="true"' in browser.page.text


@pytest.mark.parametrize("query", ["q=payment", "category=invoices", "changed=yes", "q=nothing-fits"])
async def test_rows_are_found(sqlite_service: Service, query: str) -> None:
    browser = await marta(sqlite_service)
    await browser.get(f"/settings/sites/main?{query}")
    assert ("No type fits" in browser.text) is (query in ("changed=yes", "q=nothing-fits"))


async def test_who_is_no_administrator_reads_only(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service, Role.RESPONDER)
    await browser.get("/settings/sites/main/invoice.paid")
    assert "An administrator can change it." in browser.text
    assert (await browser.post("/settings/sites/main/invoice.paid", csrf="x", severity="5")).status_code == 403
    assert (await browser.get("/settings/sites/main/no.such_type")).status_code == 404


async def test_the_api_renames_a_site_too(sqlite_service: Service) -> None:
    answer = await sqlite_service.admin.ask("PATCH", f"/sites/{OTHER_SITE}", json={"name": "Kiezhost"})
    assert answer.json()["name"] == "Kiezhost"
    await sqlite_service.reader.refused("PATCH", f"/sites/{OTHER_SITE}", 403, json={"name": "x"})
    await sqlite_service.admin.refused("PATCH", f"/sites/{OTHER_SITE}", 422, json={"name": " "})

"""The page that looks back, by links alone."""

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.build import a_report
from tests.web.browser import Browser, a_person, sees_only
from tocsin.identity.model import Role

pytestmark = pytest.mark.claim("A11")


async def marta(service: Service, only: str | None = None) -> Browser:
    user_id = await a_person(service, role=Role.VIEWER)
    if only is not None:
        await sees_only(service, user_id, only)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


@pytest.mark.claim("K8", "R3", "R4", "R5")
async def test_it_shows_the_figures_of_the_period_in_the_address(service: Service) -> None:
    await service.world.report(a_report("disk:/", severity=5), a_report("disk:/var"))
    service.world.clock.at += 60_000
    browser = await marta(service)
    await browser.get("/analytics?days=30")
    assert "Most begin on" in browser.text
    assert "disk:/var" in browser.text
    assert "Pages per person" in browser.text
    assert 'aria-current="true">30 days' in browser.page.text
    await browser.get("/analytics?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")
    assert "Nothing happened in this time" in browser.text
    assert 'name="from" value="2020-01-01T00:00:00Z"' in browser.page.text
    assert "analytics?from=2020-01-01T00:00:00Z&amp;to=2020-02-01T00:00:00Z&amp;site=" in browser.page.text


async def test_what_has_just_happened_is_counted_and_so_is_what_happens_a_moment_later(sqlite_service: Service) -> None:
    now = sqlite_service.world.clock.now
    await sqlite_service.world.report(a_report("disk:/", at=now()))
    browser = await marta(sqlite_service)
    for alerts in ("1 alert", "2 alerts"):
        await browser.get("/analytics")
        assert alerts in browser.text
        await sqlite_service.world.report(a_report("disk:/var", at=now()))


async def test_who_may_see_one_site_sees_that_sites_figures(sqlite_service: Service) -> None:
    await sqlite_service.world.report(a_report("disk:/secret"), a_report("disk:/own", site=OTHER_SITE))
    sqlite_service.world.clock.at += 60_000
    browser = await marta(sqlite_service, OTHER_SITE)
    await browser.get("/analytics")
    assert "disk:/own" in browser.text
    assert "disk:/secret" not in browser.text


@pytest.mark.parametrize(
    ("query", "status"),
    [("days=0", 422), ("days=many", 422), ("site=nope", 404), ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422)],
)
async def test_a_wrong_address_is_said_on_a_page(sqlite_service: Service, query: str, status: int) -> None:
    browser = await marta(sqlite_service)
    answer = await browser.get(f"/analytics?{query}")
    assert answer.status_code == status
    assert "text/html" in answer.headers["content-type"]

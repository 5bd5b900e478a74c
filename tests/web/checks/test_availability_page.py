"""``/availability``: the figures of a period for people."""

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.checks.build import DOWN, FINE, Watched, a_check
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR, MINUTE
from tocsin.identity.model import Role

pytestmark = pytest.mark.claim("H5", "U5")


async def log_in(service: Service, only: str | None = None) -> Browser:
    person = await a_person(service, "marta@example.com", Role.RESPONDER, "Marta Weiss")
    if only is not None:
        await sees_only(service, person, only)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


@pytest.mark.claim("R2", "R6")
async def test_it_says_how_long_what_was_down_and_whether_a_promise_is_broken(sqlite_service: Service) -> None:
    watched = await Watched.make(sqlite_service.world, a_check(sla=99.9, group="Shop", retries=0))
    await watched.lives_for(HOUR, FINE)
    await watched.lives_for(10 * MINUTE, DOWN)
    await watched.lives_for(HOUR, FINE)
    marta = await log_in(sqlite_service)
    await marta.get("/availability?days=1")
    assert "1 promise is broken" in marta.text
    assert "broken by" in marta.text
    assert "refuses the connection" in marta.text
    for by in ("site", "group", "host"):
        await marta.get(f"/availability?days=1&by={by}")
        assert "92.3" in marta.text, by


async def test_an_empty_page_says_what_belongs_here_and_a_time_without_looks_is_no_uptime(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/availability")
    assert "Nothing is watched from outside yet" in marta.text
    await Watched.make(sqlite_service.world)
    await marta.get("/availability")
    assert "Nothing was measured in this time" in marta.text


async def test_a_typed_time_stands_in_the_address_and_a_wrong_one_is_named(sqlite_service: Service) -> None:
    await Watched.make(sqlite_service.world)
    marta = await log_in(sqlite_service)
    assert (await marta.get("/availability?from=2025-11-01T00:00:00Z&to=2025-11-02T00:00:00Z")).status_code == 200
    assert "1 November to 1 November" in marta.text
    assert (await marta.get("/availability?from=2025-11-03T00:00:00Z&to=2025-11-02T00:00:00Z")).status_code == 422
    assert "must lie before" in marta.text


async def test_who_sees_one_site_sees_no_other(sqlite_service: Service) -> None:
    await Watched.make(sqlite_service.world)
    marta = await log_in(sqlite_service, OTHER_SITE)
    await marta.get("/availability")
    assert "Shop" not in marta.text

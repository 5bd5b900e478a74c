"""``/availability``: the figures of a period for people."""

import asyncio
import re

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.checks.build import DOWN, FINE, Watched, a_check
from tests.web.browser import Browser, a_person, sees_only
from tocsin.checks.figures import Line
from tocsin.checks.uptime import Uptime
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.identity.model import Role
from tocsin.web.checks.availability import left_out

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


def test_all_that_is_not_counted_is_named() -> None:
    out = Uptime(up=HOUR, maintenance=3 * MINUTE, unknown=2 * MINUTE, paused=MINUTE)
    assert left_out(Line(key="c", name="Shop", checks=(), uptime=out, budget=None)) == {
        "maintenance": 3 * MINUTE,
        "not seen": 2 * MINUTE,
        "paused": MINUTE,
    }
    assert left_out(Line(key="c", name="Shop", checks=(), uptime=Uptime(up=HOUR), budget=None)) == {}


@pytest.mark.claim("R2")
async def test_maintenance_and_what_nobody_saw_are_told_apart(sqlite_service: Service) -> None:
    world = sqlite_service.world
    watched = await Watched.make(world, a_check(retries=0))
    await watched.lives_for(10 * MINUTE, FINE)
    work = {
        "name": "New disks",
        "matchers": [{"field": "site", "op": "=", "value": "main"}],
        "ends_at": to_text(world.clock.now() + 20 * MINUTE),
    }
    await sqlite_service.writer.post("/maintenance", work, 201)
    await asyncio.to_thread(world.core.refresh)
    await watched.lives_for(19 * MINUTE, DOWN)
    world.clock.at += 3 * HOUR
    await watched.lives_for(5 * MINUTE, FINE)
    marta = await log_in(sqlite_service)
    await marta.get("/availability?days=1")
    assert re.search(r"maintenance 1\d m.*not seen \d+ h", marta.text), marta.text[-1500:]

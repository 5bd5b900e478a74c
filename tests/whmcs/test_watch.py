"""WHMCS of several sites, each asked with credentials of its own (M4)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.standins.whmcs import CONTRACT, IDENTIFIER, SECRET, WhmcsStandIn
from tests.world import World
from tocsin import bootstrap
from tocsin.audit.model import Who
from tocsin.core.clock import MINUTE
from tocsin.events import sites
from tocsin.metrics.model import SeriesFilter
from tocsin.net.http import HttpDoor
from tocsin.pipeline.whmcs import WhmcsWatch
from tocsin.whmcs import service
from tocsin.whmcs.model import Connection

MARTA = Who("marta@example.com")


@pytest.fixture
async def watch(world: World) -> AsyncIterator[WhmcsWatch]:
    door = HttpDoor(allow_private=True)
    found = bootstrap.whmcs_watch(world.core, door)
    yield found
    await found.close()
    await door.close()


async def connect(world: World, slug: str, whmcs: WhmcsStandIn, secret: str = SECRET) -> None:
    now = world.clock.now()
    site_id = await world.write(lambda tx: sites.ensure(tx, slug, now))
    wanted = Connection(site_id, f"{whmcs.url}/whmcs", IDENTIFIER, secret)
    await world.write(lambda tx: service.connect(tx, MARTA, slug, wanted, now))
    await asyncio.to_thread(world.core.refresh)


async def look(world: World, watch: WhmcsWatch) -> None:
    """A round and a survey of each, to their ends."""
    await watch.begin_looks()
    await watch.begin_surveys()
    pairs = await watch._current()
    tasks = [task for pair in pairs for task in (pair.lookout._task, pair.surveyor._task) if task is not None]
    await asyncio.gather(*tasks)
    world.clock.advance(20 * MINUTE)


@pytest.mark.claim("M4")
async def test_each_site_is_asked_with_its_own_credentials_and_has_its_own_alerts_and_figures(world: World, watch: WhmcsWatch) -> None:
    async with WhmcsStandIn() as acme, WhmcsStandIn() as shop:
        for one in (acme, shop):
            one.answers.update({"GetHealthStatus": {"checks": {}}, "GetModuleQueue": {"count": 0, "queue": []}})
            one.servers = [{**CONTRACT["answers"]["GetServers"]["servers"][1]}]
        shop.answers["GetAutomationLog"]["currentDatetime"] = "2026-03-16 09:40:00"
        await connect(world, "acme", acme)
        await connect(world, "shop", shop)
        await look(world, watch)
        (alert,) = world.alerts()
        assert (world.core.sites.slug_of(alert.site_id), alert.type) == ("shop", "whmcs.cron_overdue")
        with world.core.database.read() as connection:
            found = world.core.history.find(connection, SeriesFilter(name="whmcs_cron_age_seconds"))
        assert [world.core.sites.slug_of(one.site_id) for one in found] == ["acme", "shop"]
        assert (acme.taken.count("WhmcsDetails"), shop.taken.count("WhmcsDetails")) == (1, 1)


@pytest.mark.claim("M4")
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("bad_identifier", "API Credentials: make a new pair"),
        ("ip_not_allowed", "API IP Access Restriction: add this address"),
        ("admin_without_api_access", "needs API Access"),
    ],
)
async def test_what_is_refused_is_one_alert_that_says_what_to_change(world: World, watch: WhmcsWatch, case: str, words: str) -> None:
    async with WhmcsStandIn() as acme:
        acme.refuses = case
        await connect(world, "acme", acme)
        for _ in range(2):
            await look(world, watch)
        alert = world.alert()
        assert (world.core.sites.slug_of(alert.site_id), alert.type) == ("acme", "tocsin.whmcs_api")
        assert words in (alert.message or "")
        acme.refuses = None
        await look(world, watch)
        assert [one.status for one in world.alerts() if one.type == "tocsin.whmcs_api"] == ["resolved"]


async def test_a_connection_that_changes_counts_at_once_and_one_that_ends_is_not_asked(world: World, watch: WhmcsWatch) -> None:
    async with WhmcsStandIn() as acme:
        await connect(world, "acme", acme, "wrong")
        await look(world, watch)
        assert world.alert().type == "tocsin.whmcs_api"
        await connect(world, "acme", acme)
        await look(world, watch)
        assert "GetStats" in acme.taken
        asked = len(acme.taken)
        site = world.core.sites.get("acme")
        await world.write(lambda tx: service.disconnect(tx, MARTA, "acme", site.id, world.clock.now()))
        await asyncio.to_thread(world.core.refresh)
        await look(world, watch)
        assert len(acme.taken) == asked

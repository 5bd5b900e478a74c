"""``/availability`` and ``/outages`` over HTTP."""

import pytest

from tests.api.service import Service
from tests.checks.build import DOWN, FINE, Watched, a_check
from tocsin.core.clock import MINUTE
from tocsin.core.times import to_text

pytestmark = pytest.mark.claim("H5")


async def test_availability_is_asked_by_check_host_site_or_group_the_worst_first(sqlite_service: Service) -> None:
    world, reader = sqlite_service.world, sqlite_service.reader
    good = await Watched.make(world, a_check(name="Good", group="shop", sla=99.9, retries=0, interval=600))
    bad = await Watched.make(world, a_check(name="Bad", group="shop", retries=0, host="web-2", interval=600))
    for _ in range(6):
        await good.sees(FINE)
        await bad.sees(DOWN)
        world.clock.advance(10 * MINUTE)
    by_check = await reader.get("/availability")
    assert [(line["name"], line["uptime_percent"], line["outages"]) for line in by_check["items"]] == [("Bad", 0.0, 1), ("Good", 100.0, 0)]
    (group,) = (await reader.get("/availability", by="group"))["items"]
    assert (group["key"], group["checks"], group["uptime_percent"]) == ("shop", 2, 50.0)
    assert group["budget"] == {"sla_percent": 99.9, "allowed_seconds": 7.2, "used_seconds": 3600.0, "left_seconds": -3592.8}
    assert [line["key"] for line in (await reader.get("/availability", by="host"))["items"]] == ["web-2", "shop.example.com"]
    assert [line["key"] for line in (await reader.get("/availability", by="site"))["items"]] == ["main"]
    half = {"from": to_text(world.clock.at - 30 * MINUTE), "to": to_text(world.clock.at), "check": bad.id}
    assert (await reader.get("/availability", **half))["items"][0]["down_seconds"] == 1800
    found = await reader.get("/outages", check=bad.id)
    assert (found["total"], found["items"][0]["seconds"], found["items"][0]["ends_at"]) == (1, 3600, None)
    assert (await sqlite_service.tenant.get("/availability"))["items"] == []
    assert (await sqlite_service.tenant.get("/outages"))["items"] == []
    await sqlite_service.tenant.refused("GET", "/availability", 404, params={"check": bad.id})


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"by": "phase"}, "by"),
        ({"from": "2030-01-01T00:00:00Z"}, "from"),
        ({"from": "2001-01-01T00:00:00Z"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"group": ""}, "group"),
    ],
)
async def test_a_period_that_cannot_be_is_named(sqlite_service: Service, asked: dict[str, str], field: str) -> None:
    for path in ("/availability", "/outages"):
        problem = await sqlite_service.reader.refused("GET", path, 422, params=asked)
        assert [error["field"] for error in problem["errors"]] == [field]

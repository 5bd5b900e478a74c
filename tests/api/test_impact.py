"""What an alert costs, as the API shows it (A12)."""

import pytest

from tests.api.service import Service
from tests.build import a_report
from tocsin.core.clock import HOUR
from tocsin.core.times import to_text
from tocsin.whmcs import store
from tocsin.whmcs.model import Impact


@pytest.mark.claim("A12")
async def test_an_alert_shows_what_hangs_on_its_server(service: Service) -> None:
    world = service.world
    site, now = world.core.sites.get("main").id, world.clock.now()
    found = Impact("server", "1", ("web1", "192.0.2.31"), "Web 1", 182, 140, money={"EUR": 231_000}, measured_at=now - 3 * HOUR)
    await world.write(lambda tx: store.replace(tx, site, [found]))
    world.core.refresh()
    await world.report(a_report(type="host.down", host="web1"), a_report(type="host.down", host="web2"))
    assert (await service.reader.get("/alerts/1"))["impact"] == {
        "says": "182 services of 140 clients hang on Web 1: EUR 2,310.00 a month (as of 3 h ago).",
        "kind": "server",
        "name": "Web 1",
        "services": 182,
        "clients": 140,
        "due_invoices": 0,
        "failed_captures": 0,
        "money": {"EUR": "2310.00"},
        "measured_at": to_text(now - 3 * HOUR),
    }
    assert (await service.reader.get("/alerts/2"))["impact"] is None


async def three_alerts(service: Service) -> None:
    world = service.world
    site = world.core.sites.get("main").id
    found = [
        Impact("server", "1", ("web1",), "Web 1", 182, 140, money={"EUR": 231_000}),
        Impact("server", "2", ("web2",), "Web 2", 182, 141, money={"EUR": 231_000}),
        Impact("server", "3", ("web3",), "Web 3", 3, 2, money={"EUR": 900, "USD": 100}),
    ]
    await world.write(lambda tx: store.replace(tx, site, found))
    world.core.refresh()
    await world.report(*[a_report(type="host.down", host=host, subject=host) for host in ("mail", "web1", "web3", "web2", "web2-old")])


@pytest.mark.claim("A12")
async def test_alerts_are_listed_by_what_hangs_on_them_page_by_page(service: Service) -> None:
    await three_alerts(service)
    found, cursor = [], None
    for _ in range(3):
        page = await service.reader.get("/alerts", sort="-impact", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [alert["host"] for alert in page["items"]]
        cursor = page["next_cursor"]
    assert found == ["web2", "web1", "web3", "web2-old", "mail"]
    assert cursor is None


async def test_by_impact_there_is_only_what_is_not_over(sqlite_service: Service) -> None:
    await three_alerts(sqlite_service)
    await sqlite_service.world.resolve(sqlite_service.world.alert(4))
    found = await sqlite_service.reader.get("/alerts", sort="-impact")
    assert [alert["host"] for alert in found["items"]] == ["web1", "web3", "web2-old", "mail"]
    problem = await sqlite_service.reader.refused("GET", "/alerts", 422, params={"sort": "-impact", "status": "open,resolved"})
    assert problem["errors"][0]["field"] == "sort"

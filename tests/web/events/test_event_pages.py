"""The log, its sources, and the quarantine, by forms and links alone."""

import re
from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import DAY, MINUTE
from tocsin.core.times import to_text
from tocsin.events import queries
from tocsin.identity.model import Role
from tocsin.web.events import asking, page


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"type": "order.paid", "status": "info", "title": f"Order {number} paid", "subject": f"order:{number}"} | changes


async def marta(service: Service, role: Role = Role.RESPONDER) -> Browser:
    await a_person(service, role=role)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


def titles(browser: Browser) -> list[str]:
    return re.findall(r'<a class="t"[^>]*>([^<]+)</a>', browser.page.text)


async def test_the_log_shows_everything_the_newest_first(service: Service) -> None:
    await service.send(event(1), event(2, status="problem", severity=4))
    browser = await marta(service)
    await browser.get("/events")
    assert titles(browser) == ["Order 2 paid", "Order 1 paid"]
    assert "2 events, 1 of them a problem" in browser.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=order.", ["Order 3 paid", "Order 2 paid", "Order 1 paid"]),
        ("type=invoice.", []),
        ("q=order:2", ["Order 2 paid"]),
        ("severity_min=4", ["Order 2 paid"]),
        ("site=kiezhost", ["Order 3 paid"]),
        ("until=2020-01-02T00:00:00Z&since=2020-01-01T00:00:00Z", []),
    ],
)
async def test_filters_stand_in_the_address(sqlite_service: Service, query: str, found: list[str]) -> None:
    await sqlite_service.send(event(1), event(2, severity=4, status="problem"), event(3, site=OTHER_SITE))
    browser = await marta(sqlite_service)
    await browser.get(f"/events?{query}")
    assert titles(browser) == found
    if not found:
        assert "No event fits" in browser.text or "Nothing came in this time" in browser.text


async def test_a_rare_event_is_looked_for_a_stretch_at_a_time(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LOOKED_AT", 10)
    now = sqlite_service.world.clock.now()
    moments = [to_text(now - (25 - n) * MINUTE) for n in range(25)]
    needle, *hay = [event(n, occurred_at=at) for n, at in enumerate(moments)]
    await sqlite_service.send(needle | {"title": "The needle"}, *hay)
    browser = await marta(sqlite_service)
    address, steps = "/events?q=needle", 0
    while not titles(browser):
        await browser.get(address)
        steps += 1
        if titles(browser):
            break
        assert "Look further back" in browser.text
        following = re.search(r'href="([^"]+)" rel="next"', browser.page.text)
        assert following
        address = f"/{following[1]}".replace("&amp;", "&")
    assert steps == 3


async def test_events_of_one_moment_are_looked_at_together(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LOOKED_AT", 10)
    await sqlite_service.send(event(0, title="The needle"), *[event(n) for n in range(1, 25)])
    browser = await marta(sqlite_service)
    await browser.get("/events?q=needle")
    assert titles(browser) == ["The needle"]


@pytest.mark.parametrize("filters", ["", "&type=order."])
async def test_older_pages_have_every_event_once(service: Service, monkeypatch: pytest.MonkeyPatch, filters: str) -> None:
    monkeypatch.setattr(asking, "PAGE", 3)
    monkeypatch.setattr(page, "LOOKED_AT", 4)
    now = service.world.clock.now()
    await service.send(*[event(n, occurred_at=to_text(now - n // 3 * MINUTE)) for n in range(11)])  # three of each moment
    browser = await marta(service)
    await browser.get(f"/events?until={to_text(now + MINUTE)}&since={to_text(now - DAY)}{filters}")
    seen = titles(browser)
    while following := re.search(r'href="([^"]+)" rel="next"', browser.page.text):
        await browser.get(f"/{following[1]}".replace("&amp;", "&"))
        seen += titles(browser)
    assert sorted(seen) == sorted(f"Order {n} paid" for n in range(11))


@pytest.mark.claim("K17")
async def test_what_a_chart_draws_travels_packed_to_whoever_can_unpack_it(sqlite_service: Service) -> None:
    await sqlite_service.send(event(1))
    browser = await marta(sqlite_service)
    plain = await browser.get("/events/volume", headers={"Accept-Encoding": "identity"})
    packed = await browser.get("/events/volume", headers={"Accept-Encoding": "gzip"})
    assert ("content-encoding" in plain.headers, packed.headers["content-encoding"]) == (False, "gzip")
    assert packed.json() == plain.json()
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 3


@pytest.mark.claim("R3")
@pytest.mark.parametrize("wanted", [queries.Filter(q="paid"), queries.Filter(severity_min=4), queries.Filter(q="nothing of it")])
async def test_one_look_finds_what_the_list_and_the_chart_find_alone(service: Service, wanted: queries.Filter) -> None:
    now = service.world.clock.now()
    some = [event(n, occurred_at=to_text(now - n // 3 * MINUTE)) for n in range(9)]
    await service.send(*some, event(9, status="problem", severity=4), event(10, title="Order 10 open"))
    with service.world.core.database.read() as connection:
        found, place, cells = queries.scan_and_count(connection, wanted, limit=4, rows=6, width=MINUTE)
        assert (found, place) == queries.scan(connection, wanted, None, limit=4, rows=6)
        assert (cells, place is not None) == queries.volume(connection, wanted, MINUTE, rows=6)


async def test_a_chart_says_what_it_did_not_count(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LOOKED_AT", 2)
    now = sqlite_service.world.clock.now()
    await sqlite_service.send(*[event(n, occurred_at=to_text(now - n * MINUTE)) for n in range(5)])
    browser = await marta(sqlite_service)
    await browser.get("/events?q=paid")
    assert "Among the newest 2 events of this time: 2 events" in browser.text


async def test_an_old_event_is_outside_the_last_day(sqlite_service: Service) -> None:
    old = to_text(sqlite_service.world.clock.now() - 2 * DAY)
    await sqlite_service.send(event(1, occurred_at=old))
    browser = await marta(sqlite_service)
    await browser.get("/events")
    assert "Nothing has come in for 24 hours" in browser.text
    await browser.get(f"/events?since={old}")
    assert titles(browser) == ["Order 1 paid"]


@pytest.mark.claim("R3")
@pytest.mark.parametrize("query", ["", "?type=order.", "?q=paid", "?site=main"])
async def test_the_chart_counts_what_the_list_shows(service: Service, query: str) -> None:
    await service.send(*[event(n) for n in range(5)], event(9, status="problem", severity=4))
    browser = await marta(service)
    drawn = (await browser.get(f"/events/volume{query}")).json()
    assert sum(sum(series["values"]) for series in drawn["series"]) == 6
    assert sum(drawn["series"][0]["values"]) == 1
    assert drawn["says"].startswith("6 events")


async def test_an_event_shows_all_that_was_sent(sqlite_service: Service) -> None:
    await sqlite_service.send(
        event(
            1,
            status="problem",
            severity=4,
            message="declined",
            attributes={"amount": "18.90", "card": {"last4": "4242"}},
            source="w",
            sequence=7,
        ),
        event(2),
    )
    browser = await marta(sqlite_service)
    await browser.get("/events?q=order:1")
    address = re.search(r'href="(events/[0-9a-f-]+)"', browser.page.text)
    assert address
    await browser.get(f"/{address[1]}")
    for words in ("declined", "amount 18.90", '{"last4":"4242"}', "w, number 7", "Alert 1", "Order 2 paid"):
        assert words in browser.text, words


async def test_another_sites_events_are_not_there(service: Service) -> None:
    made = await service.send(event(1), event(2, site=OTHER_SITE))
    await service.sender.ask("POST", "/events", json=[{"type": "Bad Type"}])
    user_id = await a_person(service, "lena@example.com", Role.RESPONDER, "Lena")
    await sees_only(service, user_id, OTHER_SITE)
    browser = Browser(service)
    await browser.log_in("lena@example.com")
    await browser.get("/events")
    assert titles(browser) == ["Order 2 paid"]
    assert (await browser.get("/events?site=main")).status_code == 404
    assert (await browser.get(f"/events/{made['ids'][0]}")).status_code == 404
    assert (await browser.get("/events/volume?site=main")).status_code == 404
    drawn = (await browser.get("/events/volume")).json()
    assert sum(sum(series["values"]) for series in drawn["series"]) == 1
    await browser.get("/events/quarantine")
    assert "Nothing is held back" in browser.text


async def test_what_a_source_lost_is_named(sqlite_service: Service) -> None:
    await sqlite_service.send(*[event(n, source="bridge", sequence=n) for n in (1, 2, 5)])
    browser = await marta(sqlite_service)
    await browser.get("/events/sources")
    assert "2 events never came." in browser.text
    assert "2 missing 3 to 4" in browser.text


async def test_what_was_held_back_is_mended_and_taken(service: Service) -> None:
    await service.sender.ask("POST", "/events", json=[{"type": "Order Paid", "title": "Order 7 paid"}])
    browser = await marta(service)
    await browser.get("/events/quarantine")
    assert "type" in browser.text
    entry = re.search(r'name="id" value="([0-9a-f-]+)"', browser.page.text)
    assert entry
    csrf = browser.csrf
    still_wrong = await browser.post("/events/quarantine/again", csrf=csrf, id=entry[1], payload='{"type": "Still Wrong"}')
    assert still_wrong.status_code == 422
    assert "Still Wrong" in browser.page.text
    await browser.post("/events/quarantine/again", csrf=csrf, id=entry[1], payload='{"type": "order.paid", "title": "Order 7 paid"}')
    assert browser.place.endswith("/events/quarantine?done=taken")
    await browser.get("/events")
    assert titles(browser) == ["Order 7 paid"]
    await browser.get("/events/quarantine")
    assert "Nothing is held back" in browser.text


async def test_what_is_of_no_use_is_thrown_away(sqlite_service: Service) -> None:
    await sqlite_service.sender.ask("POST", "/events", json=[{"type": "Bad Type"}])
    browser = await marta(sqlite_service)
    await browser.get("/events/quarantine")
    entry = re.search(r'name="id" value="([0-9a-f-]+)"', browser.page.text)
    assert entry
    csrf = browser.csrf
    await browser.post("/events/quarantine/drop", csrf=csrf, id=entry[1])
    assert (await browser.post("/events/quarantine/drop", csrf=csrf, id=entry[1])).status_code == 404
    assert (await browser.post("/events/quarantine/again", csrf=csrf, id="nonsense")).status_code == 422


async def test_nobody_brings_events_of_another_site_in_by_mending(sqlite_service: Service) -> None:
    await sqlite_service.tenant.ask("POST", "/events", json=[{"type": "Bad Type"}])
    user_id = await a_person(sqlite_service, "lena@example.com", Role.RESPONDER, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    browser = Browser(sqlite_service)
    await browser.log_in("lena@example.com")
    await browser.get("/events/quarantine")
    entry = re.search(r'name="id" value="([0-9a-f-]+)"', browser.page.text)
    assert entry
    answer = await browser.post(
        "/events/quarantine/again", csrf=browser.csrf, id=entry[1], payload='{"type": "order.paid", "site": "main"}'
    )
    assert answer.status_code == 422


async def test_a_viewer_reads_and_presses_nothing(sqlite_service: Service) -> None:
    await sqlite_service.sender.ask("POST", "/events", json=[{"type": "Bad Type"}])
    browser = await marta(sqlite_service, Role.VIEWER)
    await browser.get("/events/quarantine")
    assert "Try again" not in browser.text
    assert "Bad Type" in browser.page.text

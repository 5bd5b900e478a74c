"""Pages that ask by themselves for what is new on them share what was found for one of them, and see all that they have heard of."""

import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.core.clock import SECOND
from tocsin.web.desk import AT_LEISURE, Desk

ALERT = {"type": "server.fire", "severity": 5, "status": "problem"}


async def renewed(browser: Browser, page: str, since: int) -> int:
    """Asks as `live.js` does; from when the answer is."""
    await browser.get(page, headers={"HX-Request": "true", "HX-Renewal": str(since)})
    assert browser.page.status_code == 200
    return int(browser.page.headers["X-As-Of"])


@pytest.mark.parametrize("page", ["/", "/alerts"])
async def test_what_was_found_for_one_page_does_for_others_that_have_heard_of_no_more(
    sqlite_service: Service, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.web.desk.monotonic", lambda: 0.0)  # nothing takes long
    clock = sqlite_service.world.clock
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    await sqlite_service.send(ALERT | {"title": "srv-1 burns"})
    first = clock.now()
    assert await renewed(browser, page, first) == first
    assert "srv-1 burns" in browser.text
    clock.advance(2 * SECOND)
    await sqlite_service.send(ALERT | {"title": "srv-2 burns", "subject": "2"})
    second = clock.now()
    assert await renewed(browser, page, first) == first
    assert "srv-2 burns" not in browser.text
    assert await renewed(browser, page, second) == second
    assert "srv-2 burns" in browser.text
    clock.advance(AT_LEISURE)
    assert await renewed(browser, page, second) == clock.now(), "time goes on although nothing is heard"


async def test_who_has_done_something_sees_it_at_once(sqlite_service: Service) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    await sqlite_service.send(ALERT | {"title": "srv-1 burns"})
    await renewed(browser, "/alerts", sqlite_service.world.clock.now())
    await browser.post("/alerts/act", id="1", do="resolve", csrf=browser.csrf)
    await browser.get("/alerts", headers={"HX-Request": "true"})
    assert "srv-1 burns" not in browser.text


@pytest.mark.parametrize("word", ["", "soon", "-1", "9" * 16, "\u0661"])
async def test_a_word_that_is_no_time_asks_for_what_is_now(sqlite_service: Service, word: str) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    await renewed(browser, "/alerts", sqlite_service.world.clock.now())
    await sqlite_service.send(ALERT | {"title": "srv-1 burns"})
    await browser.get("/alerts", headers={"HX-Renewal": word.encode()})
    assert "srv-1 burns" in browser.text


def test_where_clocks_may_differ_what_is_just_as_old_as_the_news_is_found_anew(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.web.desk.monotonic", lambda: 0.0)
    desk, clock = Desk(service.server), service.world.clock
    alone = service.world.core.database.is_sqlite
    begun = desk.kept("what", clock.now)
    assert desk.kept("what", clock.now, since=begun) == begun
    clock.advance(2 * SECOND)
    again = desk.kept("what", clock.now, since=begun)
    assert again == (begun if alone else clock.now())
    clock.advance(2 * SECOND)
    assert desk.kept("what", clock.now, since=again - SECOND) == again


def test_what_takes_long_to_find_is_found_seldom(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, clock, ticks = Desk(sqlite_service.server), sqlite_service.world.clock, iter(range(100))
    monkeypatch.setattr("tocsin.web.desk.monotonic", lambda: next(ticks) * 0.1)
    found: list[int] = []

    def find() -> int:
        found.append(clock.now())
        return found[-1]

    begun = desk.kept("what", find, since=clock.now())
    clock.advance(10 * SECOND - 1)  # a hundred times as long as it took
    assert desk.kept("what", find, since=clock.now()) == begun
    assert desk.kept("what", find) == clock.now(), "but not for who wants to see what they have done"
    clock.advance(10 * SECOND)
    assert desk.kept("what", find, since=clock.now()) == clock.now()
    assert len(found) == 3

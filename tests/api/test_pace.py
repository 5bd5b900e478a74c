"""How often one may call: a share for each minute, by key, by person, and by address for keys that nobody knows."""

import pytest

from tests.api.service import Caller, Service
from tests.fakes import FakeClock
from tests.web.browser import Browser, a_person
from tocsin.api import pace
from tocsin.api.access import Guard
from tocsin.api.pace import Pace
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import TooMany


def guard_of(service: Service) -> Guard:
    guard: Guard = service.app.state.guard
    return guard


@pytest.mark.claim("S4", "K22", "origin:S5")
async def test_a_key_that_calls_too_often_is_asked_to_wait_and_others_are_not(sqlite_service: Service) -> None:
    guard_of(sqlite_service).calls.most = 60
    for _ in range(60):
        await sqlite_service.reader.get("/alerts")
    answer = await sqlite_service.reader.ask("GET", "/alerts")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "at most 60 a minute" in (await sqlite_service.reader.refused("GET", "/sites", 429))["detail"]
    await sqlite_service.writer.ask("GET", "/alerts")
    await sqlite_service.admin.get("/alerts")
    assert (await sqlite_service.nobody.ask("GET", "/health")).status_code == 200
    sqlite_service.world.clock.at += SECOND
    await sqlite_service.reader.get("/alerts")
    await sqlite_service.reader.refused("GET", "/alerts", 429)


async def test_samples_are_taken_however_often_they_come(sqlite_service: Service) -> None:
    guard_of(sqlite_service).calls.most = 3
    for number in range(10):
        await sqlite_service.sender.post("/metrics", {"samples": [{"name": "load_1m", "value": number}]}, 202)


@pytest.mark.claim("S4", "K22")
async def test_a_person_has_one_share_however_many_browsers(sqlite_service: Service) -> None:
    guard_of(sqlite_service).calls.most = 20
    await a_person(sqlite_service)
    one, other = Browser(sqlite_service), Browser(sqlite_service)
    await one.log_in("marta@example.com")
    await other.log_in("marta@example.com")
    answers = [(await browser.get("/alerts")).status_code for _ in range(11) for browser in (one, other)]
    assert answers.count(200) <= 20
    assert answers[-1] == 429
    assert "too many calls" in other.text.lower()


@pytest.mark.claim("S4", "K22")
async def test_whoever_tries_keys_is_stopped_and_the_intake_counts_with_them(sqlite_service: Service) -> None:
    guard_of(sqlite_service).strangers.most = 10
    for number in range(10):
        guess = Caller(sqlite_service.client, f"tocsin_guess{number}")
        method, path = ("GET", "/alerts") if number % 2 else ("POST", "/events")
        await guess.refused(method, path, 401)
    for method, path in (("GET", "/alerts"), ("POST", "/events")):
        answer = await Caller(sqlite_service.client, "tocsin_another").ask(method, path)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
    sqlite_service.world.clock.at += MINUTE
    await Caller(sqlite_service.client, "tocsin_another").refused("GET", "/alerts", 401)


def test_the_share_fills_up_evenly_and_no_further_and_a_clock_that_goes_back_gives_nothing() -> None:
    clock = FakeClock()
    calls = Pace(60, "too many calls", clock.now)
    for _ in range(60):
        calls.take("a")
    with pytest.raises(TooMany) as refused:
        calls.take("a")
    assert refused.value.retry_after == 1
    clock.at -= MINUTE
    with pytest.raises(TooMany):
        calls.take("a")
    clock.at += 61 * MINUTE
    assert calls.check("a") == 60


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MAX_NAMES", 100)
    calls = Pace(60, "too many calls", FakeClock().now)
    for number in range(1_000):
        calls.take(f"network-{number}")
    assert len(calls._left) == 100

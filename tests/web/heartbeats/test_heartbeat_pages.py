"""Heartbeats by forms and links alone: made, shown once, reported to, paused, changed, removed."""

import re
from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR
from tocsin.heartbeats.model import Kind, Ping
from tocsin.identity.model import Role
from tocsin.web.heartbeats import rules

pytestmark = pytest.mark.claim("U5", "M5")


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, only: str | None = None) -> Browser:
    person = await a_person(service, email, role, "Marta Weiss")
    if only is not None:
        await sees_only(service, person, only)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


def typed(csrf: str, **more: str) -> dict[str, str]:
    sent = {"csrf": csrf, "name": "Backup of db-1", "how": "period", "period_seconds": "3600", "time_zone": "UTC"}
    return {**sent, "grace_seconds": "300", "longest_run_seconds": "", "severity": "4", **more}


async def make(service: Service, **more: Any) -> Any:
    return await service.admin.post("/heartbeats", {"name": "Backup of db-1", "period_seconds": 3600, **more}, 201)


async def test_a_job_is_watched_and_its_address_is_shown_once(sqlite_service: Service) -> None:
    service, marta = sqlite_service, await log_in(sqlite_service)
    await marta.get("/heartbeats")
    assert "No job reports yet" in marta.text
    await marta.get("/heartbeats/new")
    assert (await marta.fill("/heartbeats/new", typed(marta.csrf))).status_code == 200
    found = re.search(r"https://alarm\.example\.com(/api/v1/ping/[\w-]+)", marta.page.text)
    assert found
    await service.nobody.ask("POST", f"{found[1]}/3", content="disk full\nand more")
    await marta.get("/heartbeats")
    assert found[1] not in marta.page.text
    assert "Backup of db-1 failed" in marta.text
    (job,) = (await service.reader.get("/heartbeats"))["items"]
    await marta.get(f"/heartbeats/{job['id']}")
    assert found[1] not in marta.page.text
    for words in ("Failed", "exit code 3", "disk full"):
        assert words in marta.text, words


async def test_silence_is_seen_on_the_page(sqlite_service: Service) -> None:
    await make(sqlite_service)
    sqlite_service.world.clock.advance(2 * HOUR)
    await sqlite_service.world.write(sqlite_service.world.core.pulse.expire)
    marta = await log_in(sqlite_service)
    await marta.get("/heartbeats")
    assert "Backup of db-1 has not reported" in marta.text


async def test_a_mistake_stands_below_its_field_and_nothing_typed_is_lost(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/heartbeats/new")
    answer = await marta.fill("/heartbeats/new", typed(marta.csrf, how="cron", cron="every tuesday", longest_run_seconds="long"))
    assert answer.status_code == 422
    assert 'value="every tuesday"' in marta.page.text
    assert 'id="longest_run_seconds-says"' in marta.page.text
    await marta.fill("/heartbeats/new", typed(marta.csrf, how="cron", cron="every tuesday"))
    assert 'id="cron-says"' in marta.page.text
    assert (await sqlite_service.reader.get("/heartbeats"))["items"] == []


async def test_it_is_paused_resumed_changed_given_another_address_and_removed(sqlite_service: Service) -> None:
    service, made = sqlite_service, await make(sqlite_service)
    marta, at = await log_in(service), f"/heartbeats/{made['id']}"
    await marta.get(at)
    csrf = marta.csrf
    await marta.post(f"{at}/pause", csrf=csrf)
    assert (await service.reader.get(at))["status"] == "paused"
    await marta.post(f"{at}/resume", csrf=csrf)
    await marta.get(f"{at}/edit")
    await marta.fill(f"{at}/edit", typed(csrf, how="cron", cron="30 2 * * *", time_zone="Europe/Berlin", longest_run_seconds="900"))
    kept = await service.reader.get(at)
    assert (kept["cron"], kept["period_seconds"], kept["time_zone"], kept["longest_run_seconds"]) == (
        "30 2 * * *",
        None,
        "Europe/Berlin",
        900,
    )
    await marta.post(f"{at}/token", csrf=csrf)
    assert re.search(r"/api/v1/ping/[\w-]+", marta.page.text)
    old = made["url"].removeprefix("https://alarm.example.com")
    assert (await service.nobody.ask("GET", old)).status_code == 404
    await marta.post(f"{at}/remove", csrf=csrf)
    await service.reader.refused("GET", at, 404)


async def test_who_may_not_change_sees_no_button_and_who_sees_one_site_sees_no_other(sqlite_service: Service) -> None:
    mine, other = await make(sqlite_service, name="Mine"), await make(sqlite_service, name="Theirs", site=OTHER_SITE)
    jonas = await log_in(sqlite_service, "jonas@example.com", Role.RESPONDER, "main")
    await jonas.get(f"/heartbeats/{mine['id']}")
    assert "New address" not in jonas.text
    assert (await jonas.get("/heartbeats/new")).status_code == 403
    await jonas.get("/heartbeats")
    assert "Mine" in jonas.text
    assert "Theirs" not in jonas.text
    assert (await jonas.get(f"/heartbeats/{other['id']}")).status_code == 404


def test_bars_are_as_tall_as_runs_are_long_and_a_failure_is_the_tallest() -> None:
    pings = [Ping(3, Kind.FAIL, 10), Ping(2, Kind.SUCCESS, 100), Ping(1, Kind.START), Ping(0, Kind.SUCCESS, 50)]
    assert [(one.height, one.look) for one in rules.beats(pings)] == [(14, "up"), (20, "up"), (28, "down")]


async def test_where_mail_is_taken_in_the_address_of_mail_is_shown_too(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await sqlite_service.admin.post("/heartbeats", {"name": "Backup", "period_seconds": 3600}, 201)
    assert made["mail"] is None
    monkeypatch.setattr(type(sqlite_service.server.core.settings), "ping_mail", "ping.example.com")
    again = await sqlite_service.admin.post(f"/heartbeats/{made['id']}/token", status=200)
    assert again["mail"] == f"{again['url'].rpartition('/')[2]}@ping.example.com"
    marta = await log_in(sqlite_service)
    await marta.get(f"/heartbeats/{made['id']}")
    await marta.post(f"/heartbeats/{made['id']}/token", csrf=marta.csrf)
    assert "By mail" in marta.text
    assert "@ping.example.com" in marta.text

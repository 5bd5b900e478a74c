"""The list, an alert's page and what people do there, by forms alone: no script runs in these tests."""

import re
from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR
from tocsin.identity.model import Role
from tocsin.web.alerts import one
from tocsin.web.alerts.page import MAX_VIEWS


def trouble(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"type": "disk.full", "severity": 4, "status": "problem", "title": f"Disk {number} full", "subject": f"disk:{number}"} | changes


async def marta(service: Service, role: Role = Role.RESPONDER) -> Browser:
    await a_person(service, role=role)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


def titles(browser: Browser) -> list[str]:
    return re.findall(r'<a class="t"[^>]*>([^<]+)</a>', browser.page.text)


async def test_the_list_shows_what_needs_action_the_loudest_first(service: Service) -> None:
    await service.send(trouble(1, severity=3), trouble(2, severity=5), trouble(3, severity=4))
    browser = await marta(service)
    await browser.get("/alerts")
    assert titles(browser) == ["Disk 2 full", "Disk 3 full", "Disk 1 full"]
    assert "Needs action 3 Acknowledged 0" in browser.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("severity_min=5", ["Disk 2 full"]),
        ("site=kiezhost", ["Disk 3 full"]),
        ("type=disk.", ["Disk 2 full", "Disk 1 full", "Disk 3 full"]),
        ("type=mail.", []),
        ("q=disk+1", ["Disk 1 full"]),
        ("sort=number", ["Disk 1 full", "Disk 2 full", "Disk 3 full"]),
        ("owner=me", []),
        ("until=2020-01-01T00:00:00Z", []),
    ],
)
async def test_filters_and_order_stand_in_the_address(sqlite_service: Service, query: str, found: list[str]) -> None:
    await sqlite_service.send(trouble(1), trouble(2, severity=5), trouble(3, severity=3, site=OTHER_SITE))
    browser = await marta(sqlite_service)
    await browser.get(f"/alerts?{query}")
    assert titles(browser) == found
    if not found:
        assert "No alert fits these filters 3 alerts are hidden by them." in browser.text


async def test_tabs_count_what_the_filters_leave(sqlite_service: Service) -> None:
    await sqlite_service.send(trouble(1), trouble(2, severity=5), trouble(3, severity=3, site=OTHER_SITE))
    await sqlite_service.world.resolve(sqlite_service.world.alert(2))
    await sqlite_service.world.acknowledge(sqlite_service.world.alert(3))
    browser = await marta(sqlite_service)
    await browser.get("/alerts")
    assert "Needs action 1 Acknowledged 1 Snoozed 0 Resolved 1" in browser.text
    await browser.get("/alerts?severity_min=4")
    assert "Needs action 1 Acknowledged 0 Snoozed 0 Resolved 1" in browser.text
    await browser.get("/alerts?severity_min=5")
    assert "2 alerts are hidden by them" not in browser.text
    assert "3 alerts are hidden by them" in browser.text


async def test_the_bars_of_an_alert_begin_later_among_very_many_events(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one, "WALKED", 4)
    for _ in range(3):
        await sqlite_service.send(trouble(1), trouble(2))
        sqlite_service.world.clock.advance(HOUR)
    browser = await marta(sqlite_service)
    await browser.get("/alerts/1")
    assert 'aria-label="2 times from' in browser.page.text  # the last two of three: these are among the newest four


async def test_a_filter_that_means_nothing_is_named(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    assert (await browser.get("/alerts?severity_min=9")).status_code == 422
    assert "whole number from 1 to 5" in browser.text


async def test_a_long_list_comes_in_pages(sqlite_service: Service) -> None:
    await sqlite_service.send(*[trouble(n) for n in range(120)])
    browser = await marta(sqlite_service)
    seen: list[str] = []
    address = "/alerts"
    while address:
        await browser.get(address)
        seen += titles(browser)
        following = re.search(r'href="([^"]+)" rel="next"', browser.page.text)
        address = f"/{following[1]}".replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 120
    assert "20 of 120" in browser.text


@pytest.mark.claim("K20")
async def test_acknowledging_needs_a_tick_a_button_and_no_script(service: Service) -> None:
    await service.send(trouble(1), trouble(2))
    browser = await marta(service)
    await browser.get("/alerts")
    await browser.post("/alerts/act", csrf=browser.csrf, id="1", do="acknowledge", back="/alerts?q=disk")
    assert browser.place == "../alerts?q=disk"
    assert [alert.acknowledged_by for alert in service.world.alerts()] == ["marta@example.com", None]


@pytest.mark.claim("K20")
async def test_all_that_match_are_done_at_once(service: Service) -> None:
    await service.send(*[trouble(n) for n in range(130)], trouble(999, type="mail.stuck"))
    browser = await marta(service)
    await browser.get("/alerts?type=disk.")
    await browser.post("/alerts/act", csrf=browser.csrf, everything="1", matching="type=disk.", do="resolve")
    assert {(alert.type, alert.status) for alert in service.world.alerts()} == {("disk.full", "resolved"), ("mail.stuck", "open")}


@pytest.mark.claim("K20")
async def test_a_script_gets_a_toast_that_can_take_it_back(service: Service) -> None:
    await service.send(trouble(1), trouble(2))
    browser = await marta(service)
    await browser.get("/alerts")
    csrf = browser.csrf
    script = {
        "Origin": "https://alarm.example.com",
        "Sec-Fetch-Site": "same-origin",
        "HX-Request": "true",
        "HX-Current-URL": "https://alarm.example.com/alerts",
    }
    await browser.post("/alerts/act", headers=script, csrf=csrf, id=["1", "2"], do="resolve")
    assert "2 alerts resolved. Undo" in browser.text
    assert browser.page.headers["hx-trigger"] == "tocsin:changed"
    token = re.search(r'name="token" value="([^"]+)"', browser.page.text)
    assert token
    await browser.post("/alerts/undo", headers=script, csrf=csrf, token=token[1])
    assert "Taken back." in browser.text
    assert [alert.status for alert in service.world.alerts()] == ["open", "open"]


async def test_undo_is_for_who_did_it_and_for_a_moment(sqlite_service: Service) -> None:
    service = sqlite_service
    await service.send(trouble(1))
    browser = await marta(service)
    await browser.get("/alerts")
    csrf, script = browser.csrf, {"Origin": "https://alarm.example.com", "HX-Request": "true"}
    await browser.post("/alerts/act", headers=script, csrf=csrf, id="1", do="resolve")
    token = re.search(r'name="token" value="([^"]+)"', browser.page.text)
    assert token
    await a_person(service, "jonas@example.com", Role.RESPONDER, "Jonas Weber")
    other = Browser(service)
    await other.log_in("jonas@example.com")
    await other.get("/alerts")
    assert (await other.post("/alerts/undo", csrf=other.csrf, token=token[1])).status_code == 422
    assert (await browser.post("/alerts/undo", csrf=csrf, token=token[1][:-4] + "AAAA")).status_code == 422
    service.world.clock.advance(HOUR)
    assert (await browser.post("/alerts/undo", csrf=csrf, token=token[1])).status_code == 422
    assert service.world.alert().status == "resolved"


@pytest.mark.claim("K20")
async def test_a_viewer_sees_no_buttons_and_may_press_none(sqlite_service: Service) -> None:
    await sqlite_service.send(trouble(1))
    browser = await marta(sqlite_service, Role.VIEWER)
    await browser.get("/alerts/1")
    assert "Disk 1 full." in browser.text
    assert 'name="do"' not in browser.page.text
    await browser.get("/alerts")
    assert 'name="do"' not in browser.page.text
    assert (await browser.post("/alerts/act", csrf=browser.csrf, id="1", do="acknowledge")).status_code == 403
    assert sqlite_service.world.alert().status == "open"


async def test_another_sites_alert_is_not_there(sqlite_service: Service) -> None:
    await sqlite_service.send(trouble(1), trouble(2, site=OTHER_SITE))
    user_id = await a_person(sqlite_service, "lena@example.com", Role.RESPONDER, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    browser = Browser(sqlite_service)
    await browser.log_in("lena@example.com")
    await browser.get("/alerts")
    assert titles(browser) == ["Disk 2 full"]
    assert (await browser.get("/alerts/1")).status_code == 404
    assert (await browser.get("/alerts?site=main")).status_code == 404
    await browser.get("/alerts")
    csrf = browser.csrf
    headers = {"Origin": "https://alarm.example.com", "HX-Request": "true"}
    await browser.post("/alerts/act", headers=headers, csrf=csrf, id="1", do="resolve")
    assert "It was not: there is no alert 1." in browser.text
    await browser.post("/alerts/act", csrf=csrf, everything="1", matching="", do="resolve")
    assert [alert.status for alert in sqlite_service.world.alerts()] == ["open", "resolved"]


@pytest.mark.claim("K20", "B9")
async def test_the_page_tells_the_whole_story(service: Service) -> None:
    await service.send(
        trouble(
            1, message="97% of 2 TB", host="srv-1", attributes={"mount": "/var", "runbook": "https://wiki.example/disk", "used": {"gb": 9}}
        )
    )
    browser = await marta(service)
    await browser.get("/alerts/1")
    csrf = browser.csrf
    await browser.post("/alerts/act", csrf=csrf, id="1", do="comment", note="**Cleaning** `/var/log`\n\n<script>x()</script>")
    await browser.post("/alerts/act", csrf=csrf, id="1", do="acknowledge")
    await browser.get("/alerts/1")
    for words in ("97% of 2 TB", "Marta has it", "Marta Weiss acknowledged it", "Push to", "Sent", "mount /var", '{"gb":9}'):
        assert words.replace("Marta has it", "has it Marta") in browser.text, words
    assert "<strong>Cleaning</strong>" in browser.page.text
    assert "<script>x()" not in browser.page.text
    assert 'href="https://wiki.example/disk"' in browser.page.text
    assert "Give back" in browser.text


async def test_what_helped_before_stands_beside_it(sqlite_service: Service) -> None:
    service = sqlite_service
    await service.send(trouble(1))
    browser = await marta(service)
    await browser.get("/alerts/1")
    await browser.post("/alerts/act", csrf=browser.csrf, id="1", do="resolve", note="Log rotation was off")
    service.world.clock.advance(24 * HOUR)
    await service.send(trouble(1))
    await browser.log_in("marta@example.com")
    await browser.get("/alerts/2")
    assert "Log rotation was off" in browser.text
    assert "Before alert 1" in browser.text


async def test_an_alert_that_is_gone_says_so(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    for ref in ("77", "nonsense", "00000000-0000-7000-8000-000000000000"):
        assert (await browser.get(f"/alerts/{ref}")).status_code == 404
        assert "there is no alert" in browser.text.lower()


async def test_views_are_kept_for_each_person(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    await browser.get("/alerts")
    csrf = browser.csrf
    await browser.post("/alerts/views", csrf=csrf, name="Payments", address="/alerts?type=invoice.&severity_min=4")
    assert browser.place == "../alerts?type=invoice.&severity_min=4"
    await browser.get("/alerts")
    assert "Payments" in browser.text
    await a_person(sqlite_service, "jonas@example.com", Role.RESPONDER, "Jonas")
    other = Browser(sqlite_service)
    await other.log_in("jonas@example.com")
    await other.get("/alerts")
    assert "Payments" not in other.text
    await browser.post("/alerts/views/drop", csrf=csrf, name="Payments")
    await browser.get("/alerts")
    assert "Payments" not in browser.text


async def test_a_view_leads_to_the_list_and_nowhere_else(sqlite_service: Service) -> None:
    browser = await marta(sqlite_service)
    await browser.get("/alerts")
    csrf = browser.csrf
    for address in ("https://evil.example", "//evil.example", "/settings", "/alerts/../settings"):
        assert (await browser.post("/alerts/views", csrf=csrf, name="Bad", address=address)).status_code == 422, address
    for n in range(MAX_VIEWS):
        await browser.post("/alerts/views", csrf=csrf, name=f"View {n}", address="/alerts")
    assert (await browser.post("/alerts/views", csrf=csrf, name="One more", address="/alerts")).status_code == 422


@pytest.mark.parametrize("do", ["delete", "snooze", "snooze 0", "snooze yesterday", "assign nobody@example.com", "", "resolve now"])
async def test_a_deed_that_means_nothing_changes_nothing(sqlite_service: Service, do: str) -> None:
    await sqlite_service.send(trouble(1))
    browser = await marta(sqlite_service)
    await browser.get("/alerts")
    assert (await browser.post("/alerts/act", csrf=browser.csrf, id="1", do=do)).status_code == 422
    assert sqlite_service.world.alert().status == "open"


async def test_the_next_level_is_named_and_can_be_told_at_once(service: Service) -> None:
    await service.send(trouble(1, severity=4))
    browser = await marta(service)
    await browser.get("/alerts/1")
    assert "then Tocsin tells" in browser.text
    before = len(service.world.messages())
    await browser.post("/alerts/act", csrf=browser.csrf, id="1", do="escalate")
    await service.world.settle()
    await browser.get("/alerts/1")
    assert "Marta Weiss raised it to level 2" in browser.text
    assert len(service.world.messages()) > before

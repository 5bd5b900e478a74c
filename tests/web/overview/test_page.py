"""The front page, through the real pipeline."""

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.identity.model import Role


async def at_the_front(service: Service) -> Browser:
    await a_person(service)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    await browser.get("/")
    assert browser.page.status_code == 200, browser.page.text
    return browser


async def test_nobody_sees_it_without_a_login(sqlite_service: Service) -> None:
    browser = Browser(sqlite_service)
    await browser.get("/")
    assert browser.place.startswith("./login")


@pytest.mark.claim("A19")
async def test_an_empty_tocsin_says_what_to_do_first(sqlite_service: Service) -> None:
    browser = await at_the_front(sqlite_service)
    assert "Listening for the first event." in browser.text
    assert "tocsin key add" in browser.text


@pytest.mark.claim("U1", "A19")
async def test_trouble_is_named_with_its_site_and_owner(service: Service) -> None:
    await service.send({"type": "server.down", "severity": 5, "status": "problem", "title": "srv-12 is down", "site": OTHER_SITE})
    browser = await at_the_front(service)
    assert "srv-12 is down. Nobody has it yet." in browser.text
    assert "Critical · kiezhost" in browser.text
    assert "(1) Overview · Tocsin" in browser.page.text


@pytest.mark.claim("A20")
async def test_a_title_is_text_and_never_code(sqlite_service: Service) -> None:
    await sqlite_service.send(
        {"type": "server.down", "severity": 5, "status": "problem", "title": "<script>alert(1)</script>" + "😱" * 150}
    )
    browser = await at_the_front(sqlite_service)
    assert "<script>alert" not in browser.page.text
    assert "&lt;script&gt;alert(1)" in browser.page.text


@pytest.mark.claim("A20")
async def test_the_page_lets_nothing_run_but_what_carries_its_nonce(sqlite_service: Service) -> None:
    browser = await at_the_front(sqlite_service)
    policy = browser.page.headers["content-security-policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert len(nonce) > 20
    assert "unsafe" not in policy
    assert browser.page.text.count("<script") == browser.page.text.count(f'nonce="{nonce}"')
    await browser.get("/")
    assert nonce not in browser.page.headers["content-security-policy"]


async def test_somebody_of_one_site_sees_that_site_alone(service: Service) -> None:
    user_id = await a_person(service, "lena@example.com", Role.RESPONDER, "Lena")
    await service.send(
        {"type": "server.down", "severity": 5, "status": "problem", "title": "Secret of main"},
        {"type": "disk.full", "severity": 4, "status": "problem", "title": "Disk full at Kiezhost", "site": OTHER_SITE},
    )
    await sees_only(service, user_id, OTHER_SITE)
    browser = Browser(service)
    await browser.log_in("lena@example.com")
    await browser.get("/")
    assert "Disk full at Kiezhost. Nobody has it yet." in browser.text
    assert "Secret of main" not in browser.page.text
    assert "main" not in {word.strip(".,·") for word in browser.text.split()}
    assert "(1) Overview" in browser.page.text

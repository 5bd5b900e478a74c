"""Logging in and out, and what keeps others from doing it for us."""

import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.db import tables
from tocsin.identity.model import Role
from tocsin.web.access import local_path


@pytest.fixture
async def marta(service: Service) -> Browser:
    """Logged in."""
    await a_person(service)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    assert browser.place == "./"
    return browser


@pytest.mark.claim("S2", "B1")
async def test_the_cookie_can_be_read_by_no_script_and_sent_to_no_other_host(service: Service, marta: Browser) -> None:
    cookie = marta.page.headers["set-cookie"]
    assert cookie.startswith("__Host-tocsin=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


async def test_the_token_itself_is_not_stored(service: Service, marta: Browser) -> None:
    token = marta.client.cookies["__Host-tocsin"]
    stored = service.world.rows(sa.select(tables.sessions))
    assert len(stored) == 1
    assert token not in str(stored)


@pytest.mark.parametrize(
    ("email", "password"), [("marta@example.com", "not the password"), ("nobody@example.com", "a long enough password")]
)
async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(sqlite_service: Service, email: str, password: str) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in(email, password)
    assert browser.page.status_code == 401
    assert "That email and password do not fit together." in browser.text
    assert "set-cookie" not in browser.page.headers


async def test_who_logs_out_is_out_everywhere_at_once(service: Service, marta: Browser) -> None:
    copy = Browser(service)
    copy.client.cookies = marta.client.cookies
    await marta.get("/login")
    assert marta.place == "./"
    viewer = service.server.sessions.look_up(marta.client.cookies["__Host-tocsin"])
    await marta.post("/logout", csrf=viewer.csrf)
    assert marta.place == "./login?done=out"
    copy.client.cookies.set("__Host-tocsin", "x")
    await copy.post("/logout", csrf=viewer.csrf)
    assert copy.place == "./login?next=%2F"


@pytest.mark.claim("S2")
async def test_a_session_ends_after_twelve_hours_without_use(sqlite_service: Service) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    clock = sqlite_service.world.clock
    for _ in range(3):
        clock.advance(12 * HOUR - MINUTE)
        assert (await browser.get("/login")).status_code == 303
    clock.advance(12 * HOUR)
    assert (await browser.get("/login")).status_code == 200


@pytest.mark.claim("S2")
async def test_a_session_ends_after_thirty_days_however_much_it_is_used(sqlite_service: Service) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    clock = sqlite_service.world.clock
    for _ in range(30 * 3 - 1):
        clock.advance(8 * HOUR)
        assert (await browser.get("/login")).status_code == 303
    clock.advance(DAY // 3)
    assert (await browser.get("/login")).status_code == 200


@pytest.mark.claim("S2")
@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "https://alarm.example.com"}, False),
        ({}, False),
    ],
)
async def test_a_form_from_elsewhere_changes_nothing(sqlite_service: Service, headers: dict[str, str], token: bool) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    viewer = sqlite_service.server.sessions.look_up(browser.client.cookies["__Host-tocsin"])
    await browser.post("/logout", headers, csrf=viewer.csrf if token else "0" * 64)
    assert browser.page.status_code == 403
    assert (await browser.get("/login")).status_code == 303


async def test_nobody_can_be_logged_in_from_another_site(sqlite_service: Service) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.post("/login", {"Origin": "https://evil.example"}, email="marta@example.com", password="a long enough password")
    assert browser.page.status_code == 403
    assert not browser.client.cookies


async def test_a_planted_session_is_not_taken_over_by_a_login(sqlite_service: Service) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    browser.client.cookies.set("__Host-tocsin", "planted", domain="alarm.example.com")
    await browser.log_in("marta@example.com")
    assert "planted" not in browser.page.headers["set-cookie"]


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie: a=b\r\n",
        "javascript:alert(1)",
        "/../other",
        "/x/../../other",
        "/login",
        "/logout",
        "/api/v1/keys",
        "",
        "/ä",
        "/" + "x" * 2_000,
    ],
)
async def test_a_login_sends_nobody_to_a_foreign_place(text: str) -> None:
    assert local_path(text) == "/"


async def test_a_login_leads_back_to_where_one_was(sqlite_service: Service) -> None:
    await a_person(sqlite_service, role=Role.VIEWER)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com", next="/alerts?status=open")
    assert browser.place == "./alerts?status=open"
    await Browser(sqlite_service).log_in("marta@example.com", next="//evil.example")


async def test_a_field_that_the_form_does_not_have_is_refused(sqlite_service: Service) -> None:
    await a_person(sqlite_service, role=Role.VIEWER)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com", role="admin")
    assert browser.page.status_code == 422
    assert not browser.client.cookies

"""The second factor: set up by a picture, proved by a code, taken once, and replaced by a recovery code when the phone is lost."""

import re
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.web.browser import PASSWORD, Browser, a_person
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.db import tables
from tocsin.identity import totp
from tocsin.identity.login import TICKET_LASTS
from tocsin.web import qr


class Phone:
    """An app that has read the picture."""

    def __init__(self, secret: str, service: Service) -> None:
        self.app, self.clock = pyotp.TOTP(secret), service.world.clock

    def code(self, ago: int = 0) -> str:
        """What it shows, or showed *ago* milliseconds before."""
        return self.app.at((self.clock.now() - ago) // 1000)


async def with_second_factor(service: Service, browser: Browser) -> tuple[Phone, list[str]]:
    """Sets it up by the pages; the phone and the recovery codes."""
    await browser.get("/settings/me")
    await browser.post("/settings/me/second-factor/begin", csrf=browser.csrf, current=PASSWORD)
    assert browser.place == "../../../settings/me/second-factor"
    await browser.get("/settings/me/second-factor")
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.page.text)
    assert secret
    phone = Phone(secret[1].replace(" ", ""), service)
    await browser.post("/settings/me/second-factor", csrf=browser.csrf, code=phone.code())
    codes = re.findall(r"[a-z2-9]{4}(?:-[a-z2-9]{4}){3}", browser.page.text)
    assert len(codes) == 10
    return phone, codes


@pytest.fixture
async def marta(service: Service) -> Browser:
    await a_person(service)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


@pytest.mark.claim("S1")
async def test_with_a_second_factor_the_password_alone_does_not_let_in(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    service.world.clock.advance(MINUTE)
    browser = Browser(service)
    await browser.log_in("marta@example.com", next="/alerts")
    assert browser.page.status_code == 200
    assert "And your code" in browser.text
    assert "__Host-tocsin" not in browser.client.cookies
    await browser.post("/login", code=phone.code(), next="/alerts")
    assert browser.place == "./alerts"
    assert (await browser.get("/settings/me")).status_code == 200
    assert "__Host-tocsin-code" not in browser.client.cookies


async def test_all_three_at_once_let_in_too(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    service.world.clock.advance(MINUTE)
    browser = Browser(service)
    await browser.log_in("marta@example.com", code=phone.code())
    assert browser.place == "./"


@pytest.mark.claim("S1")
async def test_no_code_is_taken_twice(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    first, second = Browser(service), Browser(service)
    await first.log_in("marta@example.com", code=phone.code())
    assert first.error == "That code was used already. Wait for the next one. Four tries left before a pause of one minute.", (
        "for setting up"
    )
    service.world.clock.advance(30 * SECOND)
    code = phone.code()
    await first.log_in("marta@example.com", code=code)
    assert first.place == "./"
    await second.log_in("marta@example.com", code=code)
    assert second.error.startswith("That code was used already.")
    service.world.clock.advance(30 * SECOND)
    await second.log_in("marta@example.com", code=phone.code(30 * SECOND))
    assert second.error.startswith("That code was used already."), "nor the one before it"


async def test_a_clock_may_be_half_a_minute_off_and_no_more(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    service.world.clock.advance(HOUR)
    for off, fits in ((-60 * SECOND, False), (60 * SECOND, False), (30 * SECOND, True)):
        browser = Browser(service)
        await browser.log_in("marta@example.com", code=phone.code(off))
        assert (browser.page.status_code == 303) is fits, off


@pytest.mark.claim("S1")
async def test_a_recovery_code_lets_in_once(service: Service, marta: Browser) -> None:
    _, codes = await with_second_factor(service, marta)
    browser = Browser(service)
    await browser.log_in("marta@example.com", code=codes[3].upper().replace("-", " "))
    assert browser.place == "./"
    await browser.get("/settings/me")
    assert "9 of 10 recovery codes are left" in browser.text
    again = Browser(service)
    await again.log_in("marta@example.com", code=codes[3])
    assert again.page.status_code == 401
    stored = str(service.world.rows(sa.select(tables.recovery_codes)))
    assert not any(code in stored for code in codes)


async def test_codes_cannot_be_guessed(service: Service, marta: Browser) -> None:
    await with_second_factor(service, marta)
    browser = Browser(service)
    for n in range(6):
        await browser.log_in("marta@example.com")
        if browser.page.status_code == 200:
            await browser.post("/login", code=f"{n:06}")
    assert browser.page.status_code == 429
    await browser.log_in("marta@example.com")
    assert browser.page.status_code == 429, "the right password does not help to guess on"


async def test_who_takes_too_long_for_the_code_begins_anew(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    service.world.clock.advance(TICKET_LASTS)
    await browser.post("/login", code=phone.code())
    assert browser.error == "That took too long. Type your password again."


@pytest.mark.parametrize("ticket", ["", "x", "AAAA", "A" * 400, "é"])
async def test_a_made_up_ticket_is_worth_nothing(sqlite_service: Service, ticket: str) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    headers = {"Cookie": f"__Host-tocsin-code={ticket}".encode()}
    answer = await browser.client.post("/login", data={"code": "123456"}, headers=headers)  # type: ignore[arg-type]  # as bytes: it is no ASCII
    assert answer.status_code == 401


async def test_a_ticket_dies_with_the_password_that_it_was_given_for(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    service.world.clock.advance(MINUTE)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    await marta.get("/settings/me")
    new = "another good password"
    await marta.post("/settings/me/password", csrf=marta.csrf, current=PASSWORD, password=new, again=new)
    await browser.post("/login", code=phone.code())
    assert browser.error == "That took too long. Type your password again."


@pytest.mark.claim("S2")
async def test_turning_it_on_or_off_ends_all_other_sessions(service: Service, marta: Browser) -> None:
    other = Browser(service)
    await other.log_in("marta@example.com")
    await with_second_factor(service, marta)
    service.world.clock.advance(3 * SECOND)
    await other.get("/settings/me")
    assert other.place == "../login?next=%2Fsettings%2Fme"
    await marta.get("/settings/me")
    await marta.post("/settings/me/second-factor/remove", csrf=marta.csrf, current=PASSWORD)
    assert marta.place.endswith("/settings/me?done=removed#second-factor")
    await other.log_in("marta@example.com")
    assert other.place == "./"


async def test_it_counts_only_once_a_code_has_proved_it(service: Service, marta: Browser) -> None:
    await marta.get("/settings/me")
    await marta.post("/settings/me/second-factor/begin", csrf=marta.csrf, current=PASSWORD)
    await marta.get("/settings/me/second-factor")
    await marta.post("/settings/me/second-factor", csrf=marta.csrf, code="000000")
    assert marta.page.status_code == 422
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    assert browser.place == "./"


async def test_the_secret_is_shown_only_until_it_is_proved(service: Service, marta: Browser) -> None:
    phone, _ = await with_second_factor(service, marta)
    await marta.get("/settings/me/second-factor")
    assert marta.page.status_code == 404
    assert phone.app.secret not in marta.page.text
    await marta.get("/settings/me")
    await marta.post("/settings/me/second-factor/begin", csrf=marta.csrf, current=PASSWORD)
    await marta.get("/settings/me/second-factor")
    assert marta.page.status_code == 404, "whoever finds an open browser cannot put another phone in its place"


@pytest.mark.parametrize("page", ["begin", "codes", "remove"])
async def test_whoever_finds_an_open_browser_and_no_password_changes_nothing(sqlite_service: Service, page: str) -> None:
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    await with_second_factor(sqlite_service, browser) if page != "begin" else None
    await browser.get("/settings/me")
    await browser.post(f"/settings/me/second-factor/{page}", csrf=browser.csrf, current="not the password")
    assert browser.page.status_code == 422
    assert browser.error == "Is not your password, or too many tries failed: then wait a minute."


async def test_new_recovery_codes_make_the_old_ones_void(service: Service, marta: Browser) -> None:
    _, old = await with_second_factor(service, marta)
    await marta.get("/settings/me")
    await marta.post("/settings/me/second-factor/codes", csrf=marta.csrf, current=PASSWORD)
    new = re.findall(r"[a-z2-9]{4}(?:-[a-z2-9]{4}){3}", marta.page.text)
    browser = Browser(service)
    await browser.log_in("marta@example.com", code=old[0])
    assert browser.page.status_code == 401
    await browser.log_in("marta@example.com", code=new[0])
    assert browser.place == "./"


def test_the_picture_holds_what_apps_read_and_no_style_of_its_own() -> None:
    secret = totp.make_secret()
    address = totp.address(secret, "marta@example.com")
    assert address.startswith("otpauth://totp/Tocsin:marta%40example.com?")
    assert parse_qs(urlsplit(address).query)["secret"] == [secret]
    picture = qr.picture(address)
    assert picture.startswith("<svg")
    assert "style" not in picture
    assert totp.spaced("ABCDEFGH") == "ABCD EFGH"

"""In a real browser: an administrator invites somebody, who chooses a password, adds a second factor and signs in with it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pyotp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.build import a_contact, a_report
from tests.web.browser import PASSWORD, a_person
from tests.web.browsing import LEAN, chromium as program
from tests.web.site import Site
from tests.world import World
from tocsin.core.clock import MINUTE
from tocsin.identity.model import Role


async def nobody_yet(world: World) -> None:
    """An installation without a history."""


@pytest.fixture
async def site(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    site = await Site.open(sqlite_url, tmp_path, stage=nobody_yet)
    yield site
    await site.close()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=LEAN)
        yield browser
        await browser.close()


async def open_page(context: BrowserContext, complaints: list[str]) -> Page:
    """A page whose complaints are kept."""
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


async def sign_in(page: Page, url: str, email: str) -> None:
    await page.goto(f"{url}/settings/people")
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


@pytest.mark.claim("U7")
async def test_the_first_run_ticks_itself_up_to_a_push_that_is_answered(site: Site, chromium: Browser) -> None:
    service, world, complaints = site.service, site.service.world, list[str]()
    user_id = await a_person(service)
    desk = await open_page(await chromium.new_context(viewport={"width": 1440, "height": 900}), complaints)
    await sign_in(desk, site.url, "marta@example.com")
    await desk.get_by_role("heading", name="People").wait_for()

    await desk.goto(f"{site.url}/welcome?step=whmcs")
    waiting = desk.locator("#waiting")
    await expect(waiting).to_contain_text("Listening for the first event")
    await world.report(a_report("invoice:1042", type="invoice.payment_failed"))
    await expect(waiting).to_contain_text("It arrives")

    await world.people(msgspec.structs.replace(a_contact(), user_id=user_id))
    await desk.goto(f"{site.url}/welcome?step=test")
    await desk.get_by_role("button", name="Ring it").click()
    await expect(waiting).to_contain_text("It rings")
    await world.settle()
    links = world.ntfy.letters[-1].links
    assert links is not None
    phone = await open_page(await chromium.new_context(viewport={"width": 390, "height": 844}), complaints)  # where nobody is logged in
    await phone.goto(links.acknowledge)
    await phone.get_by_role("button", name="Acknowledge").click()
    await expect(waiting).to_contain_text("Heard, and taken")
    await desk.get_by_role("link", name="Finish").click()
    await expect(desk.get_by_role("heading", level=1)).to_have_text("You are on watch.")
    assert complaints == []


@pytest.mark.claim("S1", "S2", "U5")
async def test_from_the_invitation_to_the_second_factor(site: Site, chromium: Browser) -> None:
    service, world, complaints = site.service, site.service.world, list[str]()
    await a_person(service)

    marta = await open_page(await chromium.new_context(viewport={"width": 1440, "height": 900}), complaints)
    await sign_in(marta, site.url, "marta@example.com")
    await marta.get_by_role("link", name="Invite somebody").click()
    await marta.get_by_label("Name").fill("Ben Okafor")
    await marta.get_by_label("Email").fill("ben@example.com")
    await marta.get_by_label("Responder").check()
    await marta.get_by_role("button", name="Send the invitation").click()
    await marta.get_by_text("A mail is on its way to ben@example.com").wait_for()

    # On a phone, and without script: all of it works.
    phone = await chromium.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    ben = await open_page(phone, complaints)
    link = re.search(rf"{site.url}/invite/\S+", world.email.mails[-1][1].text)
    assert link
    await ben.goto(link[0])
    await ben.get_by_label("Password for ben@example.com").fill(PASSWORD)
    await ben.get_by_label("The same again").fill(PASSWORD)
    await ben.get_by_role("button", name="Set the password").click()
    await ben.get_by_text("Welcome. A second factor keeps others out").wait_for()

    await ben.get_by_label("Your password").fill(PASSWORD)
    await ben.get_by_role("button", name="Set it up").click()
    assert await ben.locator("svg.qr").is_visible()
    app = pyotp.TOTP((await ben.locator("figcaption code").inner_text()).replace(" ", ""))
    await ben.get_by_label("Code").fill(app.at(world.clock.now() // 1000))
    await ben.get_by_role("button", name="Turn it on").click()
    codes = (await ben.locator(".codebox code").inner_text()).split()
    assert len(codes) == 10
    await ben.get_by_role("link", name="I have them").click()
    await ben.get_by_text("10 of 10 recovery codes are left").wait_for()
    await ben.get_by_role("button", name="Sign out").click()
    await ben.get_by_text("You are signed out.").wait_for()

    world.clock.advance(MINUTE)
    await ben.goto(f"{site.url}/settings/me")
    await ben.get_by_label("Email").fill("ben@example.com")
    await ben.get_by_label("Password", exact=True).fill(PASSWORD)
    await ben.get_by_role("button", name="Sign in").click()
    await ben.get_by_label("Code").fill(app.at(world.clock.now() // 1000))
    await ben.get_by_role("button", name="Sign in").click()
    assert ben.url == f"{site.url}/settings/me", "back to where he was"
    assert await ben.get_by_role("heading", name="Ben Okafor").is_visible()
    assert complaints == []


async def test_somebody_who_may_not_is_told_who_can(site: Site, chromium: Browser) -> None:
    await a_person(site.service)
    await a_person(site.service, "ben@example.com", Role.VIEWER, "Ben Okafor")
    page = await open_page(await chromium.new_context(), [])
    await sign_in(page, site.url, "ben@example.com")
    await page.get_by_text("Your role is viewer; this needs admin. Marta Weiss can do it.").wait_for()

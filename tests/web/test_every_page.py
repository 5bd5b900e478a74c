"""Every page is looked at; in every light by `make soak`."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests import showcase
from tests.api.service import Service
from tests.api.walk import routes
from tests.conftest import Databases
from tests.web import accessibility, every_page, looks
from tests.web.browsing import LEAN, NARROW, chromium
from tests.web.site import Site


@pytest.mark.claim("K19")
def test_no_page_is_left_out(sqlite_service: Service) -> None:
    seen = [address.partition("?")[0] for pages in every_page.ALL for address in pages.values()]
    unseen = []
    for method, template in routes(sqlite_service):
        shape = re.compile(re.sub(r"{\w+}", "[^/]+", template))
        calls = template.startswith("/api/v1/") or template in every_page.NO_PAGE
        if method == "GET" and not calls and not any(shape.fullmatch(address) for address in seen):
            unseen.append(template)
    assert unseen == [], unseen


async def look(browser: Browser, site: Site, pages: dict[str, str], known: dict[str, str], who: str | None) -> list[str]:
    """Everything that is wrong with *pages* in all four lights."""
    found = []
    context = await browser.new_context(base_url=site.url, locale="en-GB", timezone_id="Europe/Berlin", reduced_motion="reduce")
    await accessibility.come_along(context)
    if who:
        await context.add_cookies([site.cookie(who)])  # type: ignore[list-item]
    page = await context.new_page()
    for name, address in pages.items():
        site.clock.run()
        await page.goto(address.format_map(known))
        if await page.locator("[data-plot]").count():
            await page.locator(".plot.drawn").first.wait_for()
        for size, scheme in looks.LIGHTS:
            await looks.dress(page, size, scheme)
            wrong = await looks.faults(page)
            if size is NARROW:
                wrong += await looks.too_small(page)
            if await looks.ground(page) != looks.GROUNDS[scheme]:
                wrong.append("not in its colours")
            found += [f"{name} {size['width']} {scheme}: {one}" for one in wrong]
    await context.close()
    return found


@pytest.mark.soak
@pytest.mark.claim("K19", "A20")
async def test_no_page_shuts_anybody_out_in_any_light(databases: Databases, tmp_path: Path) -> None:
    found = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=LEAN)
        site = await Site.open(databases.sqlite(tmp_path / "night.db"), tmp_path)
        known = every_page.known(site)
        found += await look(browser, site, every_page.PAGES, known, showcase.MARTA)
        found += await look(browser, site, every_page.MAY_NOT, known, showcase.AYLIN)
        found += await look(browser, site, every_page.STRANGERS, known, None)
        await site.close()
        site = await Site.open(databases.sqlite(tmp_path / "first.db"), tmp_path, stage=every_page.first_day)
        found += await look(browser, site, every_page.EMPTY, {}, showcase.MARTA)
        await site.close()
        await browser.close()
    assert not found, "\n".join(found)

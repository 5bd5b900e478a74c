"""``make screenshots``: every page as a desk and a phone show it, by day and at night: in the night of the showcase, and on the first day.

``--readme`` also takes the few that the README shows, into docs/pictures; names of pages take those only.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests import showcase
from tests.web import every_page
from tests.web.browsing import ARGS, NARROW, WIDE, chromium
from tests.web.every_page import PAGES
from tests.web.looks import LIGHTS
from tests.web.site import Site, Stage
from tocsin.db import schema
from tocsin.db.engine import Database

ROOT = Path(__file__).parents[2]
SHEETS, PICTURES = ROOT / "screenshots", ROOT / "docs" / "pictures"
README = (
    ("overview", WIDE, "dark"),
    ("alerts", WIDE, "light"),
    ("alert-down", WIDE, "light"),
    ("overview", NARROW, "dark"),
    ("alert-down", NARROW, "dark"),
)


async def context(browser: Browser, site: Site, size: Any, scheme: Any, who: str | None = showcase.MARTA) -> BrowserContext:
    """A browser of this size."""
    phone = size is NARROW
    made = await browser.new_context(
        base_url=site.url,
        locale="en-GB",
        timezone_id="Europe/Berlin",
        viewport=size,
        color_scheme=scheme,
        service_workers="block",
        is_mobile=phone,
        has_touch=phone,
    )
    if who:
        await made.add_cookies([site.cookie(who)])  # type: ignore[list-item]
    return made


async def take(context: BrowserContext, address: str, path: Path, *, whole: bool = True) -> None:
    """One picture, once the page is still."""
    page = await context.new_page()
    answer = await page.goto(address)
    if answer is None or answer.status >= 500:
        raise SystemExit(f"{address} fails; there is nothing to photograph")
    if await page.locator("[data-plot]").count():
        await page.locator(".plot.drawn").first.wait_for()
    await page.evaluate("document.fonts.ready")
    await page.wait_for_timeout(150)  # the first words of the stream
    if whole:  # a window as tall as the page: what is fixed to its edges stands at its edges
        size = page.viewport_size or WIDE
        height = int(await page.evaluate("document.documentElement.scrollHeight"))
        await page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
        await page.wait_for_timeout(500)  # charts further down are drawn now
    await page.screenshot(path=path, animations="disabled")
    await page.close()
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")


Sheet = tuple[dict[str, str], str | None]  # pages, and who looks at them


async def sheets(browser: Browser, site: Site, wanted: list[Sheet], known: dict[str, str], only: set[str]) -> None:
    """All of *wanted*, or those whose names are in *only*."""
    for pages, who in wanted:
        asked = {name: place.format_map(known) for name, place in pages.items() if not only or name in only}
        for size, scheme in LIGHTS if asked else []:
            one = await context(browser, site, size, scheme, who)
            for name, place in asked.items():
                site.clock.run()  # every picture is of the same minute
                await take(one, place, SHEETS / f"{name}-{size['width']}-{scheme}.png")
            await one.close()


async def for_the_readme(browser: Browser, site: Site, known: dict[str, str]) -> None:
    """What the README shows: only what is seen without scrolling."""
    for name, size, scheme in README:
        site.clock.run()
        one = await context(browser, site, size, scheme)
        kind = "phone" if size is NARROW else "desk"
        await take(one, PAGES[name].format_map(known), PICTURES / f"{name}-{kind}.png", whole=False)
        await one.close()


async def a_site(folder: str, name: str, stage: Stage) -> Site:
    """A Tocsin of its own."""
    url = f"sqlite:///{folder}/{name}.db"
    database = Database(url)
    schema.upgrade(database)
    database.close()
    return await Site.open(url, Path(folder), stage)


async def main(only: set[str], *, readme: bool) -> None:
    """Plays the night and photographs it, then the first day."""
    if not only:
        shutil.rmtree(SHEETS, ignore_errors=True)
    SHEETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
            site = await a_site(folder, "night", showcase.stage)
            known = every_page.known(site)
            if readme:
                await for_the_readme(browser, site, known)
            night: list[Sheet] = [(PAGES, showcase.MARTA), (every_page.MAY_NOT, showcase.AYLIN), (every_page.STRANGERS, None)]
            await sheets(browser, site, night, known, only)
            await site.close()
            site = await a_site(folder, "first-day", every_page.first_day)
            await sheets(browser, site, [(every_page.EMPTY, showcase.MARTA)], {}, only)
            await site.close()
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main({name for name in sys.argv[1:] if not name.startswith("--")}, readme="--readme" in sys.argv))

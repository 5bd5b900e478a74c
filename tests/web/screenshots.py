"""``make screenshots``: every page as a desk and a phone show it, by day and at night, with the night of the showcase.

``--readme`` also takes the few that the README shows, into docs/pictures.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests import showcase
from tests.web.browsing import ARGS, NARROW, WIDE, chromium
from tests.web.site import Site
from tocsin.checks import store as checks
from tocsin.db import schema, tables
from tocsin.db.engine import Database
from tocsin.heartbeats import store as heartbeats
from tocsin.hosts import store as hosts
from tocsin.notify import links

ROOT = Path(__file__).parents[2]
SHEETS, PICTURES = ROOT / "screenshots", ROOT / "docs" / "pictures"
PAGES = {
    "overview": "/",
    "alerts": "/alerts",
    "alerts-acknowledged": "/alerts?status=acknowledged",
    "alerts-resolved": "/alerts?status=resolved",
    "alerts-nothing-found": "/alerts?q=no+such+thing",
    "alert-down": "srv-12 is down",
    "alert-resolved": "Panel answers in 4.2 s",
    "events": "/events",
    "events-one-type": "/events?type=invoice.",
    "events-nothing-found": "/events?q=no+such+thing",
    "sources": "/events/sources",
    "quarantine": "/events/quarantine",
    "analytics": "/analytics",
    "settings-health": "/settings/health",
    "settings-sites": "/settings/sites",
    "settings-site": "/settings/sites/nordlicht",
    "settings-catalogue-row": "/settings/sites/nordlicht/invoice.payment_failed",
    "checks": "/checks",
    "check-down": "a check: HTTPS nordlicht-12.example",
    "check-new": "/checks/new",
    "availability": "/availability",
    "availability-sites": "/availability?by=site&days=90",
    "hosts": "/hosts",
    "host": "a server: srv-09",
    "heartbeats": "/heartbeats",
    "heartbeat-failed": "a job: Domain sync",
    "heartbeat-new": "/heartbeats/new",
    "oncall": "/oncall",
    "oncall-month": "/oncall?by=month",
    "teams": "/oncall/teams",
    "team-new": "/oncall/teams/new",
    "policies": "/policies",
    "policy-new": "/policies/new",
    "rules": "/rules",
    "rule-new": "/rules/new",
    "quiet": "/silences",
    "dependency-new": "/dependencies/new",
    "silence-new": "/silences/new?host=srv-12",
    "welcome-whmcs": "/welcome?step=whmcs",
    "welcome-phone": "/welcome?step=phone",
    "welcome-test": "/welcome?step=test",
    "settings-thresholds": "/settings/thresholds",
    "settings-channels": "/settings/channels",
    "settings-people": "/settings/people",
    "settings-keys": "/settings/keys",
    "settings-audit": "/settings/audit",
    "settings-contacts": "/settings/contacts",
    "settings-me": "/settings/me",
    "settings-second-factor": "/settings/me/second-factor",
    "api-docs": "/api/docs",
    "design": "/design",
}
STRANGERS = {"login": "/login", "reset": "/reset"}  # what somebody sees who is not logged in
README = (
    ("overview", WIDE, "dark"),
    ("alerts", WIDE, "light"),
    ("alert-down", WIDE, "light"),
    ("overview", NARROW, "dark"),
    ("alert-down", NARROW, "dark"),
)


async def address(site: Site, place: str) -> str:
    """Where *place* is: an address, or the page of the check with this name or of the alert with this title."""
    if place.startswith("a check: "):
        with site.service.server.core.database.read() as connection:
            every = checks.of_sites(connection, None)
        return f"/checks/{next(one.id for one in every if one.definition.name == place.removeprefix('a check: '))}"
    if place.startswith("a job: "):
        with site.service.server.core.database.read() as connection:
            jobs = heartbeats.heartbeats(connection, None, None, 100)
        return f"/heartbeats/{next(one.id for one in jobs if one.name == place.removeprefix('a job: '))}"
    if place.startswith("a server: "):
        with site.service.server.core.database.read() as connection:
            servers = hosts.hosts(connection)
        return f"/hosts/{next(one.id for one in servers if one.name == place.removeprefix('a server: '))}"
    return place if place.startswith("/") else f"/alerts/{showcase.find(site.service.world, place).number}"


def action_link(site: Site) -> str:
    """The page that a link in a message about the worst alert opens."""
    alert = showcase.find(site.service.world, "srv-12 is down")
    with site.service.server.core.database.read() as connection:
        message = connection.execute(sa.select(tables.outbox.c.id).where(tables.outbox.c.alert_number == alert.number)).scalars().first()
    return f"/a/{links.token(site.service.server.secret, str(message), links.LinkAction.ACKNOWLEDGE)}"


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
    await page.wait_for_timeout(300)  # the first words of the stream
    if whole:  # a window as tall as the page: what is fixed to its edges stands at its edges
        size = page.viewport_size or WIDE
        height = int(await page.evaluate("document.documentElement.scrollHeight"))
        await page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
        await page.wait_for_timeout(100)
    await page.screenshot(path=path, animations="disabled")
    await page.close()
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")


async def sheets(browser: Browser, site: Site) -> None:
    """All of them."""
    shutil.rmtree(SHEETS, ignore_errors=True)
    SHEETS.mkdir()
    for size in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            ending = f"{size['width']}-{scheme}.png"
            known = await context(browser, site, size, scheme)
            for name, place in (PAGES | {"action-link": action_link(site)}).items():
                await take(known, await address(site, place), SHEETS / f"{name}-{ending}")
            await known.close()
            stranger = await context(browser, site, size, scheme, None)
            for name, place in STRANGERS.items():
                await take(stranger, place, SHEETS / f"{name}-{ending}")
            await stranger.close()


async def for_the_readme(browser: Browser, site: Site) -> None:
    """What the README shows: only what is seen without scrolling."""
    for name, size, scheme in README:
        one = await context(browser, site, size, scheme)
        kind = "phone" if size is NARROW else "desk"
        await take(one, await address(site, PAGES[name]), PICTURES / f"{name}-{kind}.png", whole=False)
        await one.close()


async def main() -> None:
    """Plays the night and photographs it."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/tocsin.db"
        database = Database(url)
        schema.upgrade(database)
        database.close()
        site = await Site.open(url, Path(folder))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
            await sheets(browser, site)
            if "--readme" in sys.argv:
                await for_the_readme(browser, site)
            await browser.close()
        await site.close()


if __name__ == "__main__":
    asyncio.run(main())

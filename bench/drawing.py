"""How soon after the click a chart of 90 days is drawn: ``python -m bench.drawing http://127.0.0.1:8400``, while `make demo` runs.

Asks for the password that the demonstration printed. Opens the explorer, and a server's page with its ten charts, in Chromium,
presses *90 d* again and again, and takes the time from the press to the mark that chart.js sets when the first chart stands
(``performance.mark``): a new page, its scripts from the cache, the question to history, and the drawing.
"""

import asyncio
import getpass
import statistics
import sys
from urllib.parse import urljoin

from playwright.async_api import Page, async_playwright

from tests.web.browsing import ARGS, WIDE, chromium
from tocsin.demo.company import MARTA

TIMES, TARGET = 20, 150  # ms
PATIENCE = 500  # looks, twenty milliseconds apart
_PRESSED = "sessionStorage.setItem('pressed', performance.timeOrigin + performance.now())"
_LISTEN = f"() => document.querySelector('nav.filters .btnset a:last-child').addEventListener('click', () => {_PRESSED})"
_TOOK = """() => {
  const [drawn] = performance.getEntriesByName("tocsin:drawn");
  const there = drawn && location.search.includes("90d");
  return there ? performance.timeOrigin + drawn.startTime - Number(sessionStorage.getItem("pressed")) : 0;
}"""


async def measure(address: str, password: str) -> dict[str, list[float]]:
    """The times (ms) of all presses but the first, which fills the caches; by page."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        page = await browser.new_page(viewport={"width": WIDE["width"], "height": WIDE["height"]})
        await page.goto(f"{address}/login")
        await page.fill("[name=email]", MARTA)
        await page.fill("[name=password]", password)
        await page.click("button[type=submit]")
        await page.goto(f"{address}/hosts")
        server = urljoin(page.url, await page.get_attribute("a:has-text('srv-04')", "href"))
        pages = {"the explorer": f"{address}/explore?show=cpu_percent@srv-04", "a server's page": server}
        took = {name: [await _press(page, place) for _ in range(TIMES + 1)][1:] for name, place in pages.items()}
        await browser.close()
        return took


async def _press(page: Page, place: str) -> float:
    await page.goto(f"{place}{'&' if '?' in place else '?'}range=24h")
    await page.wait_for_timeout(700)
    await page.evaluate(_LISTEN)
    await page.click("nav.filters .btnset a:last-child", no_wait_after=True)
    await page.wait_for_url("**range=90d*")
    for _ in range(PATIENCE):
        took = float(await page.evaluate(_TOOK))
        if took:
            return took
        await page.wait_for_timeout(20)
    raise TimeoutError(f"no chart was drawn at {page.url}")


if __name__ == "__main__":
    for name, times in asyncio.run(measure(sys.argv[1].rstrip("/"), getpass.getpass("Password of the demonstration: "))).items():
        print(f"{name}: drawn {statistics.median(times):.0f} ms after the press (median of {len(times)}; {max(times):.0f} at most)")
    print(f"The target is {TARGET} ms.")

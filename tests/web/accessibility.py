"""What axe (tests/web/axe, see its README) finds wrong on a page for people who see little, hear it read, or use no mouse."""

from pathlib import Path

from playwright.async_api import BrowserContext, Page

AXE = Path(__file__).parent / "axe" / "axe.min.js"
_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ['violations'], iframes: false});
  return found.violations.flatMap(wrong => wrong.nodes.map(node => {
    const why = [...node.any, ...node.all, ...node.none][0];
    return `${wrong.id}: ${node.target.join(' ')}: ${node.html.slice(0, 120)}: ${why ? why.message : wrong.help}`;
  }));
}"""


async def come_along(context: BrowserContext) -> None:
    """Has axe on each page that *context* opens from now on: to hand it over page by page costs twice as much."""
    await context.add_init_script(path=AXE)


async def complaints(page: Page) -> list[str]:
    """What is wrong on *page*, where axe has come along, one line for each thing; nothing in the end."""
    found: list[str] = await page.evaluate(_RUN)
    return found

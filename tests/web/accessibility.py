"""What axe (tests/web/axe, see its README) finds wrong on a page for people who see little, hear it read, or use no mouse."""

from functools import cache
from pathlib import Path

from playwright.async_api import Page

AXE = Path(__file__).parent / "axe" / "axe.min.js"
_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ['violations'], iframes: false});
  return found.violations.flatMap(wrong => wrong.nodes.map(node => {
    const why = [...node.any, ...node.all, ...node.none][0];
    return `${wrong.id}: ${node.target.join(' ')}: ${node.html.slice(0, 120)}: ${why ? why.message : wrong.help}`;
  }));
}"""


@cache
def _source() -> str:
    return AXE.read_text()


async def complaints(page: Page) -> list[str]:
    """What is wrong on *page*, one line for each thing; nothing in the end."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(f"{_source()};0")
    found: list[str] = await page.evaluate(_RUN)
    return found

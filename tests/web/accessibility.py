"""What axe (tests/web/axe, see its README) finds wrong on a page for people who see little, hear it read, or use no mouse."""

from pathlib import Path

from playwright.async_api import BrowserContext, Page

AXE = Path(__file__).parent / "axe" / "axe.min.js"
_RUN = """async only => {
  const options = {resultTypes: ['violations'], iframes: false};
  if (only.length) options.runOnly = only;
  const found = await axe.run(document, options);
  return found.violations.flatMap(wrong => wrong.nodes.map(node => {
    const why = [...node.any, ...node.all, ...node.none][0];
    return `${wrong.id}: ${node.target.join(' ')}: ${node.html.slice(0, 120)}: ${why ? why.message : wrong.help}`;
  }));
}"""
BY_LOOKS = ["color-contrast", "target-size"]  # what changes with the colours and with the width


async def prepare(context: BrowserContext) -> None:
    """Has axe at hand on each page that *context* opens from now on."""
    await context.add_init_script(path=AXE)


async def complaints(page: Page, only: list[str] | None = None) -> list[str]:
    """What is wrong on *page*, one line for each thing; nothing in the end. *only*: by these rules."""
    found: list[str] = await page.evaluate(_RUN, only or [])
    return found

"""A page in one of its four lights, and what is wrong with how it looks there."""

from typing import Any

from playwright.async_api import Page

from tests.web import accessibility
from tests.web.browsing import NARROW, WIDE

LIGHTS: list[tuple[Any, Any]] = [(size, scheme) for size in (WIDE, NARROW) for scheme in ("light", "dark")]
GROUNDS = {"light": "rgb(245, 243, 235)", "dark": "rgb(10, 18, 37)"}
_GROUND = "getComputedStyle(document.body).backgroundColor"
# Links within text may be as small as text; a link whose ::after covers its row is as large as the row.
_SMALL = """() => [...document.querySelectorAll('a, button, input, select, summary, label.check')].filter(e => {
  const hidden = '[popover]:not(:popover-open), dialog:not([open]), .vh, .skip, thead';
  const box = e.getBoundingClientRect();
  if (!box.width || !box.height || e.closest(hidden)) return false;
  if (e.matches('input[type=checkbox], input[type=radio]') && e.closest('label')) e = e.closest('label');
  if (getComputedStyle(e, '::after').position === 'absolute') e = e.closest('tr, li') || e;
  const inline = e.matches('a') && getComputedStyle(e).display === 'inline';
  if (inline && e.closest('p, dd, td, li, figcaption, .deck, .prose')) return false;
  const own = e.getBoundingClientRect();
  return own.height < 43.5 || own.width < 24;
}).map(e => {
  const box = e.getBoundingClientRect();
  return `${e.tagName}.${e.className} "${e.textContent.trim().slice(0, 40)}" ${Math.round(box.width)}x${Math.round(box.height)}`;
})"""


async def dress(page: Page, size: Any, scheme: Any) -> None:
    """The width and the colours that *page* has from now on."""
    await page.set_viewport_size(size)
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


async def faults(page: Page) -> list[str]:
    """What is wrong with *page* as it stands; nothing in the end."""
    found = await accessibility.complaints(page)
    if await page.locator("main h1").count() != 1:
        found.append("not one main heading")
    over = await sideways(page)
    if over:
        found.append(f"{over} px wider than the window")
    return found


async def sideways(page: Page) -> int:
    """By how much (px) a page runs over the edge."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


async def too_small(page: Page) -> list[str]:
    """What a thumb misses on a phone, and what runs over its edge."""
    over = await sideways(page)
    return [*([f"{over} px wider than the phone"] if over else []), *(await page.evaluate(_SMALL))]


async def ground(page: Page) -> str:
    """The colour of the page."""
    return str(await page.evaluate(_GROUND))

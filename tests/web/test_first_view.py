"""What a browser that has never been here loads for a page: not more than a hundred kilobytes."""

import re
from urllib.parse import urljoin

import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person

MOST = 100_000  # bytes over the wire, compressed, headers aside
_LINKED = re.compile(rb'<link rel="(?:icon|preload|stylesheet|manifest)" href="([^"]+)"|<script[^>]+src="([^"]+)"|<img[^>]+src="([^"]+)"')
_NAMED = re.compile(rb'(?:from|import)\s*\(?\s*"(\./[^"]+)"|url\("([^"]+)"\)')
_NAMES_OTHERS = re.compile(r"\.(js|css)$")


async def loaded(browser: Browser, path: str) -> dict[str, int]:
    """The bytes of a page and of everything that it asks for, by address; also what is asked for by what it asks for."""
    waiting, sizes = [path], dict[str, int]()
    while waiting:
        address = waiting.pop()
        if address in sizes:
            continue
        answer = await browser.client.get(address, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
        assert answer.status_code == 200, address
        sizes[address] = answer.num_bytes_downloaded
        names = _LINKED if "text/html" in answer.headers["content-type"] else _NAMED if _NAMES_OTHERS.search(address) else None
        found = names.findall(answer.content) if names else []
        waiting += [urljoin(address, name.decode()) for groups in found for name in groups if name]
    return sizes


@pytest.mark.parametrize("path", ["/", "/alerts", "/alerts/1", "/analytics", "/checks", "/login"])
async def test_a_first_view_is_light(sqlite_service: Service, path: str) -> None:
    await sqlite_service.send(
        *[{"type": "disk.full", "severity": 4, "status": "problem", "title": f"Disk {n} full", "subject": f"disk:{n}"} for n in range(60)]
    )
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    if path != "/login":
        await browser.log_in("marta@example.com")
    sizes = await loaded(browser, path)
    assert any("tocsin." in address and address.endswith(".css") for address in sizes)
    assert sum(sizes.values()) <= MOST, sizes

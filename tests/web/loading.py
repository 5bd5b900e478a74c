"""What a browser that has never been here loads for a page: the page, scripts, style sheets, fonts, the picture of its first chart."""

import html
import re
from urllib.parse import urljoin

import httpx

_LINKED = re.compile(
    r'<link rel="(?:icon|preload|stylesheet|manifest)"[^>]* href="([^"]+)"|<script[^>]+src="([^"]+)"|<img[^>]+src="([^"]+)"'
)
_CHART = re.compile(r'data-chart="([^"]+)"')
_NAMED = re.compile(r'(?:from|import)\s*\(?\s*"(\./[^"]+)"|url\("([^"]+)"\)')
_ACCENTED = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]")
_NAMES_OTHERS = re.compile(r"\.(js|css)$")


async def loaded(client: httpx.AsyncClient, path: str) -> tuple[str, dict[str, int]]:
    """The page, and the bytes over the wire (compressed, headers aside) of it and of all that it asks for, by address.

    Of several charts only the first and those asked for beforehand: the others are asked for when somebody comes near them. The font of
    accented letters only where there is one.
    """
    page, waiting, sizes = "", [path], dict[str, int]()
    while waiting:
        address = waiting.pop()
        if address in sizes or ("accents" in address and not _ACCENTED.search(page)):
            continue
        answer = await client.get(address, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
        assert answer.status_code == 200, address
        sizes[address] = answer.num_bytes_downloaded
        if address == path:
            page = answer.text
            found = [one for groups in _LINKED.findall(page) for one in groups if one] + _CHART.findall(page)[:1]
        else:
            found = [one for groups in _NAMED.findall(answer.text) for one in groups if one] if _NAMES_OTHERS.search(address) else []
        waiting += [urljoin(address, html.unescape(one)) for one in found]
    return page, sizes

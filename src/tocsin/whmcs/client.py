"""WHMCS's API (``POST includes/api.php``): only what reads, one action at a time, paged, bounded."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tocsin.core.clock import monotonic
from tocsin.net.http import HttpDoor, HttpFailure
from tocsin.whmcs.facts import ACTIONS
from tocsin.whmcs.model import InvoiceRow, Row, ServerRow, ServiceRow, Survey
from tocsin.whmcs.reading import ROW, WhmcsFault, answer, count, rows

OK = 200
WITHIN = 30.0  # seconds for one answer: large installations take their time
LIMIT = 8 * 1024 * 1024  # bytes of one answer
PAGE = 250
MAX_PAGES = 400  # 100,000 rows


class _Currency(Row, frozen=True):
    code: str
    rate: str = "1"


class WhmcsApi:
    """One installation and the credentials for it."""

    def __init__(self, door: HttpDoor, url: str, identifier: str, secret: str) -> None:
        self._door, self._identifier, self._secret = door, identifier, secret
        self._url, self._page = f"{url}/includes/api.php", f"{url}/"

    async def call(self, action: str, **parameters: str | int) -> dict[str, Any]:
        """One action. Raises `WhmcsFault`, whose words hold no secret."""
        asked = {"action": action, "identifier": self._identifier, "secret": self._secret, "responsetype": "json", **parameters}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            found = await self._door.request("POST", self._url, headers=headers, body=urlencode(asked).encode(), within=WITHIN, limit=LIMIT)
        except HttpFailure as failure:
            raise WhmcsFault(
                f"WHMCS cannot be asked: {failure.reason}",
                "Check the address of WHMCS (WHMCS_URL, or the site's own), and that this machine reaches it",
            ) from None
        if found.cut:
            raise WhmcsFault(f"the answer to {action} is longer than {LIMIT >> 20} MiB", "Ask us: no installation was seen with so much")
        return answer(action, found.status, found.body)

    async def page(self) -> int | None:
        """How many milliseconds the client area takes; None if there is no answer, or no good one."""
        began = monotonic()
        try:
            found = await self._door.request("GET", self._page, headers={"Accept": "text/html"}, within=WITHIN, limit=LIMIT)
        except HttpFailure:
            return None
        return round((monotonic() - began) * 1000) if found.status == OK else None

    async def version(self) -> str:
        """The version of WHMCS; the best test of a connection."""
        found = (await self.call("WhmcsDetails")).get("whmcs")
        return str(found.get("version", "")) if isinstance(found, dict) else ""

    async def probe(self) -> None:
        """Does each action once, of lists for a single row. Raises `WhmcsFault` for the first that is refused."""
        for action in ACTIONS:
            action.read(await self.call(action.name, **action.parameters))
        await self.currencies()
        await self.call("GetClientsProducts", limitstart=0, limitnum=1)
        await self.call("GetInvoices", limitstart=0, limitnum=1, status="Unpaid")

    async def currencies(self) -> tuple[str, ...]:
        """The codes of all currencies, the default one (rate 1) first."""
        found = rows(await self.call("GetCurrencies"), "currencies", "currency", _Currency)
        return tuple(one.code for one in sorted(found, key=lambda one: one.rate.rstrip("0").rstrip(".") != "1"))

    async def survey(self) -> Survey:
        """All that `rules.impacts` is told."""
        servers = rows(await self.call("GetServers"), "servers", None, ServerRow)
        services = await self._all("GetClientsProducts", lambda found: rows(found, "products", "product", ServiceRow))
        unpaid = await self._all("GetInvoices", lambda found: rows(found, "invoices", "invoice", InvoiceRow), status="Unpaid")
        return Survey(servers, services, unpaid)

    async def _all(self, action: str, read: Callable[[dict[str, Any]], list[ROW]], **parameters: str) -> list[ROW]:
        """All pages of a list."""
        gathered: list[ROW] = []
        for page in range(MAX_PAGES):
            found = await self.call(action, limitstart=page * PAGE, limitnum=PAGE, **parameters)
            gathered += read(found)
            if (page + 1) * PAGE >= count(found, "totalresults"):
                return gathered
        raise WhmcsFault(f"{action} has more than {MAX_PAGES * PAGE:,} rows", "Ask us: no installation was seen with so many")

"""WHMCS's API (``POST includes/api.php``): credentials, the actions that only read, loose types, pages, refusals."""

from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from tests.standins.provider import Answer, Provider, Seen, json

CONTRACT: dict[str, Any] = msgspec.json.decode((Path(__file__).parents[2] / "contracts" / "whmcs-api.json").read_bytes())
IDENTIFIER, SECRET = "kX7right", "s3cret-right"
_ENVELOPE = {"action", "identifier", "secret", "responsetype"}
_PARAMETERS = {
    "WhmcsDetails": set[str](),
    "GetCurrencies": set[str](),
    "GetServers": set[str](),
    "GetClientsProducts": {"limitstart", "limitnum"},
    "GetInvoices": {"limitstart", "limitnum", "status"},
    "GetAutomationLog": {"startdate", "enddate", "namespace"},
    "GetHealthStatus": {"fetchStatus"},
    "GetModuleQueue": {"relatedId", "serviceType", "moduleName", "moduleAction", "since"},
    "GetAdminUsers": {"roleid", "email", "include_disabled"},
    "GetTicketCounts": {"ignoreDepartmentAssignments", "includeCountsByStatus"},
    "GetStats": {"timeline_days"},
    "GetActivityLog": {"limitstart", "limitnum", "clientid", "date", "user", "description", "ipaddress"},
}
REFUSALS = {one["case"]: one for one in CONTRACT["errors"]}


class WhmcsStandIn(Provider):
    """An installation. ``refuses`` names a case of the contract that every request meets; ``currencies`` with their rates."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: str | None = None
        self.page = 200  # the status of the client area
        self.forbidden: set[str] = set()  # actions that the role may not do
        self.servers: list[dict[str, Any]] = CONTRACT["answers"]["GetServers"]["servers"]
        self.services: list[dict[str, Any]] = []
        self.invoices: list[dict[str, Any]] = CONTRACT["answers"]["GetInvoices"]["invoices"]["invoice"]
        self.currencies = {"USD": "1.00000"}
        self.answers: dict[str, Any] = deepcopy(CONTRACT["answers"])  # of the actions that are answered whole

    async def answer(self, seen: Seen) -> Answer:
        if (seen.method, seen.path) == ("GET", "/whmcs/"):
            return Answer(self.page, b"<html>Welcome to our client area</html>", {"Content-Type": "text/html"})
        self.want((seen.method, seen.path) == ("POST", "/whmcs/includes/api.php"), f"{seen.method} {seen.path}")
        self.want(seen.headers.get("Content-Type") == "application/x-www-form-urlencoded", "not a form")
        self.want(not seen.query, "something stands in the address, where logs show it")
        asked = dict(parse_qsl(seen.body.decode(), keep_blank_values=True))
        action = asked.get("action", "")
        self.taken.append(action)
        if self.refuses is not None:
            return _as_documented(self.refuses)
        if (asked.get("identifier"), asked.get("secret")) != (IDENTIFIER, SECRET):
            return _as_documented("bad_identifier")
        self.want(asked.get("responsetype") == "json", "the answer would not be JSON")
        self.want(action in _PARAMETERS, f"the action {action} is not among those that only read")
        self.want(asked.keys() - _ENVELOPE <= _PARAMETERS.get(action, set()), f"{action} has no {asked.keys() - _ENVELOPE}")
        if action in self.forbidden:
            message = f'Invalid Permissions: API action "{action.lower()}" is not allowed'
            return json(403, {"result": "error", "message": message})
        return json(200, {"result": "success", **self._content(action, asked)})

    def _content(self, action: str, asked: dict[str, str]) -> dict[str, Any]:
        match action:
            case "WhmcsDetails":
                return {"whmcs": CONTRACT["answers"]["WhmcsDetails"]["whmcs"]}
            case "GetCurrencies":
                listed = [{"id": n, "code": code, "rate": rate} for n, (code, rate) in enumerate(self.currencies.items(), 1)]
                return {"totalresults": len(listed), "currencies": {"currency": listed}}
            case "GetServers":
                return {"servers": self.servers, "fetchStatus": ""}
            case "GetClientsProducts":
                return _paged(self.services, asked, "products", "product")
            case "GetInvoices":
                return _paged([one for one in self.invoices if one["status"] == asked.get("status")], asked, "invoices", "invoice")
            case _:
                answer: dict[str, Any] = self.answers.get(action, {})
                return answer


def _paged(rows: list[dict[str, Any]], asked: dict[str, str], outer: str, inner: str) -> dict[str, Any]:
    """One page; an empty one holds text where the list would be, as installations answer."""
    start, count = int(asked.get("limitstart", 0)), int(asked.get("limitnum", 25))
    page = rows[start : start + count]
    return {
        "totalresults": str(len(rows)),
        "startnumber": start,
        "numreturned": len(page),
        outer: {inner: page} if page else "",
    }


def _as_documented(case: str) -> Answer:
    found = REFUSALS[case]
    if isinstance(found["body"], str):
        return Answer(found["http_status"], found["body"].encode(), {"Content-Type": "text/html"})
    return json(found["http_status"], found["body"])


def a_service(
    number: int, server: int, client: int, amount: str = "12.00", cycle: str = "Monthly", status: str = "Active"
) -> dict[str, Any]:
    """A row of ``GetClientsProducts``, with the password that the real one holds."""
    return {
        "id": number,
        "clientid": client,
        "name": "Web hosting",
        "domain": f"client{client}.example",
        "serverid": server,
        "recurringamount": amount,
        "billingcycle": cycle,
        "status": status,
        "username": f"user{number}",
        "password": "service-password",
    }

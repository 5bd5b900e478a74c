"""domain: when a registration ends, asked at the registry by RDAP (RFC 9082, 9083)."""

import json
from datetime import UTC, datetime
from typing import Any

from tocsin.checks.model import Cause, DomainTarget, Expiry, Finding, HttpTarget, Level
from tocsin.checks.probes import http
from tocsin.checks.probes.kit import Kit
from tocsin.core.clock import monotonic
from tocsin.core.text import cut, one_line
from tocsin.core.times import from_datetime

LIST_HOLDS = 86_400.0  # seconds
_GOING = ("redemption period", "pending delete")


async def probe(target: DomainTarget, kit: Kit) -> Finding:
    """Finds the registry, asks it, and reads what it knows. A registry that does not answer says nothing about the domain."""
    name = target.host.lower().rstrip(".")
    server = target.server or await _registry_of(name, kit)
    if server is None:
        return kit.found(None, Cause.REGISTRY, f"IANA lists no RDAP server for .{name.rpartition('.')[2]}: name one")
    status, document = await _ask(f"{server.rstrip('/')}/domain/{name}", kit)
    if status == 404:
        return kit.failed(Cause.REGISTRATION, f"the registry does not know {name}: it is not registered", {"registry": server})
    if status != 200 or not isinstance(document, dict):
        return kit.found(None, Cause.REGISTRY, f"the registry answered {status or 'nothing that can be read'}", {"registry": server})
    return _judged(name, server, document, kit)


def _judged(name: str, server: str, document: dict[str, Any], kit: Kit) -> Finding:
    statuses = [cut(one_line(str(one)), 100) for one in _list(document.get("status"))][:20]
    events = {str(one.get("eventAction")): str(one.get("eventDate")) for one in _list(document.get("events")) if isinstance(one, dict)}
    ends_at = _moment(events.get("expiration", ""))
    evidence = {"registry": server, "statuses": statuses, "events": dict(list(events.items())[:20])}
    if ends_at is None:
        return kit.fine(f"{name} is registered; its registry does not say until when", evidence)
    expiry = Expiry("registration", events["expiration"], ends_at, f"Registry: {cut(server, 120)}.")
    going = next((one for one in statuses if one.lower() in _GOING), None)
    if going is not None:
        return kit.found(Level.CRITICAL, Cause.REGISTRATION, f"the registration is being deleted: {going}", evidence, expiry)
    return kit.fine(f"{name} is registered until {events['expiration'][:10]}", evidence, expiry)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _moment(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        return from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


async def _registry_of(name: str, kit: Kit) -> str | None:
    """The RDAP server of the longest ending of *name* that IANA's list has; the list is asked for once a day."""
    until, known = kit.means.known_registries
    if monotonic() >= until:
        _, document = await _ask(kit.means.registries, kit)
        if isinstance(document, dict) and (known := _read_list(document)):
            kit.means.known_registries = (monotonic() + LIST_HOLDS, known)
    labels = name.split(".")
    endings = [".".join(labels[place:]) for place in range(1, len(labels))]
    return next((known[ending] for ending in endings if ending in known), None)


def _read_list(document: dict[str, Any]) -> dict[str, str]:
    """``{"services": [[["com"], ["https://..."]]]}``; whatever is not so is left out."""
    found = {}
    for service in _list(document.get("services")):
        if isinstance(service, list) and len(service) == 2:
            urls = [one for one in _list(service[1]) if isinstance(one, str) and one.startswith("https://")]
            urls = urls or [one for one in _list(service[1]) if isinstance(one, str) and one.startswith("http://")]
            found.update({one.lower(): urls[0] for one in _list(service[0]) if isinstance(one, str) and urls})
    return found


async def _ask(url: str, kit: Kit) -> tuple[int, object]:
    """The status and the JSON of an answer; 0 and None where there is none."""
    target = HttpTarget(url=url, headers={"Accept": "application/rdap+json, application/json"}, statuses="100-599", json_path="$.")
    reply = await http.fetch(target, kit)
    if reply is None:
        return 0, None
    try:
        return reply.status, json.loads(reply.body)
    except (ValueError, RecursionError):
        return (0 if reply.status == 200 else reply.status), None

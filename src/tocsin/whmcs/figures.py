"""What WHMCS says of itself, and what its bridge counts, as figures over time. Pure functions."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from tocsin.whmcs.model import Admins, Automation, Capacities, Counts, Health, Queue

RESPONSE = "response_ms"
PAGE = "client_area"  # the first page that a client sees
_AMOUNT = re.compile(r"-?\d[\d., '’]*")  # noqa: RUF001 - Swiss amounts are written with this apostrophe
_LETTERS = re.compile(r"[A-Za-z]{3}")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TICKETS = {"allActive": "tickets_active", "awaitingReply": "tickets_awaiting_reply", "flaggedTickets": "tickets_flagged"}
_COUNTED = re.compile(r"whmcs(\.[a-z0-9_]{1,40}){1,3}", re.ASCII)
_ENDINGS = {"count": "count", "failed": "failed_count", "seconds_max": "max_seconds"}
_DATABASE = "whmcs.database."
QUERY = "db_query_ms"
MAX_COUNTED = 50
MAX_VALUE = 1e12


class Figure(msgspec.Struct, frozen=True):
    """One value: what it is, of which host (empty: of none), and more about it."""

    name: str
    value: float
    host: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def of_action(action: str, took: int, facts: msgspec.Struct, server_time: int | None) -> list[Figure]:
    """How long an action took, and what it said. *server_time*: what time it is on the WHMCS server, if that is known."""
    return [Figure(RESPONSE, float(took), labels=(("action", action),)), *_said(facts, server_time)]


def of_page(took: int) -> list[Figure]:
    """How long the client area took."""
    return [Figure(RESPONSE, float(took), labels=(("page", PAGE),))]


def _said(facts: msgspec.Struct, server_time: int | None) -> Iterable[Figure]:
    match facts:
        case Automation(last_daily=int(last)):
            yield Figure("whmcs_cron_age_seconds", max(0, facts.server_time - last) / 1000)
        case Health(told=True):
            for level, count in (("warning", len(facts.warnings)), ("danger", len(facts.dangers))):
                yield Figure("whmcs_health_checks", float(count), labels=(("level", level),))
        case Queue():
            yield Figure("whmcs_queue_actions", float(facts.waiting))
            waits = 0 if facts.oldest is None or server_time is None else max(0, server_time - facts.oldest)
            yield Figure("whmcs_queue_age_seconds", waits / 1000)
        case Capacities():
            yield from _capacity(facts)
        case Admins():
            enabled = [one for one in facts.admins if not one.disabled]
            yield Figure("whmcs_admins_enabled", float(len(enabled)))
            yield Figure("whmcs_admins_without_second_factor", float(sum(not one.two_factor for one in enabled)))
        case Counts():
            yield from _counts(facts)


def _capacity(facts: Capacities) -> Iterable[Figure]:
    for server in facts.servers:
        labels = (("server", str(server.id)),)
        if server.active:
            yield Figure("whmcs_server_services", float(server.services), server.host, labels)
            if server.percent is not None:
                yield Figure("whmcs_server_full_percent", float(server.percent), server.host, labels)


def _counts(facts: Counts) -> Iterable[Figure]:
    for name, count in facts.counts.items():
        yield Figure(f"whmcs_{_TICKETS.get(name) or _HUMP.sub('_', name).lower()}", float(count))
    for name, text in facts.income.items():
        found = amount(text)
        if found is not None:
            value, currency = found
            yield Figure(f"whmcs_{name}", value, labels=(("currency", currency),) if currency else ())


def amount(text: str) -> tuple[float, str] | None:
    """An amount as WHMCS writes it, and its currency if that is named: ``$412.80 USD``, ``1.234,50 €``, ``CHF 9'310``."""
    found = _AMOUNT.search(text)
    if found is None:
        return None
    digits = re.sub(r"[ '’]", "", found[0]).rstrip(".,")  # noqa: RUF001 - see above
    whole, mark, part = _parted(digits)
    try:
        value = float(f"{whole}.{part}" if mark else whole)
    except ValueError:
        return None
    currency = _LETTERS.search(text)
    return value, currency[0].upper() if currency else ""


def _parted(digits: str) -> tuple[str, str, str]:
    """The whole part without marks between thousands, the decimal mark, and what stands behind it."""
    place = max(digits.rfind("."), digits.rfind(","))
    part = digits[place + 1 :] if place >= 0 else ""
    other = "," if place >= 0 and digits[place] == "." else "."
    is_decimal = place >= 0 and (len(part) != 3 or other in digits) and digits.count(digits[place]) == 1
    if not is_decimal:
        return re.sub(r"[.,]", "", digits), "", ""
    return re.sub(r"[.,]", "", digits[:place]), digits[place], part


def of_counters(attributes: Mapping[str, object]) -> list[Figure]:
    """What the bridge counted within a minute: how often, how often in vain, the mean and the longest time. What is odd is passed over."""
    figures = []
    queries, waited = 0.0, 0.0
    for name, counted in list(attributes.items())[:MAX_COUNTED]:
        if not isinstance(counted, dict) or not _COUNTED.fullmatch(name):
            continue
        base = name.replace(".", "_")
        known = {key: value for key in _ENDINGS if (value := _plain(counted.get(key))) is not None}
        figures += [Figure(f"{base}_{_ENDINGS[key]}", value) for key, value in known.items()]
        count, spent = known.get("count", 0.0), _plain(counted.get("seconds_sum"))
        if spent is not None and count >= 1:
            figures.append(Figure(f"{base}_mean_seconds", spent / count))
            if name.startswith(_DATABASE):
                queries, waited = queries + count, waited + spent
    if queries:
        figures.append(Figure(QUERY, waited * 1000 / queries))
    return figures


def _plain(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_VALUE:
        return float(value)
    return None

"""What is watched of WHMCS (M4): each action, what it is asked with, and what is kept of its answer."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tocsin.whmcs.model import (
    Activity,
    Admin,
    Admins,
    Automation,
    Capacities,
    Capacity,
    Counts,
    Health,
    HealthCheck,
    LogLine,
    Queue,
    Row,
    Version,
)
from tocsin.whmcs.reading import WhmcsFault, count, rows

Document = dict[str, Any]
TOLD = 5  # members of the queue that are named
MAX_LINES, MAX_LINE = 250, 500
MAX_CHECKS, MAX_SERVERS, MAX_ADMINS = 50, 2_000, 500
STATS = (
    *("orders_pending", "orders_today_total", "orders_yesterday_total", "orders_thismonth_total"),
    *("cancellations_pending", "todoitems_due", "networkissues_open", "staff_online"),
)
INCOME = ("income_today", "income_thismonth", "income_thisyear")
TICKETS = ("allActive", "awaitingReply", "flaggedTickets")


class _Check(Row, frozen=True):
    name: str
    body: str = ""


class _Item(Row, frozen=True):
    serviceType: str = "service"  # noqa: N815 - the spelling of WHMCS
    serviceId: str = ""  # noqa: N815
    moduleName: str = ""  # noqa: N815
    moduleAction: str = ""  # noqa: N815
    lastAttemptError: str = ""  # noqa: N815
    completed: str = "0"
    createdAt: str = ""  # noqa: N815


class _Server(Row, frozen=True):
    id: str
    name: str = ""
    hostname: str = ""
    active: str = ""
    activeServices: str = "0"  # noqa: N815
    maxAllowedServices: str = "0"  # noqa: N815
    module: str = ""


class _Admin(Row, frozen=True):
    id: str
    username: str = ""
    roleId: str = "0"  # noqa: N815
    twoFactorAuthModule: str = ""  # noqa: N815
    isDisabled: str = "0"  # noqa: N815
    loginAttempts: str = "0"  # noqa: N815


class _Entry(Row, frozen=True):
    id: str
    description: str = ""
    date: str = ""
    clientId: str = "0"  # noqa: N815
    userid: str = "0"


def _clean(text: str, limit: int) -> str:
    """One line that can be stored and shown."""
    return "".join(c for c in " ".join(text[: 4 * limit].split()) if c.isprintable())[:limit]


def _number(text: str) -> int:
    return count({"it": text}, "it")


def _truth(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "on", "yes")


def moment(text: object) -> int | None:
    """A moment of the server's wall clock, as if it were UTC; None for ``0000-00-00 00:00:00`` and what is none."""
    if not isinstance(text, str) or text.startswith("0000"):
        return None
    try:
        return int(datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) * 1000
    except (ValueError, OverflowError):
        return None


def _version(found: Document) -> Version:
    whmcs = found.get("whmcs")
    said = _clean(str(whmcs.get("version") or ""), 40) if isinstance(whmcs, dict) else ""
    if not re.match(r"\d", said):
        raise WhmcsFault("the answer names no version of WHMCS", "Check that WHMCS_URL is the address of WHMCS")
    return Version(said)


def _automation(found: Document) -> Automation:
    server_time = moment(found.get("currentDatetime"))
    if server_time is None:
        raise WhmcsFault("GetAutomationLog does not say what time it is on the server", "The activity log of WHMCS may say more")
    return Automation(server_time, moment(found.get("lastDailyCronInvocationTime")))


def _health(found: Document) -> Health:
    checks = found.get("checks")
    if not isinstance(checks, dict):
        return Health(told=False, well=0)
    return Health(True, len(rows(checks, "success", None, _Check)), _checks(checks, "warning"), _checks(checks, "danger"))


def _checks(checks: Document, level: str) -> tuple[HealthCheck, ...]:
    return tuple(HealthCheck(_clean(one.name, 60), _clean(one.body, 300)) for one in rows(checks, level, None, _Check)[:MAX_CHECKS])


def _queue(found: Document) -> Queue:
    waiting = [item for item in rows(found, "queue", None, _Item) if not _truth(item.completed)]
    born = [at for item in waiting if (at := moment(item.createdAt)) is not None]
    first = [
        _clean(f"{item.moduleName} {item.moduleAction} of {item.serviceType} {item.serviceId}: {item.lastAttemptError}", 200)
        for item in waiting[:TOLD]
    ]
    return Queue(len(waiting), min(born, default=None), tuple(first))


def _stats(found: Document) -> Counts:
    income = {name: _clean(str(found[name]), 40) for name in INCOME if isinstance(found.get(name), str | int | float)}
    return Counts({name: count(found, name) for name in STATS if name in found}, income)


def _tickets(found: Document) -> Counts:
    return Counts({name: count(found, name) for name in TICKETS if name in found})


def _servers(found: Document) -> Capacities:
    return Capacities(
        tuple(
            Capacity(
                _number(one.id),
                _clean(one.name, 100),
                _clean(one.hostname, 253).lower(),
                _truth(one.active),
                _number(one.activeServices),
                _number(one.maxAllowedServices),
                _clean(one.module, 40).lower(),
            )
            for one in rows(found, "servers", None, _Server)[:MAX_SERVERS]
            if _number(one.id)
        )
    )


def _admins(found: Document) -> Admins:
    return Admins(
        tuple(
            Admin(
                _number(one.id),
                _clean(one.username, 60),
                _number(one.roleId),
                bool(one.twoFactorAuthModule.strip()),
                _truth(one.isDisabled),
                _number(one.loginAttempts),
            )
            for one in rows(found, "admin_users", None, _Admin)[:MAX_ADMINS]
            if _number(one.id)
        )
    )


def _activity(found: Document) -> Activity:
    listed = rows(found, "activity", "entry", _Entry)[:MAX_LINES]
    lines = [
        LogLine(_number(one.id), moment(one.date), _clean(one.description, MAX_LINE), _number(one.clientId) or _number(one.userid))
        for one in listed
        if _number(one.id)
    ]
    return Activity(max((line.id for line in lines), default=0), tuple(sorted(lines, key=lambda line: line.id)))


class Action(msgspec.Struct, frozen=True):
    """One thing to ask: how its answer is read, as what it is kept, and with which parameters it is asked."""

    name: str
    read: Callable[[Document], msgspec.Struct]
    shape: type[msgspec.Struct]
    parameters: Mapping[str, str] = {}


# In this order: the first says whether WHMCS can be asked at all, the second what time it is there.
ACTIONS: tuple[Action, ...] = (
    Action("WhmcsDetails", _version, Version),
    Action("GetAutomationLog", _automation, Automation),
    Action("GetHealthStatus", _health, Health),
    Action("GetModuleQueue", _queue, Queue),
    Action("GetServers", _servers, Capacities),
    Action("GetAdminUsers", _admins, Admins, {"include_disabled": "true"}),
    Action("GetTicketCounts", _tickets, Counts, {"ignoreDepartmentAssignments": "true"}),
    Action("GetStats", _stats, Counts),
    Action("GetActivityLog", _activity, Activity, {"limitstart": "0", "limitnum": str(MAX_LINES)}),
)

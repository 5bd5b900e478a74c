"""Availability by check, host, site or group, and outages (H5)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import sqlalchemy as sa

from tocsin.checks import store, uptime
from tocsin.checks.model import Check, Status, Total
from tocsin.checks.uptime import Budget, Outage, Uptime

Totals = Mapping[str, Sequence[Total]]  # by check
By = Literal["check", "host", "site", "group"]


class Period(msgspec.Struct, frozen=True):
    """From one moment (ms) up to another, which lies not after now."""

    start: int
    end: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The availability of one check, host, site or group. ``sla`` is the strictest promise among its checks."""

    key: str
    name: str
    checks: tuple[Check, ...]
    uptime: Uptime
    budget: Budget | None


def availability(connection: sa.Connection, checks: Sequence[Check], by: By, period: Period, slug_of: Callable[[int], str]) -> list[Line]:
    """The lines of *checks*, the least available first. A check without a group is in none."""
    return _lines(checks, _totals(connection, checks, period), by, period, slug_of)


def both(
    connection: sa.Connection, checks: Sequence[Check], by: By, period: Period, slug_of: Callable[[int], str], latest: int
) -> tuple[list[Line], list[tuple[Check, Outage]], int]:
    """`availability`, the *latest* `outages`, and how many there are in all."""
    totals = _totals(connection, checks, period)
    count = sum(total.count for some in totals.values() for total in some if total.status is Status.DOWN)
    by_id = {check.id: check for check in checks}
    spans = store.outages(connection, list(by_id), period.start, period.end, latest) if count else []
    found = [
        (by_id[span.check_id], one) for span in spans for one in uptime.outages(by_id[span.check_id], [span], period.start, period.end)
    ]
    return _lines(checks, totals, by, period, slug_of), found, count


def _totals(connection: sa.Connection, checks: Sequence[Check], period: Period) -> Totals:
    return store.totals(connection, [check.id for check in checks], period.start, period.end)


def _lines(checks: Sequence[Check], totals: Totals, by: By, period: Period, slug_of: Callable[[int], str]) -> list[Line]:
    found: dict[str, list[tuple[Check, Uptime]]] = {}
    for check in checks:
        key = _key(check, by, slug_of)
        if key is not None:
            mine = uptime.of_totals(check, totals[check.id], period.start, period.end)
            found.setdefault(key, []).append((check, mine))
    return sorted((_line(key, members, by) for key, members in found.items()), key=_rank)


def _key(check: Check, by: By, slug_of: Callable[[int], str]) -> str | None:
    match by:
        case "check":
            return check.id
        case "host":
            return check.definition.place
        case "site":
            return slug_of(check.site_id)
    return check.definition.group


def _line(key: str, members: list[tuple[Check, Uptime]], by: By) -> Line:
    total = Uptime()
    for _, one in members:
        total = total.plus(one)
    promises = [check.definition.sla for check, _ in members if check.definition.sla is not None]
    name = members[0][0].definition.name if by == "check" else key
    checks = tuple(check for check, _ in members)
    return Line(key=key, name=name, checks=checks, uptime=total, budget=uptime.budget(total, max(promises, default=None)))


def _rank(line: Line) -> tuple[float, str]:
    percent = line.uptime.percent
    return (101.0 if percent is None else percent), line.name.lower()


def outages(connection: sa.Connection, checks: Sequence[Check], period: Period) -> list[tuple[Check, Outage]]:
    """All outages that touch a period, the latest first."""
    spans = store.spans(connection, [check.id for check in checks], period.start, period.end)
    found = [(check, one) for check in checks for one in uptime.outages(check, spans[check.id], period.start, period.end)]
    return sorted(found, key=lambda pair: (-pair[1].starts_at, pair[0].id))

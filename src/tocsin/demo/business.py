"""What an ordinary hour brings: orders, payments, tickets, with the rhythm of the day, of the week and of the month's end."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import HOUR
from tocsin.events.model import EventInput, Incoming

ZONE = "Europe/Berlin"
SITES = {"main": "Nordlicht", "kiezhost": "Kiezhost", "alpenserver": "Alpenserver"}
SHARES = {"main": 1.0, "kiezhost": 0.55, "alpenserver": 0.3}


class Kind(msgspec.Struct, frozen=True):
    """An ordinary event: ``often`` is how many an hour Nordlicht has at noon of a working day."""

    type: str
    about: str
    often: float
    attributes: dict[str, Any] = {}


_KINDS = (
    Kind("invoice.paid", "invoice", 11.0, {"total": "18.90"}),
    Kind("order.paid", "order", 3.5, {"invoiceid": 91204}),
    Kind("user.login", "user", 12.0),
    Kind("ticket.opened", "ticket", 2.6, {"deptname": "Support", "priority": "Medium"}),
    Kind("ticket.staff_replied", "ticket", 3.8, {"deptname": "Support"}),
    Kind("service.provisioned", "service", 2.0, {"serverid": 7}),
    Kind("domain.renewed", "domain", 1.1, {"domain": "example.de"}),
    Kind("client.registered", "client", 1.0),
    Kind("transaction.created", "transaction", 7.0, {"gateway": "stripe"}),
)
_INVOICE = Kind("invoice.created", "invoice", 80.0, {"total": "18.90"})  # at night, on two days of the month
_HOURS = (3, 2, 2, 2, 2, 3, 5, 8, 10, 12, 12, 12, 12, 11, 12, 12, 11, 10, 9, 8, 7, 6, 5, 4)  # of 12
_DAYS = (1.1, 1.05, 1.0, 1.0, 0.95, 0.55, 0.5)  # Monday first
_BILLING_HOURS = range(2, 6)


def local(at: int) -> datetime:
    """The moment as the company's clocks show it."""
    return datetime.fromtimestamp(at / 1000, ZoneInfo(ZONE))


def is_billing_day(day: datetime) -> bool:
    """The last day of a month and the first of the next: most services are invoiced then."""
    return day.day == 1 or (day + timedelta(days=1)).day == 1


def busyness(at: int) -> float:
    """How busy the hour of this moment is; noon of a Wednesday is 1."""
    day = local(at)
    return _HOURS[day.hour] / 12 * _DAYS[day.weekday()]


class Business:
    """Makes events that mean no trouble. Each site's bridge numbers its own; ``numbers`` are the last ones."""

    def __init__(self, chance: random.Random, numbers: dict[str, int] | None = None) -> None:
        self._chance = chance
        self.numbers = dict.fromkeys(SITES, 0) if numbers is None else numbers

    def between(self, start: int, end: int) -> list[Incoming]:
        """What happens from one moment to another, at most an hour later, in the order of time."""
        chance = self._chance
        happened = sorted(
            (chance.randrange(start, end), n, site, kind)
            for n, (site, kind, expected) in enumerate(_expected(start, (end - start) / HOUR))
            for _ in range(int(expected + chance.random()))
        )
        return [self._event(at, site, kind) for at, _, site, kind in happened]

    def _event(self, at: int, site: str, kind: Kind) -> Incoming:
        self.numbers[site] += 1
        event = EventInput(
            type=kind.type,
            subject=f"{kind.about}:{self._chance.randrange(1_000, 99_999)}",
            attributes=msgspec.Raw(msgspec.json.encode(kind.attributes)),
            source=f"whmcs-{site}",
            sequence=self.numbers[site],
        )
        return Incoming(event, site, at)


def _expected(start: int, hours: float) -> Iterator[tuple[str, Kind, float]]:
    """How many of each kind each site can expect."""
    day, busy = local(start), busyness(start)
    for site, share in SHARES.items():
        for kind in _KINDS:
            yield site, kind, kind.often * busy * share * hours
        if is_billing_day(day) and day.hour in _BILLING_HOURS:
            yield site, _INVOICE, _INVOICE.often * share * hours

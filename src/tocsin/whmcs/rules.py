"""What an alert costs (A12): pure functions of what WHMCS says."""

from collections.abc import Iterable, Mapping

from tocsin.core.clock import HOUR
from tocsin.core.text import counted
from tocsin.core.times import in_words, to_datetime
from tocsin.whmcs.model import IMPACT, Impact, InvoiceRow, ServerRow, ServiceRow, Survey
from tocsin.whmcs.reading import hundredths

# The months that one payment of each billing cycle of WHMCS covers. One-time and free services bring nothing in a month.
MONTHS: Mapping[str, int] = {"monthly": 1, "quarterly": 3, "semi-annually": 6, "annually": 12, "biennially": 24, "triennially": 36}
MANY_CLIENTS = 1_000_000
OLD = 2 * HOUR  # figures older than this are shown with their age
_NEVER = "0000"


def monthly(service: ServiceRow) -> int:
    """What a service brings in a month, in hundredths."""
    months = MONTHS.get(service.billingcycle.strip().lower())
    return round(hundredths(service.recurringamount) / months) if months else 0


def impacts(survey: Survey, currencies: tuple[str, ...], now: int) -> list[Impact]:
    """All servers and all gateways with what hangs on them. *currencies* of the installation, its default first."""
    return [*_servers(survey, currencies, now), *_gateways(survey.unpaid, now)]


def _servers(survey: Survey, currencies: tuple[str, ...], now: int) -> Iterable[Impact]:
    of_client = {invoice.userid: invoice.currencycode for invoice in survey.unpaid if invoice.currencycode}
    default = currencies[0] if currencies else ""
    on: dict[str, list[ServiceRow]] = {}
    for service in survey.services:
        if service.status.lower() == "active":
            on.setdefault(service.serverid, []).append(service)
    for server in survey.servers:
        services = on.get(server.id, [])
        money: dict[str, int] = {}
        for service in services:
            currency = of_client.get(service.clientid, default) if len(currencies) > 1 else default
            money[currency] = money.get(currency, 0) + monthly(service)
        yield Impact(
            "server",
            server.id,
            _names(server),
            server.name or server.hostname or f"server {server.id}",
            services=len(services),
            clients=len({service.clientid for service in services}),
            money={currency: amount for currency, amount in money.items() if amount},
            measured_at=now,
        )


def _names(server: ServerRow) -> tuple[str, ...]:
    short = server.hostname.partition(".")[0]
    return tuple(dict.fromkeys(name.strip().lower() for name in (server.hostname, server.name, server.ipaddress, short) if name.strip()))


def _gateways(unpaid: Iterable[InvoiceRow], now: int) -> Iterable[Impact]:
    today = f"{to_datetime(now):%Y-%m-%d}"
    waiting: dict[str, list[InvoiceRow]] = {}
    for invoice in unpaid:
        if invoice.paymentmethod and (_was_tried(invoice) or (invoice.duedate and invoice.duedate[:10] <= today)):
            waiting.setdefault(invoice.paymentmethod.lower(), []).append(invoice)
    for gateway, invoices in waiting.items():
        money: dict[str, int] = {}
        for invoice in invoices:
            money[invoice.currencycode] = money.get(invoice.currencycode, 0) + hundredths(invoice.total)
        failed = sum(_was_tried(invoice) for invoice in invoices)
        clients = len({invoice.userid for invoice in invoices})
        yield Impact(
            "gateway", gateway, (gateway,), gateway, clients=clients, due=len(invoices), failed=failed, money=money, measured_at=now
        )


def _was_tried(invoice: InvoiceRow) -> bool:
    return bool(invoice.last_capture_attempt) and not invoice.last_capture_attempt.startswith(_NEVER)


def words(impact: Impact, now: int) -> str:
    """One sentence, such as ``182 services of 140 clients hang on Web 1: EUR 2,310.00 a month.``."""
    age = now - impact.measured_at
    as_of = f" (as of {in_words(age)} ago)" if age > OLD else ""
    amount = money_in_words(impact.money)
    if impact.kind == "gateway":
        failed = f", {counted(impact.failed, 'capture')} failed" if impact.failed else ""
        return (
            f"{counted(impact.due, 'due invoice')} of {counted(impact.clients, 'client')} through {impact.label}: {amount}{failed}{as_of}."
        )
    if not impact.services:
        return f"No active service hangs on {impact.label}{as_of}."
    brings = f": {amount} a month" if impact.money else ""
    verb = "hangs" if impact.services == 1 else "hang"
    return f"{counted(impact.services, 'service')} of {counted(impact.clients, 'client')} {verb} on {impact.label}{brings}{as_of}."


def figures(impact: Impact | None) -> dict[str, str]:
    """What rules can compare, by field. Of several currencies the largest sum counts: none is converted. Nothing, of what is not known."""
    if impact is None:
        return {}
    amount = max(impact.money.values(), default=0)
    found = {"clients": str(impact.clients)}
    if impact.kind == "server":
        found |= {"monthly_income": _decimal(amount), "services": str(impact.services)}
    else:
        found |= {"due_amount": _decimal(amount), "due_invoices": str(impact.due), "failed_captures": str(impact.failed)}
    return {IMPACT + name: value for name, value in found.items()}


def weight(impact: Impact | None) -> int:
    """How much hangs on it, to put the heaviest first: money (the largest sum in one currency), then clients."""
    if impact is None:
        return 0
    return max(impact.money.values(), default=0) * MANY_CLIENTS + min(impact.clients, MANY_CLIENTS - 1)


def _decimal(hundredths_: int) -> str:
    return f"{hundredths_ // 100}.{hundredths_ % 100:02}"


def money_in_words(money: Mapping[str, int]) -> str:
    """``EUR 2,310.00 and USD 12.50``, the largest first."""
    parts = [f"{currency} {amount // 100:,}.{amount % 100:02}".strip() for currency, amount in sorted(money.items(), key=lambda m: -m[1])]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "nothing"

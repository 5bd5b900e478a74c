"""What WHMCS answers, as far as it is read; and what an alert costs (A12)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal["server", "gateway"]


class Row(msgspec.Struct, frozen=True):
    """A row of an answer. Whatever else stands in it (passwords, names, addresses) is not taken out of the bytes."""


class ServerRow(Row, frozen=True):
    """Of ``GetServers``."""

    id: str
    name: str = ""
    hostname: str = ""
    ipaddress: str = ""


class ServiceRow(Row, frozen=True):
    """Of ``GetClientsProducts``."""

    clientid: str
    serverid: str = "0"
    status: str = ""
    billingcycle: str = ""
    recurringamount: str = "0"


class InvoiceRow(Row, frozen=True):
    """Of ``GetInvoices``."""

    userid: str
    paymentmethod: str = ""
    duedate: str = ""
    last_capture_attempt: str = ""
    total: str = "0"
    currencycode: str = ""


class Survey(msgspec.Struct, frozen=True):
    """What was asked together: all servers, all services, the unpaid invoices."""

    servers: list[ServerRow]
    services: list[ServiceRow]
    unpaid: list[InvoiceRow]


class Impact(msgspec.Struct, frozen=True):
    """What hangs on a server, or what a gateway has not collected, at the moment ``measured_at`` (milliseconds).

    ``names`` are those under which alerts may speak of it, in lower case. ``money`` is in hundredths by currency: what
    the services bring in a month, or what the ``due`` invoices come to; ``failed`` of these were tried in vain.
    """

    kind: Kind
    key: Annotated[str, Meta(max_length=200)]
    names: tuple[str, ...]
    label: str
    services: int = 0
    clients: int = 0
    due: int = 0
    failed: int = 0
    money: dict[str, int] = {}
    measured_at: int = 0

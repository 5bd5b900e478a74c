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


IMPACT = "impact."  # the prefix of what rules may ask about an impact
IMPACT_FIELDS = tuple(IMPACT + name for name in ("monthly_income", "services", "clients", "due_amount", "due_invoices", "failed_captures"))


# --- What is watched (M4). Times are the wall clock of the WHMCS server in milliseconds, as if it were UTC: WHMCS names no zone. ---


class Version(msgspec.Struct, frozen=True):
    """``WhmcsDetails``."""

    version: str


class Automation(msgspec.Struct, frozen=True):
    """``GetAutomationLog``: the server's clock, and when the daily cron last began (None: never)."""

    server_time: int
    last_daily: int | None


class HealthCheck(msgspec.Struct, frozen=True):
    """One thing that WHMCS finds wrong with itself."""

    name: str
    text: str


class Health(msgspec.Struct, frozen=True):
    """``GetHealthStatus``. ``told`` False: this version lists no checks."""

    told: bool
    well: int
    warnings: tuple[HealthCheck, ...] = ()
    dangers: tuple[HealthCheck, ...] = ()


class Queue(msgspec.Struct, frozen=True):
    """``GetModuleQueue``: how many failed actions wait, since when the oldest does, and what the first of them say."""

    waiting: int
    oldest: int | None
    first: tuple[str, ...]


class Counts(msgspec.Struct, frozen=True):
    """``GetStats`` and ``GetTicketCounts``: numbers by the names that WHMCS gives them, and amounts as it writes them."""

    counts: dict[str, int]
    income: dict[str, str] = {}


class Capacity(msgspec.Struct, frozen=True):
    """One of ``GetServers``."""

    id: int
    name: str
    host: str
    active: bool
    services: int
    limit: int
    module: str = ""

    @property
    def percent(self) -> int | None:
        """How full it is, if it has a limit."""
        return self.services * 100 // self.limit if self.limit > 0 else None


class Capacities(msgspec.Struct, frozen=True):
    """``GetServers``."""

    servers: tuple[Capacity, ...]


class Admin(msgspec.Struct, frozen=True):
    """One of ``GetAdminUsers``."""

    id: int
    username: str
    role: int
    two_factor: bool
    disabled: bool
    failed_logins: int


class Admins(msgspec.Struct, frozen=True):
    """``GetAdminUsers``."""

    admins: tuple[Admin, ...]


class LogLine(msgspec.Struct, frozen=True):
    """One line of the activity log. ``at``: by the server's wall clock, None if it is not understood."""

    id: int
    at: int | None
    text: str
    client: int


class Activity(msgspec.Struct, frozen=True):
    """``GetActivityLog``: the highest number seen, and the newest lines. The lines are not kept."""

    last: int
    lines: tuple[LogLine, ...] = ()


class Problem(msgspec.Struct, frozen=True):
    """Something that is wrong now, and over when it is no longer found."""

    type: str
    subject: str
    severity: int
    title: str
    message: str | None = None

    @property
    def key(self) -> str:
        """What it is recognised by."""
        return f"{self.type}|{self.subject}"


class Standing(msgspec.Struct, frozen=True):
    """A problem that was told: how loud, and when last."""

    severity: int
    told_at: int


class Look(msgspec.Struct, frozen=True):
    """How one action went last. ``fault`` None: well. ``facts`` (JSON) are of the last time that it went well, at ``answered_at``."""

    action: str
    asked_at: int
    answered_at: int | None = None
    took: int | None = None
    fault: str | None = None
    cure: str | None = None
    facts: str | None = None
    standing: dict[str, Standing] = {}


class Connection(msgspec.Struct, frozen=True):
    """How WHMCS of a site is reached. ``from_settings``: the settings say so, and not a person. The secret is shown nowhere."""

    site_id: int
    url: str
    identifier: str
    secret: str
    from_settings: bool = False

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Connection({self.site_id!r}, {self.url!r})"

"""What the catalogue is made of: rows, a site's changes to them, activity-log patterns, and the answer for one event."""

import enum
import re
from typing import Literal

import msgspec

from tocsin.core.errors import InvalidInput
from tocsin.core.severity import Severity
from tocsin.events.catalogue import expressions, titles

Loud = Literal["always", "never", "default"]
Status = Literal["problem", "recovery", "info"]

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_TYPE_LIMIT = 100
_NAME_LIMIT = 60


class Category(enum.StrEnum):
    """The six drawers of the catalogue."""

    USERS = "users"
    ORDERS = "orders"
    INVOICES = "invoices"
    SUPPORT = "support"
    SERVERS = "servers"
    SYSTEM = "system"

    @property
    def severity(self) -> Severity:
        """How loud an event of this category is when it is loud."""
        return _SEVERITIES[self]


_SEVERITIES = {
    Category.USERS: Severity.MEDIUM,
    Category.ORDERS: Severity.HIGH,
    Category.INVOICES: Severity.HIGH,
    Category.SUPPORT: Severity.MEDIUM,
    Category.SERVERS: Severity.HIGH,
    Category.SYSTEM: Severity.CRITICAL,
}


class Condition(enum.Enum):
    """When an event is loud; the value is the sentence shown to people."""

    MONEY_OUT = "refundid is set or amountout is above zero"
    LATE_REMINDER = "type names a second or third overdue notice"
    PAYMENT_REFUSED = "result does not read as success"
    REGISTRAR_FAILED = "functionSuccessful is false"
    URGENT_TICKET = "priority is High or the department is critical"
    HIGH_PRIORITY = "priority is High"
    MAIL_ERRORS = "connectionErrors is not empty"
    UNUSUAL_LOGIN = "address or hour is unusual for that admin"
    LOG_MATCH = "description matches a configured pattern (failed login, cron error, module error)"


class SubjectKey(msgspec.Struct, frozen=True):
    """Where a subject may be read: attribute ``invoiceid`` gives ``invoice:1042``."""

    kind: str
    key: str


class CatalogueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One type of event.

    ``keys`` are the documented attributes that name things; the first is the subject, and ``elsewhere`` is tried after it.
    An event for which ``when`` holds is loud, has ``title_when`` (if any) and ``severity``, or turns into type ``becomes``.
    Without ``when`` the event is loud if ``quiet_severity`` is at least 3, and has that severity.
    ``recovers`` names the problems that this type resolves, on the same subject or on the first of ``recovers_on``;
    ``problem`` is the name under which events of this type are one problem with others.
    """

    type: str
    hook: str | None
    category: Category
    severity: Severity
    quiet_severity: Severity
    title: str
    problem: str
    kind: str = ""
    keys: tuple[str, ...] = ()
    elsewhere: tuple[SubjectKey, ...] = ()
    when: Condition | None = None
    title_when: str = ""
    becomes: str = ""
    recovers: tuple[str, ...] = ()
    recovers_on: tuple[SubjectKey, ...] = ()
    loud: Loud = "default"


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What a site changes in one row; None leaves it. A row without ``when`` has one severity in use:
    there ``severity`` alone sets it, so that 3 and more is loud and less is quiet.
    """

    type: str
    severity: int | None = None
    quiet_severity: int | None = None
    loud: Loud | None = None
    title: str | None = None
    category: Category | None = None

    def __post_init__(self) -> None:
        _check("type", _why_no_type(self.type))
        _check("severity", _why_no_severity(self.severity))
        _check("quiet_severity", _why_no_severity(self.quiet_severity))
        _check("loud", None if self.loud in (None, "always", "never", "default") else "always, never or default")
        _check("title", None if self.title is None else titles.why_wrong(self.title))
        _check("category", None if self.category is None or self.category in list(Category) else "not a category")


class ActivityPattern(msgspec.Struct, frozen=True):
    """Lines of the WHMCS activity log that match ``pattern`` become events of ``type``.
    Named groups of the pattern (``username``) are read like attributes.
    """

    name: str
    pattern: str
    type: str

    def __post_init__(self) -> None:
        _check("name", None if 0 < len(self.name) <= _NAME_LIMIT else f"a name has 1 to {_NAME_LIMIT} characters")
        _check("pattern", expressions.why_unsafe(self.pattern))
        _check("type", _why_no_type(self.type))


class HookMetric(msgspec.Struct, frozen=True):
    """A hook that is counted, not forwarded one by one. The absence of a ``heartbeat`` means trouble."""

    hook: str
    name: str
    unit: str
    meaning: str
    heartbeat: bool = False


class Description(msgspec.Struct, frozen=True, gc=False):
    """What the catalogue says of one event. ``problem`` stands for the type in the dedup key.

    The open alerts of the types in ``recovers`` on ``recovery_subject`` are resolved by it, whatever its own status:
    a terminated service is news, and also the end of its failed suspension.
    """

    type: str
    severity: int
    status: str
    title: str
    subject: str | None
    problem: str
    recovers: tuple[str, ...]
    recovery_subject: str | None = None

    def given(self, severity: int | None = None, status: str | None = None) -> "Description":
        """The same with what the sender said outright, which wins."""
        return Description(
            self.type,
            self.severity if severity is None else severity,
            self.status if status is None else status,
            self.title,
            self.subject,
            self.problem,
            self.recovers if status is None else _recovers_as(status, self.recovers, self.problem),
            self.recovery_subject,
        )


def _recovers_as(status: str, recovers: tuple[str, ...], problem: str) -> tuple[str, ...]:
    """A sender's *recovery* ends the type's own problem too; an *info* ends nothing, a *problem* not itself."""
    if status == "info":
        return ()
    others = tuple(name for name in recovers if name != problem)
    return (*others, problem) if status == "recovery" else others


def _why_no_type(text: str) -> str | None:
    if len(text) <= _TYPE_LIMIT and _TYPE.fullmatch(text):
        return None
    return f"a type is dotted lower case such as invoice.payment_failed, at most {_TYPE_LIMIT} characters"


def _why_no_severity(value: int | None) -> str | None:
    return None if value is None or value in range(1, 6) else "a severity is a number from 1 to 5"


def _check(field: str, wrong: str | None) -> None:
    if wrong is not None:
        raise InvalidInput.of(field, wrong)

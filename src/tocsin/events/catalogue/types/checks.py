"""What checks from outside tell, and Tocsin about its own way out."""

from tocsin.core.severity import Severity
from tocsin.events.catalogue.model import Category
from tocsin.events.catalogue.things import Thing

_CHECK = Thing(category=Category.SERVERS, kind="check", noun="Check", called="check")
_CERTIFICATE = Thing(category=Category.SERVERS, kind="check", noun="Certificate of", called="check")
_REGISTRATION = Thing(category=Category.SERVERS, kind="check", noun="Registration of", called="check")
_TOCSIN = Thing(category=Category.SYSTEM)

DERIVED = (
    _CHECK.row("check.down", None, 4, "down[: {cause}]", severity=Severity.HIGH),
    _CHECK.row("check.degraded", None, 3, "degraded[: {cause}]", severity=Severity.MEDIUM),
    _CHECK.row("check.recovered", None, 1, "answers again", severity=Severity.INFO, recovers=("check.down", "check.degraded")),
    _CERTIFICATE.row("certificate.expiring", None, 3, "expires soon", severity=Severity.MEDIUM),
    _CERTIFICATE.row("certificate.renewed", None, 1, "renewed", severity=Severity.INFO, recovers=("certificate.expiring",)),
    _REGISTRATION.row("registration.expiring", None, 3, "ends soon", severity=Severity.MEDIUM),
    _REGISTRATION.row("registration.renewed", None, 1, "renewed", severity=Severity.INFO, recovers=("registration.expiring",)),
    _TOCSIN.row("tocsin.own_network", None, 4, title="Tocsin's own network is down", severity=Severity.HIGH),
)

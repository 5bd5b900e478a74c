"""What servers tell by their agents, and what is told of servers."""

from tocsin.core.severity import Severity
from tocsin.events.catalogue.model import Category
from tocsin.events.catalogue.things import Thing

_HOST = Thing(category=Category.SERVERS, kind="host")

DERIVED = (
    _HOST.row("host.silent", None, 4, title="A server is silent", severity=Severity.HIGH),
    _HOST.row("host.clock_off", None, 3, title="The clock of a server is off", severity=Severity.MEDIUM),
    _HOST.row("host.renamed", None, 1, title="A server has another name", severity=Severity.INFO),
    _HOST.row("host.rebooted", None, 1, title="A server has booted", severity=Severity.INFO),
    _HOST.row("host.disk_read_only", None, 4, title="A file system has become read-only", severity=Severity.HIGH),
    _HOST.row("host.raid_degraded", None, 4, title="A RAID lacks a disk", severity=Severity.HIGH),
    _HOST.row("host.unit_down", None, 3, title="A service has failed", severity=Severity.MEDIUM),
    _HOST.row("host.service_down", None, 4, title="A service does not run", severity=Severity.HIGH),
    _HOST.row("host.top_processes", None, 1, title="The largest processes of a busy server", severity=Severity.INFO),
)

"""What is told of jobs that report when they run."""

from tocsin.core.severity import Severity
from tocsin.events.catalogue.model import Category
from tocsin.events.catalogue.things import Thing

_JOB = Thing(category=Category.SERVERS, kind="heartbeat", noun="Job", called="heartbeat")

DERIVED = (
    _JOB.row("heartbeat.missed", None, 3, "has not reported in time", severity=Severity.MEDIUM),
    _JOB.row("heartbeat.failed", None, 3, "failed[ with exit code {exit_code}]", severity=Severity.MEDIUM),
    _JOB.row("heartbeat.overrunning", None, 3, "does not end", severity=Severity.MEDIUM),
    _JOB.row(
        "heartbeat.recovered",
        None,
        1,
        "runs again",
        severity=Severity.INFO,
        recovers=("heartbeat.missed", "heartbeat.failed", "heartbeat.overrunning"),
    ),
)

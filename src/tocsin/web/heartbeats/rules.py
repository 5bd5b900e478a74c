"""What the pages about heartbeats show, decided without a page."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin.core.clock import SECOND
from tocsin.heartbeats import rules
from tocsin.heartbeats.model import Heartbeat, Kind, Ping, Schedule, Status
from tocsin.web.groups import number
from tocsin.web.times import in_words

# How each status looks: the sign, and the words of a person.
SIGNS = {
    Status.FAILED: "down",
    Status.MISSED: "down",
    Status.OVERRUNNING: "degraded",
    Status.RUNNING: "up",
    Status.UP: "up",
    Status.WAITING: "unknown",
    Status.PAUSED: "paused",
}
WORDS = {
    Status.FAILED: "Failed",
    Status.MISSED: "Did not report in time",
    Status.OVERRUNNING: "Runs too long",
    Status.RUNNING: "Runs",
    Status.UP: "Reported in time",
    Status.WAITING: "Has not reported yet",
    Status.PAUSED: "Paused",
}
URGENCY = tuple(WORDS)
_BAD = frozenset({Status.FAILED, Status.MISSED, Status.OVERRUNNING})


def headline(jobs: Sequence[Heartbeat]) -> str:
    """What a colleague would say."""
    bad = [job for job in jobs if job.status in _BAD]
    if not jobs:
        return "No job reports yet"
    if not bad:
        return (
            "Every job has reported in time" if any(job.status is not Status.WAITING for job in jobs) else "Waiting for the first reports"
        )
    if len(bad) > 1:
        return f"{len(bad)} of {len(jobs)} jobs are in trouble"
    verb = {Status.FAILED: "failed", Status.MISSED: "has not reported", Status.OVERRUNNING: "does not end"}[bad[0].status]
    return f"{bad[0].name} {verb}"


def expects(one: Heartbeat) -> str:
    """``every 1 h, 5 min late at most``."""
    return f"{rules.words(one.schedule)}, at most {in_words(one.grace)} late"


class Beat(msgspec.Struct, frozen=True):
    """One report as a bar 28 high: the longest run is the tallest, and a failure is as tall as can be."""

    x: int
    y: int
    height: int
    look: str


def beats(pings: Sequence[Ping]) -> list[Beat]:
    """The last reports that ended a run, the oldest first; *pings* are the newest first."""
    ended = [ping for ping in reversed(pings) if ping.kind is not Kind.START]
    longest = max((ping.took or 0 for ping in ended), default=0)
    made = []
    for place, ping in enumerate(ended):
        height = 28 if ping.kind is Kind.FAIL else 8 + (12 * (ping.took or 0) // longest if longest else 3)
        made.append(Beat(8 * place, 28 - height, height, "down" if ping.kind is Kind.FAIL else "up"))
    return made


class HeartbeatForm(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed, as the API names it; empty is not given."""

    name: str = ""
    site: str = ""
    how: str = "period"  # or "cron"
    period_seconds: str = ""
    cron: str = ""
    time_zone: str = ""
    grace_seconds: str = "300"
    longest_run_seconds: str = ""
    severity: str = "3"
    edition: str = ""  # of what was changed, as it was when the form was opened


def form_of(one: Heartbeat, site: str) -> HeartbeatForm:
    """The form that would make this one."""
    schedule: Schedule = one.schedule
    return HeartbeatForm(
        name=one.name,
        site=site,
        how="cron" if schedule.cron else "period",
        period_seconds="" if schedule.period is None else str(schedule.period // SECOND),
        cron=schedule.cron or "",
        time_zone=schedule.time_zone,
        grace_seconds=str(one.grace // SECOND),
        longest_run_seconds="" if one.longest_run is None else str(one.longest_run // SECOND),
        severity=str(one.severity),
        edition=rules.edition(one),
    )


def body_of(sent: HeartbeatForm, *, change: bool) -> bytes:
    """The same as the API takes it."""
    body: dict[str, Any] = {"name": sent.name, "grace_seconds": number(sent.grace_seconds), "severity": number(sent.severity)}
    if sent.how == "cron":
        body |= {"cron": sent.cron, "time_zone": sent.time_zone or "UTC"}
    else:
        body["period_seconds"] = number(sent.period_seconds)
    if sent.longest_run_seconds or change:
        body["longest_run_seconds"] = number(sent.longest_run_seconds) if sent.longest_run_seconds else None
    if sent.site and not change:
        body["site"] = sent.site
    return msgspec.json.encode(body)

"""`tocsin heartbeats`: jobs that report when they run.

Writes go straight to the database, also while a server runs: it looks there each second.
"""

import msgspec

from tocsin.audit.model import Who
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput
from tocsin.core.text import cut
from tocsin.core.times import in_words, to_text, to_text_or_none
from tocsin.heartbeats import rules, store
from tocsin.heartbeats.model import Heartbeat, Schedule
from tocsin.identity.rules import read_length
from tocsin.pipeline.pulse import Wanted


class Asked(msgspec.Struct, frozen=True):
    """What was typed."""

    name: str
    site: str
    every: str | None
    cron: str | None
    time_zone: str
    grace: str
    longest_run: str | None
    severity: int


def add(start: Start, asked: Asked, *, as_json: bool) -> None:
    """Makes a heartbeat and prints the address that its job calls. Raises `InvalidInput`, `Conflict`."""
    if (asked.every is None) == (asked.cron is None):
        raise InvalidInput.of("every", "give exactly one of --every and --cron. Example: --every 1d")
    if not 1 <= len(asked.name.strip()) <= 100:
        raise InvalidInput.of("name", "must have 1 to 100 characters")
    period = None if asked.every is None else read_length(asked.every, "every")
    grace = read_length(asked.grace, "grace")
    longest_run = None if asked.longest_run is None else read_length(asked.longest_run, "longest-run")
    wanted = Wanted(asked.name.strip(), Schedule(period, asked.cron, asked.time_zone), grace, longest_run, asked.severity)
    with opened(start) as core:
        site_id = core.sites.get(asked.site).id
        made = core.writer.call(lambda tx: core.pulse.make(tx, Who(actor()), site_id, wanted))
        url = f"{core.settings.public_url}/api/v1/ping/{made.token}"
        mail = None if core.settings.ping_mail is None else f"{made.token}@{core.settings.ping_mail}"
        if as_json:
            show_json({**_as_json(made.heartbeat, asked.site), "url": url, "mail": mail})
            return
    show(url)
    if mail is not None:
        say(f"By mail: {mail}")
    say(f"It should run {rules.words(made.heartbeat.schedule)}, from now on. The address is shown this once.")


def show_heartbeats(start: Start, *, as_json: bool) -> None:
    """All heartbeats, in the order in which they were made."""
    with opened(start) as core, core.database.read() as connection:
        found = [(one, core.sites.slug_of(one.site_id)) for one in store.heartbeats(connection)]
    if as_json:
        show_json([_as_json(one, site) for one, site in found])
        return
    rows = [
        (
            one.id,
            one.status.value,
            site,
            cut(one.name, 40),
            rules.words(one.schedule),
            "never" if one.last_ping_at is None else to_text(one.last_ping_at),
            "" if one.last_took is None else in_words(one.last_took),
        )
        for one, site in found
    ]
    show_table(
        ("ID", "STATUS", "SITE", "NAME", "RUNS", "LAST REPORT", "TOOK"), rows, "There is no heartbeat; `tocsin heartbeats add` makes one."
    )


def _as_json(one: Heartbeat, site: str) -> dict[str, object]:
    """A heartbeat in the words of the API."""
    return {
        "id": one.id,
        "site": site,
        "name": one.name,
        "status": one.status.value,
        "period_seconds": None if one.schedule.period is None else one.schedule.period // SECOND,
        "cron": one.schedule.cron,
        "time_zone": one.schedule.time_zone,
        "grace_seconds": one.grace // SECOND,
        "longest_run_seconds": None if one.longest_run is None else one.longest_run // SECOND,
        "severity": one.severity,
        "expected_at": to_text_or_none(one.expected_at),
        "last_ping_at": to_text_or_none(one.last_ping_at),
        "last_run_ms": one.last_took,
    }

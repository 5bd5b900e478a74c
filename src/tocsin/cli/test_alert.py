"""`tocsin test-alert`: the whole way from an event to the phone, and who got it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tocsin.alerts.model import Alert
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, server_runs, wanted_contacts
from tocsin.cli.alerts import alert_as_json
from tocsin.cli.contacts import all_contacts, not_taken_up
from tocsin.cli.output import say, show, show_json
from tocsin.cli.start import Start, actor, opened
from tocsin.core.clock import monotonic
from tocsin.core.severity import Severity
from tocsin.db import tables

PAUSE = 0.1
GOOD = ("sent", "delivered")
OVER = (*GOOD, "failed", "unknown", "cancelled")


@dataclass(frozen=True)
class Sent:
    """What became of the message to one contact."""

    contact: str
    status: str
    error: str | None

    @property
    def is_good(self) -> bool:
        """Whether its provider has it."""
        return self.status in GOOD

    @property
    def is_settled(self) -> bool:
        """Whether it is known how it ended, for this attempt at least: a failure may be tried again for a long time."""
        return self.status in OVER or self.error is not None


def run(start: Start, severity: int, site: str, seconds: int, *, as_json: bool) -> int:
    """Opens the alert, waits for its messages, tells; 0 if everybody got it. Raises `NotFound` for an unknown site."""
    with opened(start, make=True) as core:
        core.sites.get(site)
        alert = core.writer.call(core.actions.test_alert(Severity(severity), site, Who(actor())))
        running = server_runs(core.settings.data_dir)
        # With PostgreSQL a server on another machine may send it, so it is waited for all the same.
        may_be_sent = running or not core.database.is_sqlite
        found = _wait(core, alert, seconds if may_be_sent else 0)
        with core.database.read() as connection:
            later = not_taken_up(all_contacts(connection), wanted_contacts(core.settings))
    good = bool(found) and all(message.is_good for message in found)
    if as_json:
        show_json({"alert": alert_as_json(alert, site), "server_runs": running, "notifications": [_as_json(one) for one in found]})
    else:
        _tell(alert, found, running=may_be_sent, seconds=seconds)
        for kind, target in later:
            say(f"{kind} {target} is in the settings, and was not told: `tocsin serve` takes it up at its next start with them.")
    return 0 if good or (seconds == 0 and running and found) else 1


def _wait(core: Core, alert: Alert, seconds: int) -> Sequence[Sent]:
    until = monotonic() + seconds
    found = _messages(core, alert)
    while found and not all(message.is_settled for message in found) and monotonic() < until:
        time.sleep(PAUSE)
        found = _messages(core, alert)
    return found


def _messages(core: Core, alert: Alert) -> Sequence[Sent]:
    outbox, contacts = tables.outbox, tables.contacts
    query = (
        sa.select(outbox.c.status, outbox.c.last_error, outbox.c.contact_id, contacts.c.kind, contacts.c.target)
        .select_from(outbox.outerjoin(contacts, outbox.c.contact_id == contacts.c.id))
        .where(outbox.c.alert_number == alert.number)
        .order_by(outbox.c.id)
    )
    with core.database.read() as connection:
        rows = connection.execute(query).all()
    return [Sent(f"{r.kind} {r.target}" if r.kind else r.contact_id, r.status, r.last_error) for r in rows]


def _tell(alert: Alert, found: Sequence[Sent], *, running: bool, seconds: int) -> None:
    show(f"Test alert {alert.number} is open (severity {alert.severity}, {Severity(alert.severity).word}).")
    for message in found:
        show(f"  {message.contact}: {_in_words(message, seconds)}")
    if not found:
        say(_nobody(alert))
    elif not running:
        say("No server runs on this data folder, so nothing is sent yet. Start one: tocsin serve. It will send this.")
    elif not all(message.is_good for message in found):
        say("Not everybody got it. `tocsin doctor` checks each contact and says what to do.")
    else:
        everybody = "The one contact" if len(found) == 1 else f"All {len(found)} contacts"
        say(f"{everybody} got it. Resolve it: tocsin alerts resolve {alert.number}")


def _nobody(alert: Alert) -> str:
    if alert.severity <= Severity.INFO:
        return "Nobody is told at severity 1: it is recorded only. Try --severity 4."
    return "There is nobody to tell. Set NTFY_SERVER_URL or NOTIFICATION_EMAIL, and start `tocsin serve` again."


def _in_words(message: Sent, seconds: int) -> str:
    if message.is_good:
        return "got it"
    if message.status == "unknown":
        return f"nobody knows whether it arrived: {message.error}"
    if message.error is not None:
        again = " (it is tried again)" if message.status == "pending" else ""
        return f"did not get it: {message.error}{again}"
    return f"nothing after {seconds} s: the message is {message.status}" if seconds else f"the message is {message.status}"


def _as_json(message: Sent) -> dict[str, object]:
    return {"contact": message.contact, "status": message.status, "error": message.error}

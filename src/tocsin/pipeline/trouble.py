"""Tocsin's own troubles, as events like any other: they open alerts, and resolve them when they are over."""

import msgspec

from tocsin.core.clock import Clock
from tocsin.core.text import cut
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.notify.model import CHANNEL_FAILED, Contact, about
from tocsin.pipeline.ingest import Batch, Ingest

SITE = "main"


class ChannelTrouble:
    """Reports that a contact cannot be written to; the alert reaches people through their other contacts."""

    def __init__(self, ingest: Ingest, clock: Clock) -> None:
        self._ingest, self._clock = ingest, clock

    def channel_failed(self, tx: Tx, contact: Contact, error: str) -> None:
        """Opens an alert of severity 4 about *contact*."""
        title = cut(f"{contact.kind} {contact.target} cannot be written to", 200)
        self._report(tx, contact, "problem", title, cut(error, 4000))

    def channel_recovered(self, tx: Tx, contact: Contact) -> None:
        """Resolves it."""
        self._report(tx, contact, "recovery", cut(f"{contact.kind} {contact.target} can be written to again", 200), None)

    def _report(self, tx: Tx, contact: Contact, status: str, title: str, message: str | None) -> None:
        event = EventInput(type=CHANNEL_FAILED, severity=4, title=title, message=message, subject=about(contact))
        event = msgspec.structs.replace(event, status=status)
        self._ingest.take(tx, [Batch([Incoming(event, SITE, self._clock.now())], None, None)])

"""Tocsin's own troubles, as events like any other: they open alerts, and resolve them when they are over."""

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import Clock
from tocsin.core.text import cut
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.metrics.model import SERIES_LIMIT
from tocsin.notify.model import CHANNEL_FAILED, Contact, about
from tocsin.notify.spending import Level, Standing, in_money
from tocsin.pipeline.ingest import Batch, Ingest

SITE = "main"
SPEND_LIMIT = "tocsin.spend_limit"


class SpendTrouble:
    """Reports that the month's limit for texts and calls is nearly used, or is used up; and when a new month begins."""

    def __init__(self, ingest: Ingest, clock: Clock) -> None:
        self._ingest, self._clock = ingest, clock

    def report(self, tx: Tx, standing: Standing, level: Level) -> None:
        """Opens an alert of severity 3, which rises to 4 once nothing is sent any more; or resolves it."""
        limit, spent = in_money(standing.limit or 0), in_money(standing.spent)
        titles = {
            Level.NEAR: f"Texts and calls have used {int(Level.NEAR)} % of their spend limit for {standing.month}",
            Level.REACHED: f"Texts and calls have used up their spend limit for {standing.month}: push and mail only",
            Level.FINE: f"Texts and calls may be sent again: it is {standing.month}",
        }
        event = EventInput(
            type=SPEND_LIMIT,
            severity=4 if level is Level.REACHED else 3,
            status="recovery" if level is Level.FINE else "problem",
            title=titles[level],
            message=f"{spent} of {limit} spent. Raise TOCSIN_SPEND_LIMIT, or look for what sends so much.",
            subject="spending",
        )
        self._ingest.take(tx, [Batch([Incoming(event, SITE, self._clock.now())], None, None)])


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


class SeriesTrouble:
    """Reports once that a site has as many series of metrics as it may have, and once that it has room again.

    What was said stands in the settings' table, in the transaction that says it.
    """

    def __init__(self, ingest: Ingest, slug_of: Callable[[int], str]) -> None:
        self._ingest, self._slug_of = ingest, slug_of

    def is_full(self, tx: Tx, site_id: int, limit: int, now: int) -> None:
        """Opens an alert of severity 3."""
        if self._is_said(tx, site_id):
            return
        tx.sql.execute(tables.settings.insert().values(name=_said(site_id), value=str(now)))
        title = f"The site has {limit} series of metrics, as many as it may: new ones are not stored"
        message = (
            "Known series go on. Most often a label changes with every request or process: take it out where it is sent. "
            "If so many things are really measured, raise TOCSIN_SERIES_LIMIT."
        )
        self._report(tx, site_id, EventInput(type=SERIES_LIMIT, severity=3, title=title, message=message), now)

    def has_room(self, tx: Tx, site_id: int, limit: int, now: int) -> None:
        """Resolves it."""
        if not self._is_said(tx, site_id):
            return
        tx.sql.execute(tables.settings.delete().where(tables.settings.c.name == _said(site_id)))
        title = f"The site has room for new series of metrics again; it may have {limit}"
        self._report(tx, site_id, EventInput(type=SERIES_LIMIT, severity=3, status="recovery", title=title), now)

    def _is_said(self, tx: Tx, site_id: int) -> bool:
        query = sa.select(tables.settings.c.value).where(tables.settings.c.name == _said(site_id))
        return tx.sql.execute(query).scalar_one_or_none() is not None

    def _report(self, tx: Tx, site_id: int, event: EventInput, now: int) -> None:
        self._ingest.take(tx, [Batch([Incoming(event, self._slug_of(site_id), now)], None, None)])


def _said(site_id: int) -> str:
    return f"series_limit_said:{site_id}"

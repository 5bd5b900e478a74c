"""What was handed over to providers of texts and calls: what it costs, and how far it came. One row for each attempt.

A row is written, and counted towards the month's limit, before anything leaves; when it turns out that nothing was handed
over, it is void. What a provider says later may come before our own note of the hand-over, repeatedly, and out of order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import MINUTE, SECOND
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.notify import spending
from tocsin.notify.model import Contact, Outcome, Result
from tocsin.notify.providers.model import Receipt, Stage, later
from tocsin.notify.spending import Level, Standing

RECEIPT_WITHIN = MINUTE
LOOK_AGAIN = 5 * SECOND
REPORTED = "spend_reported"
_TABLE = tables.handovers

Report = Callable[[Tx, Standing, Level], None]


class Handover(msgspec.Struct, frozen=True):
    """One attempt. ``due_at``: when to look whether a receipt has come. Field order is the table's column order."""

    outbox_id: str
    fence: int
    contact_id: str
    kind: str
    provider: str | None
    provider_id: str | None
    stage: str
    cost: int
    created_at: int
    due_at: int | None
    elsewhere: bool
    error: str | None


class Till:
    """Keeps the account. ``hears``: providers can reach us, so that receipts are to be expected."""

    def __init__(self, limit: int | None, *, hears: bool, report: Report) -> None:
        self._limit, self._hears, self._report = limit, hears, report

    def reserve(self, tx: Tx, message_id: str, fence: int, contact: Contact, price: int, now: int) -> str | None:
        """Notes that something for *price* is about to leave; or says in a sentence why it must not."""
        if not tx.is_sqlite:
            tx.sql.execute(sa.text("SELECT pg_advisory_xact_lock(7462)"))  # two that look at the same time would both fit
        standing = self.standing(tx.sql, now)
        level = spending.level(standing, price)
        self._tell(tx, standing, level)
        if level is Level.REACHED:
            return spending.why_not(standing)
        row = Handover(
            message_id, fence, contact.id, contact.kind, None, None, Stage.RESERVED, price, now, None, elsewhere=True, error=None
        )
        tx.sql.execute(_TABLE.insert().values(msgspec.structs.asdict(row)))
        return None

    def standing(self, connection: sa.Connection, now: int) -> Standing:
        """The month of *now*."""
        begins = spending.month_begins(now)
        spent = connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(_TABLE.c.cost), 0)).where(_TABLE.c.created_at >= begins)
        ).scalar_one()
        return Standing(spending.month_of(now), int(spent), self._limit)

    def turn_month(self, tx: Tx, now: int) -> None:
        """A new month: what was said about the old one is over."""
        if self._limit is not None:
            standing = self.standing(tx.sql, now)
            self._tell(tx, standing, spending.level(standing, 0))

    def _tell(self, tx: Tx, standing: Standing, level: Level) -> None:
        """Reports each level once a month, and a new month after a month that was reported."""
        month, told = _reported(tx)
        if month != standing.month and told is not Level.FINE and level is Level.FINE:
            self._note(tx, standing, Level.FINE)
        elif level > (told if month == standing.month else Level.FINE):
            self._note(tx, standing, level)

    def _note(self, tx: Tx, standing: Standing, level: Level) -> None:
        self._report(tx, standing, level)
        table, value = tables.settings, f"{standing.month} {int(level)}"
        if tx.sql.execute(table.update().where(table.c.name == REPORTED).values(value=value)).rowcount == 0:
            tx.sql.execute(table.insert().values(name=REPORTED, value=value))

    def settle(self, tx: Tx, message_id: str, fence: int, outcome: Outcome, now: int) -> None:
        """Notes how the attempt ended. A receipt may have been quicker."""
        found = _one(tx, _TABLE.c.outbox_id == message_id, _TABLE.c.fence == fence)
        if found is None:
            return
        if outcome.result is Result.SENT:
            provider, _, provider_id = (outcome.receipt or "").partition(" ")
            stage = later(Stage(found.stage), Stage.SENT)
            due_at = now if stage is not Stage.SENT else found.created_at + RECEIPT_WITHIN
            _put(tx, found, provider=provider, provider_id=provider_id or None, stage=stage.value, due_at=due_at if self._hears else None)
        elif outcome.result is Result.UNKNOWN or found.stage != Stage.RESERVED:
            _put(tx, found, due_at=None if found.stage == Stage.RESERVED else now)
        else:
            _put(tx, found, stage=Stage.VOID.value, cost=0)

    def take(self, tx: Tx, message_id: str, provider: str, receipt: Receipt, now: int) -> Handover | None:
        """Notes what *provider* says, and answers the attempt as it then is; None if it is none of ours."""
        found = self._attempt(tx, message_id, provider, receipt.provider_id)
        if found is None:
            return None
        stage = later(Stage(found.stage), receipt.stage)
        is_news = stage is not Stage(found.stage)
        return _put(
            tx,
            found,
            provider=provider,
            provider_id=receipt.provider_id,
            stage=stage.value,
            cost=found.cost if receipt.cost is None else receipt.cost,
            elsewhere=receipt.elsewhere if is_news else found.elsewhere,
            error=receipt.error if is_news else found.error,
            due_at=now + LOOK_AGAIN if is_news and found.provider_id is None else found.due_at,
        )

    def _attempt(self, tx: Tx, message_id: str, provider: str, provider_id: str) -> Handover | None:
        """The attempt with the provider's own id; else the newest of the message that has none yet: the receipt was quicker."""
        known = _one(tx, _TABLE.c.provider == provider, _TABLE.c.provider_id == provider_id)
        if known is not None:
            return known if known.outbox_id == message_id else None
        return _one(tx, _TABLE.c.outbox_id == message_id, _TABLE.c.provider_id.is_(None), _TABLE.c.stage != Stage.VOID.value)


def due(tx: Tx, now: int, limit: int) -> list[Handover]:
    """Attempts that are to be looked at now."""
    query = sa.select(_TABLE).where(_TABLE.c.due_at <= now).order_by(_TABLE.c.due_at).limit(limit)
    return [Handover(*row) for row in tx.sql.execute(query)]


def of_message(tx: Tx, message_id: str) -> list[Handover]:
    """All attempts of one message, the oldest first, without those that came to nothing."""
    query = sa.select(_TABLE).where(_TABLE.c.outbox_id == message_id, _TABLE.c.stage != Stage.VOID.value)
    return [Handover(*row) for row in tx.sql.execute(query.order_by(_TABLE.c.fence))]


def look_at(tx: Tx, handover: Handover, due_at: int | None) -> None:
    """When it is to be looked at next."""
    _put(tx, handover, due_at=due_at)


def _one(tx: Tx, *where: sa.ColumnElement[bool]) -> Handover | None:
    row = tx.sql.execute(sa.select(_TABLE).where(*where).order_by(_TABLE.c.fence.desc()).limit(1)).first()
    return None if row is None else Handover(*row)


def _put(tx: Tx, handover: Handover, **values: Any) -> Handover:
    where = (_TABLE.c.outbox_id == handover.outbox_id, _TABLE.c.fence == handover.fence)
    tx.sql.execute(_TABLE.update().where(*where).values(values))
    return msgspec.structs.replace(handover, **values)


def _reported(tx: Tx) -> tuple[str, Level]:
    """The month that was reported about last, and what."""
    table = tables.settings
    text = tx.sql.execute(sa.select(table.c.value).where(table.c.name == REPORTED)).scalar_one_or_none() or ""
    month, _, number = text.partition(" ")
    return month, Level(int(number)) if number else Level.FINE


def providers_used(attempts: Sequence[Handover]) -> set[str]:
    """Who had the message."""
    return {attempt.provider for attempt in attempts if attempt.provider is not None}

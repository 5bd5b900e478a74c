"""Messages about no alert: somebody comes on duty, a silence is about to end. They share the outbox, and all its promises, with the others.

A notice is carried as if it were a quiet alert whose number is negative: what sends, bundles, retries and records messages
need not know the difference, and no alert can be meant by it.
"""

from collections.abc import Collection

import sqlalchemy as sa

from tocsin.alerts import store as alert_store
from tocsin.alerts.model import Alert, Status
from tocsin.core.ids import new_id
from tocsin.core.severity import Severity
from tocsin.db import tables
from tocsin.db.writer import Tx

TYPE = "tocsin.notice"


def add(tx: Tx, site_id: int, title: str, text: str, expires_at: int | None, now: int) -> Alert:
    """Stores a notice and answers it in the shape in which it is sent. After *expires_at* it is not sent any more."""
    notice_id = new_id(now)
    values = {"id": notice_id, "site_id": site_id, "title": title, "text": text, "created_at": now, "expires_at": expires_at}
    table = tables.notices
    number = tx.sql.execute(table.insert().values(values).returning(table.c.number)).scalar_one()
    return _as_alert(number, notice_id, site_id, title, text, now, expired=False)


def unstored(title: str, text: str, now: int) -> Alert:
    """A notice that stands in no outbox: it is sent at once and forgotten."""
    return _as_alert(0, new_id(now), 0, title, text, now, expired=False)


def subjects(tx: Tx, numbers: Collection[int], now: int) -> dict[int, Alert]:
    """What messages are about, by the number that they carry: alerts, and notices in the shape of alerts."""
    found = alert_store.by_numbers(tx, {number for number in numbers if number > 0})
    wanted = [-number for number in numbers if number < 0]
    if wanted:
        for row in tx.sql.execute(sa.select(tables.notices).where(tables.notices.c.number.in_(wanted))):
            expired = row.expires_at is not None and row.expires_at <= now
            found[-row.number] = _as_alert(row.number, row.id, row.site_id, row.title, row.text, row.created_at, expired=expired)
    return found


def _as_alert(number: int, notice_id: str, site_id: int, title: str, text: str, at: int, *, expired: bool) -> Alert:
    return Alert(
        number=-number,
        id=notice_id,
        site_id=site_id,
        dedup_key="",
        type=TYPE,
        title=title,
        message=text,
        subject=None,
        host=None,
        severity=Severity.LOW,
        status=Status.RESOLVED.value if expired else Status.OPEN.value,
        occurrences=1,
        generation=1,
        first_seen_at=at,
        last_seen_at=at,
    )

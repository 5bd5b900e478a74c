"""Removes what is too old to keep, a little at a time."""

from tocsin.checks import store as checks
from tocsin.core.clock import DAY
from tocsin.db.writer import Tx
from tocsin.events import counts
from tocsin.identity import logins

KEEP_QUARANTINE = 30 * DAY
KEEP_HANDOVERS = 120 * DAY
KEEP_CODES = DAY  # long enough that a new one cannot be had by waiting for the row to go
MAX_QUARANTINE = 10_000


def run(tx: Tx, now: int) -> None:
    """Quarantine: 30 days and 10,000 members at most. Counts of events, hand-overs, answers of telephones: 120 days. Logins and
    codes of contacts: when they are over. What checks found: see there.
    """
    counts.tidy(tx, now)
    logins.tidy(tx, now)
    checks.tidy(tx, now)
    mark = "?" if tx.is_sqlite else "%s"
    tx.driver.execute(f"DELETE FROM quarantine WHERE received_at < {mark}", (now - KEEP_QUARANTINE,))  # noqa: S608 - a mark
    tx.driver.execute(
        f"DELETE FROM quarantine WHERE id <= (SELECT id FROM quarantine ORDER BY id DESC LIMIT 1 OFFSET {mark})",  # noqa: S608 - a mark
        (MAX_QUARANTINE,),
    )
    tx.driver.execute(f"DELETE FROM handovers WHERE created_at < {mark}", (now - KEEP_HANDOVERS,))  # noqa: S608 - a mark
    tx.driver.execute(f"DELETE FROM phone_replies WHERE at < {mark}", (now - KEEP_HANDOVERS,))  # noqa: S608 - a mark
    tx.driver.execute(f"DELETE FROM contact_codes WHERE counted_from < {mark}", (now - KEEP_CODES,))  # noqa: S608 - a mark

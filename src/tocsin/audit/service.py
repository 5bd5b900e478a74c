"""Recording: the one function for what was done, and the notebook for what was refused."""

from typing import Any

from tocsin.audit import rules, store
from tocsin.audit.model import Who
from tocsin.db.writer import Tx


def record(
    tx: Tx, who: Who, action: str, thing: str, now: int, *, before: object = None, after: object = None, site_id: int | None = None
) -> None:
    """Notes in the audit log that *who* did *action* (``key.made``) to *thing* (``key:0190...``).

    It is written with the transaction *tx*, as its last act, or not at all. *before* and *after* are what changed, as
    anything that can be written as JSON: secrets are masked by the names of their fields and by their looks.
    """
    tx.at_end(store.append, rules.deed(now, who.name, who.address, action, thing, site_id, before, after))


def record_change(
    tx: Tx, who: Who, action: str, thing: str, now: int, *, before: dict[str, Any], after: dict[str, Any], site_id: int | None = None
) -> None:
    """The same with only what differs between two states; nothing is written if nothing does."""
    old, new = rules.changes(before, after)
    if old or new:
        record(tx, who, action, thing, now, before=old, after=new, site_id=site_id)

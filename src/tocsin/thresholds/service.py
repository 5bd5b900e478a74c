"""Making, changing and removing thresholds: checked, stored and audited in one transaction."""

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core import editions
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.db.writer import Tx
from tocsin.thresholds import rules, store
from tocsin.thresholds.model import DEFAULT, Threshold

MOST = 2_000
Sites = Collection[int] | None  # those that the caller may see; None: all


def make(tx: Tx, who: Who, wanted: Threshold, now: int) -> Threshold:
    """A new threshold. Raises `InvalidInput`, and `Conflict` if there is one for the very same, or there are too many."""
    _check(wanted)
    store.hold(tx)
    there = store.every(tx.sql)
    if len(there) >= MOST:
        raise Conflict(f"there are {MOST} thresholds already; remove some that are no longer needed")
    for other in there:
        if rules.is_about_the_same(other, wanted):
            raise Conflict(f"there is already a threshold for this, {other.id}: change that one")
    store.add(tx, wanted)
    audit.record(tx, who, "threshold.made", thing(wanted), now, after=wanted, site_id=wanted.site_id)
    return wanted


def change(tx: Tx, who: Who, threshold_id: str, wanted: dict[str, Any], now: int, seen: str | None = None) -> Threshold:
    """Changes the fields that *wanted* names. *seen*: the edition that it was made from, if that matters.

    Raises `NotFound`, `InvalidInput`, `Conflict`, and `Overtaken`.
    """
    old = find(tx.sql, threshold_id, lock=True)
    editions.expect(seen, editions.edition(old), "threshold")
    new = msgspec.structs.replace(old, **wanted, updated_at=now)
    _check(new)
    store.replace(tx, new, (*wanted, "updated_at"))
    before = {name: getattr(old, name) for name in wanted}
    audit.record_change(tx, who, "threshold.changed", thing(old), now, before=before, after=wanted, site_id=old.site_id)
    return new


def remove(tx: Tx, who: Who, threshold_id: str, now: int) -> Threshold:
    """Takes one away; answers what it was. Raises `NotFound`, `Conflict`."""
    old = find(tx.sql, threshold_id, lock=True)
    store.remove(tx, old.id)
    audit.record(tx, who, "threshold.removed", thing(old), now, before=old, site_id=old.site_id)
    return old


def find(connection: sa.Connection, threshold_id: str, sites: Sites = None, *, lock: bool = False) -> Threshold:
    """One that people have made and the caller may see. Raises `NotFound`, and `Conflict` for one that the settings make."""
    if threshold_id.startswith(DEFAULT):
        text = "this threshold comes from the settings: change the setting, or make one of your own for the metric, which then holds"
        raise Conflict(text)
    found = store.find(connection, threshold_id, lock=lock)
    if not sees(found, sites):
        raise NotFound(f"there is no threshold {threshold_id[:40]}")
    return found


def sees(threshold: Threshold, sites: Sites) -> bool:
    """Whether one who may see *sites* may see *threshold*: what is about every site is also about theirs."""
    return sites is None or threshold.site_id is None or threshold.site_id in sites


def thing(threshold: Threshold) -> str:
    """How the audit log names it."""
    return f"threshold:{threshold.id}"


def _check(threshold: Threshold) -> None:
    found = rules.faults(threshold)
    if found:
        raise InvalidInput(found)

"""Making, changing and ending silences, maintenance windows and dependencies: checked, stored and audited in one transaction."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core import editions
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import is_uuid, new_id
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.muting import rules, store
from tocsin.muting.matching import Conditions
from tocsin.muting.model import Dependency, Labels, Maintenance, Silence, Standing, Work
from tocsin.muting.store import Kept

Ending = TypeVar("Ending", Silence, Maintenance)
Sites = Collection[str] | None  # those that the caller may see; None: all

MOST: dict[type, int] = {Silence: 1_000, Maintenance: 500, Dependency: 100}
_PLURAL: dict[type, str] = {Silence: "silences", Maintenance: "maintenance windows", Dependency: "dependencies"}
CHUNK = 500


def ship(tx: Tx, now: int) -> None:
    """Once in the life of an installation: the dependency that it begins with. One that was removed stays away."""
    if store.note_shipped(tx, now):
        store.add(tx, rules.shipped(new_id(now), now))


def add(tx: Tx, who: Who, kept: Kept, now: int, sites: Sites = None) -> Kept:
    """Makes *kept*. Raises `InvalidInput`, and `Conflict` if there are too many."""
    _check(tx, kept, now, sites)
    kind, most = type(kept), MOST[type(kept)]
    if store.count_unended(tx.sql, kind, now) >= most:
        raise Conflict(f"there are {most} {_PLURAL[kind]} already; end or remove some that are no longer needed")
    store.add(tx, kept)
    audit.record(tx, who, f"{store.NAMES[kind]}.made", thing(kept), now, after=kept)
    return kept


def change(
    tx: Tx, who: Who, kind: type[Kept], kept_id: str, wanted: dict[str, Any], now: int, sites: Sites = None, edition: str | None = None
) -> Kept:
    """Changes the fields that *wanted* names. *edition*: the one that the change was made from, if that matters.

    Raises `NotFound`, `InvalidInput`, `Conflict` for what is over, and `Overtaken`.
    """
    old = find(tx.sql, kind, kept_id, sites, lock=True)
    editions.expect(edition, rules.edition(old), store.NAMES[kind])
    if not isinstance(old, Dependency) and rules.status_of(old, now) is Standing.EXPIRED:
        raise Conflict(f"this {store.NAMES[kind]} is over; make a new one")
    new = msgspec.structs.replace(old, **wanted)
    _check(tx, new, now, sites)
    store.replace(tx, new, tuple(wanted))
    before, after = msgspec.structs.asdict(old), msgspec.structs.asdict(new)
    audit.record_change(tx, who, f"{store.NAMES[kind]}.changed", thing(new), now, before=before, after=after)
    return new


def end(tx: Tx, who: Who, kind: type[Ending], kept_id: str, now: int, sites: Sites = None) -> Ending:
    """Ends a silence, or all of a maintenance, now; what is over already stays as it is. Raises `NotFound`."""
    old = find(tx.sql, kind, kept_id, sites, lock=True)
    if rules.status_of(old, now) is Standing.EXPIRED:
        return old
    if isinstance(old, Silence):
        wanted: dict[str, Any] = {"starts_at": min(old.starts_at, now), "ends_at": now, "ended_by": who.name}
    else:
        wanted = {"ended_at": now, "ended_by": who.name}
    new = msgspec.structs.replace(old, **wanted)
    store.replace(tx, new, tuple(wanted))
    audit.record(tx, who, f"{store.NAMES[kind]}.ended", thing(new), now, after={"at": to_text(now)})
    return new


def remove(tx: Tx, who: Who, kind: type[Kept], kept_id: str, now: int, sites: Sites = None) -> None:
    """Takes one away; what it kept quiet pages. Raises `NotFound`."""
    old = find(tx.sql, kind, kept_id, sites, lock=True)
    store.remove(tx, kind, old.id)
    audit.record(tx, who, f"{store.NAMES[kind]}.removed", thing(old), now, before=old)


def _check(tx: Tx, kept: Silence | Maintenance | Dependency, now: int, sites: Sites) -> None:
    match kept:
        case Silence():
            rules.check_silence(kept, now)
        case Maintenance():
            rules.check_maintenance(kept, now)
        case Dependency():
            store.hold_dependencies(tx)
            rules.check_dependency(kept, store.every(tx.sql, Dependency))
    if sites is not None and not isinstance(kept, Dependency):
        rules.expect_site(kept.matchers, sites, "matchers")


def find(connection: sa.Connection, kind: type[Kept], kept_id: str, sites: Sites = None, *, lock: bool = False) -> Kept:
    """One by its id. Raises `NotFound` also for what is of a site that the caller may not see."""
    kept_id = kept_id.lower()
    kept = store.get(connection, kind, kept_id, lock=lock) if is_uuid(kept_id) else None
    if kept is None or not sees(kept, sites):
        raise NotFound(f"there is no {store.NAMES[kind]} {kept_id[:40]}")
    return kept


def sees(kept: Silence | Maintenance | Dependency, sites: Sites) -> bool:
    """Whether one who may see *sites* may see *kept*: only what names one of them."""
    return sites is None or (not isinstance(kept, Dependency) and rules.pinned_site(kept.matchers) in sites)


def work_on(connection: sa.Connection, labels: Labels, start: int, end: int) -> list[Work]:
    """The planned work from *start* up to *end* (ms) that an alert with these *labels* would have been quiet in, in order of time.

    A maintenance that this release cannot use kept nothing quiet, and is left out.
    """
    found = []
    for maintenance in store.every(connection, Maintenance):
        try:
            holds = Conditions(maintenance.matchers).holds(labels)
        except InvalidInput:
            continue
        if holds:
            found += [Work(maintenance.name, window) for window in rules.between(maintenance, start, end)]
    return sorted(found, key=lambda work: work.window.starts_at)


def page(
    connection: sa.Connection, kind: type[Kept], wanted: Callable[[Kept], bool], after: str | None, limit: int, *, unended_at: int | None
) -> list[Kept]:
    """Up to *limit* of those that are *wanted*, the newest first. *unended_at*: leave out what is over at this moment."""
    found: list[Kept] = []
    for kept in _walk(connection, kind, after, unended_at):
        if wanted(kept):
            found.append(kept)
            if len(found) == limit:
                break
    return found


def _walk(connection: sa.Connection, kind: type[Kept], after: str | None, unended_at: int | None) -> Iterator[Kept]:
    while True:
        chunk = store.chunk(connection, kind, after, CHUNK, unended_at)
        yield from chunk
        if len(chunk) < CHUNK:
            return
        after = chunk[-1].id


def thing(kept: Silence | Maintenance | Dependency) -> str:
    """How the audit log names it."""
    return f"{store.NAMES[type(kept)]}:{kept.id}"

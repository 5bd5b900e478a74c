"""What is in quarantine, tried once more: as it came, or as somebody has mended it."""

from collections.abc import Callable

import msgspec

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.db.writer import Tx
from tocsin.events import queries, store
from tocsin.events.decode import decode
from tocsin.events.model import Incoming, Rejected
from tocsin.pipeline.ingest import Batch, Ingest

SlugOf = Callable[[int], str]


def try_again(
    ingest: Ingest, slug_of: SlugOf, entry_id: str, payload: str | None, who: Who, site_ids: frozenset[int] | None, now: int
) -> Callable[[Tx], list[str | None]]:
    """The work of taking an entry of the quarantine in, *payload* in its place if it was mended; the ids of its events.

    Raises `NotFound`, and `InvalidInput` with all that is still wrong; the entry then stays where it is.
    """

    def work(tx: Tx) -> list[str | None]:
        entry = queries.find_quarantined(tx.sql, entry_id, site_ids)
        if entry is None:
            raise NotFound(f"there is nothing in quarantine under {entry_id[:40]}")
        site = None if entry.site_id is None else slug_of(entry.site_id)
        text = entry.payload if payload is None else payload
        # Who may see some sites only cannot bring in events of another.
        decoded = decode(text.encode(), lines=False, site=None if site_ids is None else site, now=now)
        members = [_at_home(member, site) for member in decoded.members]
        wrong = [error for member in members if isinstance(member, Rejected) for error in member.errors]
        if wrong:
            raise InvalidInput(tuple(wrong))
        (taken,) = ingest.take(tx, [Batch(members, site, entry.key_id)])
        store.release(tx, entry_id)
        audit.record(tx, who, "quarantine.taken", f"quarantine:{entry_id}", now, after={"events": taken.accepted}, site_id=entry.site_id)
        return taken.ids

    return work


def _at_home(member: Incoming | Rejected, site: str | None) -> Incoming | Rejected:
    """An event that names no site is one of the site whose key brought it."""
    if isinstance(member, Incoming) and member.input.site is None and site is not None:
        return msgspec.structs.replace(member, site=site)
    return member


def throw_away(entry_id: str, who: Who, site_ids: frozenset[int] | None, now: int) -> Callable[[Tx], None]:
    """The work of dropping an entry. Raises `NotFound`."""

    def work(tx: Tx) -> None:
        entry = queries.find_quarantined(tx.sql, entry_id, site_ids)
        if entry is None:
            raise NotFound(f"there is nothing in quarantine under {entry_id[:40]}")
        store.release(tx, entry_id)
        audit.record(tx, who, "quarantine.dropped", f"quarantine:{entry_id}", now, site_id=entry.site_id)

    return work

"""The events' SQL: the log itself, quarantine, and each source's numbering."""

from collections.abc import Iterable, Sequence

import msgspec

from tocsin.core.ids import new_ids
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.events.model import Event, Gap, Rejected, Sequence as Numbering

COLUMNS = (
    "id",
    "site_id",
    "type",
    "occurred_at",
    "received_at",
    "severity",
    "status",
    "title",
    "message",
    "subject",
    "host",
    "attributes",
    "dedup_key",
    "source",
    "sequence",
    "alert_number",
)
_QUARANTINE = ("id", "received_at", "site_id", "key_id", "errors", "payload")
_SEQUENCE = ("site_id", "source", "first_sequence", "last_sequence", "received", "replayed", "missing", "gaps", "skew_ms", "last_seen_at")
MAX_PAYLOAD = 64 * 1024


def known_ids(tx: Tx, ids: Iterable[str]) -> set[str]:
    """Those of *ids* that are stored already."""
    return {row[0] for row in bulk.fetch(tx, tables.events, ("id",), "id", ids)}


def row_of(event: Event, received_at: int, alert_number: int | None) -> tuple[object, ...]:
    """An event as a row of `COLUMNS`."""
    return (
        event.id,
        event.site_id,
        event.type,
        event.occurred_at,
        received_at,
        event.severity,
        event.status,
        event.title,
        event.message,
        event.subject,
        event.host,
        event.attributes,
        event.dedup_key,
        event.source,
        event.sequence,
        alert_number,
    )


def add(tx: Tx, rows: Sequence[tuple[object, ...]]) -> None:
    """Appends rows of `COLUMNS`. A known id raises the driver's IntegrityError."""
    bulk.insert(tx, tables.events, COLUMNS, rows)


def quarantine(tx: Tx, rejected: Sequence[Rejected], site_id: int | None, key_id: str | None, now: int) -> None:
    """Keeps what could not be taken, with the reasons."""
    rows = [
        (new_id, now, site_id, key_id, msgspec.json.encode(member.errors).decode(), _storable(member.payload))
        for new_id, member in zip(new_ids(now, len(rejected)), rejected, strict=True)
    ]
    bulk.insert(tx, tables.quarantine, _QUARANTINE, rows)


def release(tx: Tx, entry_id: str) -> None:
    """Takes an entry out of quarantine."""
    tx.sql.execute(tables.quarantine.delete().where(tables.quarantine.c.id == entry_id))


def _storable(payload: bytes) -> str:
    """Whatever came, as text that both databases store."""
    return payload[:MAX_PAYLOAD].decode(errors="backslashreplace").replace("\0", "\\x00")


def numberings(tx: Tx, site_id: int, sources: Iterable[str]) -> dict[str, Numbering]:
    """What is known of the numbering of these sources, by source."""
    rows = bulk.fetch(tx, tables.sequences, _SEQUENCE, "site_id = ? AND source", sources, parameters=(site_id,), lock=True)
    return {row[1]: Numbering(*(*row[:7], msgspec.json.decode(row[7], type=tuple[Gap, ...]), *row[8:])) for row in rows}


def save_numberings(tx: Tx, numberings: Iterable[Numbering]) -> None:
    """Writes what is now known of sources."""
    marks = ", ".join(["?" if tx.is_sqlite else "%s"] * len(_SEQUENCE))
    sets = ", ".join(f"{column} = excluded.{column}" for column in _SEQUENCE[2:])
    sql = f"INSERT INTO sequences({', '.join(_SEQUENCE)}) VALUES ({marks}) ON CONFLICT (site_id, source) DO UPDATE SET {sets}"  # noqa: S608
    for n in numberings:
        gaps = msgspec.json.encode(n.gaps).decode()
        values = (
            n.site_id,
            n.source,
            n.first_sequence,
            n.last_sequence,
            n.received,
            n.replayed,
            n.missing,
            gaps,
            n.skew_ms,
            n.last_seen_at,
        )
        tx.driver.execute(sql, values)

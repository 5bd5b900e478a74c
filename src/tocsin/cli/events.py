"""`tocsin events tail`: the newest events, and each that comes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from tocsin.bootstrap import Core
from tocsin.cli.output import say, show, show_json
from tocsin.cli.start import Start, opened
from tocsin.core.errors import InvalidInput
from tocsin.core.severity import Severity
from tocsin.core.text import one_line
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.events.rules import is_type

PAUSE = 0.5  # seconds between two looks
OVERLAP = 1_000  # on PostgreSQL a lower number may become visible after a higher one: so far back is looked again
AT_ONCE = 10_000

_Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True)
class Filter:
    """Which events are shown: of one site, of one type or (with a dot at its end) of all types below it."""

    site: str | None = None
    kind: str | None = None


def tail(start: Start, wanted: Filter, lines: int, *, follow: bool, as_json: bool) -> None:
    """Shows the last *lines* events and, if it is to *follow*, all that come after. Raises `NotFound`, `InvalidInput`."""
    if wanted.kind is not None and not is_type(wanted.kind.removesuffix(".")):
        raise InvalidInput.of(
            "type", f"{wanted.kind!r} is no event type. Example: invoice.payment_failed, or invoice. for all that begin so"
        )
    with opened(start) as core:
        query = _query(core, wanted)
        top = _top(core)
        rows = list(reversed(_read(core, query.order_by(tables.events.c.number.desc()).limit(lines))))
        _show(core, rows, as_json=as_json)
        if not rows and not follow:
            say("No event has come yet." if wanted == Filter() else "No such event has come yet.")
        if follow:
            _follow(core, query, top, as_json=as_json)


def _top(core: Core) -> int:
    with core.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(tables.events.c.number), 0))).scalar_one())


def _query(core: Core, wanted: Filter) -> sa.Select[tuple[object, ...]]:
    table = tables.events
    query: sa.Select[tuple[object, ...]] = sa.select(*table.c)
    if wanted.site is not None:
        query = query.where(table.c.site_id == core.sites.get(wanted.site).id)
    if wanted.kind is not None and wanted.kind.endswith("."):
        query = query.where(table.c.type.startswith(wanted.kind, autoescape=True))
    elif wanted.kind is not None:
        query = query.where(table.c.type == wanted.kind)
    return query


def _read(core: Core, query: sa.Select[tuple[object, ...]]) -> Sequence[_Row]:
    with core.database.read() as connection:
        return connection.execute(query).all()


def _follow(core: Core, query: sa.Select[tuple[object, ...]], top: int, *, as_json: bool) -> None:
    table = tables.events
    seen = {row.number for row in _read(core, query.where(table.c.number > top - OVERLAP, table.c.number <= top))}
    while True:
        time.sleep(PAUSE)
        rows = _read(core, query.where(table.c.number > top - OVERLAP).order_by(table.c.number).limit(AT_ONCE))
        fresh = [row for row in rows if row.number not in seen]
        if fresh:
            core.refresh()  # a new site may have come with them
            _show(core, fresh, as_json=as_json)
            top = max(top, fresh[-1].number)
            seen = {number for number in (*seen, *(row.number for row in fresh)) if number > top - OVERLAP}


def _show(core: Core, rows: Sequence[_Row], *, as_json: bool) -> None:
    for row in rows:
        site = core.sites.slug_of(row.site_id)
        if as_json:
            show_json(_as_json(row, site))
        else:
            alert = f"  alert {row.alert_number}" if row.alert_number else ""
            words = f"{Severity(row.severity).word:8}  {row.status:8}  {site}  {row.type}  {one_line(row.title)}{alert}"
            show(f"{to_text(row.occurred_at)}  {words}")


def _as_json(row: _Row, site: str) -> dict[str, object]:
    """An event in the words of the API."""
    attributes = msgspec.json.decode(row.attributes) if row.attributes else {}
    return {
        "id": row.id,
        "type": row.type,
        "site": site,
        "occurred_at": to_text(row.occurred_at),
        "received_at": to_text(row.received_at),
        "severity": row.severity,
        "status": row.status,
        "title": row.title,
        "message": row.message,
        "subject": row.subject,
        "host": row.host,
        "attributes": attributes,
        "dedup_key": row.dedup_key,
        "source": row.source,
        "sequence": row.sequence,
        "alert_number": row.alert_number,
    }

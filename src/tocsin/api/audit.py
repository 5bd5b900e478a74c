"""``/audit``: who did what, and what was refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.response import Stream
from msgspec import Meta

from tocsin.api.alerts import period
from tocsin.api.context import Given, TheCaller, TheServer
from tocsin.api.csv import csv_lines
from tocsin.api.fields import Cursor, Limit, Page, Since, Time, Until
from tocsin.api.paging import cut_page, read_cursor
from tocsin.audit import service as audit, store
from tocsin.audit.model import Entry
from tocsin.bootstrap import Server
from tocsin.core.times import to_text

CSV_PAGE = 500
CSV_COLUMNS = ("number", "at", "actor", "address", "action", "object", "site", "before", "after", "previous", "digest")

Word = Annotated[str, Meta(min_length=1, max_length=300, extra={"must": "have 1 to 300 characters"})]


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries."""

    actor: Annotated[Word, Meta(description="Who did it: `marta@example.com`, `key:grafana`, `cli:root`.")] | None = None
    action: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=100,
                pattern=r"^[a-z_]+(\.[a-z_]+)*\.?$",
                description="What was done, or with a `.` at its end all that begin so: `user.`",
                examples=["user."],
                extra={"must": "be an action such as key.made, or key. for all that begin so"},
            ),
        ]
        | None
    ) = None
    object: Annotated[Word, Meta(description="To what: `alert:12`, `user:0190...`.")] | None = None
    since: Since | None = None
    until: Until | None = None


class AuditQuery(AuditFilter, frozen=True, kw_only=True):
    """Which entries, and how many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class AuditEntryOut(msgspec.Struct, frozen=True):
    """One entry. ``digest`` is the SHA-256 over the digest before it and all of the rest."""

    number: int
    at: Time
    actor: str
    address: str | None
    action: str
    object: str
    site: str | None
    before: Annotated[msgspec.Raw | None, Meta(description="What it was; secrets are masked.")]
    after: Annotated[msgspec.Raw | None, Meta(description="What it became; secrets are masked.")]
    previous: str
    digest: str


class AuditPage(Page, frozen=True):
    """A page of the audit log."""

    items: list[AuditEntryOut]


class AuditApi(Controller):
    """The audit log."""

    tags = ("Audit",)

    @get("/audit", sync_to_thread=True)
    def list_audit(self, server: TheServer, asked: Given[AuditQuery]) -> AuditPage:
        """Lists what was done and what was refused, the newest first."""
        after = read_cursor(asked.cursor, "audit", (int,))
        with server.core.database.read() as connection:
            found = store.page(connection, read_filter(asked), after[0] if after else None, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "audit", lambda entry: (entry.number,))
        return AuditPage(cursor, [_out(server, entry) for entry in items])

    @get("/audit.csv", media_type="text/csv", opt={"produces": "text/csv"})
    async def export_audit(self, server: TheServer, caller: TheCaller, asked: Given[AuditFilter]) -> Stream:
        """Exports the audit log as CSV, the newest first, however long it is. That it was exported is noted in it."""
        wanted, now = read_filter(asked), server.core.clock.now()
        await server.core.writer.run(lambda tx: audit.record(tx, caller.who, "audit.exported", "audit", now, after=asked))
        first = await asyncio.to_thread(_page, server, wanted, None)
        headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        return Stream(_csv(server, wanted, first), media_type="text/csv; header=present", headers=headers)


def read_filter(asked: AuditFilter) -> store.Filter:
    """The query as the store asks for it."""
    since, until = period(asked.since, asked.until)
    return store.Filter(actor=asked.actor, action=asked.action, object=asked.object, since=since, until=until)


def _out(server: Server, entry: Entry) -> AuditEntryOut:
    return AuditEntryOut(
        entry.number,
        to_text(entry.at),
        entry.actor,
        entry.address,
        entry.action,
        entry.object,
        None if entry.site_id is None else server.core.sites.slug_of(entry.site_id),
        _raw(entry.before),
        _raw(entry.after),
        entry.previous,
        entry.digest,
    )


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())


async def _csv(server: Server, wanted: store.Filter, entries: list[Entry]) -> AsyncIterator[bytes]:
    yield csv_lines([CSV_COLUMNS])
    while entries:
        yield csv_lines([_row(server, entry) for entry in entries])
        if len(entries) < CSV_PAGE:
            return
        entries = await asyncio.to_thread(_page, server, wanted, entries[-1].number)


def _page(server: Server, wanted: store.Filter, after: int | None) -> list[Entry]:
    with server.core.database.read() as connection:
        return store.page(connection, wanted, after, CSV_PAGE)


def _row(server: Server, entry: Entry) -> list[Any]:
    values = {"at": to_text(entry.at), "site": None if entry.site_id is None else server.core.sites.slug_of(entry.site_id)}
    return [values.get(name, getattr(entry, name, None)) for name in CSV_COLUMNS]

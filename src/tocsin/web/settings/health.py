"""``/settings/health``: queues, delays, the last cycle of each step, the database, the versions."""

import asyncio
import platform

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get

from tocsin import __version__
from tocsin.api.context import EngineWatch, TheWatch
from tocsin.api.health import Health, examine
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.db import schema
from tocsin.db.engine import Database
from tocsin.events import counts, queries as event_queries
from tocsin.identity.model import Viewer
from tocsin.notify import queries as notify_queries
from tocsin.web.desk import Desk
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.settings import rules
from tocsin.web.settings.rules import StepRow
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer


class Inside(msgspec.Struct, frozen=True):
    """What the database knows of Tocsin's own work. Times in ms."""

    waiting: int
    overdue_since: int | None
    today: dict[str, int]
    uncounted: int
    events: int
    quarantined: int
    size: int
    version: str
    schema: str


class HealthPage(Controller):
    """Tocsin about itself."""

    include_in_schema = False

    @get("/settings/health")
    async def health(self, request: AnyRequest, server: TheServer, viewer: TheViewer, watch: TheWatch) -> Response[bytes]:
        """Shows how Tocsin itself is."""
        report = await examine(server, watch)
        return await asyncio.to_thread(_page, request, server, viewer, watch, report)


def _page(request: AnyRequest, server: Server, viewer: Viewer, watch: EngineWatch, report: Health) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    now = desk.now()
    inside = desk.kept("inside", lambda: _read(server, now))
    parts = rules.parts(msgspec.structs.asdict(report.checks), report.details or {})
    faults = [(server.core.contacts.find(contact_id), fault) for contact_id, fault in list(server.delivery.faults.items())]
    return screen(
        request,
        viewer,
        "settings/health.html",
        here="settings",
        tab="health",
        report=report,
        said=rules.sentence(report.status, [part for part in parts if part.state != "up"]),
        parts=parts,
        steps=_steps(watch, now),
        elsewhere=watch.health is None,
        since=watch.since,
        backlog=server.core.writer.backlog,
        listeners=request.app.state.hub.listeners,
        inside=inside,
        faults=[(contact, fault) for contact, fault in faults if contact is not None],
        size=rules.size,
        version=__version__,
        python=platform.python_version(),
        is_sqlite=server.core.database.is_sqlite,
        environment=server.core.settings.whmcs_env,
        public_url=server.core.settings.public_url,
    )


def _steps(watch: EngineWatch, now: int) -> list[StepRow]:
    if watch.health is None:
        return []
    return [rules.step_row(name, watch.every[name], step.ended_at, step.error, now) for name, step in watch.health.items()]


def _read(server: Server, now: int) -> Inside:
    database = server.core.database
    with database.read() as connection:
        mark, last = counts.mark(connection), event_queries.last_number(connection)
        return Inside(
            waiting=notify_queries.waiting(connection),
            overdue_since=notify_queries.overdue_since(connection, now),
            today=notify_queries.counts_since(connection, now - DAY),
            uncounted=max(0, last - mark),
            events=last,
            quarantined=event_queries.count_quarantined(connection, None),
            size=_size(connection, database),
            version=_version(connection, database),
            schema=schema.version(connection) or "none",
        )


def _size(connection: sa.Connection, database: Database) -> int:
    if database.is_sqlite:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def _version(connection: sa.Connection, database: Database) -> str:
    if database.is_sqlite:
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"
    return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"

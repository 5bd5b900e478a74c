"""``/metrics``: Tocsin about itself, in the Prometheus text format."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get

from tocsin import __version__
from tocsin.alerts import queries as alert_queries
from tocsin.api.context import EngineWatch, TheServer, TheWatch
from tocsin.bootstrap import Server
from tocsin.db import tables
from tocsin.db.engine import Database
from tocsin.events import queries as event_queries
from tocsin.notify import queries as notify_queries
from tocsin.pipeline.promises import Promise
from tocsin.prometheus import store as exporters

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(msgspec.Struct, frozen=True):
    """One metric: its name, kind (``counter`` or ``gauge``), meaning, and a value for each set of labels."""

    name: str
    kind: str
    help: str
    values: tuple[tuple[Mapping[str, str], float], ...]


class MetricsApi(Controller):
    """Metrics."""

    tags = ("Health",)

    @get("/metrics", sync_to_thread=True, media_type="text/plain", opt={"produces": "text/plain"})
    def metrics(self, server: TheServer, watch: TheWatch) -> Response[bytes]:
        """Answers Tocsin's own metrics for Prometheus."""
        found = [*_stored(server), *_of_process(server, watch)]
        return Response("".join(map(_text, found)).encode(), headers={"Content-Type": CONTENT_TYPE})


def _stored(server: Server) -> Iterator[Metric]:
    with server.core.database.read() as connection:
        events = event_queries.last_number(connection)
        alerts = alert_queries.counts(connection)
        messages = notify_queries.counts(connection)
        size = _database_size(server.core.database, connection)
        series = connection.execute(sa.select(sa.func.count()).select_from(tables.series)).scalar_one()
        failing = exporters.failing(connection)
    yield _plain("tocsin_events_accepted_total", "counter", "Events stored since the installation began.", events)
    yield _by("tocsin_alerts", "gauge", "Alerts by state.", "status", alerts)
    yield _by("tocsin_notifications", "gauge", "Messages in the outbox by state.", "status", messages)
    yield _plain("tocsin_series", "gauge", "Series of metrics that are known.", series)
    yield _plain("tocsin_exporters_failing", "gauge", "Exporters that did not answer the last time.", failing)
    yield _plain("tocsin_database_bytes", "gauge", "Size of the database.", size)


def _of_process(server: Server, watch: EngineWatch) -> Iterator[Metric]:
    now = server.core.clock.now()
    yield _by("tocsin_build_info", "gauge", "The version that runs.", "version", {__version__: 1})
    yield _plain(
        "tocsin_deliveries_sent_total",
        "counter",
        "Messages that a provider took, since this process began.",
        server.delivery.sent,
    )
    yield _plain("tocsin_contacts_in_trouble", "gauge", "Contacts that cannot be written to.", len(server.delivery.faults))
    yield _plain("tocsin_writer_backlog_events", "gauge", "Events handed in and not yet stored.", server.core.writer.backlog)
    yield _plain("tocsin_writer_failing", "gauge", "1 while the last write failed.", float(server.core.writer.last_fault is not None))
    if watch.health is not None:
        health = watch.health
        ages = {name: (now - (step.ended_at or watch.since)) / 1000 for name, step in health.items()}
        yield _by("tocsin_engine_step_age_seconds", "gauge", "Time since a step of the engine last ended well.", "step", ages)
        failing = {name: float(step.error is not None) for name, step in health.items()}
        yield _by("tocsin_engine_step_failing", "gauge", "1 while a step's last run failed.", "step", failing)
    yield from _of_promises(watch, now)
    yield _plain("process_resident_memory_bytes", "gauge", "Memory of this process.", _resident())


def _of_promises(watch: EngineWatch, now: int) -> Iterator[Metric]:
    auditor, heartbeat = watch.auditor, watch.heartbeat
    if auditor is not None:
        age = (now - (auditor.looked_at or watch.since)) / 1000
        yield _plain("tocsin_auditor_age_seconds", "gauge", "Time since the auditor last looked.", age)
        yield _plain("tocsin_alerts_alone", "gauge", "Open alerts of which nobody could be told.", auditor.alone)
        broken = {promise.key: float(auditor.left.get(promise.key, 0)) for promise in Promise}
        yield _by("tocsin_promises_broken", "gauge", "What the auditor found and could not mend.", "promise", broken)
        mended = {promise.key: float(auditor.mended_ever.get(promise.key, 0)) for promise in Promise}
        yield _by("tocsin_promises_mended_total", "counter", "What the auditor mended, since this process began.", "promise", mended)
    if heartbeat is not None:
        age = (now - (heartbeat.beat_at or heartbeat.since)) / 1000
        yield _plain("tocsin_heartbeat_age_seconds", "gauge", "Time since the last heartbeat that got through.", age)


def _plain(name: str, kind: str, meaning: str, value: float) -> Metric:
    return Metric(name, kind, meaning, (({}, value),))


def _by(name: str, kind: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    return Metric(name, kind, meaning, tuple([({label: word}, value) for word, value in values.items()]))


def _text(metric: Metric) -> str:
    lines = [f"# HELP {metric.name} {metric.help}\n", f"# TYPE {metric.name} {metric.kind}\n"]
    lines += [f"{metric.name}{_labels(labels)} {value:.15g}\n" for labels, value in metric.values]
    return "".join(lines)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _database_size(database: Database, connection: sa.Connection) -> int:
    if database.path is None:
        return int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())
    return sum(_file_size(database.path.with_name(database.path.name + ending)) for ending in ("", "-wal"))


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # no write-ahead log at the moment
        return 0


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

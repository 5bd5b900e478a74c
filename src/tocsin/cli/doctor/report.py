"""Has everything looked at and judged, and tells."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click
import sqlalchemy as sa

from tocsin.cli import logs
from tocsin.cli.doctor import probes, rules
from tocsin.cli.doctor.model import Base, Finding, Verdict
from tocsin.cli.output import say, show, show_json
from tocsin.cli.start import Start
from tocsin.core.clock import SystemClock
from tocsin.core.redact import redact
from tocsin.core.text import counted, one_line
from tocsin.db.engine import Database
from tocsin.settings import Settings, SettingsError, effective, misspelt, open_secrets

COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "red"}


def run(start: Start, *, as_json: bool) -> int:
    """Checks all, tells all; 1 if there is a fault."""
    try:
        settings = start.settings()
    except SettingsError as error:
        findings = [Finding("settings", Verdict.FAULT, error.message, "mend that setting; the others are checked then")]
        shown: dict[str, str] = {}
    else:
        logs.configure(settings.whmcs_env, quiet=True)
        seen = (misspelt(os.environ), open_secrets(os.environ, start.config))
        findings = [*rules.settings(*seen), *examine(settings)]
        shown = effective(settings)
    return _tell(findings, shown, as_json=as_json)


def examine(settings: Settings) -> list[Finding]:
    """All findings, part by part."""
    base = probes.base(settings)
    return [
        *rules.folder(probes.folder(settings.data_dir)),
        *rules.database(base),
        *rules.running(probes.running(settings)),
        *_of_the_data(settings, base),
    ]


def _of_the_data(settings: Settings, base: Base) -> list[Finding]:
    now = SystemClock().now()
    with _readable(settings, base) as connection:
        known = probes.contacts(settings, connection)
        way_out = [*rules.reach(probes.reach(settings, known)), *rules.channels(probes.reachable(settings, known))]
        asked = rules.whmcs(probes.whmcs(settings, connection))
        if connection is None:
            return [*asked, *way_out]
        return [
            *asked,
            *rules.exporters(probes.exporters(settings, connection, now)),
            *rules.clock(probes.times(connection, now)),
            *way_out,
            *rules.accounts(probes.accounts(connection, now)),
            *rules.policies(probes.policies(connection, now)),
            *rules.outbox(probes.outbox(connection, now)),
            *rules.promises(probes.promised(settings, connection, now)),
            *rules.arrivals(probes.arrivals(connection)),
        ]


@contextmanager
def _readable(settings: Settings, base: Base) -> Iterator[sa.Connection | None]:
    """A connection, unless the database is of no use: then the rest is checked without it."""
    if base.missing or base.error or base.schema_fault or base.faults:
        yield None
        return
    database = Database(settings.database_url)
    try:
        with database.read() as connection:
            yield connection
    finally:
        database.close()


def _tell(findings: list[Finding], shown: dict[str, str], *, as_json: bool) -> int:
    verdict = rules.worst(findings)
    if as_json:
        show_json({"ok": verdict is not Verdict.FAULT, "findings": [asdict(finding) for finding in findings], "settings": shown})
    else:
        for name, value in shown.items():
            show(f"{name} = {value}")
        show("")
        for finding in findings:
            _show(finding)
        _sum_up(findings)
    return 1 if verdict is Verdict.FAULT else 0


def _show(finding: Finding) -> None:
    word = click.style(f"{finding.verdict.value:8}", fg=COLOURS[finding.verdict], bold=True)
    show(f"{word} {finding.part}: {redact(one_line(finding.text))}")
    if finding.cure is not None:
        show(f"         -> {finding.cure}")


def _sum_up(findings: list[Finding]) -> None:
    count = {verdict: sum(1 for finding in findings if finding.verdict is verdict) for verdict in Verdict}
    faults, warnings = counted(count[Verdict.FAULT], "fault"), counted(count[Verdict.WARNING], "warning")
    say(
        f"tocsin: {faults} and {warnings} found; each has its cure beside it." if faults[0] != "0" or warnings[0] != "0" else "All is well."
    )

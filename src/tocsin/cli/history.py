"""`tocsin history`: what was measured."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click
import sqlalchemy as sa

from tocsin.api.csv import csv_lines
from tocsin.audit.model import Who
from tocsin.bootstrap import Store
from tocsin.cli.oncall import read_at
from tocsin.cli.output import say, show_json, show_table
from tocsin.cli.start import Start, actor, opened, opened_store
from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput
from tocsin.core.parquet import Column, Kind, Parquet
from tocsin.core.times import to_text
from tocsin.events.sites import SiteBook
from tocsin.metrics import queries, rules, store
from tocsin.metrics.model import MAX_POINTS, NO_LABELS, Agg, Curve, Question, Reading, Series, SeriesFilter
from tocsin.metrics.store import SqlHistory

COLUMNS = ("site", "host", "name", "labels", "at", "value")
PARQUET_COLUMNS = (*[Column(name, Kind.TEXT) for name in COLUMNS[:4]], Column("at", Kind.TIME), Column("value", Kind.NUMBER))
WIDTH = 100
LATELY = 2 * DAY
PIECE = 2 * DAY  # of one series, written at once
AT_ONCE = 50  # series

Which = Mapping[str, str | None]


class _Asked(NamedTuple):
    """The database, what is asked for, and the names of the sites."""

    opened: Store
    connection: sa.Connection
    wanted: SeriesFilter
    sites: SiteBook

    def series(self) -> list[Series]:
        """All that fit."""
        return store.find(self.connection, self.wanted)


def show_series(start: Start, which: Which, *, as_json: bool) -> None:
    """What is measured, and the newest values of the last two days."""
    with opened_store(start) as base, base.database.read() as connection:
        asked = _asked(base, connection, which)
        series = asked.series()
        points = SqlHistory().newest(connection, [one.id for one in series], base.clock.now() - LATELY)
        found = [(one, Reading(one, *points[one.id]) if one.id in points else None) for one in series]
    if as_json:
        show_json({"items": [_series_json(one, last, asked.sites) for one, last in found]})
        return
    rows = [(*_known(one, asked.sites), last and to_text(last.at), last and last.value) for one, last in found]
    show_table(
        ("SITE", "HOST", "NAME", "LABELS", "LAST", "VALUE"), rows, "Nothing is measured that fits. Samples come in by POST /api/v1/metrics."
    )


def show_curves(start: Start, which: Which, step: str | None, agg: str, *, as_json: bool) -> None:
    """What some series were like."""
    length = None if step is None else rules.read_step(step)
    if step is not None and length is None:
        raise InvalidInput.of("step", f"{step!r} is no length of time. Example: 5m")
    with opened_store(start) as base, base.database.read() as connection:
        asked, (since, until) = _asked(base, connection, which), _period(which, base.clock.now())
        if length is not None and (until - since) // length > MAX_POINTS:
            raise InvalidInput.of("step", f"makes more than {MAX_POINTS} points of that time: make it longer")
        question = Question(since, until, length, WIDTH, Agg(agg), base.clock.now() - base.settings.history_days * DAY)
        found = queries.curves(connection, SqlHistory(), asked.series(), question)
    if as_json:
        show_json({"series": [_curve_json(one, asked.sites) for one in found]})
        return
    rows = [(*_known(one.series, asked.sites), to_text(at), f"{value:.10g}") for one in found for at, value in one.points]
    show_table(("SITE", "HOST", "NAME", "LABELS", "AT", "VALUE"), rows, "Nothing was measured in that time that fits.")


def export(start: Start, which: Which, *, as_json: bool) -> None:
    """All samples, piece by piece: each is a snapshot of its own."""
    with opened_store(start) as base:
        with base.database.read() as connection:
            asked, period = _asked(base, connection, which), _period(which, base.clock.now())
        if not as_json:
            click.echo(csv_lines([COLUMNS]), nl=False)
        for found in _pieces(base, asked, *period):
            rows = [(*known, to_text(at), value) for *known, at, value in found]
            lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows] if as_json else [csv_lines(rows).decode()]
            click.echo("".join(lines), nl=False)


def export_parquet(start: Start, which: Which, into: Path) -> None:
    """The same as Parquet, into a file."""
    file = Parquet(PARQUET_COLUMNS)
    with opened_store(start) as base, into.open("wb") as out:
        with base.database.read() as connection:
            asked, period = _asked(base, connection, which), _period(which, base.clock.now())
        for rows in _pieces(base, asked, *period):
            out.write(file.rows(rows))
        out.write(file.end())


def remove(start: Start, which: Which, *, is_sure: bool, as_json: bool) -> None:
    """Removes series with all that was measured of them, or says how many it would be. Raises `InvalidInput`, `NotFound`."""
    if which["name"] is None and which["host"] is None:
        raise InvalidInput.of("metric", "must be there, or --host. Example: tocsin history remove requests_total --host web1")
    with opened(start) as core:
        with core.database.read() as connection:
            wanted = _wanted(which, core.sites)
            count = len(store.find(connection, wanted))
        more = is_sure
        while more:
            more = not core.writer.call(lambda tx: core.history.remove(tx, Who(actor()), wanted, core.clock.now())).is_all
    if as_json:
        show_json({"series": count, "removed": is_sure})
        return
    say(f"{count} series {'are removed' if is_sure else 'would be removed, with all that was measured of them. Do it with --yes'}.")


def _pieces(base: Store, asked: _Asked, since: int, until: int) -> Iterator[list[tuple[str, str, str, str, int, float]]]:
    after: store.Place | None = None
    with base.database.read() as connection:
        first = store.oldest(connection)
    since = until if first is None else max(since, first)
    while True:
        with base.database.read() as connection:
            series = store.find(connection, asked.wanted, after, AT_ONCE)
        if not series:
            return
        for one in series:
            for begin in range(since, until, PIECE):
                with base.database.read() as connection:
                    points = SqlHistory().points(connection, [one.id], begin, min(until, begin + PIECE)).get(one.id, [])
                if points:
                    yield [(*_known(one, asked.sites), at, value) for at, value in points]
        after = store.place_of(series[-1])


def _asked(base: Store, connection: sa.Connection, which: Which) -> _Asked:
    sites = SiteBook()
    sites.load(connection)
    return _Asked(base, connection, _wanted(which, sites), sites)


def _wanted(which: Which, sites: SiteBook) -> SeriesFilter:
    site, labels = which["site"], which["labels"]
    return SeriesFilter(
        site_ids=None if site is None else frozenset({sites.get(site).id}),
        name=which["name"],
        host=which["host"],
        labels=NO_LABELS if labels is None else rules.read_labels(labels),
    )


def _period(which: Which, now: int) -> tuple[int, int]:
    since, until = which["since"], which["until"]
    end = now + 1 if until is None else read_at(until)
    begin = end - DAY if since is None else read_at(since)
    if begin >= end:
        raise InvalidInput.of("from", "must be before to")
    return begin, end


def _known(one: Series, sites: SiteBook) -> tuple[str, str, str, str]:
    return sites.slug_of(one.site_id), one.host, one.name, store.labels_text(one.labels) if one.labels else ""


def _named(one: Series, sites: SiteBook) -> dict[str, object]:
    """A series in the words of the API."""
    known = {"site": sites.slug_of(one.site_id), "host": one.host or None, "name": one.name}
    return {**known, "unit": rules.unit_of(one.name), "labels": dict(one.labels)}


def _series_json(one: Series, last: Reading | None, sites: SiteBook) -> dict[str, object]:
    newest = {"last_at": None if last is None else to_text(last.at), "last_value": None if last is None else last.value}
    return {**_named(one, sites), "first_at": to_text(one.first_at), **newest}


def _curve_json(found: Curve, sites: SiteBook) -> dict[str, object]:
    step = None if found.step is None else found.step // 1_000
    return {**_named(found.series, sites), "step_seconds": step, "points": found.points, "envelope": found.envelope}

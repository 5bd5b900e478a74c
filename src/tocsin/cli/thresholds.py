"""`tocsin thresholds`: when a measured value is a problem.

Writes go straight to the database, also while a server runs: it knows within five seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tocsin.audit.model import Who
from tocsin.bootstrap import Core
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput
from tocsin.core.ids import new_id
from tocsin.core.times import in_words
from tocsin.db.writer import Tx
from tocsin.identity.rules import read_length
from tocsin.thresholds import rules, service, store
from tocsin.thresholds.model import Direction, Threshold

MAX_METRIC, MAX_HOST = 200, 253


@dataclass(frozen=True)
class Wanted:
    """What was said on the command line."""

    metric: str
    site: str | None
    host: str | None
    labels: Sequence[str]
    below: bool
    warning: float | None
    critical: float | None
    clear: float | None
    lasts: str | None
    missing: str | None


def show_thresholds(start: Start, *, as_json: bool) -> None:
    """All thresholds: the newest first, those of the settings last."""
    with opened(start) as core:
        found = core.thresholds.all()
        if as_json:
            show_json([_as_json(core, one) for one in found])
            return
        show_table(("ID", "METRIC", "WHERE", "WARNING", "CRITICAL", "CLEAR", "FOR", "MISSING"), [_row(core, one) for one in found], "")


def set_threshold(start: Start, wanted: Wanted, *, as_json: bool) -> None:
    """Makes a threshold, or changes the one that is about the very same. Raises `InvalidInput`, `Conflict`, `NotFound`."""
    lasts = 0 if wanted.lasts is None else read_length(wanted.lasts, "for")
    missing = None if wanted.missing is None else read_length(wanted.missing, "missing")
    if not 0 < len(wanted.metric) <= MAX_METRIC or len(wanted.host or "") > MAX_HOST:
        raise InvalidInput.of("metric", f"has 1 to {MAX_METRIC} characters, a host at most {MAX_HOST}. Example: disk_percent")
    with opened(start) as core:
        now = core.clock.now()
        site_id = None if wanted.site is None else core.sites.get(wanted.site).id
        host = wanted.host.lower() if wanted.host else None
        side = Direction.BELOW if wanted.below else Direction.ABOVE
        limits = {"warning": wanted.warning, "critical": wanted.critical, "clear": wanted.clear, "lasts": lasts, "missing": missing}
        about = Threshold(new_id(now), site_id, host, wanted.metric, _labels(wanted.labels), side, None, None)
        made = msgspec.structs.replace(about, **limits, created_by=actor(), created_at=now, updated_at=now)

        def work(tx: Tx) -> Threshold:
            there = next((one for one in store.every(tx.sql) if rules.is_about_the_same(one, made)), None)
            if there is None:
                return service.make(tx, Who(actor()), made, now)
            return service.change(tx, Who(actor()), there.id, {**limits, "enabled": True}, now)

        found = core.writer.call(work)
        if as_json:
            show_json(_as_json(core, found))
            return
    show(found.id)
    say(rules.explain(found, found.metric))


def remove(start: Start, threshold_id: str, *, as_json: bool) -> None:
    """Removes a threshold; what it told is resolved. Raises `NotFound`, `Conflict`."""
    with opened(start) as core:
        now = core.clock.now()

        def work(tx: Tx) -> Threshold:
            removed = service.remove(tx, Who(actor()), threshold_id, now)
            core.judge.release(tx, removed)
            return removed

        removed = core.writer.call(work)
        if as_json:
            show_json(_as_json(core, removed))
            return
    say("It is removed, and what it told is resolved.")


def _labels(texts: Sequence[str]) -> dict[str, str]:
    labels = {}
    for text in texts:
        name, equal, value = text.partition("=")
        if not equal or not name:
            raise InvalidInput.of("label", f"{text[:40]!r} is no label. Example: --label mount=/var")
        labels[name] = value
    return dict(sorted(labels.items()))


def _row(core: Core, one: Threshold) -> tuple[object, ...]:
    site = None if one.site_id is None else core.sites.slug_of(one.site_id)
    place = [f"{name}={value}" for name, value in (("site", site), ("host", one.host), *one.labels.items()) if value]
    unit, sign = rules.unit_of(one.metric), "<= " if one.direction is Direction.BELOW else ">= "

    def limit(value: float | None) -> str | None:
        return None if value is None else f"{sign}{rules.number(value)}{unit}"

    clear = None if one.clear is None else f"{rules.number(one.clear)}{unit}"
    lasting, missing = in_words(one.lasts) if one.lasts else None, None if one.missing is None else in_words(one.missing)
    where = " ".join(place) or "everywhere"
    return one.id, one.metric, where if one.enabled else f"{where} (off)", limit(one.warning), limit(one.critical), clear, lasting, missing


def _as_json(core: Core, one: Threshold) -> dict[str, object]:
    """A threshold in the words of the API."""
    return {
        "id": one.id,
        "metric": one.metric,
        "site": None if one.site_id is None else core.sites.slug_of(one.site_id),
        "host": one.host,
        "labels": dict(one.labels),
        "direction": one.direction.value,
        "warning": one.warning,
        "critical": one.critical,
        "clear": one.clear,
        "for_seconds": one.lasts // SECOND,
        "missing_seconds": None if one.missing is None else one.missing // SECOND,
        "enabled": one.enabled,
        "origin": "settings" if one.is_default else "user",
    }

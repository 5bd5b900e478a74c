"""`tocsin report`: the figures of the last days."""

from zoneinfo import ZoneInfo

import msgspec

from tocsin.api.analytics import summary_out
from tocsin.cli.output import show, show_json, show_table
from tocsin.cli.start import Start, opened
from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput
from tocsin.core.severity import Severity
from tocsin.core.text import counted
from tocsin.core.times import in_words
from tocsin.core.zones import is_zone
from tocsin.reports import rules, service
from tocsin.reports.model import Period, Summary

TYPES = 5


def show_report(start: Start, days: int, zone: str, *, as_json: bool) -> None:
    """The last *days* beside those before. Raises `InvalidInput` for a zone that is none."""
    if not is_zone(zone):
        raise InvalidInput.of("time-zone", f"{zone!r} is no time zone. Example: Europe/Berlin")
    with opened(start) as core:
        now = core.clock.now()
        with core.database.read() as connection:
            found = service.summary(connection, Period(now - days * DAY, now), ZoneInfo(zone), None)
        written = msgspec.to_builtins(summary_out(found, core.sites))
    if as_json:
        show_json(written)
    else:
        _show(found, days)


def _show(found: Summary, days: int) -> None:
    now, before = found.now, found.before
    show(f"The last {counted(days, 'day')}, and the {counted(days, 'day')} before.")
    rows = [
        ("alerts", now.began, before.began),
        ("time to acknowledge", _length(now.answered.mean), _length(before.answered.mean)),
        ("time to resolve", _length(now.ended.mean), _length(before.ended.mean)),
        ("escalated", _share(now.escalation_rate), _share(before.escalation_rate)),
        ("not resolved now", found.still_open, None),
    ]
    show_table(("FIGURE", "NOW", "BEFORE"), rows, "")
    if found.by_severity:
        levels = ", ".join(f"{count} {Severity(level).word}" for level, count in sorted(found.by_severity.items(), reverse=True))
        show(f"By severity: {levels}.")
    if found.noisiest:
        show("")
        noisy = [(one.alerts, one.occurrences, one.type, one.subject) for one in found.noisiest[:TYPES]]
        show_table(("ALERTS", "EVENTS", "NOISIEST", "SUBJECT"), noisy, "")
    if found.people:
        show("")
        show_table(("PAGED", "BY DAY", "BY NIGHT"), [(one.who, one.day, one.night) for one in found.people], "")


def _length(mean: float | None) -> str | None:
    return None if mean is None else in_words(round(mean))


def _share(rate: float | None) -> str | None:
    return None if rate is None else f"{rules.percent(rate)} %"

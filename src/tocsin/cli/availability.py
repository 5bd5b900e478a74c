"""`tocsin availability`: how much of the last days things were up."""

import msgspec

from tocsin.api.availability import line_out
from tocsin.checks import figures, store
from tocsin.checks.figures import By, Line, Period
from tocsin.cli.output import show_json, show_table
from tocsin.cli.start import Start, opened
from tocsin.core.clock import DAY
from tocsin.core.times import in_words, to_text


def show_availability(start: Start, days: int, by: By, site: str | None, *, as_json: bool) -> None:
    """The last *days*, the least available first. Raises `NotFound`."""
    with opened(start) as core:
        now = core.clock.now()
        period = Period(now - days * DAY, now)
        site_ids = None if site is None else {core.sites.get(site).id}
        with core.database.read() as connection:
            lines = figures.availability(connection, store.of_sites(connection, site_ids), by, period, core.sites.slug_of)
    if as_json:
        items = [msgspec.to_builtins(line_out(line)) for line in lines]
        show_json({"from": to_text(period.start), "to": to_text(period.end), "items": items})
        return
    nothing = "No check has a group." if by == "group" else "There is no check. Example: tocsin checks add Shop https://www.example.com/"
    head = (by.upper(), "UP", "DOWN", "OUTAGES", "LONGEST", "UNKNOWN", "MAINTENANCE", "PROMISED", "LEFT")
    show_table(head, [_row(line) for line in lines], nothing)


def _row(line: Line) -> tuple[object, ...]:
    found, percent = line.uptime, line_out(line).uptime_percent
    budget = line.budget
    left = None if budget is None else f"{'-' if budget.left < 0 else ''}{in_words(abs(budget.left))}"
    return (
        line.name,
        None if percent is None else f"{percent:.4f} %",
        in_words(found.down),
        found.outages,
        in_words(found.longest),
        in_words(found.unknown),
        in_words(found.maintenance),
        None if budget is None else f"{budget.sla:g} %",
        left,
    )

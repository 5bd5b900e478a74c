"""The explorer ``/events``: the log with its filters, how much came when, and what comes in now."""

from typing import Any

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get

from tocsin.api.context import Given
from tocsin.api.paging import read_cursor, write_cursor
from tocsin.core.errors import NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.times import from_datetime, to_text
from tocsin.events import counts, queries
from tocsin.events.queries import StoredEvent
from tocsin.notify.render import clean
from tocsin.web.desk import Desk
from tocsin.web.events import asking, rules
from tocsin.web.events.asking import Asked, LogQuery
from tocsin.web.events.rules import Volume
from tocsin.web.pages import AnyRequest, chart_data, screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.times import in_words
from tocsin.web.viewer import TheViewer

LOOKED_AT = 10_000  # events that one page looks through for what is wanted, and counts one by one where the counts kept do not say enough
AROUND = 5


class EventsPages(Controller):
    """The log."""

    path = "/events"
    include_in_schema = False

    @get(sync_to_thread=True)
    def events(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[LogQuery]) -> Response[bytes]:
        """Lists events: what is asked for stands in the address."""
        desk: Desk = request.app.state.desk
        now = desk.now()
        question = asking.read(asked, viewer, server.core.sites, now)
        after = read_cursor(asked.cursor, "events", (int, int))
        with server.core.database.read() as connection:
            found, stopped, drawn = _listed(connection, asked, question, after)
            quarantined = queries.count_quarantined(connection, viewer.site_ids)
        events = found[: asking.PAGE]
        place = (events[-1].occurred_at, events[-1].number) if len(found) > asking.PAGE else stopped
        return screen(
            request,
            viewer,
            "events.html",
            here="events",
            asked=asked,
            question=question,
            address=lambda path="/events", **changes: asking.address(asked, path, **changes),
            events=events,
            next_page=asking.address(asked, cursor=write_cursor("events", place)) if place else None,
            looked=LOOKED_AT if stopped and len(found) <= asking.PAGE else 0,
            filters=asking.filters(asked),
            ranges=[(word, to_text(now - span), span) for word, span in rules.RANGES],
            span=question.until - question.since,
            volume=drawn,
            volume_says=rules.volume_says(drawn),
            bar=in_words(drawn.width),
            sites=desk.sites(viewer),
            site_name=desk.site_name,
            quarantined=quarantined,
            ms_of=from_datetime,
        )

    @get("/volume", sync_to_thread=True)
    def volume(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[LogQuery]) -> Response[bytes]:
        """How much came when, for the chart."""
        desk: Desk = request.app.state.desk
        question = asking.read(asked, viewer, server.core.sites, desk.now())
        with server.core.database.read() as connection:
            drawn = _volume(connection, asked, question)
        return chart_data(request, chart(drawn))

    @get("/{event_id:str}", sync_to_thread=True)
    def event(self, request: AnyRequest, server: TheServer, viewer: TheViewer, event_id: InPath) -> Response[bytes]:
        """Shows one event as it was stored."""
        desk: Desk = request.app.state.desk
        event = None
        if is_uuid(event_id.lower()):
            with server.core.database.read() as connection:
                event = queries.find(connection, event_id.lower(), viewer.site_ids)
                before, later = queries.around(connection, event, AROUND) if event else ([], [])
        if event is None:
            raise NotFound(f"there is no event {event_id[:40]} that you may see")
        return screen(
            request,
            viewer,
            "event.html",
            here="events",
            event=event,
            message=clean(event.message or ""),
            attributes=_flat(event.attributes),
            raw=_pretty(event.attributes),
            neighbours=[*reversed(later), event, *before],
            site_name=desk.site_name,
            site_slug=server.core.sites.slug_of(event.site_id),
        )


def _listed(
    connection: sa.Connection, asked: LogQuery, question: Asked, after: tuple[int, int] | None
) -> tuple[list[StoredEvent], tuple[int, int] | None, Volume]:
    """The events of a page, the place where the looking stopped, if it did, and how much came when."""
    if after is None and not _is_plain(asked):
        width = _width(asked, question)
        found, stopped, cells = queries.scan_and_count(connection, question.wanted, asking.PAGE + 1, LOOKED_AT, width)
        return found, stopped, rules.volume(cells, question.since, question.until, width, newest=LOOKED_AT if stopped else 0)
    return *queries.scan(connection, question.wanted, after, asking.PAGE + 1, LOOKED_AT), _volume(connection, asked, question)


def _is_plain(asked: LogQuery) -> bool:
    """Whether what was counted as it came in answers how much came."""
    return asked.type is None and asked.severity_min is None and asked.q is None


def _width(asked: LogQuery, question: Asked) -> int:
    span = question.until - question.since
    return rules.width_for(span, fine=not _is_plain(asked) or span < counts.CELL * rules.BUCKETS // 4)


def _volume(connection: sa.Connection, asked: LogQuery, question: Asked) -> Volume:
    width, partly = _width(asked, question), False
    if _is_plain(asked) and width >= counts.CELL:
        found: dict[int, tuple[int, int]] = {}
        for one in counts.cells(connection, question.since, question.until, question.wanted.site_ids):
            events, problems = found.get(one.cell, (0, 0))
            found[one.cell] = (events + one.events, problems + one.problems)
        found = _with_uncounted(connection, question, found)
    else:
        found, partly = queries.volume(connection, question.wanted, width, LOOKED_AT)
    return rules.volume(found, question.since, question.until, width, newest=LOOKED_AT if partly else 0)


def _with_uncounted(connection: sa.Connection, question: Asked, found: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The counts with the events of the last seconds, which are not counted yet."""
    for site_id, at, problem in counts.uncounted(connection):
        sites = question.wanted.site_ids
        if question.since <= at < question.until and (sites is None or site_id in sites):
            events, problems = found.get(at, (0, 0))
            found[at] = (events + 1, problems + problem)
    return found


def chart(drawn: Volume) -> dict[str, Any]:
    """What chart.js draws."""
    quiet = [all_ - bad for all_, bad in zip(drawn.events, drawn.problems, strict=True)]
    return {
        "times": [at // 1000 for at in drawn.times],
        "step": drawn.width // 1000,
        "says": rules.volume_says(drawn),
        "unit": "events",
        "series": [
            {"name": "Problems", "colour": "high-mark", "values": drawn.problems},
            {"name": "Other events", "colour": "line-3", "values": quiet},
        ],
    }


def _flat(attributes: str | None) -> list[tuple[str, str]]:
    """The attributes one by one; what is nested stays JSON."""
    values = msgspec.json.decode(attributes) if attributes else None
    if not isinstance(values, dict):
        return []
    return [(str(key), value if isinstance(value, str) else msgspec.json.encode(value).decode()) for key, value in values.items()]


def _pretty(attributes: str | None) -> str:
    return msgspec.json.format(attributes, indent=2) if attributes else ""

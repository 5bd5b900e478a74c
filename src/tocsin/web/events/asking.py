"""What the address of the explorer asks for, and its neighbours' addresses."""

from datetime import datetime
from urllib.parse import urlencode

import msgspec

from tocsin.api.alerts import period
from tocsin.api.events import EventQuery
from tocsin.core.clock import DAY
from tocsin.core.errors import NotFound
from tocsin.core.times import from_datetime, to_text
from tocsin.events import queries
from tocsin.events.sites import SiteBook
from tocsin.identity.model import Viewer

PAGE = 50


class LogQuery(EventQuery, frozen=True, kw_only=True):
    """The API's filters. Without a time: the last 24 hours."""


class Asked(msgspec.Struct, frozen=True):
    """The filter, and the time that is shown (ms); ``open_ended``: up to now, so that what comes belongs to it."""

    wanted: queries.Filter
    since: int
    until: int
    open_ended: bool


def read(asked: LogQuery, viewer: Viewer, sites: SiteBook, now: int) -> Asked:
    """The filter, limited to what *viewer* may see. Raises `NotFound` for a site that is not there for them."""
    site_ids = viewer.site_ids
    if asked.site is not None:
        site = sites.find(asked.site)
        if site is None or not viewer.sees(site.id):
            raise NotFound(f"there is no site {asked.site} for you")
        site_ids = frozenset({site.id})
    since, until = period(asked.since, asked.until)
    end = now + 1 if until is None else until
    start = end - DAY if since is None else since
    wanted = queries.Filter(site_ids=site_ids, type=asked.type, severity_min=asked.severity_min, since=start, until=until, q=asked.q)
    return Asked(wanted, start, end, until is None)


def pairs(asked: LogQuery, **changes: object) -> list[tuple[str, str]]:
    """The filters of *asked* with *changes*, as an address has them; None takes one away."""
    given: dict[str, object] = {"cursor": None, **changes}
    found = []
    for name in ("site", "type", "severity_min", "since", "until", "q", "cursor"):
        value = given.get(name, getattr(asked, name))
        if value is not None:
            found.append((name, to_text(from_datetime(value)) if isinstance(value, datetime) else str(value)))
    return found


def address(asked: LogQuery, path: str = "/events", **changes: object) -> str:
    """The address of the same question with *changes*. Without a cursor: another list begins at its beginning."""
    query = pairs(asked, **changes)
    return path + (f"?{urlencode(query)}" if query else "")


def filters(asked: LogQuery) -> int:
    """How many filters are set, the time aside."""
    return sum(getattr(asked, name) is not None for name in ("site", "type", "severity_min", "q"))

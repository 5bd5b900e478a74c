"""What the address of the list asks for, and the addresses of its neighbours: every filter, the order and the page are in it."""

from datetime import datetime
from functools import cache
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from tocsin.alerts import queries
from tocsin.alerts.model import Status
from tocsin.api.alerts import AlertQuery, filter_of
from tocsin.core.errors import NotFound
from tocsin.core.times import from_datetime, to_text
from tocsin.events.sites import SiteBook
from tocsin.identity.model import Viewer

PAGE = 50
UNRESOLVED = (Status.OPEN.value, Status.ACKNOWLEDGED.value, Status.SNOOZED.value)


class ListQuery(AlertQuery, frozen=True, kw_only=True):
    """The API's filters; the dashboard begins with what needs action, the loudest first. ``owner``: those that I have.
    ``muted``: those that something keeps quiet; else they stand in no other tab than that.
    """

    status: Any = "open"
    sort: queries.Sort = queries.Sort.LOUDEST
    owner: Literal["me"] | None = None
    muted: Literal["yes"] | None = None


def wanted(asked: ListQuery, viewer: Viewer, sites: SiteBook) -> queries.Filter:
    """The filter, limited to what *viewer* may see. Raises `NotFound` for a site that is not there for them."""
    site_ids = viewer.site_ids
    if asked.site is not None:
        site = sites.find(asked.site)
        if site is None or not viewer.sees(site.id):
            raise NotFound(f"there is no site {asked.site} for you")
        site_ids = frozenset({site.id})
    found = filter_of(asked, site_ids)
    if asked.muted:
        found = msgspec.structs.replace(found, statuses=UNRESOLVED, muted=True)
    elif asked.status != Status.RESOLVED:
        found = msgspec.structs.replace(found, muted=False)
    return msgspec.structs.replace(found, owner=viewer.email if asked.owner == "me" else None)


def address(asked: ListQuery, **changes: object) -> str:
    """The address of the same list with *changes*; None takes a filter away. Without a cursor: another list begins at its beginning."""
    given: dict[str, object] = {"cursor": None, **changes}
    pairs = []
    for name, default in _defaults().items():
        value = given.get(name, getattr(asked, name))
        if value is None or (value == default and name != "status") or (name == "status" and value == "open"):
            continue
        pairs.append((name, _text(value)))
    return "/alerts" + (f"?{urlencode(pairs)}" if pairs else "")


@cache  # a list names some sixty neighbours
def _defaults() -> dict[str, object]:
    return {field.name: field.default for field in msgspec.structs.fields(ListQuery)}


def _text(value: object) -> str:
    return to_text(from_datetime(value)) if isinstance(value, datetime) else str(value)


def filters(asked: ListQuery) -> int:
    """How many filters are set, the tab aside."""
    return sum(getattr(asked, name) is not None for name in ("site", "severity_min", "type", "host", "q", "since", "until", "owner"))

"""What pages of the dashboard show, kept for a moment, so that a thousand open ones cost one query."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from tocsin.alerts import queries
from tocsin.alerts.model import Status
from tocsin.alerts.queries import Tally
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND, monotonic
from tocsin.events.sites import Site
from tocsin.identity.model import Viewer

KEPT_FOR = 1 * SECOND
AT_LEISURE = 5 * SECOND  # and so long for a page that renews itself, if it was found since the page heard the last news
SKEW = 1 * SECOND  # by how much the clocks of processes that share a PostgreSQL may differ
RARELY = 100  # times as long as it took to find it is kept for such a page: then that takes a hundredth of the server's time at most
MAX_KEPT = 200
Value = TypeVar("Value")
Sites = frozenset[int] | None  # those that a reader may see; None: all


class _Kept(NamedTuple):
    value: object
    at: int
    took: int
    stamp: object


class Desk:
    """The server as the pages see it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._kept: dict[object, _Kept] = {}
        self._skew = 0 if server.core.database.is_sqlite else SKEW

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.server.core.clock.now()

    def kept(
        self, key: object, find: Callable[[], Value], lasts: int = KEPT_FOR, stamp: object = None, *, since: int | None = None
    ) -> Value:
        """What *find* says, less than *lasts* ms old, and found out when the *stamp* was the same.

        *since*: for who only wants to see what happened until then (ms). It may be somewhat older than *lasts*, and where it takes
        long to find, even older than *since*.
        """
        known, now = self._kept.get(key), self.now()
        if known is not None and known.stamp == stamp:
            age = now - known.at
            if since is not None:
                lasts = max(AT_LEISURE if known.at >= since + self._skew else 0, RARELY * known.took)
            if 0 <= age < lasts:
                return known.value  # type: ignore[return-value]  # the key says whose value it is
        begun = monotonic()
        value = find()
        self._keep(key, _Kept(value, now, round((monotonic() - begun) * SECOND), stamp))
        return value

    def _keep(self, key: object, kept: _Kept) -> None:
        if len(self._kept) > MAX_KEPT:
            self._kept.clear()
        self._kept[key] = kept

    def needs_action(self, site_ids: Sites, since: int | None = None) -> int:
        """How many alerts nobody has taken, of these sites or of all. *since*: see `kept`."""

        def find() -> int:
            with self.server.core.database.read() as connection:
                return queries.count_open(connection, site_ids)

        return self.kept(_needs_action(site_ids), find, since=since)

    def tally(self, connection: sa.Connection, site_ids: Sites) -> Tally:
        """The unresolved alerts by type and state, as they are now. It answers `needs_action` for the page at hand as well."""
        now, found = self.now(), queries.tally(connection, site_ids)
        self._keep(_needs_action(site_ids), _Kept(found.by_state.get(Status.OPEN, 0), now, 0, None))
        return found

    def sites(self, viewer: Viewer) -> list[Site]:
        """The sites that *viewer* may see, by name."""
        return [site for site in self.server.core.sites.all() if viewer.sees(site.id)]

    def site_name(self, site_id: int) -> str:
        """What people call a site."""
        return self.server.core.sites.name_of(site_id)


def _needs_action(site_ids: Sites) -> tuple[str, Sites]:
    return "needs action", site_ids

"""What every page of the dashboard shows besides its own: kept for a second, so that a thousand open pages cost one query."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from tocsin.alerts import queries
from tocsin.alerts.model import Status
from tocsin.alerts.queries import Tally
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.events.sites import Site
from tocsin.identity.model import Viewer

KEPT_FOR = 1 * SECOND
MAX_KEPT = 1_000
Value = TypeVar("Value")
Sites = frozenset[int] | None  # those that a reader may see; None: all


class Desk:
    """The server as the pages see it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._kept: dict[object, tuple[int, object, object]] = {}

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.server.core.clock.now()

    def kept(self, key: object, find: Callable[[], Value], lasts: int = KEPT_FOR, stamp: object = None) -> Value:
        """What *find* says, less than *lasts* ms old, and found out when the *stamp* was the same."""
        now = self.now()
        at, before, value = self._kept.get(key, (-lasts, None, None))
        if not 0 <= now - at < lasts or before != stamp:
            value = find()
            self.keep(key, value, stamp)
        return value  # type: ignore[return-value]  # the key says whose value it is

    def keep(self, key: object, value: object, stamp: object = None) -> None:
        """Remembers what somebody has just found out."""
        if len(self._kept) > MAX_KEPT:
            self._kept.clear()
        self._kept[key] = (self.now(), stamp, value)

    def needs_action(self, site_ids: Sites) -> int:
        """How many alerts nobody has taken, of these sites or of all."""

        def find() -> int:
            with self.server.core.database.read() as connection:
                return queries.count_open(connection, site_ids)

        return self.kept(_needs_action(site_ids), find)

    def tally(self, connection: sa.Connection, site_ids: Sites) -> Tally:
        """The unresolved alerts by type and state, as they are now. It answers `needs_action` for the page at hand as well."""
        found = queries.tally(connection, site_ids)
        self.keep(_needs_action(site_ids), found.by_state.get(Status.OPEN, 0))
        return found

    def sites(self, viewer: Viewer) -> list[Site]:
        """The sites that *viewer* may see, by name."""
        return [site for site in self.server.core.sites.all() if viewer.sees(site.id)]

    def site_name(self, site_id: int) -> str:
        """What people call a site."""
        return self.server.core.sites.name_of(site_id)


def _needs_action(site_ids: Sites) -> tuple[str, Sites]:
    return "needs action", site_ids

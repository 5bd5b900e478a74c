"""What every page of the dashboard shows besides its own: kept for a second, so that a thousand open pages cost one query."""

from collections.abc import Callable
from typing import TypeVar

from tocsin.alerts import queries
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.events.sites import Site
from tocsin.identity.model import Viewer

KEPT_FOR = 1 * SECOND
Value = TypeVar("Value")
Sites = frozenset[int] | None  # those that a reader may see; None: all


class Desk:
    """The server as the pages see it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._kept: dict[object, tuple[int, object]] = {}

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.server.core.clock.now()

    def kept(self, key: object, find: Callable[[], Value]) -> Value:
        """What *find* says, at most a second old."""
        now = self.now()
        at, value = self._kept.get(key, (-KEPT_FOR, None))
        if not 0 <= now - at < KEPT_FOR:
            value = find()
            if len(self._kept) > 1_000:
                self._kept.clear()
            self._kept[key] = (now, value)
        return value  # type: ignore[return-value]  # the key says whose value it is

    def needs_action(self, site_ids: Sites) -> int:
        """How many alerts nobody has taken, of these sites or of all."""

        def find() -> int:
            with self.server.core.database.read() as connection:
                return queries.count_open(connection, site_ids)

        return self.kept(("needs action", site_ids), find)

    def sites(self, viewer: Viewer) -> list[Site]:
        """The sites that *viewer* may see, by name."""
        return [site for site in self.server.core.sites.all() if viewer.sees(site.id)]

    def site_name(self, site_id: int) -> str:
        """What people call a site."""
        return self.server.core.sites.name_of(site_id)

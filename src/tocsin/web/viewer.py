"""Who looks at a page: what templates and handlers need to know of the person."""

from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request
from litestar.di import NamedDependency

from tocsin.identity.model import ApiKey, Scope


class Viewer(msgspec.Struct, frozen=True):
    """A person in front of the dashboard. ``site_ids``: the only sites that they may see; None: all."""

    user_id: str
    email: str
    name: str
    role: str
    permissions: frozenset[str]
    site_ids: frozenset[int] | None = None
    csrf: str = ""
    theme: str = "system"
    contrast: str = "system"
    time_zone: str = "UTC"

    def may(self, permission: str) -> bool:
        """Whether this person has *permission*."""
        return permission in self.permissions


TheViewer = NamedDependency[Viewer]


async def viewer_of(request: Request[Any, Any, Any]) -> Viewer:
    """The owner of the key that asks."""
    key: ApiKey = request.state.key
    permissions = {"look"} | ({"act"} if key.allows(Scope.WRITE) else set()) | ({"configure"} if key.allows(Scope.ADMIN) else set())
    return Viewer(
        key.id,
        f"key:{key.name}",
        key.name,
        "admin" if key.allows(Scope.ADMIN) else "responder",
        frozenset(permissions),
        None if key.site_id is None else frozenset({key.site_id}),
    )


def zone_named(name: str | None) -> tzinfo:
    """The time zone of this name; UTC where there is none."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC

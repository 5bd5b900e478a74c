"""Who looks at a page: what templates and handlers need to know of the person."""

from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from tocsin.identity.model import Viewer

TheViewer = NamedDependency[SkipValidation[Viewer]]

__all__ = ["TheViewer", "Viewer", "viewer_of", "zone_named"]


async def viewer_of(request: Request[Any, Any, Any]) -> Viewer:
    """The person whom the guard let in."""
    viewer: Viewer = request.state.viewer
    return viewer


def zone_named(name: str | None) -> tzinfo:
    """The time zone of this name; UTC where there is none."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC

"""Which time zones there are: those of the IANA database in the release that we depend on, the same on every machine."""

from functools import cache
from importlib.resources import files


@cache
def zone_names() -> frozenset[str]:
    """The names of all zones. The system's own list is not asked: it differs, and takes a quarter of a second to walk."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split()) - {"Factory"}


def is_zone(name: str) -> bool:
    """Whether *name* is a time zone, such as ``Europe/Berlin``."""
    return name in zone_names()

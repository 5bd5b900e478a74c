"""The time zones that a person is offered."""

from functools import cache

from tocsin.core.zones import zone_names

_LEFT_OUT = ("Etc/", "posix/", "right/", "SystemV/")


@cache
def zones() -> tuple[tuple[str, str], ...]:
    """Pairs of name and words, by name: those named after a place, and UTC."""
    names = [name for name in zone_names() if "/" in name and not name.startswith(_LEFT_OUT)]
    return tuple((name, name.replace("_", " ").replace("/", ", ")) for name in ["UTC", *sorted(names)])

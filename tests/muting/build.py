"""Examples of what mutes, of which a test changes what it is about."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.build import an_id
from tests.fakes import NOW
from tests.world import World
from tocsin.core.clock import HOUR
from tocsin.core.times import from_datetime
from tocsin.muting import store
from tocsin.muting.matching import read_matcher
from tocsin.muting.model import Dependency, Labels, Maintenance, Matchers, Silence


def matchers(*texts: str) -> Matchers:
    """``host=web-1``, ``type^disk.``, ``host~web-[0-9]+``, ``severity!=5``."""
    return tuple(read_matcher(text) for text in texts)


def labels(**changes: Any) -> Labels:
    """Those of `tests.build.an_alert` on the site main."""
    values: dict[str, Any] = {
        "site": "main",
        "kind": "disk.full",
        "severity": 3,
        "host": "web-1",
        "subject": "disk:/",
        "attributes": None,
    }
    return Labels(**(values | changes))


def a_silence(*texts: str, number: int = 1, **changes: Any) -> Silence:
    """Marta is swapping a disk for an hour from `NOW`."""
    values: dict[str, Any] = {
        "id": an_id(0x5100 + number),
        "matchers": matchers(*(texts or ("host=web-1",))),
        "starts_at": NOW,
        "ends_at": NOW + HOUR,
        "comment": "disk swap",
        "created_by": "marta@example.com",
        "created_at": NOW,
    }
    return Silence(**(values | changes))


def a_maintenance(*texts: str, number: int = 1, **changes: Any) -> Maintenance:
    """A kernel update, for an hour from `NOW`, once."""
    values: dict[str, Any] = {
        "id": an_id(0x3A00 + number),
        "name": "Kernel update",
        "matchers": matchers(*(texts or ("host=web-1",))),
        "starts_at": NOW,
        "ends_at": NOW + HOUR,
        "comment": "",
        "rrule": None,
        "time_zone": "Europe/Berlin",
        "created_by": "marta@example.com",
        "created_at": NOW,
    }
    return Maintenance(**(values | changes))


def a_dependency(parent: str = "type=server.down", *children: str, number: int = 1, **changes: Any) -> Dependency:
    """While a server is down, the checks on the same host are quiet."""
    values: dict[str, Any] = {
        "id": an_id(0xDE00 + number),
        "name": "checks behind their host",
        "parent": matchers(parent),
        "children": matchers(*(children or ("type^check.",))),
        "same": ("site", "host"),
        "created_by": "marta@example.com",
        "created_at": NOW,
    }
    return Dependency(**(values | changes))


def at(text: str, zone: str = "UTC") -> int:
    """The moment (ms) at which clocks in *zone* show ``2026-03-29 03:30``."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


async def keep(world: World, *kept: Silence | Maintenance | Dependency) -> None:
    """Stores them, as the API would, and has this node know of them."""

    def work(tx: Any) -> None:
        for one in kept:
            store.add(tx, one)

    await world.write(work)
    await refresh(world)


async def drop(world: World, kept: Silence | Maintenance | Dependency) -> None:
    """Takes one away."""
    await world.write(lambda tx: store.remove(tx, type(kept), kept.id))
    await refresh(world)


async def refresh(world: World) -> None:
    """What the node does every five seconds, and after a change of its own."""
    world.core.refresh()
    await world.turn()
    await world.settle()

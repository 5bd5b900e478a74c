"""Lists of alerts: however the database finds what is not resolved, the same is found."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from tests.build import a_report
from tests.world import World
from tocsin.alerts import queries
from tocsin.alerts.queries import Filter, Sort
from tocsin.core.clock import MINUTE

OPEN = Filter(statuses=("open",))
STANDING = Filter(statuses=("open", "acknowledged"))


def weigh(_site: int, _host: str | None, subject: str | None, _attributes: str | None) -> int:
    """Every third thing is dear."""
    return int((subject or "0").rpartition("-")[2]) % 3 * 10**20


def everything(world: World) -> Iterator[Any]:
    """What lists, tabs and the overview show."""
    with world.core.database.read() as connection:
        for wanted in (Filter(), OPEN, STANDING, Filter(statuses=("resolved",)), Filter(severity_min=4), Filter(q="disk-1")):
            for sort in Sort:
                alerts = queries.page(connection, wanted, sort, None, 4, weigh)
                yield [alert.number for alert in alerts]
                if alerts:
                    yield [alert.number for alert in queries.page(connection, wanted, sort, sort.place(alerts[-1], weigh), 4, weigh)]
        yield sorted(queries.groups(connection, None))
        yield queries.tally(connection, None)
        yield queries.unresolved_by_state(connection, Filter(severity_min=3))
        yield queries.count_open(connection, frozenset({1}))
        yield [alert.number for alert in queries.loudest(connection, None, 5)]
        first = queries.find(connection, "1")
        assert first is not None
        yield [alert.number for alert in queries.near(connection, first, 5 * MINUTE, None, 5)]


async def a_storm(world: World) -> None:
    for n in range(1, 15):
        await world.report(a_report(f"disk-{n}", at=world.clock.now(), severity=2 + n % 4))
        world.clock.advance(MINUTE)
    for n in (3, 4, 9):
        await world.resolve(world.alert(n))
    for n in (2, 7):
        await world.acknowledge(world.alert(n))


async def test_in_a_storm_the_same_is_found_as_on_any_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_storm(world)
    usual = list(everything(world))
    monkeypatch.setattr(queries, "MANY", 1)
    assert list(everything(world)) == usual
    monkeypatch.setattr(queries, "SPARSE", 1)  # no longer a storm
    assert list(everything(world)) == usual


DEAR = {f"disk-{n}": weigh(1, None, f"disk-{n}", None) for n in sorted(range(15), key=lambda n: -(n % 3)) if n % 3}


@pytest.mark.parametrize("names", [None, DEAR, {"dïsk-1": 10**21} | DEAR, DEAR | dict.fromkeys(map(str, range(1_000)), 1)])
@pytest.mark.parametrize("size", [1, 4, 30])
@pytest.mark.parametrize("dearest", [2, 5, 100])
async def test_the_dearest_come_first_and_pages_follow_each_other(
    world: World, names: dict[str, int] | None, size: int, dearest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "DEAREST", dearest)
    await a_storm(world)
    seen: list[int] = []
    place: tuple[int, int] | None = None
    with world.core.database.read() as connection:
        while page := queries.page(connection, Filter(), Sort.HEAVIEST, place, size, weigh, names):
            seen += [alert.number for alert in page]
            place = Sort.HEAVIEST.place(page[-1], weigh)
    assert seen == sorted(seen, key=lambda number: (-(number % 3), -number))
    assert len(seen) == 11


async def test_where_nothing_is_known_but_gateways_only_these_are_weighed(world: World) -> None:
    for n in range(1, 5):
        await world.report(a_report(f"disk-{n}", at=world.clock.now(), attributes=msgspec.Raw(b'{"gateway":"stripe"}' if n == 2 else b"")))
    await world.report(a_report("gateway:PayPal", at=world.clock.now()))
    weighed: list[str | None] = []

    def weigh_gateways(_site: int, _host: str | None, subject: str | None, attributes: str | None) -> int:
        weighed.append(subject)
        return 7 if attributes or (subject or "").startswith("gateway:") else 0

    with world.core.database.read() as connection:
        found = queries.page(connection, Filter(), Sort.HEAVIEST, None, 9, weigh_gateways, {})
    assert [alert.number for alert in found] == [5, 2, 4, 3, 1]
    assert sorted(map(str, weighed)) == ["disk-2", "gateway:PayPal"]


async def test_what_is_less_dear_is_not_looked_at_where_the_dearest_fill_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "DEAREST", 4)
    await a_storm(world)
    weighed: list[str | None] = []

    def note(site: int, host: str | None, subject: str | None, attributes: str | None) -> int:
        weighed.append(subject)
        return weigh(site, host, subject, attributes)

    names = {f"disk-{n}": weigh(1, None, f"disk-{n}", None) for n in (2, 5, 8, 11, 1, 7)}
    with world.core.database.read() as connection:
        found = queries.page(connection, Filter(), Sort.HEAVIEST, None, 3, note, names)
    assert [alert.number for alert in found] == [11, 8, 5]
    assert sorted(map(str, weighed)) == ["disk-11", "disk-2", "disk-5", "disk-8"]


@pytest.mark.parametrize("look", [queries.tally, queries.groups, queries.loudest])
async def test_of_nothing_there_is_nothing(sqlite_world: World, look: Callable[..., Any]) -> None:
    with sqlite_world.core.database.read() as connection:
        found = look(connection, None, 5) if look is queries.loudest else look(connection, None)
    assert found in ([], queries.Tally({}, {}))

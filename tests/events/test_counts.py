"""Counting events for charts and dial: each once, whatever dies in between."""

import asyncio
from functools import partial
from typing import cast

import pytest
import sqlalchemy as sa

from tests.build import a_report
from tests.fakes import NOW
from tests.world import World
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY, MINUTE, SECOND
from tocsin.db.writer import Tx
from tocsin.engine.steps import STEPS
from tocsin.events import counts


def looked(world: World) -> counts.Look | None:
    with world.core.database.read() as connection:
        return counts.look(connection, world.clock.now())


async def counted(world: World) -> None:
    while found := looked(world):
        await world.write(partial(counts.add, found=found))


def cells(world: World) -> list[tuple[int, int, int]]:
    with world.core.database.read() as connection:
        return [(one.cell - NOW, one.events, one.problems) for one in counts.cells(connection, NOW - DAY, NOW + DAY, None)]


async def test_events_are_counted_in_the_five_minutes_in_which_they_occurred(world: World) -> None:
    await world.report(a_report("disk:/"), a_report("disk:/var"), a_report("job:1", status="info"))
    await world.report(a_report("disk:/home", at=NOW - 6 * MINUTE))
    world.clock.advance(5 * SECOND)
    await counted(world)
    assert cells(world) == [(-10 * MINUTE, 1, 1), (0, 3, 2)]


async def test_counting_goes_on_where_it_stopped(world: World) -> None:
    await world.report(a_report("disk:/"))
    world.clock.advance(5 * SECOND)
    await counted(world)
    await world.report(a_report("disk:/var"))
    world.clock.advance(5 * SECOND)
    await counted(world)
    await counted(world)
    assert cells(world) == [(0, 2, 2)]


async def test_two_nodes_that_look_at_the_same_time_count_once(world: World) -> None:
    await world.report(a_report("disk:/"))
    world.clock.advance(5 * SECOND)
    first, second = looked(world), looked(world)
    assert first is not None
    assert second is not None
    assert await world.write(lambda tx: counts.add(tx, first)) is True
    assert await world.write(lambda tx: counts.add(tx, second)) is False
    assert cells(world) == [(0, 1, 1)]


async def test_events_of_the_last_seconds_wait_but_are_seen_as_the_last(world: World) -> None:
    await world.report(a_report("disk:/"))
    assert looked(world) is None
    with world.core.database.read() as connection:
        assert counts.last_seen(connection, [1, 2]) == {1: NOW}


@pytest.mark.claim("T6")
async def test_old_counts_are_removed(world: World) -> None:
    await world.report(a_report("disk:/"))
    world.clock.advance(5 * SECOND)
    await counted(world)

    def tidy_later(tx: Tx) -> None:
        counts.tidy(tx, NOW + counts.KEEP + DAY)

    await world.write(tidy_later)
    assert cells(world) == []


async def test_a_round_of_counting_ends_though_events_go_on_coming(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    def one_more(_connection: sa.Connection, _now: int) -> counts.Look:
        rounds.append(len(rounds))
        return counts.Look(rounds[-1], rounds[-1] + 1, ())

    monkeypatch.setattr(counts, "look", one_more)
    (step,) = (step for step in STEPS if step.name == "count events")
    async with asyncio.timeout(10):
        await step.run(cast("Server", world))
    assert rounds == [0]


async def test_a_round_of_counting_goes_on_after_a_full_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "AT_ONCE", 2)
    await world.report(*(a_report(f"disk:/{n}") for n in range(5)))
    world.clock.advance(5 * SECOND)
    (step,) = (step for step in STEPS if step.name == "count events")
    await step.run(cast("Server", world))
    assert cells(world) == [(0, 5, 5)]

"""History for the tests of what keeps it small: samples of some days, and all that can be asked about them."""

import random
from typing import Any

import sqlalchemy as sa

from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.metrics.model import Sample, SeriesFilter
from tocsin.metrics.service import Piece

MIDNIGHT = 1_764_028_800_000 // DAY * DAY


def samples_of(world: World, days: int, *, until: int, series: int = 20, step: int = HOUR // 2) -> list[Sample]:
    """Made-up samples of the *days* before *until*: series with gaps, jitter and values of every kind."""
    chance, site = random.Random(7), world.core.sites.get("main").id
    found = []
    for number in range(series):
        for at in range(until - days * DAY, until, step):
            if chance.random() < 0.9:
                value = [round(chance.gauss(50, 9), 2), float(at // 1_000_000), chance.random() * 1e9][number % 3]
                found.append(Sample(site, f"load{number}_percent", at + number % 2 * chance.randrange(MINUTE), value, "web1"))
    return found


def recent(world: World, *, series: int) -> list[Sample]:
    """Those of the last two minutes, every ten seconds."""
    now, site = world.clock.now(), world.core.sites.get("main").id
    times = range(now - 2 * MINUTE, now, 10 * SECOND)
    return [Sample(site, f"load{number}_percent", at, at % 997 / 10, "web1") for at in times for number in range(series)]


async def record(world: World, samples: list[Sample]) -> None:
    for start in range(0, len(samples), 5_000):
        some = samples[start : start + 5_000]
        await world.write(lambda tx, some=some: world.core.history.record(tx, some, world.clock.now()))  # type: ignore[misc]  # lambdas with defaults have no type


def next_piece(world: World, days: int = 90) -> Piece | None:
    with world.core.database.read() as connection:
        return world.core.history.next_piece(connection, days, world.clock.now())


async def keep(world: World, days: int = 90, *, at_most: int = 10_000) -> int:
    """Does all that is to be done; answers in how many pieces."""
    done = 0
    while done < at_most and (piece := next_piece(world, days)):
        assert await world.write(piece.write)
        done += 1
    return done


def everything(world: World) -> dict[str, list[tuple[int, float]]]:
    """Every sample of every series, as the history gives it back."""
    with world.core.database.read() as connection:
        history = world.core.history
        return {one.name: history.points(connection, one.id, 0, 2**45) for one in history.find(connection, SeriesFilter())}


def rollups(world: World, table: sa.Table) -> list[Any]:
    return [tuple(row) for row in world.rows(sa.select(table).order_by(*table.primary_key.columns))]

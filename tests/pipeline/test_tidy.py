"""What is too old to keep goes, a little at a time, and nothing else does."""

import pytest

from tests.fakes import NOW
from tests.world import World
from tocsin.core.clock import DAY, HOUR
from tocsin.core.errors import FieldError
from tocsin.db import tables
from tocsin.engine import tidy
from tocsin.events.model import Rejected


async def refused(world: World, number: int) -> None:
    await world.report(Rejected(0, None, (FieldError("type", "is no type"),), f'{{"type": "BAD {number}"}}'.encode()))


@pytest.mark.claim("T6")
async def test_what_could_not_be_taken_is_kept_for_thirty_days(world: World) -> None:
    await refused(world, 1)
    world.clock.at = NOW + 29 * DAY
    await refused(world, 2)
    for later, left in ((30 * DAY - HOUR, 2), (30 * DAY + HOUR, 1), (60 * DAY, 0)):
        world.clock.at = NOW + later
        await world.write(lambda tx: tidy.run(tx, world.clock.now()))
        assert world.count(tables.quarantine) == left


@pytest.mark.claim("T6")
async def test_no_more_is_kept_than_the_limit_and_the_oldest_go_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "MAX_QUARANTINE", 3)
    for number in range(5):
        world.clock.advance(HOUR)
        await refused(world, number)
    await world.write(lambda tx: tidy.run(tx, world.clock.now()))
    kept = world.rows(tables.quarantine.select().with_only_columns(tables.quarantine.c.payload).order_by(tables.quarantine.c.id))
    assert [payload[-3] for (payload,) in kept] == ["2", "3", "4"]

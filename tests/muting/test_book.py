"""What is kept in memory: when it is looked at anew, and that nobody can put the old in the place of the new."""

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from tests.fakes import NOW
from tests.muting.build import a_dependency, a_maintenance, a_silence, labels
from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.db import tables
from tocsin.muting import store
from tocsin.muting.book import MuteBook
from tocsin.muting.model import Dependency, Maintenance, Silence


async def stored(world: World, *kept: Silence | Maintenance | Dependency) -> MuteBook:
    """A book of these, and of what an installation begins with."""

    def work(tx: Any) -> None:
        for one in kept:
            store.add(tx, one)

    await world.write(work)
    book = MuteBook()
    load(world, book)
    return book


def load(world: World, book: MuteBook, now: int = NOW) -> None:
    with world.core.database.read() as connection:
        book.load(connection, now)


async def test_the_state_is_the_same_until_something_opens_closes_or_is_changed(sqlite_world: World) -> None:
    silence = a_silence(starts_at=NOW + MINUTE, ends_at=NOW + HOUR)
    book = await stored(sqlite_world, silence)
    before = book.at(NOW)
    load(sqlite_world, book)
    assert book.at(NOW + MINUTE - 1) is before
    assert before.why(labels()) is None
    during = book.at(NOW + MINUTE)
    assert during is not before
    assert (during.since, during.until) == (NOW + MINUTE, NOW + HOUR)
    assert during.why(labels()) is not None
    assert book.at(NOW + HOUR).why(labels()) is None
    await sqlite_world.write(lambda tx: store.remove(tx, Silence, silence.id))
    load(sqlite_world, book)
    assert book.at(NOW + MINUTE).why(labels()) is None


async def test_a_clock_that_is_put_back_finds_what_held_then(sqlite_world: World) -> None:
    book = await stored(sqlite_world, a_silence(), a_maintenance(rrule="FREQ=DAILY", starts_at=NOW + 2 * HOUR, ends_at=NOW + 3 * HOUR))
    assert book.at(NOW + DAY + 2 * HOUR).why(labels()) is not None
    assert book.at(NOW + DAY).why(labels()) is None
    assert "silence" in str(book.at(NOW).why(labels()))
    assert "maintenance" in str(book.at(NOW + 2 * HOUR).why(labels()))


async def test_what_another_thread_has_worked_out_from_older_rows_does_not_stay(sqlite_world: World) -> None:
    book = await stored(sqlite_world)
    old = book.at(NOW)
    await sqlite_world.write(lambda tx: store.add(tx, a_silence()))
    load(sqlite_world, book)
    book._state = old  # a thread that had looked at what was known just before
    assert book.at(NOW).why(labels()) is not None


async def test_what_is_over_is_not_read_and_what_comes_again_is(sqlite_world: World) -> None:
    kept = (
        a_silence(number=1),
        a_maintenance(number=2),
        a_maintenance(number=3, rrule="FREQ=YEARLY"),
        a_maintenance(number=4, rrule="FREQ=DAILY", ended_at=NOW + MINUTE),
        a_dependency(number=5),
    )
    await stored(sqlite_world, *kept)
    with sqlite_world.core.database.read() as connection:
        found = [row[0] for rows in store.unended(connection, NOW + 2 * HOUR) for row in rows]
        shipped = connection.execute(sa.select(tables.dependencies.c.id).where(tables.dependencies.c.created_by == "tocsin")).scalar_one()
    assert set(found) == {kept[2].id, kept[4].id, shipped}


async def test_refreshing_at_once_from_many_threads_ends_with_the_newest(sqlite_world: World) -> None:
    core = sqlite_world.core
    entered, go_on = threading.Event(), threading.Event()
    load_sites = core.sites.load

    def slow(connection: sa.Connection) -> None:
        load_sites(connection)
        entered.set()
        go_on.wait(5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.sites, "load", slow)
        first = threading.Thread(target=core.refresh)
        first.start()
        entered.wait(5)
        patch.setattr(core.sites, "load", load_sites)
        await sqlite_world.write(lambda tx: store.add(tx, a_silence()))
        second = threading.Thread(target=core.refresh)
        second.start()
        second.join(0.2)
        go_on.set()
        first.join(5)
        second.join(5)
    assert core.mutes.at(NOW).why(labels()) is not None

"""Who goes on call and could hardly be reached: told a day ahead, once, and over when it is mended."""

import asyncio

import pytest

from tests.escalation.crew import Crew
from tests.world import World
from tocsin.core.clock import DAY, HOUR
from tocsin.db import tables
from tocsin.identity.model import Role
from tocsin.notify import readiness
from tocsin.notify.contacts import read_directory

pytestmark = pytest.mark.claim("N7", "A5")


@pytest.fixture
async def crew(world: World) -> Crew:
    """On each database; it is Monday 2026-01-05, 08:00 in Berlin."""
    return await Crew(world).start("2026-01-05T07:00")


@pytest.fixture
async def small_crew(sqlite_world: World) -> Crew:
    return await Crew(sqlite_world).start("2026-01-05T07:00")


async def look(crew: Crew) -> None:
    """What the engine does at this moment."""
    watch, core = crew.world.core.readiness, crew.world.core
    if await asyncio.to_thread(watch.has_news, core.database):
        await crew.world.write(watch.tell)
    await crew.world.settle()


def titles(crew: Crew) -> list[tuple[str, int, str]]:
    return [(alert.title, alert.severity, alert.status) for alert in crew.world.alerts()]


@pytest.mark.claim("T10")
async def test_who_goes_on_call_with_one_contact_is_told_of_a_day_ahead_once_and_until_there_are_two(crew: Crew) -> None:
    cleo = await crew.person("cleo", Role.RESPONDER, ntfy="cleo")
    await crew.rota("anna", "cleo", unit="week")
    await look(crew)
    assert titles(crew) == [], "Cleo's week begins in seven days"
    crew.world.clock.advance(6 * DAY + 2 * HOUR)
    await look(crew)
    await look(crew)
    assert titles(crew) == [("Cleo goes on call Mon 12 Jan, 09:00 with 1 verified contact", 3, "open")]
    assert [(one.contact.target, one.alert.title) for one in crew.letters if one.message.kind == "notice"] == [
        ("cleo", "You go on call Mon 12 Jan, 09:00 and can be reached in one way only")
    ]
    crew.ids["cleo"] = cleo
    now = crew.world.clock.now()
    await crew.world.write(lambda tx: crew._contact(tx, cleo, "email", "cleo@example.com"))
    await crew.refresh()
    await look(crew)
    assert [status for *_, status in titles(crew)] == ["resolved"]
    assert crew.world.alert().resolution == "Ready for duty: there are two verified contacts"
    assert crew.world.clock.now() == now


async def test_who_can_not_be_reached_at_all_is_louder_and_losing_one_says_so_again(small_crew: Crew) -> None:
    crew = small_crew
    await crew.person("cleo", Role.RESPONDER, ntfy="cleo")
    await crew.rota("cleo")
    await look(crew)
    await crew.world.write(
        lambda tx: tx.sql.execute(tables.contacts.update().where(tables.contacts.c.target == "cleo").values(disabled_at=1))
    )
    await crew.refresh()
    await look(crew)
    assert titles(crew) == [("Cleo goes on call Mon 5 Jan, 09:00 with no verified contact", 4, "open")]


async def test_who_is_not_on_call_any_more_is_not_told_of_any_more(small_crew: Crew) -> None:
    crew = small_crew
    await crew.person("cleo", Role.RESPONDER, ntfy="cleo")
    await crew.rota("cleo")
    await look(crew)
    await crew.disable("cleo")
    await look(crew)
    (alert,) = crew.world.alerts()
    assert (alert.status, alert.resolution) == ("resolved", "Ready for duty: not on call within a day any more")
    assert crew.world.count(tables.oncall_unready) == 0


async def test_a_step_that_dies_before_its_commit_tells_once_when_it_runs_again(small_crew: Crew) -> None:
    crew = small_crew
    await crew.person("cleo", Role.RESPONDER, ntfy="cleo")
    await crew.rota("cleo")

    def dies(tx: object) -> None:
        crew.world.core.readiness.tell(tx)  # type: ignore[arg-type]  # the writer's own
        raise MemoryError

    with pytest.raises(MemoryError):
        await crew.world.write(dies)
    assert (titles(crew), crew.world.messages()) == ([], [])
    await look(crew)
    assert len([m for m in crew.world.messages() if m.kind == "notice"]) == 1


async def test_a_text_and_a_call_to_one_number_are_one_way(small_crew: Crew) -> None:
    crew = small_crew
    await crew.person("cleo", Role.RESPONDER, sms="+4915100000009", voice="+4915100000009")
    await crew.rota("cleo", "anna")
    with crew.world.core.database.read() as connection:
        soon = readiness.on_duty_soon(read_directory(connection, crew.begun_at), crew.begun_at + 2 * HOUR)
    assert [(one.name, one.contacts, one.is_ready) for one in soon] == [("Cleo", 1, False), ("Anna", 2, True)]

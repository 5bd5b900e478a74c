"""Who made a silence hears that it is about to end, if it still keeps something quiet."""

from typing import Any

import sqlalchemy as sa

from tests.build import ONCALL_PHONE, OWNER_PHONE, a_report, an_id
from tests.fakes import NOW
from tests.muting.build import a_silence, keep
from tests.world import World
from tocsin.core.clock import HOUR, MINUTE
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.muting.model import Silence

MARTA = an_id(0x3A)
HOST: dict[str, Any] = {"host": "web-1"}


async def marta(world: World) -> None:
    """Marta has a phone; another belongs to nobody."""
    await world.people(ONCALL_PHONE, OWNER_PHONE)

    def work(tx: Tx) -> None:
        person = {"id": MARTA, "email": "marta@example.com", "name": "Marta", "role": "responder", "created_at": NOW}
        tx.sql.execute(tables.users.insert().values(**person))
        tx.sql.execute(sa.update(tables.contacts).where(tables.contacts.c.id == ONCALL_PHONE.id).values(user_id=MARTA))

    await world.write(work)
    world.core.refresh()


async def remind(world: World) -> list[tuple[str, str]]:
    """What the engine's step does; what each contact has got since the beginning."""
    due = world.core.reminders.due(world.core.database)
    await world.write(lambda tx: world.core.reminders.remind(tx, due))
    await world.settle()
    return [(letter.contact.target, letter.alert.title) for letter in world.ntfy.letters]


async def ends_later(world: World, silence: Silence, ends_at: int) -> None:
    """As the API does it."""
    await world.write(
        lambda tx: tx.sql.execute(
            sa.update(tables.silences).where(tables.silences.c.id == silence.id).values(ends_at=ends_at, reminded_at=None)
        )
    )
    world.core.refresh()


async def test_the_maker_is_told_once_and_nobody_else(world: World) -> None:
    await marta(world)
    await keep(world, silence := a_silence(ends_at=NOW + 4 * HOUR))
    await world.report(a_report("disk:/", **HOST), a_report("disk:/var", **HOST))
    world.clock.advance(3 * HOUR)
    assert await remind(world) == []
    world.clock.advance(30 * MINUTE)
    told = [(ONCALL_PHONE.target, 'The silence "disk swap" ends in 30 min')]
    assert await remind(world) == told
    (letter,) = world.ntfy.letters
    assert "still keeps 2 alerts quiet, which will page at 2025-11-25T04:00:00.000Z" in (letter.alert.message or "")
    assert silence.id in (letter.alert.message or "")
    world.clock.advance(MINUTE)
    assert await remind(world) == told


async def test_a_silence_that_is_made_longer_reminds_again(world: World) -> None:
    await marta(world)
    await keep(world, silence := a_silence(ends_at=NOW + 4 * HOUR))
    await world.report(a_report("disk:/", **HOST))
    world.clock.at = NOW + 4 * HOUR - 10 * MINUTE
    assert len(await remind(world)) == 1
    await ends_later(world, silence, NOW + 8 * HOUR)
    assert len(await remind(world)) == 1
    world.clock.at = NOW + 8 * HOUR - 10 * MINUTE
    assert len(await remind(world)) == 2


async def test_a_silence_that_keeps_nothing_quiet_ends_without_a_word(world: World) -> None:
    await marta(world)
    await keep(world, a_silence(ends_at=NOW + 4 * HOUR))
    world.clock.at = NOW + 4 * HOUR - 10 * MINUTE
    assert await remind(world) == []


async def test_of_a_silence_that_a_program_made_those_contacts_hear_that_are_nobodys_own(world: World) -> None:
    await marta(world)
    await keep(world, a_silence(created_by="key:deploy"))
    await world.report(a_report("disk:/", **HOST))
    world.clock.at = NOW + 50 * MINUTE  # a quarter of the hour
    assert await remind(world) == [(OWNER_PHONE.target, 'The silence "disk swap" ends in 10 min')]


async def test_a_silence_that_was_ended_between_look_and_word_is_left_alone(world: World) -> None:
    await marta(world)
    await keep(world, silence := a_silence())
    await world.report(a_report("disk:/", **HOST))
    world.clock.at = NOW + 50 * MINUTE
    due = world.core.reminders.due(world.core.database)
    assert due[0].silence == silence
    await ends_later(world, silence, world.clock.at)
    await world.write(lambda tx: world.core.reminders.remind(tx, due))
    await world.settle()
    assert world.ntfy.letters == []

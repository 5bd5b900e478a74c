"""Asking somebody to swap a duty, as stories: who hears of it, and what becomes of it."""

import asyncio
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from tests.escalation.crew import Crew
from tests.oncall.build import utc
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.oncall import service, store
from tocsin.oncall.model import Answer, Override, OverrideKind, Schedule, SwapRequest, SwapStatus, Turn

pytestmark = pytest.mark.claim("A5")


class Pair:
    """Anna and Ben take turns, a day each from nine in Berlin: Anna has Thursday 8 January, Ben Friday 9 January."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.desk = world.core.swaps

    async def start(self) -> "Pair":
        self.crew = await Crew(self.world).start("2026-01-06T12:00")
        self.schedule: Schedule = await self.crew.rota("ben", "anna")
        self.anna, self.ben = self.crew.ids["anna"], self.crew.ids["ben"]
        return self

    async def ask(self, first: str = "2026-01-08", second: str = "2026-01-09", note: str = "A wedding.") -> SwapRequest:
        one, two = [Turn(who, utc(f"{day}T10:00"), utc(f"{day}T20:00")) for who, day in ((self.anna, first), (self.ben, second))]
        made = await self.world.write(lambda tx: self.desk.ask(tx, Who("anna@example.com"), self.schedule.id, one, two, note))
        await self.world.settle()
        return made

    async def answer(self, asked: SwapRequest, answer: Answer, who: str = "ben@example.com") -> SwapRequest:
        self.world.clock.advance(SECOND)
        done = await self.world.write(lambda tx: self.desk.answer(tx, Who(who), self.schedule.id, asked.id, answer))
        await self.world.settle()
        return done

    async def look(self) -> None:
        """As the engine does every ten seconds."""
        if self.is_any_unanswered():
            await self.world.write(self.desk.expire)
        await self.world.settle()

    def is_any_unanswered(self) -> bool:
        return self.world.core.database.finds(store.is_any_unanswered(self.world.clock.now()))

    def on_call(self, at: str) -> str:
        with self.world.core.database.read() as connection:
            ((_, (duty,)),) = service.duties(connection, [self.schedule], utc(at))
        return {self.anna: "anna", self.ben: "ben"}[duty.user]

    @property
    def told(self) -> list[str]:
        return [f"{one.contact.target}: {one.alert.title}. {one.alert.message}" for one in self.crew.letters]


@pytest.fixture
async def pair(world: World) -> Pair:
    return await Pair(world).start()


@pytest.fixture
async def sqlite_pair(sqlite_world: World) -> Pair:
    return await Pair(sqlite_world).start()


THURSDAY, FRIDAY = [f"from {day} Jan 2026, 11:00 until {day} Jan 2026, 21:00" for day in ("Thu 8", "Fri 9")]
ZONE = "Times are of Europe/Berlin."


async def test_who_is_asked_hears_of_it_accepts_and_both_hear_that_it_is_done(pair: Pair) -> None:
    asked = await pair.ask()
    assert [pair.on_call(f"2026-01-{day}T12:00") for day in ("08", "09")] == ["anna", "ben"]
    done = await pair.answer(asked, Answer.ACCEPTED)
    assert (done.status(pair.world.clock.at), done.answered_by) == (SwapStatus.ACCEPTED, "ben@example.com")
    assert [pair.on_call(f"2026-01-{day}T12:00") for day in ("08", "09")] == ["ben", "anna"]
    assert pair.told == [
        (
            f"ben: Anna asks you to swap watches: First line. You would give your watch {FRIDAY} for that of Anna {THURSDAY}."
            f" Anna says: A wedding. Answer by Thu 8 Jan 2026, 11:00. {ZONE}"
        ),
        f"anna: Watches are swapped: First line. You gave your watch {THURSDAY} for that of Ben {FRIDAY}. {ZONE}",
        f"ben: Watches are swapped: First line. You gave your watch {FRIDAY} for that of Anna {THURSDAY}. {ZONE}",
    ]


async def test_a_refusal_changes_nothing_and_who_asked_hears_of_it(sqlite_pair: Pair) -> None:
    await sqlite_pair.answer(await sqlite_pair.ask(), Answer.REFUSED)
    assert [sqlite_pair.on_call(f"2026-01-{day}T12:00") for day in ("08", "09")] == ["anna", "ben"]
    assert sqlite_pair.told[1:] == [f"anna: The swap was refused: First line. You keep your watch {THURSDAY}. {ZONE}"]


async def test_who_asked_can_take_it_back_and_then_it_cannot_be_accepted(sqlite_pair: Pair) -> None:
    asked = await sqlite_pair.ask()
    await sqlite_pair.answer(asked, Answer.WITHDRAWN, "anna@example.com")
    assert sqlite_pair.told[1:] == [f"ben: Anna has taken the question back: First line. You keep your watch {FRIDAY}. {ZONE}"]
    with pytest.raises(Conflict, match="was withdrawn already"):
        await sqlite_pair.answer(asked, Answer.ACCEPTED)


async def test_accepting_twice_swaps_once_and_says_so_once(pair: Pair) -> None:
    asked = await pair.ask()
    for _ in range(2):
        await pair.answer(asked, Answer.ACCEPTED)
    assert pair.on_call("2026-01-08T12:00") == "ben"
    assert len(pair.told) == 3
    with pytest.raises(Conflict, match="was accepted already"):
        await pair.answer(asked, Answer.REFUSED)


async def test_a_question_expires_when_the_first_duty_begins_or_after_a_week(sqlite_pair: Pair) -> None:
    soon, late = await sqlite_pair.ask(), await sqlite_pair.ask("2026-01-20", "2026-01-21")
    assert [one.expires_at for one in (soon, late)] == [utc("2026-01-08T10:00"), sqlite_pair.world.clock.at + 7 * DAY]
    sqlite_pair.world.clock.advance(2 * DAY)
    assert soon.status(sqlite_pair.world.clock.at) is SwapStatus.EXPIRED
    with pytest.raises(Conflict, match=r"has expired at 2026-01-08T10:00:00\.000Z; ask again"):
        await sqlite_pair.answer(soon, Answer.ACCEPTED)


async def test_who_asked_hears_once_that_nobody_answered(pair: Pair) -> None:
    asked = await pair.ask()
    pair.world.clock.at = asked.expires_at - SECOND
    await pair.look()
    assert len(pair.told) == 1, "it can still be answered"
    for _ in range(2):
        pair.world.clock.advance(MINUTE)
        await pair.look()
    assert pair.told[1:] == [
        (
            "anna: Ben has not answered your question about a swap: First line."
            f" The question has expired, and you keep your watch {THURSDAY}. {ZONE}"
        )
    ]
    with pair.world.core.database.read() as connection:
        kept = store.get_swap(connection, pair.schedule.id, asked.id)
    assert (kept.answer, kept.answered_by, kept.status(pair.world.clock.at)) == (Answer.EXPIRED, "tocsin", SwapStatus.EXPIRED)
    log = tables.audit.c
    entries = pair.world.rows(sa.select(log.action).where(log.object == f"swap:{asked.id}").order_by(log.number))
    assert [row.action for row in entries] == ["swap.asked", "swap.expired"]
    with pytest.raises(Conflict, match="has expired"):
        await pair.answer(asked, Answer.ACCEPTED)


async def test_an_answer_in_time_never_expires(sqlite_pair: Pair) -> None:
    pair = sqlite_pair
    await pair.answer(await pair.ask(), Answer.REFUSED)
    pair.world.clock.advance(3 * DAY)
    await pair.look()
    assert not [told for told in pair.told if "has not answered" in told]


async def test_what_fails_while_word_of_it_is_written_is_done_anew_and_said_once(pair: Pair) -> None:
    asked, desk = await pair.ask(), pair.desk
    pair.world.clock.at = asked.expires_at

    def dies(tx: Tx) -> None:
        desk.expire(tx)
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        await pair.world.write(dies)
    assert pair.is_any_unanswered(), "nothing of it was kept"
    assert [await pair.world.write(desk.expire) for _ in range(2)] == [1, 0]
    await pair.world.settle()
    assert len([told for told in pair.told if "has not answered" in told]) == 1


async def test_two_nodes_that_look_at_once_tell_once_that_nobody_answered(postgresql_url: str, tmp_path: Path) -> None:
    world = World(postgresql_url, tmp_path)
    pair = await Pair(world).start()
    asked = await pair.ask()
    other = World(postgresql_url, tmp_path / "other", clock=world.clock, node="node-2")
    world.clock.at = asked.expires_at
    found = await asyncio.gather(world.write(world.core.swaps.expire), other.write(other.core.swaps.expire))
    assert sorted(found) == [0, 1]
    await asyncio.gather(world.settle(), other.settle())
    assert world.count(tables.notices) == 2, "the question, and that nobody answered it"
    await other.close()
    await world.close()


async def test_what_is_no_longer_there_cannot_be_swapped_and_the_question_stays(sqlite_pair: Pair) -> None:
    pair, now = sqlite_pair, sqlite_pair.world.clock.at
    asked = await pair.ask()
    for_anna = Override("", pair.schedule.id, OverrideKind.REMOVE, pair.anna, None, now + HOUR, now + 5 * DAY)
    await pair.world.write(lambda tx: service.add_override(tx, Who("olga@example.com"), for_anna, now))
    with pytest.raises(InvalidInput, match=r"first.user: anna@example.com is not on call"):
        await pair.answer(asked, Answer.ACCEPTED)
    assert (await pair.answer(asked, Answer.REFUSED)).answer is Answer.REFUSED


async def test_a_duty_that_has_begun_is_not_asked_for(sqlite_pair: Pair) -> None:
    with pytest.raises(InvalidInput) as refused:
        await sqlite_pair.ask("2026-01-06")
    assert [error.field for error in refused.value.errors] == ["first.starts_at"]


async def test_a_schedule_takes_its_swaps_with_it(pair: Pair) -> None:
    await pair.ask()
    await pair.world.write(lambda tx: service.remove_schedule(tx, Who("olga@example.com"), pair.schedule.id, pair.world.clock.at))


async def test_word_of_a_swap_waits_for_a_server_that_was_killed(sqlite_url: str, tmp_path: Path) -> None:
    world = World(sqlite_url, tmp_path)
    pair = await Pair(world).start()
    world.ntfy.hangs_for.add("ben")
    await pair.ask()
    world.ntfy.free()
    await world.restart()
    await world.pass_time(HOUR)
    assert [msgspec.structs.astuple(m)[3:5] for m in world.messages(status="sent")] == [("notice", 0)]
    await world.close()

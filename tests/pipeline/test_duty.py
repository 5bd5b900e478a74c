"""What people are told about schedules, as stories: a whole Tocsin, a fake clock, channels that keep what they were given."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.build import ONCALL_MAIL, ONCALL_PHONE, OWNER_PHONE
from tests.fakes import DOWN, SENT
from tests.oncall.build import utc
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import service as identity
from tocsin.identity.model import Role
from tocsin.notify.model import Kind
from tocsin.oncall import service
from tocsin.oncall.definition import LayerText
from tocsin.oncall.model import Override, OverrideKind, Schedule
from tocsin.oncall.service import ScheduleChange

pytestmark = pytest.mark.claim("A5")

WHO = Who("marta@example.com")
OFFICE = {"weekdays": [1, 2, 3, 4, 5], "from": "09:00", "to": "17:00"}


class Rota:
    """Anna (phone, mail) and Ben (phone) in a `World` that begins on Monday 2026-01-05, 07:00 UTC, which is 08:00 in Berlin."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def start(self) -> "Rota":
        self.world.clock.at = utc("2026-01-05T07:00")
        self.anna, self.ben = [await self._user(name) for name in ("anna", "ben")]
        await self.world.people(ONCALL_PHONE, ONCALL_MAIL, OWNER_PHONE)
        owners = {ONCALL_PHONE.id: self.anna, ONCALL_MAIL.id: self.anna, OWNER_PHONE.id: self.ben}

        def give(tx: Tx) -> None:
            for contact, user in owners.items():
                tx.sql.execute(tables.contacts.update().where(tables.contacts.c.id == contact).values(user_id=user))

        await self.world.write(give)
        await asyncio.to_thread(self.world.core.refresh)
        return self

    async def _user(self, name: str) -> str:
        now = self.world.clock.now()
        made = await self.world.write(lambda tx: identity.add_user(tx, f"{name}@example.com", name.title(), Role.RESPONDER, None, now))
        return made.id

    async def schedule(self, *users: str, unit: str = "day", restrictions: object = (), **other: object) -> Schedule:
        rotation = {"unit": unit, "length": 1, "starts_at": "2026-01-05T09:00", "users": list(users)}
        layers = [{"name": "Turns", "rotation": rotation, "restrictions": restrictions}] if users else []
        text = msgspec.convert(layers, tuple[LayerText, ...])
        wanted = ScheduleChange("First line", "Europe/Berlin", text, **other)  # type: ignore[arg-type]
        now = self.world.clock.now()
        return await self.world.write(lambda tx: service.add_schedule(tx, WHO, wanted, now))

    async def override(self, schedule: Schedule, kind: str, user: str | None, start: str, end: str) -> Override:
        wanted = Override("", schedule.id, OverrideKind(kind), user, None, utc(start), utc(end))
        now = self.world.clock.now()
        return await self.world.write(lambda tx: service.add_override(tx, WHO, wanted, now))

    async def look(self) -> None:
        """What the engine does at this moment."""
        duty, core = self.world.core.duty, self.world.core
        if await asyncio.to_thread(duty.has_changed, core.database):
            await self.world.write(duty.hand_over)
        if await asyncio.to_thread(duty.has_news_of_gaps, core.database):
            await self.world.write(duty.tell_of_gaps)
        await self.world.settle()
        await self.world.turn()

    async def live(self, ms: int, step: int = 30 * MINUTE) -> None:
        """Passes the time, looking every half hour."""
        end = self.world.clock.at + ms
        while self.world.clock.at < end:
            self.world.clock.at = min(end, self.world.clock.at + step)
            await self.look()

    def told(self) -> list[tuple[str, str]]:
        """The notices that were sent: where to, and what was said."""
        letters = [letter for channel in (self.world.ntfy, self.world.email) for letter in channel.letters]
        notices = sorted((one for one in letters if one.message.kind == Kind.NOTICE), key=lambda one: (one.now, one.contact.target))
        return [(one.contact.target, f"{one.alert.title}. {one.alert.message}") for one in notices]

    def gaps(self) -> list[tuple[str, int, str]]:
        """The alerts about gaps: state, severity, title."""
        return [(a.status, a.severity, a.title) for a in self.world.alerts() if a.type == "tocsin.oncall_gap"]


@pytest.fixture
async def rota(world: World) -> Rota:
    return await Rota(world).start()


@pytest.fixture
async def sqlite_rota(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Rota]:
    world = World(sqlite_url, tmp_path)
    yield await Rota(world).start()
    await world.close()


def until(day: str) -> str:
    return f"You are on call now: First line. Until {day} Jan 2026, 09:00. Times are of Europe/Berlin."


# Hand-offs.


async def test_whoever_comes_on_duty_is_told_once_at_each_of_their_contacts(rota: Rota) -> None:
    await rota.schedule(rota.anna, rota.ben)
    await rota.live(50 * HOUR)
    assert rota.told() == [
        ("oncall-phone", until("Tue 6")),
        ("oncall@example.com", until("Tue 6")),
        ("owner-phone", until("Wed 7")),
        ("oncall-phone", until("Thu 8")),
        ("oncall@example.com", until("Thu 8")),
    ]


async def test_somebody_who_stays_on_duty_is_not_told_again(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    await rota.schedule(rota.ben, rota.ben, rota.anna)
    await rota.live(40 * HOUR)
    assert rota.told() == [("owner-phone", until("Wed 7"))]


async def test_who_is_alone_in_a_rotation_hears_that_there_is_no_end(sqlite_rota: Rota) -> None:
    await sqlite_rota.schedule(sqlite_rota.ben)
    await sqlite_rota.live(30 * HOUR)
    assert sqlite_rota.told() == [("owner-phone", "You are on call now: First line. There is no end in sight. Times are of Europe/Berlin.")]


async def test_an_override_hands_over_and_back(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    schedule = await rota.schedule(rota.ben)
    await rota.live(3 * HOUR)
    rota.world.ntfy.letters.clear()
    await rota.override(schedule, "replace", rota.anna, "2026-01-05T12:00", "2026-01-05T14:00")
    await rota.live(5 * HOUR)
    assert [(target, text.partition(". ")[2][:30]) for target, text in rota.told() if "phone" in target] == [
        ("oncall-phone", "Until Mon 5 Jan 2026, 15:00. T"),
        ("owner-phone", "There is no end in sight. Time"),
    ]


async def test_a_look_that_is_repeated_tells_nobody_twice(rota: Rota) -> None:
    await rota.schedule(rota.ben)
    rota.world.clock.advance(3 * HOUR)
    await rota.world.write(rota.world.core.duty.hand_over)
    await rota.world.write(rota.world.core.duty.hand_over)
    await rota.world.settle()
    assert len(rota.told()) == 1


async def test_two_nodes_that_look_at_once_tell_once(postgresql_url: str, tmp_path: Path) -> None:
    world = World(postgresql_url, tmp_path)
    other = World(postgresql_url, tmp_path / "other", clock=world.clock, node="node-2")
    rota = await Rota(world).start()
    await asyncio.to_thread(other.core.refresh)
    await rota.schedule(rota.ben)
    world.clock.advance(3 * HOUR)
    await asyncio.gather(world.write(world.core.duty.hand_over), other.write(other.core.duty.hand_over))
    await asyncio.gather(world.settle(), other.settle())
    assert len(world.messages(kind="notice")) == 1
    await other.close()
    await world.close()


async def test_a_transaction_that_fails_has_told_nobody_and_the_next_one_does(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    await rota.schedule(rota.ben)
    rota.world.clock.advance(3 * HOUR)

    def fail(tx: Tx) -> None:
        rota.world.core.duty.hand_over(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await rota.world.write(fail)
    assert rota.world.messages() == []
    await rota.look()
    assert len(rota.told()) == 1


async def test_after_an_outage_those_are_told_who_are_on_duty_then(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    await rota.schedule(rota.anna, rota.ben, rota.anna)
    await rota.live(3 * HOUR)
    rota.world.ntfy.letters.clear()
    rota.world.email.letters.clear()
    rota.world.clock.advance(22 * HOUR)  # Tocsin was off while Ben came on duty
    await rota.look()
    assert rota.told() == [("owner-phone", until("Wed 7"))]


async def test_a_notice_that_could_not_be_sent_in_time_is_not_sent_late(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    await rota.schedule(rota.ben, rota.anna, unit="hour")
    rota.world.ntfy.outcome = DOWN
    await rota.live(90 * MINUTE)
    rota.world.clock.advance(2 * HOUR)
    rota.world.ntfy.outcome = SENT
    rota.world.ntfy.letters.clear()
    await rota.world.pass_time(HOUR)
    assert [text for target, text in rota.told() if target == "owner-phone"] == []
    assert {m.last_error for m in rota.world.messages(contact_id=OWNER_PHONE.id, kind="notice")} == {
        "its time was over before this was sent"
    }


async def test_a_schedule_may_hand_over_in_silence(sqlite_rota: Rota) -> None:
    await sqlite_rota.schedule(sqlite_rota.ben, announce_hand_offs=False)
    await sqlite_rota.live(3 * HOUR)
    assert sqlite_rota.told() == []


async def test_somebody_who_is_disabled_while_on_duty_goes_off_it(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    await rota.schedule(rota.anna)
    await rota.live(3 * HOUR)

    def disable(tx: Tx) -> None:
        tx.sql.execute(tables.users.update().where(tables.users.c.id == rota.anna).values(disabled_at=1))

    await rota.world.write(disable)
    await rota.look()
    assert rota.world.count(tables.on_duty) == 0
    assert rota.gaps()[1:] == [("open", 4, "Nobody is on call in First line: now with no end in sight")]


# Gaps.


async def test_a_gap_is_announced_a_day_ahead_and_louder_when_it_begins(rota: Rota) -> None:
    schedule = await rota.schedule(rota.ben)
    await rota.override(schedule, "remove", rota.ben, "2026-01-08T08:00", "2026-01-09T08:00")
    rota.world.clock.at = utc("2026-01-07T07:00")
    await rota.look()
    assert rota.gaps() == []
    await rota.live(2 * HOUR)
    title = "Nobody is on call in First line: from Thu 8 Jan 2026, 09:00 until Fri 9 Jan 2026, 09:00"
    assert rota.gaps() == [("open", 3, title)]
    await rota.live(24 * HOUR)
    assert rota.gaps() == [("open", 4, "Nobody is on call in First line: now until Fri 9 Jan 2026, 09:00")]
    assert [m.kind for m in rota.world.messages(contact_id=ONCALL_PHONE.id, step=0)] == ["opened", "escalated"]
    await rota.live(24 * HOUR)
    assert [gap[0] for gap in rota.gaps()] == ["resolved"]
    assert "resolved: a recovery event arrived" in rota.world.history(1)
    assert rota.world.count(tables.oncall_gaps) == 0


async def test_a_gap_that_is_filled_resolves_itself(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    schedule = await rota.schedule(rota.ben)
    await rota.override(schedule, "remove", rota.ben, "2026-01-06T04:00", "2026-01-06T08:00")
    await rota.live(MINUTE, MINUTE)
    # The hour before the first turn, which is now, and the morning of tomorrow.
    assert [(gap[0], gap[1]) for gap in rota.gaps()] == [("open", 4), ("open", 3)]
    await rota.override(schedule, "add", rota.anna, "2026-01-06T04:00", "2026-01-06T08:00")
    await rota.look()
    assert [gap[0] for gap in rota.gaps()] == ["open", "resolved"]
    (resolved,) = rota.world.details(2, "resolved")
    assert resolved["title"] == "No gap any more: somebody is on call"


async def test_a_gap_that_is_filled_in_its_middle_becomes_two(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    rota.world.clock.at = utc("2026-01-05T09:00")
    schedule = await rota.schedule(rota.ben)
    await rota.override(schedule, "remove", rota.ben, "2026-01-06T04:00", "2026-01-06T08:00")
    await rota.look()
    await rota.override(schedule, "add", rota.anna, "2026-01-06T05:00", "2026-01-06T06:00")
    await rota.look()
    assert rota.gaps() == [
        ("open", 3, "Nobody is on call in First line: from Tue 6 Jan 2026, 05:00 until Tue 6 Jan 2026, 06:00"),
        ("open", 3, "Nobody is on call in First line: from Tue 6 Jan 2026, 07:00 until Tue 6 Jan 2026, 09:00"),
    ]
    assert len(rota.world.messages(contact_id=ONCALL_PHONE.id)) == 2  # one page for each, none for the change


async def test_a_gap_without_end_is_one_alert_however_long_it_lasts(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    schedule = await rota.schedule()
    await rota.live(50 * HOUR, 5 * HOUR)
    assert rota.gaps() == [("open", 4, "Nobody is on call in First line: now with no end in sight")]
    await rota.override(schedule, "add", rota.ben, "2026-01-07T00:00", "2026-02-01T00:00")
    await rota.look()
    assert [gap[0] for gap in rota.gaps()] == ["resolved"]


async def test_each_night_of_a_schedule_for_office_hours_is_a_gap_unless_it_says_otherwise(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    schedule = await rota.schedule(rota.ben, restrictions=[OFFICE])
    await rota.live(2 * DAY, 2 * HOUR)
    assert len(rota.gaps()) == 3  # last night, this one, and the next
    now = rota.world.clock.now()
    await rota.world.write(lambda tx: service.change_schedule(tx, WHO, schedule.id, ScheduleChange(announce_gaps=False), now))
    await rota.live(3 * DAY, 2 * HOUR)
    assert {gap[0] for gap in rota.gaps()} == {"resolved"}
    assert len(rota.gaps()) == 3


async def test_the_alerts_of_a_schedule_that_is_removed_are_resolved(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    schedule = await rota.schedule()
    await rota.look()
    await rota.world.write(lambda tx: service.remove_schedule(tx, WHO, schedule.id, rota.world.clock.now()))
    await rota.look()
    assert [gap[0] for gap in rota.gaps()] == ["resolved"]
    assert rota.world.details(1, "resolved")[0]["title"] == "No gap any more: the schedule was removed"


async def test_a_gap_is_announced_once_by_two_looks(rota: Rota) -> None:
    await rota.schedule()
    for _ in range(2):
        await rota.world.write(rota.world.core.duty.tell_of_gaps)
    assert len(rota.gaps()) == 1
    assert rota.world.alert().occurrences == 1


async def test_two_nodes_that_find_a_gap_at_once_open_one_alert(postgresql_url: str, tmp_path: Path) -> None:
    world = World(postgresql_url, tmp_path)
    other = World(postgresql_url, tmp_path / "other", clock=world.clock, node="node-2")
    rota = await Rota(world).start()
    await rota.schedule()
    found, other_looks = threading.Event(), threading.Event()

    def find_and_wait(tx: Tx) -> None:
        world.core.duty.tell_of_gaps(tx)
        found.set()
        other_looks.wait(10)

    first = asyncio.ensure_future(world.write(find_and_wait))
    await asyncio.to_thread(found.wait, 10)
    second = asyncio.ensure_future(other.write(other.core.duty.tell_of_gaps))
    await asyncio.sleep(0.3)  # time enough to look, if nothing held it back
    other_looks.set()
    await asyncio.gather(first, second)
    assert len(rota.gaps()) == 1
    assert world.alert().occurrences == 1
    await other.close()
    await world.close()


async def test_who_has_a_long_turn_hears_when_it_ends(sqlite_rota: Rota) -> None:
    await sqlite_rota.schedule(sqlite_rota.ben, sqlite_rota.anna, unit="month")
    await sqlite_rota.live(3 * HOUR)
    assert sqlite_rota.told() == [("owner-phone", until("Thu 5").replace("Thu 5 Jan", "Thu 5 Feb"))]


async def test_nothing_to_tell_costs_no_transaction(sqlite_rota: Rota) -> None:
    rota = sqlite_rota
    await rota.schedule(rota.ben)
    await rota.live(3 * HOUR)
    duty, database = rota.world.core.duty, rota.world.core.database
    rota.world.clock.advance(SECOND)
    assert (duty.has_changed(database), duty.has_news_of_gaps(database)) == (False, False)

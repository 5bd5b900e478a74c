"""Schedules, overrides and teams as they are stored, on both databases."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from tests.oncall.build import utc
from tocsin.audit.model import Who
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.db import tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer
from tocsin.identity import service as identity
from tocsin.identity.model import Role
from tocsin.oncall import service, store
from tocsin.oncall.definition import LayerText
from tocsin.oncall.model import Override, OverrideKind, Schedule, Turn
from tocsin.oncall.service import ScheduleChange

pytestmark = pytest.mark.claim("A5")

NOW = utc("2026-01-07T12:00")
WHO = Who("key:test")


class Office:
    """A database with three people in it: ``anna``, ``ben``, ``carl`` (by id)."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self.database, self.writer = database, writer
        self.anna, self.ben, self.carl = [
            writer.call(lambda tx, name=name: identity.add_user(tx, f"{name}@example.com", name, Role.RESPONDER, None, NOW).id)  # type: ignore[misc]
            for name in ("anna", "ben", "carl")
        ]

    def layer(self, *users: str, unit: str = "week") -> LayerText:
        rotation = {"unit": unit, "length": 1, "starts_at": "2026-01-05T09:00", "users": list(users)}
        return msgspec.convert({"name": "Weekly", "rotation": rotation}, LayerText)

    def schedule(self, *users: str) -> Schedule:
        wanted = ScheduleChange("First line", "Europe/Berlin", (self.layer(*(users or (self.anna, self.ben))),))
        return self.writer.call(lambda tx: service.add_schedule(tx, WHO, wanted, NOW))

    def change(self, schedule: Schedule, **wanted: object) -> Schedule:
        return self.writer.call(lambda tx: service.change_schedule(tx, WHO, schedule.id, ScheduleChange(**wanted), NOW + 1))  # type: ignore[arg-type]

    def override(self, schedule: Schedule, kind: str, user: str | None, start: str, end: str, replaces: str | None = None) -> Override:
        wanted = Override("", schedule.id, OverrideKind(kind), user, replaces, utc(start), utc(end))
        return self.writer.call(lambda tx: service.add_override(tx, WHO, wanted, NOW))

    def disable(self, user: str) -> None:
        def work(tx: Tx) -> None:
            tx.sql.execute(tables.users.update().where(tables.users.c.id == user).values(disabled_at=NOW))

        self.writer.call(work)

    def on_call(self, schedule: Schedule, at: str) -> list[str]:
        def asked(at_hand: sa.Connection | Tx) -> list[str]:
            stored = store.get_schedule(at_hand if isinstance(at_hand, sa.Connection) else at_hand.sql, schedule.id)
            ((_, found),) = service.duties(at_hand, [stored], utc(at))
            return [duty.user for duty in found]

        with self.database.read() as connection:
            reading = asked(connection)
        assert self.writer.call(asked) == reading
        return reading


@pytest.fixture
def office(database: Database) -> Iterator[Office]:
    writer = Writer(database)
    writer.start()
    yield Office(database, writer)
    writer.stop()


def test_a_schedule_comes_back_as_it_was_stored(office: Office) -> None:
    made = office.schedule()
    with office.database.read() as connection:
        assert store.get_schedule(connection, made.id) == made
        assert store.schedules(connection) == [made]
    assert made.version == 1


def test_who_is_on_call_is_asked_by_schedule_and_moment(office: Office) -> None:
    schedule = office.schedule()
    assert office.on_call(schedule, "2026-01-07T00:00") == [office.anna]
    assert office.on_call(schedule, "2026-01-14T00:00") == [office.ben]
    assert office.on_call(schedule, "2026-01-01T00:00") == []


def test_overrides_count_in_the_order_in_which_they_were_made(office: Office) -> None:
    schedule = office.schedule()
    span = ("2026-01-08T00:00", "2026-01-09T00:00")
    office.override(schedule, "replace", office.ben, *span)
    office.override(schedule, "remove", office.ben, *span)
    office.override(schedule, "add", office.carl, *span)
    assert office.on_call(schedule, "2026-01-08T12:00") == [office.carl]
    assert office.on_call(schedule, "2026-01-09T00:00") == [office.anna]


def test_an_override_can_be_taken_back(office: Office) -> None:
    schedule = office.schedule()
    made = office.override(schedule, "replace", office.ben, "2026-01-08T00:00", "2026-01-09T00:00")
    office.writer.call(lambda tx: service.remove_override(tx, WHO, schedule.id, made.id, NOW))
    assert office.on_call(schedule, "2026-01-08T12:00") == [office.anna]
    with pytest.raises(NotFound):
        office.writer.call(lambda tx: service.remove_override(tx, WHO, schedule.id, made.id, NOW))


def test_somebody_who_is_disabled_is_not_on_call_and_the_turns_of_the_others_stay(office: Office) -> None:
    schedule = office.schedule()
    office.disable(office.anna)
    assert office.on_call(schedule, "2026-01-07T00:00") == []
    assert office.on_call(schedule, "2026-01-14T00:00") == [office.ben]


def test_a_stand_in_who_is_disabled_does_not_keep_the_other_from_duty(office: Office) -> None:
    schedule = office.schedule()
    office.override(schedule, "replace", office.carl, "2026-01-08T00:00", "2026-01-09T00:00")
    office.disable(office.carl)
    assert office.on_call(schedule, "2026-01-08T12:00") == [office.anna]


def test_a_change_says_from_which_version_it_was_made(office: Office) -> None:
    schedule = office.schedule()
    changed = office.change(schedule, name="Second line", version=1)
    assert (changed.name, changed.version, changed.layers) == ("Second line", 2, schedule.layers)
    with pytest.raises(Conflict, match=r"is at version 2 now, changed at .*, and you sent version 1"):
        office.change(schedule, name="Third line", version=1)
    assert office.change(schedule, name="Third line").version == 3


def test_a_schedule_with_somebody_who_was_disabled_since_can_still_be_renamed(office: Office) -> None:
    schedule = office.schedule()
    office.disable(office.anna)
    assert office.change(schedule, name="Second line").name == "Second line"
    with pytest.raises(InvalidInput, match=r"layers\[0\].rotation.users\[1\]: anna@example.com is disabled"):
        office.change(schedule, layers=(office.layer(office.ben, office.anna),))


def test_people_can_be_named_by_their_address(office: Office) -> None:
    schedule = office.schedule("Anna@example.com")
    assert schedule.layers[0].rotation.users == (office.anna,)


def test_a_schedule_is_removed_with_its_overrides(office: Office) -> None:
    schedule = office.schedule()
    office.override(schedule, "replace", office.ben, "2026-01-08T00:00", "2026-01-09T00:00")
    office.writer.call(lambda tx: service.remove_schedule(tx, WHO, schedule.id, NOW))
    with office.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.overrides)).scalar_one() == 0
    with pytest.raises(NotFound):
        office.writer.call(lambda tx: service.remove_schedule(tx, WHO, schedule.id, NOW))


def a_swap(office: Office, schedule: Schedule, first: Turn, second: Turn) -> list[Override]:
    return office.writer.call(lambda tx: service.swap(tx, WHO, schedule.id, first, second, NOW))


def test_two_people_swap_their_duties_in_one_call(office: Office) -> None:
    schedule = office.schedule()
    first = Turn(office.anna, utc("2026-01-08T00:00"), utc("2026-01-09T00:00"))
    second = Turn(office.ben, utc("2026-01-15T00:00"), utc("2026-01-16T00:00"))
    assert [o.kind for o in a_swap(office, schedule, first, second)] == [OverrideKind.REPLACE, OverrideKind.REPLACE]
    assert [office.on_call(schedule, f"2026-01-{day:02}T12:00") for day in (7, 8, 9, 14, 15, 16)] == [
        [office.anna],
        [office.ben],
        [office.anna],
        [office.ben],
        [office.anna],
        [office.ben],
    ]


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        (("anna", "08", "09"), ("anna", "15", "16"), "second.user: names the same person"),
        (("anna", "08", "09"), ("ben", "08", "09"), "second.starts_at: must not lie within the first"),
        (("anna", "08", "09"), ("ben", "10", "11"), "second.user: ben@example.com is not on call between"),
        (("anna", "09", "08"), ("ben", "15", "16"), "first.ends_at: must be after starts_at"),
        (("dora", "08", "09"), ("ben", "15", "16"), "first.user: there is no user 'dora'"),
    ],
)
def test_a_swap_that_would_be_none_is_refused(
    office: Office, first: tuple[str, str, str], second: tuple[str, str, str], complaint: str
) -> None:
    schedule = office.schedule()
    one, two = (Turn(getattr(office, who, who), utc(f"2026-01-{a}T00:00"), utc(f"2026-01-{b}T00:00")) for who, a, b in (first, second))
    with pytest.raises(InvalidInput, match=complaint):
        a_swap(office, schedule, one, two)
    with office.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.overrides)).scalar_one() == 0


def test_a_team_keeps_its_order_and_has_each_member_once(office: Office) -> None:
    team = office.writer.call(lambda tx: service.add_team(tx, WHO, " Support ", [office.ben, office.anna, office.ben], NOW))
    assert (team.name, team.users) == ("Support", (office.ben, office.anna))
    with office.database.read() as connection:
        assert store.get_team(connection, team.id) == team


def test_a_team_is_changed_and_removed(office: Office) -> None:
    team = office.writer.call(lambda tx: service.add_team(tx, WHO, "Support", [office.ben], NOW))
    changed = office.writer.call(lambda tx: service.change_team(tx, WHO, team.id, None, [office.carl, office.ben], 1, NOW + 1))
    assert (changed.name, changed.users, changed.version) == ("Support", (office.carl, office.ben), 2)
    with pytest.raises(Conflict):
        office.writer.call(lambda tx: service.change_team(tx, WHO, team.id, "Staff", None, 1, NOW + 2))
    office.writer.call(lambda tx: service.remove_team(tx, WHO, team.id, NOW))
    with pytest.raises(NotFound):
        office.writer.call(lambda tx: store.get_team(tx.sql, team.id))


REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "on-call.md"


def test_the_example_of_the_reference_is_a_schedule(office: Office) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", REFERENCE.read_text(), flags=re.DOTALL)
    wanted = msgspec.json.decode(example, type=ScheduleChange)
    schedule = office.writer.call(lambda tx: service.add_schedule(tx, WHO, wanted, NOW))
    assert office.on_call(schedule, "2026-01-07T12:00") == [office.carl]  # a Wednesday, in office hours
    assert office.on_call(schedule, "2026-01-07T17:00") == [office.anna]
    assert office.on_call(schedule, "2026-01-18T12:00") == [office.ben]

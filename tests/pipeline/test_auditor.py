"""The auditor: what has come to a standstill is found, mended within a minute, and told; what is well is left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from tests.build import a_report
from tests.escalation.crew import Crew, step, user
from tests.fakes import NO_SUCH_ADDRESS
from tests.world import World
from tocsin.alerts import rules as alert_rules
from tocsin.bootstrap import Server
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.errors import Unavailable
from tocsin.db import tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.engine import loop
from tocsin.engine.auditor import EVERY, VITAL, Auditor
from tocsin.engine.loop import StepHealth
from tocsin.engine.steps import STEPS, Step
from tocsin.pipeline import promises
from tocsin.pipeline.promises import Promise

pytestmark = pytest.mark.claim("A4", "O3")

ESCALATE = "escalate"


class Watched:
    """A company whose engine stands still, and an auditor."""

    def __init__(self, crew: Crew) -> None:
        self.crew, self.world = crew, crew.world
        server = cast("Server", SimpleNamespace(core=self.world.core, delivery=self.world.delivery))
        self.steps = {ESCALATE: StepHealth(ended_at=self.world.clock.now())}
        self.auditor = Auditor(server, self.steps, {ESCALATE: SECOND})

    async def live(self, ms: int) -> None:
        """Only the auditor works."""
        end = self.world.clock.at + ms
        while self.world.clock.at < end:
            self.world.clock.at += EVERY
            self.steps[ESCALATE].ended_at = self.world.clock.at
            await self.auditor.turn()
            await self.world.settle()

    async def by_hand(self, table: sa.Table, where: sa.ColumnElement[bool], **values: Any) -> None:
        """A hand in the database."""
        await self.world.write(lambda tx: tx.sql.execute(table.update().where(where).values(**values)))

    def about_itself(self) -> list[tuple[str, int, str]]:
        return [(a.title, a.severity, a.status) for a in self.world.alerts() if a.type == promises.BROKEN]

    def mended(self) -> dict[str, int]:
        return dict(self.auditor.mended_ever)


@pytest.fixture
async def watched(world: World) -> Watched:
    """Anna is told at once, Ben after ten minutes; on each kind of database."""
    crew = await Crew(world).start("2026-01-07T01:12")
    await crew.policy(step(0, user(crew.ids["anna"]), channels=("ntfy",)), step(10, user(crew.ids["ben"]), channels=("ntfy",)))
    return Watched(crew)


async def one_alert(watched: Watched) -> None:
    await watched.world.report(a_report(severity=4, at=watched.crew.begun_at))


async def test_as_long_as_all_is_well_it_does_nothing_and_says_nothing(watched: Watched) -> None:
    await one_alert(watched)
    for _ in range(20):
        await watched.world.pass_time(4 * MINUTE)
        await watched.live(2 * EVERY)
    await watched.world.acknowledge(watched.world.alert())
    await watched.live(2 * EVERY)
    assert (watched.mended(), watched.auditor.broken, watched.about_itself()) == ({}, (), [])


@pytest.mark.claim("A17", "T1", "T3")
async def test_a_level_that_the_engine_has_not_done_is_done_within_a_minute_once(watched: Watched) -> None:
    await one_alert(watched)
    await watched.live(10 * MINUTE)
    await watched.live(MINUTE)
    pages = [line for line in watched.crew.told if " ben: " in line]
    assert len(pages) == 1
    assert "00:10" <= pages[0][:5] <= "00:11"
    await watched.live(MINUTE)
    await watched.world.pass_time(HOUR)
    assert [line for line in watched.crew.told if " ben: " in line] == pages
    assert watched.mended() == {"level_overdue": 1}
    assert watched.about_itself() == [("Mended by Tocsin: escalations with a level that is overdue: 1", 3, "resolved")]


@pytest.mark.parametrize(
    "values", [{"state": "stopped", "next_at": None}, {"state": "running", "next_at": None}, {"generation": 7, "next_at": None}], ids=str
)
async def test_an_open_alert_whose_escalation_stands_still_begins_again(watched: Watched, values: dict[str, Any]) -> None:
    await one_alert(watched)
    await watched.by_hand(tables.escalations, tables.escalations.c.alert_number == 1, **values)
    await watched.live(MINUTE)
    assert [line for line in watched.crew.told if " anna: repeated" in line] == ["00:00:30 ntfy anna: repeated"]
    assert (watched.crew.progress().state, watched.mended()) == ("running", {"stands_still": 1})
    assert "restarted: it was open and nothing was to happen any more" in watched.world.history(1)


async def test_an_alert_without_any_escalation_gets_one(watched: Watched) -> None:
    await one_alert(watched)
    await watched.world.write(lambda tx: tx.sql.execute(tables.escalations.delete()))
    await watched.live(MINUTE)
    assert (watched.crew.progress().state, watched.crew.progress().generation) == ("running", 2)


async def test_a_snooze_that_nothing_would_end_is_ended(watched: Watched) -> None:
    await one_alert(watched)
    until = watched.world.clock.at + HOUR
    await watched.world.act(watched.world.alert(), lambda alert, now: alert_rules.snooze(alert, "anna", until, None, now))
    await watched.by_hand(tables.alerts, tables.alerts.c.number == 1, due_at=None)
    await watched.live(MINUTE)
    assert (watched.world.alert(1).status, watched.mended()) == ("open", {"waking_overdue": 1})


async def test_an_acknowledgement_that_should_have_expired_does(watched: Watched) -> None:
    await one_alert(watched)
    await watched.world.acknowledge(watched.world.alert())
    await watched.live(4 * HOUR + MINUTE)
    assert (watched.world.alert(1).status, watched.mended()) == ("open", {"waking_overdue": 1})


async def test_a_message_that_nobody_sends_any_more_is_sent_again_as_perhaps_a_repeat(watched: Watched) -> None:
    """Its task has ended without a word, and this node would wait for itself for ever."""
    await one_alert(watched)
    values = {"status": "sending", "lease_node": watched.world.node, "lease_until": watched.world.clock.at, "sent_at": None}
    await watched.by_hand(tables.outbox, tables.outbox.c.alert_number == 1, **values)
    await watched.live(MINUTE)
    await watched.world.pass_time(MINUTE)
    assert [m.status for m in watched.world.messages(alert_number=1)] == ["sent"]
    assert [letter.message.maybe_repeated for letter in watched.crew.letters if letter.alert.number == 1] == [False, True]
    assert watched.mended() == {"message_lost": 1}


async def test_what_waits_for_a_digest_that_is_gone_is_sent_by_itself(watched: Watched) -> None:
    await one_alert(watched)
    values = {"status": "sending", "lease_node": None, "lease_until": None, "digest_id": "gone", "sent_at": None}
    await watched.by_hand(tables.outbox, tables.outbox.c.alert_number == 1, **values)
    await watched.live(MINUTE)
    await watched.world.pass_time(MINUTE)
    assert [m.status for m in watched.world.messages(alert_number=1)] == ["sent"]


async def test_an_alert_of_which_every_page_failed_waits_for_somebody_new(watched: Watched) -> None:
    await one_alert(watched)
    watched.world.ntfy.outcome = NO_SUCH_ADDRESS
    await watched.by_hand(tables.outbox, tables.outbox.c.alert_number == 1, status="failed")
    await watched.by_hand(tables.escalations, tables.escalations.c.alert_number == 1, state="ended", next_at=None)
    await watched.live(MINUTE)
    assert watched.mended() == {"heard_by_nobody": 1}
    await watched.world.pass_time(SECOND)
    await watched.world.settle()
    await watched.world.pass_time(SECOND)
    assert watched.crew.progress().state != "alone", "Anna's telephone was not asked in vain"
    assert [line for line in watched.crew.told if line.endswith("sms +4915100000001: repeated")]


async def test_messages_that_wait_though_nothing_holds_them_are_fetched(watched: Watched) -> None:
    await one_alert(watched)
    await watched.by_hand(tables.outbox, tables.outbox.c.alert_number == 1, status="pending", next_attempt_at=watched.world.clock.at)
    watched.crew.begun_at = watched.world.clock.at
    await watched.live(9 * MINUTE)
    assert watched.mended() == {}
    await watched.live(2 * MINUTE)
    assert [m.status for m in watched.world.messages(alert_number=1)][:1] == ["sent"]
    assert watched.mended()["message_overdue"] == 1


@pytest.mark.claim("T3")
async def test_what_cannot_be_mended_is_told_at_severity_5_until_it_can(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    await one_alert(watched)

    def broken(tx: Tx, one: object) -> None:
        raise Unavailable("no")

    with monkeypatch.context() as patched:
        patched.setattr(watched.world.core.mender, "mend", broken)
        await watched.live(12 * MINUTE)
        assert watched.auditor.broken == ("escalations with a level that is overdue: 1",)
        title = "Tocsin cannot mend by itself: escalations with a level that is overdue: 1"
        assert watched.about_itself() == [(title, 5, "open")]
    await watched.live(MINUTE)
    assert list(watched.auditor.broken) == []
    assert [status for *_, status in watched.about_itself()] == ["resolved"]


async def test_one_alert_that_cannot_be_escalated_does_not_hold_up_the_others(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for subject in ("a", "b", "c"):
        await watched.world.report(a_report(severity=4, subject=subject, at=watched.crew.begun_at))
    carry_on = watched.world.core.announcer.carry_on

    def poisoned(tx: Tx, due: Any, now: int) -> None:
        if any(alert.subject == "b" for _, alert in due):
            raise RuntimeError("a policy that nobody can read")
        carry_on(tx, due, now)

    monkeypatch.setattr(watched.world.core.announcer, "carry_on", poisoned)
    await watched.live(11 * MINUTE)
    told = [one.alert.subject for one in watched.crew.letters if one.contact.target == "ben" and one.message.kind == "escalated"]
    assert sorted(told, key=str) == ["a", "c"]
    assert watched.auditor.broken == ("escalations with a level that is overdue: 2",)


async def test_a_step_of_the_engine_that_hangs_is_told(watched: Watched) -> None:
    watched.world.clock.advance(10 * MINUTE)
    await watched.auditor.turn()
    await watched.auditor.turn()
    assert watched.auditor.broken == ("steps of the engine that do not end: escalate",)
    assert [severity for _, severity, _ in watched.about_itself()] == [5]


async def test_a_step_that_only_counts_wakes_nobody(watched: Watched) -> None:
    watched.steps["count events"] = StepHealth(ended_at=watched.world.clock.at)
    watched.world.clock.advance(10 * MINUTE)
    watched.steps[ESCALATE].ended_at = watched.world.clock.at
    await watched.auditor.turn()
    await watched.auditor.turn()
    assert list(watched.auditor.broken) == []


def test_the_steps_that_are_watched_are_steps_of_the_engine() -> None:
    assert set(VITAL) < {step.name for step in STEPS}


@pytest.mark.claim("T3")
async def test_a_step_that_hangs_is_cut_off_and_the_others_go_on(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEP_WITHIN", 0.05)
    done = []

    async def hang(_: Server) -> None:
        await asyncio.Event().wait()

    async def work(_: Server) -> None:
        done.append("worked")

    server = cast("Server", SimpleNamespace(core=sqlite_world.core, delivery=sqlite_world.delivery))
    engine = loop.Engine(server, [Step("hangs", SECOND, hang), Step("works", SECOND, work)])
    await engine.turn()
    assert done == ["worked"]
    assert engine.health["hangs"] == StepHealth(None, "it was cut off after 0.05 s")


class Counted:
    """An engine of three steps: one has a question with the answer yes, one with no, and one finds nothing and rests."""

    def __init__(self, world: World) -> None:
        self.done: list[str] = []
        self.world, yes = world, "SELECT 1 FROM settings"
        server = cast("Server", SimpleNamespace(core=world.core, delivery=world.delivery))
        steps = (
            Step("has work", SECOND, self._doing("has work"), lambda _, __: Question(yes)),
            Step("has none", SECOND, self._doing("has none"), lambda _, now: Question(f"{yes} WHERE name = ?", (f"at {now}",))),
            Step("rests", SECOND, self._doing("rests"), rests=3 * SECOND),
        )
        self.engine = loop.Engine(server, steps)

    def _doing(self, name: str) -> Callable[[Server], Awaitable[object]]:
        async def work(_: Server) -> bool:
            self.done.append(name)
            return False

        return work

    async def turn(self) -> list[str]:
        self.done.clear()
        await self.engine.turn()
        self.world.clock.advance(SECOND)
        return list(self.done)


async def test_only_what_has_work_is_done_and_all_of_it_is_well(sqlite_world: World) -> None:
    counted, began = Counted(sqlite_world), sqlite_world.clock.now()
    assert [await counted.turn() for _ in range(4)] == [["has work", "rests"], ["has work"], ["has work"], ["has work", "rests"]]
    at = dict.fromkeys(("has work", "has none", "rests"), began + 3 * SECOND)
    assert counted.engine.health == {name: StepHealth(ended_at=moment) for name, moment in at.items()}


async def test_what_cannot_be_asked_is_done(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(sqlite_world)

    def fail(_: object) -> list[bool]:
        raise Unavailable("the disk is on fire")

    monkeypatch.setattr(sqlite_world.core.database, "which", fail)
    assert await counted.turn() == ["has work", "has none", "rests"]


async def test_after_a_long_sleep_the_engine_has_its_turn_first(watched: Watched) -> None:
    """A machine that slept for a night: everything is overdue at once, and one look finds it so."""
    await one_alert(watched)
    await watched.auditor.turn()
    watched.world.clock.advance(8 * HOUR)
    await watched.auditor.turn()
    await watched.world.turn()
    watched.steps[ESCALATE].ended_at = watched.world.clock.at
    await watched.auditor.turn()
    assert (watched.mended(), watched.auditor.broken) == ({}, ())


def test_each_promise_has_a_name_and_words_of_its_own() -> None:
    assert len({promise.key for promise in Promise}) == len({promise.value for promise in Promise}) == len(Promise)

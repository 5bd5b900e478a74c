"""The hard rules of delivery, as stories: a whole Tocsin with a fake clock and fake channels; days pass in milliseconds."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.build import EVERYONE, ONCALL_MAIL, ONCALL_PHONE, OWNER_PHONE, a_contact, a_recovery, a_report
from tests.conftest import Databases
from tests.fakes import DOWN, LOST, NO_SUCH_ADDRESS, NOW, SENT, WRONG_TOKEN, FakeChannel, FakeDispatch
from tests.world import World
from tocsin.alerts import rules as alert_rules, store as alert_store
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Unavailable
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.notify import store
from tocsin.notify.delivery import MAX_PER_CONTACT, TROUBLE_AFTER, Trouble
from tocsin.notify.departures import Departures
from tocsin.notify.links import read
from tocsin.notify.model import Contact, Letter, Message, Outcome, Presence, Result
from tocsin.notify.render import push_text
from tocsin.pipeline.ingest import Batch

BUSY = Outcome(Result.TEMPORARY, "too many requests (429)", retry_after=5 * MINUTE)


def statuses(world: World, **only: object) -> list[str]:
    return [message.status for message in world.messages(**only)]


# Rule 1: a message is born with its decision, once.


@pytest.mark.claim("N5", "L3")
async def test_a_message_is_born_in_the_transaction_that_decided_it(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.core.announcer.use(FakeDispatch())

    def fail(tx: Tx) -> None:
        world.core.ingest.take(tx, [Batch([a_report()], None, None)])
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        await world.write(fail)
    assert (world.alerts(), world.messages(), world.count(tables.attempts)) == ([], [], 0)
    await world.report(a_report())
    (message,) = world.messages()
    assert (message.status, message.attempts, message.fence, message.lease_node) == ("sending", 1, 1, "this-node")
    assert world.count(tables.attempts) == 1


@pytest.mark.claim("N5", "L3")
async def test_one_decision_makes_one_message_for_each_contact_and_cannot_make_a_second(world: World) -> None:
    await world.people()
    await world.report(a_report(severity=4))
    assert Counter(m.contact_id for m in world.messages()) == {contact.id: 1 for contact in EVERYONE}
    (message, *_) = world.messages()
    twin = msgspec.structs.replace(message, id="another", status="pending", lease_node=None)
    await world.write(lambda tx: store.add(tx, [twin], if_new=True))
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        await world.write(lambda tx: store.add(tx, [twin]))
    assert len(world.messages()) == 3


@pytest.mark.claim("L3", "N1", "P2")
async def test_a_page_is_sent_at_once_with_links_that_work_for_it_alone(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report(severity=4))
    (letter,) = world.ntfy.letters
    (message,) = world.messages()
    assert (message.status, message.sent_at, message.receipt) == ("sent", NOW, "r-1")
    assert (letter.site, letter.delay, letter.alert) == ("main", 0, world.alert())
    assert letter.links is not None
    opened = read(b"s" * 32, letter.links.acknowledge.rpartition("/")[2])
    assert opened is not None
    assert opened.message_id == message.id


async def test_good_news_carries_no_buttons(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report())
    await world.report(a_recovery())
    pushes = [push_text(letter) for letter in world.ntfy.letters]
    assert [len(push.buttons) for push in pushes] == [2, 0]
    assert all(push.click for push in pushes), "it still leads to the alert"


@pytest.mark.claim("A9")
async def test_what_became_of_a_message_stands_in_the_history_of_its_alert(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report(severity=4))
    (details,) = world.details(1, "notified")
    assert (details["contact"], details["outcome"], details["kind"]) == ("ntfy oncall-phone", "sent", "opened")
    assert details["message"] == world.messages()[0].id


async def test_messages_of_another_process_are_found_and_sent(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.core.announcer.use(None)  # type: ignore[arg-type]  # as on the command line: no delivery in this process
    await world.report(a_report())
    assert statuses(world) == ["pending"]
    await world.turn()
    assert (statuses(world), world.ntfy.told) == (["sent"], ["opened Disk full"])


@pytest.fixture
def letters_at_hand_in(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many letters had left whenever an outcome was handed in to be written."""
    world, found = sqlite_world, []

    def hand_in(group: Any, *work: Any) -> None:
        if group == world.delivery._record_all:
            found.append(sum(len(channel.letters) for channel in world.channels.values()))
        real(group, *work)

    real = world.core.writer.hand_in
    monkeypatch.setattr(world.core.writer, "hand_in", hand_in)
    return found


async def test_outcomes_of_what_leaves_together_are_written_together(sqlite_world: World, letters_at_hand_in: list[int]) -> None:
    await sqlite_world.people()
    await sqlite_world.report(a_report(severity=4))
    assert letters_at_hand_in == [3, 3, 3]
    assert statuses(sqlite_world) == ["sent"] * 3


async def test_an_outcome_waits_for_nothing_if_nothing_else_is_under_way(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.notify.delivery.GATHER", 60)
    await sqlite_world.people(ONCALL_PHONE)
    await sqlite_world.report(a_report(severity=4))
    assert statuses(sqlite_world) == ["sent"]


# Rule 2: attempts are rows; a fault is tried again until it ends.


@pytest.mark.claim("N5", "L4", "P3")
async def test_an_outage_of_a_day_ends_with_the_delivery_of_what_still_matters(sqlite_world: World) -> None:
    world = sqlite_world  # thousands of turns, which the kind of database does not change
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await world.report(a_report("disk:/", severity=4, title="still full"))
    await world.report(a_report("disk:/var", severity=4, title="over by noon"))
    await world.pass_time(12 * HOUR)
    await world.report(a_recovery("disk:/var", at=world.clock.at))
    await world.pass_time(12 * HOUR)
    assert "sent" not in statuses(world, kind="opened")
    world.ntfy.outcome, world.ntfy.letters = SENT, []
    await world.pass_time(2 * MINUTE)
    assert "escalated still full" in world.ntfy.told
    assert "opened over by noon" not in world.ntfy.told
    letter = next(one for one in world.ntfy.letters if one.alert.title == "still full")
    assert letter.delay >= DAY
    assert statuses(world, alert_number=letter.alert.number) == ["cancelled", "cancelled", "sent"]  # one for all three levels


async def test_during_an_outage_the_provider_is_asked_about_once_a_minute_with_one_message(sqlite_world: World) -> None:
    world = sqlite_world  # thousands of turns, which the kind of database does not change
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    for n in range(8):
        await world.report(a_report(f"disk:{n}", severity=4))
    await world.pass_time(10 * MINUTE)
    world.ntfy.letters.clear()
    await world.pass_time(HOUR)
    assert 40 <= len(world.ntfy.letters) <= 75


async def test_every_attempt_is_a_row_with_its_outcome(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.extend([DOWN, DOWN])
    await world.report(a_report(severity=4))
    await world.pass_time(MINUTE)
    rows = world.rows(sa.select(tables.attempts).order_by(tables.attempts.c.fence))
    assert [(row.fence, row.outcome, row.node) for row in rows] == [
        (n, o, "node-1") for n, o in ((1, "temporary"), (2, "temporary"), (3, "sent"))
    ]
    assert all(row.finished_at >= row.claimed_at for row in rows)
    assert (world.messages()[0].attempts, world.messages()[0].last_error) == (3, None)


async def test_a_provider_that_asks_for_patience_is_left_alone_so_long(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.append(BUSY)
    await world.report(a_report(severity=4))
    await world.pass_time(5 * MINUTE - SECOND)
    assert len(world.ntfy.letters) == 1
    await world.pass_time(SECOND)
    assert statuses(world) == ["sent"]


@pytest.mark.claim("P3", "N7", "V3")
async def test_an_address_that_does_not_exist_makes_others_hear_at_once(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.outcome = NO_SUCH_ADDRESS
    await world.report(a_report(severity=2))
    await world.turn()
    assert world.email.told == ["opened Disk full"]
    assert [(m.contact_id, m.status) for m in world.messages()] == [(ONCALL_PHONE.id, "failed"), (ONCALL_MAIL.id, "sent")]
    outcomes = [line["outcome"] for line in world.details(1, "notified")]
    assert sorted(outcomes) == ["failed", "sent"]


@pytest.mark.claim("P3", "X1", "O3")
async def test_a_wrong_token_is_an_alert_of_its_own_and_others_hear_until_it_is_put_right(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.outcome = WRONG_TOKEN
    await world.report(a_report(severity=2))
    await world.turn()
    assert "opened Disk full" in world.email.told
    (about_us,) = [alert for alert in world.alerts() if alert.type == "tocsin.channel_failed"]
    assert (about_us.severity, about_us.status) == (4, "open")
    assert "ntfy oncall-phone" in about_us.title
    assert f"opened {about_us.title}" in world.email.told
    world.ntfy.outcome = SENT
    await world.pass_time(11 * MINUTE)
    assert "opened Disk full" in world.ntfy.told[1:]
    assert world.alert(about_us.number).status == "resolved"


async def test_a_wrong_token_is_not_hammered(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.outcome = WRONG_TOKEN
    for n in range(5):
        await world.report(a_report(f"disk:{n}", severity=4))
    await world.pass_time(HOUR)
    assert len(world.ntfy.letters) <= 8


async def test_a_channel_that_keeps_failing_is_reported_once_and_resolved_when_it_works(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.outcome = DOWN
    await world.report(a_report(severity=2))
    await world.pass_time(TROUBLE_AFTER * MINUTE)
    about_us = [alert for alert in world.alerts() if alert.type == "tocsin.channel_failed"]
    assert [(alert.status, alert.occurrences) for alert in about_us] == [("open", 1)]
    world.ntfy.outcome = SENT
    await world.pass_time(2 * MINUTE)
    assert world.alert(about_us[0].number).status == "resolved"


async def test_a_fault_that_was_noticed_in_a_transaction_that_failed_is_reported_all_the_same(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.outcome = WRONG_TOKEN
    failures = [True]
    assert world.delivery.trouble is not None
    real: Trouble = world.delivery.trouble

    class Failing:
        """As the real one, but its first transaction meets a full disk."""

        def channel_failed(self, tx: Tx, contact: Contact, error: str) -> None:
            real.channel_failed(tx, contact, error)
            if failures:
                failures.pop()
                raise Unavailable("the disk is full")

        def channel_recovered(self, tx: Tx, contact: Contact) -> None:
            real.channel_recovered(tx, contact)

    world.delivery.trouble = Failing()
    await world.report(a_report(severity=2))
    await world.turn()
    assert [alert.type for alert in world.alerts() if alert.severity == 4] == ["tocsin.channel_failed"]


async def test_a_fault_in_a_channel_does_not_lose_the_message(world: World) -> None:
    await world.people(ONCALL_PHONE)

    def broken(_letter: object) -> None:
        raise ZeroDivisionError

    world.ntfy.before_departure = broken
    await world.report(a_report(severity=4))
    assert statuses(world) == ["pending"]
    world.ntfy.before_departure = None
    await world.pass_time(MINUTE)
    assert (statuses(world), world.ntfy.told) == (["sent"], ["opened Disk full"])


@pytest.mark.claim("K11")
async def test_a_channel_that_is_not_set_up_makes_the_others_hear(world: World) -> None:
    await world.people(a_contact(7, "pager", "+49170"), ONCALL_MAIL)
    await world.report(a_report(severity=4))
    await world.turn()
    assert "opened Disk full" in world.email.told
    assert "the channel pager is not set up" in str(world.messages(contact_id=a_contact(7).id)[0].last_error)


# Rule 3: what may have arrived.


@pytest.mark.claim("N5", "L3")
@pytest.mark.parametrize("severity", [4, 5])
async def test_a_loud_page_that_may_not_have_arrived_goes_again_and_says_so(world: World, severity: int) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.append(LOST)
    await world.report(a_report(severity=severity))
    await world.pass_time(MINUTE)
    assert world.ntfy.told == ["opened Disk full", "opened Disk full (perhaps again)"]
    assert statuses(world) == ["sent"]


@pytest.mark.claim("N5", "L3")
@pytest.mark.parametrize(
    ("presence", "told", "status"),
    [
        (Presence.PRESENT, ["opened Disk full"], "sent"),
        (Presence.ABSENT, ["opened Disk full"] * 2, "sent"),
        (Presence.CANNOT_TELL, ["opened Disk full"], "unknown"),
        (Presence.NOT_NOW, ["opened Disk full"], "unknown"),
    ],
)
@pytest.mark.parametrize("severity", [2, 3])
async def test_of_a_quieter_one_the_provider_is_asked(
    sqlite_world: World, severity: int, presence: Presence, told: list[str], status: str
) -> None:
    world = sqlite_world
    await world.people(ONCALL_PHONE)
    world.ntfy.script.append(LOST)
    world.ntfy.presence = presence
    await world.report(a_report(severity=severity))
    assert statuses(world) == ["unknown"]
    await world.pass_time(5 * MINUTE)
    world.clock.at += 11 * HOUR
    await world.pass_time(5 * MINUTE)
    assert ([said for said in world.ntfy.told if said.startswith("opened")], statuses(world, kind="opened")) == (told, [status])
    assert world.ntfy.looked_up
    assert world.messages()[0].next_attempt_at is None
    ending = {"sent": "sent", "unknown": "unknown: the provider cannot say whether it has it"}[status]
    noted = [line for line in world.details(1, "notified") if line["kind"] == "opened"]
    assert noted[-1]["outcome"].startswith(ending), "it is not given up silently"


async def test_while_the_provider_is_down_it_is_asked_again_later(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.append(LOST)
    world.ntfy.outcome, world.ntfy.presence = DOWN, Presence.NOT_NOW
    await world.report(a_report(severity=2))
    await world.report(a_report("disk:/var", severity=2))
    await world.pass_time(5 * MINUTE)
    assert statuses(world)[0] == "unknown"
    await world.restart()  # what was wrong with the contact is forgotten; what became of the message is not
    await world.pass_time(5 * MINUTE)
    world.ntfy.presence, world.ntfy.outcome = Presence.PRESENT, SENT
    await world.pass_time(5 * MINUTE)
    assert statuses(world) == ["sent", "sent"]


async def test_a_provider_that_hangs_when_it_is_asked_holds_up_nothing(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.append(LOST)
    await world.report(a_report(severity=2))
    asked = asyncio.Event()

    async def never_answers(letter: Letter, attempted_at: int) -> Presence:
        asked.set()
        await asyncio.sleep(3600)
        return Presence.CANNOT_TELL

    world.ntfy.look_up = never_answers  # type: ignore[method-assign]
    world.clock.advance(MINUTE)
    async with asyncio.timeout(5):
        assert await world.delivery.look_up_unknown() == 1
        await asked.wait()
        assert await world.delivery.look_up_unknown() == 0, "it is not asked twice at once"
        await world.report(a_report("disk:/var", severity=2))
        await world.delivery.cycle()
        await world.settle()
    assert world.ntfy.told == ["opened Disk full"] * 2


async def test_a_quieter_message_is_looked_for_also_when_its_alert_is_over_by_then(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.append(LOST)
    await world.report(a_report(severity=2))
    sent = world.ntfy.letters[0].links
    await world.resolve(world.alert())
    await world.pass_time(MINUTE)
    assert [letter.links for letter in world.ntfy.looked_up] == [sent], "by the same link that it carried"


# Rule 4: one identity for all attempts.


@pytest.mark.claim("N5")
async def test_all_attempts_of_a_message_carry_one_identity(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.script.extend([LOST, LOST, DOWN])
    await world.report(a_report(severity=5))
    await world.pass_time(5 * MINUTE)
    assert len(world.ntfy.letters) == 4
    assert len({letter.message.id for letter in world.ntfy.letters}) == 1
    assert len({letter.links.open for letter in world.ntfy.letters if letter.links}) == 1


# Rules 5 and 7: what has lost its point is not sent, with the reason.


@pytest.mark.claim("L4", "L5", "A6")
async def test_an_acknowledgement_cancels_all_that_waits_everywhere(world: World) -> None:
    await world.people()
    world.ntfy.outcome = world.email.outcome = DOWN
    await world.report(a_report(severity=5))
    await world.acknowledge(world.alert())
    assert statuses(world, kind="opened") == ["cancelled"] * 3
    assert {m.last_error for m in world.messages(kind="opened")} == {"the alert was acknowledged before this was sent"}
    world.ntfy.outcome, world.email.outcome = SENT, SENT
    world.ntfy.letters, world.email.letters = [], []
    await world.pass_time(HOUR)
    assert world.ntfy.told == world.email.told == []


@pytest.mark.claim("L5")
async def test_an_acknowledgement_during_a_send_ends_the_retries(world: World) -> None:
    """The attempt that is under way cannot be called back; it is the last one."""
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    world.ntfy.script.append(DOWN)
    await world.report(a_report(severity=5))
    await world.acknowledge(world.alert())
    world.ntfy.free()
    await world.pass_time(HOUR)
    (message,) = world.messages(kind="opened")
    assert (message.status, message.last_error) == ("cancelled", "the alert was acknowledged before this was sent")
    assert world.ntfy.told.count("opened Disk full") == 1


@pytest.mark.parametrize("what", ["resolve", "snooze"])
async def test_resolving_and_snoozing_cancel_too(sqlite_world: World, what: str) -> None:
    world = sqlite_world
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await world.report(a_report(severity=5))
    if what == "resolve":
        await world.resolve(world.alert())
    else:
        await world.act(world.alert(), lambda alert, now: alert_rules.snooze(alert, "marta", now + HOUR, None, now))
    (message,) = world.messages(kind="opened")
    assert (message.status, message.next_attempt_at) == ("cancelled", None)
    assert what in str(message.last_error)


async def test_a_newer_page_takes_the_place_of_one_that_waits(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await world.report(a_report(severity=3))
    await world.report(a_report(severity=5))
    world.ntfy.outcome, world.ntfy.letters = SENT, []
    await world.pass_time(5 * MINUTE)
    assert world.ntfy.told == ["escalated Disk full"]
    assert [(m.kind, m.status) for m in world.messages()] == [("opened", "cancelled"), ("escalated", "sent")]


@pytest.mark.claim("N5")
async def test_a_contact_that_is_gone_gets_nothing_and_its_page_goes_to_those_who_are_there(world: World) -> None:
    """Somebody corrects a wrong address while a page waits: the page is not lost with the address."""
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await world.report(a_report(severity=4))
    await world.people(OWNER_PHONE)
    world.ntfy.outcome, world.ntfy.letters = SENT, []
    await world.pass_time(2 * MINUTE)
    (message,) = world.messages(contact_id=ONCALL_PHONE.id)
    assert (message.status, message.last_error) == ("cancelled", "the contact was removed or disabled")
    assert [letter.contact for letter in world.ntfy.letters] == [OWNER_PHONE]


# Rule 6: over the rate, messages wait and are bundled; none is dropped.


@pytest.mark.claim("K12", "N6", "A8")
async def test_a_storm_becomes_a_few_pages_and_digests_that_account_for_every_alert(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(*[a_report(f"disk:{n}", severity=3) for n in range(1_000)])
    await world.pass_time(10 * MINUTE)
    assert set(statuses(world)) == {"sent"}
    assert len(world.ntfy.letters) <= 25
    singles = [letter for letter in world.ntfy.letters if letter.message.kind == "opened"]
    digests = [letter for letter in world.ntfy.letters if letter.message.kind == "digest"]
    assert len(singles) + sum(1 + len(one.others) + one.more for one in digests) == 1_000
    assert all(one.alert.severity == max(other.severity for other in (one.alert, *one.others)) for one in digests)


@pytest.mark.claim("A8", "N6")
async def test_a_quiet_sites_first_alert_overtakes_a_storm(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(*[a_report(f"disk:{n}", site="acme", severity=4) for n in range(500)])
    await world.turn()
    storm = len(world.ntfy.letters)
    await world.report(a_report(site="beta", severity=2, title="beta's only trouble"))
    await world.turn()
    assert world.ntfy.told[storm:] == ["opened beta's only trouble"]


@pytest.mark.claim("N4")
async def test_a_paging_service_is_told_of_each_alert_by_itself_and_of_its_end(world: World) -> None:
    """A digest is no incident, and could never be resolved."""
    service, contact = FakeChannel("pagerduty", world.clock), a_contact(kind="pagerduty")
    world.delivery._channels = {"pagerduty": service}
    await world.people(contact)
    reports = [f"disk:{n}" for n in range(60)]
    await world.report(*[a_report(subject) for subject in reports])
    await world.pass_time(MINUTE)
    await world.report(*[a_recovery(subject, at=world.clock.at) for subject in reports])
    await world.pass_time(MINUTE)
    told = Counter((letter.message.kind, letter.alert.number) for letter in service.letters)
    assert told == Counter({(kind, number): 1 for kind in ("opened", "resolved") for number in range(1, 61)})


@pytest.mark.claim("N6")
async def test_the_end_of_a_storm_is_bundled_too(world: World) -> None:
    """Good news over the rate; some of it about the alerts that led the first digest."""
    await world.people(ONCALL_PHONE)
    reports = [f"disk:{n}" for n in range(100)]
    await world.report(*[a_report(subject) for subject in reports])
    await world.pass_time(5 * MINUTE)
    await world.report(*[a_recovery(subject, at=world.clock.at) for subject in reports])
    await world.pass_time(10 * MINUTE)
    assert Counter(m.kind for m in world.messages() if m.status == "sent" and m.kind != "digest") == {"opened": 100, "resolved": 100}


@pytest.mark.claim("N6")
async def test_a_digest_that_could_not_be_sent_is_sent_later_with_all_that_it_carries(world: World) -> None:
    """The provider is down while a storm goes on: digests wait, more arrives, and everything leaves when it is back."""
    await world.people(ONCALL_PHONE)
    await world.report(*[a_report(f"first:{n}") for n in range(15)])
    world.ntfy.outcome = DOWN
    await world.report(*[a_report(f"disk:{n}") for n in range(100)])
    await world.pass_time(3 * MINUTE)
    await world.report(*[a_report(f"more:{n}") for n in range(100)])
    await world.pass_time(10 * MINUTE)
    world.ntfy.outcome = SENT
    await world.pass_time(HOUR)
    assert set(statuses(world)) == {"sent"}
    assert len(world.messages(kind="opened")) >= 215


@pytest.mark.claim("N5", "N6")
@pytest.mark.parametrize(
    ("presence", "copies", "status"), [(Presence.PRESENT, 1, "sent"), (Presence.ABSENT, 2, "sent"), (Presence.CANNOT_TELL, 1, "unknown")]
)
async def test_what_becomes_of_a_digest_of_unknown_outcome_becomes_of_all_that_it_carries(
    world: World, presence: Presence, copies: int, status: str
) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(*[a_report(f"disk:{n}", severity=2) for n in range(40)])
    world.ntfy.script.append(LOST)
    world.ntfy.presence = presence
    await world.pass_time(3 * MINUTE)
    carried = [message for message in world.messages(kind="opened") if message.digest_id is not None]
    assert len(carried) > 20
    assert {message.status for message in carried} == {status}
    first = carried[0].digest_id
    assert len([letter for letter in world.ntfy.letters if letter.message.id == first]) == copies
    assert set(statuses(world)) == {"sent", status}


@pytest.mark.claim("L5")
async def test_an_alert_that_is_acknowledged_while_its_digest_waits_is_not_in_it(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(*[a_report(f"first:{n}") for n in range(12)])
    await world.pass_time(10 * MINUTE)
    world.ntfy.outcome = DOWN
    await world.report(*[a_report(f"disk:{n}") for n in range(30)])
    await world.pass_time(5 * MINUTE)
    for alert in world.alerts()[12:]:
        await world.acknowledge(alert)
    world.ntfy.outcome, world.ntfy.letters = SENT, []
    await world.pass_time(30 * MINUTE)
    assert world.ntfy.told == []
    assert {m.status for m in world.messages(kind="opened") if m.alert_number > 12} == {"cancelled"}


@pytest.mark.claim("N6", "N5", "K12")
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_every_message_ends_sent_or_cancelled_whatever_happens(
    data: st.DataObject, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Storms, outages, lost answers, wrong tokens, recoveries and acknowledgements in any order; then a quiet day."""
    folder = tmp_path_factory.mktemp("any-order")
    asyncio.run(_any_order(data, databases.sqlite(folder / "tocsin.db"), folder))


async def _any_order(data: st.DataObject, url: str, folder: Path) -> None:
    world = World(url, folder)
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.presence = Presence.ABSENT
    steps = st.one_of(
        st.tuples(st.just("storm"), st.sampled_from([1, 3, 12, 60])),
        st.tuples(st.just("recovery"), st.integers(0, 20)),
        st.tuples(st.just("ack"), st.integers(0, 20)),
        st.tuples(st.just("ntfy"), st.sampled_from([SENT, DOWN, LOST, WRONG_TOKEN, BUSY])),
        st.tuples(st.just("email"), st.sampled_from([SENT, DOWN, NO_SUCH_ADDRESS])),
        st.tuples(st.just("time"), st.sampled_from([SECOND, 10 * SECOND, 2 * MINUTE, 15 * MINUTE])),
        st.tuples(st.just("restart"), st.booleans()),
    )
    for what, value in data.draw(st.lists(steps, min_size=2, max_size=14)):
        if what == "storm":
            severity = data.draw(st.integers(2, 5))
            await world.report(*[a_report(f"disk:{n}", severity=severity, at=world.clock.at) for n in range(int(value))])
        elif what == "recovery":
            await world.report(a_recovery(f"disk:{value}", at=world.clock.at))
        elif what == "ack":
            for alert in world.alerts()[int(value) :][:1]:
                if alert.status != "resolved":
                    await world.acknowledge(alert)
        elif what == "time":
            await world.pass_time(int(value))
        elif what == "restart":
            world.clock.advance(1)
            await world.restart(killed=bool(value))
        else:
            getattr(world, what).outcome = value
        await world.turn()
    world.ntfy.outcome = world.email.outcome = SENT
    await world.pass_until_quiet(4 * HOUR)
    left = [m for m in world.messages() if m.status not in ("sent", "cancelled", "failed")]
    assert left == []
    _check_nobody_was_forgotten(world)
    await world.close()


def _check_nobody_was_forgotten(world: World) -> None:
    """Each open alert's newest page reached somebody; each digest that was sent had members, and those count as sent."""
    messages = world.messages()
    for alert in world.alerts():
        pages = [
            m
            for m in messages
            if m.alert_number == alert.number and m.generation == alert.generation and m.kind in ("opened", "escalated", "repeated")
        ]
        if alert.status == "open":
            assert any(m.status == "sent" for m in pages), (alert, pages)
    carried = Counter(m.digest_id for m in messages if m.digest_id)
    for digest in (m for m in messages if m.kind == "digest" and m.status == "sent"):
        assert carried[digest.id] > 0


# Rule 8.


async def test_when_nobody_is_left_to_ask_the_history_says_what_failed(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = NO_SUCH_ADDRESS
    await world.report(a_report(severity=4))
    (details,) = world.details(1, "notified")
    assert (details["outcome"], details["error"]) == ("failed", "there is no such mailbox")


# Rule 12: nobody waits for somebody else.


@pytest.mark.claim("V5", "N7")
async def test_a_channel_that_hangs_does_not_delay_another(world: World) -> None:
    await world.people()
    world.ntfy.hangs_for = {"oncall-phone", "owner-phone"}
    await world.report(a_report(severity=5))
    assert world.email.told == ["opened Disk full"]
    await world.report(a_report("disk:/var", severity=5))
    assert len(world.email.told) == 2
    world.ntfy.free()


async def test_a_contact_that_hangs_does_not_delay_another_of_the_same_channel(world: World) -> None:
    await world.people(ONCALL_PHONE, OWNER_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    for n in range(3):
        await world.report(a_report(f"disk:{n}", severity=4))
    assert [letter.contact for letter in world.ntfy.letters] == [OWNER_PHONE] * 3
    world.ntfy.free()


async def test_a_contact_that_hangs_holds_a_bounded_number_of_messages(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    for n in range(2 * MAX_PER_CONTACT):
        await world.report(a_report(f"disk:{n}", site=f"site-{n}", severity=4))
    assert statuses(world).count("sending") <= MAX_PER_CONTACT
    world.ntfy.free()
    await world.settle()
    await world.pass_time(10 * MINUTE)
    assert set(statuses(world)) == {"sent"}


# Rule 10 and kills: what was under way is settled at the next start.


@pytest.mark.claim("P3", "N5")
async def test_a_message_that_had_not_left_when_the_process_died_is_sent_unmarked(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    await world.report(a_report(severity=4))
    world.clock.advance(5 * SECOND)
    await world.restart()
    world.ntfy.free()
    await world.turn()
    assert (world.ntfy.told, statuses(world)) == (["opened Disk full"], ["sent"])


@pytest.mark.claim("P3", "N5")
async def test_a_loud_page_that_had_left_when_the_process_died_goes_again_and_says_so(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await _die_after_departure(world, severity=4)
    await world.pass_time(MINUTE)
    assert (world.ntfy.told, statuses(world)) == (["opened Disk full (perhaps again)"], ["sent"])


@pytest.mark.claim("P3", "N5")
async def test_a_quieter_one_that_had_left_when_the_process_died_is_looked_up(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.presence = Presence.PRESENT
    await _die_after_departure(world, severity=2)
    await world.pass_time(MINUTE)
    assert (world.ntfy.told, statuses(world)) == ([], ["sent"])


async def _die_after_departure(world: World, severity: int) -> None:
    """The journal has the departure, the outbox no outcome: so the process died between the two."""
    world.ntfy.hangs_for = {"oncall-phone"}
    await world.report(a_report(severity=severity))
    (message,) = world.messages()
    world.departures.note(message.id, message.fence)
    world.clock.advance(5 * SECOND)
    await world.restart()
    world.ntfy.free()


async def test_a_start_with_a_clock_that_went_back_settles_what_was_under_way_too(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    await world.report(a_report(severity=4))
    world.clock.advance(-10 * SECOND)
    await world.restart()
    world.ntfy.free()
    await world.pass_time(2 * MINUTE)
    assert statuses(world) == ["sent"]


@pytest.mark.claim("P3", "N5")
async def test_what_this_life_has_under_way_is_no_past_to_settle(world: World) -> None:
    """The engine makes sure of the recovery once more, when the first requests have been answered."""
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    await world.report(a_report(severity=5))
    await world.delivery.recover()
    assert statuses(world) == ["sending"]
    world.ntfy.free()
    await world.turn()
    assert (world.ntfy.told, statuses(world)) == (["opened Disk full"], ["sent"])


@pytest.mark.claim("P3", "N5")
async def test_what_is_born_before_the_past_is_settled_waits_for_that(world: World) -> None:
    """The database could not be reached at the start, and is there again before the engine tries anew."""
    await world.people(ONCALL_PHONE)
    await world.restart(recovers=False)
    await world.report(a_report(severity=5))
    assert statuses(world) == ["pending"]
    await world.delivery.recover()
    await world.turn()
    assert (world.ntfy.told, statuses(world)) == (["opened Disk full"], ["sent"])


async def test_after_a_start_what_waited_for_a_retry_is_tried_at_once(world: World) -> None:
    """Whoever puts a token right and restarts need not wait ten minutes."""
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    world.ntfy.outcome = WRONG_TOKEN
    await world.report(a_report(severity=2))
    world.ntfy.outcome, world.ntfy.letters = SENT, []
    world.clock.advance(SECOND)
    await world.restart(killed=False)
    await world.turn()
    assert "opened Disk full" in world.ntfy.told


async def test_a_database_fault_while_the_outcome_is_written_does_not_send_it_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.people(ONCALL_PHONE)
    real, failures = store.finish, [1, 1]

    def finish(*arguments: object) -> list[store.Ending]:
        if failures:
            failures.pop()
            raise Unavailable("the disk is full")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("tocsin.notify.store.finish", finish)
    monkeypatch.setattr("asyncio.sleep", _no_sleep)
    await world.report(a_report(severity=5))
    assert (world.ntfy.told, statuses(world)) == (["opened Disk full"], ["sent"])


async def _no_sleep(_seconds: float, result: object = None) -> object:
    await asyncio.tasks.__sleep0()  # type: ignore[attr-defined]
    return result


# Fencing.


@pytest.mark.claim("O6", "N5", "F5")
async def test_a_node_that_lost_its_lease_cannot_write_an_outcome(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {"oncall-phone"}
    await world.report(a_report(severity=4))
    (message,) = world.messages()

    def another_node_takes_over(tx: Tx) -> Message:
        return store.lease(tx, [msgspec.structs.replace(message, status="pending")], "node-2", world.clock.now())[0]

    leased = await world.write(another_node_takes_over)
    world.ntfy.free()
    await world.settle()
    (now,) = world.messages()
    assert (now.status, now.lease_node, now.fence) == ("sending", "node-2", leased.fence)


@pytest.mark.claim("O6", "F5", "P3")
async def test_the_messages_of_a_node_that_died_are_taken_over_when_its_lease_has_run_out(postgresql_url: str, tmp_path: Path) -> None:
    first = World(postgresql_url, tmp_path / "1", node="node-1")
    second = World(postgresql_url, tmp_path / "2", node="node-2", clock=first.clock)
    await first.people(ONCALL_PHONE)
    await asyncio.to_thread(second.core.refresh)
    first.ntfy.hangs_for = {"oncall-phone"}
    await first.report(a_report(severity=4))
    await second.turn()
    assert second.ntfy.told == []
    second.clock.advance(store.LEASE + SECOND)
    await second.pass_time(MINUTE)
    assert second.ntfy.told == ["opened Disk full (perhaps again)"]
    first.ntfy.free()
    await first.settle()
    assert statuses(first) == ["sent"]
    await first.close()
    await second.close()


@pytest.mark.claim("O6", "F5", "P7", "B15")
async def test_two_nodes_that_look_for_work_at_once_send_each_message_once(postgresql_url: str, tmp_path: Path) -> None:
    worlds = [World(postgresql_url, tmp_path / str(n), node=f"node-{n}", message_burst=1_000) for n in range(2)]
    await worlds[0].people(ONCALL_PHONE)
    for world in worlds:
        await asyncio.to_thread(world.core.refresh)
        world.core.announcer.use(FakeDispatch(may_send=False))
    await worlds[0].report(*[a_report(f"disk:{n}") for n in range(60)])
    for _ in range(20):
        await asyncio.gather(*[world.delivery.cycle() for world in worlds])
        await asyncio.gather(*[world.settle() for world in worlds])
    sent = [letter.message.id for world in worlds for letter in world.ntfy.letters if letter.message.kind == "opened"]
    assert len(sent) == len(set(sent))
    assert set(statuses(worlds[0], kind="opened")) == {"sent"}
    for world in worlds:
        await world.close()


async def test_the_alert_of_a_message_can_be_found(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report())
    (message,) = world.messages()
    alert = await world.write(lambda tx: alert_store.by_number(tx, message.alert_number))
    assert alert == world.alert()


async def test_the_journal_forgets_what_was_settled(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await _die_after_departure(world, severity=4)
    await world.pass_time(MINUTE)
    journal = Departures(world.settings.data_dir / "departures-node-1")
    journal.close()
    assert world.departures.earlier == frozenset()

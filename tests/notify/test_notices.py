"""Messages about no alert go the same way as all others, with the same promises."""

from pathlib import Path

import msgspec
import pytest

from tests.build import ONCALL_MAIL, ONCALL_PHONE, a_contact, a_report
from tests.fakes import DOWN, LOST, NOW
from tests.notify.letters import a_letter, an_alert
from tests.world import World
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.db.writer import Tx
from tocsin.notify import notices
from tocsin.notify.model import Contact, Kind
from tocsin.notify.render import mail_text, push_text
from tocsin.notify.rules import Pointless, notice_readers

TITLE, TEXT = "You are on call now", "First line, until Monday 09:00."


async def tell(world: World, *contacts: Contact, expires_at: int | None = None) -> None:
    def work(tx: Tx) -> None:
        now = world.clock.now()
        world.core.announcer.tell(tx, notices.add(tx, 1, TITLE, TEXT, expires_at, now), contacts, now)

    await world.write(work)
    await world.settle()


@pytest.mark.claim("N5")
async def test_a_notice_is_sent_at_once_and_is_about_no_alert(world: World) -> None:
    await world.people(ONCALL_PHONE, ONCALL_MAIL)
    await tell(world, ONCALL_PHONE, ONCALL_MAIL)
    (push,), (mail,) = world.ntfy.letters, world.email.letters
    assert (push.alert.title, push.alert.message, push.links) == (TITLE, TEXT, None)
    assert mail.message.kind == Kind.NOTICE
    assert [(m.kind, m.status) for m in world.messages()] == [("notice", "sent"), ("notice", "sent")]
    assert world.alerts() == []


@pytest.mark.claim("N5")
async def test_a_notice_is_tried_again_until_it_arrives(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await tell(world, ONCALL_PHONE)
    world.ntfy.outcome = msgspec.structs.replace(DOWN, result="sent", error=None)
    await world.pass_time(MINUTE)
    assert [m.status for m in world.messages()] == ["sent"]


@pytest.mark.claim("N5")
async def test_a_notice_that_was_under_way_at_a_kill_is_looked_after_by_the_next_start(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.hangs_for = {ONCALL_PHONE.target}
    await tell(world, ONCALL_PHONE)
    world.ntfy.hangs_for = set()
    await world.restart()
    await world.pass_time(MINUTE)
    assert [m.status for m in world.messages()] == ["sent"]
    assert len(world.ntfy.letters) == 1


async def test_of_a_notice_with_an_unknown_end_the_provider_is_asked_and_it_is_not_sent_twice(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = LOST
    await tell(world, ONCALL_PHONE)
    await world.pass_time(2 * HOUR)
    assert len(world.ntfy.letters) == 1
    assert [letter.alert.title for letter in world.ntfy.looked_up][:1] == [TITLE]
    assert [m.status for m in world.messages()] == ["unknown"]


async def test_a_notice_whose_time_is_over_is_not_sent_any_more(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await tell(world, ONCALL_PHONE, expires_at=NOW + 30 * SECOND)
    world.ntfy.letters.clear()
    await world.pass_time(10 * MINUTE)
    (message,) = world.messages()
    assert (message.status, message.last_error) == ("cancelled", Pointless.EXPIRED)


async def test_a_notice_may_travel_in_a_digest_with_alerts(sqlite_url: str, tmp_path: Path) -> None:
    world = World(sqlite_url, tmp_path, message_burst=1, messages_per_minute=1)
    await world.people(ONCALL_PHONE)
    for n in range(6):
        await world.report(a_report(f"disk:/{n}", type=f"disk.trouble{n}"))  # of one type they would be one group
    await tell(world, ONCALL_PHONE)
    await world.pass_until_quiet(HOUR)
    (digest,) = [letter for letter in world.ntfy.letters if letter.message.kind == Kind.DIGEST]
    assert TITLE in push_text(digest).message
    assert {m.status for m in world.messages()} == {"sent"}
    await world.close()


def test_a_notice_says_its_title_and_its_text_and_nothing_of_an_alert() -> None:
    letter = a_letter("notice", an_alert(-3, title=TITLE, message=TEXT, severity=2), links=None)
    push, mail = push_text(letter), mail_text(letter)
    assert (push.title, push.message, push.priority, push.buttons) == (TITLE, TEXT, 2, ())
    assert mail.subject == TITLE
    assert TEXT in mail.text
    assert TEXT in mail.html
    assert not [word for word in ("alert", "#", "Nobody has it", "First seen") if word in mail.text]
    assert "Alert #" not in mail.html


def test_a_notice_rings_no_telephone() -> None:
    mine = [msgspec.structs.replace(a_contact(n, kind), user_id="anna") for n, kind in enumerate(("voice", "sms", "email", "ntfy"))]
    others = [a_contact(9)]
    assert [c.kind for c in notice_readers("anna", [*mine, *others])] == ["email", "ntfy"]
    assert [c.kind for c in notice_readers("anna", [*mine[:2], *others])] == ["sms"]
    assert notice_readers("ben", mine) == ()

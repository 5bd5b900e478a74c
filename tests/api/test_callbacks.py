"""Texts and calls from the outside: receipts, keys, answers, the second provider, the month's limit."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.build import a_contact
from tests.notify.phones import CALL_PRICE, MAIL, SMS, SMS_PRICE, VOICE, Phones, telephones
from tests.notify.ways import BACK, PHONE
from tests.standins import twilio, vonage
from tests.standins.provider import BROKEN, DROP, Answer, Fault, Seen
from tocsin.core.clock import DAY, MINUTE, SECOND
from tocsin.db import tables
from tocsin.notify import delivery
from tocsin.notify.model import Contact

pytestmark = pytest.mark.claim("N3")

STRANGER = "+4930999999"


@pytest.fixture
async def phones(sqlite_service: Service) -> AsyncIterator[Phones]:
    async with telephones(sqlite_service) as phones:
        yield phones


@pytest.fixture
async def both(service: Service) -> AsyncIterator[Phones]:
    """On each kind of database."""
    async with telephones(service) as phones:
        yield phones


class TestReceipts:
    @pytest.mark.claim("K11")
    async def test_a_text_is_sent_then_delivered_and_the_history_says_so(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        assert phones.message().status == "sent"
        await phones.text_is("delivered")
        assert phones.message().status == "delivered"
        assert phones.stories() == ["sent", "delivered"]
        (told,) = (await phones.service.reader.get("/notifications"))["items"]
        assert told["status"] == "delivered"

    async def test_receipts_may_come_late_again_and_in_any_order(self, both: Phones) -> None:
        await both.alarm(SMS)
        for stage in ("delivered", "sent", "queued", "undelivered", "delivered", "failed"):
            await both.text_is(stage)
        assert both.message().status == "delivered"
        both.world.clock.advance(3 * DAY)
        await both.text_is("delivered")
        assert both.stories() == ["sent", "delivered"]
        assert len(both.twilio.taken) == 1

    async def test_a_text_of_which_nobody_knew_is_known_once_its_receipt_comes(self, phones: Phones) -> None:
        phones.twilio.fail_next(Fault(drop=True, taken=True))
        await phones.alarm(SMS, severity=3)
        assert phones.message().status == "unknown"
        await phones.text_is("delivered")
        assert phones.message().status == "delivered"

    async def test_a_receipt_that_is_quicker_than_our_own_note_counts_once_that_is_written(self, phones: Phones) -> None:
        """Twilio calls back while its answer to our request is still on the way."""
        await phones.world.people(SMS)
        said: list[int] = []

        async def called_back(seen: Seen) -> Answer:
            answer = await type(phones.twilio).answer(phones.twilio, seen)
            (message,) = phones.world.messages()
            form = {"MessageSid": phones.twilio.sids[0], "MessageStatus": "delivered"}
            await phones.twilio_says(f"/text/{message.id}", form)
            said.append(1)
            return answer

        phones.twilio.answer = called_back  # type: ignore[method-assign]
        await phones.service.send({"type": "disk.full", "severity": 5, "title": "Disk full"})
        assert (said, phones.message().status) == ([1], "sent")
        await phones.pass_time(5 * SECOND)
        assert phones.message().status == "delivered"
        assert len(phones.twilio.taken) == 1

    async def test_a_page_whose_answer_was_lost_is_not_sent_again_once_the_provider_says_that_it_has_it(self, both: Phones) -> None:
        both.twilio.fail_next(Fault(drop=True, taken=True))
        await both.alarm(SMS)
        assert (both.message().status, both.message().maybe_repeated) == ("pending", True)
        await both.text_is("sent")
        assert both.message().status == "sent"
        await both.pass_time(10 * SECOND)
        assert (len(both.twilio.taken), len(both.vonage.taken)) == (1, 0)

    @pytest.mark.claim("K11")
    async def test_a_text_that_did_not_arrive_goes_through_the_other_provider(self, both: Phones) -> None:
        await both.alarm(SMS)
        await both.text_is("undelivered", ErrorCode="30003")
        await both.world.turn()
        assert [text.to for text in both.vonage.taken] == [PHONE.removeprefix("+")]
        assert "(perhaps again)" in both.vonage.taken[0].text
        body = {"message_uuid": both.vonage.sids[0], "to": "4915123456789", "from": "4930123457", "status": "delivered"}
        await both.vonage_says(f"/text/{both.message().id}", body)
        assert both.stories() == ["sent", "sent again through another provider: undelivered (30003)", "sent", "delivered"]

    async def test_without_a_receipt_within_a_minute_the_other_provider_is_asked(self, both: Phones) -> None:
        await both.alarm(SMS)
        await both.text_is("sent")
        await both.pass_time(59 * SECOND)
        assert both.vonage.taken == []
        await both.pass_time(2 * SECOND)
        assert len(both.vonage.taken) == 1
        await both.pass_time(10 * MINUTE)
        assert (len(both.twilio.taken), len(both.vonage.taken)) == (1, 1)
        assert both.stories() == [
            "sent",
            "sent again through another provider: no receipt came within a minute",
            "sent",
            "no receipt came",
        ]

    async def test_a_digest_that_did_not_arrive_goes_through_the_other_provider_with_all_that_it_carries(self, both: Phones) -> None:
        await both.world.people(SMS)
        problem = {"type": "disk.full", "severity": 4, "title": "Disk full"}
        await both.service.send(*[{**problem, "subject": f"disk:{number}"} for number in range(40)])
        await both.pass_time(10 * SECOND)
        (digest,) = both.world.messages(kind="digest")
        place = next(n for n, one in enumerate(both.twilio.taken) if digest.id in one["StatusCallback"])
        await both.text_is("undelivered", place, ErrorCode="30003")
        await both.pass_time(20 * SECOND)
        (again,) = both.vonage.taken
        assert "more alerts of main (perhaps again), the loudest: " in again.text
        assert {m.status for m in both.world.messages(digest_id=digest.id)} == {"sent"}

    async def test_a_digest_of_which_somebody_has_all_is_not_sent_again(self, phones: Phones) -> None:
        await phones.world.people(SMS)
        problem = {"type": "disk.full", "severity": 4, "title": "Disk full"}
        await phones.service.send(*[{**problem, "subject": f"disk:{number}"} for number in range(30)])
        await phones.pass_time(10 * SECOND)
        (digest,) = phones.world.messages(kind="digest")
        for one in phones.world.messages(digest_id=digest.id):
            await phones.service.writer.post(f"/alerts/{one.alert_number}/acknowledge")
        place = next(n for n, one in enumerate(phones.twilio.taken) if digest.id in one["StatusCallback"])
        await phones.text_is("undelivered", place, ErrorCode="30003")
        await phones.pass_time(20 * SECOND)
        assert phones.vonage.taken == []

    async def test_a_late_receipt_of_the_first_settles_it_whatever_the_second_says(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        await phones.pass_time(61 * SECOND)
        await phones.text_is("delivered")
        body = {"message_uuid": phones.vonage.sids[0], "status": "undeliverable", "error": {"title": "1340"}}
        await phones.vonage_says(f"/text/{phones.message().id}", body)
        assert phones.message().status == "delivered"

    async def test_what_somebody_has_taken_over_is_not_sent_again(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        await phones.service.writer.post("/alerts/1/acknowledge")
        await phones.pass_time(61 * SECOND)
        assert phones.vonage.taken == []
        assert phones.message().status == "sent"

    @pytest.mark.claim("K11")
    async def test_when_no_provider_brings_it_others_are_told(self, both: Phones) -> None:
        await both.alarm(SMS)
        await both.world.people(SMS, MAIL)
        await both.text_is("failed", ErrorCode="30006")
        await both.world.turn()
        body = {"message_uuid": both.vonage.sids[0], "status": "rejected", "error": {"title": "1320"}}
        await both.vonage_says(f"/text/{both.message().id}", body)
        await both.world.turn()
        assert both.message().status == "failed"
        assert both.world.email.told == ["opened Disk full"]
        assert both.stories()[-2] == "failed: 1320"

    async def test_who_told_the_provider_to_stop_is_not_written_to_behind_their_back(self, phones: Phones) -> None:
        phones.twilio.opted_out.add(PHONE)
        await phones.alarm(SMS)
        assert phones.vonage.taken == []
        assert phones.message().status == "failed"
        assert "text START" in str(phones.message().last_error)


class TestTheSecondProvider:
    async def test_it_is_asked_at_once_when_the_first_cannot(self, phones: Phones) -> None:
        phones.twilio.fail_next(BROKEN)
        await phones.alarm(SMS)
        assert len(phones.vonage.taken) == 1
        assert phones.message().receipt == f"vonage {phones.vonage.sids[0]}"

    async def test_it_is_not_asked_when_the_first_may_have_it(self, phones: Phones) -> None:
        phones.twilio.fail_next(DROP)
        await phones.alarm(SMS, severity=3)
        assert phones.vonage.taken == []
        assert phones.message().status == "unknown"

    async def test_a_page_that_the_first_may_have_goes_to_the_second_in_the_next_attempt(self, phones: Phones) -> None:
        phones.twilio.fail_next(DROP)
        await phones.alarm(SMS)
        await phones.pass_time(3 * SECOND)
        assert len(phones.vonage.taken) == 1

    async def test_what_both_refuse_says_why_each_did(self, phones: Phones) -> None:
        await phones.alarm(a_contact(1, "sms", "+1"))
        assert phones.message().status == "failed"
        assert "21211" in str(phones.message().last_error)
        assert "Vonage" in str(phones.message().last_error)


class TestForgeries:
    @pytest.mark.parametrize("what", ["text", "call", "keys"])
    async def test_only_the_provider_itself_is_believed(self, phones: Phones, what: str) -> None:
        await phones.alarm(SMS, VOICE)
        path = f"/{what}/{phones.message(SMS if what == 'text' else VOICE).id}"
        form = {"MessageSid": "SM1", "CallSid": "CA1", "MessageStatus": "delivered", "CallStatus": "completed", "Digits": "5", "To": PHONE}
        headers, body = twilio.signed(f"{BACK}/twilio{path}", form)
        assert (await phones.post(f"/twilio{path}", {}, body)).status_code == 403
        assert (await phones.post(f"/twilio{path}", headers, body + b"&x=1")).status_code == 403
        assert (await phones.post(f"/twilio{path}?x=1", headers, body)).status_code == 403
        assert (await phones.post(f"/vonage{path}", headers, body)).status_code == 403
        assert (await phones.post(f"/telnyx{path}", headers, body)).status_code == 403
        await phones.twilio_says(path, form, 403, token="another")
        assert {m.status for m in phones.world.messages()} == {"sent"}
        assert phones.world.alert().status == "open"

    async def test_a_token_of_vonage_must_be_fresh_ours_and_of_this_very_body(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        path, body = f"/text/{phones.message().id}", {"message_uuid": "u", "status": "delivered"}
        now = phones.world.clock.now() // SECOND
        await phones.vonage_says(path, body, 403, now=now - 301)
        await phones.vonage_says(path, body, 403, now=now + 301)
        await phones.vonage_says(path, body, 403, secret="another")
        await phones.vonage_says(path, body, 403, payload_hash="0" * 64)
        await phones.vonage_says(path, body, 403, application_id="00000000-0000-4000-8000-000000000000")
        await phones.vonage_says(path, body, 403, iat="soon")
        headers, raw = vonage.signed(body, now)
        for bad in ("", "Bearer x", "Bearer a.b.c", "Bearer W10.W10.W10", headers["Authorization"][:-4]):
            answer = await phones.post(f"/vonage{path}", {"Authorization": bad}, raw)
            assert answer.status_code == 403
        assert phones.message().status == "sent"

    async def test_a_genuine_receipt_about_nothing_of_ours_is_refused(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        form = {"MessageSid": phones.twilio.sids[0], "MessageStatus": "delivered"}
        for message_id in ("00000000-0000-7000-8000-00000000dead", "x", phones.message().id[:-1]):
            await phones.twilio_says(f"/text/{message_id}", form, 403)
        await phones.alarm(SMS, subject="another")
        other = next(m.id for m in phones.world.messages() if m.id not in phones.twilio.taken[0]["StatusCallback"])
        await phones.twilio_says(f"/text/{other}", form, 403)

    async def test_what_cannot_be_read_does_no_harm(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        message_id = phones.message().id
        for body in ({}, {"status": "delivered"}, {"status": 5, "message_uuid": []}, {"status": "dancing", "message_uuid": "u"}):
            await phones.vonage_says(f"/text/{message_id}", body)
        await phones.twilio_says(f"/text/{message_id}", {"MessageSid": "", "MessageStatus": "sent"})
        await phones.vonage_says("/reply", {"from": 5}, 403)
        assert phones.message().status == "sent"

    async def test_without_a_provider_there_are_no_call_backs(self, service: Service) -> None:
        answer = await service.client.post("/api/v1/callbacks/twilio/reply", content=b"")
        assert answer.status_code == 403


class TestCalls:
    async def test_a_call_speaks_and_asks_for_a_key(self, phones: Phones) -> None:
        await phones.alarm(VOICE)
        (call,) = phones.twilio.taken
        assert "Critical alert at main, number 1. Disk full." in call["Twiml"]
        assert "Press 4 to acknowledge, 5 to resolve, 6 to escalate." in call["Twiml"]

    async def test_key_4_acknowledges_and_key_5_resolves_and_twice_does_no_harm(self, both: Phones) -> None:
        await both.alarm(VOICE)
        assert "<Say>Acknowledged alert 1: Disk full. Goodbye.</Say>" in await both.press("4")
        assert both.world.alert().status == "acknowledged"
        assert "Acknowledged alert 1" in await both.press("4")
        assert "Resolved alert 1" in await both.press("5")
        assert "is resolved already" in await both.press("4")
        assert both.world.alert().status == "resolved"
        assert [line for line in both.world.history(1) if "key of the telephone" in line] == [
            "acknowledged: asked for by a key of the telephone",
            "resolved: asked for by a key of the telephone",
        ]

    async def test_key_6_has_the_next_level_told_once_however_often_it_is_pressed(self, both: Phones) -> None:
        await both.alarm(VOICE, MAIL)
        assert "<Say>Escalated alert 1: Disk full. Goodbye.</Say>" in await both.press("6")
        await both.world.settle()
        assert [m.step for m in both.world.messages(contact_id=MAIL.id)] == [0, 1]
        assert "The next level has been told of alert 1" in await both.press("6")
        assert [m.step for m in both.world.messages(contact_id=MAIL.id)] == [0, 1]
        assert both.world.alert().status == "open"
        assert [line for line in both.world.history(1) if line.startswith("escalated")][
            -1
        ] == "escalated: asked for by a key of the telephone"

    async def test_another_key_and_none_have_the_menu_said_again_and_not_for_ever(self, phones: Phones) -> None:
        await phones.alarm(VOICE)
        assert "That key does nothing." in await phones.press("9")
        again = await phones.press("")
        assert "<Gather" in again
        assert "Press 4" in again
        assert phones.world.alert().status == "open"

    async def test_keys_count_only_from_the_telephone_that_was_called(self, phones: Phones) -> None:
        await phones.alarm(VOICE)
        form = {"CallSid": phones.twilio.sids[0], "To": STRANGER, "Digits": "5"}
        await phones.twilio_says(f"/keys/{phones.message(VOICE).id}", form, 403)
        assert phones.world.alert().status == "open"

    async def test_an_answered_call_is_delivered(self, phones: Phones) -> None:
        await phones.alarm(VOICE)
        for stage in ("initiated", "ringing", "in-progress", "completed"):
            await phones.call_is(stage)
        assert phones.message(VOICE).status == "delivered"

    @pytest.mark.parametrize(("stage", "why"), [("no-answer", "nobody answered"), ("busy", "busy")])
    async def test_nobody_answering_is_no_fault_of_the_provider_and_others_are_told(self, phones: Phones, stage: str, why: str) -> None:
        await phones.alarm(VOICE)
        await phones.world.people(VOICE, MAIL)
        await phones.call_is(stage)
        await phones.world.turn()
        assert phones.vonage.taken == []
        assert (phones.message(VOICE).status, phones.message(VOICE).last_error) == ("failed", why)
        assert phones.world.email.told == ["opened Disk full"]

    async def test_a_call_that_failed_is_made_by_the_other_provider_and_its_keys_work_too(self, phones: Phones) -> None:
        await phones.alarm(VOICE)
        await phones.call_is("failed")
        await phones.world.turn()
        (call,) = phones.vonage.taken
        assert call.ncco[0].text.startswith("This is Tocsin. Critical alert at main, number 1. Disk full.")
        pressed = {"uuid": phones.vonage.sids[0], "from": "4930123457", "to": PHONE[1:], "dtmf": {"digits": "4", "timed_out": False}}
        message_id = phones.message(VOICE).id
        said = await phones.vonage_says(f"/keys/{message_id}", pressed)
        assert said == [{"action": "talk", "text": "Acknowledged alert 1: Disk full. Goodbye."}]
        again = {**pressed, "dtmf": {"digits": "", "timed_out": True}}
        asked = await phones.vonage_says(f"/keys/{message_id}", again)
        assert [action["action"] for action in asked] == ["talk", "input"]
        assert asked[1]["eventUrl"][0].endswith("?turn=1")
        assert await phones.vonage_says(f"/keys/{message_id}?turn=2", again) == [{"action": "talk", "text": "Goodbye."}]

    async def test_nobody_is_called_with_good_news_and_a_text_tells_the_end_only(self, phones: Phones) -> None:
        await phones.alarm(SMS, VOICE)
        await phones.service.writer.post("/alerts/1/acknowledge")
        await phones.service.writer.post("/alerts/1/resolve")
        await phones.world.settle()
        assert [m.kind for m in phones.world.messages(contact_id=VOICE.id)] == ["opened"]
        assert [m.kind for m in phones.world.messages(contact_id=SMS.id)] == ["opened", "resolved"]


class TestAnswers:
    async def test_ack_and_resolve_with_the_number_do_it_and_say_so(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        assert await phones.answer("Ack 1") == "Acknowledged alert 1: Disk full."
        assert phones.world.alert().acknowledged_by == f"sms {PHONE}"
        assert await phones.answer(" RESOLVE #1. ", sid="SM2") == "Resolved alert 1: Disk full."
        assert await phones.answer("ack 1", sid="SM3") == "Alert 1 is resolved already: Disk full."
        assert "resolved: asked for by text message" in phones.world.history(1)

    async def test_without_a_number_the_only_one_is_meant(self, both: Phones) -> None:
        await both.alarm(SMS)
        assert await both.answer("ack") == "Acknowledged alert 1: Disk full."
        await both.service.send({"type": "raid.broken", "severity": 5})
        assert await both.answer("ack", sid="SM2") == "Which one? Send ack and its number, such as 12."

    async def test_escalate_has_the_next_level_told_once_however_many_ask(self, both: Phones) -> None:
        await both.alarm(SMS, MAIL)
        assert await both.answer("escalate 1") == "Escalated alert 1: Disk full."
        await both.world.settle()
        assert [m.step for m in both.world.messages(contact_id=MAIL.id)] == [0, 1]
        assert await both.answer("escalate 1", sid="SM2") == "The next level has been told of alert 1: Disk full."
        assert [m.step for m in both.world.messages(contact_id=MAIL.id)] == [0, 1]
        assert both.world.history(1).count("escalated: asked for by text message") == 1

    async def test_a_text_that_is_told_of_twice_is_acted_on_once(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        first = await phones.answer("ack 1")
        await phones.service.writer.post("/alerts/1/unacknowledge")
        assert await phones.answer("ack 1") == first
        assert phones.world.alert().status == "open"

    async def test_a_stranger_gets_no_answer_and_changes_nothing(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        for text in ("ack 1", "STOP", "hello"):
            assert await phones.answer(text, STRANGER, sid=text) == ""
        assert phones.world.alert().status == "open"

    @pytest.mark.parametrize("text", ["hello", "ack twelve", "12", "", "ack 1 2", "ack 1234567890123", "\x00", "stop 1"])
    async def test_what_is_not_understood_is_answered_with_what_would_be(self, phones: Phones, text: str) -> None:
        await phones.alarm(SMS)
        assert (await phones.answer(text)).startswith("Not understood. Send ack 12, resolve 12")

    async def test_a_number_of_no_alert_says_no_more_than_that(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        assert await phones.answer("ack 99") == "There is no alert 99 that you may act on."

    async def test_a_shared_telephone_acts_only_on_what_it_was_told(self, phones: Phones) -> None:
        await phones.alarm(MAIL)
        await phones.world.people(SMS)
        assert await phones.answer("ack 1") == "There is no alert 1 that you may act on."

    async def test_stop_ends_texts_says_so_and_start_begins_them_again(self, both: Phones) -> None:
        await both.alarm(SMS)
        assert await both.answer("STOP") == "You get no more texts from Tocsin. Send START to get them again."
        await both.service.send({"type": "raid.broken", "severity": 5})
        assert len(both.twilio.taken) == 1
        assert await both.answer("ack 1", sid="SM2") == ""
        assert await both.answer("start", sid="SM3") == "You get texts from Tocsin again. Send STOP to end them."
        await both.service.send({"type": "raid.gone", "severity": 5})
        assert len(both.twilio.taken) == 2
        actions = [entry["action"] for entry in (await both.service.admin.get("/audit"))["items"]]
        assert actions[:2] == ["contact.started", "contact.stopped"]

    async def test_start_does_not_switch_on_what_somebody_else_switched_off(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        await phones.world.write(lambda tx: tx.sql.execute(sa.update(tables.contacts).values(disabled_at=1)))
        assert await phones.answer("START") == ""

    async def test_vonage_is_answered_with_a_text_of_its_own(self, phones: Phones) -> None:
        await phones.alarm(SMS)
        incoming = {"message_uuid": "in-1", "from": PHONE[1:], "to": "4930123457", "channel": "sms", "text": "ack 1"}
        await phones.vonage_says("/reply", incoming)
        await phones.vonage_says("/reply", incoming)
        assert [text.text for text in phones.vonage.taken][:1] == ["Acknowledged alert 1: Disk full."]
        assert phones.world.alert().status == "acknowledged"


class TestPeople:
    """Telephones of people with an account: what they may do is what they may do elsewhere."""

    async def person(self, phones: Phones, role: str, *, every_site: bool = True, disabled: bool = False) -> Contact:
        contact = Contact(SMS.id, "sms", PHONE, user_id="00000000-0000-7000-8000-0000000000aa")
        values = {"email": "marta@example.com", "name": "Marta", "role": role, "every_site": every_site, "created_at": 1}
        table = tables.users
        disabled_at = 1 if disabled else None
        await phones.world.write(lambda tx: tx.sql.execute(table.insert().values(id=contact.user_id, disabled_at=disabled_at, **values)))
        return contact

    async def test_a_responder_acts_under_their_name(self, both: Phones) -> None:
        contact = await self.person(both, "responder")
        await both.alarm(contact)
        await both.answer("ack 1")
        assert both.world.alert().acknowledged_by == "Marta"

    @pytest.mark.parametrize(
        ("role", "every_site", "disabled", "answer"),
        [
            ("viewer", True, False, "There is no alert 1 that you may act on."),
            ("responder", False, False, "There is no alert 1 that you may act on."),
            ("admin", True, True, ""),
        ],
    )
    async def test_who_may_not_act_elsewhere_may_not_by_telephone(
        self, phones: Phones, role: str, every_site: bool, disabled: bool, answer: str
    ) -> None:
        contact = await self.person(phones, role, every_site=every_site, disabled=disabled)
        await phones.alarm(contact)
        assert await phones.answer("resolve 1") == answer
        assert phones.world.alert().status == "open"


class TestTheLimit:
    async def test_when_it_is_reached_push_and_mail_are_told_and_the_history_and_an_alert_say_so(self, service: Service) -> None:
        async with telephones(service, limit=2 * SMS_PRICE) as phones:
            await phones.world.people(SMS, MAIL)
            for number in range(3):
                await service.send({"type": "disk.full", "severity": 5, "title": "Disk full", "subject": f"disk:{number}"})
            assert len(phones.twilio.taken) == 2
            third = [m for m in phones.world.messages(contact_id=SMS.id) if m.status == "failed"]
            assert "the spend limit of 0.20 for 2025-11 is reached (0.20 spent): others are told by push and mail" in {
                m.last_error for m in third
            }
            titles = [alert.title for alert in phones.world.alerts() if alert.type == "tocsin.spend_limit"]
            assert titles == ["Texts and calls have used up their spend limit for 2025-11: push and mail only"]
            assert phones.world.email.told.count("opened Disk full") == 3

    async def test_what_it_holds_back_says_nothing_of_whether_the_telephone_can_be_reached(self, sqlite_service: Service) -> None:
        async with telephones(sqlite_service, limit=0) as phones:
            await phones.world.people(SMS, MAIL)
            phones.world.delivery.faults[SMS.id] = delivery.Fault("the network is down", 0, 0, 5, reported=True)
            await sqlite_service.send({"type": "disk.full", "severity": 5, "title": "Disk full"})
            await phones.pass_time(SECOND)
            assert {m.status for m in phones.world.messages(contact_id=SMS.id, kind="opened")} == {"failed"}
            assert SMS.id in phones.world.delivery.faults, "it is not well because nothing was sent"

    async def test_a_new_month_is_a_new_account(self, service: Service) -> None:
        async with telephones(service, limit=5 * SMS_PRICE) as phones:
            await phones.world.people(SMS)
            for number in range(6):
                await service.send({"type": "disk.full", "severity": 5, "subject": f"disk:{number}"})
            assert len(phones.twilio.taken) == 5
            (alert,) = [one for one in phones.world.alerts() if one.type == "tocsin.spend_limit"]
            assert (alert.status, alert.severity) == ("open", 4)
            for place in range(5):
                await phones.text_is("delivered", place)
            phones.world.clock.advance(6 * DAY)  # the 1st of December
            await phones.phone.receipts.chase()
            assert phones.world.alert(alert.number).status == "resolved"
            await service.send({"type": "disk.full", "severity": 5, "subject": "disk:7"})
            assert any(one["Body"].startswith("CRITICAL") for one in phones.twilio.taken[5:])

    async def test_what_was_not_handed_over_costs_nothing_and_the_real_price_counts(self, service: Service) -> None:
        async with telephones(service) as phones:
            phones.twilio.fail_next(BROKEN)
            phones.vonage.fail_next(BROKEN)
            await phones.alarm(SMS)
            assert self.spent(phones) == 0
            await phones.pass_time(3 * SECOND)
            assert self.spent(phones) == SMS_PRICE
            said = {"message_uuid": phones.vonage.sids[-1], "status": "submitted", "usage": {"currency": "EUR", "price": "0.0333"}}
            await phones.vonage_says(f"/text/{phones.message().id}", said)
            assert self.spent(phones) == 33_300

    async def test_a_test_message_counts_too_and_its_receipts_are_known(self, service: Service) -> None:
        async with telephones(service, limit=CALL_PRICE) as phones:
            await phones.world.people(VOICE)
            (first,) = (await service.admin.post("/channels/voice/test"))["items"]
            (second,) = (await service.admin.post("/channels/voice/test"))["items"]
            assert (first["result"], second["result"]) == ("sent", "permanent")
            message_id = phones.twilio.taken[0]["StatusCallback"].rpartition("/")[2]
            await phones.twilio_says(f"/call/{message_id}", {"CallSid": phones.twilio.sids[0], "CallStatus": "completed"})

    def spent(self, phones: Phones) -> int:
        with phones.world.core.database.read() as connection:
            return phones.phone.receipts.till.standing(connection, phones.world.clock.now()).spent

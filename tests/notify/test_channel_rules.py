"""The rules that every channel keeps, whatever it speaks: held over the table of all of them."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from tests.notify.letters import NOW, an_alert
from tests.notify.ways import WAYS, Way
from tests.standins import twilio
from tests.standins.provider import BUSY, DROP, HANG, NOT_IT, Fault, Provider
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.net.http import HttpDoor
from tocsin.notify.channels import channels
from tocsin.notify.model import Channel, Contact, Letter, Links, Outcome, Presence, Result
from tocsin.notify.providers import providers
from tocsin.settings import load

HOSTILE = (
    "",
    " ",
    "\x00\u202e",
    "<!channel> <@U1> @everyone",
    "[x](https://evil.example) *_~`|",
    "&" * 4000,
    "\\" * 4000,
    "ü🔥" * 3000,
    "a\nb" * 900,
)

GARBAGE = ("", "null", "[1", "{}", '{"error": 7, "message": [], "errors": {}, "parameters": 3, "retry_after": "x"}', "\x00" * 70_000)


@dataclass
class Line:
    """A channel that is connected to its stand-in."""

    way: Way
    provider: Provider
    channel: Channel
    departures: int = 0

    def letter(self, kind: str = "opened", **changes: object) -> Letter:
        return self.way.letter(self.provider.url, kind, **changes)

    async def send(self, letter: Letter | None = None) -> Outcome:
        return await self.channel.send(letter or self.letter(), self.departing)

    def departing(self) -> None:
        self.departures += 1

    def contact(self) -> Contact:
        return self.way.contact(self.provider.url)


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    door = HttpDoor(allow_private=True)
    async with request.param.provider() as provider:
        channel = request.param.channel(provider.url, door)
        yield Line(request.param, provider, channel)
        await channel.close()
    await door.close()


async def test_every_channel_with_a_provider_behind_it_stands_in_the_table() -> None:
    everything = {
        "NTFY_SERVER_URL": "https://ntfy.sh",
        "TOCSIN_SMTP_URL": "smtps://u:p@mail.example.com",
        "TOCSIN_TELEGRAM_TOKEN": "123456789:AAExampleExampleExampleExample_12345",
        "TOCSIN_TWILIO_ACCOUNT_SID": twilio.SID,
        "TOCSIN_TWILIO_AUTH_TOKEN": twilio.TOKEN,
        "TOCSIN_TWILIO_FROM": twilio.FROM,
    }
    door, settings = HttpDoor(allow_private=True), load(everything)
    found = channels(settings, door, providers(settings, door))
    own_tests = {"ntfy", "email", "apprise"}  # test_ntfy_channel.py, test_email_channel.py, test_apprise_channel.py
    assert set(found) - own_tests == {way.name.partition(" ")[0] for way in WAYS}
    for channel in found.values():
        await channel.close()


class TestWhatIsSent:
    async def test_every_kind_of_letter_is_one_that_the_provider_takes(self, line: Line) -> None:
        for number, kind in enumerate(("opened", "escalated", "repeated", "acknowledged", "digest", "notice")):
            others = (an_alert(13),) if kind == "digest" else ()
            more = {"alert": an_alert(-3), "links": None} if kind == "notice" else {}
            outcome = await line.send(line.letter(kind, others=others, message_id=f"019aa5b1-1111-7000-8000-{number:012x}", **more))
            assert (outcome.result, outcome.error) == (Result.SENT, None), kind
            assert line.provider.taken, kind
            line.provider.taken.clear()

    async def test_what_is_over_is_told_without_an_action(self, line: Line) -> None:
        outcome = await line.send(line.letter("resolved", alert=an_alert(status="resolved", resolved_at=NOW)))
        assert outcome.result is Result.SENT
        if line.way.name != "webhook":  # a program is told all that there is
            assert not any(b"/a/a-7f3k9q" in seen.body for seen in line.provider.requests)

    async def test_whatever_comes_from_outside_arrives_as_text(self, line: Line) -> None:
        for text in HOSTILE:
            alert = an_alert(title=text[:200], message=text[:4000], host=text[:200] or None, subject=text[:200] or None)
            assert (await line.send(line.letter(alert=alert))).result is Result.SENT, text[:20]

    async def test_two_copies_of_one_message_have_one_identity(self, line: Line) -> None:
        await line.send()
        await line.send(line.letter(now=line.letter().now + MINUTE) if line.way.name in _STAMPED else None)
        first, second = line.provider.requests
        assert line.way.identity(first) == line.way.identity(second)

    async def test_the_departure_is_told_before_the_provider_sees_anything(self, line: Line) -> None:
        seen: list[int] = []
        await line.channel.send(line.letter(), lambda: seen.append(len(line.provider.requests)))
        assert seen == [0]


_STAMPED = ("webhook", "pagerduty", "opsgenie")  # their copies may differ in words, since the identity is a field of its own


class TestWhatGoesWrong:
    async def test_too_many_requests_wait_as_long_as_the_provider_says(self, line: Line) -> None:
        line.provider.fail_next(BUSY)
        outcome = await line.send()
        assert (outcome.result, outcome.retry_after) == (Result.TEMPORARY, 30 * SECOND)

    async def test_a_fault_of_the_provider_is_temporary(self, line: Line) -> None:
        for status in (500, 502, 503, 408):
            line.provider.fail_next(Fault(status, "<html>oh</html>"))
            assert (await line.send()).result is Result.TEMPORARY, status

    async def test_a_wrong_key_or_address_is_refused_and_looked_at_again_later(self, line: Line) -> None:
        for status in (401, 404, 301):
            line.provider.fail_next(Fault(status, "no"))
            outcome = await line.send()
            assert (outcome.result, outcome.retry_after) == (Result.REFUSED, HOUR), status

    async def test_whatever_is_answered_nothing_escapes(self, line: Line) -> None:
        for status, body in itertools.product((200, 400, 403, 429), GARBAGE):
            line.provider.fail_next(Fault(status, body))
            outcome = await line.send()
            assert outcome.result is Result.SENT or outcome.error, (status, body[:20])

    async def test_what_answers_in_the_place_of_a_chat_is_not_taken_for_it(self, line: Line) -> None:
        line.provider.fail_next(NOT_IT)
        outcome = await line.send()
        assert outcome.result is (Result.REFUSED if line.way.strict else Result.SENT)

    async def test_a_connection_lost_after_sending_leaves_it_unknown(self, line: Line) -> None:
        for fault in (DROP, Fault(drop=True, taken=True)):
            line.provider.fail_next(fault)
            assert (await line.send()).result is Result.UNKNOWN
        assert await line.channel.look_up(line.letter(), 0) is Presence.CANNOT_TELL

    async def test_a_provider_that_hangs_holds_nothing_up_for_ever(self, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        await line.send()  # connects, which on a busy machine takes longer than is waited below
        monkeypatch.setattr("tocsin.notify.answers.SEND_SECONDS", 0.2)
        line.provider.fail_next(HANG)
        async with asyncio.timeout(5):
            assert (await line.send()).result is Result.UNKNOWN

    async def test_a_provider_that_is_down_was_not_reached_and_nothing_left(self, line: Line) -> None:
        letter = line.letter()
        await line.provider.stop()
        assert (await line.send(letter)).result is Result.TEMPORARY
        assert line.departures == 0

    async def test_a_contact_without_its_secret_is_no_fault_of_the_program(self, line: Line) -> None:
        letter = line.letter()
        bare = Contact("contact-1", letter.contact.kind, "somewhere")
        outcome = await line.channel.send(Letter(letter.message, bare, letter.alert, "acme", letter.links, letter.now), line.departing)
        assert outcome.result in (Result.PERMANENT, Result.REFUSED)


class TestSecrets:
    async def test_no_error_repeats_one_even_if_the_provider_does(self, line: Line) -> None:
        letter = line.letter()
        for status, hidden in itertools.product((400, 401, 403, 422, 500), line.way.hidden):
            said = f"no {hidden}"
            body = msgspec.json.encode({"error": said, "message": said, "errors": [said], "description": said}).decode()
            line.provider.fail_next(Fault(status, body), Fault(status, said))
            outcomes = f"{await line.send(letter)} {await line.send(letter)}"
            assert not any(part in outcomes for part in line.way.hidden), status

    async def test_no_error_about_the_connection_repeats_one(self, line: Line) -> None:
        letter, contact = line.letter(), line.contact()
        await line.provider.stop()
        said = f"{await line.send(letter)} {await line.channel.check(contact)} {contact!r} {letter!r}"
        assert not any(part in said for part in line.way.hidden)


class TestCheck:
    async def test_a_good_contact_has_no_fault_and_gets_no_message(self, line: Line) -> None:
        assert await line.channel.check(line.contact()) is None
        assert line.provider.taken == []
        assert line.provider.requests == []

    async def test_a_provider_that_is_down_is_found(self, line: Line) -> None:
        contact = line.contact()
        await line.provider.stop()
        assert "cannot be reached" in str(await line.channel.check(contact))

    async def test_a_contact_without_its_secret_is_found(self, line: Line) -> None:
        assert await line.channel.check(Contact("c", line.way.name, "somewhere")) is not None or line.way.secret is None


async def test_links_with_signs_that_mean_something_survive(line: Line) -> None:
    odd = "https://alarm.example.com/a/x?y=1&z=%22%3C"
    assert (await line.send(line.letter(links=Links(odd, odd, odd)))).result is Result.SENT

"""What is particular to Twilio and Vonage, and to one after the other."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.build import a_message
from tests.notify.letters import NOW
from tests.notify.ways import BACK, PHONE, a_twilio, a_vonage
from tests.standins import twilio, vonage
from tests.standins.provider import Fault
from tests.standins.twilio import TwilioStandIn
from tests.standins.vonage import VonageStandIn
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.phone import TwilioAccount, VonageAccount
from tocsin.net.http import HttpDoor
from tocsin.notify.model import Outcome, Result
from tocsin.notify.providers import can_be_reached, providers
from tocsin.notify.providers.asking import first_that_takes, in_order
from tocsin.notify.providers.model import Callback, OptedOut, Provider, Script
from tocsin.notify.providers.twilio import Twilio
from tocsin.notify.providers.vonage import Vonage, read_jwt, sign_jwt
from tocsin.settings import Settings

pytestmark = pytest.mark.claim("N3")

ID = "019aa5b1-1111-7000-8000-000000000001"


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


async def text(provider: Provider, number: str = PHONE, now: int = NOW) -> Outcome:
    return await provider.text(number, "Disk full", ID, now, lambda: None)


class TestTwilio:
    @pytest.fixture
    async def server(self) -> AsyncIterator[TwilioStandIn]:
        async with TwilioStandIn() as server:
            yield server

    async def test_a_text_names_where_its_receipts_go(self, server: TwilioStandIn, door: HttpDoor) -> None:
        assert (await text(a_twilio(server.url, door))).receipt == server.sids[0]
        assert server.taken[0]["StatusCallback"] == f"{BACK}/twilio/text/{ID}"
        assert (server.taken[0]["From"], server.taken[0]["To"]) == (twilio.FROM, PHONE)

    @pytest.mark.parametrize(
        ("sender", "calls", "hears"), [("MG" + "0" * 32, False, True), ("Tocsin", False, False), ("+4930123456", True, True)]
    )
    async def test_a_service_or_a_name_may_send_but_not_call(
        self, server: TwilioStandIn, door: HttpDoor, sender: str, calls: bool, hears: bool
    ) -> None:
        provider = Twilio(TwilioAccount(twilio.SID, twilio.TOKEN, sender), door, BACK, f"{server.url}/2010-04-01")
        assert (await text(provider)).result is Result.SENT
        assert (provider.can_call, provider.can_hear) == (calls, hears)
        assert server.taken[0].get("MessagingServiceSid" if sender.startswith("MG") else "From") == sender

    async def test_where_twilio_cannot_reach_us_it_is_not_asked_to(self, server: TwilioStandIn, door: HttpDoor) -> None:
        provider = Twilio(twilio.ACCOUNT, door, None, f"{server.url}/2010-04-01")
        await text(provider)
        await provider.call(PHONE, Script("Disk full", "Press 4"), ID, NOW, lambda: None)
        assert not any("StatusCallback" in taken for taken in server.taken)
        assert "Gather" not in server.taken[1]["Twiml"]
        assert not provider.is_genuine(Callback("/twilio/reply", {}, b""), NOW)

    @pytest.mark.parametrize(
        ("status", "code", "result"),
        [
            (400, 21211, Result.PERMANENT),
            (400, 21614, Result.PERMANENT),
            (400, 21408, Result.PERMANENT),
            (400, 21606, Result.REFUSED),
            (400, 21608, Result.REFUSED),
            (401, 20003, Result.REFUSED),
            (403, 20005, Result.REFUSED),
            (429, 20429, Result.TEMPORARY),
            (503, 20503, Result.TEMPORARY),
            (400, 30099, Result.PERMANENT),
        ],
    )
    async def test_each_refusal_has_its_class(self, server: TwilioStandIn, door: HttpDoor, status: int, code: int, result: Result) -> None:
        server.fail_next(Fault(status, msgspec.json.encode({"code": code, "message": "No", "status": status}).decode()))
        assert (await text(a_twilio(server.url, door))).result is result

    async def test_the_signature_is_that_of_twilios_own_example(self, door: HttpDoor) -> None:
        """twilio.com/docs/usage/security: the account, address and fields of their page."""
        account = TwilioAccount(twilio.SID, "12345", twilio.FROM)
        provider = Twilio(account, door, "https://example.com")
        fields = "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212"
        assert provider.signature(Callback("/myapp.php?foo=1&bar=2", {}, fields.encode())) == "L/OH5YylLD5NRKLltdqwSvS0BnU="

    async def test_a_closed_account_and_a_wrong_token_are_found_by_the_check(self, server: TwilioStandIn, door: HttpDoor) -> None:
        wrong = Twilio(TwilioAccount(twilio.SID, "wrong", twilio.FROM), door, BACK, f"{server.url}/2010-04-01")
        assert "TOCSIN_TWILIO_AUTH_TOKEN" in str(await wrong.check(NOW))


class TestVonage:
    @pytest.fixture
    async def server(self) -> AsyncIterator[VonageStandIn]:
        async with VonageStandIn(NOW // SECOND) as server:
            yield server

    async def test_a_text_names_where_its_receipts_go(self, server: VonageStandIn, door: HttpDoor) -> None:
        assert (await text(a_vonage(server.url, door))).receipt == server.sids[0]
        assert server.taken[0].webhook_url == f"{BACK}/vonage/text/{ID}"
        assert (server.taken[0].from_, server.taken[0].to) == (vonage.FROM[1:], PHONE[1:])

    async def test_the_token_is_made_anew_before_it_is_too_old(self, server: VonageStandIn, door: HttpDoor) -> None:
        provider = a_vonage(server.url, door)
        tokens = set()
        for minutes in (0, 4, 6, 30):
            server.now = (NOW + minutes * MINUTE) // SECOND
            assert (await text(provider, now=NOW + minutes * MINUTE)).result is Result.SENT
            tokens.add(server.requests[-1].headers["Authorization"])
        assert len(tokens) == 3

    @pytest.mark.parametrize(
        ("status", "result"),
        [
            (401, Result.REFUSED),
            (402, Result.REFUSED),
            (403, Result.REFUSED),
            (422, Result.PERMANENT),
            (429, Result.TEMPORARY),
            (500, Result.TEMPORARY),
        ],
    )
    async def test_each_refusal_has_its_class(self, server: VonageStandIn, door: HttpDoor, status: int, result: Result) -> None:
        server.fail_next(Fault(status, '{"title": "Low balance", "detail": "This request could not be performed"}'))
        outcome = await text(a_vonage(server.url, door))
        assert outcome.result is result
        assert outcome.retry_after == (HOUR if result is Result.REFUSED else None)

    async def test_an_application_that_is_not_known_is_found_by_the_check(self, server: VonageStandIn, door: HttpDoor) -> None:
        other = VonageAccount("00000000-0000-4000-8000-000000000000", vonage.account().private_key, vonage.SECRET, vonage.FROM)
        assert "TOCSIN_VONAGE_APPLICATION_ID" in str(await Vonage(other, door, BACK, server.url).check(NOW))

    def test_a_token_of_another_algorithm_is_none(self) -> None:
        assert read_jwt(sign_jwt({"iat": 1}, vonage.account().private_key), vonage.SECRET) is None
        head, _, rest = vonage.signed({}, 1)[0]["Authorization"].removeprefix("Bearer ").partition(".")
        assert read_jwt(f"{head}.{rest}", vonage.SECRET) is not None
        unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + rest.partition(".")[0] + "."
        assert read_jwt(unsigned, vonage.SECRET) is None

    async def test_the_voice_api_hashes_the_body_without_its_spaces(self, door: HttpDoor) -> None:
        provider = a_vonage("http://127.0.0.1:9", door)
        headers, raw = vonage.signed({"status": "ringing", "uuid": "u"}, NOW // SECOND)
        spaced = raw.replace(b",", b", ").replace(b":", b": ")
        low = {name.lower(): value for name, value in headers.items()}
        assert provider.is_genuine(Callback("/vonage/call/x", low, spaced), NOW)
        assert not provider.is_genuine(Callback("/vonage/call/x", low, spaced.replace(b"ringing", b"answered")), NOW)


class _Named:
    def __init__(self, name: str, outcome: Outcome) -> None:
        self.name, self.outcome, self.asked = name, outcome, 0


class TestOneAfterTheOther:
    async def ask(self, *outcomes: Outcome, attempts: int = 1, receipt: str | None = None) -> tuple[Outcome, list[int]]:
        providers = [_Named(name, outcome) for name, outcome in zip(("first", "second"), outcomes, strict=False)]

        async def send(provider: Provider) -> Outcome:
            provider.asked += 1  # type: ignore[attr-defined]
            return provider.outcome  # type: ignore[attr-defined, no-any-return]

        message = a_message(attempts=attempts, receipt=receipt)
        outcome = await first_that_takes(providers, message, send)  # type: ignore[arg-type]
        return outcome, [provider.asked for provider in providers]

    async def test_the_receipt_names_who_took_it(self) -> None:
        outcome, asked = await self.ask(Outcome(Result.TEMPORARY, "down"), Outcome(Result.SENT, receipt="m-1"))
        assert (outcome.receipt, asked) == ("second m-1", [1, 1])

    @pytest.mark.parametrize("end", [Outcome(Result.UNKNOWN, "lost"), OptedOut(Result.PERMANENT, "STOP"), Outcome(Result.SENT)])
    async def test_nobody_else_is_asked_once_it_may_have_left_or_must_not(self, end: Outcome) -> None:
        assert (await self.ask(end, Outcome(Result.SENT)))[1] == [1, 0]

    async def test_of_two_failures_the_one_that_leaves_hope_counts_and_both_are_told(self) -> None:
        outcome, _ = await self.ask(Outcome(Result.PERMANENT, "no such number"), Outcome(Result.TEMPORARY, "down", 5))
        assert (outcome.result, outcome.retry_after, outcome.error) == (Result.TEMPORARY, 5, "no such number; down")

    def test_further_attempts_begin_with_the_next_and_who_had_it_comes_last(self) -> None:
        providers = [_Named("twilio", Outcome(Result.SENT)), _Named("vonage", Outcome(Result.SENT))]

        def order(attempts: int, receipt: str | None = None) -> list[str]:
            return [p.name for p in in_order(providers, a_message(attempts=attempts, receipt=receipt))]  # type: ignore[arg-type]

        assert order(1) == ["twilio", "vonage"]
        assert order(2) == ["vonage", "twilio"]
        assert order(2, "vonage m-1") == ["twilio", "vonage"]
        assert order(3, "twilio SM1") == ["vonage", "twilio"]


class TestSettings:
    async def test_who_is_set_up_is_there_in_the_wished_order(self, door: HttpDoor) -> None:
        account = vonage.account()
        values: dict[str, Any] = {
            "twilio_sid": twilio.SID,
            "twilio_token": twilio.TOKEN,
            "twilio_from": twilio.FROM,
            "vonage_application_id": account.application_id,
            "vonage_private_key": account.private_key,
            "vonage_signature_secret": account.signature_secret,
            "vonage_from": account.sender,
        }
        assert providers(Settings(), door) == []
        assert [one.name for one in providers(Settings(**values), door)] == ["twilio", "vonage"]
        assert [one.name for one in providers(Settings(**values, phone_first="vonage"), door)] == ["vonage", "twilio"]

    @pytest.mark.parametrize(
        ("url", "reached"),
        [
            ("https://alarm.example.com", True),
            ("https://alarm.example.com:8443/tocsin", True),
            ("http://8.8.8.8", True),
            ("http://127.0.0.1:8400", False),
            ("http://[::1]:8400", False),
            ("https://10.0.0.7", False),
            ("http://localhost:8400", False),
            ("https://alarm.local", False),
        ],
    )
    def test_receipts_are_asked_for_where_a_provider_could_bring_them(self, url: str, reached: bool) -> None:
        assert can_be_reached(url) is reached

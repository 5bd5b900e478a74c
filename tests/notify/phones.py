"""Texts and calls for a whole Tocsin: both providers as stand-ins behind the real channels, and people with telephones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.api.service import Service
from tests.build import a_contact
from tests.notify.ways import BACK, PHONE, a_twilio, a_vonage
from tests.standins import twilio, vonage
from tests.standins.twilio import TwilioStandIn
from tests.standins.vonage import VonageStandIn
from tocsin.bootstrap import Phone
from tocsin.core.clock import SECOND
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.sms import Sms
from tocsin.notify.channels.voice import Voice
from tocsin.notify.handovers import Till
from tocsin.notify.model import Channel, Contact, Message
from tocsin.notify.providers.model import Provider
from tocsin.notify.receipts import Receipts
from tocsin.pipeline.replies import Replies
from tocsin.pipeline.trouble import SpendTrouble

SMS = a_contact(1, "sms", PHONE)
VOICE = a_contact(2, "voice", PHONE)
MAIL = a_contact(3, "email", "oncall@example.com")
SMS_PRICE, CALL_PRICE = 100_000, 200_000


class Phones:
    """See the module. Twilio is asked first. Call-backs are sent as the providers would: signed, over the public address."""

    def __init__(self, service: Service, twilio: TwilioStandIn, vonage: VonageStandIn, phone: Phone) -> None:
        self.service, self.twilio, self.vonage, self.phone = service, twilio, vonage, phone
        self.world = service.world

    async def alarm(self, *contacts: Contact, severity: int = 5, title: str = "Disk full", **more: Any) -> None:
        """One alert, of which these contacts are to hear."""
        await self.world.people(*contacts)
        await self.service.send({"type": "disk.full", "severity": severity, "title": title, **more})

    async def pass_time(self, ms: int) -> None:
        """That much later, when the engine has looked around."""
        self.world.clock.advance(ms)
        await self.phone.receipts.chase()
        await self.world.turn()

    def message(self, contact: Contact = SMS) -> Message:
        """The only message to *contact*."""
        (found,) = self.world.messages(contact_id=contact.id)
        return found

    def stories(self, number: int = 1) -> list[str]:
        """What the history says of messages, with the reason."""
        told = self.world.details(number, "notified")
        return [one["outcome"] + (f": {one['error']}" if "error" in one else "") for one in told]

    # Call-backs.

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """A request to one of our call-backs."""
        return await self.service.client.post(f"/api/v1/callbacks{path}", headers=headers, content=body)

    async def twilio_says(self, path: str, form: dict[str, str], status: int = 200, token: str = twilio.TOKEN) -> str:
        """A call-back of Twilio; what it is answered."""
        answer = await self.post(f"/twilio{path}", *twilio.signed(f"{BACK}/twilio{path}", form, token))
        assert answer.status_code == status, answer.text
        if status == 200:
            self.twilio.check_twiml(answer.text)
        return answer.text

    async def vonage_says(self, path: str, body: dict[str, Any], status: int = 200, **how: Any) -> Any:
        """A call-back of Vonage; what it is answered."""
        now = how.pop("now", self.world.clock.now() // SECOND)
        answer = await self.post(f"/vonage{path}", *vonage.signed(body, now, **how))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def text_is(self, stage: str, place: int = 0, **more: str) -> None:
        """Twilio says how far the text with this place among those it took has come."""
        form = {"MessageSid": self.twilio.sids[place], "MessageStatus": stage, "AccountSid": twilio.SID, **more}
        await self.twilio_says(f"/text/{self.twilio.taken[place]['StatusCallback'].rpartition('/')[2]}", form)

    async def call_is(self, stage: str, **more: str) -> None:
        """Twilio says how the last call goes."""
        form = {"CallSid": self.twilio.sids[-1], "CallStatus": stage, **more}
        await self.twilio_says(f"/call/{self.message(VOICE).id}", form)

    async def press(self, keys: str, **more: str) -> str:
        """Somebody presses keys in the call."""
        form = {"CallSid": self.twilio.sids[-1], "To": PHONE, "Digits": keys, **more}
        return await self.twilio_says(f"/keys/{self.message(VOICE).id}", form)

    async def answer(self, text: str, number: str = PHONE, sid: str = "SM1") -> str:
        """Somebody texts back; what Twilio is to send in return."""
        said = await self.twilio_says("/reply", {"MessageSid": sid, "From": number, "To": twilio.FROM, "Body": text})
        return said.removeprefix("<Response>").removesuffix("</Response>").removeprefix("<Message>").removesuffix("</Message>")


@asynccontextmanager
async def telephones(service: Service, limit: int | None = None) -> AsyncIterator[Phones]:
    """*service* with both providers, and *limit* for what they may cost in a month."""
    world, core, door = service.world, service.world.core, HttpDoor(allow_private=True)
    async with TwilioStandIn() as first, VonageStandIn() as second:
        providers: list[Provider] = [a_twilio(first.url, door), a_vonage(second.url, door)]
        more: dict[str, Channel] = {"sms": Sms(providers, SMS_PRICE), "voice": Voice(providers, CALL_PRICE)}
        till = Till(limit, hears=True, report=SpendTrouble(core.ingest, world.clock).report)
        world.delivery._channels = {**world.delivery._channels, **more}
        world.delivery._till = till
        service.server.channels.update(more)
        receipts = Receipts(world.clock, core.writer, till, core.contacts, world.delivery, {"sms": 2, "voice": 2})
        phone = Phone(providers, receipts, Replies(world.clock, core.actions))
        object.__setattr__(service.server, "phone", phone)
        try:
            yield Phones(service, first, second, phone)
            await world.settle()
        finally:
            await door.close()

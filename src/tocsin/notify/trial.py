"""Trying a contact out: a test message, or the code that proves it, sent at once and past the outbox, and what came of it."""

import asyncio
from collections.abc import Mapping

import structlog

from tocsin.core.clock import Clock
from tocsin.core.ids import new_id
from tocsin.db.writer import Writer
from tocsin.notify import notices
from tocsin.notify.handovers import Till
from tocsin.notify.model import Channel, Contact, Kind, Letter, Message, Outcome, Paid, Result

log = structlog.get_logger()

TRIAL_SECONDS = 40.0  # longer than any channel's own limit
TITLE = "Test message: Tocsin reaches you here"
TEXT = "{who} asked for it. There is nothing to do."


class Trial:
    """Tries contacts out. What costs money is counted, and not sent when the month's limit is reached."""

    def __init__(self, channels: Mapping[str, Channel], writer: Writer, till: Till | None, clock: Clock) -> None:
        self._channels, self._writer, self._till, self._clock = channels, writer, till, clock

    async def __call__(self, contact: Contact, who: str) -> Outcome:
        """Sends *contact* a test message that *who* asked for. Raises `Unavailable` only."""
        return await self.say(contact, TITLE, TEXT.format(who=who))

    async def say(self, contact: Contact, title: str, text: str) -> Outcome:
        """Sends *contact* these words, at once or not at all. Raises `Unavailable` only."""
        channel = self._channels.get(contact.kind)
        if channel is None:
            return Outcome(Result.REFUSED, f"the channel {contact.kind} is not set up; see docs/reference/settings.md")
        letter = _letter(contact, title, text, self._clock.now())
        till = self._till
        if till is None or not isinstance(channel, Paid):
            return await _send(channel, letter)
        message_id, fence, price = letter.message.id, letter.message.fence, channel.price(letter)
        reason = await self._writer.run(lambda tx: till.reserve(tx, message_id, fence, contact, price, letter.now))
        if reason is not None:
            return Outcome(Result.PERMANENT, reason)
        outcome = await _send(channel, letter)
        await self._writer.run(lambda tx: till.settle(tx, message_id, fence, outcome, self._clock.now()))
        return outcome


async def _send(channel: Channel, letter: Letter) -> Outcome:
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            return await channel.send(letter, _nothing)
    except Exception as error:  # a fault of ours in a channel is an answer, too
        log.exception("trial failed", channel=channel.kind)
        return Outcome(Result.TEMPORARY, f"{channel.kind} failed: {type(error).__name__}")


def _letter(contact: Contact, title: str, text: str, now: int) -> Letter:
    notice = notices.unstored(title, text, now)
    message = Message(
        id=new_id(now),
        alert_number=notice.number,
        generation=notice.generation,
        kind=Kind.NOTICE.value,
        step=0,
        contact_id=contact.id,
        site_id=0,
        severity=notice.severity,
        status="sending",
        attempts=1,
        fence=1,
        lease_node=None,
        lease_until=None,
        next_attempt_at=None,
        created_at=now,
    )
    return Letter(message, contact, notice, "", None, now)


def _nothing() -> None:
    """A test is not repeated after a crash, so nobody notes when it leaves."""

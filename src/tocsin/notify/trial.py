"""Trying a contact out: a message that says it is a test, sent at once and past the outbox, and what came of it."""

import asyncio
from collections.abc import Mapping

import structlog

from tocsin.core.ids import new_id
from tocsin.notify import notices
from tocsin.notify.model import Channel, Contact, Kind, Letter, Message, Outcome, Result

log = structlog.get_logger()

TRIAL_SECONDS = 40.0  # longer than any channel's own limit
TITLE = "Test message: Tocsin reaches you here"
TEXT = "{who} asked for it. There is nothing to do."


async def try_out(channels: Mapping[str, Channel], contact: Contact, who: str, now: int) -> Outcome:
    """Sends *contact* a test message that *who* asked for. Raises nothing."""
    channel = channels.get(contact.kind)
    if channel is None:
        return Outcome(Result.REFUSED, f"the channel {contact.kind} is not set up; see docs/reference/settings.md")
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            return await channel.send(_letter(contact, who, now), _nothing)
    except Exception as error:  # a fault of ours in a channel is an answer, too
        log.exception("trial failed", channel=contact.kind)
        return Outcome(Result.TEMPORARY, f"{contact.kind} failed: {type(error).__name__}")


def _letter(contact: Contact, who: str, now: int) -> Letter:
    notice = notices.unstored(TITLE, TEXT.format(who=who), now)
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

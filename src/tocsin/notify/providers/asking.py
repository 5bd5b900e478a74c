"""One provider after the other, until one takes the message."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tocsin.core.clock import SystemClock
from tocsin.notify.model import Message, Outcome, Result
from tocsin.notify.providers.model import OptedOut, Provider

_HOPE = (Result.TEMPORARY, Result.REFUSED, Result.PERMANENT)  # of several failures the one that leaves most hope counts


async def first_that_takes(providers: Sequence[Provider], message: Message, send: Callable[[Provider], Awaitable[Outcome]]) -> Outcome:
    """Has *send* try one after the other; the receipt of a good outcome names the provider: ``twilio SM0123``.

    Once it may have left with one, no other is asked: that would double it.
    """
    failures: list[Outcome] = []
    for provider in in_order(providers, message):
        outcome = await send(provider)
        if outcome.result is Result.SENT:
            return msgspec.structs.replace(outcome, receipt=f"{provider.name} {outcome.receipt or ''}".rstrip())
        if outcome.result is Result.UNKNOWN or isinstance(outcome, OptedOut):
            return outcome
        failures.append(outcome)
    return _together(failures)


def in_order(providers: Sequence[Provider], message: Message) -> list[Provider]:
    """The usual order in the first attempt; each further attempt begins one later, and the last who had it comes last."""
    start = max(0, message.attempts - 1) % max(1, len(providers))
    turned = [*providers[start:], *providers[:start]]
    had = (message.receipt or "").partition(" ")[0]
    return sorted(turned, key=lambda provider: provider.name == had)


def _together(failures: Sequence[Outcome]) -> Outcome:
    best = min(failures, key=lambda outcome: _HOPE.index(outcome.result))
    return msgspec.structs.replace(best, error="; ".join(dict.fromkeys(str(outcome.error) for outcome in failures)))


async def check_all(providers: Sequence[Provider]) -> str | None:
    """What is wrong with them, all asked at the same time."""
    now = SystemClock().now()
    faults = await asyncio.gather(*[provider.check(now) for provider in providers])
    if not all(provider.is_reached for provider in providers):
        faults.append("Providers cannot reach TOCSIN_PUBLIC_URL, so that no receipts, replies and keys come: set it to a public address.")
    return " ".join(filter(None, faults)) or None

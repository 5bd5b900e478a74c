"""Calls that speak, through the first provider that rings; keys acknowledge and resolve."""

from collections.abc import Callable, Sequence

from tocsin.notify.model import Contact, Letter, Outcome, Presence
from tocsin.notify.providers.asking import check_all, first_that_takes
from tocsin.notify.providers.model import Provider
from tocsin.notify.texting import script


class Voice:
    """*price* is what one call costs, in millionths."""

    kind = "voice"

    def __init__(self, providers: Sequence[Provider], price: int) -> None:
        self._providers, self._price = [provider for provider in providers if provider.can_call], price

    def price(self, letter: Letter) -> int:
        """What *letter* will cost, as far as that is known before."""
        _ = letter
        return self._price

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One call."""
        contact, message = letter.contact, letter.message

        async def ring(provider: Provider) -> Outcome:
            said = script(letter, hears=provider.is_reached)
            return await provider.call(contact.target, said, message.id, letter.now, departing)

        return await first_that_takes(self._providers, message, ring)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Providers say by themselves what became of a call (see receipts.py)."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Whether each provider accepts the account."""
        _ = contact
        return await check_all(self._providers)

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""

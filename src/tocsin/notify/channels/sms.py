"""Text messages, through the first provider that takes them."""

from collections.abc import Callable, Sequence

from tocsin.notify.model import Contact, Letter, Outcome, Presence
from tocsin.notify.providers.asking import check_all, first_that_takes
from tocsin.notify.providers.model import Provider
from tocsin.notify.texting import parts, sms_text


class Sms:
    """*price* is what one SMS costs, in millionths."""

    kind = "sms"

    def __init__(self, providers: Sequence[Provider], price: int) -> None:
        self._providers, self._price = providers, price

    def price(self, letter: Letter) -> int:
        """What *letter* will cost, as far as that is known before."""
        return self._price * parts(self._text(letter))

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """One text."""
        text, contact, message = self._text(letter), letter.contact, letter.message

        async def send(provider: Provider) -> Outcome:
            return await provider.text(contact.target, text, message.id, letter.now, departing)

        return await first_that_takes(self._providers, message, send)

    def _text(self, letter: Letter) -> str:
        return sms_text(letter, answers=any(provider.can_hear for provider in self._providers))

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Providers say by themselves what became of a message (see receipts.py)."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Whether each provider accepts the account."""
        _ = contact
        return await check_all(self._providers)

    async def close(self) -> None:
        """Nothing of its own: the connections belong to the door."""

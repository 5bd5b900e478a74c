"""Where the messages of the demonstration go: into a file in its data folder, and nowhere else."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tocsin.core.text import one_line
from tocsin.core.times import to_text
from tocsin.notify.model import Channel, Contact, Letter, Outcome, Presence, Result
from tocsin.notify.render import Mail, push_text

MESSAGES = "messages.log"
KINDS = ("ntfy", "email", "sms", "voice")


class Sink:
    """A channel that takes everything and sends nothing: one line for each message says what would have been sent, and to whom."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind, self._path = kind, path

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Writes *letter* into the file."""
        departing()
        words = push_text(letter)
        return await self._keep(letter.now, letter.contact.target, f"{words.title} | {words.message}")

    async def write(self, target: str, mail: Mail, mail_id: str, now: int) -> Outcome:
        """Writes a mail about an account into the file, with the link that it brings."""
        _ = mail_id
        return await self._keep(now, target, f"{mail.subject} | {mail.text}")

    async def _keep(self, now: int, target: str, text: str) -> Outcome:
        line = f"{to_text(now)} {self.kind} to {target}: {one_line(text)}\n"
        await asyncio.to_thread(self._append, line)
        return Outcome(Result.SENT)

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """What was written is there; whether this was cannot be told."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """It can always be written to."""
        _ = contact
        return None

    async def close(self) -> None:
        """There is nothing to give back."""


def channels(folder: Path) -> dict[str, Channel]:
    """All channels of the demonstration, by kind."""
    return {kind: Sink(kind, folder / MESSAGES) for kind in KINDS}

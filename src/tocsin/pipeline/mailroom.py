"""Heartbeats that are pinged by mail (M5): the address says which and how it went, the letter what the job had to say (0060)."""

import asyncio
from email.message import EmailMessage

from tocsin.core.text import one_line
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer
from tocsin.heartbeats import rules, store
from tocsin.heartbeats.model import MAX_LOG
from tocsin.pipeline.pulse import Pulse, digest, no_such_token


class Mailroom:
    """The desk behind `net.letters`."""

    def __init__(self, database: Database, writer: Writer, pulse: Pulse) -> None:
        self._database, self._writer, self._pulse = database, writer, pulse

    async def refusal(self, local: str) -> str | None:
        """Why there is no heartbeat with this address; None: there is one."""
        mailbox = rules.read_mailbox(local)
        if mailbox is None:
            return "an address is a token, and what it reports: TOKEN, TOKEN+start, TOKEN+fail, TOKEN+1, TOKEN+if-WORD, TOKEN+unless-WORD"
        return None if await asyncio.to_thread(self._token, mailbox.token) is not None else no_such_token().message

    async def take(self, locals_: list[str], letter: bytes, address: str) -> None:
        """One ping for each, in one transaction. A heartbeat that has gone since it was asked for is left out."""
        subject, log = await asyncio.to_thread(read_letter, letter)
        boxes = [box for box in map(rules.read_mailbox, locals_) if box is not None]
        tokens = [(box, await asyncio.to_thread(self._token, box.token)) for box in boxes]

        def work(tx: Tx) -> None:
            for box, token in tokens:
                if token is not None and store.find_token(tx, digest(token)) is not None:
                    kind, code = rules.kind_of_letter(box, subject)
                    self._pulse.ping(tx, token, kind, code, address, log)

        await self._writer.run(work)

    def _token(self, token: str) -> str | None:
        """As it is, or in small letters: mail servers may write an address as they like."""
        with self._database.read() as connection:
            return next((one for one in (token, token.lower()) if store.id_of(connection, digest(one)) is not None), None)


def read_letter(raw: bytes) -> tuple[str, str]:
    """Its subject, and the end of what it says: its text, or what there is instead. Never raises for what somebody sent."""
    from email import message_from_bytes, policy  # noqa: PLC0415 - with the first letter

    try:
        message = message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)  # noqa: S101 - that is what this policy makes
        subject = one_line(str(message.get("subject", "")))[:500]
        part = message.get_body(("plain", "html"))
        text = "" if part is None else str(part.get_content())
    except Exception:  # noqa: BLE001 - the parser of the library raises all sorts of errors for broken letters
        head, _, body = raw.partition(b"\r\n\r\n")
        found = [line[8:] for line in head.split(b"\r\n") if line[:8].lower() == b"subject:"]
        subject, text = one_line(found[0].decode("utf-8", "replace"))[:500] if found else "", body.decode("utf-8", "replace")
    said = f"{subject}\n\n{text.strip()}" if text.strip() else subject
    return subject, rules.clean_log(said.encode("utf-8", "replace")[-MAX_LOG:])

"""Takes mail in by SMTP (aiosmtpd), for one domain and for whom the desk knows.

Nothing is passed on, nobody is asked for a password, and no letter is kept here: what is answered with 250 was taken by the desk.
"""

import asyncio
import logging
import socket
from typing import Protocol, cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from tocsin.core.errors import TocsinError
from tocsin.core.text import cut, one_line

log = structlog.get_logger()
MAX_LETTER = 1024 * 1024
MAX_LINE = 64 * 1024  # logs of jobs have longer lines than the 998 bytes that a letter should have
MAX_RECIPIENTS = 20
AT_ONCE = 50
OF_A_KIND = 100  # commands of one connection; more letters come with the next
MAX_READ = 64 * 1024 * 1024  # bytes of one connection
WAIT = 60.0  # seconds between two commands, and for a letter
_NOT_NOW = "451 not now, the server has a fault; send it again"

# Its lines name whole addresses, and whoever knows one can report for that job.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)


class Desk(Protocol):
    """Who takes the letters."""

    async def refusal(self, local: str) -> str | None:
        """Why nobody is called *local* (what stands before the ``@``); None: somebody is. Raises `TocsinError`: not now."""
        ...

    async def take(self, locals_: list[str], letter: bytes, address: str) -> None:
        """Takes a letter for these. Raises `TocsinError`: not now."""
        ...


class Letters:
    """The server. *domain*: the one whose letters are taken."""

    def __init__(self, desk: Desk, domain: str) -> None:
        self._hooks, self._domain = _Hooks(desk, domain.lower()), domain.lower()
        self._open: set[_Talk] = set()
        self._server: asyncio.Server | None = None

    async def start(self, place: socket.socket) -> None:
        """Opens the address that *place* has taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Talk(self._hooks, self._domain, self._open), sock=place)

    async def close(self) -> None:
        """Ends all conversations: a letter that was not answered is sent again by whoever brought it."""
        if self._server is not None:
            self._server.close()
        for talk in list(self._open):
            talk.end()
        await asyncio.sleep(0)  # the loop tells each that it has ended


class _Talk(SMTP):
    """One connection, which counts itself."""

    line_length_limit = MAX_LINE

    def __init__(self, hooks: "_Hooks", domain: str, others: "set[_Talk]") -> None:
        super().__init__(
            hooks,
            data_size_limit=MAX_LETTER,
            hostname=domain,
            ident="ESMTP Tocsin takes reports of jobs",
            timeout=WAIT,
            command_call_limit=OF_A_KIND,
            loop=asyncio.get_running_loop(),
        )
        self._others, self._read = others, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._others) >= AT_ONCE and isinstance(transport, asyncio.WriteTransport):
            transport.write(b"421 too many connections, come back later\r\n")
            transport.close()
            return
        self._others.add(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._read += len(data)
        if self._read > MAX_READ:
            self.end()
        else:
            super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._others:
            self._others.discard(self)
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self in self._others else False

    def end(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Hooks:
    """What aiosmtpd asks for; each answers with a line of SMTP."""

    def __init__(self, desk: Desk, domain: str) -> None:
        self._desk, self._domain = desk, domain

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802 - aiosmtpd's name
        local, _, domain = address.rpartition("@")
        if domain.lower() != self._domain:
            return f"550 mail is taken for {self._domain} alone, and never passed on"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return f"452 at most {MAX_RECIPIENTS} at once"
        try:
            refusal = await self._desk.refusal(local)
        except TocsinError as error:
            return f"451 not now: {_plain(error.message)}"
        if refusal is not None:
            return f"550 {_plain(refusal)}"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 it is there"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        letter, peer = envelope.content, cast("tuple[str, int]", session.peer)  # its types call the peer a text
        locals_ = [address.rpartition("@")[0] for address in envelope.rcpt_tos]
        try:
            await self._desk.take(locals_, letter if isinstance(letter, bytes) else b"", peer[0])
        except TocsinError as error:
            return f"451 not now: {_plain(error.message)}"
        return "250 taken"

    async def handle_exception(self, error: Exception) -> str:
        log.error("a conversation with a mail server failed", exc_info=error)
        return _NOT_NOW


def _plain(text: str) -> str:
    return cut(one_line(text), 300).encode("ascii", "replace").decode()

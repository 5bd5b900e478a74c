"""Takes mail in (RFC 5321, as much as a mail server needs to hand over a letter), for one domain and for whom the desk knows.

Nothing is passed on, nobody is asked for a password, and no letter is kept here: what is answered with 250 was taken by the desk. Every
length and every wait is bounded; a letter that is too long is read to its end and refused for good, so that it is not tried for days.
"""

import asyncio
import re
import socket
from contextlib import suppress
from typing import Protocol

import structlog

from tocsin.core.clock import monotonic
from tocsin.core.errors import TocsinError
from tocsin.core.text import cut, one_line

log = structlog.get_logger()
MAX_LETTER = 1024 * 1024
MAX_READ = 64 * 1024 * 1024  # of one that is too long; then the connection is closed
MAX_LINE = 4 * 1024
MAX_RECIPIENTS, MAX_MISTAKES, MAX_LETTERS = 20, 10, 100  # of one connection
AT_ONCE = 50
WAIT, LONGEST = 60.0, 600.0  # seconds: for a line, for a connection
_PATH = re.compile(r"(?i)(FROM|TO):\s*<(?:@[^:>]*:)?([^<>\s]{0,320})>((?:\s+[!-~]+)*)")


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
        self._desk, self._domain = desk, domain.lower()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, place: socket.socket) -> None:
        """Opens the address that *place* has taken."""
        self._server = await asyncio.start_server(self._greet, sock=place, limit=MAX_LINE)

    async def close(self) -> None:
        """Ends all conversations: a letter that was not answered is sent again by whoever brought it."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= AT_ONCE:
            writer.write(b"421 too many connections, come back later\r\n")
            writer.close()
            return
        self._open.add(task)
        try:
            async with asyncio.timeout(LONGEST):
                await _Talk(reader, writer, self._desk, self._domain).hold()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception:
            log.exception("a conversation with a mail server failed")
        finally:
            self._open.discard(task)
            with suppress(Exception):
                writer.close()


class _Talk:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, desk: Desk, domain: str) -> None:
        self._reader, self._writer, self._desk, self._domain = reader, writer, desk, domain
        self._address = str((writer.get_extra_info("peername") or ("",))[0])
        self._has_sender, self._recipients = False, list[str]()
        self._mistakes = self._letters = 0

    async def hold(self) -> None:
        """Until one side has enough."""
        self._say(f"220 {self._domain} ESMTP Tocsin takes reports of jobs")
        while True:
            await self._writer.drain()
            line = await self._line()
            if line is None:
                self._mistake("500 a line must end with CRLF, and have at most 4096 bytes")
            else:
                verb, _, rest = line.partition(" ")
                if verb.upper() == "QUIT":
                    self._say("221 goodbye")
                    return
                await self._answer(verb.upper(), rest.strip())
            if self._mistakes >= MAX_MISTAKES or self._letters >= MAX_LETTERS:
                self._say("421 that is enough for one connection")
                return

    async def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                self._forget()
                self._say(f"250-{self._domain}", f"250-SIZE {MAX_LETTER}", "250-PIPELINING", "250 8BITMIME")
            case "HELO":
                self._forget()
                self._say(f"250 {self._domain}")
            case "MAIL":
                self._sender(rest)
            case "RCPT":
                await self._recipient(rest)
            case "DATA":
                await self._data()
            case "RSET":
                self._forget()
                self._say("250 forgotten")
            case "NOOP":
                self._say("250 yes")
            case "VRFY":
                self._mistake("252 send it, and see")
            case _:
                self._mistake("502 this is not done here")

    def _sender(self, rest: str) -> None:
        match = _PATH.fullmatch(rest)
        if match is None or match[1].upper() != "FROM":
            self._mistake("501 MAIL FROM:<address> is meant")
            return
        size = re.search(r"(?i)\sSIZE=([0-9]{1,12})\b", match[3])
        if size is not None and int(size[1]) > MAX_LETTER:
            self._mistake(f"552 a report has at most {MAX_LETTER // 1024} KiB")
            return
        self._forget()
        self._has_sender = True
        self._say("250 go on")

    async def _recipient(self, rest: str) -> None:
        match = _PATH.fullmatch(rest)
        if match is None or match[1].upper() != "TO":
            self._mistake("501 RCPT TO:<address> is meant")
        elif not self._has_sender:
            self._mistake("503 MAIL comes first")
        elif len(self._recipients) >= MAX_RECIPIENTS:
            self._say(f"452 at most {MAX_RECIPIENTS} at once")
        else:
            local, _, domain = match[2].rpartition("@")
            if domain.lower() != self._domain:
                self._mistake(f"550 mail is taken for {self._domain} alone, and never passed on")
                return
            try:
                refusal = await self._desk.refusal(local)
            except TocsinError as error:
                self._say(f"451 not now: {_plain(error.message)}")
                return
            if refusal is not None:
                self._mistake(f"550 {_plain(refusal)}")
                return
            self._recipients.append(local)
            self._say("250 it is there")

    async def _data(self) -> None:
        if not self._recipients:
            self._mistake("503 RCPT comes first")
            return
        self._say("354 go on; a dot in a line of its own ends it")
        await self._writer.drain()
        letter = await self._letter()
        recipients = list(self._recipients)
        self._forget()
        self._letters += 1
        if letter is None:
            self._mistake(f"552 a report has at most {MAX_LETTER // 1024} KiB")
            return
        try:
            await self._desk.take(recipients, letter, self._address)
        except TocsinError as error:
            self._say(f"451 not now: {_plain(error.message)}")
            return
        self._say("250 taken")

    async def _letter(self) -> bytes | None:
        """Up to the dot; None if it is too long. Only CRLF ends a line, so that no letter can hide in another."""
        kept, read, is_whole_line, began = bytearray(), 0, True, monotonic()
        while True:
            part, ends = await self._part()
            read += len(part)
            if is_whole_line and ends and part == b".\r\n":
                return bytes(kept) if read - 3 <= MAX_LETTER else None
            if read > MAX_READ or monotonic() - began > LONGEST:
                raise ConnectionAbortedError
            if is_whole_line and part.startswith(b"."):
                part = part[1:]
            kept += part[: max(0, MAX_LETTER - len(kept))]
            is_whole_line = ends

    async def _part(self) -> tuple[bytes, bool]:
        """The next line, or a part of one that is long; whether a line ends with it."""
        async with asyncio.timeout(WAIT):
            try:
                return await self._reader.readuntil(b"\r\n"), True
            except asyncio.LimitOverrunError as error:
                return await self._reader.readexactly(max(1, error.consumed)), False

    async def _line(self) -> str | None:
        part, ends = await self._part()
        if ends and b"\n" not in part[:-2]:
            return part[:-2].decode("latin-1")
        while not ends:
            _, ends = await self._part()
        return None

    def _forget(self) -> None:
        self._has_sender, self._recipients = False, []

    def _mistake(self, text: str) -> None:
        self._mistakes += 1
        self._say(text)

    def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())


def _plain(text: str) -> str:
    return cut(one_line(text), 300).encode("ascii", "replace").decode()

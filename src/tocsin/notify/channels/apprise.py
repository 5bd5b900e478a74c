"""Any address that Apprise knows, for the long tail: a child process sends it, so that this one never loads Apprise.

The address is a secret and goes by standard input: it stands in no list of processes. All that is learned is whether the
service took the message and a number; what it means is decided by `judge`.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tocsin.alerts.model import Status
from tocsin.core.clock import HOUR
from tocsin.core.severity import Severity
from tocsin.notify.chat import chat_text
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result

SECONDS = 30.0
AT_ONCE = 4
TEXT = 1_500
COMMAND = (sys.executable, "-I", "-m", "tocsin.notify.apprise_child")
_STATUS = re.compile(r"error=(\d{3})\b")
_LOST = ("Read timed out", "RemoteDisconnected", "Connection aborted", "Connection reset")


class Asked(msgspec.Struct, frozen=True):
    """What the child gets."""

    address: str
    title: str
    body: str
    type: str
    private: bool


class Said(msgspec.Struct, frozen=True):
    """What it answers. ``refused``: what it was kept from. ``said``: what Apprise noted, not to be shown: the address may be in it."""

    readable: bool
    taken: bool
    said: list[str]
    refused: str | None = None


class AppriseChannel:
    """One child for each message, a few at once. *private*: addresses inside one's own network are allowed."""

    kind = "apprise"

    def __init__(self, *, private: bool, seconds: float = SECONDS) -> None:
        self._private, self._seconds = private, seconds
        self._free = asyncio.Semaphore(AT_ONCE)

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Starts a child, and waits for its word."""
        if not letter.contact.secret:
            return Outcome(Result.PERMANENT, "the contact has no address")
        body = msgspec.json.encode(asked(letter, private=self._private))
        async with self._free:
            try:
                child = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    env={name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ},
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                return Outcome(Result.TEMPORARY, f"no process for Apprise could be started: {error.strerror}")
            departing()
            return await self._word_of(child, body)

    async def _word_of(self, child: asyncio.subprocess.Process, body: bytes) -> Outcome:
        try:
            async with asyncio.timeout(self._seconds):
                answer, _ = await child.communicate(body)
        except TimeoutError:
            return Outcome(Result.UNKNOWN, f"Apprise did not answer within {self._seconds:g} s")
        finally:
            await _end(child)
        try:
            return judge(msgspec.json.decode(answer, type=Said))
        except msgspec.DecodeError:
            return Outcome(Result.UNKNOWN, f"the process of Apprise ended with {child.returncode} and no answer")

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """Nobody can be asked."""
        _ = letter, attempted_at
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Apprise can only send: the test button tells."""
        return None if contact.secret else "The contact has no address."

    async def close(self) -> None:
        """Nothing of its own: a child ends with its message."""


async def _end(child: asyncio.subprocess.Process) -> None:
    """Nothing of it stays, whatever it had started."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def asked(letter: Letter, *, private: bool) -> Asked:
    """What the child is told about *letter*."""
    chat = chat_text(letter, TEXT)
    lines = [chat.text, *(f"{button.label}: {button.url}" for button in chat.buttons)]
    return Asked(letter.contact.secret or "", f"{chat.sign} {chat.title}", "\n".join(lines), _type(letter), private)


def _type(letter: Letter) -> str:
    """How Apprise colours it."""
    if letter.alert.status == Status.RESOLVED:
        return "success"
    if letter.message.kind in (Kind.NOTICE, Kind.ACKNOWLEDGED):
        return "info"
    return "failure" if letter.alert.severity >= Severity.HIGH else "warning"


def judge(said: Said) -> Outcome:
    """What the child's word means. Apprise says yes or no, and mostly names the status of HTTP in passing."""
    if said.taken:
        return Outcome(Result.SENT)
    if not said.readable:
        return Outcome(Result.PERMANENT, "Apprise cannot read this address: look it up in its documentation")
    if said.refused is not None:
        return Outcome(Result.PERMANENT, said.refused)
    text = " ".join(line for line in said.said if "Payload" not in line)  # that holds what comes from outside
    found = _STATUS.findall(text)
    if found:
        return _by_status(int(found[-1]))
    if any(words in text for words in _LOST):
        return Outcome(Result.UNKNOWN, "the service closed the connection before it answered")
    return Outcome(Result.TEMPORARY, "Apprise could not send it, and does not say why")


def _by_status(status: int) -> Outcome:
    what = f"the service answered {status}"
    if status in (401, 403, 404, 405, 410):
        return Outcome(Result.REFUSED, f"{what}: its key or address is not accepted, set it again", HOUR)
    if status >= 500 or status in (408, 425, 429):
        return Outcome(Result.TEMPORARY, what)
    return Outcome(Result.PERMANENT, f"{what}: it does not accept the message")

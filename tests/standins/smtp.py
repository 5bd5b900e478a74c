"""A mail server for tests, on loopback: STARTTLS or TLS from the start, logins, and every way to fail that matters.

As a program it prints its address, then one JSON line for each mail, and serves until it is stopped::

    python -m tests.standins.smtp --port 0
"""

import argparse
import asyncio
import email
import signal
import ssl
import sys
import time
import warnings
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mail(msgspec.Struct, frozen=True):
    """One accepted mail: ``at`` in seconds since 1970; ``tls`` and ``user`` say how it came."""

    at: float
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    tls: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The mail as its reader's program sees it."""
        return email.message_from_bytes(self.content, policy=default)

    @property
    def text(self) -> str:
        """The plain text, with bare line ends."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """The HTML, with bare line ends."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


class SmtpStandIn:
    """See the module. The attributes below ``mails`` may be changed at any time; each names what goes wrong.

    ``user``/``password``: demand this login. ``tls``: the certificate; with ``implicit`` from the first byte, otherwise
    as STARTTLS. ``accept_secrets_in_clear``: AUTH is offered without TLS.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        user: str | None = None,
        password: str | None = None,
        accept_secrets_in_clear: bool = False,
    ) -> None:
        self._tls = tls
        self._implicit = implicit
        self._user = user
        self._password = password
        self._in_clear = accept_secrets_in_clear
        self._server: asyncio.Server | None = None
        self._protocols: set[Any] = set()
        self.host = "127.0.0.1"
        self.port = 0
        self.mails: list[Mail] = []
        self.connections = 0
        self.open_now = 0
        self.most_at_once = 0
        self.passwords_seen: list[bytes] = []
        self.silent = False  # accepts connections and says nothing
        self.refuse_sender: str | None = None  # an SMTP answer such as "550 5.1.8 who are you"
        self.refuse_recipient: str | None = None
        self.refuse_content: str | None = None
        self.close_after_content = False  # the mail is taken, the answer is not sent
        self.hang_after_content = False
        self.close_before_content = False
        self.pause = 0.0  # seconds before a mail is confirmed

    async def start(self, port: int = 0) -> "SmtpStandIn":
        """Listens on loopback; ``port`` is the port."""
        loop = asyncio.get_running_loop()
        context = self._tls if self._implicit else None
        self._server = await loop.create_server(self._protocol, self.host, port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Stops listening and breaks the connections that are left."""
        if self._server is not None:
            self._server.close()
            for protocol in list(self._protocols):
                protocol.abort()
            self._server = None
            await asyncio.sleep(0)

    def _protocol(self) -> asyncio.BaseProtocol:
        if self.silent:
            return _Silent(self)
        with warnings.catch_warnings():  # that a login without TLS is dangerous is the very thing under test
            warnings.simplefilter("ignore", UserWarning)
            return _Conversation(self, self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "hostname": "mail.test",
            "enable_SMTPUTF8": True,
            "tls_context": None if self._implicit else self._tls,
            "authenticator": self._authenticate if self._user else None,
            "auth_required": self._user is not None,
            "auth_require_tls": not (self._in_clear or self._implicit),
            "loop": asyncio.get_running_loop(),
        }

    # --- What aiosmtpd calls ---------------------------------------------------------------------------------------

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword)
        if known:
            self.passwords_seen.append(data.password)
        right = known and (data.login.decode(), data.password.decode()) == (self._user, self._password)
        return AuthResult(success=right, handled=False, auth_data=self._user if right else None)

    async def handle_MAIL(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """MAIL FROM."""
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:
        """RCPT TO."""
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        if self.close_before_content:
            _abort(server)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The content, after its final dot."""
        if self.refuse_content:
            return self.refuse_content
        self._take(session, envelope)
        await asyncio.sleep(3600 if self.hang_after_content else self.pause)
        if self.close_after_content:
            _abort(server)
        return f"250 2.0.0 Ok: queued as {len(self.mails):08X}"

    def _take(self, session: Session, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        secured = session.ssl is not None or self._implicit
        user = cast("str | None", session.auth_data) if session.authenticated else None
        self.mails.append(Mail(time.time(), envelope.mail_from or "", tuple(envelope.rcpt_tos), content, secured, user))

    # --- Counting connections --------------------------------------------------------------------------------------

    def opened(self, protocol: Any) -> None:
        """A connection has come."""
        self._protocols.add(protocol)
        self.connections += 1
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)

    def closed(self, protocol: Any) -> None:
        """A connection has gone."""
        if protocol in self._protocols:
            self._protocols.discard(protocol)
            self.open_now -= 1


class _Conversation(SMTP):
    """aiosmtpd's protocol, counted; STARTTLS makes the connection twice, which counts as one."""

    def __init__(self, owner: SmtpStandIn, options: dict[str, Any]) -> None:
        super().__init__(owner, **options)
        self._owner = owner
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._counted:
            self._counted = True
            self._owner.opened(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.closed(self)
        super().connection_lost(error)

    def abort(self) -> None:
        """Breaks the connection."""
        _abort(self)


def _abort(server: SMTP) -> None:
    if server.transport is not None:
        cast("asyncio.Transport", server.transport).abort()


class _Silent(asyncio.Protocol):
    """Takes the connection and never says a word."""

    def __init__(self, owner: SmtpStandIn) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.opened(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._owner.closed(self)

    def abort(self) -> None:
        """Breaks the connection."""
        if self._transport is not None:
            self._transport.abort()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    server = await SmtpStandIn().start(parser.parse_args().port)
    _say(f"smtp://{server.host}:{server.port}")
    stopped = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    reporter = asyncio.create_task(_report(server))
    await stopped.wait()
    reporter.cancel()
    await server.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _report(server: SmtpStandIn) -> None:
    told = 0
    while True:
        await asyncio.sleep(0.02)
        for mail in server.mails[told:]:
            line = {
                "at": mail.at,
                "to": mail.recipients,
                "subject": str(mail.message["Subject"]),
                "message_id": str(mail.message["Message-ID"]),
            }
            _say(msgspec.json.encode(line).decode())
        told = len(server.mails)


if __name__ == "__main__":
    asyncio.run(_main())

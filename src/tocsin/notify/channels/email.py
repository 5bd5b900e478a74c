"""Mail over SMTP: multipart, threaded per alert, encrypted or refused, and exact about when a mail has left.

A mail counts as perhaps sent from the moment its content is written, after the server's 354. What fails before that
point can be repeated without doubling; what is lost after it is `UNKNOWN`.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr, parseaddr
from ipaddress import ip_address
from pathlib import Path

import aiosmtplib
from aiosmtplib.protocol import PERIOD_REGEX, normalize_message_line_endings

from tocsin.core.clock import HOUR
from tocsin.core.severity import Severity
from tocsin.core.smtp import Smtp
from tocsin.core.text import cut, one_line
from tocsin.core.times import to_datetime
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import Mail, clean_line, mail_text

TOTAL_SECONDS = 30.0
CONNECT_SECONDS = 10.0
CHECK_SECONDS = 10.0
GOODBYE_SECONDS = 2.0
AT_ONCE = 4

_ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,253}")

# RuntimeError is what uvloop says of a connection that is just closing.
_FAULTS = (aiosmtplib.SMTPException, OSError, ValueError, RuntimeError)


class _Settled(Exception):
    """Ends an attempt before the content is written; carries what it came to."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


class _Attempt:
    """How far one mail has come."""

    def __init__(self, departing: Callable[[], None]) -> None:
        self._departing = departing
        self.waiting = True
        self.departed = False
        self.outcome: Outcome | None = None

    def depart(self) -> None:
        self.departed = True
        self._departing()


class Email:
    """Sends through one mail server, one connection per mail and at most four at once."""

    kind = "email"

    def __init__(self, smtp: Smtp, sender: str, ca_file: Path | None = None, total_seconds: float = TOTAL_SECONDS) -> None:
        """*sender* is the From address, with or without a name; *ca_file* holds further authorities (PEM)."""
        self._smtp = smtp
        self._name, self._address = parseaddr(sender)
        self._domain = self._address.rpartition("@")[2] or "localhost"
        self._total_seconds = total_seconds
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._local_tls = _unverified()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Sends *letter* within 30 seconds, waiting for a free connection included."""
        return await self._post(letter.contact.target, lambda: self.compose(letter, mail_text(letter)), departing)

    async def write(self, target: str, mail: Mail, mail_id: str, now: int) -> Outcome:
        """Sends a mail that is about no alert: an invitation, a link for a new password."""
        return await self._post(target, lambda: self._mail(target, mail, mail_id, now), lambda: None)

    async def _post(self, target: str, compose: Callable[[], EmailMessage], departing: Callable[[], None]) -> Outcome:
        if not _ADDRESS.fullmatch(target):
            return Outcome(Result.PERMANENT, "the contact is not one mail address")
        attempt = _Attempt(departing)
        try:
            async with asyncio.timeout(self._total_seconds), self._places:
                attempt.waiting = False
                return await self._sent(target, compose().as_bytes(), attempt)
        except TimeoutError:
            return self._too_late(attempt)

    def _too_late(self, attempt: _Attempt) -> Outcome:
        if attempt.outcome is not None:  # settled; only the goodbye took too long
            return attempt.outcome
        if attempt.departed:
            return Outcome(
                Result.UNKNOWN, f"the mail was handed over and {self._where} did not confirm it within {self._total_seconds:g} s"
            )
        if attempt.waiting:
            return Outcome(Result.TEMPORARY, f"{AT_ONCE} mails were under way and none of them ended within {self._total_seconds:g} s")
        return Outcome(Result.TEMPORARY, f"{self._where} did not answer within {self._total_seconds:g} s")

    async def _sent(self, target: str, content: bytes, attempt: _Attempt) -> Outcome:
        try:
            async with self._session() as client:
                await self._envelope(client, target)
                attempt.outcome = await self._content(client, content, attempt)
            return attempt.outcome
        except _Settled as settled:
            return settled.outcome
        except _FAULTS as error:
            return self._lost(error, attempt)

    def _lost(self, error: Exception, attempt: _Attempt) -> Outcome:
        if attempt.departed:
            return Outcome(Result.UNKNOWN, f"the mail was handed over and the connection to {self._where} ended before it was confirmed")
        return Outcome(Result.TEMPORARY, self._fault(error))

    # --- The conversation ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A greeted, encrypted and logged-in connection; leaves politely, and does not wait long for the goodbye."""
        client = aiosmtplib.SMTP(
            hostname=self._smtp.host,
            port=self._smtp.port,
            use_tls=self._smtp.implicit_tls,
            start_tls=False,
            tls_context=self._tls,
            local_hostname=self._domain,
            timeout=self._total_seconds,
        )
        try:
            await client.connect(timeout=min(CONNECT_SECONDS, self._total_seconds))
            await client.ehlo()
            await self._encrypt(client)
            await self._log_in(client)
            yield client
            await _say_goodbye(client)
        except _Settled:
            await _say_goodbye(client)
            raise
        finally:
            client.close()

    async def _encrypt(self, client: aiosmtplib.SMTP) -> None:
        """STARTTLS: demanded, except on this very machine, where it is used when offered."""
        if self._smtp.implicit_tls or self._smtp.plain:
            return
        if client.supports_extension("starttls"):
            await client.starttls(tls_context=self._local_tls if self._is_local else self._tls)
            await client.ehlo()
        elif not self._is_local:
            raise _Settled(Outcome(Result.REFUSED, f"{self._where} offers no STARTTLS: use smtps://, or smtp+plain:// if it must be", HOUR))

    async def _log_in(self, client: aiosmtplib.SMTP) -> None:
        if self._smtp.user is None:
            return
        if self._smtp.plain and not self._is_local:
            raise _Settled(
                Outcome(Result.REFUSED, "a password is never sent unencrypted: use smtp:// or smtps:// in TOCSIN_SMTP_URL", HOUR)
            )
        try:
            await client.login(self._smtp.user, self._smtp.password or "")
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _Settled(self._login_refused(error.code)) from None
        except aiosmtplib.SMTPException as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            raise _Settled(Outcome(Result.REFUSED, f"{self._where} offers no way to log in that Tocsin knows", HOUR)) from None

    def _login_refused(self, code: int) -> Outcome:
        # The server's words are left out: some servers repeat what they were sent, password included.
        if code < 500:
            return Outcome(Result.TEMPORARY, f"{self._where} cannot check the login now ({code})")
        return Outcome(Result.REFUSED, f"{self._where} does not accept the user or password of TOCSIN_SMTP_URL ({code})", HOUR)

    async def _envelope(self, client: aiosmtplib.SMTP, target: str) -> None:
        options, encoding = [], "ascii"
        if not target.isascii():
            if not client.supports_extension("smtputf8"):
                raise _Settled(Outcome(Result.PERMANENT, f"{self._where} takes no addresses with letters beyond ASCII"))
            options, encoding = ["SMTPUTF8"], "utf-8"
        try:
            await client.mail(self._address, options=options)
            await client.rcpt(target, encoding=encoding)
        except aiosmtplib.SMTPSenderRefused as error:
            raise _Settled(_refused(error, Result.REFUSED, f"{self._where} does not accept the sender of TOCSIN_MAIL_FROM")) from None
        except aiosmtplib.SMTPRecipientRefused as error:
            raise _Settled(_refused(error, Result.PERMANENT, f"{self._where} does not accept the address")) from None

    async def _content(self, client: aiosmtplib.SMTP, content: bytes, attempt: _Attempt) -> Outcome:
        """DATA in two steps, to know whether it broke before or after the content was written."""
        go = await client.execute_command(b"DATA")
        if go.code != 354:
            raise _Settled(_answered(go, f"{self._where} does not take the mail"))
        protocol = client.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("connection lost")
        stuffed = PERIOD_REGEX.sub(b"..", normalize_message_line_endings(content)) + b".\r\n"
        attempt.depart()
        protocol.write(stuffed)
        answer = await protocol.read_response(timeout=None)
        if answer.code == 250:
            return Outcome(Result.SENT, receipt=cut(one_line(f"{answer.code} {answer.message}"), 200))
        return _answered(answer, f"{self._where} does not take the mail")

    # --- The rest of the channel -----------------------------------------------------------------------------------

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:  # noqa: ARG002 - the protocol's
        """SMTP has no way to ask."""
        return Presence.CANNOT_TELL

    async def check(self, contact: Contact) -> str | None:
        """Connects, encrypts, logs in and leaves."""
        if not _ADDRESS.fullmatch(contact.target):
            return f"{one_line(contact.target)!r} is not one mail address."
        try:
            async with asyncio.timeout(CHECK_SECONDS), self._session():
                return None
        except _Settled as settled:
            return f"Mail cannot be sent: {settled.outcome.error}."
        except TimeoutError:
            return f"Mail cannot be sent: {self._where} did not answer within {CHECK_SECONDS:g} s. Check TOCSIN_SMTP_URL and the firewall."
        except _FAULTS as error:
            return f"Mail cannot be sent: {self._fault(error)}. Check TOCSIN_SMTP_URL."

    async def close(self) -> None:
        """Nothing to give back: a connection lives as long as its mail."""

    @property
    def _where(self) -> str:
        return f"the mail server {self._smtp.host}:{self._smtp.port}"

    @property
    def _is_local(self) -> bool:
        return _is_loopback(self._smtp.host)

    def _fault(self, error: Exception) -> str:
        """Why no conversation came about, without the words of the server or the library."""
        for cause in _causes(error):
            match cause:
                case ssl.SSLCertVerificationError():
                    said = cut(one_line(cause.verify_message), 120)
                    return f"the certificate of {self._where} is not trusted: {said} (see TOCSIN_TLS_CA_FILE)"
                case ssl.SSLError():
                    return f"TLS with {self._where} failed"
                case socket.gaierror():
                    return f"the name of {self._where} could not be resolved"
                case aiosmtplib.SMTPResponseException():
                    return f"{self._where} answered {cause.code}"
                case TimeoutError():
                    return f"{self._where} did not answer in time"
                case ConnectionRefusedError():
                    return f"{self._where} refused the connection"
        return f"the connection to {self._where} failed or was closed"

    # --- The mail --------------------------------------------------------------------------------------------------

    def compose(self, letter: Letter, mail: Mail) -> EmailMessage:
        """*mail* with all its headers. The Message-ID is the outbox id, so that a repeat is the same mail to the reader's program."""
        message = self._mail(letter.contact.target, mail, letter.message.id, letter.now)
        self._mark(message, letter)
        return message

    def _mail(self, target: str, mail: Mail, mail_id: str, now: int) -> EmailMessage:
        """A mail that a machine writes: no out-of-office answers, please."""
        message = EmailMessage(policy=SMTP_POLICY.clone(utf8=not target.isascii()))
        message["From"] = formataddr((clean_line(self._name), self._address))
        message["To"] = target
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(to_datetime(now))
        message["Message-ID"] = f"<{_token(mail_id)}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(mail.text, cte="quoted-printable")
        message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
        return message

    def _mark(self, message: EmailMessage, letter: Letter) -> None:
        """Thread and loudness, for programs: one thread per alert, a filter per site."""
        if letter.message.kind != Kind.DIGEST:
            # No mail has this id itself. Programs thread all mails that name the same one, whichever came first.
            root = f"<alert-{_token(letter.alert.id)}@{self._domain}>"
            message["In-Reply-To"] = root
            message["References"] = root
        slug = _token(letter.site) or "all"
        message["List-Id"] = f"Tocsin alerts <{slug}.alerts.{self._domain}>"
        if letter.alert.severity == Severity.CRITICAL and letter.message.kind not in (Kind.ACKNOWLEDGED, Kind.RESOLVED):
            message["Importance"] = "high"
            message["X-Priority"] = "1"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The root first: the library wraps what the system said."""
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
    yield error


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    with suppress(*_FAULTS):
        await client.quit(timeout=GOODBYE_SECONDS)


def _token(text: str) -> str:
    """*text* reduced to what may stand in an identifier of a header."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", text)[:64].strip("-")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _unverified() -> ssl.SSLContext:
    """For this machine only, where even no encryption would do: its own mail server rarely has a certificate that can be checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _refused(error: aiosmtplib.SMTPResponseException, lasting: Result, words: str) -> Outcome:
    """A refusal with *lasting* for codes from 500 on; 530 and 535 mean that a login is missing, whoever was refused."""
    said = f"{words}: {error.code} {cut(one_line(error.message), 160)}"
    if error.code < 500:
        return Outcome(Result.TEMPORARY, said)
    result = Result.REFUSED if error.code in (530, 535) else lasting
    return Outcome(result, said, HOUR if result is Result.REFUSED else None)


def _answered(answer: aiosmtplib.SMTPResponse, words: str) -> Outcome:
    return _refused(aiosmtplib.SMTPDataError(answer.code, answer.message), Result.PERMANENT, words)

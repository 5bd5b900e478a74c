"""The email channel against a real SMTP conversation on loopback.

``0.0.0.0`` leads to this machine without being a loopback address: it stands for a server elsewhere, where the rules
about encryption are strict.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.notify.letters import NOW, a_letter, an_alert
from tests.standins.smtp import SmtpStandIn
from tests.standins.tls import Authority
from tocsin.core.smtp import Smtp
from tocsin.core.times import to_datetime
from tocsin.notify.channels.email import Email
from tocsin.notify.model import Contact, Letter, Outcome, Presence, Result

ELSEWHERE = "0.0.0.0"  # connected to, not bound
PASSWORD = "correct horse"
OPS = Contact("c", "email", "ops@example.com")

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
async def server() -> AsyncIterator[SmtpStandIn]:
    """A mail server of this machine: no TLS, no login."""
    server = await SmtpStandIn().start()
    yield server
    await server.close()


@pytest.fixture
async def start(authority: Authority) -> AsyncIterator[Start]:
    """Starts servers with TLS; all are closed at the end."""
    servers: list[SmtpStandIn] = []

    async def start(*, names: tuple[str, ...] = (ELSEWHERE, "127.0.0.1"), **options: Any) -> SmtpStandIn:
        server = await SmtpStandIn(tls=authority.server_context(*names), **options).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


def smtp(server: SmtpStandIn, host: str = "127.0.0.1", **changes: Any) -> Smtp:
    return replace(Smtp(host, server.port, None, None, implicit_tls=False, plain=False), **changes)


def channel(server: SmtpStandIn, ca_file: Path | None = None, seconds: float = 5.0, **changes: Any) -> Email:
    return Email(smtp(server, **changes), "Tocsin <tocsin@example.com>", ca_file, seconds)


def nothing() -> None:
    """Nobody asks when it leaves."""


def a_mail(kind: str = "opened", **changes: Any) -> Letter:
    return a_letter(kind, **({"channel": "email", "target": "ops@example.com"} | changes))


async def send(email: Email, letter: Letter | None = None) -> Outcome:
    return await email.send(letter or a_mail(), nothing)


@pytest.mark.claim("N2")
class TestWhatArrives:
    async def test_a_mail_arrives_as_text_and_html(self, server: SmtpStandIn) -> None:
        outcome = await send(channel(server))
        (mail,) = server.mails
        assert outcome.result is Result.SENT
        assert outcome.receipt == "250 2.0.0 Ok: queued as 00000001"
        assert (mail.sender, mail.recipients) == ("tocsin@example.com", ("ops@example.com",))
        assert mail.message.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
        assert "nobody has it yet" in mail.text
        assert "nobody has it yet" in mail.html

    async def test_it_says_who_when_and_what(self, server: SmtpStandIn) -> None:
        await send(channel(server))
        message = server.mails[0].message
        assert message["From"] == "Tocsin <tocsin@example.com>"
        assert message["To"] == "ops@example.com"
        assert message["Subject"] == "[acme] Service 77: creation failed (#12)"
        assert parsedate_to_datetime(message["Date"]) == to_datetime(NOW)

    async def test_programs_see_that_no_person_wrote_it(self, server: SmtpStandIn) -> None:
        await send(channel(server))
        message = server.mails[0].message
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["X-Auto-Response-Suppress"] == "All"
        assert message["List-Id"] == "Tocsin alerts <acme.alerts.example.com>"

    async def test_only_a_critical_page_is_marked_important(self, server: SmtpStandIn) -> None:
        await send(channel(server))
        await send(channel(server), a_mail(alert=an_alert(severity=4)))
        await send(channel(server), a_mail("resolved", alert=an_alert(status="resolved", resolved_at=NOW)))
        assert [mail.message["Importance"] for mail in server.mails] == ["high", None, None]

    async def test_it_can_be_read_by_servers_that_know_ascii_only(self, server: SmtpStandIn) -> None:
        await send(channel(server), a_mail(alert=an_alert(title="Störung 🔥" * 20, message="ü" * 4000), site="ümlaut"))
        content = server.mails[0].content
        assert content.isascii()
        assert max(len(line) for line in content.split(b"\r\n")) <= 998
        assert server.mails[0].message["Subject"].startswith("[ümlaut] Störung 🔥Störung")

    async def test_a_line_with_only_a_dot_does_not_end_the_mail(self, server: SmtpStandIn) -> None:
        await send(channel(server), a_mail(alert=an_alert(message="first\n.\n..\nQUIT\nlast")))
        text = server.mails[0].text
        assert "> first\n> .\n> ..\n> QUIT\n> last" in text

    async def test_an_address_beyond_ascii_is_used_where_the_server_can(self, server: SmtpStandIn) -> None:
        assert (await send(channel(server), a_mail(target="jürgen@example.com"))).result is Result.SENT
        assert server.mails[0].recipients == ("jürgen@example.com",)


@pytest.mark.claim("N2")
class TestThreads:
    async def test_all_mails_of_one_alert_name_the_same_root_and_have_the_same_subject(self, server: SmtpStandIn) -> None:
        for n, kind in enumerate(("opened", "repeated", "acknowledged")):
            await send(channel(server), a_mail(kind, message_id=f"m-{n}"))
        messages = [mail.message for mail in server.mails]
        assert {m["References"] for m in messages} == {"<alert-019aa5b0-0000-7000-8000-00000000000c@example.com>"}
        assert {m["In-Reply-To"] for m in messages} == {m["References"] for m in messages}
        assert len({m["Subject"] for m in messages}) == 1

    async def test_a_repeat_of_the_same_mail_has_the_same_id(self, server: SmtpStandIn) -> None:
        await send(channel(server))
        await send(channel(server), a_mail(maybe_repeated=True))
        assert [m.message["Message-ID"] for m in server.mails] == ["<019aa5b1-1111-7000-8000-000000000001@example.com>"] * 2

    async def test_a_digest_joins_no_thread(self, server: SmtpStandIn) -> None:
        await send(channel(server), a_mail("digest"))
        assert server.mails[0].message["References"] is None


INJECTIONS = [
    "a\r\nBcc: all@example.com",
    "a\nBcc: all@example.com",
    "a\r\n\r\n<h1>body",
    "\x00\x0b\x0c\x85Bcc: x",
    "a\u2028Bcc: x@y.z",
]


class TestInjection:
    @pytest.mark.parametrize("text", INJECTIONS)
    async def test_text_from_outside_makes_no_header(self, server: SmtpStandIn, text: str) -> None:
        harmless = a_mail(alert=an_alert(title="x", id="x", host="h", subject="s", type="t"), site="s", message_id="m")
        hostile = a_mail(alert=an_alert(title=text, id=text, host=text, subject=text, type=text), site=text, message_id=text)
        await send(channel(server), harmless)
        await send(channel(server), hostile)
        plain, tried = (mail.message for mail in server.mails)
        assert sorted(tried.keys()) == sorted(plain.keys())
        assert [p.get_content_type() for p in tried.walk()] == [p.get_content_type() for p in plain.walk()]
        assert server.mails[1].recipients == ("ops@example.com",)

    @pytest.mark.parametrize(
        "target",
        [
            "",
            "no-at",
            "a@b@c",
            "a b@c.d",
            "a@b.c\r\nRCPT TO:<x@y.z>",
            "a@b.c,d@e.f",
            "<a@b.c>",
            "A <a@b.c>",
            "a@b.c> SIZE=1",
            "a@[127.0.0.1]",
        ],
    )
    async def test_what_is_not_one_address_is_never_tried(self, server: SmtpStandIn, target: str) -> None:
        assert (await send(channel(server), a_mail(target=target))).result is Result.PERMANENT
        assert server.connections == 0


@pytest.mark.claim("N2")
class TestEncryption:
    async def test_starttls_is_used_and_the_login_goes_inside_it(self, start: Start, authority: Authority) -> None:
        server = await start(user="tocsin", password=PASSWORD)
        email = channel(server, authority.ca_file, host=ELSEWHERE, user="tocsin", password=PASSWORD)
        assert (await send(email)).result is Result.SENT
        assert (server.mails[0].tls, server.mails[0].user) == (True, "tocsin")

    async def test_tls_from_the_start(self, start: Start, authority: Authority) -> None:
        server = await start(implicit=True, user="tocsin", password=PASSWORD)
        email = channel(server, authority.ca_file, host=ELSEWHERE, implicit_tls=True, user="tocsin", password=PASSWORD)
        assert (await send(email)).result is Result.SENT
        assert server.mails[0].tls

    @pytest.mark.claim("B1")
    async def test_elsewhere_a_server_without_starttls_gets_no_mail(self, server: SmtpStandIn) -> None:
        outcome = await send(channel(server, host=ELSEWHERE))
        assert outcome.result is Result.REFUSED
        assert "offers no STARTTLS" in str(outcome.error)
        assert server.mails == []

    async def test_elsewhere_a_password_is_never_sent_in_clear(self) -> None:
        server = await SmtpStandIn(user="tocsin", password=PASSWORD, accept_secrets_in_clear=True).start()
        for plain in (True, False):
            outcome = await send(channel(server, host=ELSEWHERE, user="tocsin", password=PASSWORD, plain=plain))
            assert outcome.result is Result.REFUSED
        assert server.passwords_seen == []
        await server.close()

    async def test_plain_never_encrypts_even_where_it_is_offered(self, start: Start) -> None:
        server = await start()
        assert (await send(channel(server, host=ELSEWHERE, plain=True))).result is Result.SENT
        assert not server.mails[0].tls

    async def test_on_this_machine_starttls_is_used_when_offered_whoever_signed_it(self, start: Start) -> None:
        server = await start(names=("snakeoil.local",))
        assert (await send(channel(server))).result is Result.SENT
        assert server.mails[0].tls

    async def test_on_this_machine_a_login_without_tls_is_allowed(self) -> None:
        server = await SmtpStandIn(user="tocsin", password=PASSWORD, accept_secrets_in_clear=True).start()
        assert (await send(channel(server, user="tocsin", password=PASSWORD))).result is Result.SENT
        await server.close()

    @pytest.mark.claim("B1")
    @pytest.mark.parametrize("implicit", [True, False])
    @pytest.mark.parametrize(("names", "trusted", "words"), [((ELSEWHERE,), False, "local issuer"), (("mail.other",), True, "mismatch")])
    async def test_a_certificate_that_does_not_hold_gets_no_mail(
        self, start: Start, authority: Authority, implicit: bool, names: tuple[str, ...], trusted: bool, words: str
    ) -> None:
        server = await start(names=names, implicit=implicit)
        outcome = await send(channel(server, authority.ca_file if trusted else None, host=ELSEWHERE, implicit_tls=implicit))
        assert outcome.result is Result.TEMPORARY
        assert "is not trusted" in str(outcome.error)
        assert words in str(outcome.error)
        assert server.mails == []


class TestRefusals:
    async def test_a_refused_recipient_cannot_be_reached(self, server: SmtpStandIn) -> None:
        server.refuse_recipient = "550 5.1.1 no such user"
        outcome = await send(channel(server))
        assert outcome.result is Result.PERMANENT
        assert "550 5.1.1 no such user" in str(outcome.error)

    @pytest.mark.parametrize(
        ("which", "answer", "result"),
        [
            ("refuse_recipient", "451 4.7.1 greylisted, try again", Result.TEMPORARY),
            ("refuse_recipient", "452 4.2.2 mailbox full", Result.TEMPORARY),
            ("refuse_recipient", "530 5.7.0 authentication required", Result.REFUSED),
            ("refuse_sender", "550 5.7.1 not your domain", Result.REFUSED),
            ("refuse_sender", "451 4.3.0 later", Result.TEMPORARY),
            ("refuse_content", "554 5.7.1 looks like spam", Result.PERMANENT),
            ("refuse_content", "452 4.3.1 no space", Result.TEMPORARY),
        ],
    )
    async def test_each_answer_has_its_class(self, server: SmtpStandIn, which: str, answer: str, result: Result) -> None:
        setattr(server, which, answer)
        outcome = await send(channel(server))
        assert outcome.result is result
        assert answer[:9] in str(outcome.error)
        assert server.mails == []

    async def test_a_wrong_password_is_refused_and_never_shown(self, start: Start, authority: Authority) -> None:
        server = await start(user="tocsin", password=PASSWORD)
        outcome = await send(channel(server, authority.ca_file, host=ELSEWHERE, user="tocsin", password="battery staple"))
        assert outcome.result is Result.REFUSED
        assert "(535)" in str(outcome.error)
        assert "battery" not in str(outcome.error)

    async def test_a_missing_login_is_refused(self, start: Start, authority: Authority) -> None:
        server = await start(user="tocsin", password=PASSWORD)
        assert (await send(channel(server, authority.ca_file, host=ELSEWHERE))).result is Result.REFUSED

    async def test_a_login_that_the_server_cannot_take_is_refused(self, server: SmtpStandIn) -> None:
        assert (await send(channel(server, user="tocsin", password=PASSWORD))).result is Result.REFUSED


@pytest.mark.claim("N5")
class TestWhetherItMayHaveLeft:
    async def test_a_server_that_is_down_was_not_reached(self, server: SmtpStandIn) -> None:
        await server.close()
        outcome = await send(channel(server))
        assert outcome.result is Result.TEMPORARY
        assert str(outcome.error).endswith("refused the connection")

    async def test_an_unknown_name_was_not_reached(self, server: SmtpStandIn) -> None:
        outcome = await send(channel(server, host="no-such-host.invalid"))
        assert outcome.result is Result.TEMPORARY
        assert str(outcome.error).endswith("could not be resolved")

    async def test_a_server_that_never_greets_was_not_reached(self, server: SmtpStandIn) -> None:
        server.silent = True
        assert (await send(channel(server, seconds=0.1))).result is Result.TEMPORARY

    async def test_a_connection_lost_before_the_content_did_not_send_it(self, server: SmtpStandIn) -> None:
        server.close_before_content = True
        departures: list[int] = []
        outcome = await channel(server).send(a_mail(), lambda: departures.append(1))
        assert outcome.result is Result.TEMPORARY
        assert departures == []

    async def test_a_connection_lost_after_the_content_leaves_it_unknown(self, server: SmtpStandIn) -> None:
        server.close_after_content = True
        departures: list[int] = []
        outcome = await channel(server).send(a_mail(), lambda: departures.append(len(server.mails)))
        assert outcome.result is Result.UNKNOWN
        assert departures == [0]

    async def test_no_confirmation_in_time_leaves_it_unknown(self, server: SmtpStandIn) -> None:
        server.hang_after_content = True
        assert (await send(channel(server, seconds=0.5))).result is Result.UNKNOWN

    async def test_nobody_can_be_asked_about_it(self, server: SmtpStandIn) -> None:
        assert await channel(server).look_up(a_mail(), NOW) is Presence.CANNOT_TELL


class TestAtOnce:
    async def test_no_more_than_four_connections_are_open(self, server: SmtpStandIn) -> None:
        server.pause = 0.02
        email = channel(server)
        outcomes = await asyncio.gather(*(send(email, a_mail(message_id=f"m-{n}")) for n in range(12)))
        assert {outcome.result for outcome in outcomes} == {Result.SENT}
        assert (len(server.mails), server.most_at_once) == (12, 4)

    async def test_waiting_for_a_free_connection_ends_in_time(self, server: SmtpStandIn) -> None:
        server.silent = True
        email = channel(server, seconds=0.1)
        outcomes = await asyncio.gather(*(send(email) for _ in range(5)))
        assert {outcome.result for outcome in outcomes} == {Result.TEMPORARY}


class TestCheck:
    async def test_a_good_server_has_no_fault_and_gets_no_mail(self, start: Start, authority: Authority) -> None:
        server = await start(user="tocsin", password=PASSWORD)
        assert await channel(server, authority.ca_file, host=ELSEWHERE, user="tocsin", password=PASSWORD).check(OPS) is None
        assert server.mails == []

    async def test_a_wrong_password_is_found(self, start: Start, authority: Authority) -> None:
        server = await start(user="tocsin", password=PASSWORD)
        fault = await channel(server, authority.ca_file, host=ELSEWHERE, user="tocsin", password="x").check(OPS)
        assert re.fullmatch(
            r"Mail cannot be sent: the mail server .* does not accept the user or password of TOCSIN_SMTP_URL \(535\)\.",
            str(fault),
        )

    async def test_a_server_that_is_down_is_found(self, server: SmtpStandIn) -> None:
        await server.close()
        assert "refused the connection" in str(await channel(server).check(OPS))

    async def test_an_untrusted_certificate_is_found(self, start: Start) -> None:
        assert "TOCSIN_TLS_CA_FILE" in str(await channel(await start(), host=ELSEWHERE).check(OPS))

    async def test_an_impossible_address_is_found(self, server: SmtpStandIn) -> None:
        assert "not one mail address" in str(await channel(server).check(Contact("c", "email", "nobody")))

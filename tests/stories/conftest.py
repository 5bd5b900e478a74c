"""The people and machines around Tocsin: a WHMCS with the bridge, the server itself, a phone, a mailbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge.whmcs import Whmcs
from tests.cli.program import Program
from tests.standins.beside import Beside
from tests.standins.ntfy import NtfyStandIn
from tests.standins.smtp import SmtpStandIn
from tests.standins.tls import Authority

MAIL_USER, MAIL_PASSWORD = "robot", "hush/hush#1"


@pytest.fixture
def phone(beside: Beside) -> Iterator[NtfyStandIn]:
    """The ntfy server behind the phone, with a token; what a publisher should not do fails the test."""
    ntfy = beside.do(NtfyStandIn(access={"tk_oncall": {"night-shift": "rw"}}).start())
    yield ntfy
    beside.do(ntfy.close())
    assert ntfy.violations == []


@pytest.fixture
def mailbox(beside: Beside, tmp_path: Path) -> Iterator[SmtpStandIn]:
    """A mail server that demands STARTTLS and a login."""
    smtp = SmtpStandIn(tls=Authority(tmp_path).server_context("localhost", "127.0.0.1"), user=MAIL_USER, password=MAIL_PASSWORD)
    yield beside.do(smtp.start())
    beside.do(smtp.close())


@pytest.fixture
def program(tmp_path: Path, database_url: str, phone: NtfyStandIn, mailbox: SmtpStandIn) -> Program:
    """Tocsin, told of the phone and the mailbox by its settings."""
    return Program(
        tmp_path / "data",
        {
            "TOCSIN_DATABASE_URL": database_url,
            "NTFY_SERVER_URL": phone.url,
            "NTFY_TOPIC": "night-shift",
            "NTFY_TOKEN": "tk_oncall",
            "NOTIFICATION_EMAIL": "oncall@example.com",
            "TOCSIN_SMTP_URL": f"smtp://{MAIL_USER}:hush%2Fhush%231@localhost:{mailbox.port}",
            "TOCSIN_MAIL_FROM": "Tocsin <tocsin@example.com>",
        },
    )


@pytest.fixture
def whmcs(tmp_path: Path) -> Whmcs:
    return Whmcs(tmp_path)

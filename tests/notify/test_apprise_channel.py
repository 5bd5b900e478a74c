"""Apprise in a process of its own: what it is told, what its word means, and what nobody else gets to see."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psutil  # type: ignore[import-untyped]  # it comes without types
import pytest

from tests.notify.letters import NOW, a_letter, an_alert
from tests.standins.provider import Answer, Provider, Seen
from tocsin.core.errors import InvalidInput
from tocsin.notify.channels import apprise
from tocsin.notify.channels.apprise import AppriseChannel, Said, asked, judge
from tocsin.notify.model import Contact, Letter, Result
from tocsin.notify.targets import read_target

pytestmark = pytest.mark.claim("N4")


class Service(Provider):
    """Takes what Apprise's own ``json://`` posts."""

    status = 200

    async def answer(self, seen: Seen) -> Answer:
        if self.status == 200:
            self.taken.append(msgspec.json.decode(seen.body))
        return Answer(self.status, b"token-in-the-answer")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service() as service:
        yield service


def letter_to(address: str, kind: str = "opened", **changes: object) -> Letter:
    target = read_target("apprise", address)
    contact = Contact("contact-1", "apprise", target.shown, secret=target.secret)
    return msgspec.structs.replace(a_letter(kind, **changes), contact=contact)  # type: ignore[arg-type]  # of a letter


def nothing() -> None:
    """Nobody notes when it leaves."""


async def test_a_message_reaches_a_service_with_its_links_and_its_colour(service: Service) -> None:
    address = f"json://{service.url.removeprefix('http://')}/in/Zz9Yy8Xx7Ww6"
    outcome = await AppriseChannel(private=True).send(letter_to(address), nothing)
    assert outcome.result is Result.SENT, outcome
    (said,) = service.taken
    assert said["title"].endswith("Service 77: creation failed (#12)")
    assert "Acknowledge: https://alarm.example.com/a/a-7f3k9q" in said["message"]
    assert said["type"] == "failure"
    assert "apprise" not in sys.modules, "this process never loads it"


@pytest.mark.parametrize(("status", "result"), [(401, Result.REFUSED), (503, Result.TEMPORARY), (400, Result.PERMANENT)])
async def test_what_the_service_answers_is_classed_and_not_repeated(service: Service, status: int, result: Result) -> None:
    service.status = status
    outcome = await AppriseChannel(private=True).send(letter_to(f"json://{service.url.removeprefix('http://')}/Zz9Yy8"), nothing)
    assert (outcome.result, str(status) in (outcome.error or "")) == (result, True)
    assert "Zz9Yy8" not in str(outcome)
    assert "token-in-the-answer" not in str(outcome)


async def test_a_private_address_is_refused_at_the_moment_of_connecting(service: Service) -> None:
    outcome = await AppriseChannel(private=False).send(letter_to(f"json://localhost:{service.url.rpartition(':')[2]}/in"), nothing)
    assert outcome.result is Result.PERMANENT
    assert "private network" in (outcome.error or "")
    assert service.taken == []


async def test_an_address_that_apprise_cannot_read_is_said_to_be_that() -> None:
    outcome = await AppriseChannel(private=True).send(letter_to("nonsense://somewhere"), nothing)
    assert (outcome.result, "cannot read" in (outcome.error or "")) == (Result.PERMANENT, True)


async def test_one_that_hangs_is_ended_and_nobody_knows_and_its_arguments_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "COMMAND", (sys.executable, "-I", "-c", "import time; time.sleep(60)"))
    others = set(psutil.Process().children())
    channel = AppriseChannel(private=True, seconds=1)
    task = asyncio.create_task(channel.send(letter_to("json://127.0.0.1/Zz9Yy8Xx7"), nothing))
    while not (started := set(psutil.Process().children()) - others):
        assert not task.done()
        await asyncio.sleep(0.01)
    (child,) = started
    assert "Zz9Yy8Xx7" not in " ".join(child.cmdline())
    outcome = await task
    assert outcome.result is Result.UNKNOWN
    assert not child.is_running()


async def test_the_process_is_given_nothing_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "{'readable': True, 'taken': False, 'said': [], 'refused': ' '.join(os.environ)}"
    monkeypatch.setattr(apprise, "COMMAND", (sys.executable, "-I", "-c", f"import json, os; print(json.dumps({answer}))"))
    monkeypatch.setenv("TOCSIN_SMTP_URL", "smtp://user:secret@mail.example.com")
    outcome = await AppriseChannel(private=True).send(letter_to("json://127.0.0.1/x"), nothing)
    assert outcome.result is Result.PERMANENT
    assert set((outcome.error or "").split()) <= {"PATH", "LANG", "LC_CTYPE", "SSL_CERT_FILE"}


async def test_a_process_that_dies_without_a_word_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "COMMAND", (sys.executable, "-I", "-c", "raise SystemExit(3)"))
    outcome = await AppriseChannel(private=True).send(letter_to("json://127.0.0.1/x"), nothing)
    assert (outcome.result, "ended with 3" in (outcome.error or "")) == (Result.UNKNOWN, True)
    monkeypatch.setattr(apprise, "COMMAND", (str(Path("/nowhere/python")),))
    assert (await AppriseChannel(private=True).send(letter_to("json://127.0.0.1/x"), nothing)).result is Result.TEMPORARY


def test_good_news_is_green_and_a_notice_is_blue() -> None:
    def colour(kind: str, **changes: Any) -> str:
        return asked(letter_to("json://127.0.0.1/x", kind, alert=an_alert(**changes)), private=True).type

    assert colour("resolved", status="resolved", resolved_at=NOW) == "success"
    assert colour("acknowledged", status="acknowledged") == "info"
    assert (colour("opened", severity=3), colour("opened", severity=4)) == ("warning", "failure")


def test_a_lost_connection_may_have_sent_it_and_silence_is_tried_again() -> None:
    assert judge(Said(True, False, ["Socket Exception: ... Read timed out. (read timeout=4.0)"])).result is Result.UNKNOWN
    assert judge(Said(True, False, ["... Failed to establish a new connection"])).result is Result.TEMPORARY
    assert judge(Said(True, False, [])).result is Result.TEMPORARY
    assert judge(Said(True, False, ["JSON Payload: {'title': 'error=401'}"])).result is Result.TEMPORARY, (
        "an alert's words count for nothing"
    )


@pytest.mark.parametrize("address", ["gotify", "://x", "syslog://", "dbus://x", "gotify://", "a b://x"])
def test_what_is_no_address_or_one_that_nobody_would_see_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_target("apprise", address)
    assert refused.value.errors[0].field == "target"

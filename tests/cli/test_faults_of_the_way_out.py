"""Faults between a real server and its people: events are taken all the same, health and doctor name the fault, and what was
promised arrives when it ends.
"""

import json
import sqlite3
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program, Serving, until
from tests.standins.beside import Beside
from tests.standins.ntfy import NtfyStandIn
from tests.standins.smtp import SmtpStandIn
from tocsin.core.clock import HOUR, MINUTE


class Machine:
    """What the program believes about time and names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ahead = 0
        self._names: dict[str, str] = {}
        self._tell()

    def pass_time(self, ms: int) -> None:
        self._ahead += ms
        self._tell()

    def knows(self, name: str) -> None:
        self._names[name] = "127.0.0.1"
        self._tell()

    def _tell(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"ahead": self._ahead, "names": self._names}))
        fresh.replace(self._path)


@pytest.fixture
def mailbox(beside: Beside) -> Iterator[SmtpStandIn]:
    smtp = beside.do(SmtpStandIn().start())
    yield smtp
    beside.do(smtp.close())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine.json")


@pytest.fixture
def program(tmp_path: Path, machine: Machine, phone: NtfyStandIn, mailbox: SmtpStandIn) -> Program:
    settings = {
        "ODD_MACHINE": str(tmp_path / "machine.json"),
        "NTFY_SERVER_URL": phone.url,
        "NTFY_TOKEN": "tk_right",
        "NOTIFICATION_EMAIL": "ops@example.com",
        "TOCSIN_SMTP_URL": f"smtp+plain://127.0.0.1:{mailbox.port}",
    }
    return Program(tmp_path / "data", settings, "tests.cli.odd_machine")


class Watch:
    """Somebody who reports, and looks at the server's own health."""

    def __init__(self, program: Program, server: Serving, sender: str, reader: str) -> None:
        self._program, self._server, self._sender = program, server, sender
        self._headers = {"Authorization": f"Bearer {reader}"}

    def report(self, subject: str) -> None:
        said = self._server.post(self._sender, {"type": "disk.full", "subject": subject, "severity": 4, "title": f"{subject} is full"})
        assert said["accepted"] == 1

    def health(self) -> dict[str, Any]:
        """Its word; right after a jump of the clock that may be 503, until each step of the engine has ended again."""
        try:
            return self._server.get("/health", self._headers)
        except urllib.error.HTTPError as error:
            with error:
                found: dict[str, Any] = json.load(error)
            return found

    def delivery(self) -> str:
        return " | ".join(self.health()["details"]["delivery"])

    def doctor(self, part: str) -> str:
        return " | ".join(found["text"] for found in self._program.run("doctor", "--json").json["findings"] if found["part"] == part)

    def tries(self, kind: str) -> int:
        """How often the contact of this kind was tried."""
        count = "SELECT count(*) FROM attempts JOIN contacts ON contacts.id = attempts.contact_id WHERE kind = ? AND finished_at > 0"
        with closing(sqlite3.connect(self._program.folder / "tocsin.db")) as connection:
            return int(connection.execute(count, (kind,)).fetchone()[0])


@pytest.mark.claim("O4", "N5", "P3", "X1", "origin:H3", "Q10")
def test_a_day_without_push_and_with_a_mail_server_that_says_nothing(
    program: Program, machine: Machine, beside: Beside, phone: NtfyStandIn, mailbox: SmtpStandIn
) -> None:
    sender, reader = program.key(), program.key("read")
    beside.do(phone.close())
    mailbox.silent = True
    with program.serving() as server:
        watch = Watch(program, server, sender, reader)
        watch.report("disk:/")
        until(lambda: all(word in watch.delivery() for word in ("ntfy whmcs-alerts cannot be written to", "email ops@example.com")))
        assert "connection refused" in watch.delivery()
        assert "did not answer" in watch.delivery()
        assert watch.health()["status"] == "degraded"

        for hours in (6, 6, 12):
            tried = watch.tries("ntfy"), watch.tries("email")
            machine.pass_time(hours * HOUR)
            until(lambda: watch.tries("ntfy") > tried[0] and watch.tries("email") > tried[1])  # noqa: B023 - awaited within the turn
        watch.report("disk:/var")
        channels, waiting = watch.doctor("channel"), watch.doctor("outbox")
        assert "cannot be reached" in channels
        assert "did not answer" in channels
        assert "waiting, the oldest for" in waiting

        beside.do(phone.restart())
        mailbox.silent = False
        machine.pass_time(2 * MINUTE)
        until(lambda: all(len(_about(what, phone, mailbox)) == 2 for what in ("disk:/ is", "disk:/var is")))
        until(lambda: watch.health()["checks"]["delivery"] == "ok")  # the slower steps of the engine come to it in their own time
        assert server.stop() == 0
    pushed, _ = _about("disk:/ is", phone, mailbox)
    assert "Delayed by 1 d: it was decided at" in pushed
    assert len(_about("disk:/ is", phone, mailbox)) == 2, "each way once, however often it was tried"
    assert phone.violations == []


def _about(what: str, phone: NtfyStandIn, mailbox: SmtpStandIn) -> list[str]:
    """The texts of all pushes and mails with these words in their title."""
    pushes = [push["message"] for push in phone.messages if what in push["title"]]
    return [*pushes, *[mail.text for mail in mailbox.mails if what in mail.message["Subject"]]]


@pytest.mark.claim("O4", "N5", "P3", "X1")
def test_a_token_that_the_server_does_not_know_and_a_name_that_nobody_knows(
    program: Program, machine: Machine, phone: NtfyStandIn, mailbox: SmtpStandIn
) -> None:
    program.settings |= {"NTFY_TOKEN": "tk_mistyped", "TOCSIN_SMTP_URL": f"smtp+plain://mail.test:{mailbox.port}"}
    sender, reader = program.key(), program.key("read")
    with program.serving() as server:
        watch = Watch(program, server, sender, reader)
        watch.report("disk:/")
        until(lambda: watch.delivery().count("cannot be written to") == 2)
        for said in (watch.delivery(), watch.doctor("channel")):
            assert "does not know NTFY_TOKEN" in said
            assert "mail.test" in said
            assert "resolved" in said
            assert "tk_mistyped" not in said

        machine.knows("mail.test")
        machine.pass_time(2 * MINUTE)
        until(lambda: any("disk:/ is full" in m.message["Subject"] for m in mailbox.mails))
        assert phone.messages == []
        assert server.stop() == 0
        assert "tk_mistyped" not in server.log
    program.settings["NTFY_TOKEN"] = "tk_right"
    with program.serving() as server:
        watch = Watch(program, server, sender, reader)
        until(lambda: any(push["title"] == "disk:/ is full" for push in phone.messages))
        until(lambda: watch.health()["status"] == "ok")
        assert server.stop() == 0
    assert len([mail for mail in mailbox.mails if "disk:/ is full" in mail.message["Subject"]]) == 1

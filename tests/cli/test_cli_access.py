"""People and the audit log from the command line."""

import re
import sqlite3
import urllib.parse
import urllib.request
from contextlib import closing
from typing import Any

import pytest

from tests.cli.program import Handy

PASSWORD = "lantern gravel teacup\n"


def add(program: Handy, email: str, *more: str) -> str:
    made = program.run("user", "add", email, "--name", "Marta", "--role", "admin", "--password-stdin", *more, stdin=PASSWORD)
    assert made.code == 0, made
    return made.out.strip()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Goes nowhere else."""


HERE = urllib.request.build_opener(_Stay)


def opened(url: str, **fields: str) -> tuple[int, str]:
    """What a GET, or with *fields* a POST, of a page answers."""
    body = urllib.parse.urlencode(fields).encode() if fields else None
    try:
        with HERE.open(urllib.request.Request(url, body)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.claim("U7")
def test_the_first_administrator_is_made_by_a_link_that_is_printed_at_start(handy: Handy) -> None:
    with handy.serving() as server:
        link = re.search(r"open (http://\S+/setup/[\w-]{43}) \(works once", server.log)
        assert link, server.log
        assert "You are the first" in opened(link[1])[1]
        asked = {"email": "owner@example.com", "name": "Owner", "password": PASSWORD.strip(), "again": PASSWORD.strip()}
        assert opened(link[1], **asked)[0] == 303
        assert opened(link[1])[0] == 404
    assert [user["email"] for user in handy.run("user", "list", "--json").json] == ["owner@example.com"]
    with handy.serving(log="second") as server:
        assert "/setup/" not in server.log


def test_a_person_who_is_locked_out_gets_a_link_that_works_once(handy: Handy) -> None:
    add(handy, "marta@example.com", "--time-zone", "Europe/Berlin")
    with handy.serving() as server:
        made = handy.run("user", "reset", "marta@example.com", "--second-factor", "--json").json
        assert made["link"].startswith(f"{server.url}/reset/")
        assert opened(made["link"])[0] == 200
        assert opened(made["link"], password="another good password", again="another good password")[0] == 303
        assert opened(made["link"])[0] == 404
        assert "/reset/" not in server.log
    missing = handy.run("user", "reset", "nobody@example.com")
    assert missing.is_one_complaint()
    assert "there is no user nobody@example.com" in missing.err


def test_a_site_or_a_zone_that_is_not_there_is_wrong_usage(handy: Handy) -> None:
    asked = ("user", "add", "ben@example.com", "--name", "Ben", "--role", "viewer", "--password-stdin")
    assert handy.run(*asked, "--site", "nowhere", stdin=PASSWORD).code == 2
    assert handy.run(*asked, "--time-zone", "Mars/Olympus", stdin=PASSWORD).code == 2
    handy.run("key", "add", "bridge", "--scope", "ingest", "--site", "acme")
    assert handy.run(*asked, "--site", "acme", stdin=PASSWORD).code == 0


@pytest.mark.claim("S5")
def test_the_audit_log_is_verified_and_a_noted_head_is_found_again(handy: Handy) -> None:
    add(handy, "marta@example.com")
    first = handy.run("audit", "verify")
    assert re.fullmatch(r"1:[0-9a-f]{64}\n", first.out)
    handy.run("key", "add", "grafana", "--scope", "read")
    assert handy.run("audit", "verify", "--head", first.out.strip(), "--json").json["ok"] is True
    forged = handy.run("audit", "verify", "--head", f"1:{'ab' * 32}")
    assert forged.code == 1
    assert forged.out == "fault: entry 1 is not the entry that was noted here: the log was written anew\n"
    cut = handy.run("audit", "verify", "--head", f"9:{'ab' * 32}", "--json")
    assert cut.code == 1
    assert cut.json["broken"]["fault"] == "cut_off"
    assert handy.run("audit", "verify", "--head", "nonsense").code == 2


@pytest.mark.claim("N7")
def test_a_contact_from_the_command_line_needs_no_code_and_the_audit_log_says_who_answers_for_it(handy: Handy) -> None:
    add(handy, "marta@example.com")
    assert handy.run("contacts", "list", "--json").json == [], "an account alone is told nothing"
    made = handy.run("contacts", "add", "Marta@example.com", "sms", "+4915123456789", "--label", "Pocket")
    assert made.code == 0, made
    assert "No code was asked for" in made.err
    assert [(one["target"], one["state"]) for one in handy.run("contacts", "list", "--json").json] == [("+4915123456789", "active")]
    assert handy.run("contacts", "add", "marta@example.com", "sms", "+4915123456789").code == 1
    assert handy.run("contacts", "add", "marta@example.com", "sms", "12345").code == 2
    assert handy.run("contacts", "add", "nobody@example.com", "ntfy", "phone").code == 1
    hidden = handy.run("contacts", "add", "marta@example.com", "apprise", "-", stdin="pover://Zz9Yy8@Xx7Ww6\n")
    assert (hidden.code, "Zz9Yy8" in hidden.err + handy.run("contacts", "list").out) == (0, False)
    with closing(sqlite3.connect(handy.folder / "tocsin.db")) as database:
        lines = database.execute("SELECT actor, after FROM audit WHERE action = 'contact.made'").fetchall()
    assert [actor[:4] for actor, _ in lines] == ["cli:", "cli:"]
    assert "Zz9Yy8" not in str(lines)

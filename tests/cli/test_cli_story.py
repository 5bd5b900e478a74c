"""From an empty folder to a resolved alert, with the real program."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.program import Handy, Program, Serving, until

EVENT = {"type": "invoice.payment_failed", "subject": "invoice:1042", "message": "card refused"}


@pytest.mark.claim("S8", "A22", "P8")
def test_the_first_start_with_no_setting_at_all_works_and_says_what_to_do_next(program: Program) -> None:
    program.fresh = True
    with program.serving() as server:
        lines = [json.loads(line) for line in server.log.splitlines()]
        started = next(line for line in lines if line["event"] == "started")
        steps = " ".join(line["do"] for line in lines if line["event"] == "next step")
        assert started["listens_on"] == server.url
        assert started["database"].startswith("SQLite, ")
        assert started["tells"] == "nobody yet"
        for wanted in (f"open {server.url}/setup/", "tocsin key add", "NTFY_SERVER_URL", "tocsin test-alert", "bridge"):
            assert wanted in steps
        assert program.folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o077 for path in program.folder.iterdir()} == {0}
        assert _megabytes(server) < 128, "it fits beside WHMCS on the smallest server"


def _megabytes(server: Serving) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_an_event_sent_with_a_new_key_becomes_an_alert_that_is_listed_acknowledged_and_resolved(program: Program) -> None:
    with program.serving() as server:
        made = program.run("key", "add", "whmcs", "--scope", "ingest", "--site", "acme")
        key = made.out.strip()
        assert made.out == f"{key}\n"
        assert key.startswith("tocsin_")
        assert "The site acme is new" in made.err
        assert server.post(key, EVENT)["accepted"] == 1

        (alert,) = program.run("alerts", "list", "--json").json
        assert (alert["type"], alert["site"], alert["status"]) == ("invoice.payment_failed", "acme", "open")
        assert "invoice.payment_failed" in program.run("events", "tail", "--site", "acme", "--type", "invoice.").out

        taken = program.run("alerts", "ack", str(alert["number"]), "--note", "on it", "--json").json
        assert taken["status"] == "acknowledged"
        assert taken["acknowledged_by"].startswith("cli:")
        done = program.run("alerts", "resolve", alert["id"], "--note", "card works")
        assert done.code == 0
        assert "is resolved by cli:" in done.out

        assert program.run("alerts", "list", "--json").json == []
        late = program.run("alerts", "ack", str(alert["number"]))
        assert late.is_one_complaint()
        assert "is resolved since" in late.err
        assert key not in server.log


def test_followed_events_appear_as_they_come_also_those_of_a_new_site(program: Program) -> None:
    with program.serving() as server:
        key = program.key()
        command = [sys.executable, "-m", "tocsin", "events", "tail", "--follow", "--json", "--lines", "1"]
        server.post(key, {**EVENT, "site": "old"})
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=program.environment(), text=True) as tail:
            assert tail.stdout is not None
            assert json.loads(tail.stdout.readline())["site"] == "old"
            server.post(key, {**EVENT, "site": "brand-new", "subject": "invoice:7"})
            found = json.loads(tail.stdout.readline())
            assert (found["site"], found["subject"]) == ("brand-new", "invoice:7")
            tail.terminate()


def test_a_test_alert_names_the_contact_that_got_it(handy: Handy, ntfy_url: str) -> None:
    handy.settings |= {"NTFY_SERVER_URL": ntfy_url, "NTFY_TOPIC": "night-shift"}
    with handy.serving():
        said = handy.run("test-alert")
        assert said.code == 0, said
        assert "ntfy night-shift: got it" in said.out
        assert "Test alert" in _received(ntfy_url)[-1]["message"]["message"] + _received(ntfy_url)[-1]["message"]["title"]

        asked = handy.run("alerts", "escalate", "1", "--from-level", "0", "--json").json
        assert asked == {"number": 1, "policy": "Built-in policy", "level": 1, "escalated": True}
        assert "somebody else was faster" in handy.run("alerts", "escalate", "1", "--from-level", "0").out
        until(lambda: len(_received(ntfy_url)) > 1)

        assert handy.run("alerts", "ack", "1").code == 0
        until(lambda: len(_received(ntfy_url)) > 2)  # the server has noticed what another process did


def test_a_test_alert_says_why_a_contact_did_not_get_it(handy: Handy, locked_ntfy_url: str) -> None:
    handy.settings |= {"NTFY_SERVER_URL": locked_ntfy_url, "NTFY_TOKEN": "tk_wrongwrong"}
    with handy.serving() as server:
        said = handy.run("test-alert", "--json")
        (told,) = said.json["notifications"]
        assert said.code == 1
        assert told["contact"] == "ntfy whmcs-alerts"
        assert "NTFY_TOKEN" in told["error"]
        assert "tk_wrongwrong" not in server.log + said.out + said.err


def test_a_test_alert_without_a_server_waits_in_the_outbox_until_one_starts(handy: Handy, ntfy_url: str) -> None:
    handy.settings |= {"NTFY_SERVER_URL": ntfy_url}
    with handy.serving() as server:
        server.stop()
    said = handy.run("test-alert")
    assert said.code == 1
    assert "No server runs on this data folder" in said.err
    assert _received(ntfy_url) == []
    with handy.serving():
        until(lambda: len(_received(ntfy_url)) == 1)


def test_a_test_alert_with_nobody_to_tell_says_so(handy: Handy) -> None:
    with handy.serving():
        said = handy.run("test-alert", "--severity", "5")
    assert said.code == 1
    assert "There is nobody to tell. Set NTFY_SERVER_URL" in said.err


@pytest.mark.claim("B15")
def test_requests_and_engine_can_be_two_processes_on_one_data_folder(handy: Handy, ntfy_url: str) -> None:
    handy.settings |= {"NTFY_SERVER_URL": ntfy_url}
    with handy.serving("--engine-only", log="engine-log") as engine, handy.serving("--http-only", log="http-log") as http:
        assert http.post(handy.key(), EVENT)["accepted"] == 1
        until(lambda: len(_received(ntfy_url)) == 1)
        assert _both_end_well(engine, http)


def test_the_process_for_requests_may_have_other_settings_and_messages_go_by_those_of_the_engine(handy: Handy, ntfy_url: str) -> None:
    front = Program(handy.folder)
    handy.settings |= {"NTFY_SERVER_URL": ntfy_url, "NTFY_TOPIC": "night-shift"}
    with handy.serving("--engine-only", log="engine-log"), front.serving("--http-only", log="http-log") as http:
        assert http.post(handy.key(), EVENT)["accepted"] == 1
        until(lambda: len(_received(ntfy_url)) == 1)
        assert [contact["state"] for contact in handy.run("contacts", "list", "--json").json] == ["active"]


def _both_end_well(*servers: Serving) -> bool:
    return [server.stop() for server in servers] == [0, 0]


def _received(url: str) -> list[dict[str, dict[str, str]]]:
    with urllib.request.urlopen(f"{url}/_standin/received") as answer:
        found: list[dict[str, dict[str, str]]] = json.load(answer)
        return found


def test_a_threshold_is_set_changed_and_removed_from_the_command_line(handy: Handy) -> None:
    handy.run("db", "upgrade")
    about = ("thresholds", "set", "disk_percent", "--host", "Web01", "--label", "mount=/var")
    made = handy.run(*about, "--warning", "90", "--critical", "97", "--for", "10m", "--missing", "1h")
    threshold_id = made.out.strip()
    assert "Warning from 90 %, critical from 97 % for 10 min; over below 85.5 %" in made.err
    changed = handy.run(*about, "--warning", "91", "--json").json
    assert (changed["id"], changed["warning"], changed["critical"]) == (threshold_id, 91.0, None)
    first, *rest = handy.run("thresholds", "list", "--json").json
    assert (first["host"], first["labels"], first["origin"]) == ("web01", {"mount": "/var"}, "user")
    assert {one["id"] for one in rest if one["origin"] == "settings"} >= {"default:disk_percent", "default:cpu_percent"}
    assert "host=web01 mount=/var" in handy.run("thresholds", "list").out
    assert handy.run("thresholds", "set", "disk_percent", "--label", "mount", "--warning", "1").code == 2
    assert handy.run("thresholds", "set", "disk_percent", "--warning", "90", "--critical", "80").code == 2
    assert handy.run("thresholds", "remove", threshold_id).code == 0
    assert "there is no threshold" in handy.run("thresholds", "remove", threshold_id).err
    assert "comes from the settings" in handy.run("thresholds", "remove", "default:cpu_percent").err


def test_a_silence_is_made_listed_and_ended_from_the_command_line(handy: Handy) -> None:
    handy.run("db", "upgrade")
    made = handy.run("silence", "add", "-m", "host=web-1", "-m", "severity~[1-3]", "--for", "2h", "--comment", "disk swap")
    silence_id = made.out.strip()
    assert "for 2 h. It matches 0 open alerts now." in made.err
    (listed,) = handy.run("silence", "list", "--json").json
    assert (listed["id"], listed["status"], listed["comment"]) == (silence_id, "active", "disk swap")
    assert listed["matchers"][1] == {"field": "severity", "op": "~", "value": "[1-3]"}
    assert "host=web-1 severity~[1-3]" in handy.run("silence", "list").out
    ended = handy.run("silence", "end", silence_id, "--json").json
    assert ended["status"] == "expired"
    assert ended["ended_by"].startswith("cli:")
    assert handy.run("silence", "list", "--json").json == []
    assert [one["id"] for one in handy.run("silence", "list", "--ended", "--json").json] == [silence_id]

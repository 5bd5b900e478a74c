"""Heartbeats at the terminal."""

import json

import pytest

from tests.cli.program import Inside

pytestmark = pytest.mark.claim("M5")


def test_a_heartbeat_is_made_and_listed(ready: Inside) -> None:
    made = ready.run("heartbeats", "add", "Backup", "--cron", "30 2 * * *", "--time-zone", "Europe/Berlin", "--longest-run", "2h")
    assert made.code == 0, made
    assert "/api/v1/ping/" in made.out
    assert "by 30 2 * * * (Europe/Berlin)" in made.err
    listed = json.loads(ready.run("heartbeats", "list", "--json").out)
    assert [(one["name"], one["status"], one["longest_run_seconds"], one["grace_seconds"]) for one in listed] == [
        ("Backup", "waiting", 7200, 300)
    ]
    assert "never" in ready.run("heartbeats", "list").out
    assert made.out.strip().rpartition("/")[2] not in ready.run("heartbeats", "list").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x"], "exactly one of --every and --cron"),
        (["x", "--every", "5m", "--cron", "* * * * *"], "exactly one"),
        (["x", "--every", "never"], "no length of time"),
        (["x", "--cron", "* * *"], "five fields"),
        (["x", "--cron", "* * * * *", "--time-zone", "Mars"], "no time zone"),
        (["", "--every", "5m"], "1 to 100 characters"),
    ],
)
def test_what_makes_no_sense_is_refused(ready: Inside, words: list[str], says: str) -> None:
    answer = ready.run("heartbeats", "add", *words)
    assert answer.code == 2
    assert says in answer.err

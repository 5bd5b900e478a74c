"""Checks at the terminal."""

import json

import pytest

from tests.cli.program import Inside

pytestmark = pytest.mark.claim("M2")


def test_a_check_is_made_listed_and_run(ready: Inside, unused_port: int) -> None:
    made = ready.run("checks", "add", "Shop", f"tcp://127.0.0.1:{unused_port}", "--private", "--interval", "30", "--group", "shop")
    assert made.code == 0, made
    ran = ready.run("checks", "run", "shop")
    assert ran.code == 1
    assert "the connection was refused" in ran.out
    assert "Shop refuses the connection" in ran.err
    (listed,) = json.loads(ready.run("checks", "list", "--json").out)
    assert (listed["id"], listed["target"], listed["interval_seconds"]) == (
        made.out.strip(),
        {"kind": "tcp", "host": "127.0.0.1", "port": unused_port},
        30,
    )
    assert listed["cause"] == "refuses the connection"
    assert "unknown" in ready.run("checks", "list").out
    assert json.loads(ready.run("checks", "run", listed["id"], "--json").out)["finding"]["level"] == "failed"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x", "example.com"], "names nothing that can be asked"),
        (["x", "tcp://example.com"], "Object missing required field port"),
        (["x", "tls://example.com:70000"], "Expected int <= 65535"),
        (["x", "tcp://example.com:1", "--keyword", "y"], "give an address with https:// or smtp://"),
        (["x", "https://user:pw@example.com/"], "a user and password go into a header"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_an_example(ready: Inside, words: list[str], says: str) -> None:
    answer = ready.run("checks", "add", *words)
    assert answer.code == 2
    assert says in answer.err
    assert "There is no check" in ready.run("checks", "list").err

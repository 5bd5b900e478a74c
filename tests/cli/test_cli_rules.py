"""Event rules at the terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Inside
from tests.conftest import Databases

pytestmark = pytest.mark.claim("A10")

NIGHTS: dict[str, Any] = {
    "name": "Nights are quieter",
    "matchers": [{"field": "severity", "op": "<=", "value": 3}],
    "actions": {"delay_seconds": 600},
    "times": [{"weekdays": [1, 2], "from": "22:00", "to": "06:00"}],
    "time_zone": "Europe/Berlin",
}
DISKS: dict[str, Any] = {"name": "Disks", "matchers": [{"field": "type", "op": "^", "value": "disk."}], "actions": {"severity": 5}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "rules.json", NIGHTS, DISKS)


def written(path: Path, *rules: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"rules": rules}))
    return path


def names(ready: Inside) -> list[str]:
    return [rule["name"] for rule in json.loads(ready.run("rules", "list", "--json").out)]


def test_rules_go_out_and_in_and_what_is_the_same_stays(ready: Inside, file: Path, tmp_path: Path) -> None:
    assert "no rules" in ready.run("rules", "list").err
    assert ready.run("rules", "import", str(file)).out == "made: Nights are quieter\nmade: Disks\n"
    listed = ready.run("rules", "list").out
    assert "severity <= 3 (at times)" in listed
    assert "nobody is told for the first 600 seconds" in listed
    again = tmp_path / "again.json"
    again.write_text(ready.run("rules", "export").out)
    assert "hold already" in ready.run("rules", "import", str(again)).err
    assert [rule["version"] for rule in json.loads(ready.run("rules", "list", "--json").out)] == [1, 1]


@pytest.mark.claim("origin:H4")
def test_what_one_house_gives_away_holds_in_another(ready: Inside, file: Path, tmp_path: Path, databases: Databases) -> None:
    loud = {**DISKS, "name": "Gateways", "actions": {"severity": 5, "policy": "default", "dedup_key": "{site}: {attributes.gateway}"}}
    ready.run("rules", "import", str(file))
    ready.run("rules", "import", str(written(tmp_path / "loud.json", {**loud, "enabled": False})))
    given = tmp_path / "given.json"
    given.write_text(ready.run("rules", "export").out)
    here = ready.run("rules", "list", "--json").json
    assert {name for rule in json.loads(given.read_text())["rules"] for name in rule if name.endswith(("_at", "_by", "id"))} == set()
    databases.sqlite(tmp_path / "other.db")
    ready.set(TOCSIN_DATABASE_URL=f"sqlite:///{tmp_path / 'other.db'}")
    assert names(ready) == []
    assert ready.run("rules", "import", str(given)).code == 0
    there = ready.run("rules", "list", "--json").json
    own = ("id", "created_at", "updated_at")
    assert [{**rule, **dict.fromkeys(own)} for rule in there] == [{**rule, **dict.fromkeys(own)} for rule in here]


def test_a_file_changes_by_name_orders_and_removes_only_if_told_to(ready: Inside, file: Path, tmp_path: Path) -> None:
    ready.run("rules", "import", str(file))
    louder = written(tmp_path / "more.json", {**DISKS, "actions": {"severity": 4}}, {**DISKS, "name": "First"})
    assert ready.run("rules", "import", str(louder), "--json").json == {"made": ["First"], "changed": ["Disks"], "removed": []}
    assert names(ready) == ["Disks", "First", "Nights are quieter"]
    assert "version 2" in ready.run("rules", "show", "Disks").out
    assert ready.run("rules", "import", "--alone", str(louder)).out == "removed: Nights are quieter\n"
    assert names(ready) == ["Disks", "First"]


def test_an_event_is_tried_and_each_rule_says_why(ready: Inside, file: Path) -> None:
    ready.run("rules", "import", str(file))
    said = ready.run("rules", "try", '{"type": "disk.full", "host": "web-1", "severity": 4, "title": "Disk full"}').out
    assert "Disks: severity 5" in said
    assert "becomes: severity 5, Disk full" in said
    found = ready.run("rules", "try", '{"type": "cpu.high", "severity": 4}', "--json").json
    assert [verdict["matched"] for verdict in found["verdicts"]] == [False, False]


def test_a_file_is_tried_on_the_last_month_before_it_holds(ready: Inside, file: Path) -> None:
    said = ready.run("rules", "backtest", str(file), "--days", "7")
    assert (said.code, said.out) == (0, "This would have sent 0 pages instead of 0.\n")
    assert names(ready) == []
    ready.run("rules", "import", str(file))
    assert ready.run("rules", "backtest", "--without", "2", "--json").json["events"] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "7"], "there is no rule 7"),
        (["backtest", "--without", "Disks"], "there is no rule Disks"),
        (["backtest", "--days", "31"], "days"),
        (["backtest", "no-such-file.json"], "no-such-file.json cannot be read: No such file or directory"),
        (["try", "disk.full"], "JSON"),
        (["try", '{"type": "disk.full", "severity": 9}'], "event.severity"),
        (["try", '{"type": "disk.full", "site": "nowhere"}'], "nowhere"),
        (["try", "@" + "x" * 300], "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(ready: Inside, words: list[str], says: str) -> None:
    answer = ready.run("rules", *words)
    assert answer.code in (1, 2), answer
    assert says in answer.err
    assert not answer.out


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([DISKS, {**DISKS, "name": "Bad", "matchers": [{"field": "host", "op": "~", "value": "("}]}], "rules[1].matchers[0].value"),
        ([DISKS, {**NIGHTS, "time_zone": "Mars/Base"}], "rules[1].time_zone"),
        ([DISKS, DISKS], "rules[1].name"),
        ([{**DISKS, "actions": {}}], "rules[0].actions"),
        ([{"name": "x"}], "actions"),
    ],
)
def test_a_file_with_a_fault_changes_nothing(ready: Inside, tmp_path: Path, rules: list[dict[str, Any]], says: str) -> None:
    answer = ready.run("rules", "import", str(written(tmp_path / "rules.json", *rules)))
    assert answer.code == 2, answer
    assert says in answer.err
    assert names(ready) == []

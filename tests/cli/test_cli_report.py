"""The figures, asked at the terminal."""

import pytest

from tests.cli.program import Inside

pytestmark = pytest.mark.claim("A11")


def test_the_report_says_how_it_was_in_words_and_in_the_words_of_the_api(ready: Inside) -> None:
    ready.run("test-alert", "--severity", "5", "--wait", "0")
    (alert,) = ready.run("alerts", "list", "--json").json
    ready.run("alerts", "ack", str(alert["number"]))
    found = ready.run("report", "--json").json
    assert (found["alerts"], found["acknowledged"], found["unresolved"], found["by_severity"]["5"]) == (1, 1, 1, 1)
    said = ready.run("report", "--days", "1")
    assert "The last 1 day, and the 1 day before." in said.out
    assert "time to acknowledge" in said.out
    assert "1 critical" in said.out


def test_an_empty_house_and_a_zone_that_is_none(ready: Inside) -> None:
    assert ready.run("report").code == 0
    wrong = ready.run("report", "--time-zone", "Mars/Olympus")
    assert (wrong.code, wrong.out) == (2, "")
    assert "Europe/Berlin" in wrong.err


@pytest.mark.claim("A9")
def test_why_is_answered_at_the_terminal(ready: Inside) -> None:
    ready.run("test-alert", "--severity", "5", "--wait", "0")
    (alert,) = ready.run("alerts", "list", "--json").json
    said = ready.run("alerts", "why", str(alert["number"]))
    assert f"Alert {alert['number']}: " in said.out
    assert "It opened as critical: first event of this problem" in said.out
    assert ready.run("alerts", "why", alert["id"], "--json").json["number"] == alert["number"]
    assert ready.run("alerts", "why", "999").is_one_complaint()
    assert ready.run("alerts", "why", str(alert["number"]), "--user", "nobody@example.com").code == 2

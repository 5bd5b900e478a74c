"""What a word of an agent means, and what its silence."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.core.errors import InvalidInput, NotAllowed
from tocsin.hosts import rules
from tocsin.hosts.model import LONGEST_PAUSE, Card, Decision, Host, Status, Token

pytestmark = pytest.mark.claim("M1")
CARD: dict[str, Any] = {
    "id": "a-1",
    "host": "web-1",
    "version": "1.0",
    "interval_seconds": 60,
    "at": NOW,
    "facts": {"os": "Debian 12", "cpus": 2},
}


def a_card(now: int = NOW, *, off: int = 0, **more: Any) -> Card:
    card = rules.read_card(json.dumps({**CARD, "at": now + off, **more}))
    assert card is not None
    return card


def heard(host: Host | None, now: int = NOW, **more: Any) -> Decision:
    return rules.heard(host, "0190", 1, a_card(now, **more), now)


def a_host(now: int = NOW, **more: Any) -> Host:
    host = heard(None, now, **more).host
    assert host is not None
    return host


def told(decision: Decision) -> list[tuple[str, str]]:
    return [(one.told.value, one.status) for one in decision.news]


def test_a_new_host_is_there_and_expected_within_two_intervals() -> None:
    host = a_host()
    assert (host.name, host.status, host.due_at, host.facts) == ("web-1", Status.UP, NOW + 2 * MINUTE, '{"os":"Debian 12","cpus":2}')


def test_one_that_reports_in_time_is_never_told() -> None:
    host = a_host()
    for turn in range(1, 50):
        now = NOW + turn * (MINUTE + 59 * SECOND)
        assert told(rules.on_time(host, now, None)) == []
        decision = heard(host, now)
        assert told(decision) == []
        assert decision.host is not None
        host = decision.host


def test_silence_is_told_once_and_over_with_the_next_word() -> None:
    late = rules.on_time(a_host(), NOW + 2 * MINUTE, None)
    assert told(late) == [("host.silent", "problem")]
    assert late.host is not None
    assert late.host.status is Status.SILENT
    assert told(rules.on_time(late.host, NOW + HOUR, None)) == []
    back = heard(late.host, NOW + HOUR)
    assert told(back) == [("host.silent", "recovery")]
    assert back.news[0].title == "web-1 reports again after 1 h"


def test_a_longer_interval_is_waited_for_from_the_next_word_on() -> None:
    host = heard(a_host(), NOW + MINUTE, interval_seconds=300).host
    assert host is not None
    assert host.due_at == NOW + 11 * MINUTE


def test_an_agent_that_reports_under_another_name_has_not_fallen_silent() -> None:
    decision = rules.on_time(a_host(), NOW + 2 * MINUTE, "web-01")
    assert decision.host is None
    assert told(decision) == [("host.renamed", "info")]
    assert decision.news[0].title == "web-1 is called web-01 now"


@pytest.mark.parametrize(("off", "words"), [(3 * HOUR, "3 h ahead"), (-90 * SECOND, "1 min behind")])
def test_a_clock_that_is_off_is_named_until_it_is_right(off: int, words: str) -> None:
    decision = heard(None, off=off)
    assert told(decision) == [("host.clock_off", "problem")]
    assert words in decision.news[0].title
    again = heard(decision.host, NOW + MINUTE, off=off // abs(off) * 45 * SECOND)
    assert told(again) == []
    right = heard(again.host, NOW + 2 * MINUTE, off=5 * SECOND)
    assert told(right) == [("host.clock_off", "recovery")]


def test_after_an_absence_of_ours_agents_have_time_to_come_back() -> None:
    host = a_host()
    now = NOW + HOUR
    assert rules.after_absence(host, now, HOUR).due_at == now + 2 * MINUTE + LONGEST_PAUSE
    assert rules.after_absence(host, NOW + 20 * SECOND, 20 * SECOND).due_at == NOW + 2 * MINUTE + 40 * SECOND


def test_a_paused_host_tells_nothing() -> None:
    silent = rules.on_time(a_host(), NOW + 2 * MINUTE, None).host
    assert silent is not None
    paused = rules.pause(silent, NOW + 3 * MINUTE)
    assert told(paused) == [("host.silent", "recovery")]
    assert paused.host is not None
    assert told(heard(paused.host, NOW + HOUR, off=HOUR)) == []
    assert told(rules.on_time(paused.host, NOW + HOUR, None)) == []
    resumed = rules.resume(paused.host, NOW + HOUR).host
    assert resumed is not None
    assert resumed.due_at == NOW + HOUR + 2 * MINUTE


def test_what_is_told_of_one_that_is_removed_is_over() -> None:
    silent = rules.on_time(a_host(off=HOUR), NOW + 2 * MINUTE, None).host
    assert silent is not None
    assert told(rules.removed(silent)) == [("host.silent", "recovery"), ("host.clock_off", "recovery")]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "{}",
        "[]",
        "x" * 5000,
        json.dumps({**CARD, "host": " "}),
        json.dumps({**CARD, "host": "a\x00b"}).replace("\\u0000", "\\u0000"),
        json.dumps({**CARD, "version": "\ud800"}),
        json.dumps({**CARD, "interval_seconds": 0}),
        json.dumps({**CARD, "interval_seconds": 4000}),
        json.dumps({**CARD, "at": -1}),
        json.dumps({**CARD, "facts": {"a": [1]}}),
        json.dumps({**CARD, "facts": {"a": "b\nc"}}),
        json.dumps({**CARD, "facts": {str(n): n for n in range(21)}}),
    ],
)
def test_a_card_that_cannot_be_is_refused(wrong: str) -> None:
    if "\\u0000" in wrong:
        card = rules.read_card(wrong)
        assert card is not None
        assert card.host == "a b"
        return
    with pytest.raises(InvalidInput, match="X-Tocsin-Agent"):
        rules.read_card(wrong)


def test_who_sends_no_card_is_no_agent() -> None:
    assert rules.read_card(None) is None


@given(st.text(max_size=300))
def test_any_text_is_a_card_or_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        rules.read_card(text)


def test_a_token_works_once_and_for_an_hour() -> None:
    token = Token("t", 1, NOW, "marta", NOW + HOUR)
    assert rules.check_token(token, NOW + HOUR - 1) == token
    with pytest.raises(NotAllowed, match="ran out"):
        rules.check_token(token, NOW + HOUR)
    with pytest.raises(NotAllowed, match="by web-1; each works once"):
        rules.check_token(Token("t", 1, NOW, "marta", NOW + HOUR, NOW, "web-1"), NOW)
    with pytest.raises(NotAllowed, match="no token"):
        rules.check_token(None, NOW)

"""Several locations: what many findings come to, and what an agent is told."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.checks.build import a_check
from tocsin.checks import rules, votes
from tocsin.checks.model import (
    Cause,
    Definition,
    DnsTarget,
    Expiry,
    Finding,
    HttpTarget,
    Level,
    ScriptTarget,
    TcpTarget,
    TlsTarget,
    Vote,
)
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput

pytestmark = pytest.mark.claim("M2")
NOW = 1_764_028_800_000
PLACES = ("server", "web-1", "web-2")
LEVELS = (None, *Level)


def asked_from(*locations: str, agree: int | None = None, **more: Any) -> Definition:
    return a_check(locations=locations, agree=agree, **more)


def said(one: Definition, location: str, level: Level | None, age: int = 0, **more: Any) -> Vote:
    cause = Cause.FINE if level is Level.OK else Cause.OUR_RESOLVER if level is None else Cause.REFUSED
    found = Finding(level=level, cause=cause, words=f"{location} says {cause.value}", ms=10.0, evidence={"status": 200}, **more)
    return Vote(location=location, at=NOW - age * SECOND, since=0, mark=votes.mark_of(one), finding=found)


def silent(location: str) -> Vote:
    return Vote(location=location)


def of(one: Definition, *levels: Level | None, before: Level | None = None) -> Finding:
    found = [said(one, location, level) for location, level in zip(one.locations, levels, strict=True)]
    return votes.combine(one, found, before, NOW)


@pytest.mark.parametrize(
    ("agree", "levels", "level"),
    [
        (2, (Level.FAILED, Level.OK, Level.OK), Level.OK),
        (2, (Level.FAILED, Level.FAILED, Level.OK), Level.FAILED),
        (2, (Level.FAILED, Level.WARNING, Level.OK), Level.WARNING),
        (1, (Level.OK, Level.OK, Level.FAILED), Level.FAILED),
        (3, (Level.FAILED, Level.FAILED, Level.OK), Level.OK),
        (2, (Level.FAILED, None, Level.OK), Level.OK),
        (2, (Level.FAILED, None, None), None),
        (2, (Level.OK, None, None), None),
        (3, (Level.OK, None, None), Level.OK),  # two cannot be three
        (1, (Level.FAILED, None, None), Level.FAILED),
        (2, (None, None, None), None),
    ],
)
def test_so_many_must_agree(agree: int, levels: tuple[Level | None, ...], level: Level | None) -> None:
    assert of(asked_from(*PLACES, agree=agree), *levels).level is level


def test_more_than_half_must_agree_where_nothing_is_said() -> None:
    assert [asked_from(*PLACES[:count]).quorum for count in (1, 2, 3)] == [1, 2, 2]


def test_what_was_agreed_on_is_said_with_who_did() -> None:
    one = asked_from(*PLACES)
    found = of(one, Level.OK, Level.FAILED, Level.FAILED)
    assert found.cause is Cause.REFUSED
    assert found.words == "web-1 says refuses the connection (from 2 of 3 locations: web-1, web-2)"
    assert [(its["location"], its["result"]) for its in found.evidence["locations"]] == [
        ("server", "ok"),
        ("web-1", "failed"),
        ("web-2", "failed"),
    ]
    assert found.evidence["status"] == 200


def test_too_few_votes_are_unknown_with_each_reason_in_words() -> None:
    one = asked_from(*PLACES)
    found = votes.combine(one, [said(one, "server", None), said(one, "web-1", Level.FAILED, age=300), silent("web-2")], None, NOW)
    assert (found.level, found.cause) == (None, Cause.FEW_VOTES)
    assert found.words == (
        "2 of 3 locations must agree, and 0 can say: server learned nothing: server says our own name server does not answer; "
        "web-1 has not reported for 5 min; web-2 has not looked yet (does its agent run with --checks?)"
    )
    assert found.cause.is_ours


def test_a_location_that_falls_silent_neither_breaks_nor_mends() -> None:
    one = asked_from(*PLACES)
    up = [said(one, "server", Level.OK), said(one, "web-1", Level.OK), silent("web-2")]
    assert votes.combine(one, up, Level.OK, NOW).level is Level.OK
    one_fails = [said(one, "server", Level.OK), said(one, "web-1", Level.FAILED), silent("web-2")]
    assert votes.combine(one, one_fails, Level.OK, NOW).level is Level.OK
    # It was down because web-1 and web-2 said so; that web-2 says nothing any more does not bring it up.
    assert votes.combine(one, one_fails, Level.FAILED, NOW).level is None
    both_well = [said(one, "server", Level.OK), said(one, "web-1", Level.OK), silent("web-2")]
    assert votes.combine(one, both_well, Level.FAILED, NOW).level is Level.OK


def test_what_was_found_at_another_target_does_not_count() -> None:
    one = asked_from("web-1")
    other = msgspec.structs.replace(one, target=TcpTarget(host="other.example.com", port=1))
    assert votes.combine(one, [said(other, "web-1", Level.OK)], None, NOW).level is None
    assert votes.mark_of(one) == votes.mark_of(msgspec.structs.replace(one, name="Another name", interval=300))


def test_the_certificate_that_ends_first_is_the_one_that_is_told() -> None:
    one = asked_from("web-1", "web-2", agree=1)
    ends = [Expiry("certificate", "b", NOW + 9), Expiry("certificate", "a", NOW + 5)]
    found = [said(one, name, Level.OK, expiry=end) for name, end in zip(one.locations, ends, strict=True)]
    assert votes.combine(one, found, None, NOW).expiry == ends[1]


@st.composite
def ballots(draw: st.DrawFn) -> tuple[Definition, list[Level | None]]:
    count = draw(st.integers(1, 6))
    one = asked_from(*[f"web-{number}" for number in range(count)], agree=draw(st.none() | st.integers(1, count)))
    return one, draw(st.lists(st.sampled_from(LEVELS), min_size=count, max_size=count))


@given(ballots(), st.sampled_from(LEVELS))
def test_no_verdict_without_those_who_say_so(ballot: tuple[Definition, list[Level | None]], before: Level | None) -> None:
    one, levels = ballot
    found = of(one, *levels, before=before)
    said_so = [level for level in levels if level is not None]
    if found.level is None:
        assert len(said_so) < len(levels)  # somebody is silent
    elif found.level is Level.OK:
        # However the silent ones would vote, they could not make it fail; or enough have voted, and too few of them found it failing.
        assert sum(level > Level.OK for level in said_so) < one.quorum
        assert len(said_so) >= one.quorum or len(levels) - sum(level is Level.OK for level in said_so) < one.quorum
    else:
        assert sum(level >= found.level for level in said_so) >= one.quorum
        assert sum(level > found.level for level in said_so) < one.quorum


@given(ballots(), st.data())
def test_silence_never_makes_it_worse_and_a_worse_vote_never_better(
    ballot: tuple[Definition, list[Level | None]], data: st.DataObject
) -> None:
    one, levels = ballot
    place = data.draw(st.integers(0, len(levels) - 1))
    found = of(one, *levels)
    quieter = of(one, *[None if number == place else level for number, level in enumerate(levels)])
    if found.level is not None and quieter.level is not None:
        assert quieter.level <= found.level
    worse = of(one, *[Level.FAILED if number == place else level for number, level in enumerate(levels)])
    if found.level is not None and worse.level is not None and levels[place] is not None:
        assert worse.level >= found.level


@given(ballots(), st.sampled_from(LEVELS), st.randoms())
def test_the_order_of_the_locations_does_not_matter(
    ballot: tuple[Definition, list[Level | None]], before: Level | None, random: Any
) -> None:
    one, levels = ballot
    found = [said(one, location, level) for location, level in zip(one.locations, levels, strict=True)]
    shuffled = random.sample(found, len(found))
    first, second = votes.combine(one, found, before, NOW), votes.combine(one, shuffled, before, NOW)
    assert (first.level, first.cause) == (second.level, second.cause)


def test_one_look_is_not_counted_twice() -> None:
    one = asked_from(*PLACES)
    every = [said(one, "server", Level.FAILED), said(one, "web-1", Level.FAILED, age=30), said(one, "web-2", Level.OK)]
    found = votes.combine(one, every, Level.OK, NOW)
    assert found.level is Level.FAILED
    assert not votes.is_settled(one, every, found, Level.OK, NOW - 20 * SECOND, NOW)
    assert votes.is_settled(one, every, found, Level.OK, NOW - 40 * SECOND, NOW)
    assert votes.is_settled(one, every, found, Level.FAILED, NOW - 20 * SECOND, NOW)  # nothing changes


def test_an_agent_looks_again_soon_where_it_finds_what_is_not_known() -> None:
    one = asked_from("server", "web-1", interval=300, retry_after=20)
    assert votes.next_look(one, Level.OK, NOW, Level.OK) == NOW + 300 * SECOND
    assert votes.next_look(one, Level.FAILED, NOW, Level.OK) == NOW + 20 * SECOND
    assert votes.next_look(one, Level.FAILED, NOW, Level.FAILED) == NOW + 300 * SECOND
    assert votes.next_look(one, None, NOW, Level.OK) == NOW + 300 * SECOND


def test_all_look_again_soon_when_they_begin_to_differ_and_not_for_ever() -> None:
    one = asked_from("server", "web-1", retries=2, retry_after=20)
    new = [said(one, "server", Level.OK), msgspec.structs.replace(said(one, "web-1", Level.FAILED), since=NOW - 10 * SECOND)]
    old = [new[0], msgspec.structs.replace(new[1], since=NOW - 600 * SECOND)]
    assert votes.hurries(one, new, NOW, is_wavering=False)
    assert not votes.hurries(one, old, NOW, is_wavering=False)
    assert votes.hurries(one, old, NOW, is_wavering=True)


# --- What an agent is told ----------------------------------------------------------------------------------------------


def test_an_agent_is_told_where_to_look_and_nothing_of_what_is_expected() -> None:
    target = HttpTarget(url="https://shop.example.com/", headers={"Accept-Language": "de"}, keyword="Secret word", statuses="200")
    one = asked_from("web-1", target=target)
    told = msgspec.to_builtins(votes.errand("c", one, Vote(location="web-1", due_at=NOW + 500), NOW))
    assert told == {
        "id": "c",
        "mark": votes.mark_of(one),
        "kind": "http",
        "in_ms": 500,
        "timeout_seconds": 10,
        "url": "https://shop.example.com/",
        "headers": {"Accept-Language": "de"},
        "redirects": 5,
        "max_body": 65_536,
    }


@pytest.mark.parametrize(
    ("target", "field", "words"),
    [
        (
            HttpTarget(url="https://a.example.com/", headers={"Authorization": "Bearer x"}),
            "target.headers",
            "Authorization proves who you are, and would be told to the servers whose agents look: leave it out, or ask from server alone",
        ),
        (HttpTarget(url="https://a.example.com/", method="POST", body="p=1"), "target.body", "must be empty where agents look: what it"),
        (
            ScriptTarget(script="x"),
            "locations",
            "agents look at http, tcp, tls, dns, ping, banner; a check of the kind script is asked from",
        ),
        (DnsTarget(host="a" * 64 + ".example.com"), "target.host", "a" * 64 + ".example.com cannot be a name"),
        (TlsTarget(host="a.example.com", starttls="smtp"), "locations", "STARTTLS is spoken by the server alone: agents look at http, tcp"),
    ],
)
def test_what_an_agent_must_not_know_or_cannot_do_is_refused_when_it_is_saved(target: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.check_definition(asked_from("server", "web-1", target=target))
    (error,) = refused.value.errors
    assert error.field == field
    assert error.message.startswith(words)
    rules.check_definition(asked_from("server", target=target))


@pytest.mark.parametrize(
    ("locations", "agree", "field"), [(("web-1", "web-1"), None, "locations"), (("web-1",), 2, "agree"), ((), 2, "agree")]
)
def test_locations_that_cannot_be_are_named(locations: tuple[str, ...], agree: int | None, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.check_definition(asked_from(*locations, agree=agree))
    assert [error.field for error in refused.value.errors] == [field]

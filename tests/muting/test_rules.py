"""Which silences, maintenance windows and dependencies may be made, and what each keeps quiet."""

from typing import Any

import pytest

from tests.build import an_id
from tests.fakes import NOW
from tests.muting.build import a_dependency, a_maintenance, a_silence, at, labels, matchers
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.muting.matching import Conditions, any_of
from tocsin.muting.model import Dependency, Maintenance, MuteReason, Op, Silence
from tocsin.muting.rules import (
    Active,
    Chain,
    Index,
    Parent,
    check_dependency,
    check_maintenance,
    check_silence,
    coming,
    expect_site,
    kinds_of,
    reason_of,
    why_quiet_by_parent,
)


def fault(check: Any, *given: Any) -> tuple[str, str]:
    """The field that *check* complains of, and its words."""
    with pytest.raises(InvalidInput) as caught:
        check(*given)
    (error,) = caught.value.errors
    return error.field, error.message


# --- What may be made --------------------------------------------------------------------------------------------------


@pytest.mark.claim("A7")
@pytest.mark.parametrize(
    ("silence", "field", "words"),
    [
        (a_silence(ends_at=NOW), "ends_at", "is not after starts_at"),
        (a_silence(ends_at=NOW - 1), "ends_at", "is not after starts_at"),
        (a_silence(ends_at=NOW + 1), "ends_at", "at least a minute"),
        (a_silence(starts_at=NOW - DAY, ends_at=NOW - HOUR), "ends_at", "is past"),
        (a_silence(ends_at=NOW + 90 * DAY + 1), "ends_at", "more than 90 days"),
        (a_silence(starts_at=NOW + 400 * DAY, ends_at=NOW + 401 * DAY), "starts_at", "more than a year ahead"),
        (a_silence(starts_at=-(10**14), ends_at=NOW + HOUR), "starts_at", "is years away"),
        (a_silence(ends_at=10**14), "ends_at", "is years away"),
        (a_silence("host~.*"), "matchers", "match everything"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(silence: Silence, field: str, words: str) -> None:
    found, text = fault(check_silence, silence, NOW)
    assert (found, words in text) == (field, True), text


def test_a_silence_of_ninety_days_is_the_longest() -> None:
    check_silence(a_silence(ends_at=NOW + 90 * DAY), NOW)


@pytest.mark.claim("A7")
@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"time_zone": "Europe/Berln"}, "time_zone", "is not known"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "is not known"),
        ({"time_zone": "Europe"}, "time_zone", "is not known"),
        ({"time_zone": ""}, "time_zone", "is not known"),
        ({"ends_at": NOW - 1}, "ends_at", "is not after"),
        ({"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "rrule", "has no window between"),
        ({"rrule": "FREQ=DAILY;UNTIL=20250101"}, "rrule", "has no window between"),
        ({"rrule": "FREQ=DAILY", "ends_at": NOW + DAY}, "ends_at", "quiet for ever"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO,TU", "ends_at": NOW + 30 * HOUR}, "ends_at", "quiet for ever"),
        ({"rrule": "FREQ=DAILY", "ends_at": NOW + 23 * HOUR}, "ends_at", "quiet for ever"),  # on the night that has 23 hours
        ({"rrule": "FREQ=YEARLY", "starts_at": NOW - 400 * DAY, "ends_at": NOW - 399 * DAY}, "starts_at", "more than a year away"),
        ({"rrule": "FREQ=YEARLY", "ends_at": NOW + 91 * DAY}, "ends_at", "more than 90 days"),
    ],
)
def test_a_maintenance_that_makes_no_sense_is_refused(changes: dict[str, Any], field: str, words: str) -> None:
    found, text = fault(check_maintenance, a_maintenance(**changes), NOW)
    assert (found, words in text) == (field, True), text


@pytest.mark.parametrize("changes", [{}, {"rrule": "FREQ=DAILY", "ends_at": NOW + 22 * HOUR}, {"rrule": "FREQ=MONTHLY;BYDAY=1SU"}])
def test_a_maintenance_that_makes_sense_is_taken(changes: dict[str, Any]) -> None:
    check_maintenance(a_maintenance(**changes), NOW)


@pytest.mark.parametrize("name", ["severity", "attributes.rack", "number"])
def test_only_what_both_alerts_have_for_sure_can_be_the_same(name: str) -> None:
    assert fault(check_dependency, a_dependency(same=(name,)), [])[0] == "same"


def test_the_sides_of_a_dependency_must_name_something() -> None:
    assert fault(check_dependency, a_dependency("host~.*"), [])[0] == "parent"
    assert fault(check_dependency, a_dependency("type=server.down", "host~.*"), [])[0] == "children"


# --- Circles -----------------------------------------------------------------------------------------------------------


def named(name: str, parent: tuple[str, ...], children: tuple[str, ...], same: tuple[str, ...] = ()) -> Dependency:
    number = sum(map(ord, name))
    return a_dependency(number=number, name=name, same=same).__class__(
        an_id(number), name, matchers(*parent), matchers(*children), same, "marta@example.com", NOW
    )


SWITCH = named("switch", ("host=sw-1",), ("host=web-1",))
SERVER = named("server", ("type=server.down",), ("type^check.",), ("host",))


@pytest.mark.claim("M7")
@pytest.mark.parametrize(
    ("others", "new"),
    [
        ([SWITCH], named("back", ("host=web-1",), ("host=sw-1",))),
        ([SWITCH, named("disk", ("host=web-1",), ("host=nas",))], named("back", ("host^na",), ("host=sw-1",))),
        ([SERVER], named("checks", ("type=check.http",), ("type=server.down",))),
        ([SERVER], named("vague", ("host=db-1",), ("host^web",))),  # a check of db-1 might mute the server web-1, and that the check
    ],
)
def test_a_dependency_that_would_close_a_circle_is_refused(others: list[Dependency], new: Dependency) -> None:
    field, text = fault(check_dependency, new, others)
    assert field == "children"
    assert "would close a circle" in text
    assert f'"{new.name}" may mute a parent of "' in text


@pytest.mark.parametrize(
    ("others", "new"),
    [
        ([SWITCH], named("more", ("host=sw-1",), ("host=web-2",))),
        ([SWITCH], named("chain", ("host=web-1",), ("host=app-1",))),
        ([SERVER], named("switch", ("type=switch.down",), ("type=server.down",))),
        ([SERVER], named("db", ("host=db-1", "type=server.down"), ("host^web",))),
        ([], named("itself", ("type=server.down",), ("host^web",))),
        ([SWITCH], SWITCH),
        ([named("a", ("host^web-",), ("host^db-",))], named("b", ("host^app-",), ("host^web-",))),
        ([named("rack", ("host=pdu-1",), ("type^check.",), ("host",))], named("up", ("host=sw-1",), ("host=pdu-1",))),
    ],
)
def test_a_chain_is_no_circle(others: list[Dependency], new: Dependency) -> None:
    check_dependency(new, others)


# --- When --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maintenance", "now", "expected"),
    [
        (a_maintenance(), NOW - MINUTE, [(NOW, NOW + HOUR)]),
        (a_maintenance(), NOW + HOUR, []),
        (a_maintenance(ended_at=NOW + MINUTE), NOW, [(NOW, NOW + MINUTE)]),
        (a_maintenance(ended_at=NOW + MINUTE), NOW + MINUTE, []),
        (a_maintenance(rrule="FREQ=DAILY"), NOW + MINUTE, [(NOW, NOW + HOUR), (NOW + DAY, NOW + DAY + HOUR)]),
        (a_maintenance(rrule="FREQ=DAILY", ended_at=NOW + DAY + MINUTE), NOW + 2 * HOUR, [(NOW + DAY, NOW + DAY + MINUTE)]),
    ],
)
def test_the_windows_to_come(maintenance: Maintenance, now: int, expected: list[tuple[int, int]]) -> None:
    assert [(w.starts_at, w.ends_at) for w in coming(maintenance, now, 2)] == expected


# --- Why ---------------------------------------------------------------------------------------------------------------


def open_until(until: int, *texts: str, number: int = 1) -> Active:
    silence = a_silence(*texts, number=number, ends_at=until)
    return Active(Conditions(silence.matchers), reason_of(silence, until))


def test_the_words_say_what_mutes_and_until_when() -> None:
    assert reason_of(a_silence(), at("2026-05-02 04:00")).words == 'silence "disk swap" until 2026-05-02 04:00 UTC'
    assert reason_of(a_maintenance(), at("2026-05-02 04:00")).words == 'maintenance "Kernel update" until 2026-05-02 06:00 Europe/Berlin'


def test_of_several_that_match_the_one_that_lasts_longest_is_named() -> None:
    index = Index(
        [open_until(NOW + 2 * HOUR, "severity~[1-3]", number=1), open_until(NOW + 3 * HOUR, number=2), open_until(NOW + HOUR, number=3)]
    )
    assert index.why(labels()) == reason_of(a_silence(number=2), NOW + 3 * HOUR)
    assert index.why(labels(host="web-2")) == reason_of(a_silence(number=1), NOW + 2 * HOUR)
    assert index.why(labels(host="web-2", severity=5)) is None


@pytest.mark.parametrize(
    "texts", [("host=web-1",), ("attributes.rack=7",), ("type^disk.",), ("site=main", "subject~disk:.*"), ("severity=3", "host!=web-2")]
)
def test_the_index_finds_what_each_would_find_by_itself(texts: tuple[str, ...]) -> None:
    forms = (
        "host=other-{}",
        "host^other-{}",
        "host~other-{}[0-9]*",
        "site=main host~other-{}",
        "type^disk. subject^x{}",
        "host!=web-1 severity=5 subject=s{}",
    )
    crowd = [open_until(NOW + HOUR, *forms[n % 6].format(n).split(), number=n + 2) for n in range(400)]
    mine = open_until(NOW + HOUR, *texts)
    index = Index([*crowd[:200], mine, *crowd[200:]])
    assert index.why(labels(attributes='{"rack": 7}')) == mine.reason
    assert index.why(labels(host="other-7", subject="y"))


def test_expressions_that_are_too_large_together_are_tried_one_by_one() -> None:
    large = [open_until(NOW + HOUR, f"host~x{n}y\\pL{{12}}", number=n + 2) for n in range(50)]
    assert any_of(Op.REGEX, [one.conditions.screen.value for one in large if one.conditions.screen]) is None
    index = Index([*large, mine := open_until(NOW + 2 * HOUR, "host~web-[0-9]")])
    assert index.why(labels()) == mine.reason
    assert index.why(labels(host="x7yabcdefghijkl"))


def test_a_trouble_of_tocsin_itself_is_quiet_only_if_its_type_is_named() -> None:
    own = labels(kind="tocsin.channel_failed", host=None)
    assert Index([open_until(NOW + HOUR, "site=main")]).why(own) is None
    assert Index([open_until(NOW + HOUR, "site=main", "type!=disk.full")]).why(own) is None
    assert Index([open_until(NOW + HOUR, "site=main", "type^tocsin.")]).why(own) is not None
    assert Index([open_until(NOW + HOUR, "site=main")]).why(labels(kind="tocsin.test")) is not None


@pytest.mark.claim("M7")
@pytest.mark.parametrize(
    ("child", "quiet"),
    [
        (labels(kind="check.http"), True),
        (labels(kind="check.http", host="web-2"), False),
        (labels(kind="check.http", host=None), False),  # without a host it is on no host, and surely not on the same
        (labels(kind="disk.full"), False),
        (labels(kind="check.http", site="other"), False),
    ],
)
def test_a_child_is_quiet_while_a_parent_with_the_same_fields_is_down(child: Any, quiet: bool) -> None:
    chain = Chain(a_dependency())
    chains = [chain] if chain.is_child(child) else []
    parents = [Parent(7, labels(kind="server.down", host="web-1", subject="server:3"))]
    found = why_quiet_by_parent(child, chains, parents)
    assert (found is not None) is quiet
    if found is not None:
        assert found == MuteReason(
            found.kind, a_dependency().id, None, 'dependency "checks behind their host" while alert 7 (server.down web-1) is not resolved'
        )


@pytest.mark.parametrize(
    ("dependencies", "concerned"),
    [
        ([], []),
        ([a_dependency()], ["server.down", "check.http"]),
        (
            [a_dependency(), named("x", ("host=sw-1", "type=switch.down"), ("type^disk.",))],
            ["server.down", "check.http", "switch.down", "disk.full"],
        ),
        ([a_dependency(), SWITCH], ["server.down", "check.http", "switch.down", "disk.full", "invoice.due"]),
    ],
)
def test_most_alerts_are_known_by_their_type_to_depend_on_nothing(dependencies: list[Dependency], concerned: list[str]) -> None:
    concerns = kinds_of([Chain(one) for one in dependencies])
    assert [kind for kind in ("server.down", "check.http", "switch.down", "disk.full", "invoice.due") if concerns(kind)] == concerned


def test_who_is_a_parent_is_never_a_child() -> None:
    chain = Chain(a_dependency("host=web-1", "host^web", same=()))
    assert chain.is_child(labels(host="web-2"))
    assert not chain.is_child(labels(host="web-1"))


def test_whoever_sees_some_sites_only_must_name_one_of_them() -> None:
    expect_site(matchers("site=acme", "host=web-1"), ["acme"], "matchers")
    expect_site(matchers("site=other"), ["acme", "other"], "matchers")
    for texts in [("host=web-1",), ("site=other",), ("site^acme",), ("site~acme",), ("site!=other",)]:
        assert fault(expect_site, matchers(*texts), ["acme"], "matchers")[0] == "matchers"

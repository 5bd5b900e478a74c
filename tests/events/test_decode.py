"""From a body to checked events: every member is taken or refused by name, and nothing in it can break what follows."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import DAY
from tocsin.core.errors import InvalidInput, TooLarge
from tocsin.events.decode import decode
from tocsin.events.model import MAX_ARRAY, MAX_ATTRIBUTES, MAX_LINES, Incoming, Rejected

UUID = "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"


def one(body: Any, site: str | None = None) -> Incoming | Rejected:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    decoded = decode(raw, lines=False, site=site, now=NOW)
    assert decoded.single
    return decoded.members[0]


def refused(body: Any, site: str | None = None) -> dict[str, str]:
    """What is wrong with a single event, by field."""
    member = one(body, site)
    assert isinstance(member, Rejected), member
    return {error.field: error.message for error in member.errors}


def taken(body: Any, site: str | None = None) -> Incoming:
    member = one(body, site)
    assert isinstance(member, Incoming), member
    return member


def test_a_type_is_all_that_an_event_needs() -> None:
    event = taken({"type": "disk.full"})
    assert (event.input.type, event.site, event.occurred_at) == ("disk.full", "main", NOW)


def test_the_key_decides_the_site_of_an_event_that_names_none() -> None:
    assert taken({"type": "disk.full"}, site="acme").site == "acme"
    assert taken({"type": "disk.full", "site": "acme"}, site="acme").site == "acme"
    assert taken({"type": "disk.full", "site": "acme"}).site == "acme"


@pytest.mark.claim("S3", "F1")
def test_a_key_of_one_site_cannot_report_for_another() -> None:
    assert refused({"type": "disk.full", "site": "beta"}, site="acme") == {"site": "this key may report for acme only, not for beta"}


WRONG = [
    ({}, {"type": "is required, such as invoice.payment_failed"}),
    ({"type": "Disk Full"}, {"type": "must be dotted lower case, such as invoice.payment_failed"}),
    ({"type": 5}, {"type": "expected str, got int"}),
    ({"type": "a.b", "severity": 6}, {"severity": "expected int <= 5"}),
    ({"type": "a.b", "severity": "5"}, {"severity": "expected int | null, got str"}),
    ({"type": "a.b", "id": "nope"}, {"id": "must be a UUID, such as 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"}),
    ({"type": "a.b", "status": "bad"}, {"status": "invalid enum value 'bad'"}),
    ({"type": "a.b", "site": "A B"}, {"site": "must be a short name of lower-case letters, digits and dashes, such as main"}),
    ({"type": "a.b", "attributes": [1]}, {"attributes": "must be an object, such as {}"}),
    ({"type": "a.b", "occurred_at": "yesterday"}, {"occurred_at": "invalid RFC3339 encoded datetime"}),
    (
        {"type": "a.b", "occurred_at": "1999-12-31T23:59:59Z"},
        {"occurred_at": "is before 2000-01-01T00:00:00.000Z: the sender's clock is not set"},
    ),
    ({"type": "a.b", "title": "x" * 201}, {"title": "expected str of length <= 200"}),
    ({"type": "a.b", "message": "x" * 4001}, {"message": "expected str of length <= 4000"}),
    ({"type": "a.b", "sequence": 0}, {"sequence": "expected int >= 1"}),
    ({"type": "a.b", "message": "a\0b"}, {"message": "must not hold NUL characters"}),
    ({"type": "a.b", "attributes": {"x": ["a\0b"]}}, {"attributes": "must not hold NUL characters"}),
]


@pytest.mark.claim("E8", "origin:S6")
@pytest.mark.parametrize(("body", "errors"), WRONG, ids=[",".join(errors) + str(place) for place, (_, errors) in enumerate(WRONG)])
def test_what_is_wrong_is_named_by_field_with_what_would_be_right(body: dict[str, Any], errors: dict[str, str]) -> None:
    assert refused(body) == errors


def test_an_unknown_field_is_named_with_the_known_ones() -> None:
    errors = refused({"type": "a.b", "sevrity": 5})
    assert errors.keys() == {"sevrity"}
    assert "severity" in errors["sevrity"]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = {"severity": 9, "id": "x", "site": "A", "status": "?", "attributes": 1, "surplus": 1}
    assert refused(wrong).keys() == {"type", *wrong}


def test_a_time_more_than_a_day_ahead_is_refused_and_one_less_is_taken() -> None:
    assert "ahead of this server's clock" in refused({"type": "a.b", "occurred_at": "2025-11-26T00:00:00.001Z"})["occurred_at"]
    assert taken({"type": "a.b", "occurred_at": "2025-11-26T00:00:00.000Z"}).occurred_at == NOW + DAY
    assert taken({"type": "a.b", "occurred_at": "2025-11-25T02:30:00.250+02:30"}).occurred_at == NOW + 250


def test_attributes_may_have_sixteen_kibibytes_and_not_a_byte_more() -> None:
    frame = len('{"a": ""}')
    assert taken(b'{"type": "a.b", "attributes": {"a": "%s"}}' % (b"x" * (MAX_ATTRIBUTES - frame))).input.attributes
    errors = refused(b'{"type": "a.b", "attributes": {"a": "%s"}}' % (b"x" * (MAX_ATTRIBUTES - frame + 1)))
    assert errors == {"attributes": f"has {MAX_ATTRIBUTES + 1} bytes; at most {MAX_ATTRIBUTES} are taken"}


@pytest.mark.parametrize("body", [b"", b"null", b"5", b'"x"', b"{", b"nonsense", b"\xff\xfe", b"[" * 5000, b'{"type":' * 5000])
@pytest.mark.parametrize("lines", [False, True])
def test_a_body_that_is_no_event_is_refused_without_an_accident(body: bytes, lines: bool) -> None:
    try:
        decoded = decode(body, lines=lines, site=None, now=NOW)
    except InvalidInput as error:
        assert error.errors[0].field == "body"
    else:
        assert all(isinstance(member, Rejected) for member in decoded.members)


@pytest.mark.claim("E8")
def test_one_bad_member_does_not_harm_the_others() -> None:
    body = [{"type": "a.b"}, {"type": "NO"}, 5, {"type": "c.d", "severity": 9}, {"type": "e.f"}]
    for raw, lines in ((json.dumps(body), False), ("\n".join(map(json.dumps, body)), True)):
        members = decode(raw.encode(), lines=lines, site=None, now=NOW).members
        assert [isinstance(member, Incoming) for member in members] == [True, False, False, False, True]
        assert [member.index for member in members if isinstance(member, Rejected)] == [1, 2, 3]
        assert all(member.payload for member in members if isinstance(member, Rejected))


def test_a_refused_member_keeps_its_id_and_what_was_sent() -> None:
    raw = json.dumps({"type": "a.b", "id": UUID, "severity": 9}).encode()
    member = one(raw)
    assert isinstance(member, Rejected)
    assert (member.id, member.payload) == (UUID, raw)


def test_empty_lines_and_windows_line_ends_are_no_events() -> None:
    body = b'\n\r\n{"type":"a.b"}\r\n   \n{"type":"c.d"}\n\n'
    members = decode(body, lines=True, site=None, now=NOW).members
    assert [member.input.type for member in members if isinstance(member, Incoming)] == ["a.b", "c.d"]
    assert len(members) == 2


def test_arrays_and_lines_have_a_limit() -> None:
    event = b'{"type":"a.b"}'
    assert len(decode(b"[" + b",".join([event] * MAX_ARRAY) + b"]", lines=False, site=None, now=NOW).members) == MAX_ARRAY
    assert len(decode(b"\n".join([event] * MAX_LINES), lines=True, site=None, now=NOW).members) == MAX_LINES
    for body, lines in (
        (b"[" + b",".join([event] * (MAX_ARRAY + 1)) + b"]", False),
        (b"[" + b",".join([b"5"] * (MAX_ARRAY + 1)) + b"]", False),
        (b"\n".join([event] * (MAX_LINES + 1)), True),
        (b"\n".join([b"5"] * (MAX_LINES + 1)), True),
        (b"\n" * (2 * MAX_LINES + 1), True),
    ):
        with pytest.raises(TooLarge):
            decode(body, lines=lines, site=None, now=NOW)


# Whatever comes: the slow way that explains and the fast way that takes agree, and what is taken can be used.

texts = st.one_of(st.text(max_size=12), st.sampled_from(["a.b", "problem", UUID, "main", "2025-11-25T00:00:00Z", "\0", "x" * 300]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = ("type", "id", "site", "occurred_at", "severity", "status", "title", "message", "subject", "host", "attributes", "sequence")
events = st.fixed_dictionaries({"type": st.sampled_from(["a.b", "invoice.paid", "NO"])}) | st.dictionaries(
    st.sampled_from(FIELDS), values, max_size=5
)


@given(st.lists(st.one_of(events, values), max_size=6), st.sampled_from([None, "acme"]))
def test_every_input_has_exactly_one_answer_however_it_is_sent(members: list[Any], site: str | None) -> None:
    singly = [one(member, site) for member in members if isinstance(member, dict)]
    if len(singly) == len(members):
        lines = decode(b"\n".join(json.dumps(m).encode() for m in members), lines=True, site=site, now=NOW).members
        assert [type(member) for member in lines] == [type(member) for member in singly]
    array = decode(json.dumps(members).encode(), lines=False, site=site, now=NOW)
    assert len(array.members) == len(members)
    assert [type(m) for m, sent in zip(array.members, members, strict=True) if isinstance(sent, dict)] == [type(m) for m in singly]


@given(st.binary(max_size=200), st.booleans())
@example(b'{"type":"a.b","title":"\\ud800"}', False)
@example(b'{"type":"a.b","attributes":{"x":"\\udc00"}}', False)
@example(b'{"type":"a.b","attributes":{"x":1e999}}', False)
@example(b'{"type":"a.b","attributes":{"x":' + b"[" * 2000 + b"]" * 2000 + b"}}", False)
@example(b'{"type":"a.b","attributes":{"x":"\xff"}}', False)
@example(b'{"type":"a.b","attributes":{"x":-}}', False)
@example(b'{"type":"a.b","attributes":{"x":99999999999999999999999999999999}}', False)
@example(b'{"type":"a.b","occurred_at":"0001-01-01T00:00:00+14:00"}', False)
@example(b'{"type":"a.b","occurred_at":"9999-12-31T23:59:59-14:00"}', False)
def test_whatever_is_taken_can_be_stored_and_described(body: bytes, lines: bool) -> None:
    """No NUL, no half characters, and attributes that can be read: later there is nobody left to complain to."""
    try:
        members = decode(body, lines=lines, site=None, now=NOW).members
    except InvalidInput:
        return
    for member in members:
        if isinstance(member, Incoming):
            raw = bytes(member.input.attributes)
            if raw:
                assert "\0" not in json.dumps(msgspec.json.decode(raw), ensure_ascii=False)
            for name in ("type", "title", "message", "subject", "host", "dedup_key", "source"):
                text = getattr(member.input, name) or ""
                assert "\0" not in text
                text.encode()

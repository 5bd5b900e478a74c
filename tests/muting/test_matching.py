"""What a matcher matches, and which are refused."""

import time

import pytest

from tests.muting.build import labels, matchers
from tocsin.core.errors import InvalidInput
from tocsin.muting.matching import MAX_MATCHERS, MAX_VALUE, Conditions, predicate, read_matcher
from tocsin.muting.model import Matcher, Op


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("host=web-1", True),
        ("host=web", False),
        ("host=WEB-1", False),
        ("host!=web-1", False),
        ("host!=web-2", True),
        ("host^web", True),
        ("host^eb-1", False),
        ("host~web-[0-9]+", True),
        ("host~eb-1", False),
        ("host~web-", False),
        ("host~(?i)WEB-1", True),
        ("site=main", True),
        ("type^disk.", True),
        ("severity=3", True),
        ("severity~[1-3]", True),
        ("severity!=5", True),
        ("subject=disk:/", True),
        ("attributes.gateway=stripe", True),
        ("attributes.amount=12", True),
        ("attributes.amount~1[0-9]", True),
        ("attributes.live=true", True),
        ("attributes.note=", True),
        ("attributes.nothing=", True),
        ("attributes.list=[1,2]", True),
        ("attributes.of.dots=yes", True),
        ("attributes.nothing=x", False),
    ],
)
def test_a_matcher_looks_at_one_field_and_compares_the_whole_value(text: str, found: bool) -> None:
    raw = '{"gateway": "stripe", "amount": 12, "live": true, "note": null, "list": [1, 2], "of.dots": "yes"}'
    assert predicate(read_matcher(text))(labels(attributes=raw).get(read_matcher(text).field)) is found


def test_all_matchers_must_match() -> None:
    both = Conditions(matchers("host=web-1", "severity~[1-3]"))
    assert both.holds(labels())
    assert not both.holds(labels(severity=4))
    assert not both.holds(labels(host="web-2"))


def test_what_an_alert_does_not_have_counts_as_empty_text() -> None:
    assert Conditions(matchers("type=disk.full", "host=")).holds(labels(host=None))
    assert Conditions(matchers("type=disk.full", "host!=web-1")).holds(labels(host=None))
    assert not Conditions(matchers("host~.+", "type=disk.full")).holds(labels(host=None))


@pytest.mark.claim("A7")
@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("host~.*",),
        ("host~.+",),
        ("host^",),
        ("host!=",),
        ("host!=nobody",),
        ("host=", "subject="),
        ("severity~[1-5]",),
        ("severity!=9",),
        ("type~[a-z_.]+",),
        ("site~.*", "type~.*", "attributes.x!=y"),
    ],
)
def test_what_would_match_everything_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Conditions(matchers(*texts))
    assert [error.field for error in caught.value.errors] == ["matchers"]
    assert "everything" in caught.value.message


@pytest.mark.parametrize("text", ["severity!=5", "severity~[1-4]", "site=main", "host~web.*", "attributes.gateway^s", "host~|web-1"])
def test_what_names_something_is_taken(text: str) -> None:
    Conditions(matchers(text))


@pytest.mark.parametrize(
    ("bad", "field", "words"),
    [
        (read_matcher("hots=web-1"), "matchers[1].field", "'hots' is none of site, type, severity, host, subject and attributes.NAME"),
        (Matcher("attributes.", Op.EQUAL, "x"), "matchers[1].field", "must have 1 to 100 characters"),
        (read_matcher("host~web-["), "matchers[1].value", "is not a regular expression that can be used: missing ]"),
        (read_matcher("host~(?=x)"), "matchers[1].value", "invalid perl operator"),
        (read_matcher("host~(x)\\1"), "matchers[1].value", "invalid escape sequence"),
        (read_matcher("host~((a{100}){100}){10}"), "matchers[1].value", "invalid repetition size"),
        (read_matcher("host~\\pL{1000}"), "matchers[1].value", "too large"),
        (Matcher("host", Op.EQUAL, "x" * (MAX_VALUE + 1)), "matchers[1].value", "at most 500"),
        (read_matcher("severity=nine"), "matchers[1].value", "fits no severity; they are 1 to 5"),
        (read_matcher("severity^6"), "matchers[1].value", "fits no severity"),
        (Matcher("host", Op.EQUAL, "a\0b"), "matchers[1].value", "without NUL"),
        (Matcher("host", Op.REGEX, "a\ud800b"), "matchers[1].value", "lone surrogates"),
    ],
)
def test_a_matcher_that_cannot_be_used_is_named_with_the_reason(bad: Matcher, field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Conditions((read_matcher("site=main"), bad))
    assert [error.field for error in caught.value.errors] == [field]
    assert words in caught.value.message


def test_only_so_many_matchers_are_taken() -> None:
    with pytest.raises(InvalidInput, match="at most 20"):
        Conditions(matchers(*[f"host!=web-{n}" for n in range(MAX_MATCHERS + 1)]))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+b", "(.*)*x", "(a?){30}a{30}"])
def test_no_expression_takes_longer_than_the_text_is_long(pattern: str) -> None:
    fits = predicate(read_matcher(f"host~{pattern}"))
    start = time.process_time()
    for text in ("a" * 10_000, "a" * 10_000 + "!"):
        fits(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("text", ["", "host", "=web-1", "host!web-1", "host <web-1"])
def test_text_that_is_no_matcher_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="Example: host=web-1"):
        read_matcher(text)


def test_a_matcher_in_one_word_is_read_from_the_first_sign() -> None:
    assert read_matcher("host=a~b!=c") == Matcher("host", Op.EQUAL, "a~b!=c")
    assert read_matcher("attributes.x!==") == Matcher("attributes.x", Op.NOT, "=")
    assert read_matcher("subject=") == Matcher("subject", Op.EQUAL, "")

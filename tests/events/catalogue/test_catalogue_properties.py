"""Properties: the catalogue takes whatever the world sends, and a title is always fit for a phone."""

import json
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tocsin.events.catalogue.model import Description
from tocsin.events.catalogue.results import read_result
from tocsin.events.catalogue.rows import ROWS
from tocsin.events.catalogue.rules import Catalogue
from tocsin.events.catalogue.titles import VALUE_LIMIT, compile_template, fill, short_text, why_wrong

CATALOGUE = Catalogue.default()
NAMES = sorted(
    {key for row in ROWS for key in row.keys}
    | {
        "hook",
        "id",
        "pattern",
        "description",
        "result",
        "gateway",
        "priority",
        "deptname",
        "functionSuccessful",
        "connectionErrors",
    }
    | {"title", "refundid", "amountout", "subject", "host", "serverid", "type", "unusual"}
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.integers(min_value=10**15, max_value=10**400)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
attributes = st.none() | st.dictionaries(st.sampled_from(NAMES) | st.text(), json_values, max_size=8)
types = st.sampled_from([row.type for row in ROWS]) | st.text()
texts = st.none() | st.text()


def fit_for_a_phone(title: str) -> bool:
    return 0 < len(title) <= 200 and title.isprintable() and title == title.strip()


@given(types, attributes, texts, texts, texts)
def test_any_event_is_described_in_one_clean_line(
    event_type: str, sent: dict[str, object] | None, message: str | None, host: str | None, subject: str | None
) -> None:
    found = CATALOGUE.describe(event_type, sent, message, host, subject)
    assert isinstance(found, Description)
    assert fit_for_a_phone(found.title)
    assert found.severity in range(1, 6)
    assert found.status in ("problem", "recovery", "info")
    assert subject is None or found.subject == subject
    assert not (found.status == "info" and found.recovers)


@given(types, attributes)
def test_describing_does_not_change_what_was_sent(event_type: str, sent: dict[str, object] | None) -> None:
    before = repr(sent)
    first, second = CATALOGUE.describe(event_type, sent), CATALOGUE.describe(event_type, sent)
    assert first == second
    assert repr(sent) == before


@given(st.sampled_from([row.type for row in ROWS]), attributes)
def test_a_subject_read_from_attributes_is_short_and_printable(event_type: str, sent: dict[str, object] | None) -> None:
    subject = CATALOGUE.describe(event_type, sent).subject
    assert subject is None or (subject.isprintable() and len(subject) < 2 * VALUE_LIMIT and ":" in subject)


@given(json_values)
def test_a_value_becomes_short_printable_text_or_nothing(value: object) -> None:
    text = short_text(value)
    assert len(text) <= VALUE_LIMIT
    assert text.isprintable()
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in text)


@given(st.text(alphabet="ab {}[]|%_", max_size=40), st.dictionaries(st.sampled_from("ab"), st.text()))
def test_a_template_that_is_accepted_can_be_filled(text: str, fields: dict[str, object]) -> None:
    if why_wrong(text) is None:
        assert len(fill(compile_template(text), fields)) <= 200


@given(json_values)
def test_any_gateway_result_can_be_read(result: object) -> None:
    assert read_result(result) in type(read_result(None))


@pytest.mark.parametrize(
    "text", ["a" * 300, "failed " * 40, "admin login " * 25, "cron module database invoice " * 10, "card fail" + " " * 290]
)
def test_no_text_makes_the_shipped_patterns_slow(text: str) -> None:
    start = time.thread_time()
    CATALOGUE.describe("system.activity", {"description": text})
    assert time.thread_time() - start < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_an_integer_of_thousands_of_digits_is_ignored(name: str) -> None:
    for row in ROWS:
        assert fit_for_a_phone(CATALOGUE.describe(row.type, {name: 10**5000}).title)


def test_a_large_event_is_described_without_delay() -> None:
    sent = {f"key{number}": "x" * 10 for number in range(800)} | {"invoiceid": 1042}
    assert len(json.dumps(sent)) > 16_000
    start = time.thread_time()
    assert CATALOGUE.describe("invoice.paid", sent).title == "Invoice 1042: paid"
    assert time.thread_time() - start < 0.05

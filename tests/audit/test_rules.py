"""The chain: what it holds, and what it says when somebody has been at it."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.audit import rules
from tocsin.audit.model import Entry, Fault, Head
from tocsin.core.errors import InvalidInput


def a_chain(length: int) -> list[Entry]:
    deeds = [
        rules.deed(NOW + n, "marta@example.com", "192.0.2.7", "key.made", f"key:{n}", 1, None, {"name": f"k{n}"}) for n in range(length)
    ]
    return rules.chain(None, deeds)


def walked(entries: list[Entry], kept: Head | None, noted: Head | None = None) -> tuple[int, Fault] | None:
    walk = rules.Walk(kept, noted)
    broken = walk.follow(entries) or walk.end()
    return None if broken is None else (broken.number, broken.fault)


def test_a_chain_that_nobody_touched_holds() -> None:
    chain = a_chain(5)
    assert walked(chain, chain[-1].head) is None
    assert walked(chain, chain[-1].head, noted=chain[2].head) is None
    assert walked([], None) is None


def test_entries_that_are_written_while_it_is_walked_do_no_harm() -> None:
    chain = a_chain(5)
    assert walked(chain, chain[3].head) is None


@given(length=st.integers(1, 8), data=st.data())
def test_whatever_is_changed_in_an_entry_that_entry_is_named(length: int, data: st.DataObject) -> None:
    chain = a_chain(length)
    at = data.draw(st.integers(0, length - 1))
    field = data.draw(st.sampled_from([name for name in Entry.__struct_fields__ if name not in ("number", "previous", "digest")]))
    value = "another" if isinstance(getattr(chain[at], field), str | None) else 999
    chain[at] = msgspec.structs.replace(chain[at], **{field: value})
    assert walked(chain, chain[-1].head) == (at + 1, Fault.CHANGED)


@given(length=st.integers(2, 8), data=st.data())
def test_an_entry_that_is_taken_out_is_missed(length: int, data: st.DataObject) -> None:
    chain = a_chain(length)
    at = data.draw(st.integers(0, length - 1))
    head = chain[-1].head
    del chain[at]
    expected = (at, Fault.CUT_OFF) if at == length - 1 else (at + 1, Fault.MISSING)
    assert walked(chain, head) == expected


def test_entries_that_change_places_are_seen_even_with_their_numbers_changed() -> None:
    chain = a_chain(4)
    chain[1], chain[2] = (
        msgspec.structs.replace(chain[2], number=2),
        msgspec.structs.replace(chain[1], number=3),
    )
    assert walked(chain, chain[-1].head) == (2, Fault.DETACHED)


def test_a_log_that_is_written_anew_from_some_entry_on_is_seen_by_whoever_noted_its_head() -> None:
    chain, noted = a_chain(6), a_chain(6)[4].head
    forged = chain[:3] + rules.chain(chain[2].head, [rules.deed(NOW, "nobody", None, "x", "y", None, None, None)] * 3)
    assert walked(forged, forged[-1].head) is None  # the chain alone cannot know
    assert walked(forged, forged[-1].head, noted) == (5, Fault.NOT_AS_NOTED)
    assert walked(chain[:4], chain[3].head, noted) == (4, Fault.CUT_OFF)


def test_a_log_whose_note_was_removed_is_not_taken_for_whole() -> None:
    assert walked(a_chain(3), None) == (3, Fault.NO_NOTE)


def test_secrets_are_masked_by_the_name_of_their_field_and_by_their_looks() -> None:
    text = rules.canonical({"password": "hunter2hunter2", "note": "key tocsin_" + "a" * 43, "nested": {"token": "x"}, "name": "grafana"})
    assert text is not None
    assert "hunter2" not in text
    assert "a" * 43 not in text
    assert '"token":"(hidden)"' in text
    assert '"name":"grafana"' in text


def test_what_is_too_long_is_cut() -> None:
    text = rules.canonical({"note": "x" * 100_000, "ids": list(range(5_000)), "deep": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}})
    assert text is not None
    assert len(text) < 4_000


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**60), 2**60) | st.none() | st.booleans()))
def test_any_state_can_be_written_and_reads_the_same_in_any_order(state: dict[str, object]) -> None:
    backwards = dict(reversed(state.items()))
    assert rules.canonical(state) == rules.canonical(backwards)


def test_only_what_differs_is_noted() -> None:
    assert rules.changes({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == ({"b": 2, "c": 3}, {"b": 4, "d": 5})


def test_a_head_is_read_as_it_is_printed() -> None:
    head = Head(12, "ab" * 32)
    assert rules.read_head(str(head)) == head
    with pytest.raises(InvalidInput, match="1234:ab12"):
        rules.read_head("12")

"""Cutting and cleaning text."""

from hypothesis import given, strategies as st

from tocsin.core.text import counted, cut, cut_bytes, one_line, without_credentials


@given(st.text(), st.integers(0, 60))
def test_text_is_cut_between_characters_and_never_longer_than_the_limit(text: str, limit: int) -> None:
    short = cut_bytes(text, limit)
    assert len(short.encode()) <= limit
    assert short == text or text.startswith(short.removesuffix("…").rstrip())


@given(st.text(), st.integers(1, 60))
def test_a_cut_says_that_something_is_missing(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short) <= limit
    assert short == text or short.endswith("…")


@given(st.text())
def test_one_line_is_one_line_without_control_characters(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(c) < 32 or ord(c) == 127 for c in line)
    assert line == line.strip()


def test_credentials_are_taken_out_of_addresses() -> None:
    assert without_credentials("to smtp://me:secret@mail.example.com:587 and back") == "to smtp://mail.example.com:587 and back"
    assert without_credentials("https://ops@example.com/path@2") == "https://example.com/path@2"


def test_things_are_counted_as_people_count_them() -> None:
    assert [counted(n, "alert") for n in (0, 1, 12)] == ["0 alerts", "1 alert", "12 alerts"]

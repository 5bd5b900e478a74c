"""The calendar file, read by another's program."""

import icalendar
import pytest
from hypothesis import given, settings, strategies as st

from tests.oncall.build import utc
from tocsin.oncall.ical import Entry, write
from tocsin.oncall.model import Source

pytestmark = pytest.mark.claim("A5")

NOW = utc("2026-01-05T12:00")


def an_entry(title: str = "Anna on call: First line") -> Entry:
    return Entry("s1.anna.1@tocsin", title, Source.LAYER, utc("2026-01-05T08:00"), utc("2026-01-12T08:00"))


def read_back(text: str) -> icalendar.Calendar:
    (calendar,) = icalendar.Calendar.from_ical(text, multiple=True)
    assert isinstance(calendar, icalendar.Calendar)
    return calendar


def test_an_entry_is_a_shift_that_does_not_block_the_day() -> None:
    calendar = read_back(write("First line", [an_entry()], NOW))
    (event,) = calendar.walk("VEVENT")
    assert (event.decoded("DTSTART").isoformat(), event.decoded("DTEND").isoformat()) == (
        "2026-01-05T08:00:00+00:00",
        "2026-01-12T08:00:00+00:00",
    )
    assert (str(event["UID"]), str(event["TRANSP"]), str(event["DESCRIPTION"])) == ("s1.anna.1@tocsin", "TRANSPARENT", "By the rotation")
    assert (str(calendar["X-WR-CALNAME"]), str(calendar["METHOD"])) == ("First line", "PUBLISH")


def test_lines_end_as_the_standard_says_and_are_at_most_75_bytes() -> None:
    text = write("n" * 300, [an_entry("Zoë 🚑 " * 60)], NOW)
    lines = text.split("\r\n")
    assert lines[-1] == ""
    assert "\n" not in "".join(lines)
    assert max(len(line.encode()) for line in lines) <= 75


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=90)


@settings(max_examples=40)
@given(TEXTS)
def test_any_title_comes_back_as_it_was(title: str) -> None:
    (event,) = read_back(write("First line", [an_entry(title)], NOW)).walk("VEVENT")
    assert str(event["SUMMARY"]) == title


@pytest.mark.parametrize("title", ["a\r\nEND:VEVENT\r\nBEGIN:VEVENT", "a;b,c\\d", "line\nend", "\x00\x07"])
def test_a_title_cannot_end_its_line(title: str) -> None:
    calendar = read_back(write(title, [an_entry(title)], NOW))
    assert len(calendar.walk("VEVENT")) == 1

"""Quiet hours and personal rules on the calendar: both nights when the clocks change, every zone, and nothing is ever dropped."""

from datetime import time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from tests.oncall.build import utc
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.wall import wall_clock
from tocsin.core.zones import zone_names
from tocsin.notify.model import Contact
from tocsin.notify.reach import Person, PersonRule, QuietHours, Urgency, person_promises, quiet_until

pytestmark = pytest.mark.claim("N6", "N7")

NIGHT = QuietHours(time(22), time(7))
PHONE, TEXT = Contact("p", "ntfy", "phone"), Contact("t", "sms", "+4915123456789")


def anna(**changes: object) -> Person:
    values: dict[str, object] = {"id": "a", "name": "Anna", "email": "a@example.com", "role": "responder", "time_zone": "Europe/Berlin"}
    return Person(**{**values, "contacts": (PHONE, TEXT), **changes})  # type: ignore[arg-type]  # of a person


@pytest.mark.parametrize(
    ("quiet", "at", "ends"),
    [
        (NIGHT, "2026-01-05T21:00", "2026-01-06T06:00"),  # begins exactly now, 22:00 in Berlin
        (NIGHT, "2026-01-05T20:59", "2026-01-05T20:59"),
        (NIGHT, "2026-01-06T06:00", "2026-01-06T06:00"),  # its end is not part of it
        (NIGHT, "2026-03-28T22:00", "2026-03-29T05:00"),  # the short night: 07:00 summer time
        (NIGHT, "2026-10-24T21:00", "2026-10-25T06:00"),  # the long one: 07:00 winter time
        (QuietHours(time(23), time(2, 30)), "2026-03-28T23:00", "2026-03-29T01:00"),  # 02:30 is skipped: the first moment after the gap
        (QuietHours(time(23), time(2, 30)), "2026-10-24T23:00", "2026-10-25T00:30"),  # 02:30 comes twice: its first coming
        (QuietHours(time(12), time(13)), "2026-07-01T10:30", "2026-07-01T11:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_wall(quiet: QuietHours, at: str, ends: str) -> None:
    assert quiet_until(quiet, "Europe/Berlin", utc(at)) == utc(ends)


CLOCKS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
MOMENTS = st.integers(utc("2024-01-01T00:00") // MINUTE, utc("2028-01-01T00:00") // MINUTE).map(lambda minutes: minutes * MINUTE)


@settings(max_examples=150, deadline=None)
@given(CLOCKS, CLOCKS, st.sampled_from(sorted(zone_names())), MOMENTS)
def test_whatever_the_zone_a_page_waits_at_most_a_day_and_then_leaves(begins: time, ends: time, zone: str, at: int) -> None:
    quiet = QuietHours(begins, ends)
    free = quiet_until(quiet, zone, at)
    assert at <= free <= at + 25 * HOUR
    if free > at:
        assert quiet_until(quiet, zone, free) == free, "it is not held twice"
        assert wall_clock(free, ZoneInfo(zone)).time() >= ends, "the clock shows the end, or what comes first after a gap"
    assert quiet_until(quiet, zone, at) == free


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(PersonRule, st.sampled_from(Urgency), st.sampled_from(["p", "t", "gone"]), st.integers(0, 86_400)), max_size=6),
    st.integers(2, 5),
    st.sampled_from([(), ("sms",), ("email",)]),
    MOMENTS,
)
def test_whatever_the_rules_somebody_with_contacts_is_reached_and_critical_does_not_wait(
    rules: list[PersonRule], severity: int, kinds: tuple[str, ...], at: int
) -> None:
    person = anna(rules=tuple(rules), quiet=NIGHT)
    promises = person_promises(person, severity, kinds, at)
    assert promises
    for promise in promises:
        assert promise.at <= at + 2 * DAY + HOUR
        if severity == 5:
            assert (promise.held, promise.at - at) == (False, (promise.wished or 0) * SECOND)
    if kinds == ("sms",):
        assert [promise.contact for promise in promises] == [TEXT], "a step that asks for texts gets them, whatever the rules"


def test_a_delay_that_ends_in_the_quiet_hours_waits_for_their_end() -> None:
    person = anna(rules=(PersonRule(Urgency.HIGH, "t", 1_800),), quiet=NIGHT)
    (promise,) = person_promises(person, 4, (), utc("2026-01-05T20:45"))  # 21:45 in Berlin, and half an hour
    assert (promise.contact, promise.at, promise.held, promise.wished) == (TEXT, utc("2026-01-06T06:00"), True, 1_800)

"""Codes that prove contacts, and what a person may wish for: the decisions."""

import re
from datetime import time

import msgspec
import pytest

from tests.fakes import NOW
from tocsin.core.clock import HOUR
from tocsin.core.errors import InvalidInput
from tocsin.notify import codes, wishes
from tocsin.notify.codes import LASTS, PAUSE, SENDS_AN_HOUR, SENDS_AN_HOUR_EACH, TRIES, Judged
from tocsin.notify.reach import PersonRule, QuietHours, Urgency
from tocsin.notify.wishes import Wishes

SECRET = b"s" * 32
KEPT = codes.digest(SECRET, "c", "123456")
CODE = codes.issued("c", KEPT, None, NOW)


def test_a_code_is_right_until_it_expires_and_wrong_ones_use_up_the_tries() -> None:
    wrong = codes.digest(SECRET, "c", "123457")
    assert codes.judge(CODE, KEPT, NOW + LASTS - 1) is Judged.RIGHT
    assert codes.judge(CODE, KEPT, NOW + LASTS) is Judged.EXPIRED
    assert codes.judge(CODE, wrong, NOW) is Judged.WRONG
    assert CODE.tries_left == TRIES
    assert codes.judge(codes.issued("c", "", None, NOW), codes.digest(SECRET, "c", ""), NOW) is Judged.NONE
    assert codes.judge(None, KEPT, NOW) is Judged.NONE


def test_once_the_tries_are_used_up_even_the_right_code_is_refused() -> None:
    assert codes.judge(msgspec.structs.replace(CODE, tries_left=0), KEPT, NOW) is Judged.USED_UP


def test_a_code_of_one_contact_is_none_of_another_and_takes_the_secret() -> None:
    assert len({KEPT, codes.digest(SECRET, "d", "123456"), codes.digest(b"t" * 32, "c", "123456")}) == 3
    assert "123456" not in KEPT


@pytest.mark.parametrize("typed", ["123456", " 123 456 ", "123-456", "123 456"])
def test_a_code_is_read_as_people_type_it(typed: str) -> None:
    assert codes.tidy(typed) == "123456"


def test_codes_come_with_a_pause_and_a_few_an_hour() -> None:
    code, now = None, NOW
    for _ in range(SENDS_AN_HOUR):
        assert codes.why_not_now(code, 0, now) is None
        code = codes.issued("c", KEPT, code, now)
        assert "wait" in (codes.why_not_now(code, 0, now + PAUSE - 1) or "")
        now += PAUSE
    assert codes.why_not_now(code, 0, now) == "5 codes were sent within an hour: wait 57 min"
    assert codes.why_not_now(code, 0, NOW + HOUR) is None
    assert codes.issued("c", KEPT, code, NOW + HOUR).sends == 1
    assert codes.why_not_now(None, SENDS_AN_HOUR_EACH, now) is not None, "making contacts anew does not help"


@pytest.mark.parametrize("kind", ["ntfy", "email", "sms", "voice"])
def test_the_words_hold_the_code_and_how_long_it_lasts(kind: str) -> None:
    said = " ".join(codes.words("012345", kind))
    assert re.sub(r"[^0-9]", "", said).count("012345") == (2 if kind == "voice" else 1)
    assert "10 min" in said


RULE = PersonRule(Urgency.HIGH, "c", 60)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wishes((PersonRule(Urgency.HIGH, "gone"),)), "rules[0].contact"),
        (Wishes((RULE, PersonRule(Urgency.LOW, "unproved"))), "rules[1].contact"),
        (Wishes((RULE, RULE)), "rules[1]"),
        (Wishes((PersonRule(Urgency.LOW, "c", 86_401),)), "rules[0].delay_seconds"),
        (Wishes((RULE,) * 21), "rules"),
        (Wishes(quiet=QuietHours(time(7), time(7))), "quiet_hours.ends"),
    ],
)
def test_a_wish_that_cannot_be_kept_is_refused_by_its_field(wanted: Wishes, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        wishes.check(wanted, {"c": True, "unproved": False})
    assert refused.value.errors[0].field == field


def test_good_wishes_pass() -> None:
    both = (RULE, PersonRule(Urgency.LOW, "c", 0))
    wishes.check(Wishes(both, QuietHours(time(22), time(7))), {"c": True})

"""Passwords, pauses, codes and links, as pure decisions."""

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.identity import rules
from tocsin.identity.model import Pass, PassKind, Role, User


@pytest.mark.claim("B2")
@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12"),
        ("eleven char", "at least 12"),
        ("x" * 1_025, "more than 1,024"),
        ("marta.weiss@example.com", "mail address"),
        ("Password1234!", "tried first"),
        ("letmein-please", "tried first"),
        ("123456789012", "tried first"),
        ("aaaaaaaaaaaaaaa", "tried first"),
        ("abababababab", "tried first"),
        ("1q2w3e4r5t6y", "tried first"),
        ("Correct Horse Battery Staple", "tried first"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        rules.check_password(password, "marta.weiss@example.com")


@pytest.mark.parametrize("password", ["lantern gravel teacup", "Zq8!vTm2#kLp", "пароль не для всех", "🔔🗝🚢⚓🐟🌊🌙⭐🔥❄🍎🍋"])
def test_a_good_password_is_taken_as_it_is(password: str) -> None:
    assert rules.check_password(password, "marta@example.com") == password


def test_the_first_tries_are_free_and_then_the_pauses_double() -> None:
    assert [rules.pause_after(n) // MINUTE for n in range(1, 11)] == [0, 0, 0, 0, 1, 2, 4, 8, 15, 15]
    assert rules.pause_after(10_000) == 15 * MINUTE


@given(failures=st.integers(0, 100), ago=st.integers(0, 3 * DAY))
def test_a_try_is_either_allowed_and_counted_or_refused_and_not_counted(failures: int, ago: int) -> None:
    judged = rules.judge_try(failures, NOW - ago, NOW)
    if judged.wait:
        assert judged.failures == failures
        assert judged.wait + ago == rules.pause_after(failures)
    else:
        assert judged.failures == (1 if ago >= DAY else failures + 1)


def test_an_address_counts_the_same_however_it_is_written() -> None:
    assert rules.account_key(" Marta@Example.com ") == rules.account_key("marta@example.com")
    assert rules.account_key("\ud800") != rules.account_key("marta@example.com")


def test_codes_of_the_neighbouring_half_minutes_are_taken() -> None:
    assert rules.steps_around(90 * SECOND) == (3, 2, 4)


@given(st.sampled_from(rules.make_recovery_codes()))
def test_a_recovery_code_can_be_typed_with_spaces_and_in_capitals(code: str) -> None:
    assert rules.clean_code(code.upper().replace("-", " ")) == code.replace("-", "")
    assert not rules.is_totp(rules.clean_code(code))


def test_recovery_codes_differ() -> None:
    codes = rules.make_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code) == 19 for code in codes)


def a_pass(**changes: object) -> Pass:
    values = {"id": "p", "kind": PassKind.INVITE, "user_id": "u", "created_at": NOW, "expires_at": NOW + HOUR, "used_at": None}
    return Pass(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "not a link that Tocsin made"),
        (a_pass(kind=PassKind.RESET), "not a link that Tocsin made"),
        (a_pass(used_at=NOW), "was used at"),
        (a_pass(expires_at=NOW), "ran out at"),
    ],
)
def test_a_link_works_once_in_its_time_and_for_what_it_is(found: Pass | None, why: str) -> None:
    with pytest.raises(NotFound, match=why):
        rules.check_pass(found, PassKind.INVITE, NOW)


def a_user(**changes: object) -> User:
    values = {"id": "u", "email": "marta@example.com", "name": "Marta", "role": Role.ADMIN, "time_zone": "UTC", "created_at": NOW}
    return User(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"role": Role.VIEWER}, {"disabled_at": NOW}, {"site_ids": frozenset({1})}])
def test_the_last_administrator_stays_one(changes: dict[str, object]) -> None:
    with pytest.raises(Conflict, match="last administrator"):
        rules.check_last_admin(frozenset({"u"}), a_user(**changes))
    rules.check_last_admin(frozenset({"u", "other"}), a_user(**changes))
    rules.check_last_admin(frozenset(), a_user(**changes))
    rules.check_last_admin(frozenset({"u"}), a_user(name="Marta W."))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\0", "x" * 300])
def test_a_time_zone_must_be_one(zone: str) -> None:
    with pytest.raises(InvalidInput, match="Europe/Berlin"):
        rules.check_time_zone(zone)
    assert rules.check_time_zone("Europe/Berlin") == "Europe/Berlin"

"""Addresses in messages that act without a login: only ours, only for one message and one action, only for a time."""

import base64

import pytest
from hypothesis import given, strategies as st

from tests.build import a_message, an_id
from tests.fakes import NOW
from tocsin.core.clock import DAY
from tocsin.notify.links import LIFETIME, LinkAction, Opened, is_alive, links, read, token

SECRET, OTHER = b"a" * 32, b"b" * 32


@pytest.mark.claim("A6", "L5")
@pytest.mark.parametrize("action", LinkAction)
def test_a_token_says_which_message_and_what_to_do(action: LinkAction) -> None:
    assert read(SECRET, token(SECRET, an_id(7), action)) == Opened(an_id(7), action)


def test_a_token_of_another_installation_says_nothing() -> None:
    assert read(OTHER, token(SECRET, an_id(7), LinkAction.RESOLVE)) is None


@given(st.text(max_size=60))
def test_anything_else_says_nothing(text: str) -> None:
    assert read(SECRET, text) is None


@given(st.sampled_from(LinkAction), st.integers(0, 32), st.integers(1, 255))
def test_no_bit_of_a_token_can_be_changed(action: LinkAction, place: int, flip: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token(SECRET, an_id(7), action)))
    raw[place] ^= flip
    assert read(SECRET, base64.urlsafe_b64encode(bytes(raw)).decode()) is None


def test_a_message_has_one_address_for_each_action() -> None:
    found = links(SECRET, "https://alarm.example.com", an_id(7))
    addresses = (found.open, found.acknowledge, found.resolve, found.snooze)
    assert [read(SECRET, address.rpartition("/a/")[2]) for address in addresses] == [Opened(an_id(7), action) for action in LinkAction]
    assert all(address.startswith("https://alarm.example.com/a/") for address in addresses)


def test_links_die_with_age_and_when_they_are_revoked() -> None:
    assert is_alive(a_message(), NOW + LIFETIME - 1)
    assert not is_alive(a_message(), NOW + LIFETIME)
    assert not is_alive(a_message(links_revoked_at=NOW), NOW)
    assert LIFETIME == 7 * DAY

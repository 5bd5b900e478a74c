"""Ids: UUIDv7, rising with time and within a batch."""

import uuid

import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.ids import is_uuid, new_id, new_ids


@given(st.integers(0, 2**48 - 1), st.integers(0, 50))
def test_ids_are_uuids_of_version_7_and_variant_10(now: int, count: int) -> None:
    for text in new_ids(now, count):
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 7, uuid.RFC_4122)
        assert read.int >> 80 == now


def test_the_ids_of_one_batch_rise_one_by_one() -> None:
    ids = new_ids(NOW, 1000)
    assert ids == sorted(set(ids))


def test_a_later_id_sorts_after_an_earlier_one() -> None:
    assert new_id(NOW) < new_id(NOW + 1)


def test_two_batches_of_one_millisecond_share_no_id() -> None:
    batches = [new_ids(NOW, 100) for _ in range(200)]
    assert len({one for batch in batches for one in batch}) == 20_000


@pytest.mark.parametrize(
    "text",
    ["", "x", "0190A8F2-7c3e-7cc0-9d55-0d3f3b1f2a10", "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a1", "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10\n"],
)
def test_only_the_canonical_form_is_a_uuid(text: str) -> None:
    assert not is_uuid(text)
    assert is_uuid("0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10")

"""What a request says, read into shapes: what does not fit is named with what would."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from tocsin.core.errors import InvalidInput
from tocsin.core.reading import read_body, read_form, read_query


class Light(StrEnum):
    """Of a page."""

    DAY = "day"
    NIGHT = "night"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Values of which there are few, and one with words of its own."""

    light: Light | None = None
    order: Literal["asc", "desc"] = "asc"
    named: Annotated[Literal["a", "b"], Meta(extra={"must": "be the letter of a shelf"})] = "a"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("light", "must be one of day, night"),
        ("order", "must be one of asc, desc"),
        ("named", "must be the letter of a shelf"),
    ],
)
def test_a_value_that_is_none_of_a_few_is_told_which_there_are(field: str, message: str) -> None:
    sent = f"{field}=noon".encode()
    for read, raw, more in (
        (read_query, sent, ", not 'noon'"),
        (read_form, sent, ", not 'noon'"),
        (read_body, msgspec.json.encode({field: "noon"}), ", not 'noon'"),
        (read_body, msgspec.json.encode({field: 3}), ""),
    ):
        with pytest.raises(InvalidInput) as refused:
            read(raw, Asked)
        assert [(error.field, error.message) for error in refused.value.errors] == [(field, message + more)]


def test_of_a_long_value_the_beginning_is_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_query(b"light=" + b"x" * 5_000, Asked)
    assert len(refused.value.errors[0].message) < 200

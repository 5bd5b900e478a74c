"""Errors say what is wrong with which field."""

from tocsin.core.errors import FieldError, InvalidInput, Unavailable
from tocsin.core.severity import Severity


def test_invalid_input_names_every_field() -> None:
    error = InvalidInput((FieldError("type", "is required"), FieldError("severity", "must be 1 to 5")))
    assert str(error) == error.message == "type: is required; severity: must be 1 to 5"
    assert InvalidInput.of("until", "is past").errors == (FieldError("until", "is past"),)


def test_a_fault_of_ours_says_when_to_come_back() -> None:
    assert Unavailable("the disk is full").retry_after > 0


def test_a_severity_has_a_word() -> None:
    assert [severity.word for severity in Severity] == ["info", "low", "medium", "high", "critical"]

"""What may be stored as a sample."""

import pytest

from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.metrics import rules
from tocsin.metrics.model import Sample, labels_of


@pytest.mark.parametrize("name", ["cpu_percent", "load_1m", "network_connections", "response_ms", "a_b", "x" * 115 + "_bytes"[:5]])
def test_names_of_lower_case_words_that_end_in_a_unit_are_taken(name: str) -> None:
    assert rules.is_name(name)


@pytest.mark.parametrize(
    "name", ["", "cpu", "CPU_percent", "cpu percent", "cpu_", "_cpu_percent", "1_ms", "cpu__percent", "cpü_percent", "x" * 120 + "_ms"]
)
def test_other_names_are_refused(name: str) -> None:
    (error,) = rules.check_series(name, "", ())
    assert error.field == "name"
    assert "cpu_percent" in error.message


def test_a_name_of_prometheus_is_known_as_such() -> None:
    assert rules.is_foreign_name("node_memory_MemFree_bytes")
    assert rules.is_foreign_name("up")
    assert not rules.is_foreign_name("1up")


@pytest.mark.parametrize("at", [NOW, NOW + 10 * MINUTE, NOW - 7 * DAY])
def test_times_of_the_last_seven_days_are_taken(at: int) -> None:
    assert rules.check_point(at, 1.0, NOW) == ()


@pytest.mark.parametrize(("at", "words"), [(NOW + HOUR, "set the sender's clock"), (NOW - 8 * DAY, "too late")])
def test_a_clock_that_is_hours_off_is_named(at: int, words: str) -> None:
    (error,) = rules.check_point(at, 1.0, NOW)
    assert error.field == "at"
    assert words in error.message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_refused(value: float) -> None:
    (error,) = rules.check_point(NOW, value, NOW)
    assert error.field == "value"


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"mount point": "/"}, "labels.mount point"),
        ({"mount": ""}, "labels.mount"),
        ({"mount": "x" * 201}, "labels.mount"),
        ({"mount": "a\0b"}, "labels.mount"),
        ({"mount": "a\ud800b"}, "labels.mount"),
        ({f"label_{n}": "x" for n in range(17)}, "labels"),
    ],
)
def test_a_label_that_cannot_be_stored_is_named(labels: dict[str, str], field: str) -> None:
    (error,) = rules.check(Sample(1, "disk_percent", NOW, 1.0, "web1", labels_of(labels)), NOW)
    assert error.field == field


def test_all_that_is_wrong_is_named_at_once() -> None:
    errors = rules.check(Sample(1, "disk", NOW + DAY, float("nan"), "we\nb1"), NOW)
    assert [error.field for error in errors] == ["name", "host", "at", "value"]


def test_the_unit_is_the_last_word() -> None:
    assert rules.unit_of("disk_read_bytes") == "bytes"

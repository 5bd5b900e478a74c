"""The journal of departures: what had left when the process died is known afterwards."""

from pathlib import Path

import pytest

from tests.build import an_id
from tocsin.notify import departures
from tocsin.notify.departures import Departures


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "departures"


def test_what_had_left_is_known_to_the_next_process(path: Path) -> None:
    first = Departures(path)
    assert first.earlier == frozenset()
    first.note(an_id(1), 1)
    first.note(an_id(2), 3)
    # No close: the process was killed.
    second = Departures(path)
    assert second.earlier == {(an_id(1), 1), (an_id(2), 3)}
    first.close()
    second.close()


def test_a_process_that_dies_before_its_recovery_does_not_lose_what_the_one_before_it_left(path: Path) -> None:
    first = Departures(path)
    first.note(an_id(1), 1)
    first.close()
    Departures(path).close()
    third = Departures(path)
    assert (an_id(1), 1) in third.earlier
    third.close()


def test_the_file_is_the_owners_alone(path: Path) -> None:
    Departures(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [b"\n", b"nonsense\n", b"a b c\n", b"\xff\xfe", b"0190 x\n", b"0190 ", b"0190"])
def test_a_torn_line_is_no_accident(path: Path, torn: bytes) -> None:
    path.write_bytes(f"{an_id(1)} 1\n".encode() + torn)
    journal = Departures(path)
    assert journal.earlier == {(an_id(1), 1)}
    journal.close()


def test_a_line_after_a_torn_one_is_read(path: Path) -> None:
    """A full disk cut a line short; the next process appends to the same file."""
    path.write_bytes(f"{an_id(1)} 1\n{an_id(2)[:9]}".encode())
    journal = Departures(path)
    journal.note(an_id(3), 1)
    journal.close()
    again = Departures(path)
    assert {(an_id(1), 1), (an_id(3), 1)} <= again.earlier
    again.close()


def test_the_file_is_written_anew_with_what_is_still_under_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "MAX_BYTES", 1_000)
    journal = Departures(path)
    journal.note(an_id(0xFFFF), 1)
    for n in range(200):
        journal.note(an_id(n), 1)
        journal.finished(an_id(n), 1)
        assert path.stat().st_size < 1_100
    journal.note(an_id(0xFFFE), 2)
    again = Departures(path)
    assert {(an_id(0xFFFF), 1), (an_id(0xFFFE), 2)} <= again.earlier
    journal.close()
    again.close()


def test_what_an_earlier_process_left_survives_being_written_anew_until_it_is_dealt_with(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "MAX_BYTES", 100)
    path.write_bytes(f"{an_id(1)} 1\n".encode())
    journal = Departures(path)
    for n in range(2, 10):
        journal.note(an_id(n), 1)
        journal.finished(an_id(n), 1)
    assert Departures(path).earlier >= {(an_id(1), 1)}
    journal.forget_earlier()
    for n in range(10, 20):
        journal.note(an_id(n), 1)
        journal.finished(an_id(n), 1)
    assert (an_id(1), 1) not in Departures(path).earlier
    journal.close()


def test_a_full_disk_does_not_stop_a_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Departures(path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    journal.note(an_id(1), 1)
    monkeypatch.undo()
    journal.finished(an_id(1), 1)
    journal.close()

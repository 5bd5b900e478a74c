"""The write-ahead log is moved beside the writer, and begun anew before it grows without end. SQLite only."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tocsin.db import checkpoint, tables
from tocsin.db.checkpoint import Checkpointer, move
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    writer.start()
    yield writer
    writer.stop()


def put(tx: Tx, name: str) -> None:
    tx.sql.execute(tables.settings.insert().values(name=name, value="x" * 10_000))


def beginnings(database: Database) -> int:
    """How often the log was begun anew, as its header counts."""
    header = Path(f"{database.path}-wal").read_bytes()[:32]
    return int.from_bytes(header[12:16], "big")


def test_what_was_written_is_moved_into_the_file(database: Database, writer: Writer) -> None:
    with database.writer_connection() as connection:
        writer.call(partial(put, name="a"))
        assert move(connection) >= 3, "pages"
    assert b"x" * 1_000 in Path(str(database.path)).read_bytes()


def test_the_rest_of_a_log_that_goes_on_growing_is_moved_by_the_writer_so_that_it_begins_anew(database: Database, writer: Writer) -> None:
    with database.writer_connection() as connection:
        writer.call(partial(put, name="a"))
        before = beginnings(database)
        move(connection)
        writer.call(partial(put, name="begins it anew, since all was moved"))
        writer.between(move)
        writer.call(partial(put, name="comes before the chore"))
        writer.call(partial(put, name="begins it anew once more"))
        writer.call(partial(put, name="goes on"))
    assert beginnings(database) == before + 2


def test_a_chore_that_fails_harms_no_caller_and_is_done_once(database: Database, writer: Writer) -> None:
    calls: list[Any] = []

    def fail(connection: sa.Connection) -> None:
        calls.append(connection)
        raise ZeroDivisionError

    writer.between(fail)
    for name in ("a", "b", "c"):
        writer.call(partial(put, name=name))
    assert len(calls) == 1
    stored = tables.settings.c.name
    with database.read() as connection:
        assert sorted(connection.execute(sa.select(stored).where(stored.in_(["a", "b", "c"]))).scalars()) == ["a", "b", "c"]


class Asked(Writer):
    """A writer that notes that it was asked to move the rest."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked = threading.Event()

    def between(self, chore: Callable[[sa.Connection], object]) -> None:
        assert chore is move
        self.asked.set()


@pytest.mark.parametrize(("pages", "is_asked"), [(1, True), (1_000, False)], ids=["long", "short"])
def test_the_writer_is_asked_for_the_rest_of_a_long_log(
    database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch, pages: int, is_asked: bool
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.01)
    monkeypatch.setattr(checkpoint, "LONG", pages)
    writer.call(partial(put, name="a"))
    asked = Asked(database)
    checkpointer = Checkpointer(database, asked)
    checkpointer.start()
    assert asked.asked.wait(10 if is_asked else 0.2) == is_asked
    checkpointer.stop()

"""Connections for reading: what happens to them is told in the program's own words."""

from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tocsin.core.errors import Unavailable
from tocsin.db.engine import Database, Question
from tocsin.db.schema import upgrade


def be_cut_off(database: Database, url: str) -> None:
    """A read whose session somebody ends in the middle."""
    with database.read() as connection:
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (own,))
        connection.exec_driver_sql("SELECT 1")


@pytest.mark.claim("X1")
def test_a_read_that_the_database_server_cuts_off_is_unavailable_and_the_next_one_works(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with pytest.raises(Unavailable, match="terminating connection"):
        be_cut_off(database, postgresql_url)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    database.close()


def test_a_look_answers_each_question_by_itself(database: Database) -> None:
    query = "SELECT 1 FROM settings WHERE name = ? OR name = ?"
    there, not_there = Question(query, ("schema_oldest", "nothing of that name")), Question(query, ("nothing of that name", "nor of that"))
    assert database.finds(there)
    assert not database.finds(not_there)
    assert database.which([not_there, there, Question("SELECT 1 FROM settings"), not_there]) == [False, True, True, False]
    assert database.which([]) == []


def test_a_look_into_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/tocsin.db")) as database:
        upgrade(database)
        assert database.finds(Question("SELECT 1 FROM settings"))
        (tmp_path / "tocsin.db").unlink()
        with pytest.raises(Unavailable, match="the database file was deleted or replaced"):
            database.finds(Question("SELECT 1 FROM settings"))

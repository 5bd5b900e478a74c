"""Connections for reading: what happens to them is told in the program's own words."""

import psycopg
import pytest

from tocsin.core.errors import Unavailable
from tocsin.db.engine import Database


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

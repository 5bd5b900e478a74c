"""Whoever asks the database with a program of their own gets answers, and is in nobody's way."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.build import a_report
from tests.fakes import NOW, FakeClock
from tests.world import World
from tocsin.core.clock import SECOND, SystemClock
from tocsin.db import tables

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "ask-the-database.md").read_text()
GRANTED, *QUERIES = re.findall(r"^```sql\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def ask(world: World, query: str) -> list[Sequence[Any]]:
    """As the page says it: the file opened for reading, or the query in PostgreSQL's words."""
    if world.settings.is_sqlite:
        with closing(sqlite3.connect(f"file:{world.settings.sqlite_path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    query = re.sub(r"datetime\((\w+\.?\w*) / 1000, 'unixepoch'\)", r"to_timestamp(\1 / 1000.0)", query)
    with psycopg.connect(world.settings.database_url) as connection:
        return list(connection.execute(query.replace("unixepoch()", "extract(epoch FROM now())")).fetchall())


@pytest.mark.claim("R9")
async def test_every_query_of_the_page_answers_what_it_says(database_url: str, tmp_path: Path) -> None:
    now = SystemClock().now()
    world = World(database_url, tmp_path, clock=FakeClock(now))
    await world.people()
    await world.report(a_report("disk:/", severity=3, at=now), a_report("disk:/var", severity=4, at=now), a_report("disk:/var", at=now))
    world.clock.advance(90 * SECOND)
    await world.acknowledge(world.alert(2))
    still_open, types, waits, messages, life, deeds = [ask(world, query) for query in QUERIES]
    assert [row[:4] for row in still_open] == [(2, "main", 4, "Disk full"), (1, "main", 3, "Disk full")]
    assert str(still_open[0][4]).startswith("20")
    assert [(row[0], row[1], row[2]) for row in types] == [("disk.full", 3, 3)]
    assert [tuple(map(int, row)) for row in waits] == [(4, 1, 90)]
    assert sum(row[2] for row in messages) == len(world.messages()) > 0
    assert [row[2] for row in life if row[2] != "notified"] == ["opened"]
    assert [row[1:] for row in deeds] == [("marta@example.com", "alert.acknowledged", "alert:2")]
    await world.close()


@pytest.mark.claim("R9", "K13")
async def test_whoever_reads_for_long_sees_one_moment_and_holds_up_nobody(sqlite_world: World) -> None:
    world = sqlite_world
    await world.report(a_report("disk:/"))
    with closing(sqlite3.connect(f"file:{world.settings.sqlite_path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        count = "SELECT count(*) FROM events"
        assert reader.execute(count).fetchone() == (1,)
        await world.report(*[a_report(f"disk:{number}", at=NOW) for number in range(50)])
        assert reader.execute(count).fetchone() == (1,)
        reader.execute("COMMIT")
        assert reader.execute(count).fetchone() == (51,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM events")


def test_the_page_grants_tables_that_are_there_and_tells_of_each() -> None:
    (granted,) = re.findall(r"GRANT SELECT ON ([\w, ]+) TO", GRANTED)
    names = granted.split(", ")
    assert set(names) <= {table.name for table in tables.metadata.sorted_tables}
    assert names == re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    asked = {name for query in QUERIES for name in re.findall(r"(?:FROM|JOIN) (\w+)", query)}
    assert asked <= set(names)

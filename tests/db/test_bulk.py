"""Many rows at once mean the same as one after the other, on both databases."""

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from tests.build import an_id
from tocsin.db import bulk, tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx

COLUMNS = ("name", "value")


@pytest.fixture
def tx(database: Database) -> Iterator[Tx]:
    with database.writer_connection() as connection:
        yield Tx(connection, is_sqlite=database.is_sqlite)


def stored(tx: Tx) -> dict[str, str]:
    ours = sa.select(tables.settings).where(tables.settings.c.name != "schema_oldest")
    return {row.name: row.value for row in tx.sql.execute(ours)}


@pytest.mark.parametrize("count", [0, 1, 3, 129])
def test_a_change_reaches_the_rows_that_are_as_expected_and_names_them(tx: Tx, count: int) -> None:
    bulk.insert(tx, tables.settings, COLUMNS, [(f"n{n}", str(n % 2)) for n in range(count)])
    sets, where = "value = settings.value || v.value", "settings.name = v.name AND settings.value = v.value"
    changed = bulk.change(tx, tables.settings, COLUMNS, [(f"n{n}", "1") for n in range(count + 5)], sets, where, ("name", "value"))
    assert sorted(tuple(row) for row in changed) == sorted((f"n{n}", "11") for n in range(1, count, 2))
    assert stored(tx) == {f"n{n}": "11" if n % 2 else "0" for n in range(count)}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 127, 128, 129, 300, 1000])
def test_every_number_of_rows_is_inserted_and_updated_completely(tx: Tx, count: int) -> None:
    rows = [(f"n{n}", str(n)) for n in range(count)]
    bulk.insert(tx, tables.settings, COLUMNS, rows)
    assert stored(tx) == dict(rows)
    bulk.update(tx, tables.settings, ("value",), [(f"new {n}", f"n{n}") for n in range(0, count, 2)])
    assert stored(tx) == {f"n{n}": f"new {n}" if n % 2 == 0 else str(n) for n in range(count)}


NASTY = ["", "tab\tnew\nline\\back\r", "'quoted' \"twice\"", "\\N", "{a,b}", "NULL", "🔔 ünïcode", "a" * 10_000, "%s ? :x"]


def test_any_text_is_stored_as_it_is(tx: Tx) -> None:
    rows = [(f"n{n}", text) for n, text in enumerate(NASTY)]
    bulk.insert(tx, tables.settings, COLUMNS, rows)
    assert stored(tx) == dict(rows)
    bulk.update(tx, tables.settings, ("value",), [(text + "!", name) for name, text in rows])
    assert stored(tx) == {name: text + "!" for name, text in rows}
    bulk.insert_new(tx, tables.settings, COLUMNS, [(text, name) for name, text in rows if text])
    assert set(stored(tx)) == {name for name, _ in rows} | {text for text in NASTY if text}
    found = bulk.fetch(tx, tables.settings, ("value",), "name", NASTY)
    assert {row[0] for row in found} == {f"n{n}" for n, text in enumerate(NASTY) if text}


def test_every_type_of_column_goes_in_and_comes_back(tx: Tx) -> None:
    columns: tuple[str, ...] = (
        "id",
        "alert_number",
        "generation",
        "kind",
        "step",
        "contact_id",
        "site_id",
        "severity",
        "status",
        "attempts",
        "fence",
    )
    columns += ("created_at", "maybe_repeated", "lease_until")
    row = (an_id(1), 2**40, 1, "opened", 0, an_id(2), 1, 5, "pending", 0, 0, 2**45, True, None)
    for write in (bulk.insert, bulk.insert_new):
        write(tx, tables.outbox, columns, [row])
        (found,) = bulk.fetch(tx, tables.outbox, columns, "id", [an_id(1)])
        assert tuple(found) == row
        bulk.update(tx, tables.outbox, ("maybe_repeated", "lease_until"), [(False, 2**45, an_id(1))])
        (found,) = bulk.fetch(tx, tables.outbox, ("maybe_repeated", "lease_until"), "id", [an_id(1)])
        assert (bool(found[0]), found[1]) == (False, 2**45)
        tx.sql.execute(sa.delete(tables.outbox))


def test_insert_new_leaves_what_is_there_and_adds_the_rest(tx: Tx) -> None:
    bulk.insert(tx, tables.settings, COLUMNS, [("a", "old")])
    bulk.insert_new(tx, tables.settings, COLUMNS, [("a", "new"), ("b", "new")])
    assert stored(tx) == {"a": "old", "b": "new"}


def test_insert_refuses_a_row_that_is_there(tx: Tx) -> None:
    bulk.insert(tx, tables.settings, COLUMNS, [("a", "old")])
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        bulk.insert(tx, tables.settings, COLUMNS, [("b", ""), ("a", "new")])


@pytest.mark.parametrize("keys", [[], ["unknown"]])
def test_fetching_what_is_not_there_gives_nothing(tx: Tx, keys: list[str]) -> None:
    assert bulk.fetch(tx, tables.settings, COLUMNS, "name", keys) == []


def test_fetch_finds_those_that_are_there_under_further_conditions(tx: Tx) -> None:
    bulk.insert(tx, tables.settings, COLUMNS, [("a", "1"), ("b", "1"), ("c", "2")])
    found = bulk.fetch(tx, tables.settings, ("name",), "value = ? AND name", ["a", "c", "d"], parameters=("1",))
    assert [tuple(row) for row in found] == [("a",)]


def test_rows_are_locked_in_the_order_of_the_keys(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.writer_connection() as connection:
        tx = Tx(connection, is_sqlite=False)
        bulk.insert(tx, tables.settings, COLUMNS, [(name, "") for name in "dbca"])
        tx.driver.execute("BEGIN")
        found = bulk.fetch(tx, tables.settings, ("name",), "value = ? AND name", ["d", "a", "c"], parameters=("",), lock=True)
        assert [row[0] for row in found] == ["d", "a", "c"]
        with psycopg.connect(postgresql_url) as other:
            free = other.execute("SELECT name FROM settings WHERE value = '' ORDER BY name FOR UPDATE SKIP LOCKED").fetchall()
            assert free == [("b",)]
        tx.driver.execute("ROLLBACK")
    database.close()

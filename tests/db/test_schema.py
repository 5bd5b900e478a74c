"""The migrations and the page of tables say the same, on both databases."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conftest import Databases
from tocsin.core.errors import Unavailable
from tocsin.db import schema, tables
from tocsin.db.engine import Database

VERSIONS = Path(schema.__file__).parent / "migrations" / "versions"


def described(connection: sa.Connection) -> dict[str, object]:
    """Everything that a database says about itself, in a form that can be compared."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return {row[0]: _parts(row[1]) for row in rows if row[0] != "alembic_version"}
    queries = {
        "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1",
        "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2",
        "sequences": "SELECT sequencename, start_value, increment_by FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1",
    }
    return {name: [tuple(row) for row in connection.exec_driver_sql(sql)] for name, sql in queries.items()}


def _parts(sql: str) -> list[str]:
    """The parts of a CREATE statement without their order: constraints may be written in any."""
    plain = re.sub(r'[\s"]+', " ", sql).replace(" ,", ",").replace("( ", "(").replace(" )", ")")
    return sorted(part.strip() for part in re.split(r"[,()]", plain))


def made_from_tables(url: str) -> dict[str, object]:
    database = Database(url)
    with database.writer_connection() as connection:
        tables.metadata.create_all(connection)
        found = described(connection)
    database.close()
    return found


@pytest.mark.claim("K13")
def test_a_database_made_by_the_migrations_equals_one_made_from_the_tables(
    database: Database, databases: Databases, tmp_path: Path
) -> None:
    if database.is_sqlite:
        expected = made_from_tables(f"sqlite:///{tmp_path}/from-tables.db")
    else:
        url = databases.empty_postgresql()
        expected = made_from_tables(url)
        databases.drop(url)
    with database.read() as connection:
        found = described(connection)
    differing = {name: (found.get(name), expected.get(name)) for name in found | expected if found.get(name) != expected.get(name)}
    assert differing == {}


def test_the_newest_migration_is_the_one_that_the_code_expects(database: Database) -> None:
    files = sorted(path.name for path in VERSIONS.glob("[0-9]*.py"))
    assert files[-1].startswith(f"{schema.HEAD}_")
    with database.read() as connection:
        assert schema.version(connection) == schema.HEAD


def test_an_empty_database_gets_what_the_migrations_would_have_made(database: Database, databases: Databases, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db" if database.is_sqlite else databases.empty_postgresql()
    new = Database(url)
    assert schema.upgrade(new)
    assert not schema.upgrade(new)
    seen = []
    for one in (database, new):
        with one.read() as connection:
            known = connection.exec_driver_sql("SELECT name, value FROM settings ORDER BY name").all()
            seen.append((described(connection), schema.version(connection), schema.oldest(connection), known))
    new.close()
    if not database.is_sqlite:
        databases.drop(url)
    assert seen[0] == seen[1]


def test_an_upgrade_is_done_once(database: Database) -> None:
    assert schema.upgrade(database) is False


def test_the_database_says_which_releases_run_on_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    with database.writer_connection() as connection:
        assert schema.oldest(connection) is None
        assert schema.upgrade(database) is True
        assert schema.oldest(connection) == schema.OLDEST
    database.close()


def test_an_empty_database_has_no_version(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    with database.writer_connection() as connection:
        assert schema.version(connection) is None
    database.close()


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises((Unavailable, sa.exc.DatabaseError)), database.read() as connection:
        connection.execute(tables.settings.insert().values(name="a", value=""))


@pytest.mark.claim("K13")
def test_a_reader_sees_one_moment_only(database: Database) -> None:
    writer = database.writer_connection()
    with database.read() as connection:
        query = sa.select(sa.func.count()).select_from(tables.settings)
        if not database.is_sqlite:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = connection.execute(query).scalar_one()
        writer.execute(tables.settings.insert().values(name="a", value=""))
        assert connection.execute(query).scalar_one() == before
    writer.close()


@pytest.mark.claim("X4", "B14")
def test_the_hot_queries_use_an_index(sqlite_url: str) -> None:
    """No scan of a table that grows: the plans of what every commit and every delivery asks."""
    database = Database(sqlite_url)
    queries = (
        "SELECT id FROM events WHERE id IN (SELECT value FROM json_each('[]'))",
        "SELECT * FROM alerts WHERE status <> 'resolved' AND site_id = 1 AND dedup_key IN (SELECT value FROM json_each('[]'))",
        "SELECT * FROM alerts WHERE status = 'resolved' AND site_id = 1 AND dedup_key IN (SELECT value FROM json_each('[]'))",
        "SELECT * FROM alerts WHERE id = 'x'",
        "SELECT * FROM alerts WHERE due_at <= 1 ORDER BY due_at LIMIT 5",
        (
            "SELECT contact_id, site_id, count(*), max(severity) FROM outbox"
            " WHERE next_attempt_at <= 1 AND status = 'pending' GROUP BY contact_id, site_id"
        ),
        "SELECT * FROM outbox WHERE status = 'sending' AND lease_until IS NOT NULL AND lease_until < 1",
        "SELECT * FROM outbox WHERE digest_id = 'x'",
        "UPDATE outbox SET status = 'cancelled' WHERE alert_number = 1 AND status = 'pending' AND kind <> 'digest'",
        "SELECT * FROM alert_history WHERE alert_number = 1",
    )
    with database.read() as connection:
        for query in queries:
            plan = [str(row[3]) for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + query)]
            scans = [step for step in plan if step.startswith("SCAN") and "json_each" not in step]
            assert not scans, (query, plan)
    database.close()

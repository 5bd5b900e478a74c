"""`tocsin db`: upgrading, and finding what is broken."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.program import Handy, Inside
from tocsin.cli import promises
from tocsin.cli.schema import schema_fault
from tocsin.db import schema
from tocsin.db.engine import Database

ALERT = (
    "INSERT INTO alerts(number, id, site_id, dedup_key, type, title, severity, status, occurrences, generation,"
    " first_seen_at, last_seen_at) VALUES ({number}, 'a{number}', {site}, '{key}', 't', 't', 4, '{status}', 1, 1, 0, 0)"
)
HISTORY = "INSERT INTO alert_history(alert_number, at, actor, action, reason) VALUES ({number}, 0, 'a', 'opened', 'r')"
CONTACT = "INSERT INTO contacts(id, kind, target, origin, created_at, verified_at) VALUES ('c', 'ntfy', 't', 'user', 0, 0)"
MESSAGE = (
    "INSERT INTO outbox(id, alert_number, generation, kind, step, contact_id, site_id, severity, status, attempts, fence, lease_node,"
    " lease_until, next_attempt_at, created_at, maybe_repeated, digest_id) VALUES ('{id}', {number}, {step}, 'opened', 0, '{contact}',"
    " 1, 4, '{status}', 0, 0, {node}, {lease}, {next}, 0, 0, {digest})"
)
EVENT = (
    "INSERT INTO events(id, site_id, type, occurred_at, received_at, severity, status, title, alert_number)"
    " VALUES ('{id}', 1, 't', 0, 0, 4, 'problem', 't', {alert})"
)


def _alert(number: int = 1, site: int = 1, key: str = "k", status: str = "open") -> str:
    return ALERT.format(number=number, site=site, key=key, status=status)


def _message(**changes: object) -> str:
    values: dict[str, object] = {"id": "m", "number": 1, "step": 1, "contact": "c", "status": "pending", "node": "NULL", "lease": "NULL"}
    return MESSAGE.format(**{**values, "next": 0, "digest": "NULL", **changes})


SOUND = (_alert(), HISTORY.format(number=1), CONTACT, "INSERT INTO sites(id, slug, name, created_at) VALUES (1, 'main', 'main', 0)")

BROKEN: dict[str, tuple[str, ...]] = {
    "dedup keys with more than one unresolved alert": ("DROP INDEX alerts_unresolved", _alert(2), HISTORY.format(number=2)),
    "messages that exist twice": ("DROP INDEX outbox_identity", _message(), _message(id="n")),
    "events that exist twice": ("DROP INDEX events_id", *[EVENT.format(id="e", alert=1)] * 2),
    "messages about an alert that does not exist": (_message(number=77),),
    "messages to a contact that does not exist": (_message(contact="gone"),),
    "waiting messages without a moment": (_message(next="NULL"),),
    "messages under way that no process has leased": (_message(status="sending", next="NULL"),),
    "messages whose digest does not exist": (_message(status="sent", digest="'gone'"),),
    "messages that wait for a digest that has ended": (
        _message(id="d", status="failed", next="NULL"),
        _message(step=2, status="sending", digest="'d'", next="NULL"),
    ),
    "attempts of a message that does not exist": (
        "INSERT INTO attempts(outbox_id, fence, node, contact_id, claimed_at) VALUES ('gone', 1, 'n', 'c', 0)",
    ),
    "sent messages without an attempt": (_message(status="sent", next="NULL"),),
    "history lines of an alert that does not exist": (HISTORY.format(number=77),),
    "alerts without any history": (_alert(2, key="other"),),
    "events of an alert that does not exist": (EVENT.format(id="e", alert=77),),
    "alerts in a state that there is not": ("UPDATE alerts SET status = 'lost'",),
    "snoozed alerts that nothing will wake": ("UPDATE alerts SET status = 'snoozed'",),
    "alerts of a site that does not exist": (_alert(2, site=77), HISTORY.format(number=2)),
}


@contextmanager
def _checked(url: str) -> Iterator[list[str]]:
    database = Database(url)
    with database.read() as connection:
        yield [*promises.damage(connection), *promises.broken(connection)]
    database.close()


def _do(url: str, *statements: str) -> None:
    with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as connection:
        for statement in (*SOUND, *statements):
            connection.execute(statement)
        connection.commit()


@pytest.mark.claim("O4", "X3", "B14")
def test_every_promise_has_a_case_here_in_which_it_is_broken_and_the_check_finds_just_that(sqlite_url: str, tmp_path: Path) -> None:
    sound = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    for number, (sentence, statements) in enumerate(BROKEN.items()):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        (tmp_path / f"{number}.db").write_bytes(sound)
        _do(url, *statements)
        with _checked(url) as faults:
            assert any(sentence in fault for fault in faults), (sentence, faults)
    unproven = [p.sentence for p in promises.PROMISES if not any(p.sentence.startswith(sentence) for sentence in BROKEN)]
    assert unproven == []


def test_a_sound_database_breaks_no_promise_on_either_kind(database_url: str) -> None:
    database = Database(database_url)
    with database.read() as connection:
        assert [*promises.damage(connection), *promises.missing(connection), *promises.broken(connection)] == []
    database.close()


def test_what_the_schema_names_and_the_database_lacks_is_found(sqlite_url: str) -> None:
    _do(sqlite_url, "DROP INDEX outbox_identity", "DROP TABLE quarantine", "ALTER TABLE users DROP COLUMN time_zone")
    database = Database(sqlite_url)
    with database.read() as connection:
        missing = set(promises.missing(connection))
    database.close()
    assert missing == {
        "the index outbox_identity is missing",
        "the table quarantine is missing",
        "the column users.time_zone is missing",
    }


def test_a_version_is_of_this_release_or_older_or_too_new() -> None:
    assert schema_fault(schema.HEAD, schema.OLDEST) is None
    empty, older, newer = schema_fault(None, None), schema_fault("0000", "0000"), schema_fault("9999", "9998")
    assert empty is not None
    assert older is not None
    assert newer is not None
    assert (empty.too_new, older.too_new, newer.too_new) == (False, False, True)
    assert "run `tocsin db upgrade`" in older.text
    assert schema_fault("9999", None) is not None
    assert schema_fault("9999", schema.HEAD) is None


def _upgraded_by_a_later_release(url: str, allows: str) -> None:
    """What the next release's migrations leave behind, beside what they add."""
    database = Database(url)
    with database.writer_connection() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("DELETE FROM settings WHERE name = 'schema_oldest'")
        connection.exec_driver_sql(f"INSERT INTO settings VALUES ('schema_oldest', '{allows}')")
        connection.exec_driver_sql("ALTER TABLE alerts ADD COLUMN of_tomorrow TEXT")
    database.close()


def test_a_release_runs_on_the_schema_of_the_next_one(inside: Inside, database_url: str) -> None:
    _upgraded_by_a_later_release(database_url, schema.HEAD)
    inside.set(TOCSIN_DATABASE_URL=database_url)
    assert "schema 9999, that of a newer release on which this one runs" in inside.run("db", "check").out
    assert "nothing was done" in inside.run("db", "upgrade").out
    assert inside.run("test-alert", "--wait", "0").err.startswith("There is nobody to tell")
    assert inside.run("alerts", "resolve", "1").code == 0
    found = inside.run("doctor", "--json").json
    assert {f["verdict"] for f in found["findings"] if f["part"] == "database"} == {"ok"}


def test_a_release_leaves_alone_what_only_later_ones_understand(inside: Inside, database_url: str) -> None:
    _upgraded_by_a_later_release(database_url, "9998")
    inside.set(TOCSIN_DATABASE_URL=database_url)
    for command in (("alerts", "list"), ("db", "upgrade"), ("key", "add", "a", "--scope", "read"), ("serve",)):
        refused = inside.run(*command)
        assert refused.is_one_complaint(), refused
        assert "the database has schema 9999, on which this release" in refused.err
    assert inside.run("db", "check").code == 1


@pytest.mark.claim("O4", "X3")
def test_the_database_is_made_upgraded_checked_beside_a_server_and_its_damage_is_named(handy: Handy) -> None:
    nothing = handy.run("db", "check")
    assert nothing.is_one_complaint()
    assert "there is no database at" in nothing.err
    assert handy.run("db", "upgrade", "--json").json == {"changed": True, "before": None, "schema": schema.HEAD}
    assert handy.run("db", "upgrade", "--json").json["changed"] is False
    with handy.serving() as server:
        server.post(handy.key(), {"type": "invoice.payment_failed"})
        assert handy.run("db", "check").code == 0
        assert server.stop() == 0
    _scribble(handy.folder / "tocsin.db")
    damaged = handy.run("db", "check", "--json")
    assert damaged.code == 1, damaged
    assert "damaged" in damaged.out + damaged.err


def _scribble(path: Path) -> None:
    """What a failing disk does, after everything has been moved into the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 512] = b"\x5a" * 512
    path.write_bytes(content)


def test_the_commands_work_on_postgresql_as_well(handy: Handy, postgresql_url: str) -> None:
    handy.settings["TOCSIN_DATABASE_URL"] = postgresql_url
    assert handy.run("db", "check").code == 0
    handy.settings["NTFY_SERVER_URL"] = "http://127.0.0.1:9"
    with handy.serving() as server:
        server.post(handy.key(), {"type": "invoice.payment_failed"})
        assert handy.run("alerts", "ack", "1", "--json").json["status"] == "acknowledged"
        assert server.stop() == 0
    found = handy.run("doctor", "--json").json
    assert {f["verdict"] for f in found["findings"] if f["part"] == "database"} == {"ok"}

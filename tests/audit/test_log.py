"""The log in the database: one chain with any number of writers, written with the change or not at all, and hard to bend."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import Databases
from tests.fakes import NOW, FakeClock
from tocsin.audit import service as audit, store
from tocsin.audit.model import Fault, Who
from tocsin.audit.refusals import MAX_KINDS, Refusals, network_of
from tocsin.core.clock import MINUTE
from tocsin.core.errors import Conflict
from tocsin.db import tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer

MARTA = Who("marta@example.com", "192.0.2.7")


@pytest.fixture
def writer(database: Database) -> Any:
    writer = Writer(database, threads=1 if database.is_sqlite else 3)
    writer.start()
    yield writer
    writer.stop()


def noting(number: int) -> Callable[[Tx], None]:
    return lambda tx: audit.record(tx, MARTA, "key.made", f"key:{number}", NOW + number, after={"name": f"k{number}"})


def verified(database: Database) -> tuple[int, Fault] | None:
    with database.read() as connection:
        _, broken = store.verify(connection)
    return None if broken is None else (broken.number, broken.fault)


def entries(database: Database, **wanted: Any) -> list[str]:
    with database.read() as connection:
        return [f"{e.actor} {e.action} {e.object}" for e in store.page(connection, store.Filter(**wanted), None, 1_000)]


def tamper(database: Database, statement: Any) -> None:
    with database.writer_connection() as connection:
        connection.execute(statement)


@pytest.mark.claim("S5")
def test_many_writers_make_one_chain_without_gaps(database: Database, writer: Writer) -> None:
    second = Writer(database, threads=2)
    second.start()

    def write(one: Writer, first: int) -> None:
        for n in range(first, first + 40):
            one.call(noting(n))

    threads = [
        threading.Thread(target=write, args=(one, first)) for one, first in ((writer, 0), (writer, 100), (second, 200), (second, 300))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.stop()
    assert verified(database) is None
    assert len(entries(database)) == 160


def test_what_did_not_happen_is_not_in_the_log(database: Database, writer: Writer) -> None:
    def fail(tx: Tx) -> None:
        noting(1)(tx)
        raise Conflict("no")

    with pytest.raises(Conflict):
        writer.call(fail)
    writer.call(noting(2))
    assert entries(database) == ["marta@example.com key.made key:2"]
    assert verified(database) is None


@pytest.mark.claim("S5")
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (tables.audit.update().where(tables.audit.c.number == 3).values(actor="somebody else"), (3, Fault.CHANGED)),
        (tables.audit.update().where(tables.audit.c.number == 3).values(after='{"name":"other"}'), (3, Fault.CHANGED)),
        (tables.audit.delete().where(tables.audit.c.number == 3), (3, Fault.MISSING)),
        (tables.audit.delete().where(tables.audit.c.number == 1), (1, Fault.MISSING)),
        (tables.audit.delete().where(tables.audit.c.number >= 4), (3, Fault.CUT_OFF)),
        (tables.audit.delete(), (0, Fault.CUT_OFF)),
        (tables.settings.delete().where(tables.settings.c.name == store.HEAD), (5, Fault.NO_NOTE)),
    ],
)
def test_the_first_link_that_somebody_broke_is_named(
    database: Database, writer: Writer, statement: Any, expected: tuple[int, Fault]
) -> None:
    for n in range(5):
        writer.call(noting(n))
    tamper(database, statement)
    assert verified(database) == expected


def test_a_long_log_is_walked_in_pieces(database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "AT_ONCE", 7)

    def many(tx: Tx) -> None:
        for n in range(50):
            noting(n)(tx)

    writer.call(many)
    assert verified(database) is None
    tamper(database, tables.audit.update().where(tables.audit.c.number == 29).values(at=1))
    assert verified(database) == (29, Fault.CHANGED)


def test_it_can_be_asked_for_one_person_one_action_one_thing_one_time(database: Database, writer: Writer) -> None:
    def work(tx: Tx) -> None:
        audit.record(tx, MARTA, "key.made", "key:1", NOW)
        audit.record(tx, Who("cli:root"), "key.revoked", "key:1", NOW + 1)
        audit.record(tx, MARTA, "user.invited", "user:9", NOW + 2)

    writer.call(work)
    assert entries(database, actor="cli:root") == ["cli:root key.revoked key:1"]
    assert len(entries(database, action="key.")) == 2
    assert len(entries(database, action="key.made")) == 1
    assert len(entries(database, object="key:1")) == 2
    assert entries(database, since=NOW + 2) == ["marta@example.com user.invited user:9"]
    assert entries(database, until=NOW + 1) == ["marta@example.com key.made key:1"]


def test_a_change_that_changes_nothing_leaves_no_entry(database: Database, writer: Writer) -> None:
    writer.call(
        lambda tx: audit.record_change(tx, MARTA, "user.changed", "user:9", NOW, before={"role": "viewer"}, after={"role": "viewer"})
    )
    assert entries(database) == []


async def refused(database: Database) -> list[tuple[str, str | None, str | None]]:
    with database.read() as connection:
        return [(e.actor, e.address, e.after) for e in reversed(store.page(connection, store.Filter(action="refused"), None, 1_000))]


@pytest.mark.claim("S5")
async def test_refusals_are_noted_at_once_and_their_repeats_counted(database: Database, writer: Writer, clock: FakeClock) -> None:
    refusals = Refusals(writer, clock)
    for _ in range(10_000):
        refusals.note("nobody", "192.0.2.9", "refused", "POST /login", "wrong password")
    await refusals.settle()
    assert await refused(database) == [("nobody", "192.0.2.9", '{"reason":"wrong password"}')]
    clock.advance(MINUTE)
    refusals.flush()
    await refusals.settle()
    assert (await refused(database))[1:] == [("nobody", "192.0.2.9", '{"reason":"wrong password","times_more":9999}')]
    assert verified(database) is None


async def test_whoever_comes_from_everywhere_fills_neither_memory_nor_disk(database: Database, writer: Writer, clock: FakeClock) -> None:
    refusals = Refusals(writer, clock)
    for n in range(5_000):
        refusals.note("nobody", f"10.{n >> 8}.{n & 255}.1", "refused", "POST /login", "wrong password")
    await refusals.close()
    found = await refused(database)
    assert len(found) == MAX_KINDS + 2
    assert ("many others", None, f'{{"reason":"","times_more":{5_000 - MAX_KINDS - 1}}}') in found


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_network_counts_as_one_place(address: str, network: str) -> None:
    assert network_of(address) == network


def test_databases_of_the_two_kinds_chain_alike(databases: Databases, tmp_path: Any) -> None:
    digests = set()
    for url in (databases.sqlite(tmp_path / "a.db"), databases.postgresql()):
        database = Database(url)
        writer = Writer(database)
        writer.start()
        writer.call(noting(1))
        writer.stop()
        with database.read() as connection:
            digests.add(connection.execute(sa.select(tables.audit.c.digest)).scalar_one())
        database.close()
        if url.startswith("postgresql"):
            databases.drop(url)
    assert len(digests) == 1

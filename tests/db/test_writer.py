"""The one door through which data is changed: group commit, faults, conflicts. On both databases."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.conftest import Databases
from tocsin.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from tocsin.db import tables
from tocsin.db.engine import Database, explain, is_fault
from tocsin.db.writer import MAX_WORKS, Tx, Writer


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.stop()


def names(database: Database) -> list[str]:
    name = tables.settings.c.name
    with database.read() as connection:
        return list(connection.execute(sa.select(name).where(name != "schema_oldest").order_by(name)).scalars())


def put(tx: Tx, name: str) -> None:
    tx.sql.execute(tables.settings.insert().values(name=name, value=""))


class Putter:
    """A group that notes how many items each of its calls had."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, tx: Tx, items: Sequence[str]) -> list[str]:
        self.calls.append(len(items))
        for item in items:
            put(tx, item)
            if item.startswith("bad"):
                raise Conflict(f"{item} cannot be put")
        return [f"put {item}" for item in items]


async def test_all_work_at_hand_is_done_in_one_transaction_and_answered_one_by_one(writer: Writer, database: Database) -> None:
    putter = Putter()
    futures = [writer.submit(putter, f"n{n:03}") for n in range(100)]
    writer.start()
    assert await asyncio.gather(*futures) == [f"put n{n:03}" for n in range(100)]
    assert putter.calls == [100]
    assert names(database) == [f"n{n:03}" for n in range(100)]


async def test_a_transaction_takes_a_bounded_amount_of_work(writer: Writer) -> None:
    putter = Putter()
    futures = [writer.submit(putter, f"n{n}") for n in range(MAX_WORKS + 1)]
    writer.start()
    await asyncio.gather(*futures)
    assert putter.calls == [MAX_WORKS, 1]


async def test_a_caller_hears_of_success_only_after_the_commit(writer: Writer, database: Database) -> None:
    writer.start()
    for n in range(20):
        await writer.run(partial(put, name=f"n{n:02}"))
        assert f"n{n:02}" in names(database)


async def test_work_that_fails_fails_alone(writer: Writer, database: Database) -> None:
    putter = Putter()
    futures = [writer.submit(putter, name) for name in ("a", "bad", "c")]
    other = writer.run(lambda tx: put(tx, "d"))
    writer.start()
    results = await asyncio.gather(*futures, other, return_exceptions=True)
    assert [str(result) for result in results] == ["put a", "bad cannot be put", "put c", "None"]
    assert isinstance(results[1], Conflict)
    assert names(database) == ["a", "c", "d"]


async def test_nothing_of_failed_work_stays(writer: Writer, database: Database) -> None:
    writer.start()

    def half(tx: Tx) -> None:
        put(tx, "half")
        raise NotFound("the other half")

    with pytest.raises(NotFound):
        await writer.run(half)
    assert names(database) == []


async def test_a_fault_in_the_code_reaches_its_caller_and_the_writer_goes_on(writer: Writer, database: Database) -> None:
    writer.start()

    def broken(_tx: Tx) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.run(broken)
    await writer.run(lambda tx: put(tx, "a"))
    assert names(database) == ["a"]


async def test_what_follows_a_commit_happens_before_the_answer_and_only_after_a_commit(writer: Writer) -> None:
    writer.start()
    seen: list[str] = []

    def work(tx: Tx) -> None:
        tx.after_commit(lambda: seen.append("committed"))

    def failing(tx: Tx) -> None:
        tx.after_commit(lambda: seen.append("never"))
        raise NotFound("no")

    future = writer.run(work)
    future.add_done_callback(lambda _: seen.append("answered"))
    await future
    with pytest.raises(NotFound):
        await writer.run(failing)
    assert seen == ["committed", "answered"]


async def test_what_follows_a_commit_runs_in_the_event_loop(writer: Writer) -> None:
    writer.start()
    places: list[int] = []
    await writer.run(lambda tx: tx.after_commit(lambda: places.append(threading.get_ident())))
    assert places == [threading.get_ident()]


async def test_threads_and_the_event_loop_may_share_a_transaction(writer: Writer, database: Database) -> None:
    """A command's thread hands in work first, then the loop: each is answered in its own way."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(writer.call(lambda tx: put(tx, "from a thread"))))
    thread.start()
    while writer.backlog == 0:
        await asyncio.sleep(0)
    places: list[int] = []

    def work(tx: Tx) -> str:
        put(tx, "from the loop")
        tx.after_commit(lambda: places.append(threading.get_ident()))
        return "done"

    future = writer.run(work)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)  # notices a future that another thread touches
    writer.start()
    assert await asyncio.wait_for(future, 5) == "done"
    thread.join(5)
    assert results == [None]
    assert places == [threading.get_ident()]
    assert names(database) == ["from a thread", "from the loop"]


def test_work_from_a_thread_waits_for_its_result(writer: Writer) -> None:
    writer.start()
    assert writer.call(lambda _tx: 42) == 42
    with pytest.raises(NotFound):
        writer.call(_missing)


def _missing(_tx: Tx) -> None:
    raise NotFound("it")


async def test_stopping_finishes_what_was_handed_in(database: Database) -> None:
    writer = Writer(database)
    futures = [writer.run(partial(put, name=f"n{n}")) for n in range(5)]
    writer.start()
    await asyncio.to_thread(writer.stop)
    await asyncio.gather(*futures)
    assert len(names(database)) == 5


async def test_the_backlog_counts_what_is_handed_in_until_it_is_answered(writer: Writer) -> None:
    putter = Putter()
    futures = [writer.submit(putter, "a", weight=40), writer.submit(putter, "bad", weight=2)]
    assert writer.backlog == 42
    writer.start()
    await asyncio.gather(*futures, return_exceptions=True)
    assert writer.backlog == 0


async def test_a_mishap_in_what_follows_a_commit_keeps_no_caller_waiting(writer: Writer, database: Database) -> None:
    writer.start()

    def mishap() -> None:
        raise ZeroDivisionError

    def work(tx: Tx) -> str:
        put(tx, "a")
        tx.after_commit(mishap)
        return "done"

    async with asyncio.timeout(10):
        assert await writer.run(work) == "done"
    assert names(database) == ["a"]


async def test_a_caller_who_went_away_harms_nobody(writer: Writer, database: Database) -> None:
    futures = [writer.run(partial(put, name=f"n{n}")) for n in range(3)]
    futures[1].cancel()
    writer.start()
    await asyncio.gather(futures[0], futures[2])
    assert names(database) == ["n0", "n1", "n2"]


# Faults of the database.


async def test_a_full_disk_is_said_in_plain_words_and_nothing_is_taken(sqlite_url: str) -> None:
    """And when there is room again, the next work is done, as if nothing had been."""
    database = Database(sqlite_url)
    writer = Writer(database)
    writer.start()

    def fill(tx: Tx) -> None:
        pages = tx.driver.execute("PRAGMA page_count").fetchone()[0]
        tx.driver.execute(f"PRAGMA max_page_count={pages}")
        for n in range(1000):
            tx.sql.execute(tables.settings.insert().values(name=f"n{n}", value="x" * 4000))

    with pytest.raises(Unavailable, match="the disk is full: free some space") as failure:
        await writer.run(fill)
    assert failure.value.retry_after > 0
    assert "disk is full" in str(writer.last_fault)
    await writer.run(lambda tx: tx.driver.execute("PRAGMA max_page_count=1000000"))
    await writer.run(lambda tx: put(tx, "a"))
    assert not writer.last_fault
    assert names(database) == ["a"]
    await asyncio.to_thread(writer.stop)
    database.close()


async def test_a_locked_database_is_unavailable_and_works_again_when_it_is_free(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.db.engine.BUSY_TIMEOUT_MS", 20)
    database = Database(sqlite_url)
    writer = Writer(database)
    writer.start()
    holder = sqlite3.connect(str(database.path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another process holds the database"):
        await writer.run(lambda tx: put(tx, "a"))
    holder.execute("ROLLBACK")
    holder.close()
    await writer.run(lambda tx: put(tx, "a"))
    assert names(database) == ["a"]
    await asyncio.to_thread(writer.stop)
    database.close()


async def test_a_missing_folder_is_unavailable_not_the_end(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/later/tocsin.db")
    writer = Writer(database)
    writer.start()
    with pytest.raises(Unavailable, match="the database file cannot be opened"):
        await writer.run(lambda tx: put(tx, "a"))
    (tmp_path / "later").mkdir()
    with pytest.raises(Unavailable, match="the database file cannot be opened"):
        await writer.run(lambda tx: put(tx, "a"))
    assert list((tmp_path / "later").iterdir()) == [], "no empty database stands in for the one that is missing"
    await asyncio.to_thread(writer.stop)
    database.close()


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
async def test_a_database_file_that_was_taken_away_takes_no_more(sqlite_url: str, databases: Databases, replaced: bool) -> None:
    """SQLite itself would go on with the deleted file, and all that it takes from then on would be gone after the next start."""
    database = Database(sqlite_url)
    assert database.path is not None
    writer = Writer(database)
    writer.start()
    await writer.run(lambda tx: put(tx, "a"))
    assert names(database) == ["a"]
    database.path.unlink()
    if replaced:
        databases.sqlite(database.path)
    for _ in range(2):  # nor does a new connection make or find another one
        with pytest.raises(Unavailable, match=r"the database file (was deleted or replaced|cannot be opened)"):
            await writer.run(lambda tx: put(tx, "b"))
        with pytest.raises(Unavailable, match="the database file was deleted or replaced"), database.read():
            pass
    assert writer.last_fault is not None
    assert database.path.exists() == replaced
    await asyncio.to_thread(writer.stop)
    database.close()


@pytest.mark.usefixtures("own_connections")
async def test_prepared_statements_that_a_pooler_loses_are_done_without(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    writer = Writer(database)
    writer.start()
    lose_all = "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"
    for n in range(10):  # psycopg prepares what it has seen five times
        await writer.run(partial(put, name=f"n{n}"))
        assert len(names(database)) == n + 1
    await writer.run(lambda tx: tx.driver.execute(lose_all))
    await writer.run(lambda tx: put(tx, "m"))
    for n in range(10):
        await writer.run(partial(put, name=f"o{n}"))
        await writer.run(lambda tx: tx.driver.execute(lose_all))
    assert len(names(database)) == 21
    await asyncio.to_thread(writer.stop)
    database.close()


@pytest.mark.usefixtures("own_connections")
async def test_a_reader_whose_prepared_statement_was_lost_is_asked_to_try_again_and_then_succeeds(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    for _ in range(10):
        assert names(database) == []
    with pytest.raises(Unavailable, match="try again"), database.read() as connection:
        connection.exec_driver_sql("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
    assert names(database) == []
    database.close()


@pytest.mark.usefixtures("own_connections")
async def test_a_server_that_was_made_read_only_is_named_and_works_again_when_it_is_not(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    writer = Writer(database)
    writer.start()
    name = postgresql_url.rpartition("/")[2]
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(Unavailable, match="takes no changes"):
            await writer.run(lambda tx: put(tx, "a"))
        other.execute("SET default_transaction_read_only = off")
        other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await writer.run(lambda tx: put(tx, "a"))
    assert names(database) == ["a"]
    await asyncio.to_thread(writer.stop)
    database.close()


async def test_a_lost_connection_is_unavailable_and_the_next_work_finds_a_new_one(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    writer = Writer(database)
    writer.start()

    def cut_off(tx: Tx) -> None:
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (tx.driver.info.backend_pid,))
        put(tx, "lost")

    with pytest.raises(Unavailable):
        await writer.run(cut_off)
    await writer.run(lambda tx: put(tx, "a"))
    assert names(database) == ["a"]
    assert not writer.last_fault
    await asyncio.to_thread(writer.stop)
    database.close()


async def test_a_database_server_that_does_not_answer_is_named(unused_port: int) -> None:
    database = Database(f"postgresql://tocsin:hunter2@127.0.0.1:{unused_port}/tocsin")
    writer = Writer(database)
    writer.start()
    with pytest.raises(Unavailable, match="the database server does not answer") as failure:
        await writer.run(lambda tx: put(tx, "a"))
    assert "hunter2" not in str(failure.value)
    await asyncio.to_thread(writer.stop)
    database.close()


async def test_a_reader_of_a_database_that_is_gone_is_told_so(unused_port: int) -> None:
    database = Database(f"postgresql://127.0.0.1:{unused_port}/tocsin")
    with pytest.raises(Unavailable, match="does not answer"), database.read():
        pass
    database.close()


def test_what_a_caller_did_wrong_is_no_fault_of_the_database() -> None:
    assert not is_fault(sqlite3.IntegrityError("UNIQUE"))
    assert not is_fault(sqlite3.ProgrammingError("wrong number of values"))
    assert not is_fault(psycopg.errors.UniqueViolation())
    assert not is_fault(NotFound("it"))
    assert is_fault(sqlite3.OperationalError("disk I/O error"))
    assert is_fault(sqlite3.DatabaseError("database disk image is malformed"))
    assert is_fault(psycopg.OperationalError("server closed the connection"))
    assert is_fault(psycopg.errors.DiskFull())


def test_a_fault_that_nobody_foresaw_is_told_as_the_database_says_it() -> None:
    assert explain(sqlite3.OperationalError("a new kind of trouble\nwith details")) == "the database failed: a new kind of trouble"
    assert explain(sqlite3.OperationalError()) == "the database failed: OperationalError"


# Conflicts: PostgreSQL has more than one writer.


async def test_a_unique_conflict_with_another_writer_is_looked_at_again(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    writer = Writer(database)
    writer.start()
    tries: list[bool] = []

    def first_or_second(tx: Tx) -> str:
        taken = tx.sql.execute(sa.select(tables.settings).where(tables.settings.c.name == "it")).first() is not None
        tries.append(taken)
        if taken:
            return "second"
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute("INSERT INTO settings(name, value) VALUES ('it', '')")
        put(tx, "it")
        return "first"

    assert await writer.run(first_or_second) == "second"
    assert tries == [False, True]
    await asyncio.to_thread(writer.stop)
    database.close()


async def test_a_conflict_that_stays_is_an_error_for_its_caller(writer: Writer) -> None:
    writer.start()
    await writer.run(lambda tx: put(tx, "a"))
    with pytest.raises(sa.exc.IntegrityError):
        await writer.run(lambda tx: put(tx, "a"))
    assert await writer.run(lambda _tx: 1) == 1


class Turning:
    """A group that stays in its transaction until it is told to go on."""

    def __init__(self, *, passes_on: bool) -> None:
        self.passes_on = passes_on
        self.begun: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, tx: Tx, items: Sequence[str]) -> list[int]:
        self.begun.extend(items)
        if self.passes_on:
            tx.next_may_begin()
        assert self.go_on.wait(10)
        return [len(items)] * len(items)

    async def has_begun(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.begun) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
def turning(postgresql_url: str) -> Iterator[Writer]:
    database = Database(postgresql_url)
    writer = Writer(database, threads=1, in_turns=2)
    writer.start()
    yield writer
    writer.stop()
    database.close()


async def test_who_waits_for_a_turn_is_written_with_all_that_came_meanwhile(turning: Writer) -> None:
    group = Turning(passes_on=False)
    turning.take_turns(group)
    first = turning.submit(group, "a")
    await group.has_begun(1)
    others = [turning.submit(group, name) for name in ("b", "c")]
    assert await turning.run(lambda _tx: "other work goes on") == "other work goes on"
    assert group.begun == ["a"]
    group.go_on.set()
    assert [await first, *[await other for other in others]] == [1, 2, 2]


async def test_who_may_pass_the_turn_on_has_the_next_begin_beside_it(turning: Writer) -> None:
    group = Turning(passes_on=True)
    turning.take_turns(group)
    both = [turning.submit(group, "a")]
    await group.has_begun(1)
    both.append(turning.submit(group, "b"))
    await group.has_begun(2)
    group.go_on.set()
    assert [await one for one in both] == [1, 1]


async def test_a_turn_that_fails_is_passed_on(turning: Writer) -> None:
    def fails(_tx: Tx, _items: Sequence[str]) -> list[int]:
        raise InvalidInput.of("name", "is bad")

    turning.take_turns(fails)
    for _ in range(3):
        with pytest.raises(InvalidInput):
            await turning.submit(fails, "a")


async def test_a_deadlock_is_tried_again(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    writer = Writer(database, threads=2)
    writer.start()
    await writer.run(partial(put, name="a"))
    await writer.run(partial(put, name="b"))
    first_holds, second_holds = threading.Event(), threading.Event()
    turns = [True, True]

    def lock(tx: Tx, names: str, who: int) -> str:
        _lock(tx, names[0])
        if turns[who]:  # only the first time, so that they hold what the other wants
            turns[who] = False
            (first_holds, second_holds)[who].set()
            assert (second_holds, first_holds)[who].wait(5)
        _lock(tx, names[1])
        return names

    one = writer.run(lambda tx: lock(tx, "ab", 0))
    await asyncio.to_thread(first_holds.wait, 5)
    two = writer.run(lambda tx: lock(tx, "ba", 1))
    assert [await one, await two] == ["ab", "ba"]
    await asyncio.to_thread(writer.stop)
    database.close()


def _lock(tx: Tx, name: str) -> None:
    tx.sql.execute(sa.select(tables.settings).where(tables.settings.c.name == name).with_for_update())


class Told:
    """Waits for an answer without being a future: it is told in the very moment."""

    def __init__(self, heard: list[str]) -> None:
        self._heard, self.told = heard, asyncio.Event()

    def done(self) -> bool:
        return False

    def set_result(self, _result: None) -> None:
        self._heard.append("answer")
        self.told.set()

    def set_exception(self, exception: BaseException) -> None:
        raise exception


async def test_what_a_commit_begins_takes_its_first_step_before_the_answer(writer: Writer) -> None:
    writer.start()
    heard: list[str] = []
    pages: list[asyncio.Task[None]] = []

    async def send() -> None:
        heard.append("page")

    def decide(tx: Tx, items: Sequence[str]) -> list[None]:
        tx.after_commit(lambda: pages.append(asyncio.create_task(send())))
        return [None for _ in items]

    told = Told(heard)
    writer.hand_in(decide, "an event", 1, told)
    await asyncio.wait_for(told.told.wait(), 10)
    await pages[0]
    assert heard == ["page", "answer"]


# --- SQLite's log is flushed beside the next transaction


class Disk:
    """Stands in the place of the call that flushes: it can be held, and it can fail."""

    def __init__(self) -> None:
        self.flushes = 0
        self.fault: OSError | None = None
        self.is_free = threading.Event()
        self.is_free.set()

    def __call__(self, file: int) -> None:
        assert Path(f"/proc/self/fd/{file}").readlink().name.endswith("-wal")
        self.is_free.wait(10)
        self.flushes += 1
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("tocsin.db.log.os.fdatasync", disk)
    return disk


@pytest.fixture
def on_sqlite(sqlite_url: str, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Database, Writer]]:
    monkeypatch.setattr("tocsin.db.engine.BUSY_TIMEOUT_MS", 50)
    database = Database(sqlite_url)
    writer = Writer(database)
    writer.start()
    yield database, writer
    disk.is_free.set()
    writer.stop()
    database.close()


async def until_stored(database: Database, wanted: list[str]) -> None:
    async with asyncio.timeout(10):
        while names(database) != wanted:
            await asyncio.sleep(0.005)


async def test_nobody_is_answered_and_nothing_follows_before_the_flush(on_sqlite: tuple[Database, Writer], disk: Disk) -> None:
    database, writer = on_sqlite
    followed: list[str] = []

    def work(tx: Tx) -> str:
        put(tx, "a")
        tx.after_commit(partial(followed.append, "a"))
        return "put a"

    disk.is_free.clear()
    future = writer.run(work)
    await until_stored(database, ["a"])
    await asyncio.sleep(0.05)
    assert not future.done()
    assert not followed
    disk.is_free.set()
    assert await future == "put a"
    assert followed == ["a"]


async def test_a_busy_writer_goes_on_while_the_flusher_waits_for_the_disk(on_sqlite: tuple[Database, Writer], disk: Disk) -> None:
    database, writer = on_sqlite
    putter, gate = Putter(), threading.Event()

    def hold(tx: Tx) -> None:
        put(tx, "a")
        gate.wait(10)

    first = writer.run(hold)
    await asyncio.sleep(0.05)
    second = writer.submit(putter, "b")  # so that there is work when the first transaction ends
    disk.is_free.clear()
    gate.set()
    await until_stored(database, ["a", "b"])
    assert not first.done()
    assert not second.done()
    disk.is_free.set()
    await asyncio.gather(first, second)
    assert disk.flushes <= 2


async def test_what_could_not_be_flushed_is_not_acknowledged_and_no_second_flush_is_believed(
    on_sqlite: tuple[Database, Writer], disk: Disk
) -> None:
    database, writer = on_sqlite
    putter = Putter()
    disk.fault = OSError(5, "Input/output error")
    with pytest.raises(Unavailable, match="the disk reports errors"):
        await writer.submit(putter, "a")
    assert writer.last_fault is not None
    disk.fault = None
    flushes = disk.flushes
    with database.read() as connection:
        connection.execute(sa.select(tables.settings)).all()  # a snapshot, for which the log is still needed
        with pytest.raises(Unavailable, match="could not be flushed"):
            await writer.submit(putter, "b")
    assert disk.flushes == flushes
    assert await writer.submit(putter, "c") == "put c"
    assert not writer.last_fault
    assert names(database) == ["a", "c"]

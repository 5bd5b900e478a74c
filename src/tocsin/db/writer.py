"""The one door through which data is changed: group commit.

Callers hand in work; a thread takes whatever is there, does all of it in one transaction and answers everybody when that is
on the disk. It never waits for more. See docs/adr/0003-writer-thread.md.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
import structlog

from tocsin.core import failpoints
from tocsin.core.errors import TocsinError, Unavailable
from tocsin.db.engine import Database, is_conflict, is_fault, is_statement_lost
from tocsin.db.log import Log

log = structlog.get_logger()

Item = TypeVar("Item")
Result = TypeVar("Result")
Told_contra = TypeVar("Told_contra", contravariant=True)
Group = Callable[["Tx", Sequence[Item]], Sequence[Result]]

MAX_WORKS = 512  # taken into one transaction at most
MAX_WEIGHT = 4_000  # events in one transaction, about: bounds the time that others wait
CONFLICT_RETRIES = 8


class Tx:
    """One open write transaction."""

    def __init__(self, connection: sa.Connection, *, is_sqlite: bool, next_may_begin: Callable[[], None] = lambda: None) -> None:
        self.next_may_begin = next_may_begin  # for groups that take turns: what is decided here is nothing that the next one waits for
        self.sql = connection  # SQLAlchemy Core statements, for everything that is not hot
        self.driver: Any = connection.connection.driver_connection
        self.is_sqlite = is_sqlite
        self.committed: list[Callable[[], None]] = []
        self.endings: dict[Callable[[Tx, list[Any]], None], list[Any]] = {}

    def pipeline(self) -> AbstractContextManager[object]:
        """Within it, statements whose results nobody waits for travel together (PostgreSQL; SQLite has no way to travel)."""
        return nullcontext() if self.is_sqlite else self.driver.pipeline()

    def at_end(self, action: "Callable[[Tx, list[Item]], None]", item: Item) -> None:
        """Has *action* run once, with all such items, as the last thing before the commit: for what locks others out."""
        self.endings.setdefault(action, []).append(item)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Runs *action* once this transaction is durable, before its callers are answered; in the event loop, if there is one."""
        self.committed.append(action)


class Waiter(Protocol[Told_contra]):
    """What waits for a result: a future, or whatever has as much of one."""

    def done(self) -> bool:
        """True: it does not wait any more."""
        ...

    def set_result(self, result: Told_contra, /) -> None:
        """The work is durable."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """It is not, and why."""
        ...


class _Work:
    __slots__ = ("future", "group", "item", "loop", "weight")

    def __init__(self, group: Any, item: Any, future: Any, loop: asyncio.AbstractEventLoop | None, weight: int) -> None:
        self.group, self.item, self.future, self.loop, self.weight = group, item, future, loop, weight


class _Landed:
    """A transaction that is committed, and those who wait for it to be durable."""

    __slots__ = ("results", "tx", "works")

    def __init__(self, tx: Tx, works: list[_Work], results: list[Any]) -> None:
        self.tx, self.works, self.results = tx, works, results


class _Lane:
    """Work that waits, and the turn that goes round among the threads that do it: who has it takes all that is there."""

    def __init__(self) -> None:
        self.works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._holder: int | None = None

    def take(self) -> list[_Work]:
        """All work at hand, waiting for the first; empty at the end. The turn is this thread's until it is passed on."""
        self._turn.acquire()
        self._holder = threading.get_ident()
        first = self.works.get()
        if first is None:
            return []
        works, weight = [first], first.weight
        while len(works) < MAX_WORKS and weight < MAX_WEIGHT:
            try:
                work = self.works.get_nowait()
            except queue.Empty:
                break
            if work is None:
                self.works.put(None)
                break
            works.append(work)
            weight += work.weight
        return works

    def pass_on(self) -> None:
        """Lets the next thread take, if the turn is still this one's."""
        if self._holder == threading.get_ident():
            self._holder = None
            self._turn.release()


class Writer:
    """Runs all writes of this process. SQLite: one thread. PostgreSQL: a few, each with its own connection."""

    def __init__(self, database: Database, *, threads: int = 1, in_turns: int = 0) -> None:
        """*threads* do whatever comes; *in_turns* more do the work of the groups of `take_turns`, or there are none and all do all."""
        self._database = database
        self._any = _Lane()
        self._in_turns = _Lane() if in_turns else self._any
        self._turning: set[Any] = set()
        lanes = [self._any] * threads + [self._in_turns] * in_turns
        self._threads = {
            threading.Thread(target=self._run, args=(lane,), name=f"writer-{n}", daemon=True): lane for n, lane in enumerate(lanes)
        }
        self._loop: asyncio.AbstractEventLoop | None = None  # where what follows a commit runs
        self._pending = 0  # weight handed in and not yet answered; a hint for the intake, exact enough without a lock
        self._followers: list[Callable[[], None]] = []
        self._chore: Callable[[sa.Connection], object] | None = None
        self.last_fault: str | None = None  # why the last transaction failed, until one succeeds
        self._log = Log(database.path) if database.path else None
        self._landed: queue.SimpleQueue[_Landed | None] = queue.SimpleQueue()  # committed and to be flushed
        self._flusher = threading.Thread(target=self._flush_all, name="flusher", daemon=True)
        self._is_flushing = False

    @property
    def backlog(self) -> int:
        """How much work (in events) waits or runs."""
        return self._pending

    def follow(self, follower: Callable[[], None]) -> None:
        """Has *follower* called in the event loop after each commit, from now on."""
        self._followers.append(follower)

    def between(self, chore: Callable[[sa.Connection], object]) -> None:
        """Has *chore* done once with a writing connection after the next transaction, when its callers have been answered."""
        self._chore = chore

    def take_turns(self, group: Group[Item, Result]) -> None:
        """Has one piece of *group*'s work begun only when the one before has committed, or has said `Tx.next_may_begin`.

        Two at once would wait for each other's rows, each with half of what came.
        """
        self._turning.add(group)

    def start(self) -> None:
        """Starts the threads. Work handed in earlier waits for this."""
        for thread in self._threads:
            thread.start()
        if self._log is not None:
            self._flusher.start()

    def stop(self) -> None:
        """Finishes the work that was handed in, then ends the threads."""
        for lane in self._threads.values():
            lane.works.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._landed.put(None)
        if self._flusher.is_alive():
            self._flusher.join()
        if self._log is not None:
            self._log.close()

    def submit(self, group: Group[Item, Result], item: Item, weight: int = 1) -> "asyncio.Future[Result]":
        """From the event loop: has ``group(tx, items)`` run with *item* among *items*, and resolves to its result.

        Items of the same *group* are handled by one call. The future raises what *group* raised, or `Unavailable`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self.hand_in(group, item, weight, future)
        return future

    def hand_in(self, group: Group[Item, Result], item: Item, weight: int, waiter: "Waiter[Result]") -> None:
        """Like `submit`, for a *waiter* that is told in the event loop and does not have to be a future. It must not raise."""
        loop = self._loop = asyncio.get_running_loop()
        self._pending += weight
        lane = self._in_turns if group in self._turning else self._any
        lane.works.put(_Work(group, item, waiter, loop, weight))

    def run(self, work: Callable[[Tx], Result]) -> "asyncio.Future[Result]":
        """From the event loop: runs *work* in a transaction (perhaps with others)."""
        return self.submit(_each_alone, work)

    def call(self, work: Callable[[Tx], Result]) -> Result:
        """From any other thread: runs *work* in a transaction and waits for it."""
        future: Future[Result] = Future()
        self._pending += 1
        self._any.works.put(_Work(_each_alone, work, future, None, 1))
        return future.result()

    # The thread.

    def _run(self, lane: _Lane) -> None:
        connection: sa.Connection | None = None
        while works := lane.take():
            if lane is self._any:
                lane.pass_on()
            if connection is None:
                connection = self._connect(works)
            if connection is not None and not (self._do(connection, works, lane) and self._do_chore(connection)):
                with suppress(Exception):
                    connection.invalidate()
                    connection.close()
                connection = None
            lane.pass_on()
        lane.pass_on()
        if connection is not None:
            connection.close()

    def _connect(self, works: list[_Work]) -> sa.Connection | None:
        try:
            connection = self._database.writer_connection(create=False)
            try:
                if self._log is not None:
                    self._log.adopt(connection)
            except BaseException:
                connection.close()
                raise
            return connection
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it and the thread must live
            self._fail(works, error)
            return None

    def _do(self, connection: sa.Connection, works: list[_Work], lane: _Lane) -> bool:
        """Does *works* in one transaction, or one by one if that fails. False: the connection is not to be trusted any more."""
        error = self._transaction(connection, works, lane)
        if error is None:
            return True
        if is_fault(error):
            self._fail(works, error)
            return False
        if len(works) == 1:
            self._fail(works, error)
            return True
        return all([self._do(connection, [work], lane) for work in works])  # noqa: C419 - each is done, also after one that failed

    def _do_chore(self, connection: sa.Connection) -> bool:
        """False: the connection is not to be trusted any more."""
        chore, self._chore = self._chore, None
        try:
            if chore is not None:
                chore(connection)
        except Exception as error:  # noqa: BLE001 - the thread must live
            log.warning("the writer's chore failed", reason=self._database.explain(error))
            return False
        return True

    def _transaction(self, connection: sa.Connection, works: list[_Work], lane: _Lane) -> Exception | None:
        for _ in range(CONFLICT_RETRIES):
            try:
                self._database.check_file()
                if self._log is not None:
                    self._log.mend(connection)
                tx = Tx(connection, is_sqlite=self._database.is_sqlite, next_may_begin=lane.pass_on)
                results = _commit(tx, works)
            except Exception as error:  # noqa: BLE001 - handed to the callers, whatever it is
                failure = error
                if not self._may_repeat(connection, error):
                    return error
                continue
            self._land(_Landed(tx, works, results))
            return None
        return failure

    def _may_repeat(self, connection: sa.Connection, error: Exception) -> bool:
        """Undoes what was begun. True: nothing was wrong with the work itself, and it is to be done again."""
        with suppress(Exception):
            driver: Any = connection.connection.driver_connection
            driver.execute("ROLLBACK")
        if is_statement_lost(error):
            self._database.stop_preparing()
            connection.invalidate()
            connection.rollback()  # SQLAlchemy's own word for it; the next transaction gets a new connection
            return True
        # Another node was first: look again, with its rows now visible.
        return is_conflict(error)

    def _land(self, landed: "_Landed") -> None:
        """Has what was committed flushed and answered: beside the next transaction, if there is work for one already."""
        if self._log is None:
            self._answer(landed)
        elif self._any.works.empty() and self._landed.empty() and not self._is_flushing:
            self._flush(self._log, [landed])
        else:
            self._landed.put(landed)

    def _flush_all(self) -> None:
        """The flusher's thread: one flush for all that was committed during the last one."""
        while self._log is not None and (first := self._landed.get()) is not None:
            self._is_flushing = True
            landed: list[_Landed] = [first]
            with suppress(queue.Empty):
                while (further := self._landed.get_nowait()) is not None:
                    landed.append(further)
                self._landed.put(None)
            self._flush(self._log, landed)
            self._is_flushing = False

    def _flush(self, log_file: Log, landed: "list[_Landed]") -> None:
        try:
            log_file.flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it and the thread must live
            for one in landed:
                self._fail(one.works, error)
            return
        for one in landed:
            self._answer(one)

    def _answer(self, landed: "_Landed") -> None:
        tx, works = landed.tx, landed.works
        self.last_fault = None
        self._settle(works)
        answers = list(zip(works, landed.results, strict=True))
        loop = self._loop
        if loop is None:
            for action in tx.committed:
                action()
            _resolve(answers)
            return
        with suppress(RuntimeError):  # the loop has ended: nobody is waiting any more
            actions = [*tx.committed, *self._followers]
            ours = [answer for answer in answers if answer[0].loop is not None]
            loop.call_soon_threadsafe(partial(_resolve_in_loop, actions, ours, begun=bool(tx.committed)))
        _resolve([answer for answer in answers if answer[0].loop is None])

    def _settle(self, works: list[_Work]) -> None:
        """So much less waits. One step for the interpreter: a sum made in between would lose what is handed in meanwhile."""
        weight = sum(work.weight for work in works)
        self._pending -= weight

    def _fail(self, works: list[_Work], error: Exception) -> None:
        self._settle(works)
        if is_fault(error):
            reason = self._database.explain(error)
            self.last_fault = reason
            log.error("write failed", reason=reason, works=len(works))
            error = Unavailable(reason)
        elif not isinstance(error, TocsinError):
            log.error("write failed", exc_info=error)
        for work in works:
            if work.loop is None:
                work.future.set_exception(error)
            else:
                with suppress(RuntimeError):
                    work.loop.call_soon_threadsafe(_reject, work.future, error)


def _commit(tx: Tx, works: list[_Work]) -> list[Any]:
    tx.driver.execute("BEGIN IMMEDIATE" if tx.is_sqlite else "BEGIN")
    groups: dict[Any, list[int]] = {}
    for position, work in enumerate(works):
        groups.setdefault(work.group, []).append(position)
    results: list[Any] = [None] * len(works)
    for group, positions in groups.items():
        answers = group(tx, [works[p].item for p in positions])
        for position, answer in zip(positions, answers, strict=True):
            results[position] = answer
    for action, items in tx.endings.items():
        action(tx, items)
    failpoints.reach("commit.before")
    tx.driver.execute("COMMIT")
    failpoints.reach("commit.after")
    return results


def _each_alone(tx: Tx, works: Sequence[Callable[[Tx], Any]]) -> list[Any]:
    return [work(tx) for work in works]


def _resolve_in_loop(actions: list[Callable[[], None]], answers: list[tuple[_Work, Any]], *, begun: bool) -> None:
    """*begun*: tasks may have been begun, and they are to take their first step before the answers: a page leaves first."""
    for action in actions:
        try:
            action()
        except Exception:  # what follows a commit may fail; those who wait for it hear of it all the same
            log.exception("something that follows a commit failed")
    if begun:
        asyncio.get_running_loop().call_soon(_answer_in_loop, answers)
    else:
        _answer_in_loop(answers)


def _answer_in_loop(answers: list[tuple[_Work, Any]]) -> None:
    failpoints.reach("answer.before")
    _resolve(answers)


def _resolve(answers: list[tuple[_Work, Any]]) -> None:
    for work, result in answers:
        if not work.future.done():
            work.future.set_result(result)


def _reject(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)

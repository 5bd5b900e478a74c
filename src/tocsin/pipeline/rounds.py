"""Looks at checks when they are due, beside the engine: nobody waits for it, and it waits for nobody (0043).

A look is claimed, made, and written down with what follows from it in one transaction. A process that dies in between leaves a
lease that runs out; a look whose check was claimed anew, changed or taken away meanwhile counts for nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog

from tocsin.checks import rules, store, votes
from tocsin.checks.guard import Guard
from tocsin.checks.model import Cause, Check, Definition, Finding, host_of, is_address
from tocsin.checks.probes.kit import Means
from tocsin.checks.probes.run import look
from tocsin.checks.service import Looked, Recorded, Sites, find
from tocsin.core.clock import SECOND, Clock
from tocsin.core.errors import NotFound, TocsinError
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer
from tocsin.net.http import is_public
from tocsin.pipeline.watched import CheckDesk

AHEAD = SECOND  # checks are claimed so long before they are due, so that each starts at its moment
PAUSE = 0.5  # seconds between two looks at what is due
AT_ONCE = 300
SET_BACK = 10 * SECOND
log = structlog.get_logger()
LooksBy = Callable[[Definition], Awaitable[Finding]]


class Limits(msgspec.Struct, frozen=True):
    """From when on an answer is too slow, where a check does not say it itself (ms)."""

    warning_ms: int
    critical_ms: int


class Rounds:
    """All looks of this process."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        clock: Clock,
        desk: CheckDesk,
        means: Means,
        limits: Limits,
        looks_by: LooksBy | None = None,
    ) -> None:
        """*looks_by*: who looks in place of the probes."""
        self._looks_by = looks_by
        self._database, self._writer, self._clock, self._desk = database, writer, clock, desk
        self._means, self._limits, self._guard = means, limits, Guard(clock)
        self._under_way: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._lost: dict[str, str] = {}  # what of our own network does not work, each with what was found
        self._was_lost: bool | None = None  # None: nothing is known since the start
        self._claimed: dict[str, int] = {}  # what this process looks at, each with its fence
        self._clock_was: int | None = None
        self.error: str | None = None  # why the last round failed
        self.latest_start = 0  # by how many milliseconds a look began too late, at worst

    def begin(self) -> None:
        """Goes round in the background; again, if that has ended."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go())

    async def close(self) -> None:
        """Breaks off what is under way; others may look at once."""
        tasks = [*self._under_way, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._claimed:
            with suppress(TocsinError):  # else their leases run out
                await self._writer.run(lambda tx: store.release(tx, self._claimed))

    async def _go(self) -> None:
        if self._database.is_sqlite:
            await self._writer.run(store.release_all)  # no other process looks
        while True:
            try:
                await self.turn()
                self.error = None
            except TocsinError as error:
                self.error = error.message
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"
                log.exception("a round of checks failed")
            await asyncio.sleep(PAUSE)

    async def turn(self) -> int:
        """Claims what is due within a second, and begins each at its moment; how many."""
        await self._mind_the_clock()
        until, free = self._clock.now() + AHEAD, AT_ONCE - len(self._under_way)
        if free <= 0 or not await asyncio.to_thread(self._database.finds, store.is_any_due(self._clock.now(), until)):
            return 0
        claimed = await self._writer.run(self._desk.claim(until, free))
        for check in claimed:
            self._claimed[check.id] = check.fence
            task = asyncio.create_task(self._look_when_due(check))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(claimed)

    async def _mind_the_clock(self) -> None:
        """At the start, and once the clock was set back: what was to be looked at by the other clock would wait for hours."""
        before, self._clock_was = self._clock_was, self._clock.now()
        if before is None or self._clock_was < before - SET_BACK:
            pulled = await self._writer.run(lambda tx: store.pull_in(tx, self._clock.now()))
            if pulled:
                log.warning("the clock was set back: checks are looked at now", checks=pulled)

    async def settle(self) -> None:
        """Until no look is under way."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _look_when_due(self, check: Check) -> None:
        early = (check.due_at or 0) - self._clock.now()
        if early > 0:
            await asyncio.sleep(early / 1000)
        self.latest_start = max(self.latest_start, self._clock.now() - (check.due_at or 0))
        try:
            await self._look_and_record(check)
            self._claimed.pop(check.id, None)
        except TocsinError as error:
            log.error("a look could not be written down", check=check.id, reason=error.message)
        except Exception:
            log.exception("a look failed", check=check.id)

    async def _look_and_record(self, check: Check) -> tuple[Finding, Recorded | None]:
        found = await self._look(check.definition) if check.definition.is_asked_here else votes.NOT_HERE
        return found, await self._writer.submit(self._desk.record, Looked(check, found))

    async def _look(self, definition: Definition) -> Finding:
        found = await self._ask(definition)
        if found.cause is Cause.SILENT and not found.heard and await self._guard.is_ours(found.address):
            found = rules.ours(found)
        await self._note_network(definition, found)
        return found

    async def _ask(self, definition: Definition) -> Finding:
        if self._looks_by is not None:
            return await self._looks_by(definition)
        return await look(definition, self._means, self._limits.warning_ms, self._limits.critical_ms)

    async def _note_network(self, definition: Definition, found: Finding) -> None:
        """One alert about ourselves while something of our own is lost."""
        self._guard.heard(found)
        side = "public" if found.address is None or is_public(found.address) else "private"
        if found.cause is Cause.OUR_NETWORK:
            self._lost[side] = found.words
        elif found.cause is Cause.OUR_RESOLVER:
            self._lost["resolver"] = found.words
        elif found.heard:
            self._lost.pop(side, None)
            if not is_address(host_of(definition.target)):
                self._lost.pop("resolver", None)
        else:
            return
        is_lost = bool(self._lost)
        if is_lost is not self._was_lost:
            self._was_lost = is_lost
            await self._writer.run(self._desk.note_network("; ".join(self._lost.values())))

    # Out of turn.

    async def try_out(self, definition: Definition) -> Finding:
        """A look that leaves nothing behind. Raises `InvalidInput`."""
        rules.check_definition(definition)
        return await self._ask(definition)

    async def run_now(self, check_id: str, sites: Sites, note: Callable[[Tx, Check], None]) -> tuple[Check, Finding]:
        """A look now, which counts like any other unless the check is paused. *note* is written as it begins. Raises `NotFound`."""

        def claim(tx: Tx) -> Check:
            check = store.claim_one(tx, find(tx.sql, check_id, sites).id, self._clock.now())
            if check is None:
                raise NotFound(f"there is no check {check_id[:40]}")
            note(tx, check)
            return check

        check = await self._writer.run(claim)
        found, recorded = await self._look_and_record(check)
        return (check, found) if recorded is None else (recorded.check, recorded.found)

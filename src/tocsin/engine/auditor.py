"""Looks, apart from the engine's loop, whether everything comes to something; mends what does not, and has it told (hard rule 11)."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial

import structlog

from tocsin.bootstrap import Server
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import TocsinError
from tocsin.engine.loop import StepHealth
from tocsin.pipeline import promises
from tocsin.pipeline.promises import Broken, Promise

log = structlog.get_logger()

EVERY = 15 * SECOND  # found, found again, mended: within a minute
HANGS = 2 * MINUTE  # beyond its own interval
# The steps without which nobody is paged; when charts are late, `/health` says so, and nobody need be woken.
VITAL = ("come due", "calm", "mute", "escalate", "expire heartbeats", "find silent hosts", "find company", "deliver")


class Auditor:
    """One look is a `turn`. What it finds twice in a row is broken: one look alone may fall into the middle of somebody's work."""

    def __init__(self, server: Server, steps: Mapping[str, StepHealth], every: Mapping[str, int]) -> None:
        """*steps*, *every*: how the steps of the engine are, and how often each is done (ms)."""
        self._server, self._steps, self._every = server, steps, every
        self._since = server.core.clock.now()
        self._before: frozenset[tuple[Promise, str]] = frozenset()
        self.looked_at: int | None = None
        self.error: str | None = None
        self.mended: tuple[str, ...] = ()  # by the last look, in words
        self.broken: tuple[str, ...] = ()  # and what it could not mend
        self.left: Counter[str] = Counter()  # the same by promise
        self.mended_ever: Counter[str] = Counter()
        self.alone = 0

    async def run(self) -> None:
        """Looks again and again. Ends only when cancelled."""
        while True:
            await asyncio.sleep(EVERY / 1000)
            try:
                await self.turn()
            except TocsinError as error:
                self.error = error.message
                log.error("the auditor could not look", reason=error.message)
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"
                log.exception("the auditor failed")

    async def turn(self) -> None:
        """One look, and what follows from it."""
        now = self._server.core.clock.now()
        found, told_of = await asyncio.to_thread(self._look, now)
        twice = [one for one in found if (one.promise, one.thing) in self._before]
        self._before = frozenset((one.promise, one.thing) for one in found)
        for one in twice:
            await self._mend(one)
        again = {(one.promise, one.thing) for one in (await asyncio.to_thread(self._look, now))[0]} if twice else set()
        left = [one for one in twice if (one.promise, one.thing) in again]
        mended = [one for one in twice if one not in left]
        self._note(mended, left)
        await self._tell(mended, left, told_of)
        self.error, self.looked_at = None, self._server.core.clock.now()

    def _look(self, now: int) -> tuple[list[Broken], list[Promise]]:
        core = self._server.core
        with core.database.read() as connection:
            found, told_of = promises.look(connection, now), promises.told_of(connection)
            self.alone = promises.alone(connection)
        faults = self._server.delivery.faults  # of these contacts people are told otherwise
        found = [one for one in found if one.promise is not Promise.MESSAGE_OVERDUE or one.thing not in faults]
        return found + self._hanging(now), told_of

    def _hanging(self, now: int) -> list[Broken]:
        ended = {name: step.ended_at or self._since for name, step in self._steps.items() if name in VITAL}
        return [Broken(Promise.STEP_HANGS, name, at) for name, at in ended.items() if now - at > self._every[name] + HANGS]

    async def _mend(self, one: Broken) -> None:
        """One after the other, so that what cannot be mended holds up nothing else."""
        core, delivery = self._server.core, self._server.delivery
        log.warning("a promise is broken", promise=one.promise.key, thing=one.thing, since=one.since)
        try:
            match one.promise:
                case Promise.STEP_HANGS:
                    pass  # the engine cuts it off by itself
                case Promise.MESSAGE_OVERDUE:
                    await delivery.cycle()
                case Promise.MESSAGE_LOST:
                    await core.writer.run(lambda tx: delivery.take_up(tx, one.thing))
                case _:
                    await core.writer.run(partial(core.mender.mend, one=one))
        except TocsinError as error:
            log.error("it could not be mended", promise=one.promise.key, thing=one.thing, reason=error.message)
        except Exception:
            log.exception("it could not be mended", promise=one.promise.key, thing=one.thing)

    def _note(self, mended: list[Broken], left: list[Broken]) -> None:
        self.mended, self.broken = tuple(promises.in_words(mended)), tuple(promises.in_words(left))
        self.left = Counter(one.promise.key for one in left)
        self.mended_ever.update(one.promise.key for one in mended)

    async def _tell(self, mended: list[Broken], left: list[Broken], told_of: list[Promise]) -> None:
        """The alert leaves in the moment in which it is stored: it needs no step of the engine."""
        core = self._server.core
        for promise in Promise:
            good = [one for one in mended if one.promise is promise]
            bad = [one for one in left if one.promise is promise]
            if good or bad:
                await core.writer.run(partial(core.mender.report, promise=promise, mended=good, left=bad))
            elif promise in told_of:
                await core.writer.run(partial(core.mender.over, promise=promise))

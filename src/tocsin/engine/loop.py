"""Runs the steps when they are due, and goes on whatever one of them does."""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from tocsin.bootstrap import Server
from tocsin.core.errors import TocsinError
from tocsin.engine.steps import STEPS, Step

log = structlog.get_logger()

STEP_WITHIN = 120.0  # seconds: what takes longer hangs


class StepHealth(msgspec.Struct):
    """When a step last ended well, and why it last did not."""

    ended_at: int | None = None
    error: str | None = None


class Engine:
    """The loop of this node. `run` ends after `stop`, or when it is cancelled."""

    def __init__(self, server: Server, steps: Sequence[Step] = STEPS, *, delivers: bool = True) -> None:
        """*delivers* False: nothing is sent from here, so there is no past to settle (`serve --http-only`)."""
        self._server, self._steps, self._delivers = server, steps, delivers
        self.health: dict[str, StepHealth] = {step.name: StepHealth() for step in steps}
        self._next = dict.fromkeys(self.health, 0)
        self._stopping = False

    async def run(self) -> None:
        """Settles the past, then does what is due until it is stopped."""
        if self._delivers:
            await self._recover()
        while not self._stopping:
            await self.turn()
            if not self._stopping:
                await self._server.delivery.wait(self._pause())

    def stop(self) -> None:
        """Has `run` end after the step that it is at: a claim that is cut off would leave its messages to the next start."""
        self._stopping = True
        self._server.delivery.wake()

    async def _recover(self) -> None:
        while True:
            try:
                await self._server.delivery.recover()
                return
            except TocsinError as error:
                log.error("recovery must wait", reason=error.message)
                await asyncio.sleep(1)

    async def turn(self) -> None:
        """Does each step whose time has come; delivery also whenever there is news."""
        now = self._server.core.clock.now()
        due = [step for step in self._steps if step.name == "deliver" or now >= self._next[step.name]]
        for step, has_work in zip(due, await self._look(due, now), strict=True):
            self._next[step.name] = now + step.every
            if not has_work:
                self._ended(step)
            elif await self._do(step) is False:
                self._next[step.name] = now + max(step.every, step.rests)

    async def _look(self, steps: Sequence[Step], now: int) -> list[bool]:
        """Whether each of *steps* has work to do; where that cannot be asked it is taken to have, and will tell what is wrong."""
        questions = [step.asks(self._server, now) if step.asks else None for step in steps]
        asked = [question for question in questions if question is not None]
        try:
            async with asyncio.timeout(STEP_WITHIN):
                answers = iter(await asyncio.to_thread(self._server.core.database.which, asked) if asked else ())
        except (TocsinError, TimeoutError):
            return [True] * len(steps)
        return [question is None or next(answers) for question in questions]

    async def _do(self, step: Step) -> object:
        """What the step came to; None if it failed."""
        health = self.health[step.name]
        try:
            async with asyncio.timeout(STEP_WITHIN):
                found = await step.run(self._server)
        except TimeoutError:
            health.error = f"it was cut off after {STEP_WITHIN:g} s"
            log.error("step was cut off, so that the others go on", step=step.name, after=STEP_WITHIN)
        except TocsinError as error:
            health.error = error.message
            log.error("step failed", step=step.name, reason=error.message)
        except Exception as error:
            health.error = f"{type(error).__name__}: {error}"
            log.exception("step failed", step=step.name)
        else:
            self._ended(step)
            return found
        return None

    def _ended(self, step: Step) -> None:
        """It ended well, or had nothing to do."""
        health = self.health[step.name]
        health.error = None
        health.ended_at = self._server.core.clock.now()

    def _pause(self) -> float:
        now = self._server.core.clock.now()
        return max(0.01, min(at - now for at in self._next.values()) / 1000)

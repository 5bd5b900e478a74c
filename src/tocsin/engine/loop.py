"""Runs the steps when they are due, and goes on whatever one of them does."""

import asyncio

import msgspec
import structlog

from tocsin.bootstrap import Server
from tocsin.core.errors import TocsinError
from tocsin.engine.steps import STEPS, Step

log = structlog.get_logger()


class StepHealth(msgspec.Struct):
    """When a step last ended well, and why it last did not."""

    ended_at: int | None = None
    error: str | None = None


class Engine:
    """The loop of this node. `run` ends only when it is cancelled."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.health: dict[str, StepHealth] = {step.name: StepHealth() for step in STEPS}
        self._next = dict.fromkeys(self.health, 0)

    async def run(self) -> None:
        """Settles the past, then does what is due until cancelled."""
        await self._recover()
        while True:
            await self.turn()
            await self._server.delivery.wait(self._pause())

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
        for step in STEPS:
            now = self._server.core.clock.now()
            if step.name == "deliver" or now >= self._next[step.name]:
                self._next[step.name] = now + step.every
                await self._do(step)

    async def _do(self, step: Step) -> None:
        health = self.health[step.name]
        try:
            await step.run(self._server)
        except TocsinError as error:
            health.error = error.message
            log.error("step failed", step=step.name, reason=error.message)
        except Exception as error:
            health.error = f"{type(error).__name__}: {error}"
            log.exception("step failed", step=step.name)
        else:
            health.error = None
            health.ended_at = self._server.core.clock.now()

    def _pause(self) -> float:
        now = self._server.core.clock.now()
        return max(0.01, min(at - now for at in self._next.values()) / 1000)

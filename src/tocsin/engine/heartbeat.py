"""Calls an address outside as long as all is well: when the calls stay away, somebody outside wakes us (a dead man's switch)."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tocsin.core.clock import Clock
from tocsin.net.http import HttpDoor, HttpFailure

log = structlog.get_logger()

EVERY, SOON = 60.0, 10.0  # seconds between calls; after one that did not get through
WITHIN = 10.0


class Heartbeat:
    """*why_not* says why no call may go out now; None: all is well."""

    def __init__(self, door: HttpDoor, url: str, clock: Clock, why_not: Callable[[], Awaitable[str | None]]) -> None:
        self._door, self._url, self._clock, self._why_not = door, url, clock, why_not
        self.since = clock.now()
        self.beat_at: int | None = None
        self.error: str | None = None  # why the last call did not get through
        self.held_back: str | None = None  # why there was none

    async def run(self) -> None:
        """Calls again and again. Ends only when cancelled."""
        while True:
            got_through = await self.beat()
            await asyncio.sleep(EVERY if got_through else SOON)

    async def beat(self) -> bool:
        """One call, if all is well; whether it got through."""
        self.held_back = await self._why_not()
        if self.held_back is not None:
            log.warning("no heartbeat goes out", reason=self.held_back)
            return False
        try:
            answer = await self._door.request("GET", self._url, within=WITHIN)
        except HttpFailure as failure:
            self.error = failure.reason
        else:
            self.error = None if 200 <= answer.status < 300 else f"it was answered with {answer.status}"
        if self.error is None:
            self.beat_at = self._clock.now()
        else:
            log.warning("the heartbeat did not get through", reason=self.error)
        return self.error is None

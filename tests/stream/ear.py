"""Somebody who listens to the stream and keeps what they hear."""

import asyncio
import json
from typing import Any

from tocsin.stream.hub import Hub, Listener
from tocsin.stream.model import Topic

EVERYTHING = frozenset({Topic.ALERT, Topic.EVENT})


class Ear:
    """Listens until it is closed. ``heard``: the messages as (event, data); ``place``: the last id."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.place = ""
        self.ended = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def at(cls, hub: Hub, after: str | None = None, **listener: Any) -> "Ear":
        """Begins to listen; the greeting has been heard when this returns."""
        ear = cls()
        chunks = await hub.listen(Listener(**({"sites": None, "topics": EVERYTHING} | listener)), after)
        ear._task = asyncio.create_task(ear._listen(chunks))
        await ear.until(lambda: bool(ear.place))
        return ear

    async def _listen(self, chunks: Any) -> None:
        try:
            async for chunk in chunks:
                self.take(chunk)
        finally:
            self.ended = True
            self._news.set()
            await chunks.aclose()

    def take(self, chunk: bytes) -> None:
        """Reads server-sent events as a browser does."""
        for block in chunk.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
            self.place = fields.get("id", self.place)
            if "data" in fields:
                self.heard.append((fields.get("event", "message"), json.loads(fields["data"])))
        self._news.set()

    async def until(self, what: Any, seconds: float = 30) -> None:
        """Waits until *what* is so."""
        async with asyncio.timeout(seconds):
            while not what():
                self._news.clear()
                await self._news.wait()

    async def hears(self, count: int = 1) -> list[tuple[str, dict[str, Any]]]:
        """What is heard until there are *count* messages."""
        await self.until(lambda: len(self.heard) >= count)
        return self.heard

    async def close(self) -> None:
        """Goes away."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

"""A host: a server that an agent reports for, and how it was last heard of."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin.core.clock import HOUR, MINUTE, SECOND

MAX_CARD = 4_096  # bytes
LONGEST_PAUSE = 5 * MINUTE  # of an agent that could not reach us, between two tries
CLOCK_OFF, CLOCK_GOOD = MINUTE, 30 * SECOND
LONGEST_INTERVAL = HOUR
MOST = 10_000  # hosts of an installation
TOKEN_LASTS = HOUR

Fact = str | int | float | bool | None


class Card(msgspec.Struct, frozen=True):
    """What an agent says of itself with everything that it sends: the header ``X-Tocsin-Agent``, in JSON."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    host: Annotated[str, Meta(min_length=1, max_length=253)]
    version: Annotated[str, Meta(max_length=40)]
    interval_seconds: Annotated[float, Meta(gt=0, le=LONGEST_INTERVAL // SECOND)]
    at: Annotated[int, Meta(ge=0, le=1 << 60)]  # ms, by its own clock, as it sends
    facts: Annotated[dict[str, Fact], Meta(max_length=20)] = {}


class Status(enum.StrEnum):
    """How a host stands."""

    PAUSED = "paused"
    SILENT = "silent"
    UP = "up"


class Host(msgspec.Struct, frozen=True):
    """One server of a site, by its name. Times in milliseconds; ``due_at`` is when its silence is told (None: never)."""

    id: str
    site_id: int
    name: str
    agent_id: str
    version: str
    interval: int
    facts: str  # JSON
    clock_off: int  # its clock minus ours
    first_seen_at: int
    last_seen_at: int
    due_at: int | None = None
    silent_at: int | None = None  # since when that is told
    clock_told_at: int | None = None
    paused_at: int | None = None

    @property
    def status(self) -> Status:
        """How it stands now."""
        if self.paused_at is not None:
            return Status.PAUSED
        return Status.UP if self.silent_at is None else Status.SILENT


class Told(enum.StrEnum):
    """What is told of hosts; the type of the event."""

    SILENT = "host.silent"
    CLOCK_OFF = "host.clock_off"
    RENAMED = "host.renamed"


class News(msgspec.Struct, frozen=True):
    """Something that has begun, is over, or is only said (``status``: problem, recovery, info)."""

    told: Told
    status: str
    title: str
    message: str = ""


class Decision(msgspec.Struct, frozen=True):
    """The host as it now is (None: it is no more), and what is told."""

    host: Host | None
    news: tuple[News, ...] = ()


class Token(msgspec.Struct, frozen=True):
    """What a new server fetches its key with, once."""

    id: str
    site_id: int
    created_at: int
    created_by: str
    expires_at: int
    used_at: int | None = None
    used_by: str | None = None

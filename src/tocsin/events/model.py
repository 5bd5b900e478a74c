"""Events: what somebody reports, and what is stored of it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tocsin.core.errors import FieldError

MAX_ATTRIBUTES = 16 * 1024
MAX_ARRAY = 1_000
MAX_LINES = 10_000
MAX_BODY = 8 * 1024 * 1024
MAX_DEDUP_KEY = 255

Status = Literal["problem", "recovery", "info"]


class EventInput(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One event on the wire (docs/reference/http-api.md). ``attributes`` stays raw JSON (empty: not sent) until a value is needed."""

    type: Annotated[str, Meta(min_length=1, max_length=100)]
    id: Annotated[str, Meta(max_length=36)] | None = None
    site: Annotated[str, Meta(max_length=63)] | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)] | None = None
    severity: Annotated[int, Meta(ge=1, le=5)] | None = None
    status: Status | None = None
    title: Annotated[str, Meta(max_length=200)] | None = None
    message: Annotated[str, Meta(max_length=4000)] | None = None
    subject: Annotated[str, Meta(max_length=200)] | None = None
    host: Annotated[str, Meta(max_length=253)] | None = None
    attributes: msgspec.Raw = msgspec.Raw()
    dedup_key: Annotated[str, Meta(max_length=MAX_DEDUP_KEY)] | None = None
    source: Annotated[str, Meta(max_length=100)] | None = None
    sequence: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A checked event on its way to the writer: the input, its site, and its times in milliseconds."""

    input: EventInput
    site: str
    occurred_at: int


class Rejected(msgspec.Struct, frozen=True):
    """A member of a batch that cannot be taken: its place, its id if it had one, and what is wrong."""

    index: int
    id: str | None
    errors: tuple[FieldError, ...]
    payload: bytes = b""


class Event(msgspec.Struct, frozen=True, gc=False):
    """A described event, as the rules see it and as it is stored.

    ``dedup_key`` is the key of its own problem; ``ends`` are the keys of the problems that it shows to be over.
    """

    id: str
    site_id: int
    type: str
    occurred_at: int
    severity: int
    status: str
    title: str
    message: str | None
    subject: str | None
    host: str | None
    attributes: str | None
    dedup_key: str | None
    ends: tuple[str, ...]
    source: str | None
    sequence: int | None


class Gap(msgspec.Struct, frozen=True):
    """Running numbers that never came: from ``first`` to ``last``, both included."""

    first: int
    last: int


class Sequence(msgspec.Struct, frozen=True):
    """What is known of one source's numbering (E4)."""

    site_id: int
    source: str
    first_sequence: int
    last_sequence: int
    received: int
    replayed: int
    missing: int
    gaps: tuple[Gap, ...]
    skew_ms: int | None
    last_seen_at: int


Attributes = dict[str, Any]

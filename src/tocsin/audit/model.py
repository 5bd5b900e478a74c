"""Entries of the audit log."""

import enum

import msgspec


class Who(msgspec.Struct, frozen=True):
    """Who acts, as histories name them (``marta@example.com``, ``key:grafana``, ``cli:root``), and from which address."""

    name: str
    address: str | None = None


class Deed(msgspec.Struct, frozen=True):
    """What happened, before it has its place in the log. ``before`` and ``after`` are canonical JSON."""

    at: int
    actor: str
    address: str | None
    action: str
    object: str
    site_id: int | None
    before: str | None
    after: str | None


class Head(msgspec.Struct, frozen=True):
    """How far the chain reaches: noted beside the log, and by whoever wants to be able to prove it later."""

    number: int
    digest: str

    def __str__(self) -> str:
        """``1234:ab12...``."""
        return f"{self.number}:{self.digest}"


class Entry(msgspec.Struct, frozen=True):
    """One link of the chain. ``previous`` is the digest of the entry before; field order is the column order."""

    number: int
    at: int
    actor: str
    address: str | None
    action: str
    object: str
    site_id: int | None
    before: str | None
    after: str | None
    previous: str
    digest: str

    @property
    def head(self) -> Head:
        """The log's head when this entry was its last."""
        return Head(self.number, self.digest)


class Fault(enum.StrEnum):
    """What is wrong with a link."""

    MISSING = "is missing: entries were removed"
    CHANGED = "was changed after it was written"
    DETACHED = "does not follow from the entry before it"
    CUT_OFF = "is the last one, and more were written: the end of the log was removed"
    NO_NOTE = "is the last one, and the note of how far the log reaches is gone"
    NOT_AS_NOTED = "is not the entry that was noted here: the log was written anew"


class Broken(msgspec.Struct, frozen=True):
    """The first link that does not hold."""

    number: int
    fault: Fault

"""What a provider of text messages and calls does, and what its call-backs say. Pure data."""

import enum
import re
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from tocsin.notify.model import Outcome


class Stage(enum.StrEnum):
    """How far a provider says that a message has come. Later ones in this list never give way to earlier ones."""

    RESERVED = "reserved"  # about to be handed over
    VOID = "void"  # was not handed over after all: costs nothing
    SENT = "sent"  # the provider has it; it may be on its way
    FAILED = "failed"  # it did not arrive
    DELIVERED = "delivered"  # it arrived, or the call was answered


_ORDER = tuple(Stage)


def later(one: Stage, other: Stage) -> Stage:
    """The one that counts when both have been said, in whatever order."""
    return max(one, other, key=_ORDER.index)


class Receipt(msgspec.Struct, frozen=True):
    """What a provider says about one message, perhaps late, repeatedly and out of order.

    ``cost`` is what it really cost, in millionths. ``elsewhere``: another provider might have more luck (the person was
    not busy or away).
    """

    provider_id: str
    stage: Stage
    error: str | None = None
    cost: int | None = None
    elsewhere: bool = True


class Pressed(msgspec.Struct, frozen=True):
    """Keys pressed in a call; empty if none was in time. ``number``: who was called; ``turn``: that of the `Script` that asked."""

    provider_id: str
    number: str
    keys: str
    turn: int = 0


class Incoming(msgspec.Struct, frozen=True):
    """A text message from somebody. ``id`` is the provider's: a repeat has the same."""

    id: str
    number: str
    text: str


class Callback(msgspec.Struct, frozen=True):
    """A request of a provider to us. ``path`` begins after the address of all call-backs, query included; headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


def turn_of(callback: Callback) -> int:
    """Which turn a call-back about keys answers."""
    found = re.search(r"[?&]turn=([0-9]{1,3})$", callback.path)
    return int(found[1]) if found else 0


class Said(msgspec.Struct, frozen=True):
    """What goes back to a provider."""

    body: bytes
    content_type: str


class OptedOut(Outcome, frozen=True):
    """The person has told the provider to send no more. No other provider is asked: that would go behind their back."""


class Script(msgspec.Struct, frozen=True):
    """What a call says. ``menu`` is what the keys do; empty: there is nothing to press. ``turn`` counts how often it was said."""

    text: str
    menu: str = ""
    turn: int = 0


class Provider(Protocol):
    """One company that carries texts and calls. It raises nothing; the same rules hold as for a `Channel`."""

    name: str
    can_call: bool
    is_reached: bool  # whether the provider can reach us: only then receipts and keys come
    can_hear: bool  # whether people can answer texts: the sender is a number, too

    async def text(self, number: str, text: str, message_id: str, now: int, departing: Callable[[], None]) -> Outcome:
        """Sends a text message. The receipt of a good outcome is the provider's id."""
        ...

    async def call(self, number: str, script: Script, message_id: str, now: int, departing: Callable[[], None]) -> Outcome:
        """Rings and speaks."""
        ...

    async def check(self, now: int) -> str | None:
        """None if it could send, else the fault and its cure. Sends nothing."""
        ...

    def is_genuine(self, callback: Callback, now: int) -> bool:
        """Whether the provider really sent this, lately, to this very address."""
        ...

    def text_receipt(self, callback: Callback) -> Receipt | None:
        """What it says about a text message; None: it cannot be read, or says nothing of use."""
        ...

    def call_receipt(self, callback: Callback) -> Receipt | None:
        """The same about a call."""
        ...

    def pressed(self, callback: Callback) -> Pressed | None:
        """Which keys were pressed."""
        ...

    def incoming(self, callback: Callback) -> Incoming | None:
        """The text message that somebody sent."""
        ...

    def answer(self, text: str) -> Said | None:
        """What the provider is to send back to an incoming text; None: it takes no answer here, send one."""
        ...

    def speak(self, text: str, script: Script | None, message_id: str) -> Said:
        """What a call goes on to say: *text*, then the menu of *script* once more, or nothing."""
        ...

    def silence(self) -> Said:
        """The answer that has nothing done."""
        ...

"""What was refused, without letting whoever is refused fill the disk: the first of a kind at once, its repeats as one entry.

Kinds are told apart by who, from where, what and why; at most a hundred a minute, all others count as one.
"""

import asyncio
from ipaddress import IPv6Address, ip_address
from typing import Any

import msgspec

from tocsin.audit import rules, store
from tocsin.audit.model import Deed
from tocsin.core.clock import MINUTE, Clock
from tocsin.db.writer import Tx, Writer

WINDOW = MINUTE
MAX_KINDS = 100
OTHERS = "many others"


class Refusal(msgspec.Struct, frozen=True):
    """One kind of refusal."""

    actor: str
    address: str
    action: str
    object: str
    reason: str


class Refusals:
    """The notebook. `note` from the event loop; `flush` now and then, and at the end."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer, self._clock = writer, clock
        self._since = 0
        self._repeats: dict[Refusal, int] = {}
        self._under_way: set[asyncio.Future[None]] = set()

    def note(self, actor: str, address: str, action: str, thing: str, reason: str) -> None:
        """Notes that *actor* was refused *action* on *thing*. Writes in the background; a full disk is no reason to answer later."""
        now = self._clock.now()
        if now - self._since >= WINDOW:
            self._turn(now)
        kind = Refusal(actor, network_of(address), action, thing, reason)
        if kind not in self._repeats and len(self._repeats) >= MAX_KINDS:
            kind = Refusal(OTHERS, "", action, "", "")
        known = kind in self._repeats
        self._repeats[kind] = self._repeats.get(kind, -1) + 1
        if not known:
            self._write([rules.deed(now, kind.actor, address or None, kind.action, kind.object, None, None, {"reason": kind.reason})])

    def flush(self) -> None:
        """Writes the repeats of the window that has ended."""
        now = self._clock.now()
        if now - self._since >= WINDOW:
            self._turn(now)

    async def close(self) -> None:
        """Writes what is still counted."""
        self._turn(self._clock.now())
        await self.settle()

    async def settle(self) -> None:
        """Waits until what was noted is written."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _turn(self, now: int) -> None:
        again = [(kind, count) for kind, count in self._repeats.items() if count]
        self._repeats, self._since = {}, now
        if again:
            self._write([_repeated(now, kind, count) for kind, count in again])

    def _write(self, deeds: list[Deed]) -> None:
        def work(tx: Tx) -> None:
            for done in deeds:
                tx.at_end(store.append, done)

        writing = self._writer.run(work)
        self._under_way.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        self._under_way.discard(writing)
        if not writing.cancelled():
            writing.exception()  # it is in the log; whoever was refused does not care


def _repeated(now: int, kind: Refusal, count: int) -> Deed:
    after: dict[str, Any] = {"reason": kind.reason, "times_more": count}
    return rules.deed(now, kind.actor, kind.address or None, kind.action, kind.object, None, None, after)


def network_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 of an IPv6 one, of which anybody has millions."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"

"""Checks and findings for tests, and a check that lives through findings in a `World`."""

from typing import Any

from tests.world import World
from tocsin.audit.model import Who
from tocsin.checks import store
from tocsin.checks.model import Cause, Check, Definition, Expiry, Finding, Level, TcpTarget
from tocsin.checks.service import Looked, Recorded
from tocsin.core.clock import DAY

MARTA = Who("marta@example.com")
SHOP = Definition(name="Shop", target=TcpTarget(host="shop.example.com", port=443), retries=2, retry_after=20)
FINE = Finding(level=Level.OK, cause=Cause.FINE, words="it answers", ms=12.0, address="192.0.2.1", port=443)
DOWN = Finding(level=Level.FAILED, cause=Cause.REFUSED, words="the connection was refused", ms=1.0, evidence={"status": 0})
SLOW = Finding(level=Level.WARNING, cause=Cause.SLOW, words="it took 3500 ms", ms=3500.0)
SLOWER = Finding(level=Level.CRITICAL, cause=Cause.SLOW, words="it took 5500 ms", ms=5500.0)
LOST = Finding(level=None, cause=Cause.OUR_NETWORK, words="nothing answers", heard=False)


def certified(ends_at: int, mark: str = "a") -> Finding:
    """A good answer with a certificate."""
    return Finding(level=Level.OK, cause=Cause.FINE, words="it answers", ms=12.0, expiry=Expiry("certificate", mark, ends_at))


class Watched:
    """One check; `sees` is a look now, `lives` one at each due moment."""

    def __init__(self, world: World, check: Check) -> None:
        self.world, self.id = world, check.id

    @classmethod
    async def make(cls, world: World, definition: Definition = SHOP) -> "Watched":
        """A new check at the main site."""
        site = world.core.sites.get("main")
        return cls(world, await world.write(world.core.checks.add(MARTA, site.id, definition)))

    async def sees(self, found: Finding) -> Recorded | None:
        """A look that finds so."""
        claimed = await self.world.write(lambda tx: store.claim_one(tx, self.id, self.world.clock.now()))
        assert claimed
        recorded = await self.world.core.writer.submit(self.world.core.checks.record, Looked(claimed, found))
        await self.world.settle()
        return recorded

    async def lives(self, *findings: Finding) -> None:
        """One look after the other, each when it is due."""
        for found in findings:
            due_at = self.check.due_at
            assert due_at is not None
            self.world.clock.at = max(self.world.clock.at, due_at)
            await self.sees(found)

    async def lives_for(self, ms: int, found: Finding) -> None:
        """Looks that all find the same, for so long."""
        end = self.world.clock.at + ms
        while self.world.clock.at < end:
            due_at = self.check.due_at or end
            self.world.clock.at = min(end, max(self.world.clock.at, due_at))
            if self.world.clock.at >= due_at:
                await self.sees(found)

    @property
    def check(self) -> Check:
        """As it now is."""
        with self.world.core.database.read() as connection:
            found = store.get(connection, self.id)
        assert found
        return found

    def spans(self) -> list[tuple[str, int]]:
        """The stretches so far: status, and length in seconds (0: it lasts)."""
        with self.world.core.database.read() as connection:
            found = store.spans(connection, [self.id], 0, 1 << 60)[self.id]
        return [(one.status.value, 0 if one.ends_at is None else (one.ends_at - one.starts_at) // 1000) for one in found]


def days(count: float) -> int:
    """Milliseconds."""
    return round(count * DAY)


def a_check(**more: Any) -> Definition:
    """The shop's, with differences."""
    fields = {name: getattr(SHOP, name) for name in Definition.__struct_fields__}
    return Definition(**{**fields, **more})

"""Whatever happens, in whatever order: nobody is told of what is quiet, and whoever should have been told is, once the quiet ends."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st

from tests.build import ONCALL_PHONE, a_recovery, a_report
from tests.conftest import Databases
from tests.muting.build import a_dependency, a_maintenance, a_silence, keep, refresh
from tests.world import World
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.muting import store
from tocsin.muting.model import Silence
from tocsin.pipeline import promises
from tocsin.pipeline.muting import Sweep

HOSTS = st.sampled_from(["web-1", "web-2"])
TYPES = st.sampled_from(["server.down", "check.http", "disk.full"])
MINUTES = st.integers(1, 90)

Action = tuple[str, Any]
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("report"), st.tuples(HOSTS, TYPES, st.integers(2, 5))),
    st.tuples(st.just("recover"), st.tuples(HOSTS, TYPES)),
    st.tuples(st.just("silence"), st.tuples(HOSTS, MINUTES)),
    st.tuples(st.just("maintain"), st.tuples(st.integers(0, 60), MINUTES)),
    st.tuples(st.just("end"), st.integers(0, 3)),
    st.tuples(st.just("acknowledge"), st.integers(0, 5)),
    st.tuples(st.just("resolve"), st.integers(0, 5)),
    st.tuples(st.just("wait"), MINUTES),
    st.tuples(st.just("restart"), st.none()),
)


class Life:
    """Acts on a `World`, and knows by its own means what must be quiet: it looks at every window, and at no mark."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.silences: list[Silence] = []
        self.windows: list[tuple[int, int, str]] = []  # from, until, host
        self.made = 0

    async def do(self, name: str, given_: Any) -> None:
        """One action, and what the engine does then."""
        self.world.clock.advance(1)  # so that what was before can be told from what is now
        action: Callable[[Any], Coroutine[Any, Any, None]] = getattr(self, name)
        await action(given_)
        await self.world.turn()
        self.check()

    async def report(self, problem: tuple[str, str, int]) -> None:
        host, kind, severity = problem
        await self.world.report(a_report(f"{kind}:{host}", type=kind, host=host, severity=severity, at=self.world.clock.at))

    async def recover(self, problem: tuple[str, str]) -> None:
        host, kind = problem
        await self.world.report(a_recovery(f"{kind}:{host}", type=kind, host=host, at=self.world.clock.at))

    async def silence(self, wanted: tuple[str, int]) -> None:
        host, minutes = wanted
        now, self.made = self.world.clock.at, self.made + 1
        silence = a_silence(f"host={host}", number=self.made, starts_at=now, ends_at=now + minutes * MINUTE)
        self.silences.append(silence)
        await keep(self.world, silence)

    async def maintain(self, wanted: tuple[int, int]) -> None:
        in_minutes, minutes = wanted
        start, self.made = self.world.clock.at + in_minutes * MINUTE, self.made + 1
        self.windows.append((start, start + minutes * MINUTE, "web-1"))
        await keep(self.world, a_maintenance("host=web-1", number=self.made, starts_at=start, ends_at=start + minutes * MINUTE))

    async def end(self, which: int) -> None:
        if which < len(self.silences):
            gone = self.silences.pop(which)
            await self.world.write(lambda tx: store.remove(tx, Silence, gone.id))
            await refresh(self.world)

    async def acknowledge(self, which: int) -> None:
        alerts = [alert for alert in self.world.alerts() if alert.status != "resolved"]
        if which < len(alerts):
            await self.world.acknowledge(alerts[which])

    async def resolve(self, which: int) -> None:
        alerts = self.world.alerts()
        if which < len(alerts):
            await self.world.resolve(alerts[which])

    async def wait(self, minutes: int) -> None:
        await self.world.pass_time(minutes * MINUTE)

    async def restart(self, _: None) -> None:
        core = self.world.core
        await self.world.restart()
        object.__setattr__(core, "sweep", Sweep(self.world.clock, core.mutes, core.rules, core.announcer))

    def is_quiet(self, host: str, kind: str, at: int) -> bool:
        """Whether nobody may hear of such an alert at this moment."""
        if any(s.matchers[0].value == host and s.starts_at <= at < s.ends_at for s in self.silences):
            return True
        if any(start <= at < end and host == on for start, end, on in self.windows):
            return True
        down = any(a.type == "server.down" and a.host == host and a.status != "resolved" for a in self.world.alerts())
        return kind == "check.http" and down

    def check(self) -> None:
        """Marks say what is so; who is to be told has been, of this generation; nobody was told of what was quiet then; the auditor
        agrees.
        """
        now, messages = self.world.clock.at, self.world.messages()
        with self.world.core.database.read() as connection:
            assert promises.look(connection, now) == []
        for alert in self.world.alerts():
            quiet = self.is_quiet(alert.host or "", alert.type, now)
            assert (alert.muted_by is not None) == (quiet and alert.status != "resolved"), (alert, now)
            of_now = [m for m in messages if m.alert_number == alert.number and m.created_at == now and m.kind in PAGES]
            assert not (quiet and of_now), (alert, of_now)
            if alert.status == "open" and not quiet:
                told = [m for m in messages if m.alert_number == alert.number and m.generation == alert.generation and m.kind in PAGES]
                assert [m.kind for m in told if m.step == 0], alert


PAGES = ("opened", "escalated", "repeated")


@settings(max_examples=12)
@given(actions=st.lists(ACTIONS, min_size=3, max_size=12))
def test_nobody_is_told_of_what_is_quiet_and_what_is_left_is_told_when_the_quiet_ends(databases: Databases, actions: list[Action]) -> None:
    asyncio.run(_live(databases, actions))


async def _live(databases: Databases, actions: list[Action]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(databases.sqlite(Path(folder) / "tocsin.db"), Path(folder))
        try:
            await world.people(ONCALL_PHONE)
            await keep(world, a_dependency())
            life = Life(world)
            for name, given_ in actions:
                await life.do(name, given_)
            await world.pass_time(3 * HOUR + SECOND)  # every window is over by then
            life.check()
            assert all(alert.muted_by is None for alert in world.alerts() if alert.type != "check.http")
        finally:
            await world.close()

"""One storm, and a Tocsin in it that kills itself with SIGKILL at one boundary after another; each life with a database of its own.

``python -m tests.crash.storm FOLDER BOUNDARY=NTH=DATABASE_URL ...``: a process that forks a life for each, so that the program is loaded
once. What has arrived stands in ``FOLDER/BOUNDARY-NTH/arrived``.
"""

import asyncio
import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.build import a_report
from tests.escalation.crew import Crew
from tests.fakes import NO_SUCH_ADDRESS, FakeChannel, FakeClock
from tests.oncall.build import utc
from tests.world import World
from tocsin.core import failpoints
from tocsin.core.clock import SECOND
from tocsin.notify.model import Letter, Outcome

NIGHT = "2026-01-07T01:12"
COUNT = 12
WAIT = 10  # seconds that a group waits
# At which boundary, reached for which time: claimed, half sent, sent and not noted, half noted; before others are spared, and after it.
DEATHS = (
    ("claim.after", 1),
    ("send.departing", 2),
    ("send.after", 1),
    ("outcome.before", 3),
    ("outcome.after", 1),
    ("commit.before", 5),
    ("commit.before", 6),
    ("commit.after", 8),
)
FEW_DEATHS = (("commit.after", 8),)  # on PostgreSQL, where a life costs ten times as much


class NotingChannel(FakeChannel):
    """Writes down what has arrived, so that it outlives the process. Nothing arrives at the addresses in ``broken``."""

    def __init__(self, kind: str, clock: FakeClock, journal: Path) -> None:
        super().__init__(kind, clock)
        self._journal = journal
        self.broken: set[str] = set()

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """What has left arrives."""
        if letter.contact.target in self.broken:
            return NO_SUCH_ADDRESS
        outcome = await super().send(letter, departing)
        with self._journal.open("a") as file:
            file.write(f"{letter.message.id} {letter.message.maybe_repeated:d}\n")
        return outcome


async def begin(url: str, folder: Path) -> Crew:
    """Olga, Anna and Ben at night, and all that they are sent is noted in *folder*."""
    world = World(url, folder, group_wait_seconds=WAIT, clock=FakeClock(utc(NIGHT)))
    for kind in world.channels:
        world.channels[kind] = NotingChannel(kind, world.clock, folder / "arrived")
    return Crew(world)


def break_off(world: World) -> None:
    """What was under way never arrives, if its reader can be told in another way."""
    at_hand = Counter(contact.user_id for contact in world.core.contacts.all)
    for contact_id in {message.contact_id for message in world.messages(status="sending")}:
        contact = world.core.contacts.find(contact_id)
        assert contact is not None
        channel = world.channels[contact.kind]
        assert isinstance(channel, NotingChannel)
        if at_hand[contact.user_id] > 1:
            channel.broken.add(contact.target)


async def live(url: str, folder: Path, boundary: str, times: int) -> None:
    """Twelve alerts at once; when they are told, this process dies."""
    crew = await (await begin(url, folder)).start()
    world = crew.world
    await crew.contact("anna", "email", "anna@example.com")
    await world.report(*[a_report(f"disk:{n}", severity=4, at=world.clock.at) for n in range(COUNT)])
    reached = itertools.count(1)

    def hook(name: str) -> None:
        if name == boundary and next(reached) >= times:
            os.kill(os.getpid(), signal.SIGKILL)

    world.clock.advance(WAIT * SECOND)
    failpoints.arm(hook)
    await world.pass_time(60 * SECOND)


def die(url: str, folder: Path, boundary: str, times: int) -> int:
    """The status with which a life has ended."""
    folder.mkdir()
    child = os.fork()
    if child == 0:
        asyncio.run(live(url, folder, boundary, times))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for given in sys.argv[2:]:
        deadly, nth, address = given.split("=", 2)
        status = die(address, where / f"{deadly}-{nth}", deadly, int(nth))
        if status != -signal.SIGKILL:
            raise SystemExit(f"at {deadly} for the time {nth} the process ended with {status}, and should have been killed")

"""The agent against a real server that is killed and started again: no sample is lost, and none is there twice."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.nursery import Child
from tests.cli.program import PATIENCE, Handy, free_port, until

ROOT = Path(__file__).parents[2]
# The agent as it is, but for its interval; it notes when each of its rounds was, and reports it as an event, too.
DRIVER = """
import sys
sys.path.insert(0, {root!r})
from agent import tocsin_agent as agent
class Noting(agent.Agent):
    def collect(self, at):
        noted.write("%d\\n" % at)
        noted.flush()
        samples, events = super().collect(at)
        return samples, events + [{{"type": "agent.round", "status": "info", "title": str(at)}}]
noted = open({noted!r}, "a")
agent.FIRST_PAUSE, agent.LONGEST_PAUSE = 0.1, 0.5
one = Noting(agent.Machine(), agent.Link({url!r}, {key!r}), {state!r}, "web-1", {interval}, "/nonexistent")
if {once}:
    sys.exit(0 if any(one.run_once() for _ in range(100)) else 1)
one.run()
"""
SAMPLES = (
    "SELECT at FROM (SELECT series_id, at FROM samples UNION ALL SELECT series_id, at FROM open_samples)"
    " JOIN series ON series.id = series_id WHERE name = 'load_1m' ORDER BY at"
)
EVENTS = "SELECT title FROM events WHERE type = 'agent.round' ORDER BY CAST(title AS INTEGER)"


@dataclass
class Servers:
    """One after the other on the same data, at the same address."""

    program: Handy
    folder: Path
    count: int = 0
    last: "subprocess.Popen[bytes] | Child | None" = None

    def start(self) -> None:
        """The next one begins to start."""
        self.count += 1
        with self._log().open("wb") as log:
            self.last = self.program.begin(("serve",), None, log.fileno(), log.fileno())

    def kill(self) -> None:
        """The last one is no more."""
        if self.last is not None:
            self.last.kill()
            self.last.wait()

    def has_started(self) -> bool:
        """Whether the last one says that it answers."""
        assert self.last is not None
        assert self.last.poll() is None, self._log().read_text()
        return '"started"' in self._log().read_text()

    def _log(self) -> Path:
        return self.folder / f"server-{self.count}.log"


@contextmanager
def servers(program: Handy, folder: Path) -> Iterator[Servers]:
    all_of_them = Servers(program, folder)
    try:
        yield all_of_them
    finally:
        all_of_them.kill()


@dataclass
class Watched:
    """A server that is watched: its agent, and what that has measured."""

    folder: Path
    url: str
    key: str
    interval: float

    def rounds(self) -> list[int]:
        """The times of all rounds so far."""
        noted = self.folder / "noted"
        return [int(line) for line in noted.read_text().splitlines(keepends=True) if line.endswith("\n")] if noted.exists() else []

    def pass_by(self, number: int) -> None:
        """Waits for so many more rounds, and a part of one."""
        wanted = len(self.rounds()) + number
        until(lambda: len(self.rounds()) >= wanted)
        time.sleep(random.uniform(0, self.interval))

    @contextmanager
    def agent(self, *, once: bool = False) -> Iterator["subprocess.Popen[bytes]"]:
        """The agent while it runs."""
        words = {
            "root": str(ROOT),
            "noted": str(self.folder / "noted"),
            "state": str(self.folder / "state"),
            "url": self.url,
            "key": self.key,
            "interval": self.interval,
            "once": once,
        }
        with (self.folder / "agent.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", DRIVER.format(**words)], stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def stored(self, query: str) -> list[int]:
        """What the server has."""
        with closing(sqlite3.connect(self.folder / "data" / "tocsin.db")) as connection:
            return [int(row[0]) for row in connection.execute(query)]


def ordeal(folder: Path, interval: float, most: int) -> int:
    """Kills three servers after up to *most* rounds of the agent, the second while it starts; how many rounds there were."""
    program = Handy(folder / "data", {"TOCSIN_LISTEN": f"127.0.0.1:{free_port()}"})
    with servers(program, folder) as server:
        watched = Watched(folder, f"http://{program.settings['TOCSIN_LISTEN']}", program.key(), interval)
        server.start()
        until(server.has_started)
        with watched.agent() as agent:
            for turn in range(3):
                if turn != 1:
                    until(server.has_started)
                watched.pass_by(random.randint(1, most))
                server.kill()
                watched.pass_by(random.randint(2, most))
                server.start()
            until(server.has_started)
            watched.pass_by(1)
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(PATIENCE) == 0
        with watched.agent(once=True) as agent:  # what still waits: a request for each sample and event, since they take turns
            assert agent.wait(5 * PATIENCE) == 0
        rounds = watched.rounds()
        assert watched.stored(SAMPLES) == rounds
        assert watched.stored(EVENTS) == rounds
    said = (folder / "agent.log").read_text()
    assert "kept, and sent again" in said
    assert watched.key not in said
    return len(rounds)


@pytest.mark.claim("M1", "A24", "A18")
def test_no_sample_is_lost_or_doubled_when_the_server_is_killed_three_times(tmp_path: Path) -> None:
    assert ordeal(tmp_path, interval=0.1, most=4) > 10


@pytest.mark.soak
@pytest.mark.claim("M1")
def test_the_same_for_ten_minutes(tmp_path: Path) -> None:
    end, turn = time.monotonic() + 600, 0
    while time.monotonic() < end:
        turn += 1
        folder = tmp_path / str(turn)
        folder.mkdir()
        ordeal(folder, interval=0.5, most=30)

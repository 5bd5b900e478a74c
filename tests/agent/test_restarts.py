"""The agent against a real server that is killed and started again: no sample is lost, and none is there twice."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent import tocsin_agent
from tests.cli.program import PATIENCE, Handy, until

ROOT = Path(__file__).parents[2]
# The agent as it is, but for its interval; it notes when each of its rounds was.
DRIVER = """
import sys
sys.path.insert(0, {root!r})
from agent import tocsin_agent as agent
class Noting(agent.Agent):
    def collect(self, at):
        noted.write("%d\\n" % at)
        noted.flush()
        return self._told(at)
    def _told(self, at):
        samples, events = super().collect(at)
        return samples, events + [{{"type": "agent.round", "status": "info", "title": str(at)}}]
noted = open({noted!r}, "a")
agent.FIRST_PAUSE, agent.LONGEST_PAUSE = 0.1, 0.5
link = agent.Link({url!r}, {key!r})
one = Noting(agent.Machine(), link, {state!r}, "web-1", {interval}, "/nonexistent")
one.run()
"""


@contextmanager
def running(url: str, key: str, folder: Path, interval: float) -> Iterator["subprocess.Popen[bytes]"]:
    words = {
        "root": str(ROOT),
        "noted": str(folder / "noted"),
        "url": url,
        "key": key,
        "state": str(folder / "state"),
        "interval": interval,
    }
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", DRIVER.format(**words)], stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stored(data: Path, query: str) -> list[int]:
    with closing(sqlite3.connect(data / "tocsin.db")) as connection:
        return [int(row[0]) for row in connection.execute(query)]


SAMPLES = "SELECT at FROM samples JOIN series ON series.id = series_id WHERE name = 'load_1m' ORDER BY at"
EVENTS = "SELECT title FROM events WHERE type = 'agent.round' ORDER BY CAST(title AS INTEGER)"


def ordeal(tmp_path: Path, kills: int, interval: float, life: float, gap: float) -> int:
    """Kills the server so many times; how many rounds there were."""
    program = Handy(tmp_path / "data")
    key = program.key()
    with program.serving() as server:
        url = server.url
        with running(url, key, tmp_path, interval) as agent:
            time.sleep(random.uniform(life / 2, life))
            server.stop(signal.SIGKILL)
            for turn in range(kills - 1):
                time.sleep(random.uniform(0, gap))
                with program.serving(log=f"log-{turn}") as again:
                    time.sleep(random.uniform(0, life))
                    again.stop(signal.SIGKILL)
            time.sleep(random.uniform(0, gap))
            with program.serving(log="log-last"):
                time.sleep(life)
                until(lambda: is_all_sent(tmp_path))
                stop(agent)
                for _ in range(10):
                    if is_all_sent(tmp_path):
                        break
                    with running(url, key, tmp_path, interval) as last:
                        time.sleep(1)
                        stop(last)
                rounds = [int(line) for line in (tmp_path / "noted").read_text().splitlines()]
                assert stored(tmp_path / "data", SAMPLES) == rounds
                assert stored(tmp_path / "data", EVENTS) == rounds
    assert "kept, and sent again" in (tmp_path / "agent.log").read_text()
    assert key not in (tmp_path / "agent.log").read_text()
    return len(rounds)


def stop(agent: "subprocess.Popen[bytes]") -> None:
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE) == 0


def is_all_sent(folder: Path) -> bool:
    return bool(tocsin_agent.Spool(str(folder / "state" / "spool")).is_empty())


@pytest.mark.claim("M1", "A24", "A18")
def test_no_sample_is_lost_or_doubled_when_the_server_is_killed_three_times(tmp_path: Path) -> None:
    assert ordeal(tmp_path, 3, interval=0.25, life=1.0, gap=0.5) > 10


@pytest.mark.soak
@pytest.mark.claim("M1")
def test_the_same_for_ten_minutes(tmp_path: Path) -> None:
    end, turn = time.monotonic() + 600, 0
    while time.monotonic() < end:
        turn += 1
        folder = tmp_path / str(turn)
        folder.mkdir()
        ordeal(folder, 3, interval=0.5, life=15.0, gap=10.0)

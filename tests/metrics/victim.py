"""Keeps a history small, and is killed at random moments, again and again: ``python -m tests.metrics.victim URL NOW KILLS SEED``.

One process loads everything once and forks a child for each life, so that twenty kills take a few seconds. Says how many it
has killed before the work was done.
"""

import os
import random
import signal
import sys
import time
from typing import Any

from tocsin.db.engine import Database
from tocsin.db.writer import Writer
from tocsin.metrics import packing, packs, rolling, settling
from tocsin.metrics.service import History
from tocsin.metrics.store import SqlHistory

DONE = 3


def live(url: str, now: int) -> None:
    """One life: works until there is nothing to do."""
    database = Database(url)
    writer = Writer(database)
    writer.start()
    unused: Any = None
    history = History(SqlHistory(), 0, unused)
    while True:
        with database.read() as connection:
            piece = history.next_piece(connection, 90, now)
        if piece is None:
            os._exit(DONE)
        writer.call(piece.write)


def main(url: str, now: int, kills: int, seed: int) -> int:
    """How many lives ended by a kill."""
    settling.MAX_ROWS = 15
    packing.MAX_ROWS, rolling.MAX_LATE, rolling.MAX_SERIES = 60, 4, 5  # many small steps
    chance = random.Random(seed)
    packs.unpack(packs.pack({}))  # loaded before the first life
    for number in range(kills):
        child = os.fork()
        if child == 0:
            live(url, now)
        time.sleep(chance.uniform(0.005, 0.08))
        os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            return number
    return kills


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], *map(int, sys.argv[2:]))))

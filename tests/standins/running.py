"""The stand-ins as processes of their own, for tests of the real program."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def ntfy(*options: str) -> Iterator[str]:
    """The address of a running ntfy stand-in; *options* are those of ``python -m tests.standins.ntfy``."""
    command = [sys.executable, "-m", "tests.standins.ntfy", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()

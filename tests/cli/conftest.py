"""The program in an empty data folder."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "data")


@pytest.fixture
def ntfy_url() -> Iterator[str]:
    """An ntfy server on loopback that takes anything from anybody."""
    yield from _ntfy()


@pytest.fixture
def locked_ntfy_url() -> Iterator[str]:
    """An ntfy server that knows one token, ``tk_right``, and no anonymous access."""
    yield from _ntfy("--token", "tk_right")


def _ntfy(*options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.standins.ntfy", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()

"""`tocsin agent`: the server agent, which is a program of its own."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tocsin.core.errors import NotFound

_BESIDE = Path(__file__).parents[1] / "tocsin_agent.py"  # where an installation has it
_SOURCE = Path(__file__).parents[3] / "agent" / "tocsin_agent.py"


def file() -> Path:
    """The agent's one file. Raises `NotFound` if this installation lacks it."""
    for path in (_BESIDE, _SOURCE):
        if path.is_file():
            return path
    raise NotFound("this installation lacks the agent's file, tocsin_agent.py; it comes with the source")


def run(words: Sequence[str]) -> None:
    """Becomes the agent: none of Tocsin stays in memory."""
    os.execv(sys.executable, [sys.executable, str(file()), *words])  # noqa: S606 - our own file, by this interpreter

"""`tocsin agent`: the server agent, which is a program of its own."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tocsin import shipped


def file() -> Path:
    """The agent's one file. Raises `NotFound` if this installation lacks it."""
    return shipped.place("tocsin_agent.py", "agent/tocsin_agent.py", "the agent's file")


def run(words: Sequence[str]) -> None:
    """Becomes the agent: none of Tocsin stays in memory."""
    os.execv(sys.executable, [sys.executable, str(file()), *words])  # noqa: S606 - our own file, by this interpreter

"""Hosts at the terminal, and an agent that lets itself in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import PATIENCE, Handy

AGENT = Path(__file__).parents[2] / "agent" / "tocsin_agent.py"
pytestmark = pytest.mark.claim("M1")


def test_a_new_server_lets_itself_in_and_is_listed(handy: Handy, tmp_path: Path) -> None:
    with handy.serving() as server:
        token = handy.run("hosts", "token").out.strip()
        words = ["--server", server.url, "--state", str(tmp_path / "state"), "--config", "/nonexistent", "--host", "web-1"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN")}

        def agent(*more: str) -> "subprocess.CompletedProcess[str]":
            command = [sys.executable, str(AGENT), *words, *more]
            return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=PATIENCE)

        first = agent("--register", token)
        assert first.returncode == 0, first.stderr
        assert (tmp_path / "state" / "key").stat().st_mode & 0o777 == 0o600
        assert agent("--once").returncode == 0
        again = agent("--register", token)
        assert again.returncode == 2
        assert "each works once" in again.stderr
        (listed,) = json.loads(handy.run("hosts", "list", "--json").out)
        assert (listed["name"], listed["status"], listed["interval_seconds"]) == ("web-1", "up", 300.0)
        assert "web-1" in handy.run("hosts", "list").out
        assert (tmp_path / "state" / "key").read_text().strip() not in first.stderr + server.log

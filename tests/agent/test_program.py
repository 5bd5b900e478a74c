"""The agent as a program: old Pythons, the command line, and what it must not say."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import tocsin_agent
from tests.cli.program import PATIENCE

FILE = Path(__file__).parents[2] / "agent" / "tocsin_agent.py"
KEY = "tocsin_" + "k" * 43
pytestmark = pytest.mark.claim("M1")


def pythons() -> list[str]:
    """The oldest and the newest interpreter of this machine that it is made for, and our own."""
    found = [
        path
        for folder in ("/usr/bin", "/usr/local/bin")
        for path in Path(folder).glob("python3.[0-9]*")
        if path.name[7:].replace(".", "").isdigit()
    ]
    found += (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")
    versions = {_version(str(path)): str(path) for path in found}
    fit = sorted(version for version in versions if version >= (3, 6))
    return [*dict.fromkeys([versions[fit[0]], versions[fit[-1]]] if fit else []), sys.executable]


def _version(python: str) -> tuple[int, ...]:
    done = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return tuple(int(word) for word in done.stdout.split())


def run(*words: str, python: str = sys.executable, **more: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN")}
    command = [python, "-W", "error", str(FILE), *words, "--config", "/nonexistent"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, **more}, timeout=PATIENCE)


def test_its_syntax_is_that_of_python_3_6() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 6))


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(FILE.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.claim("K2", "A24")
@pytest.mark.parametrize("python", pythons())
def test_it_measures_this_machine(python: str) -> None:
    done = run("--print", python=python)
    assert (done.returncode, done.stderr) == (0, "")
    names = {line.partition(" ")[0].partition("{")[0] for line in done.stdout.splitlines()}
    assert {"cpu_percent", "memory_percent", "load_1m", "uptime_seconds", "processes_count", "network_connections"} <= names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no server: give --server"),
        (("--server", "alarm.example.com"), "is no address. Example: https://"),
        (("--server", "https://u:p@alarm.example.com"), "is no address"),
        (("--server", "https://alarm.example.com", "--interval", "1s"), "not between 10s and 1h"),
        (("--server", "https://alarm.example.com", "--interval", "5d"), "not between 10s and 1h"),
        (("--server", "https://alarm.example.com", "--host", "web 1"), "is no host name"),
        (("--server", "https://alarm.example.com", "--key", "two words"), "must be one word"),
        (("--server", "https://alarm.example.com", "--key-file", "/nonexistent/key"), "the key cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_with_one_line(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = run("--state", str(tmp_path), *([] if "--key" in words or "--key-file" in words else ["--key", KEY]), *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert KEY not in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_key_it_says_where_one_may_be(tmp_path: Path) -> None:
    done = run("--server", "http://127.0.0.1:9", "--state", str(tmp_path))
    assert done.returncode == 2
    assert "--register TOKEN" in done.stderr


def test_the_key_may_come_from_a_file_the_environment_or_systemd_and_shows_nowhere(tmp_path: Path, unused_port: int) -> None:
    (tmp_path / "tocsin-agent-key").write_text(KEY + "\n")
    for words, more in (
        (("--key-file", str(tmp_path / "tocsin-agent-key")), {}),
        ((), {"TOCSIN_AGENT_KEY": KEY}),
        ((), {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
    ):
        done = run("--once", "--server", f"http://127.0.0.1:{unused_port}", "--state", str(tmp_path / "state"), *words, **more)
        assert done.returncode == 1, done.stderr
        assert "cannot be reached" in done.stderr
        assert KEY not in done.stderr
    kept = [file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file()]
    assert kept
    assert not any(KEY.encode() in raw for raw in kept)
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "state").rglob("*"))


def test_programs_that_are_asked_are_not_given_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_AGENT_KEY", KEY)
    assert tocsin_agent.Machine().run("env") != ""
    assert KEY not in tocsin_agent.Machine().run("env")


def test_a_program_that_is_not_there_fails_or_hangs_says_nothing() -> None:
    machine = tocsin_agent.Machine()
    assert machine.run("/nonexistent/program") == ""
    assert machine.run("false") == ""
    assert machine.run("sleep", "30", timeout=0.1) == ""


def test_a_key_on_the_command_line_is_taken_with_a_word_about_it(tmp_path: Path, unused_port: int) -> None:
    done = run("--once", "--server", f"http://127.0.0.1:{unused_port}", "--state", str(tmp_path), "--key", KEY)
    assert "better --key-file" in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_one_that_systemd_takes() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(FILE.with_name("tocsin-agent.service"))], capture_output=True, text=True, check=False
    )
    assert "Unknown" not in done.stderr
    assert "Failed to parse" not in done.stderr

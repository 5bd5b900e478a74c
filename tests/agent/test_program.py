"""The agent as a program: old Pythons, the command line, and what it must not say."""

import ast
import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent import tocsin_agent
from tests.cli.program import PATIENCE, until
from tests.standins.tls import Authority

FILE = Path(__file__).parents[2] / "agent" / "tocsin_agent.py"
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
KEY = "tocsin_" + "k" * 43
pytestmark = pytest.mark.claim("M1")


def pythons() -> list[str]:
    """The oldest and the newest interpreter of this machine that it is made for, and our own."""
    found = [path for folder in ("/usr/bin", "/usr/local/bin") for path in Path(folder).glob("python3.[0-9]*")]
    found += (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")
    named = [(re.search(r"/(?:python)?3\.(\d+)(?:\.\d+)?(?:/bin/python)?$", str(path)), path) for path in found]
    minors = {int(match[1]): str(path) for match, path in named if match}
    fit = sorted(minor for minor in minors if minor >= 6)
    return [*dict.fromkeys([minors[fit[0]], minors[fit[-1]]] if fit else []), sys.executable]


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


def test_it_says_what_it_can_be_told() -> None:
    done = run("-h")
    assert done.returncode == 0
    assert all(f"--{name}" in done.stdout for name, _, _ in tocsin_agent.OPTIONS)
    assert run("--version").stdout == f"tocsin-agent {tocsin_agent.VERSION}\n"


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
        (("--sever", "https://alarm.example.com"), "'--sever' is no option; --help lists them"),
        (("web-1",), "'web-1' is no option"),
        (("--once=yes",), "'--once' is no option; --help"),
        (("--server",), "--server needs a value: --server URL"),
        (("--host", "--once"), "--host needs a value"),
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


def test_it_needs_a_dozen_megabytes_more_than_python_alone(tmp_path: Path) -> None:
    """At its worst: by HTTPS, with all authorities of the system in memory, and after it has sent what waited."""
    spool = tocsin_agent.Spool(str(tmp_path / "state" / "spool"))
    samples = [{"name": "x_percent", "host": "web-1", "value": 1.5, "labels": {"n": str(n)}} for n in range(150)]
    body = tocsin_agent.gzipped(json.dumps({"samples": samples}, separators=(",", ":")).encode())
    for _ in range(400):
        spool.add("m", tocsin_agent.now_ms(), 150, body)
    authority = Authority(tmp_path)
    with taking(authority) as (port, batches):
        bundle = tmp_path / "bundle"
        bundle.write_text("".join(path.read_text() for path in (authority.ca_file, SYSTEM_BUNDLE) if path.exists()))
        environment = {**os.environ, "SSL_CERT_FILE": str(bundle), "TOCSIN_AGENT_KEY": KEY}
        words = [
            "--server",
            f"https://127.0.0.1:{port}",
            "--state",
            str(tmp_path / "state"),
            "--config",
            "/nonexistent",
            "--interval",
            "10s",
        ]
        process = subprocess.Popen([sys.executable, str(FILE), *words], env=environment)
        try:
            until(lambda: len(batches) > 30 and spool_is_empty(tmp_path))
            assert "agent.pyc" in Path(f"/proc/{process.pid}/cmdline").read_text()
            used = most_memory(process.pid)
        finally:
            process.kill()
            process.wait()
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as bare:
        until(lambda: "S (sleeping)" in Path(f"/proc/{bare.pid}/status").read_text())
        alone = most_memory(bare.pid)
    assert used - alone < 11.5


def spool_is_empty(folder: Path) -> bool:
    return not [*(folder / "state" / "spool").glob("*.spool")]


def most_memory(process: int) -> float:
    """The most that it ever had in memory, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found.group(1)) / 1024


@contextmanager
def taking(authority: Authority) -> Iterator[tuple[int, list[str]]]:
    """A server that takes all; its port, and what was asked."""
    asked: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            asked.append(self.path)

        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    server.daemon_threads = True
    server.socket = authority.server_context("127.0.0.1").wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()


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


@pytest.mark.claim("M2")
@pytest.mark.parametrize("python", pythons())
def test_it_looks_at_what_the_server_names_only_if_it_is_told_to(python: str, tmp_path: Path) -> None:
    asked, looks = [], []

    class Tocsin(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"{}")

        def do_POST(self) -> None:
            body = json.loads(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
            if not self.path.endswith("/agents/checks"):
                self._answer(b'{"accepted": 1, "rejected": []}', 202)
                return
            asked.append(self.headers["Authorization"])
            looks.extend(body["looks"])
            errand = {"id": "c", "mark": "m", "kind": "http", "in_ms": 0, "timeout_seconds": 5, "private": True, "max_body": 4096}
            errand["url"] = f"http://127.0.0.1:{server.server_port}/shop"
            self._answer(json.dumps({"checks": [] if looks else [errand], "ask_again_ms": 20_000}).encode())

        def _answer(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not in the output of the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Tocsin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = ["--server", f"http://127.0.0.1:{server.server_port}", "--key", KEY, "--interval", "10s", "--state", str(tmp_path)]
        assert run(*words, "--once", "--checks", "all", python=python).returncode == 0
        assert asked == []
        command = [python, "-W", "error", str(FILE), *words, "--checks", "all", "--config", "/nonexistent"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            until(lambda: looks)
            process.terminate()
            said = process.communicate(timeout=PATIENCE)[1].decode()
        server.shutdown()
    assert process.returncode == 0, said
    assert set(asked) == {f"Bearer {KEY}"}
    (look,) = looks
    assert (look["check"], look["mark"], look["status"], base64.b64decode(look["body"])) == ("c", "m", 200, b"{}")
    assert run(*words, "--checks", "some", python=python).returncode == 2

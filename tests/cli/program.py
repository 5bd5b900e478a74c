"""The real program, as a person starts it: ``python -m tocsin`` in a data folder of its own, with a clean environment."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from tests.cli.nursery import Child, born
from tocsin import cli
from tocsin.cli import logs
from tocsin.settings import VARIABLES

OURS = {variable.name for variable in VARIABLES}
PATIENCE = 60  # seconds; the machine may be busy


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer, when it was asked for JSON."""
        return json.loads(self.out)

    def is_one_complaint(self) -> bool:
        """Whether it failed with one line on standard error and nothing else."""
        return self.code == 1 and self.err.startswith("tocsin: ") and self.err.count("\n") == 1 and not self.out


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Inside:
    """The same commands in this process, where only their words count: a hundred times as quick as a program of their own."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        for name in OURS:
            self.patch.delenv(name, raising=False)
        self.patch.setenv("TOCSIN_DATA_DIR", str(self.folder))
        self.patch.setenv("TOCSIN_LISTEN", f"127.0.0.1:{free_port()}")  # somebody may have one running on the usual one
        self.patch.setattr(logs, "configure", lambda *_args, **_options: None)  # the log is the tests'

    def set(self, **settings: str) -> None:
        """What a person sets in the environment."""
        for name, value in settings.items():
            self.patch.setenv(name, value)

    def run(self, *arguments: str) -> Result:
        """One command, to its end."""
        self.capture.readouterr()
        code = cli.run(list(arguments))
        said = self.capture.readouterr()
        return Result(code, said.out, said.err)


@dataclass
class Serving:
    """A running `tocsin serve`."""

    process: subprocess.Popen[bytes] | Child
    url: str
    log_file: Path

    @property
    def log(self) -> str:
        """What it has said."""
        return self.log_file.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def post(self, key: str, event: dict[str, Any]) -> dict[str, Any]:
        """Reports one event."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/events", json.dumps(event).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def get(self, path: str, headers: dict[str, str]) -> dict[str, Any]:
        """What the API answers at *path*, below ``/api/v1``."""
        request = urllib.request.Request(f"{self.url}/api/v1{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@dataclass
class Program:
    """Starts commands; ``settings`` are the environment that a person would have set, ``module`` what ``python -m`` is given.

    They are born with the code loaded, which is most of what they cost (see `nursery`), unless they shall begin *fresh*.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    module: str = "tocsin"
    fresh: bool = False

    def environment(self) -> dict[str, str]:
        """Ours alone: whatever this machine has set is taken out, and the usual port left to what may be running there."""
        kept = {k: v for k, v in os.environ.items() if k.removesuffix("_FILE") not in OURS and k != "CREDENTIALS_DIRECTORY"}
        return {**kept, "TOCSIN_DATA_DIR": str(self.folder), "TOCSIN_LISTEN": f"127.0.0.1:{free_port()}", **self.settings}

    def begin(self, arguments: tuple[str, ...], stdin: int | None, out: int, err: int) -> "subprocess.Popen[bytes] | Child":
        """A command that goes on, with these files; nothing to read without *stdin*."""
        if self.fresh:
            command = [sys.executable, "-m", self.module, *arguments]
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=out, stderr=err, env=self.environment()
            )
        return born((self.module, *arguments), self.environment(), stdin, out, err)

    def run(self, *arguments: str, stdin: str | bytes = b"") -> Result:
        """One command, to its end."""
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode() if isinstance(stdin, str) else stdin)
            given.seek(0)
            process = self.begin(arguments, given.fileno(), out.fileno(), err.fileno())
            try:
                code = process.wait(PATIENCE * 3)
            finally:
                process.kill()
                process.wait()
            for said in (out, err):
                said.seek(0)
            return Result(code, out.read().decode(), err.read().decode())

    def key(self, scope: str = "ingest") -> str:
        """A new key."""
        return self.run("key", "add", "test", "--scope", scope).out.strip()

    @contextmanager
    def serving(self, *options: str, log: str = "log") -> Iterator[Serving]:
        """A server that has said that it is ready; ended hard if it is still there at the end."""
        self.settings.setdefault("TOCSIN_LISTEN", f"127.0.0.1:{free_port()}")
        log_file = self.folder.parent / log
        with log_file.open("wb") as out:
            process = self.begin(("serve", *options), None, out.fileno(), out.fileno())
        serving = Serving(process, f"http://{self.settings['TOCSIN_LISTEN']}", log_file)
        try:
            until(lambda: '"started"' in serving.log or process.poll() is not None)
            assert process.poll() is None, serving.log
            yield serving
        finally:
            process.kill()
            process.wait()


class Handy(Program):
    """The same where only the words of the commands count: they run in this process. A server is one of its own."""

    def run(self, *arguments: str, stdin: str | bytes = b"") -> Result:
        """One command, to its end."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        before, mask = dict(os.environ), os.umask(0o077)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
            patch.setattr(logs, "configure", lambda *_args, **_options: None)  # the log is the tests'
            os.environ.clear()
            os.environ.update(self.environment())
            try:
                code = cli.run(list(arguments))
            finally:
                os.umask(mask)
                os.environ.clear()
                os.environ.update(before)
        said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))
        return Result(code, said, complained)


def until(condition: Any, seconds: float = PATIENCE) -> None:
    """Waits for *condition*; fails if it does not come true."""
    end, pause = time.monotonic() + seconds, 0.01
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(pause)
        pause = min(0.1, pause * 1.5)  # asking costs the server's time, too

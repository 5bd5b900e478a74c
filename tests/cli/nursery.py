"""Programs that begin with everything loaded: one process loads Tocsin once, and forks a child for each ``python -m tocsin``.

Three quarters of what a server's start costs is loading its code. A child of the nursery begins after that; all else is
its own: environment, files, signals, threads, its end. Whether the program starts from nothing is for tests of the start.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MOST = 1 << 17  # bytes of one request: an environment and a command
# What `tocsin serve` loads while it starts and when the first request comes; a name too few costs time, nothing else.
LOADED = ("tocsin.cli.serve", "tocsin.bootstrap", "tocsin.api.routes", "tocsin.web.routes")


class Child:
    """A process born in the nursery, with what the tests use of `subprocess.Popen`."""

    def __init__(self, news: socket.socket) -> None:
        self._news = news
        self.returncode: int | None = None
        told = news.recv(16)
        if not told:
            raise RuntimeError("the nursery has ended; its complaint is in the output of the tests")
        self.pid = int(told)

    def poll(self) -> int | None:
        """How it ended, if it has."""
        return self._hear(0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has."""
        code = self._hear(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """To a process that is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)

    def _hear(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._news], [], [], seconds)[0]:
            self.returncode = int(self._news.recv(16) or -signal.SIGKILL)
            self._news.close()
        return self.returncode


def born(command: tuple[str, ...], environment: dict[str, str], stdin: int | None, out: int, err: int) -> Child:
    """A child that runs ``python -m`` *command* with these files; nothing to read without *stdin*."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, Path(os.devnull).open("rb") as nothing:
        wish = json.dumps({"command": command, "environment": environment, "folder": os.getcwd()}).encode()  # noqa: PTH109 - as it is
        socket.send_fds(_nursery(), [wish], [nothing.fileno() if stdin is None else stdin, out, err, theirs.fileno()])
    return Child(ours)


@cache
def _nursery() -> socket.socket:
    """The line to the nursery of this test process; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.nursery", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
        )

    atexit.register(process.wait)
    atexit.register(ours.close)  # the last that was registered comes first
    return ours


# The nursery itself.


def _rear(line: socket.socket) -> dict[str, Any]:
    """Forks a child for each wish, and reports how it ended. Comes back in the child alone, with what it is to be."""
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is line:
                    wish = _take(line, selector)
                    if wish is not None:
                        return wish
                else:
                    _bury(selector, key)


def _take(line: socket.socket, selector: selectors.BaseSelector) -> dict[str, Any] | None:
    """One wish, fulfilled; what the child is to be in the child, nothing here."""
    said, fds, _, _ = socket.recv_fds(line, MOST, 4)
    if not said:
        sys.exit()
    *files, last = fds
    news = socket.socket(fileno=last)
    pid = os.fork()
    if pid == 0:
        line.close()
        for key in list(selector.get_map().values()):
            if key.data is not None:
                os.close(key.fd)
                key.data[1].close()
        news.close()
        for standard, file in enumerate(files):
            os.dup2(file, standard)
            os.close(file)
        wish: dict[str, Any] = json.loads(said)
        return wish
    for file in files:
        os.close(file)
    news.send(str(pid).encode())
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, news))
    return None


def _bury(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """The end of a child, told to whoever wanted it."""
    pid, news = key.data
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    selector.unregister(key.fileobj)
    os.close(key.fd)
    with news, suppress(OSError):  # nobody may want to know
        news.send(str(code).encode())


def _be(wish: dict[str, Any]) -> None:
    """What ``python -m`` would be."""
    os.environ.clear()
    os.environ.update(wish["environment"])
    os.chdir(wish["folder"])
    module, *arguments = wish["command"]
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    gc.disable()  # as `tocsin.cli.main` does, and the next line, too
    sys.modules["rich"] = None  # type: ignore[assignment]
    for name in LOADED:
        importlib.import_module(name)
    asgi, render = importlib.import_module("tocsin.asgi"), importlib.import_module("tocsin.notify.render")
    for wing in asgi.Wing:
        asgi._application(wing)  # which costs whoever serves a page a quarter of a second
    for name in ("mail.html", "mail.txt"):
        render.template(name)
    _be(_rear(socket.socket(fileno=int(sys.argv[1]))))

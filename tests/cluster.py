"""A private PostgreSQL cluster for one test run, shared by all of its processes.

Whoever needs it first starts a *keeper* (this module as a program). The keeper makes the cluster in a folder of its own,
listens on a free port of loopback, and takes everything away when the test run has ended, in whatever way it ended.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

START_SECONDS = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    # Nothing here outlives the run: only Tocsin is killed in tests, never the database's machine.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}


class NoPostgres(Exception):
    """PostgreSQL is not installed; the text says what to do."""


def programs() -> Path:
    """The folder of PostgreSQL's server programs, the newest version's. Raises `NoPostgres`."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    folders = [folder for folder in folders if (folder / "postgres").exists()]
    if not folders:
        raise NoPostgres("PostgreSQL is not installed: apt-get install postgresql")
    return folders[-1]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process of the run at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def port_of(folder: Path, owner: int) -> int:
    """The port of the cluster in *folder*, started if need be; it ends with the process *owner*. Raises `NoPostgres`."""
    programs()
    known = folder / "port"
    with locked(folder / "starting"):
        if not known.exists():
            _start_keeper(folder, owner)
    return int(known.read_text())


def _start_keeper(folder: Path, owner: int) -> None:
    with (folder / "keeper.log").open("w") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(owner)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    for _ in range(START_SECONDS * 20):
        if (folder / "port").exists():
            keeper.returncode = 0  # it outlives this process, and nobody waits for it
            return
        if keeper.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not start:\n" + (folder / "keeper.log").read_text())


def _keep(folder: Path, owner: int) -> None:
    """The keeper: makes and runs the cluster until *owner* is gone."""
    server: subprocess.Popen[bytes] | None = None
    try:
        server = _serve(folder)
        while _lives(owner) and server.poll() is None:
            time.sleep(0.2)
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _serve(folder: Path) -> "subprocess.Popen[bytes]":
    make(folder)
    port = free_port()
    server = run(folder, port)
    (folder / "port.new").write_text(str(port))
    (folder / "port.new").rename(folder / "port")
    return server


def make(folder: Path) -> None:
    """A new cluster in *folder*. Raises `NoPostgres`."""
    options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    subprocess.run([programs() / "initdb", "-D", folder / "data", *options], check=True, stdout=subprocess.DEVNULL, **_account(folder))


def run(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """The server of the cluster in *folder*, once it takes logins."""
    settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(folder)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen([programs() / "postgres", "-D", folder / "data", *options], **_account(folder))
    while not _answers(port):
        if server.poll() is not None:
            raise RuntimeError("postgres ended at once")
        time.sleep(0.02)
    return server


def _account(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as its own user."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}


def free_port() -> int:
    """A port of loopback where nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    """Whether the server takes logins; it opens its port a little earlier."""
    import psycopg

    with suppress(psycopg.OperationalError), psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=5):
        return True
    return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))

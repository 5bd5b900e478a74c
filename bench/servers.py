"""The programs under test: each a child of ours on loopback with data of its own, stopped by process id whatever happens."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psutil  # type: ignore[import-untyped]  # it comes without types
import psycopg

from tocsin.core.clock import monotonic

START_SECONDS = 60
STOP_SECONDS = 20
OURS = ("TOCSIN_", "NTFY_", "WHMCS_", "NOTIFICATION_EMAIL", "CREDENTIALS_DIRECTORY", "PG")
TOCSIN = (sys.executable, "-m", "tocsin")
MESSAGES = {"TOCSIN_MESSAGES_PER_MINUTE": "1000000", "TOCSIN_MESSAGE_BURST": "1000000", "TOCSIN_GROUP_WAIT_SECONDS": "0"}


class BenchError(Exception):
    """Something that is needed is missing or failed; the text says what to do."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without settings that would change what is measured, plus *settings*."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return inherited | {"WHMCS_ENV": "production"} | settings


class Child:
    """A server process. ``started_s``: seconds from its start to its first answer."""

    started_s: float

    def __init__(self, command: Sequence[str | Path], folder: Path, env: Mapping[str, str], **popen: Any) -> None:
        self._log = folder / "output.log"
        self._since = monotonic()
        self._command = [str(part) for part in command]
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=folder,
                start_new_session=True,
                **popen,
            )

    def wait_for(self, is_ready: Callable[[], bool]) -> None:
        """Until ``is_ready()``. Raises `BenchError` with what the program said if it ends or takes too long."""
        end = self._since + START_SECONDS
        while not is_ready():
            if self._process.poll() is not None or monotonic() > end:
                raise BenchError(f"`{' '.join(self._command)}` does not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.005)
        self.started_s = monotonic() - self._since

    def rss_mib(self) -> float:
        """Resident memory of the process and its children now."""
        return float(sum(process.memory_info().rss for process in self._tree())) / 2**20

    def cpu_seconds(self) -> float:
        """How much processor time the process has taken so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def peak_mib(self) -> float:
        """The most that the process itself ever had resident."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        return []

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process and its children, and waits for them."""
        tree = self._tree()
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        _, left = psutil.wait_procs(tree, timeout=STOP_SECONDS)
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Target:
    """A running server: what it speaks, where events go, and with which Authorization header."""

    child: Child
    speaks: str
    port: int
    path: str
    auth: str | None = None

    @property
    def url(self) -> str:
        """Where events are posted."""
        return f"http://127.0.0.1:{self.port}{self.path}"


class Subject(Protocol):
    """A server that can be had fresh, any number of times."""

    name: str

    def fresh(self, **settings: str) -> AbstractContextManager[Target]:
        """A new process on new data for the time of the block."""
        ...

    def telling(self, sink_port: int) -> dict[str, str]:
        """What to hand to `fresh` so that each new alert is told to the sink on *sink_port*."""
        ...


class Tocsin:
    """Ours, as it comes: a data folder with one key is made once and copied for each run."""

    name = "tocsin"

    def __init__(self, work: Path) -> None:
        self._work, self._seed = work, work / f"{self.name}-seed"
        self._seed.mkdir()
        self._key = self._make_key()

    def _make_key(self) -> str:
        command = [*TOCSIN, "key", "add", "bench", "--scope", "ingest,read", "--json"]
        env = environment(**self._settings(self._seed, port=1))
        made = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=START_SECONDS)
        if made.returncode:
            raise BenchError(f"`tocsin key add` failed: {made.stderr.strip()}")
        return str(msgspec.json.decode(made.stdout)["key"])

    def _settings(self, folder: Path, port: int) -> dict[str, str]:
        return {"TOCSIN_DATA_DIR": str(folder), "TOCSIN_LISTEN": f"127.0.0.1:{port}"}

    @contextmanager
    def fresh(self, **settings: str) -> Iterator[Target]:
        """A new process on a copy of the seed."""
        folder = self._work / "tocsin-run"
        self.copy_to(folder)
        with self.on(folder, **settings) as target:
            yield target

    def copy_to(self, folder: Path) -> None:
        """Makes *folder* a copy of the seed, whatever it was."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._seed, folder)

    @contextmanager
    def on(self, folder: Path, **settings: str) -> Iterator[Target]:
        """A new process on the data in *folder*."""
        port = free_port()
        folder.mkdir(exist_ok=True)
        child = Child([*TOCSIN, "serve"], folder, environment(**self._settings(folder, port), **settings))
        try:
            child.wait_for(lambda: answers(port, "/api/v1/live"))
            yield Target(child, "tocsin", port, "/api/v1/events", f"Bearer {self._key}")
        finally:
            child.stop()

    def telling(self, sink_port: int) -> dict[str, str]:
        """The sink stands in for an ntfy server; the limits are out of the way."""
        return {"NTFY_SERVER_URL": f"http://127.0.0.1:{sink_port}", **MESSAGES}


class TocsinOnPostgres(Tocsin):
    """Ours on PostgreSQL: the database is copied as well."""

    name = "tocsin-postgresql"

    def __init__(self, work: Path, cluster: "Cluster") -> None:
        self._cluster = cluster
        cluster.execute("CREATE DATABASE seed")
        super().__init__(work)

    def _settings(self, folder: Path, port: int) -> dict[str, str]:
        database = "seed" if folder == self._seed else "run"
        return super()._settings(folder, port) | {"TOCSIN_DATABASE_URL": self._cluster.url(database)}

    @contextmanager
    def fresh(self, **settings: str) -> Iterator[Target]:
        """A new process on a copy of the seed."""
        for statement in ("DROP DATABASE IF EXISTS run", "CREATE DATABASE run TEMPLATE seed", "CHECKPOINT"):
            self._cluster.execute(statement)
        with super().fresh(**settings) as target:
            yield target


class Alertmanager:
    """The peer, set as fast as it can be: every alert a group of its own that is told at once, and no cluster."""

    name = "alertmanager"
    _CONFIG = """
route:
  receiver: {receiver}
  group_by: ['...']
  group_wait: 0s
  group_interval: 5s
  repeat_interval: 4h
receivers:
- name: nobody
- name: sink
  webhook_configs:
  - url: http://127.0.0.1:{sink}/
    send_resolved: false
    max_alerts: 0
"""

    def __init__(self, work: Path) -> None:
        self._work = work

    @contextmanager
    def fresh(self, **settings: str) -> Iterator[Target]:
        """A new process without data."""
        folder, port = self._work / "alertmanager-run", free_port()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        sink = settings.get("sink")
        (folder / "config.yml").write_text(self._CONFIG.format(receiver="sink" if sink else "nobody", sink=sink or 9))
        command = [
            "prometheus-alertmanager",
            f"--config.file={folder}/config.yml",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=error",
        ]
        child = Child(command, folder, environment())
        try:
            child.wait_for(lambda: answers(port, "/-/ready"))
            yield Target(child, "alertmanager", port, "/api/v2/alerts")
        finally:
            child.stop()

    def telling(self, sink_port: int) -> dict[str, str]:
        """The sink is its webhook."""
        return {"sink": str(sink_port)}


class Cluster:
    """A private PostgreSQL with its default settings, so with fsync and synchronous_commit; one for the whole benchmark."""

    def __init__(self, child: Child, port: int) -> None:
        self._child, self._port = child, port

    def url(self, database: str) -> str:
        """The address of *database*."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def execute(self, statement: str) -> None:
        """Runs one statement outside any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def answers(self) -> bool:
        """Whether it takes logins."""
        with suppress(psycopg.OperationalError):
            self.execute("SELECT 1")
            return True
        return False


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's server programs, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def cluster(work: Path, programs: Path) -> Iterator[Cluster]:
    """A PostgreSQL cluster for the time of the block."""
    folder, port = work / "postgresql", free_port()
    folder.mkdir()
    account = _account(folder)
    made = subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
        capture_output=True,
        text=True,
        check=False,
        **account,
    )
    if made.returncode:
        raise BenchError(f"initdb failed: {made.stderr.strip()}")
    options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    child = Child([programs / "postgres", "-D", folder / "data", *options], folder, environment(), **account)
    try:
        running = Cluster(child, port)
        child.wait_for(running.answers)
        yield running
    finally:
        child.stop(signal.SIGINT)  # a fast shutdown, which does not wait for clients


def _account(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as its own user."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def answers(port: int, path: str) -> bool:
    """Whether a GET of *path* is answered with 200 within a second."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)) as connection:
        connection.settimeout(1)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False

"""MariaDB and Redis of the system, run privately on free ports of loopback, and taken away again."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import free_port
from tests.conftest import missing

PATIENCE = 30  # seconds for a server to start


@contextmanager
def redis(folder: Path, password: str) -> Iterator[int]:
    """A Redis server that wants *password*; its port."""
    if shutil.which("redis-server") is None:
        missing("Redis is not installed: apt-get install redis-server")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--requirepass", password]
    with _running(command, folder / "redis.log", "Ready to accept connections"):
        yield port


@contextmanager
def mariadb(folder: Path, password: str) -> Iterator[int]:
    """A MariaDB server with the user ``watch``; its port."""
    if shutil.which("mariadbd") is None:
        missing("MariaDB is not installed: apt-get install mariadb-server")
    data, port = folder / "data", free_port()
    data.mkdir()
    begin = folder / "begin.sql"
    begin.write_text(
        "CREATE DATABASE shop;\nCREATE TABLE shop.orders (id INT);\nINSERT INTO shop.orders VALUES (1), (2), (3);\n"
        f"CREATE USER watch IDENTIFIED BY '{password}';\nGRANT SELECT ON shop.* TO watch;\n"
    )
    # Without the tables of the system it could keep no users; with nothing else of what an installation holds.
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            "--user=root",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-flush-log-at-trx-commit=0",
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    command = [
        "mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={data}",
        f"--socket={folder}/s",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--init-file={begin}",
        "--innodb-buffer-pool-size=8M",
        "--innodb-flush-method=nosync",
        "--skip-log-bin",
    ]
    with _running(command, folder / "mariadb.log", "ready for connections"):
        yield port


@contextmanager
def _running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("w") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        for _ in range(PATIENCE * 20):
            if ready in log.read_text(errors="replace"):
                break
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()

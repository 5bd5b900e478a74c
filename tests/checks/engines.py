"""MariaDB, Redis, dnsmasq and Dovecot of the system, run privately on free ports of loopback, and taken away again."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
def name_server(folder: Path, *records: str) -> Iterator[int]:
    """dnsmasq with these *records* (its own options) of example.com, by UDP and TCP; its port."""
    if shutil.which("dnsmasq") is None:
        missing("dnsmasq is not installed: apt-get install dnsmasq-base")
    port = free_port()
    alone = ("--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local=/example.com/", "--pid-file=", "--user=", "--group=")
    here = (f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--log-facility=-")
    command = ["dnsmasq", "--keep-in-foreground", *alone, *here, *(f"--{one}" for one in records)]
    with _running(command, folder / "dnsmasq.log", "started, version"):
        yield port


@contextmanager
def imap(certificate: Path) -> Iterator[int]:
    """Dovecot with that *certificate*; its port. It would have users of its own for its parts: all are who runs the tests, or nobody."""
    if shutil.which("dovecot") is None:
        missing("Dovecot is not installed: apt-get install dovecot-imapd")
    is_root, port = os.geteuid() == 0, free_port()
    user = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="dovecot-") as name:  # where nobody may look, and with a short name for its sockets
        folder = Path(name)
        secret, config = folder / "server.pem", folder / "dovecot.conf"
        secret.write_bytes(certificate.read_bytes())
        who = {"user": user.pw_name, "group": grp.getgrgid(user.pw_gid).gr_name}
        config.write_text(_DOVECOT.format(folder=folder, port=port, secret=secret, **who))
        for path in (folder, secret, config) if is_root else ():
            os.chown(path, user.pw_uid, user.pw_gid)
        become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if is_root else {}
        with _running(["dovecot", "-F", "-c", str(config)], folder / "dovecot.log", "starting up for imap", **become):
            yield port


_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
ssl = yes
ssl_cert = <{secret}
ssl_key = <{secret}
passdb {{
  driver = static
  args = password=none
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@contextmanager
def _running(command: list[str], log: Path, ready: str, **become: Any) -> Iterator[None]:
    with log.open("w") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **become)
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

"""How `tocsin serve` starts, refuses to start, and ends."""

import asyncio
import json
import os
import signal
import smtplib
import socket
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.program import PATIENCE, Program, free_port, until
from tocsin.cli.banner import Facts, is_loopback, next_steps, where
from tocsin.cli.serve import is_behind_proxy, supervised
from tocsin.settings import Settings, load

SLOW_POST = (
    b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
)


def _half_sent(server_url: str, key: str, body: bytes) -> socket.socket:
    host, _, port = server_url.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(SLOW_POST % (key.encode(), len(body)) + body[:10])
    return connection


def test_sigterm_finishes_the_request_under_way_and_ends_with_zero_within_six_seconds(program: Program) -> None:
    body = json.dumps({"type": "invoice.payment_failed"}).encode()
    with program.serving() as server:
        with _half_sent(server.url, program.key(), body) as connection:
            time.sleep(0.2)  # the server has read the first half
            server.process.send_signal(signal.SIGTERM)
            until(lambda: "ending" in server.log)
            connection.sendall(body[10:])
            assert b"202" in connection.recv(4096).split(b"\r\n")[0]
        assert server.process.wait(6) == 0
        assert '"ended"' in server.log
    assert program.run("alerts", "list", "--json").json[0]["type"] == "invoice.payment_failed"


@pytest.mark.claim("O3", "B5")
def test_a_server_that_is_well_calls_the_address_of_the_heartbeat(program: Program) -> None:
    called = []

    class Switch(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not in the output of the tests."""

    with HTTPServer(("127.0.0.1", 0), Switch) as switch:
        threading.Thread(target=switch.serve_forever, daemon=True).start()
        program.settings["TOCSIN_HEARTBEAT_URL"] = f"http://127.0.0.1:{switch.server_port}/ping/hush?status=up"
        with program.serving() as server:
            until(lambda: called)
            assert called == ["/ping/hush?status=up"]
            assert "hush" not in server.log
        switch.shutdown()


def test_a_request_that_never_ends_holds_up_the_end_for_less_than_six_seconds_and_a_second_signal_for_none(program: Program) -> None:
    with program.serving() as server, _half_sent(server.url, "tocsin_x", b"x" * 100):
        time.sleep(0.2)
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(6) == 0
        assert time.monotonic() - began < 6
    with program.serving() as server, _half_sent(server.url, "tocsin_x", b"x" * 100):
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "ending" in server.log)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 1


@pytest.mark.claim("S11", "origin:A5")
def test_what_the_log_says_is_json_line_by_line_and_holds_no_secret(program: Program) -> None:
    program.settings |= {
        "WHMCS_ENV": "development",
        "NTFY_SERVER_URL": f"http://127.0.0.1:{free_port()}",
        "NTFY_TOKEN": "tk_averysecretone",
        "NOTIFICATION_EMAIL": "ops@example.com",
        "TOCSIN_SMTP_URL": f"smtp://robot:hush-hush@127.0.0.1:{free_port()}",
    }
    mail = free_port()
    program.settings |= {"TOCSIN_PING_MAIL_LISTEN": f"127.0.0.1:{mail}", "TOCSIN_PING_MAIL_DOMAIN": "ping.example.com"}
    with program.serving() as server:
        key = program.key()
        made = json.loads(program.run("heartbeats", "add", "Backup", "--every", "1d", "--json").out)
        with smtplib.SMTP("127.0.0.1", mail, timeout=10) as client:
            client.sendmail("root@db-1", [made["mail"]], "Subject: done\r\n\r\n")
        assert "up" in program.run("heartbeats", "list").out
        server.post(key, {"type": "invoice.payment_failed"})
        assert program.run("test-alert", "--wait", "1").code == 1
        server.stop()
        assert all(json.loads(line)["event"] for line in server.log.splitlines())
        assert "ntfy whmcs-alerts" in server.log
        for secret in ("averysecretone", "hush-hush", key, made["mail"][:32]):
            assert secret not in server.log


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("a port in use", ("cannot listen on 127.0.0.1:", "Address already in use", "TOCSIN_LISTEN")),
        ("an address of another machine", ("cannot listen on 192.0.2.1:8400", "TOCSIN_LISTEN")),
        ("a data folder that is a file", ("the data folder", "cannot be written", "TOCSIN_DATA_DIR")),
        ("a data folder in use", ("another `tocsin serve` already uses", "stop it, or set TOCSIN_DATA_DIR")),
        ("a damaged database", ("the database file is damaged", "restore a backup")),
        ("a database server that is not there", ("the database server does not answer", "check that PostgreSQL runs")),
        ("a database of a newer release", ("the database has schema 9999", "install the newer Tocsin")),
        ("a wrong setting", ("WHMCS_ENV is 'prod', but must be one of", "Example: WHMCS_ENV=production")),
    ],
)
def test_what_it_cannot_start_with_is_named_in_one_line_with_the_cure(program: Program, what: str, words: tuple[str, ...]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        _spoil(program, what, other.getsockname()[1])
        refused = program.run("serve")
    assert refused.is_one_complaint(), refused
    for word in words:
        assert word in refused.err


def _spoil(program: Program, what: str, busy_port: int) -> None:
    program.settings["TOCSIN_LISTEN"] = f"127.0.0.1:{free_port()}"
    program.folder.mkdir(mode=0o700)
    match what:
        case "a port in use":
            program.settings["TOCSIN_LISTEN"] = f"127.0.0.1:{busy_port}"
        case "an address of another machine":
            program.settings["TOCSIN_LISTEN"] = "192.0.2.1:8400"
        case "a data folder that is a file":
            program.settings["TOCSIN_DATA_DIR"] = __file__
        case "a data folder in use":
            _lock(program.folder)
        case "a damaged database":
            (program.folder / "tocsin.db").write_bytes(b"this is no database" * 1000)
        case "a database server that is not there":
            program.settings["TOCSIN_DATABASE_URL"] = f"postgresql://tocsin:hush@127.0.0.1:{free_port()}/tocsin"
        case "a database of a newer release":
            _from_the_future(program.folder / "tocsin.db")
        case _:
            program.settings["WHMCS_ENV"] = "prod"


def _lock(folder: Path) -> None:
    """What another server does; held until this test's process looks away."""
    import fcntl

    lock = os.open(folder / "serve.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)


def _from_the_future(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()


# --- Decisions ---------------------------------------------------------------------------------------------------------


def _facts(**changes: object) -> Facts:
    values: dict[str, object] = {
        "version": "1",
        "does": "everything",
        "listen": "http://127.0.0.1:8400",
        "public_url": "https://alarm.example.com",
        "database": "SQLite, data/tocsin.db",
        "environment": "production",
        "contacts": ("ntfy night-shift",),
        "has_key": True,
        "has_user": True,
    }
    return Facts(**{**values, **changes})  # type: ignore[arg-type]  # the table above has the right types


def test_a_complete_installation_is_not_told_what_to_do() -> None:
    assert next_steps(_facts()) == []


@pytest.mark.parametrize(
    ("lacks", "step"),
    [({"has_user": False}, "tocsin user add"), ({"has_key": False}, "tocsin key add"), ({"contacts": ()}, "NTFY_SERVER_URL")],
)
def test_what_is_still_missing_is_the_next_step(lacks: dict[str, object], step: str) -> None:
    steps = next_steps(_facts(**lacks))
    assert step in steps[0]
    assert "see that it arrives: tocsin test-alert" in steps


def test_the_database_is_shown_without_its_password() -> None:
    assert (
        where(Settings(database_url="postgresql://tocsin:hush@db.example.com/tocsin?password=hush")) == "PostgreSQL, db.example.com/tocsin"
    )
    assert where(Settings(database_url="sqlite:////var/lib/tocsin/tocsin.db")) == "SQLite, /var/lib/tocsin/tocsin.db"


@pytest.mark.parametrize(
    ("listen", "public", "believed"),
    [
        ("127.0.0.1:8400", "https://alarm.example.com", True),
        ("[::1]:8400", "https://alarm.example.com", True),
        ("127.0.0.1:8400", None, False),
        ("0.0.0.0:8400", "https://alarm.example.com", False),
        ("10.0.0.5:8400", None, False),
    ],
)
def test_a_proxy_is_believed_only_where_nobody_else_can_knock(listen: str, public: str | None, believed: bool) -> None:
    settings = load({"TOCSIN_LISTEN": listen, **({"TOCSIN_PUBLIC_URL": public} if public else {})})
    assert is_behind_proxy(settings) is believed


@pytest.mark.parametrize(("host", "loopback"), [("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.1.1.1", False), ("", False)])
def test_a_loopback_host_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.claim("A17", "T3", "K27")
async def test_a_part_that_fails_is_started_again_until_it_ends_by_itself() -> None:
    lives = iter([OSError("disk"), ValueError("bug"), None])
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        fault = next(lives)
        if fault:
            raise fault

    await supervised("engine", work, pause=0.001)
    assert begun == 3


async def test_a_part_that_is_cancelled_stays_so() -> None:
    task = asyncio.create_task(supervised("engine", asyncio.Event().wait))  # type: ignore[arg-type]  # what it returns is not looked at
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_news_from_postgresql_wakes_the_sender_also_after_the_connection_was_lost(postgresql_url: str) -> None:
    import psycopg

    from tocsin.engine import listen as module

    woken = threading.Semaphore(0)

    async def listen() -> None:
        async with asyncio.timeout(15):
            await module.listen(postgresql_url, woken.release)

    thread = threading.Thread(target=lambda: asyncio.run(_quietly(listen())), daemon=True)
    module.FIRST_PAUSE = 0.05
    thread.start()
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        assert woken.acquire(timeout=10)  # connected
        connection.execute("NOTIFY tocsin_outbox")
        assert woken.acquire(timeout=10)
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert woken.acquire(timeout=10)  # connected again
        connection.execute("NOTIFY tocsin_outbox")
        assert woken.acquire(timeout=10)


async def _quietly(work: object) -> None:
    try:
        await work  # type: ignore[misc]
    except TimeoutError:
        return

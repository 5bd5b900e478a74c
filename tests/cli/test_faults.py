"""Faults of the machine under a real server: it refuses what it cannot keep, says why, and goes on when the fault is over."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from tests import cluster
from tests.cli.program import PATIENCE, Program, Serving, until
from tests.conftest import Databases, missing
from tests.standins.ntfy import BROKEN, NtfyStandIn


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes. Only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if made.returncode:
        if os.geteuid() == 0:
            missing(f"no small disk can be mounted: {made.stderr.strip()}")
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def tell(server: Serving, key: str, number: int) -> int:
    """Reports one problem of about 8 KiB; the status of the answer."""
    what = {"type": "disk.full", "subject": f"disk:{number}", "severity": 4, "title": f"disk:{number} is full"}
    event = {**what, "message": "x" * 4000, "attributes": {"more": "y" * 4000}}
    try:
        server.post(key, event)
    except urllib.error.HTTPError as error:
        with error:
            problem = json.load(error)
        assert error.headers["Content-Type"] == "application/problem+json"
        assert problem["detail"]
        return error.code
    return 202


def health(server: Serving, key: str) -> tuple[int, dict[str, Any]]:
    """Status and content of ``/health`` for a key that may read everything."""
    request = urllib.request.Request(f"{server.url}/api/v1/health", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def doctor(program: Program, part: str) -> str:
    """All that `tocsin doctor` finds wrong with *part*."""
    return " ".join(found["text"] for found in program.run("doctor", "--json").json["findings"] if found["part"] == part)


def subjects(program: Program) -> set[str]:
    """What the database holds."""
    with closing(sqlite3.connect(program.folder / "tocsin.db")) as connection:
        return {row[0] for row in connection.execute("SELECT subject FROM events WHERE type = 'disk.full'")}


def told(phone: NtfyStandIn) -> list[str]:
    """What the pushes are about."""
    return [subject for push in phone.messages for subject in re.findall(r"disk:\d+", push["title"])]


class Cluster:
    """A database server that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, cluster.free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """It takes logins when this returns."""
        self._process = cluster.run(self._folder, self._port)

    def stop(self) -> None:
        """As `systemctl stop` does: sessions are cut off."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE)


@contextmanager
def a_server(program: Program) -> Iterator[tuple[Serving, str, str]]:
    """A running server, a key to report with, and one to read with."""
    program.settings["NOTIFICATION_EMAIL"] = ""
    sender, reader = program.key(), program.key("read")
    with program.serving() as server:
        yield server, sender, reader


def recovered(server: Serving, key: str) -> None:
    """Waits until the server calls its database well."""
    until(lambda: health(server, key)[1]["checks"]["database"] == "ok")


@pytest.mark.claim("O4", "origin:H3", "Q10")
def test_a_full_disk_is_refused_and_named_and_all_that_was_taken_is_there_when_there_is_room(small_disk: Path) -> None:
    program = Program(small_disk / "data")
    with a_server(program) as (server, sender, reader):
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"0" * (4 << 20))
        taken = []
        for number in range(2_000):
            status = tell(server, sender, number)
            if status != 202:
                break
            taken.append(f"disk:{number}")
        assert status == 503
        assert taken
        assert tell(server, sender, 10_000) == 503
        code, report = health(server, reader)
        assert code == 503
        assert report["status"] == "down"
        assert "the disk is full: free some space" in " ".join(report["details"]["database"])
        assert "0 MB are free on the disk" in doctor(program, "data folder")
        ballast.unlink()
        assert tell(server, sender, 20_000) == 202
        recovered(server, reader)
        assert server.stop() == 0
    assert subjects(program) == {*taken, "disk:20000"}


@pytest.mark.claim("O4")
def test_a_database_that_another_program_holds_is_refused_and_named_until_it_lets_go(program: Program) -> None:
    program.module = "tests.cli.impatient"
    with a_server(program) as (server, sender, reader):
        assert tell(server, sender, 1) == 202
        with closing(sqlite3.connect(program.folder / "tocsin.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            assert tell(server, sender, 2) == 503
            assert time.monotonic() - begun < 15
            code, report = health(server, reader)
            assert (code, report["status"]) == (503, "down")
            assert "another process holds the database" in " ".join(report["details"]["database"])
            assert "another process holds the database" in doctor(program, "database")
            holder.execute("ROLLBACK")
        assert tell(server, sender, 3) == 202
        recovered(server, reader)
    assert subjects(program) == {"disk:1", "disk:3"}


@pytest.mark.claim("O4", "X3")
def test_a_database_that_is_damaged_while_it_is_used_is_never_a_fault_of_ours(program: Program) -> None:
    with a_server(program) as (server, sender, reader):
        for number in range(50):
            assert tell(server, sender, number) == 202
    with program.serving() as server:
        with (program.folder / "tocsin.db").open("r+b") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(100)  # whoever opens it still takes it for a database
            file.write(os.urandom(length - 100))
        assert {tell(server, sender, 100 + number) for number in range(3)} == {503}
        for path in ("/alerts", "/events", "/sources"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                server.get(path, {"Authorization": f"Bearer {reader}"})
            refused.value.close()
            assert refused.value.code == 503
        code, report = health(server, reader)
        assert (code, report["checks"]["database"]) == (503, "down")  # why is for those whose key can be looked up
        assert "the database file is damaged: stop Tocsin and restore a backup" in server.log
        assert "damaged" in doctor(program, "database")


@pytest.fixture
def own_cluster(databases: Databases) -> Iterator[Cluster]:
    """A PostgreSQL of this test alone, which it may stop."""
    databases.server()  # where it is not installed, this says so
    folder = Path(mkdtemp(prefix="tocsin-cluster-"))
    cluster.make(folder)
    own = Cluster(folder)
    own.start()
    yield own
    own.stop()
    shutil.rmtree(folder)


@pytest.mark.claim("O4", "N5", "X1", "Q10")
def test_a_database_server_that_is_stopped_is_refused_and_named_and_what_was_taken_is_told_when_it_is_back(
    program: Program, own_cluster: Cluster, phone: NtfyStandIn
) -> None:
    program.settings |= {"NTFY_SERVER_URL": phone.url, "NTFY_TOKEN": "tk_right", "TOCSIN_GROUP_WAIT_SECONDS": "0"}
    program.settings["TOCSIN_DATABASE_URL"] = own_cluster.url
    with a_server(program) as (server, sender, reader):
        assert tell(server, sender, 1) == 202
        until(lambda: told(phone) == ["disk:1"])
        phone.fail_next(BROKEN)
        assert tell(server, sender, 2) == 202
        own_cluster.stop()
        assert tell(server, sender, 3) == 503
        until(lambda: health(server, reader)[1]["checks"]["database"] == "down")  # why is for those whose key can be looked up
        assert health(server, reader)[0] == 503
        assert "check that PostgreSQL runs" in doctor(program, "database")
        assert told(phone) == ["disk:1"]

        own_cluster.start()
        until(lambda: tell(server, sender, 4) == 202)
        until(lambda: sorted(told(phone)) == ["disk:1", "disk:2", "disk:4"])
        recovered(server, reader)
        assert server.stop() == 0
        assert '"exception"' not in server.log


@pytest.mark.claim("O4")
def test_a_folder_that_became_read_only_is_named_at_start(small_disk: Path) -> None:
    program = Program(small_disk / "data")
    program.key()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = program.run("serve")
    assert refused.is_one_complaint(), refused
    assert "check that the data folder exists and is writable" in refused.err
    assert "read-only" in doctor(program, "data folder").lower()

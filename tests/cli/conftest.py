"""The program in an empty data folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Handy, Inside, Program
from tests.conftest import Databases
from tests.standins import running
from tests.standins.beside import Beside
from tests.standins.ntfy import NtfyStandIn


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "data")


@pytest.fixture
def handy(tmp_path: Path) -> Handy:
    return Handy(tmp_path / "data")


@pytest.fixture
def inside(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Inside:
    """The commands without a process of their own, in an empty data folder."""
    return Inside(tmp_path / "data", capsys, monkeypatch)


@pytest.fixture
def ready(inside: Inside, databases: Databases) -> Inside:
    """The same with a database."""
    inside.folder.mkdir(mode=0o700)
    databases.sqlite(inside.folder / "tocsin.db")
    return inside


@pytest.fixture
def ntfy_url() -> Iterator[str]:
    """An ntfy server on loopback that takes anything from anybody."""
    with running.ntfy() as url:
        yield url


@pytest.fixture
def locked_ntfy_url() -> Iterator[str]:
    """An ntfy server that knows one token, ``tk_right``, and no anonymous access."""
    with running.ntfy("--token", "tk_right") as url:
        yield url


@pytest.fixture
def phone(beside: Beside) -> Iterator[NtfyStandIn]:
    """An ntfy server in this process, with a token for one topic."""
    ntfy = beside.do(NtfyStandIn(access={"tk_right": {"whmcs-alerts": "rw"}}).start())
    yield ntfy
    beside.do(ntfy.close())

"""The program in an empty data folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.standins import running


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "data")


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

"""Fixtures of the bridge's tests: a WHMCS with the bridge in it, and a Tocsin that checks every request."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge.server import KEY, TocsinStandIn
from tests.bridge.whmcs import Whmcs


@pytest.fixture
def tocsin() -> Iterator[TocsinStandIn]:
    standin = TocsinStandIn()
    yield standin
    standin.stop()
    assert standin.faults == []


@pytest.fixture
def whmcs(tmp_path: Path) -> Whmcs:
    return Whmcs(tmp_path)


@pytest.fixture
def shop(whmcs: Whmcs, tocsin: TocsinStandIn) -> Whmcs:
    """The add-on, set up and talking to the stand-in."""
    return whmcs.install_addon(**tocsin.settings)


@pytest.fixture
def offline(whmcs: Whmcs) -> Whmcs:
    """The add-on, set up, with nobody at the server's address: all that happens stays in the spool."""
    return whmcs.install_addon(server_url="http://127.0.0.1:1", api_key=KEY)

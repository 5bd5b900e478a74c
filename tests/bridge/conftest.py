"""Fixtures of the bridge's tests: a WHMCS with the bridge in it, and a Tocsin that checks every request."""

import pytest
from tocsin_standin import TocsinStandIn
from whmcs import Whmcs


@pytest.fixture
def tocsin():
    standin = TocsinStandIn()
    yield standin
    standin.stop()
    assert standin.faults == []


@pytest.fixture
def whmcs(tmp_path) -> Whmcs:
    return Whmcs(tmp_path)


@pytest.fixture
def shop(whmcs, tocsin) -> Whmcs:
    """The add-on, set up and talking to the stand-in."""
    return whmcs.install_addon(**tocsin.settings)

"""What Tocsin asks itself, at the terminal: exporters of Prometheus, and WHMCS of each site."""

import io
import json
import sys
from collections.abc import Iterator

import pytest

from tests.cli.program import Inside
from tests.standins.beside import Beside
from tests.standins.provider import Answer, Provider, Seen
from tests.standins.whmcs import IDENTIFIER, SECRET, WhmcsStandIn

PAGE = b"node_load1 0.5\nmysql_up 1\nnode_memory_MemTotal_bytes 8e9\n"


class ExporterStandIn(Provider):
    """Shows a page to whoever has the token."""

    async def answer(self, seen: Seen) -> Answer:
        if seen.headers.get("Authorization") != "Bearer tk_right":
            return Answer(401, b"no")
        return Answer(200, PAGE, {"Content-Type": "text/plain"})


@pytest.fixture
def exporter(beside: Beside) -> Iterator[str]:
    stand_in = ExporterStandIn()
    beside.do(stand_in.__aenter__())
    yield f"{stand_in.url}/metrics"
    beside.do(stand_in.__aexit__(None, None, None))


@pytest.fixture
def whmcs(beside: Beside) -> Iterator[WhmcsStandIn]:
    stand_in = WhmcsStandIn()
    beside.do(stand_in.__aenter__())
    yield stand_in
    beside.do(stand_in.__aexit__(None, None, None))


def type_in(ready: Inside, text: bytes) -> None:
    ready.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.claim("M8")
def test_an_exporter_is_tried_added_listed_and_removed(ready: Inside, exporter: str) -> None:
    assert "No exporter is asked" in ready.run("exporters", "list").err
    refused = ready.run("exporters", "test", exporter)
    assert (refused.code, "status 401" in refused.err) == (1, True), refused
    type_in(ready, b"tk_right\n")
    tried = ready.run("exporters", "test", exporter, "--token-stdin", "--json")
    assert tried.code == 0
    assert json.loads(tried.out)["fault"] is None
    assert json.loads(tried.out)["of_hosts"] == 1
    type_in(ready, b"tk_right\n")
    made = ready.run("exporters", "add", exporter, "--token-stdin", "--name", "mysqld_exporter", "--host", "DB1", "--interval", "30")
    assert "asked every 30 s" in made.err
    (found,) = json.loads(ready.run("exporters", "list", "--json").out)
    assert (found["id"], found["host"], found["with_token"], found["enabled"]) == (made.out.strip(), "db1", True, True)
    listed = ready.run("exporters", "list")
    assert "never asked" in listed.out
    assert "tk_right" not in listed.out
    assert "asked already" in ready.run("exporters", "add", exporter).err
    assert "is not asked any more" in ready.run("exporters", "remove", exporter).err
    assert json.loads(ready.run("exporters", "list", "--json").out) == []
    assert "there is no exporter" in ready.run("exporters", "remove", made.out.strip()).err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ftp://web1/metrics"], "must be an address"),
        (["http://web1/metrics", "--name", " "], "1 to 100 characters"),
        ([f"http://web1/{'x' * 600}"], "at most 500 characters"),
        (["http://web1/metrics", "--site", "nowhere"], "there is no site nowhere"),
        (["http://web1/metrics", "--interval", "5"], "10<=x<=3600"),
    ],
)
def test_what_can_be_no_exporter_is_refused(ready: Inside, words: list[str], says: str) -> None:
    answer = ready.run("exporters", "add", *words)
    assert answer.code in (1, 2)
    assert says in answer.err


@pytest.mark.claim("M4")
def test_whmcs_of_a_site_is_added_tried_listed_and_removed(ready: Inside, whmcs: WhmcsStandIn) -> None:
    address = f"{whmcs.url}/whmcs"
    assert "No WHMCS is asked" in ready.run("whmcs", "list").err
    assert "is not asked" in ready.run("whmcs", "test", "main").err
    assert "--secret-stdin" in ready.run("whmcs", "add", address, "--identifier", IDENTIFIER).err
    type_in(ready, f"{SECRET}\n".encode())
    added = ready.run("whmcs", "add", address, "--identifier", IDENTIFIER, "--secret-stdin")
    assert added.code == 0, added
    assert SECRET not in added.out + added.err
    tried = ready.run("whmcs", "test", "main")
    assert (tried.code, "answers all of our questions" in tried.err) == (0, True), tried
    (found,) = json.loads(ready.run("whmcs", "list", "--json").out)
    assert (found["site"], found["url"], found["origin"]) == ("main", address, "user")
    assert address in ready.run("whmcs", "list").out
    type_in(ready, b"wrong\n")
    ready.run("whmcs", "add", address, "--identifier", IDENTIFIER, "--secret-stdin")
    wrong = ready.run("whmcs", "test", "main", "--json")
    assert wrong.code == 1
    assert json.loads(wrong.out)["cure"]
    assert ready.run("whmcs", "remove", "main").code == 0
    assert "has no connection of its own" in ready.run("whmcs", "remove", "main").err


@pytest.mark.parametrize(("secret", "says"), [(b"\n", "1 to 200 characters"), (b"a b\n", "without spaces"), (b"\xff\n", "not UTF-8")])
def test_what_can_be_no_secret_is_refused(ready: Inside, secret: bytes, says: str) -> None:
    type_in(ready, secret)
    answer = ready.run("whmcs", "add", "https://billing.example.com", "--identifier", "kX7", "--secret-stdin")
    assert answer.code in (1, 2)
    assert says in answer.err

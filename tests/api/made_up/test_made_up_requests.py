"""Requests that Schemathesis makes up from the OpenAPI document, against the real program: no fault of ours, ever, and no
answer that the document does not name. Routes that are added take part by themselves, since the document is made from them.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.program import PATIENCE, Program, Serving
from tocsin.core.clock import DAY, SystemClock
from tocsin.core.times import to_text

ROOT = Path(__file__).parents[3]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
    "use_after_free",
    "wrong_members_are_named",
)
# Headers that carry logins are not made up: next to a good key, a wrong cookie is rightly refused.
# A check that is tried may take up to a minute.
# The stream never ends: it is listened to for so long.
# What a refusal asks for is not asked for always: `user` is missing where somebody is assigned, and nowhere else.
# An array is taken where one of its members is wrong, and the answer names that one: `wrong_members_are_named` looks.
CONFIG = """\
request-timeout = 90

[generation]
with-security-parameters = false

[phases.fuzzing.error-feedback]
enabled = false

[[operations]]
include-path = "/api/v1/stream"
request-timeout = 10

[[operations]]
include-path = "/api/v1/events"
include-method = "POST"
checks.negative_data_rejection.expected-statuses = ["202", "400", "401", "403", "413", "415", "422"]
"""


SECONDS = 600  # how long the long run makes up requests on each kind of database


def things(now: int) -> list[tuple[str, dict[str, Any]]]:
    """One of each thing that an address can name, so that requests get further than "there is no such thing"."""
    later = to_text(now + DAY)
    matchers = [{"field": "host", "op": "=", "value": "web9"}]
    switch = [{"field": "type", "op": "=", "value": "switch.down"}]
    rotation = {"unit": "day", "length": 1, "starts_at": "2026-01-05T09:00", "users": ["jonas@example.com"]}
    return [
        ("/sites", {"slug": "acme", "name": "Acme"}),
        ("/users", {"email": "marta@example.com", "name": "Marta Weiss", "role": "responder"}),
        ("/users", {"email": "jonas@example.com", "name": "Jonas", "role": "viewer"}),
        ("/keys", {"name": "grafana", "scopes": ["read"]}),
        ("/channels", {"name": "hook", "kind": "webhook", "target": "https://hooks.example.com/tocsin"}),
        ("/silences", {"matchers": matchers, "ends_at": later, "comment": "moving"}),
        ("/maintenance", {"name": "moving", "matchers": matchers, "starts_at": to_text(now), "ends_at": later, "comment": "moving"}),
        (
            "/dependencies",
            {"name": "switch", "parent": switch, "children": [{"field": "type", "op": "=", "value": "disk.full"}, *matchers]},
        ),
        ("/heartbeats", {"name": "backup", "cron": "30 2 * * *"}),
        ("/checks", {"name": "shop", "target": {"kind": "tcp", "host": "127.0.0.1", "port": 9}, "group": "shop", "sla_percent": 99.9}),
        ("/schedules", {"name": "first line", "time_zone": "Europe/Berlin", "layers": [{"name": "days", "rotation": rotation}]}),
    ]


class Made:
    """What one run of Schemathesis came to."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code, self.said = done.returncode, done.stdout + done.stderr
        found = re.search(r"([\d,]+) generated", self.said)
        self.cases = int(found[1].replace(",", "")) if found else 0


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "data", module="tests.api.made_up.patient")


@pytest.fixture
def server(program: Program) -> Iterator[Serving]:
    program.settings["RES_OPTIONS"] = "timeout:1 attempts:1"  # made-up hosts are looked up: a name server that is not there costs a second
    with program.serving() as server:
        yield server
        assert '"exception"' not in server.log, server.log
        assert server.stop() == 0


def make_up(server: Serving, program: Program, *options: str) -> Made:
    """Runs Schemathesis against *server*, which knows one of each thing."""
    key = program.run("key", "add", "made-up", "--scope", "ingest,read,write,admin", "--json").json
    for number in range(8):
        server.post(
            key["key"],
            {"type": "disk.full", "host": f"web{number}", "severity": number % 5 + 1, "source": "bridge", "sequence": number + 1},
        )
    for path, body in things(SystemClock().now()):
        login = {"Authorization": f"Bearer {key['key']}"}
        answer = httpx.post(f"{server.url}/api/v1{path}", json=body, headers=login, timeout=PATIENCE)
        assert answer.status_code == 201, (path, answer.text)
    config = program.folder.parent / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{server.url}/api/openapi.json"]
    command += [
        "--header",
        f"Authorization: Bearer {key['key']}",
        "--checks",
        ",".join(CHECKS),
        "--no-color",
        "--warnings",
        "off",
        *options,
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.api.made_up.hooks",
        "PYTHONPATH": str(ROOT),
        "MADE_UP_URL": server.url,
        "MADE_UP_KEY": key["key"],
        "MADE_UP_KEY_ID": key["id"],
    }
    return Made(subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=program.folder.parent))


@pytest.mark.claim("E8", "S4")
def test_a_few_made_up_requests_to_every_route_find_no_fault(server: Serving, program: Program) -> None:
    made = make_up(server, program, "--phases", "fuzzing", "--max-examples", "1", "--seed", "7")
    assert made.code == 0, made.said
    assert made.cases > 200, made.said


@pytest.mark.soak
@pytest.mark.claim("E8", "S4")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_thousands_of_made_up_requests_find_no_fault(
    program: Program, kind: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each phase gets its share of `SECONDS`: what all limits of all fields come to would take hours."""
    program.settings["TOCSIN_DATABASE_URL"] = request.getfixturevalue(f"{kind}_url")
    server = request.getfixturevalue("server")
    made = make_up(server, program, "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "60", "--max-time", str(SECONDS))
    with capsys.disabled():
        request.config.get_terminal_writer().line(f"\n{kind}: {made.cases:,} made-up requests")
    assert made.code == 0, made.said
    assert made.cases >= 5_000, made.said

"""What is said to wrong usage, and how quickly the command line answers."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tests.cli.program import Program
from tocsin.cli.commands import tocsin
from tocsin.cli.output import show_table


def every_command(group: click.Group = tocsin, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands that do something, with the words that call them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(every_command())
PRINTS_NO_DATA = {("serve",), ("demo",), ("agent",), ("key", "revoke")}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(tocsin, [*path, "--help"])
    assert shown.exit_code == 0
    assert f"tocsin {' '.join(path)}" in shown.output.partition("Example")[2]
    assert COMMANDS[path].get_short_help_str()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_prints_data_can_print_json(path: tuple[str, ...]) -> None:
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert ("--json" in options) is (path not in PRINTS_NO_DATA)


@pytest.mark.parametrize(
    "line",
    [
        "no-such-command",
        "key add",
        "key add whmcs",
        "serve --http-only --engine-only",
        "user add a@example.com --name A --role king --password-stdin",
        "user add a@example.com --name A --role admin",
        "user add a@example.com --name A --role admin --password secret-password",
        "test-alert --severity 6",
        "events tail --lines many",
        "--config /no/such/file version",
    ],
)
def test_wrong_usage_ends_with_two(line: str) -> None:
    assert CliRunner().invoke(tocsin, line.split()).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("key", "add", "x", "--scope", "ingets"), "'ingets' is none of ingest, read, write, admin. Example: ingest,read"),
        (("key", "add", "x", "--scope", "read", "--expires", "soon"), "'soon' is no length of time. Example: 90d"),
        (("key", "add", "x", "--scope", "read", "--site", "Acme!"), "'Acme!' must be a short name"),
        (("alerts", "ack", "the-last-one"), "'the-last-one' is neither a number nor an id. Example: 12"),
        (("alerts", "list", "--status", "opne"), "'opne' is none of open, acknowledged, snoozed, resolved"),
    ],
)
def test_a_value_that_makes_no_sense_is_wrong_usage_and_leaves_no_trace(program: Program, arguments: tuple[str, ...], words: str) -> None:
    refused = program.run(*arguments)
    assert refused.code == 2
    assert words in refused.err
    assert not program.folder.exists()


@pytest.mark.parametrize(
    ("password", "words"),
    [
        (b"", "there is no password on standard input"),
        (b"short\n", "has 5 characters; at least 12 are needed"),
        (b"\xff\xfe\xfd" * 5, "is not UTF-8 text"),
    ],
)
def test_a_password_that_cannot_be_used_is_refused_in_one_line(program: Program, password: bytes, words: str) -> None:
    refused = program.run("user", "add", "marta@example.com", "--name", "Marta", "--role", "admin", "--password-stdin", stdin=password)
    assert refused.is_one_complaint(), refused
    assert words in refused.err


@pytest.mark.claim("S3")
def test_keys_and_passwords_are_shown_once_or_never_and_stored_as_hashes(program: Program) -> None:
    asked = ("user", "add", "marta@example.com", "--name", "Marta", "--role", "admin", "--password-stdin")
    made = program.run(*asked, stdin="correct horse battery\n")
    assert made.code == 0
    again = program.run(*asked, stdin="correct horse battery\n")
    assert again.is_one_complaint()
    assert "there is already a user marta@example.com" in again.err
    key = program.run("key", "add", "grafana", "--scope", "read", "--expires", "90d", "--json").json
    listed = program.run("key", "list").out
    assert key["id"] in listed
    assert "good until" in listed
    assert program.run("key", "revoke", key["id"]).code == 0
    assert program.run("key", "list", "--json").json[0]["state"] == "revoked"
    assert program.run("key", "revoke", "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10").is_one_complaint()
    stored = b"".join(path.read_bytes() for path in program.folder.iterdir())
    for secret in (key["key"], "correct horse battery"):
        assert secret not in made.out + made.err + listed
        assert secret.encode() not in stored
    assert b"$argon2id$" in stored


LOADED = "import sys; from tocsin.cli import commands; {}; print(*sorted(m for m in {!r}.split() if m in sys.modules))"
HEAVY = "aiosmtplib alembic jinja2 litestar sqlalchemy structlog uvicorn"


def _loaded(what: str) -> str:
    code = LOADED.format(what, HEAVY)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_help_loads_nothing_heavy_and_key_add_loads_only_the_database() -> None:
    assert _loaded("pass") == ""
    assert set(_loaded("from tocsin.cli import keys; from tocsin.cli.start import opened_store").split()) <= {"sqlalchemy", "structlog"}


def test_a_table_is_as_wide_as_it_needs_and_an_empty_one_says_so_beside_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("NO", "TITLE"), [(1, "two\nlines"), (12, None)], "none")
    show_table(("NO",), [], "There is none.")
    shown = capsys.readouterr()
    assert shown.out == "NO  TITLE\n1   two lines\n12  -\n"
    assert shown.err == "There is none.\n"

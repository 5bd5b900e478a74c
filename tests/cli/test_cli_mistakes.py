"""The wrong folder, the wrong terminal, the wrong bytes: what a person hears instead of a wrong answer."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.program import Inside, Program
from tests.terminal import Terminal
from tocsin.cli.banner import Facts, next_steps, program as name_of
from tocsin.core.redact import redact
from tocsin.settings import VARIABLES, SettingsError, load, misspelt

LOOKS_AND_ACTS = (
    ("alerts", "list"),
    ("alerts", "ack", "1"),
    ("alerts", "resolve", "1"),
    ("events", "tail"),
    ("key", "list"),
    ("key", "revoke", "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"),
    ("user", "list"),
    ("contacts", "list"),
    ("silence", "list"),
    ("silence", "end", "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"),
    ("db", "check"),
)


def an_alert(inside: Inside, title: str) -> None:
    """A stored alert, as if its event had come."""
    assert inside.run("test-alert", "--wait", "0").code == 1
    with closing(sqlite3.connect(inside.folder / "tocsin.db")) as database, database:
        database.execute("UPDATE alerts SET title = ?", (title,))


@pytest.mark.parametrize("command", LOOKS_AND_ACTS, ids=" ".join)
def test_in_the_wrong_folder_nothing_is_made_and_nobody_hears_that_all_is_quiet(inside: Inside, command: tuple[str, ...]) -> None:
    refused = inside.run(*command)
    assert refused.is_one_complaint(), refused
    assert f"there is no database at {inside.folder}/tocsin.db: set TOCSIN_DATA_DIR" in refused.err
    assert not inside.folder.exists()


def test_what_makes_something_may_make_the_database_too_and_says_where(inside: Inside) -> None:
    made = inside.run("key", "add", "first", "--scope", "read")
    assert made.code == 0
    assert f"There was no database at {inside.folder}/tocsin.db: it is made." in made.err
    assert "There was no database" not in inside.run("key", "add", "second", "--scope", "read").err


def test_a_relative_data_folder_is_named_in_full(ready: Inside) -> None:
    ready.set(TOCSIN_DATA_DIR=os.path.relpath(ready.folder))
    said = ready.run("doctor")
    assert f"data folder: {ready.folder} is private" in said.out, said
    assert f"database: SQLite, {ready.folder}/tocsin.db: sound" in said.out


def test_bytes_that_are_no_text_are_wrong_usage(ready: Inside) -> None:
    for command in (("key", "add", "caf\udce9", "--scope", "read"), ("alerts", "ack", "1", "--note", "\udcff")):
        refused = ready.run(*command)
        assert refused.code == 2
        assert "is not UTF-8 text" in refused.err
        assert "fault of Tocsin" not in refused.err


def test_a_title_that_the_terminal_cannot_show_does_not_end_the_command(ready: Inside) -> None:
    an_alert(ready, "磁盘 full")
    program = Program(ready.folder, {"PYTHONIOENCODING": "ascii"}, fresh=True)
    listed = program.run("alerts", "list")
    assert listed.code == 0, listed
    assert "full" in listed.out
    assert program.run("alerts", "list", "--json").json[0]["title"] == "磁盘 full"


def test_a_title_cannot_speak_to_the_terminal(ready: Inside) -> None:
    an_alert(ready, "\x1b[2Jgone\x07")
    said = ready.run("alerts", "ack", "1").out + ready.run("alerts", "list", "--status", "acknowledged").out
    assert said.count("gone") == 2
    assert "\x1b" not in said
    assert "\x07" not in said


def test_what_was_asked_for_and_is_not_there_is_not_called_quiet(ready: Inside) -> None:
    assert "All is quiet" in ready.run("alerts", "list").err
    for more in (("--status", "resolved"), ("--severity-min", "4"), ("--site", "main")):
        assert ready.run("alerts", "list", *more).err == "There is no such alert.\n"


def test_a_type_that_is_none_is_wrong_usage(ready: Inside) -> None:
    refused = ready.run("events", "tail", "--type", "Invoice Paid")
    assert refused.code == 2
    assert "'Invoice Paid' is no event type. Example: invoice.payment_failed, or invoice. for all that begin so" in refused.err


def test_a_test_alert_makes_no_site_and_names_contacts_that_no_server_knows_yet(ready: Inside) -> None:
    refused = ready.run("test-alert", "--site", "mian")
    assert refused.is_one_complaint()
    assert "there is no site mian; known are main" in refused.err
    ready.set(NTFY_SERVER_URL="http://127.0.0.1:9", NTFY_TOPIC="night")
    said = ready.run("test-alert", "--wait", "0")
    assert "ntfy night is in the settings, and was not told: `tocsin serve` takes it up at its next start" in said.err


def test_an_address_that_is_not_this_machines_is_called_that(ready: Inside) -> None:
    ready.set(TOCSIN_LISTEN="192.0.2.1:8400")
    refused = ready.run("serve")
    assert refused.is_one_complaint()
    assert "TOCSIN_LISTEN must name an address of this machine" in refused.err


@pytest.mark.parametrize("name", ["TOCSIN_SMTP_URL", "TOCSIN_DATABASE_URL"])
def test_the_example_of_a_setting_with_a_password_arrives_whole(name: str) -> None:
    (example,) = (variable.example for variable in VARIABLES if variable.name == name)
    with pytest.raises(SettingsError) as refused:
        load({name: "nonsense"})
    assert redact(refused.value.message).endswith(f"Example: {name}={example}")
    assert redact(example.replace("user:password", "marta:S3cret")) == example.replace("user:password@", "")


def test_steps_name_the_program_as_this_shell_finds_it() -> None:
    assert name_of(".venv/bin/tocsin", None) == ".venv/bin/tocsin"
    assert name_of("/usr/bin/tocsin", "/usr/bin/tocsin") == "tocsin"
    assert name_of("/x/tocsin/__main__.py", None) == "tocsin"
    facts = Facts("1", "everything", "", "", "", "production", (), has_key=False, has_user=False, program=".venv/bin/tocsin")
    named = [step for step in next_steps(facts) if "tocsin" in step]
    assert len(named) > 2
    assert all(".venv/bin/tocsin" in step for step in named)


def test_a_misspelt_setting_is_noticed_and_somebody_elses_is_not() -> None:
    found = misspelt({"TOCSIN_LISTN": "a", "NTFY_TOPIK": "b", "TOCSIN_X9": "c", "NTFY_BASE_URL": "d", "NTFY_TOKEN_FILE": "e", "HOME": "f"})
    assert found == [("NTFY_TOPIK", "NTFY_TOPIC"), ("TOCSIN_LISTN", "TOCSIN_LISTEN"), ("TOCSIN_X9", "")]


@pytest.fixture
def terminal(program: Program, tmp_path: Path) -> Iterator[Terminal]:
    command = [sys.executable, "-m", "tocsin", "user", "add", "marta@example.com", "--name", "Marta", "--role", "admin", "--password-stdin"]
    with closing(Terminal(command, program.environment(), tmp_path)) as terminal:
        yield terminal


def test_a_typed_password_is_asked_for_twice(terminal: Terminal, program: Program) -> None:
    terminal.until("Password: ")
    terminal.type("correct horse battery")
    terminal.until("Once more: ")
    terminal.type("correct horse batery")
    terminal.until("tocsin: the two passwords differ; nothing was done")
    assert not program.folder.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-m", "host~.*", "--for", "2h"), "matchers: would match everything"),
        (("-m", "host", "--for", "2h"), "match: 'host' is not FIELD=VALUE"),
        (("-m", "host=a", "--for", "91d"), "ends_at: is more than 90 days"),
        (("-m", "host=a", "--for", "soon"), "for: 'soon' is no length of time"),
        (("-m", "host=a", "--until", "tomorrow"), "until: 'tomorrow' is no time"),
        (("-m", "host=a", "--until", "2020-01-01T00:00Z"), "ends_at: "),
        (("-m", "host=a"), "for: give exactly one of --for and --until"),
        (("-m", "host=a", "--for", "2h", "--until", "2030-01-01T00:00Z"), "for: give exactly one"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_in_one_line(ready: Inside, options: tuple[str, ...], words: str) -> None:
    refused = ready.run("silence", "add", *options, "--comment", "why")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert words in refused.err


def test_a_silence_needs_a_reason(ready: Inside) -> None:
    assert "comment: must say why" in ready.run("silence", "add", "-m", "host=a", "--for", "2h", "--comment", " ").err

"""The log of a process: JSON or words, and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from tocsin.cli import logs
from tocsin.core.redact import MASK, redact, redact_all

KEY = "tocsin_zyZ0g7ExO85l_0QED5W7WoGYZNOyIGfyM2EnkL6jyHY"
TOKEN = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEf"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, level = logging.getLogger().handlers[:], logging.getLogger().level
    kept = structlog.get_config()
    yield
    structlog.configure(**kept)
    logging.basicConfig(handlers=root, level=level, force=True)


@pytest.mark.claim("S11")
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"key {KEY} refused", KEY),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
        ("token tk_abcdefgh12345678", "tk_abcdefgh12345678"),
        (f"GET https://alarm.example.com/a/{TOKEN}", TOKEN),
        ("smtp://robot:hush@mail.example.com:587 refused", "hush"),
        ("postgresql://tocsin:hush@db/tocsin", "hush"),
    ],
)
def test_a_secret_in_a_text_is_taken_out_and_the_rest_stays(text: str, secret: str) -> None:
    cleaned = redact(text)
    assert secret not in cleaned
    assert cleaned.split()[0] == text.split(maxsplit=1)[0] or "://" in cleaned


@pytest.mark.claim("S11")
def test_secrets_are_found_all_the_way_down_by_their_look_and_by_their_name() -> None:
    entry = {"headers": [("x", f"Bearer {KEY}")], "password": "hush", "deep": {"api_key": "x", "n": 3, "raw": KEY.encode()}, "key": ""}
    cleaned = redact_all(entry)
    assert cleaned["password"] == MASK
    assert cleaned["deep"] == {"api_key": MASK, "n": 3, "raw": MASK}
    assert cleaned["key"] == ""
    assert KEY not in repr(cleaned)


@pytest.mark.claim("S11")
def test_an_entry_is_one_line_of_json_without_the_secret_in_its_traceback() -> None:
    out = io.StringIO()
    logs.configure("production", out)
    log = structlog.get_logger()
    log.debug("not shown in production")
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        log.exception("failed", where="here", token="hush")
    entry = json.loads(out.getvalue())
    assert (entry["event"], entry["level"], entry["where"], entry["token"]) == ("failed", "error", "here", MASK)
    assert "ValueError: refused (hidden)" in entry["exception"]


@pytest.mark.claim("K26", "origin:A4", "O2")
def test_in_development_details_are_logged_and_libraries_speak_through_the_same_log() -> None:
    out = io.StringIO()
    logs.configure("development", out)
    structlog.get_logger().debug("a detail")
    logging.getLogger("uvicorn.error").error("bad %s", KEY)
    detail, foreign = (json.loads(line) for line in out.getvalue().splitlines())
    assert detail["event"] == "a detail"
    assert foreign["logger"] == "uvicorn.error"
    assert foreign["event"] == "bad (hidden)"


def test_a_command_that_fails_says_it_in_its_one_line_and_logs_nothing() -> None:
    out = io.StringIO()
    logs.configure("production", out, quiet=True)
    structlog.get_logger().error("write failed")
    logging.getLogger("asyncio").error("task failed")
    assert out.getvalue() == ""


def test_at_a_terminal_an_entry_is_readable_words() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    logs.configure("production", out)
    structlog.get_logger().info("started", contact=f"Bearer {KEY}")
    assert "started" in out.getvalue()
    assert not out.getvalue().startswith("{")
    assert KEY not in out.getvalue()


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 - it cannot be closed well
    logs.configure("production", full)
    structlog.get_logger().error("write failed", reason="the disk is full")
    with suppress(OSError):
        full.close()
    structlog.get_logger().error("and nobody reads it any more")

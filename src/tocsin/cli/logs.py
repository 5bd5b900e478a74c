"""The log: one JSON object a line on standard error, or readable words where a person looks on. Secrets never get in."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import msgspec
import structlog

from tocsin.core.redact import redact_all

Entry = MutableMapping[str, Any]


def configure(environment: str, stream: TextIO | None = None, *, quiet: bool = False) -> None:
    """Sets up the log of this process; *environment* is WHMCS_ENV: ``development`` also logs details.

    *quiet*: a command that ends with its one line on standard error; what went wrong is in that line.
    """
    out = stream or sys.stderr
    level = logging.DEBUG if environment == "development" else logging.CRITICAL if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_secrets,
            *_writers(out),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(out))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)


class _Unfailing:
    """A log that cannot be written (its disk is full, who read it has gone) must end nothing that is at work, the writer least."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Writes, if that is possible."""
        with suppress(OSError, ValueError):
            return self._out.write(text)
        return len(text)

    def flush(self) -> None:
        """Passes on what was written, if that is possible."""
        with suppress(OSError, ValueError):
            self._out.flush()


def _writers(out: TextIO) -> list[Any]:
    if out.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True)]
    return [_as_json]


def without_secrets(_logger: object, _method: str, entry: Entry) -> Entry:
    """*entry* without keys, tokens and passwords, in its traceback too."""
    cleaned: Entry = redact_all(dict(entry))
    return cleaned


def _as_json(_logger: object, _method: str, entry: Entry) -> str:
    return msgspec.json.encode(entry).decode()


class _Bridge(logging.Handler):
    """What libraries log with the standard library, among our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        entry: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            entry["exc_info"] = record.exc_info[1]
        structlog.get_logger().log(record.levelno, record.getMessage(), **entry)

"""The command line: `tocsin`. What a person asks for, and how it is answered; the work itself is done further down."""

import gc
import io
import os
import sys
from typing import NoReturn

import click

from tocsin.cli import commands
from tocsin.core.errors import InvalidInput, TocsinError
from tocsin.core.redact import redact
from tocsin.core.text import one_line

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def main() -> NoReturn:
    """Runs the command of this process."""
    os.umask(0o077)  # whatever is made in the data folder is for its owner alone
    _be_able_to_say_anything()
    gc.disable()  # a command is over before there is garbage; what runs for long switches it on again (`start.settle`)
    # structlog imports rich where it finds it, for tracebacks that nobody sees in a log: 10 MiB and a tenth of the start.
    sys.modules["rich"] = None  # type: ignore[assignment]  # the documented way to make an import fail; see banner.py
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command: 0 done, 1 it failed (one line says what and what to do), 2 wrong usage."""
    try:
        _refuse_what_is_not_text(arguments)
        answer = commands.tocsin.main(arguments, prog_name="tocsin", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except InvalidInput as error:
        return _complain(error.message, WRONG_USAGE)
    except TocsinError as error:
        return _complain(error.message)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _hush()
    except Exception as error:  # the last resort: no traceback for the person, but all of it for whoever is to mend it
        if os.environ.get("WHMCS_ENV") == "development":
            raise
        return _complain(f"a fault of Tocsin's own: {type(error).__name__}: {error}. WHMCS_ENV=development shows where; please report it")
    return answer if isinstance(answer, int) else 0


def _be_able_to_say_anything() -> None:
    """A title in another script shall not end a command in a terminal that cannot show it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refuse_what_is_not_text(arguments: list[str]) -> None:
    """Python passes on bytes that are not UTF-8 as half surrogates, which no database takes. Raises `InvalidInput`."""
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            raise InvalidInput.of(ascii(argument), "is not UTF-8 text")


def _complain(text: str, code: int = FAILED) -> int:
    click.echo(f"tocsin: {redact(one_line(text))}", err=True)
    return code


def _hush() -> int:
    """The reader of our output has gone (`| head`): that is no fault, and Python shall not complain at its end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0

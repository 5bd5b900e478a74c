"""The command line: `tocsin`. What a person asks for, and how it is answered; the work itself is done further down."""

import gc
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
    """Runs the command of this process: 0 done, 1 it failed (one line says what and what to do), 2 wrong usage."""
    os.umask(0o077)  # whatever is made in the data folder is for its owner alone
    gc.disable()  # a command is over before there is garbage; what runs for long switches it on again (`start.settle`)
    # structlog imports rich where it finds it, for tracebacks that nobody sees in a log: 10 MiB and a tenth of the start.
    sys.modules["rich"] = None  # type: ignore[assignment]  # the documented way to make an import fail; see banner.py
    try:
        answer = commands.tocsin.main(prog_name="tocsin", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except InvalidInput as error:
        code = _complain(error.message, WRONG_USAGE)
    except TocsinError as error:
        code = _complain(error.message)
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        code = _hush()
    except Exception as error:  # the last resort: no traceback for the person, but all of it for whoever is to mend it
        if os.environ.get("WHMCS_ENV") == "development":
            raise
        code = _complain(f"a fault of Tocsin's own: {type(error).__name__}: {error}. WHMCS_ENV=development shows where; please report it")
    else:
        code = answer if isinstance(answer, int) else 0
    sys.exit(code)


def _complain(text: str, code: int = FAILED) -> int:
    click.echo(f"tocsin: {redact(one_line(text))}", err=True)
    return code


def _hush() -> int:
    """The reader of our output has gone (`| head`): that is no fault, and Python shall not complain at its end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0

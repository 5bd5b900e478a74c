"""How answers look: words for people, JSON for programs, on standard output; remarks on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence

import click

from tocsin.core.text import one_line


def say(text: str) -> None:
    """A remark to the person at the terminal."""
    click.echo(text, err=True)


def show(text: str) -> None:
    """One line of the answer."""
    click.echo(text)


def show_json(value: object) -> None:
    """The answer for a program: one JSON document on one line, in ASCII where the output takes no more."""
    click.echo(json.dumps(value, ensure_ascii=(sys.stdout.encoding or "").lower() != "utf-8"))


def show_table(head: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """Columns under their names, as wide as they need; *nothing* is said, on standard error, when there are no rows."""
    cells = [[one_line("-" if cell is None else str(cell)) for cell in row] for row in rows]
    if not cells:
        say(nothing)
        return
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    for row in (head, *cells):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

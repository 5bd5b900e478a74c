"""Lines of a CSV file (RFC 4180) that a spreadsheet can open without harm."""

import csv
import io
from collections.abc import Sequence

_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four: their full-width forms


def csv_lines(rows: Sequence[Sequence[object]]) -> bytes:
    """These rows as lines."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _cell(value: object) -> object:
    """Spreadsheets run what begins like a formula; whoever can open a ticket could write one."""
    if isinstance(value, str) and value[:1] in _FORMULA:
        return "'" + value
    return "" if value is None else value

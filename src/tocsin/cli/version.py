"""`tocsin version`."""

import platform

from tocsin import __version__
from tocsin.cli.output import show, show_json
from tocsin.db.schema import HEAD


def show_version_text() -> str:
    """``Tocsin 0.1.0 (database schema 0001, Python 3.11.7)``."""
    return f"Tocsin {__version__} (database schema {HEAD}, Python {platform.python_version()})"


def show_version(*, as_json: bool) -> None:
    """Prints the versions."""
    if as_json:
        show_json({"version": __version__, "schema": HEAD, "python": platform.python_version()})
    else:
        show(show_version_text())

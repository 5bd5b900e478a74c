"""Files that come with Tocsin and are not Python of its own: the server agent, the bridge for WHMCS."""

from pathlib import Path

from tocsin.core.errors import NotFound

_PACKAGE = Path(__file__).parent


def place(installed: str, source: str, what: str) -> Path:
    """Where *what* is: *installed* in the package, else *source* in the repository. Raises `NotFound` if it is in neither."""
    for path in (_PACKAGE / installed, _PACKAGE.parents[1] / source):
        if path.exists():
            return path
    raise NotFound(f"this installation lacks {what}; the source has it as {source}")

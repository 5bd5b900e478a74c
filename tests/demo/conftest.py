"""The commands, as the command line's tests have them."""

from tests.cli.conftest import inside

__all__ = ["inside"]

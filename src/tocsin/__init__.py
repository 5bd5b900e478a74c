"""Tocsin: monitoring and alert management for hosting companies that run on WHMCS."""

import sys

__version__ = "0.1.0"

# structlog loads rich (and pygments: 4 MiB) wherever it is installed, to draw tracebacks that our log never draws.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # so says the import system that a module is not to be had

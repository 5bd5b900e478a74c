"""``python -m tocsin`` is the same program as ``tocsin``."""

from tocsin.cli import main

main()

"""`tocsin serve`, which kills itself with SIGKILL when it reaches a named boundary for the n-th time.

``python -m tests.crash.victim commit.after 3``. Nothing else
differs from the real program: no handler runs, nothing is flushed, nobody is told.
"""

import itertools
import os
import signal
import sys

from tocsin import cli
from tocsin.core import failpoints


def _arm(boundary: str, times: int) -> None:
    if boundary not in failpoints.NAMES:
        raise SystemExit(f"{boundary} is none of {', '.join(failpoints.NAMES)}")
    reached = itertools.count(1)

    def hook(name: str) -> None:
        if name == boundary and next(reached) >= times:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.arm(hook)


if __name__ == "__main__":
    _arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["tocsin", "serve"]
    cli.main()

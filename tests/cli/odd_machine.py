"""`tocsin` on a machine whose clock, names and patience are the test's: ``ODD_MACHINE=FILE python -m tests.cli.odd_machine serve``.

FILE is JSON and may be changed at any time: ``ahead`` (milliseconds by which the clock is fast), ``names`` (all names that
can be resolved, with their addresses). Nothing else differs from the real program, but for mail servers that say nothing:
they are waited for one second instead of ten.
"""

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import uvloop

from tocsin import cli
from tocsin.core.clock import SystemClock
from tocsin.notify.channels import email

MACHINE = Path(os.environ["ODD_MACHINE"])
_real_now, _real_getaddrinfo = SystemClock.now, socket.getaddrinfo


def _now(self: SystemClock) -> int:
    return _real_now(self) + int(json.loads(MACHINE.read_text())["ahead"])


def _getaddrinfo(host: Any, *more: Any, **options: Any) -> Any:
    names = json.loads(MACHINE.read_text())["names"]
    if isinstance(host, str) and host.endswith(".test"):
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host = names[host]
    return _real_getaddrinfo(host, *more, **options)


if __name__ == "__main__":
    SystemClock.now = _now  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo
    uvloop.run = asyncio.run  # type: ignore[assignment]  # uvloop resolves names by itself, where no test can reach
    email.CONNECT_SECONDS = email.CHECK_SECONDS = 1.0
    cli.main()

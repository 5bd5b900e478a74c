"""A terminal: programs that run in it show a person what they show a person."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

PATIENCE = 90  # seconds; the machine may be busy
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """One program with its own terminal, which shows nothing of what is typed."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        ours, theirs = pty.openpty()
        modes = termios.tcgetattr(theirs)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        self._ours = ours
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder)
        os.close(theirs)
        self._shown = ""

    def type(self, line: str) -> None:
        """Types one line."""
        os.write(self._ours, f"{line}\n".encode())

    def until(self, sign: str) -> str:
        """What is shown up to *sign*, without it and without colours; it is not shown again."""
        end = time.monotonic() + PATIENCE
        while sign not in self._shown:
            assert time.monotonic() < end, f"{sign!r} did not appear: {self._shown}"
            if select.select([self._ours], [], [], 0.2)[0]:
                self._shown += _COLOURS.sub("", os.read(self._ours, 65536).decode().replace("\r\n", "\n"))
        before, _, self._shown = self._shown.partition(sign)
        return before

    def interrupt(self) -> int:
        """Ctrl+C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """Ends the program, if it has not ended."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

"""The journal of departures: which attempts had left when the process died.

A claim is committed before a message is sent, its outcome after. Whoever finds a claim without an outcome must know
whether the request had left. Between the two stands one small ``write`` to this file: the kernel keeps it when the
process is killed (it is not flushed, so a power cut may lose it; then a message may be sent twice rather than never).
See docs/adr/0009-departures.md.
"""

import os
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 1 << 20


class Departures:
    """One file in the data folder, written by this process alone. A line is ``outbox-id fence``."""

    def __init__(self, path: Path) -> None:
        """Reads what an earlier process left at *path*, then goes on in the same file."""
        self._path = path
        self.earlier: frozenset[tuple[str, int]] = frozenset(_read(path))
        self._under_way: set[tuple[str, int]] = set()
        self._file = self._open()

    def _open(self) -> int:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(file).st_size
        return file

    def note(self, message_id: str, fence: int) -> None:
        """This attempt is about to leave. A full disk is no reason not to send: after a crash it may then go twice."""
        self._under_way.add((message_id, fence))
        with suppress(OSError):
            self._size += os.write(self._file, _line(message_id, fence))

    def finished(self, message_id: str, fence: int) -> None:
        """The outcome of this attempt is committed. From time to time the file is written anew without what is over."""
        self._under_way.discard((message_id, fence))
        if self._size > MAX_BYTES:
            with suppress(OSError):
                self._compact()

    def _compact(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(b"".join(_line(*attempt) for attempt in (*self._under_way, *self.earlier)))
        fresh.chmod(0o600)
        fresh.replace(self._path)
        os.close(self._file)
        self._file = self._open()

    def forget_earlier(self) -> None:
        """What the earlier process left has been dealt with."""
        self.earlier = frozenset()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


def _line(message_id: str, fence: int) -> bytes:
    return f"\n{message_id} {fence}\n".encode()  # the line before may have been cut short by a full disk


def _read(path: Path) -> list[tuple[str, int]]:
    try:
        lines = path.read_bytes().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return []
    pairs = [line.split(" ") for line in lines]
    return [(pair[0], int(pair[1])) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()]

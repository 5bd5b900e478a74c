"""Argon2id, away from the event loop: a hash takes a core for tens of milliseconds and 64 MiB, so few run at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from tocsin.core.errors import Unavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Result = TypeVar("Result")

THREADS = 2
MAX_WAITING = 64


@cache
def hasher() -> "PasswordHasher":
    """The library's own choice of costs (RFC 9106, low memory): 64 MiB, three passes."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - only who hashes pays for it

    return PasswordHasher()


def hashed(password: str, with_hasher: "PasswordHasher | None" = None) -> str:
    """What is stored of a password. Slow on purpose: never in the event loop or the writer."""
    return (with_hasher or hasher()).hash(password)


class Passwords:
    """Hashes and checks on two threads of its own. More than 64 waiting: the next is told to come again."""

    def __init__(self, with_hasher: "PasswordHasher | None" = None) -> None:
        self._hasher = with_hasher
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """What is stored of a password. Raises `Unavailable`."""
        return await self._run(lambda: hashed(password, self._hasher))

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether *password* is the one that *stored* was made of. Takes as long when there is none. Raises `Unavailable`."""
        return await self._run(lambda: self._fits(password, stored))

    def close(self) -> None:
        """Ends the threads; what waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many people log in at once", retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _fits(self, password: str, stored: str | None) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - see hasher

        the_hasher = self._hasher or hasher()
        if self._decoy is None:
            self._decoy = the_hasher.hash("nobody has this password")
        try:
            the_hasher.verify(stored or self._decoy, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

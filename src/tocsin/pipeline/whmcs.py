"""Looks at WHMCS of each site that is connected, beside the engine. A connection that changes has its lookout and surveyor made anew."""

from collections.abc import Callable

from tocsin.pipeline.lookout import Lookout
from tocsin.pipeline.survey import Surveyor
from tocsin.whmcs.book import ConnectionBook
from tocsin.whmcs.model import Connection


class Pair:
    """What asks one installation: in short rounds how it is, in longer ones what hangs on what."""

    def __init__(self, lookout: Lookout, surveyor: Surveyor) -> None:
        self.lookout, self.surveyor = lookout, surveyor

    async def close(self) -> None:
        """Breaks off what is under way."""
        await self.lookout.close()
        await self.surveyor.close()


class WhmcsWatch:
    """See the module. *make* builds the pair for a connection."""

    def __init__(self, book: ConnectionBook, make: Callable[[Connection], Pair]) -> None:
        self._book, self.make = book, make
        self._pairs: dict[Connection, Pair] = {}

    async def begin_looks(self) -> None:
        """Begins those rounds that are due."""
        for pair in await self._current():
            pair.lookout.begin_if_due()

    async def begin_surveys(self) -> None:
        """Begins those surveys that are due."""
        for pair in await self._current():
            pair.surveyor.begin_if_due()

    async def close(self) -> None:
        """Breaks off what is under way."""
        pairs, self._pairs = self._pairs, {}
        for pair in pairs.values():
            await pair.close()

    async def _current(self) -> list[Pair]:
        wanted = self._book.all()
        for connection in [one for one in self._pairs if one not in wanted]:
            await self._pairs.pop(connection).close()
        for connection in wanted:
            if connection not in self._pairs:
                self._pairs[connection] = self.make(connection)
        return list(self._pairs.values())

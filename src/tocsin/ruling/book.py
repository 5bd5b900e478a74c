"""The event rules in memory: refilled when they have changed."""

from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from tocsin.core.errors import TocsinError
from tocsin.ruling import store
from tocsin.ruling.rules import Ready, RuleSet

log = structlog.get_logger()


class RuleBook:
    """The rules that hold now. Any thread may ask; each sees one consistent set."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self.current = RuleSet()

    def load(self, connection: sa.Connection) -> None:
        """Reads the rules. Nothing happens if they are what is known already."""
        rows = store.rows(connection)
        if rows != self._rows:
            self._rows, self.current = rows, _made(rows)


def _made(rows: list[tuple[Any, ...]]) -> RuleSet:
    """One that this release cannot use decides nothing, and is named in the log: rather a page too many."""
    usable = []
    for row in rows:
        try:
            rule = store.read(row[0])
            Ready(rule)
        except (TocsinError, msgspec.DecodeError) as error:
            log.error("rule cannot be used and decides nothing", rule=str(row[0])[:200], reason=str(error))
        else:
            usable.append(rule)
    return RuleSet(usable)
